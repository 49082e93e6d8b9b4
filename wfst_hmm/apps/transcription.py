"""From nothing to text: a model that needs no training, its decoding graph built once and kept.

In: the name of a model (``en-us``, which the pocketsphinx wheel carries) or a model directory, a
lexicon, a grammar or language model. Out: `Transcriber`, ready for `apps.recognize.decode_corpus`.

Graphs are kept in the user's cache folder under a name made from the content of everything they
were built from; what is found there damaged is built again.

Public names: `EN_US`, `DecodingProfile`, `Transcriber`, `cache_folder`, `faster`, `transcriber`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.graph.compiler import GraphOptions, build_compact, build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.oov import OovOptions, grammar_vocabulary
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.kinds import known_as, read_as
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.search.options import SearchOptions

__all__ = ["EN_US", "DecodingProfile", "Transcriber", "cache_folder", "faster", "transcriber"]

#: Raised when graphs are built in another way from the same files.
_VERSION = 1
_MARK = "cache.json"
_GRAPH = "graph"


@dataclasses.dataclass(frozen=True)
class DecodingProfile:
    """How to build graphs for a model, and how to search them.

    Attributes
    ----------
    graph : GraphOptions
    word_penalty : float
        Nats for each word.
    search : SearchOptions
    confidence : Calibration
        From lattice posteriors to confidences, with the model's own grammar.
    """

    graph: GraphOptions
    word_penalty: float
    search: SearchOptions
    confidence: Calibration = Calibration()  # noqa: RUF009 (frozen)


#: Chosen on the 80 development utterances of Mini LibriSpeech (`bench.transcribe`).
EN_US = DecodingProfile(
    GraphOptions(silence_probability=0.3, transition_scale=0.3, max_states=200_000_000),
    word_penalty=0.5,
    search=SearchOptions(acoustic_scale=0.15, beam=17.0, max_active=5000),
    confidence=Calibration(0.554, -0.608, n_words=2622, n_correct=2060),
)
#: For models that nobody has tuned.
PLAIN = DecodingProfile(GraphOptions(), 0.0, SearchOptions())


def faster(options: SearchOptions) -> SearchOptions:
    """Return options with a beam that is a fifth narrower and fewer active states."""
    return options.replace(beam=0.8 * options.beam, max_active=options.max_active * 3 // 5)


@dataclasses.dataclass(frozen=True, eq=False)
class Transcriber:
    """A recognizer and how it was come by.

    Attributes
    ----------
    recognizer : Recognizer
    options : SearchOptions
        What suits the model.
    folder : Path
        Where the graph is kept.
    built : bool
        Whether it was built just now.
    seconds : float
        Time that building or loading took.
    megabytes : float
        Size of `folder`.
    calibration : Calibration
        From lattice posteriors to confidences, as far as it is known.
    """

    recognizer: Recognizer
    options: SearchOptions
    folder: Path
    built: bool
    seconds: float
    megabytes: float
    calibration: Calibration = Calibration()  # noqa: RUF009 (frozen)

    @property
    def graph_folder(self) -> Path:
        """The graph directory within `folder`, where ``wfst-hmm calibrate`` takes it from."""
        return self.folder / _GRAPH


def cache_folder() -> Path:
    """Return the user's cache folder of this package, by the XDG base directory specification."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # the specification: a relative one is to be ignored
        return Path(named) / "wfst_hmm"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "wfst_hmm"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "wfst_hmm"
    return Path.home() / ".cache" / "wfst_hmm"


