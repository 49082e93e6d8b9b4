"""Graphs and scores to measure searches on.

In: a name. Out: `Bed`: a decoding graph and scores: drawn around a path through it, or of speech.

Public names: `Bed`, `digit_bed`, `words_bed`, `vocabulary_bed`, `words_graph`,
`sampled_bed`, `sampled_scores`, `speech_scores`, `BEDS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.bench.graph_build import Phones, material, model_folder
from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.compiler import build_compact
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.scores import Scores

__all__ = [
    "BEDS", "Bed", "digit_bed", "sampled_bed", "sampled_scores", "speech_scores",
    "vocabulary_bed", "words_bed", "words_graph",
]  # fmt: skip

_DIGITS = {
    "zero": "Z IH R OW", "one": "W AH N", "two": "T UW", "three": "TH R IY", "four": "F AO R",
    "five": "F AY V", "six": "S IH K S", "seven": "S EH V AH N", "eight": "EY T",
    "nine": "N AY N",
}  # fmt: skip
_DIMS = 13


@dataclasses.dataclass(frozen=True, eq=False)
class Bed:
    """One test bed.

    Attributes
    ----------
    name : str
    graph : Graph or None
        None where it would be too large.
    compact : CompactGraph
        The same graph, H not expanded.
    scores : Scores
        A column per score column of the graph.
    acoustic_scale : float
    """

    name: str
    graph: Graph | None
    compact: CompactGraph
    scores: Scores
    acoustic_scale: float = 1.0

    @property
    def searched(self) -> AnyGraph:
        """The graph with its HMMs expanded, where there is one."""
        return self.compact if self.graph is None else self.graph

    @property
    def is_small(self) -> bool:
        """Whether this is the bed where overheads count."""
        return self.compact.fst.n_arcs < 1000


def digit_bed(
    folder: Path | None = None,
    audio: Path | None = None,
    *,
    n_frames: int = 20_000,
    seed: int = 1,
) -> Bed:
    """Return (a): a loop of ten digits with optional silence."""
    lexicon = Lexicon([Entry(word, tuple(phones.split())) for word, phones in _DIGITS.items()])
    model = Phones((*lexicon.phones, "SIL"))
    compact = build_compact(model, lexicon, grammar_from_spec("loop", lexicon))
    graph = compact.expanded()
    return Bed("digit loop", graph, compact, sampled_scores(graph, n_frames, 0.6, seed))


def words_bed(
    folder: Path | None = None,
    audio: Path | None = None,
    *,
    n_frames: int = 1000,
    seed: int = 1,
) -> Bed:
    """Return (b): 20,000 words with the 2-grams of the pocketsphinx package's language model.

    The graph takes a quarter of a minute to build; with a `folder` it is kept there and found
    again. With `audio`, a folder of recordings, the scores are those of the package's phone
    models for the first of them.
    """
    compact = _kept(folder, "words-20k-compact", lambda: words_graph(20_000))
    graph = compact.expanded()
    if audio is None:
        return Bed("20k words", graph, compact, sampled_scores(graph, n_frames, 0.4, seed))
    return Bed("20k words, speech", graph, compact, speech_scores(audio, graph.phones), 0.1)


def words_graph(n_words: int) -> CompactGraph:
    """Return the graph of so many words with the 2-grams of the pocketsphinx package."""
    lexicon, grammar, phones = material(n_words, 2)
    return build_compact(phones, lexicon, grammar)


def sampled_bed(
    name: str, compact: CompactGraph, n_frames: int, *, spread: float = 0.4, seed: int = 1
) -> Bed:
    """Return a graph with scores drawn around a path through it."""
    graph = compact.expanded()
    return Bed(name, graph, compact, sampled_scores(graph, n_frames, spread, seed))


def vocabulary_bed(folder: Path | None = None, audio: Path | None = None) -> Bed:
    """Return (c): the whole vocabulary and 3-grams, cross-word triphones, H not expanded."""
    from wfst_hmm.formats.sphinx.model import read_sphinx_model

    if audio is None:
        raise UsageError("this test bed is for speech", where="vocabulary",
                         fix="Name a folder of recordings with --audio.")  # fmt: skip

    def build() -> CompactGraph:
        lexicon, grammar, _ = material(100_000, 3)
        model = read_sphinx_model(model_folder() / "en-us").context_model()
        return build_compact(model, lexicon, grammar)

    compact = _kept(folder, "vocabulary", build)
    return Bed("72.5k words, speech", None, compact, speech_scores(audio), 0.1)


def _kept(folder: Path | None, name: str, build: Callable[[], CompactGraph]) -> CompactGraph:
    """Return the graph of that name from `folder`, where it is put after it was built."""
    place = folder / name if folder else None
    if place is not None and (place / "graph").is_dir():
        return CompactGraph.load(place)
    made = build()
    if place is not None:
        made.save(place)
    return made


def speech_scores(audio: Path, phones: Sequence[str] | None = None) -> Scores:
    """Return the scores of the first recording under `audio` by the pocketsphinx package's model.

    With `phones`, a column for each of their three states, without context; otherwise all.
    """
    from wfst_hmm.apps.recognize import corpus_of_files, stream_features
    from wfst_hmm.formats.sphinx.model import read_sphinx_model

    files = sorted(path for path in audio.rglob("*") if path.suffix in (".flac", ".wav"))
    if not files:
        raise DataError("no recordings (.flac, .wav)", where=str(audio))
    model = read_sphinx_model(model_folder() / "en-us").context_model()
    _, features = next(iter(stream_features(corpus_of_files(files[:1]), model, n_threads=1)))
    if isinstance(features, WfstHmmError):
        raise features
    scores = model.score(features)
    if phones is None:
        return scores
    # the model's first columns are those of its phones without context
    first = np.array([3 * model.phones.index(phone) for phone in phones])
    columns = (first[:, None] + np.arange(3)).ravel()
    return Scores(scores.array[:, columns], scores.frame_shift)


#: Test beds by name: (folder for what takes long to build, folder of recordings) -> Bed.
BEDS: dict[str, Callable[[Path | None, Path | None], Bed]] = {
    "digits": digit_bed, "words": words_bed, "vocabulary": vocabulary_bed,
}  # fmt: skip


def sampled_scores(graph: Graph, n_frames: int, spread: float, seed: int) -> Scores:
    """Draw a path by the graph's own probabilities, and Gaussian observations along it.

    Every column is a unit Gaussian around a mean of its own; `spread` is the standard
    deviation of the means per dimension: the smaller, the harder for a beam.
    """
    rng = np.random.default_rng(seed)
    columns = graph.labels.column[_sampled_path(graph.fst, n_frames, rng) - 1]
    means = spread * rng.normal(size=(graph.n_columns, _DIMS))
    seen = means[columns] + rng.normal(size=(len(columns), _DIMS))
    distance = ((seen**2).sum(axis=1)[:, None] + (means**2).sum(axis=1)) - 2 * seen @ means.T
    return Scores((-0.5 * distance).astype(np.float32), graph.frame_shift)


def _sampled_path(fst: Fst, n_frames: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Walk at random until `n_frames` are emitted and a final state is reached."""
    state = fst.start
    labels: list[int] = []
    while len(labels) < n_frames or fst.states["final"][state] == np.inf:
        arcs = fst.arcs_of(state)
        share = np.exp(-arcs["weight"].astype(np.float64))
        arc = arcs[rng.choice(len(arcs), p=share / share.sum())]
        if arc["ilabel"]:
            labels.append(int(arc["ilabel"]))
        state = int(arc["nextstate"])
    return np.array(labels, dtype=np.int32)
