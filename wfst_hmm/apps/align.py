"""Forced alignment: when each word, phone and state of a known transcript was spoken.

In: a model, a lexicon and a corpus with transcripts. Out: an `Outcome` per utterance whose
`Decoded` says when; files in CTM, TextGrid or JSON form.

Public names: `FORMS`, `align_corpus`, `check_forms`, `write_alignments`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome, in_order, stream_features
from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.files import write_json
from wfst_hmm.formats.ctm import write_ctm
from wfst_hmm.formats.textgrid import write_textgrid
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon, format_missing
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.phrases import phrase_list
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Word
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import Features

__all__ = ["FORMS", "align_corpus", "check_forms", "write_alignments"]

FORMS = ("ctm", "textgrid", "json")


def align_corpus(
    model: SpeechModel,
    lexicon: Lexicon,
    corpus: Corpus,
    *,
    silence: LexiconOptions | None = None,
    search: str = "exact",
    resample: bool = False,
    n_threads: int = 1,
) -> Iterator[Outcome]:
    """Align every utterance with its transcript.

    Parameters
    ----------
    model : AcousticModel or ContextModel
    lexicon : Lexicon
    corpus : Corpus
    silence : LexiconOptions, optional
        Optional silence between words.
    search : {"exact", "beam", "compose"}
    resample : bool
        Convert recordings of another rate than the model's instead of refusing them.
    n_threads : int

    Yields
    ------
    Outcome
        In the corpus's order. An utterance without a transcript, with a word that the lexicon
        lacks, or with fewer frames than its shortest path has states comes with its error.
    """
    options = SearchOptions(search=search)
    compile_words = _compiler(model, lexicon, silence or LexiconOptions())

    def graph_of(utterance: Utterance) -> Graph:
        if utterance.words is None:
            raise DataError("no transcript", where=utterance.place,
                            fix="Add its line to the text file.")  # fmt: skip
        missing = lexicon.missing(utterance.words)
        if missing:
            raise DataError(f"words that the lexicon lacks: {format_missing(missing)}",
                            where=utterance.place,
                            fix="Add them to the lexicon, or correct the transcript.")  # fmt: skip
        return compile_words(utterance.words)

    def work(item: tuple[Utterance, Features | WfstHmmError]) -> Outcome:
        utterance, features = item
        if isinstance(features, WfstHmmError):
            return Outcome(utterance, None, features)
        begun = time.perf_counter()
        try:
            result = decode(graph_of(utterance), model.score(features), options)
        except WfstHmmError as error:
            return Outcome(utterance, None, error)
        return Outcome(utterance, result, seconds=time.perf_counter() - begun)

    features = stream_features(corpus, model, resample=resample, n_threads=n_threads)
    return in_order(work, features, n_threads)


def _compiler(
    model: SpeechModel, lexicon: Lexicon, silence: LexiconOptions
) -> Callable[[Sequence[str]], Graph]:
    """Return what makes the alignment graph of a transcript."""
    if isinstance(model, AcousticModel):
        compiler, labels = TranscriptCompiler(model, lexicon, silence), model.state_labels()

        def plain(words: Sequence[str]) -> Graph:
            fst = compiler(words).fst
            table = fst.osymbols or Symbols(dict.fromkeys(words))
            return Graph(fst, labels, table, model.phones, model.silence_phones, lexicon,
                         model.hash, model.frame_shift)  # fmt: skip

        return plain
    options = GraphOptions(silence.silence_probability, silence.silence_phone,
                           initial_silence=silence.initial_silence)  # fmt: skip

    def in_context(words: Sequence[str]) -> Graph:
        if not words:
            raise DataError("an empty transcript", fix="Leave the utterance out.")
        return build_graph(model, lexicon, phrase_list([(words, 0.0)]), options)

    return in_context


def check_forms(forms: Iterable[str]) -> tuple[str, ...]:
    """Return `forms`, each once; a `UsageError` names one that is not among `FORMS`."""
    wanted = tuple(dict.fromkeys(forms))
    unknown = [form for form in wanted if form not in FORMS]
    if unknown:
        raise UsageError("unknown form of alignments", got=unknown[0], expected=", ".join(FORMS))
    return wanted


def write_alignments(
    outcomes: Iterable[Outcome], folder: str | Path, forms: Iterable[str] = FORMS
) -> list[Path]:
    """Write the alignments into `folder`.

    ``ctm``: ``words.ctm`` and ``phones.ctm``; ``textgrid``: ``textgrid/<id>.TextGrid`` with the
    tiers *words* and *phones*; ``json``: ``alignments.json``. Times are those of the recording,
    also where the utterance is a stretch of it.

    Returns
    -------
    list of Path
        The files that were written.
    """
    wanted = check_forms(forms)
    folder = Path(folder)
    done = [outcome for outcome in outcomes if outcome.decoded is not None]
    written = []
    if "ctm" in wanted:
        for tier in ("words", "phones"):
            path = folder / f"{tier}.ctm"
            write_ctm(path, {o.utterance.id: _shifted(o, tier) for o in done})
            written.append(path)
    if "textgrid" in wanted:
        names = _file_names([outcome.utterance.id for outcome in done])
        for outcome, name in zip(done, names, strict=True):
            path = folder / "textgrid" / f"{name}.TextGrid"
            path.parent.mkdir(parents=True, exist_ok=True)
            tiers = {tier: _shifted(outcome, tier) for tier in ("words", "phones")}
            write_textgrid(path, tiers, duration=_end_of(outcome))
            written.append(path)
    if "json" in wanted:
        path = folder / "alignments.json"
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, [outcome.to_dict() for outcome in done])
        written.append(path)
    return written


def _end_of(outcome: Outcome) -> float:
    decoded = outcome.decoded
    length = decoded.n_frames * decoded.frame_shift if decoded else 0.0
    return (outcome.utterance.start or 0.0) + length


def _shifted(outcome: Outcome, tier: str) -> list[Word]:
    """Return words or phones with times from the beginning of the recording."""
    decoded = outcome.decoded
    start = outcome.utterance.start or 0.0
    if decoded is None:
        return []
    spans = decoded.words if tier == "words" else decoded.phones
    return [Word(span.text, start + span.start, start + span.end) for span in spans]


def _file_names(ids: list[str]) -> list[str]:
    """Return a distinct, harmless file name for every id."""
    taken: set[str] = set()
    made = []
    for id_ in ids:
        plain = re.sub(r"[^\w.\-]", "_", id_).lstrip(".")[:200] or "utterance"
        name, number = plain, 2
        while name.lower() in taken:  # some file systems do not tell A from a
            name, number = f"{plain}-{number}", number + 1
        taken.add(name.lower())
        made.append(name)
    return made