def transcriber(
    model: str | Path = "en-us",
    *,
    grammar: str | Path | None = None,
    lexicon: str | Path | None = None,
    vocabulary: int | None = None,
    cache: str | Path | None = None,
    profile: DecodingProfile | None = None,
    progress: Callable[[str], None] | None = None,
    oov: OovOptions | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Transcriber:
    """Return a recognizer; its graph comes from the cache, or is built and kept there.

    Parameters
    ----------
    model : str or path
        ``en-us`` or a model directory.
    grammar : str or path, optional
        A grammar or a language model: any file or specification that `graph.grammar` reads. By
        default the 3-gram of the pocketsphinx wheel.
    lexicon : str or path, optional
        By default the dictionary of the wheel.
    vocabulary : int, optional
        Only so many of the likeliest words of a language model.
    cache : path, optional
        By default `cache_folder`.
    profile : DecodingProfile, optional
        By default `EN_US` for that model, and plain values for others.
    progress : callable, optional
        Told what is being done, stage by stage.
    oov : OovOptions, optional
        What to do about words of a grammar that the lexicon lacks; those of a language model are
        left out.
    on_note : callable, optional
        Hears what there is to tell of words when the graph is built.

    Raises
    ------
    DataError
        The wheel is not installed, or the lexicon lacks words of a grammar.
    UsageError
        A file does not exist, `vocabulary` is not positive or the grammar has no n-grams.
    """
    if vocabulary is not None and vocabulary < 1:
        raise UsageError("vocabulary must be positive", got=vocabulary)
    begun = time.perf_counter()
    work = _Work(model, grammar, lexicon, vocabulary, profile, progress or (lambda text: None),
                 oov or OovOptions(), on_note)  # fmt: skip
    folder = Path(cache if cache is not None else cache_folder()) / work.key
    recognizer = _kept(folder)
    built = recognizer is None
    if recognizer is None:
        recognizer = work.build()
        _keep(recognizer, folder, work.made_from)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    seconds = time.perf_counter() - begun
    known = work.profile.confidence if grammar is None else Calibration()
    return Transcriber(recognizer, work.profile.search, folder, built, seconds, size / 1e6, known)


def _kept(folder: Path) -> Recognizer | None:
    if not (folder / _MARK).is_file():
        return None
    try:
        return Recognizer.load(folder / _GRAPH)
    except WfstHmmError:  # damaged, or of another version: built again
        return None


def _keep(recognizer: Recognizer, folder: Path, made_from: dict[str, Any]) -> None:
    """Write the graph; the mark comes last and says that all is there."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        recognizer.save(folder / _GRAPH)
        (folder / _MARK).write_text(json.dumps(made_from, indent=1, default=str), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the graph cannot be kept there ({error.strerror})", where=str(folder),
                         fix="Name another folder with --cache.") from None  # fmt: skip


class _Work:
    """What a graph is to be built from."""

    def __init__(
        self, model: str | Path, grammar: str | Path | None, lexicon: str | Path | None,
        vocabulary: int | None, profile: DecodingProfile | None, tell: Callable[[str], None],
        oov: OovOptions, on_note: Callable[[str], None] | None,
    ) -> None:  # fmt: skip
        self.oov, self.on_note = oov, on_note
        self.named = str(model) == "en-us"
        parts = wheel.en_us() if self.named or grammar is None or lexicon is None else None
        self.model = parts.acoustic if self.named and parts is not None else Path(model)
        self.lexicon = str(lexicon) if lexicon is not None else "pocketsphinx"
        if grammar is not None:
            self.grammar = str(grammar)
        elif parts is not None:
            self.grammar = str(parts.language)
        self.vocabulary, self.tell = vocabulary, tell
        self.profile = profile or (EN_US if self.named else PLAIN)
        files = {
            "model": _digest(self.model),
            "lexicon": _digest_of_spec(self.lexicon, parts),
            "grammar": _digest(Path(self.grammar)) if Path(self.grammar).exists() else self.grammar,
        }  # fmt: skip
        self.made_from = {
            "version": _VERSION, **files, "vocabulary": vocabulary, "sphinx": self.named,
            "graph": dataclasses.asdict(self.profile.graph),
            "word_penalty": self.profile.word_penalty,
        }  # fmt: skip
        if oov.on_oov != "raise" or oov.fold_case:
            self.made_from["words"] = f"{oov.on_oov} {oov.fold_case}"
        text = json.dumps(self.made_from, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:24]

    def build(self) -> Recognizer:
        """Read everything and build the graph."""
        self.tell("reading the acoustic model")
        acoustic: SpeechModel
        if self.named:
            acoustic = read_sphinx_model(self.model).context_model()
        else:
            acoustic = load_model(self.model)
        self.tell("reading the pronunciations")
        lexicon = lexicon_from_spec(self.lexicon)
        self.tell("reading the grammar")
        grammar, lexicon, is_large = self._grammar(lexicon, acoustic)
        grammar = grammar.penalized(self.profile.word_penalty)
        make = build_compact if is_large else build_graph
        self.tell("joining grammar and pronunciations")
        graph: AnyGraph = make(
            acoustic, lexicon, grammar, self.profile.graph,
            on_stage=lambda row: self.tell(f"{row['name']}: {row['arcs']:,} arcs"),
        )  # fmt: skip
        self.tell("writing the graph")
        return Recognizer(graph, acoustic)

    def _grammar(self, lexicon: Lexicon, acoustic: SpeechModel) -> tuple[Grammar, Lexicon, bool]:
        """Return the grammar, its pronunciations, and whether it is a language model."""
        path = Path(self.grammar)
        if not (path.exists() and known_as(path, "language model")):
            if self.vocabulary is not None:
                raise UsageError("a smaller vocabulary needs a language model", got=self.grammar)
            found = grammar_from_spec(self.grammar, lexicon, on_oov=None,
                                      silence_phones=acoustic.silence_phones)  # fmt: skip
            found, words = grammar_vocabulary(found, lexicon, self.oov, phones=acoustic.phones)
            words.tell(self.on_note)
            return found, words.lexicon, False
        model: NgramModel = read_as(path, "language model")
        unigrams = model.tables[0]
        order = np.argsort(-unigrams.log_prob, kind="stable")
        by_probability = (model.words[int(i)] for i in unigrams.word[order])
        known = [word for word in by_probability if lexicon.spellings(word)]
        chosen = model.restricted_to(known[: self.vocabulary])
        return Grammar(ngram_to_fst(chosen), Path(self.grammar).name), lexicon, True


def _digest_of_spec(spec: str, parts: wheel.WheelModel | None) -> str:
    """Return a digest of every file that a lexicon specification names."""
    if Path(spec).exists():
        return _digest(Path(spec))
    named = [
        _digest(parts.dictionary) if part == "pocketsphinx" and parts is not None
        else _digest(Path(part)) if Path(part).exists() else part
        for part in spec.split("+")
    ]  # fmt: skip
    return "+".join(named)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of a directory's files."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(str(file.relative_to(path)).encode() + b"\0")
        try:
            with open(file, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise UsageError(f"cannot be read ({error.strerror})", where=str(file)) from None
    return digest.hexdigest()
