"""Graphs and scores to measure searches on.

In: a name. Out: `Bed`: a decoding graph and scores drawn around a path through it.

Public names: `Bed`, `Phones`, `digit_bed`, `sampled_bed`, `words_bed`, `words_graph`, `BEDS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.bench.material import need
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = [
    "BEDS",
    "Bed",
    "Phones",
    "digit_bed",
    "sampled_bed",
    "sampled_scores",
    "words_bed",
    "words_graph",
]

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
    graph : Graph
    scores : Scores
        A column per score column of the graph.
    """

    name: str
    graph: Graph
    scores: Scores


@dataclasses.dataclass(frozen=True, eq=False)
class Phones:
    """A model without densities: three-state phones, every state with a column of its own."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...] = ("SIL",)
    hash: str = ""
    frame_shift: float = 0.01

    @property
    def topologies(self) -> Sequence[Topology]:
        """Chains of three states."""
        return [Topology.left_to_right(3)] * len(self.phones)

    def state_labels(self) -> StateLabels:
        """Number the states."""
        columns = [np.arange(3 * i, 3 * i + 3, dtype=np.int32) for i in range(len(self.phones))]
        return StateLabels.build(self.phones, self.topologies, columns)


def digit_bed(folder: Path | None = None, *, n_frames: int = 20_000, seed: int = 1) -> Bed:
    """Return (a): a loop of ten digits with optional silence."""
    lexicon = Lexicon([Entry(word, tuple(phones.split())) for word, phones in _DIGITS.items()])
    model = Phones((*lexicon.phones, "SIL"))
    graph = build_graph(model, lexicon, grammar_from_spec("loop", lexicon))
    return Bed("digit loop", graph, sampled_scores(graph, n_frames, 0.6, seed))


def words_bed(folder: Path | None = None, *, n_frames: int = 1000, seed: int = 1) -> Bed:
    """Return (b): 20,000 words with the 2-grams of the pocketsphinx package's language model.

    The graph takes a minute to build; with a `folder` it is kept there and found again.
    """
    place = folder / "words-20k" if folder else None
    if place is not None and (place / "graph.json").is_file():
        graph = Graph.load(place)
    else:
        graph = words_graph(20_000)
        if place is not None:
            graph.save(place)
    return sampled_bed("20k words", graph, n_frames, seed=seed)


def words_graph(n_words: int) -> Graph:
    """Return the graph of so many words with the 2-grams of the pocketsphinx package."""
    from wfst_hmm.graph.lm_bin import read_lm_bin
    from wfst_hmm.graph.ngram_fst import ngram_to_fst

    pocketsphinx, _ = need("pocketsphinx", "pocketsphinx")
    model_folder = Path(pocketsphinx.__file__).parent / "model" / "en-us"
    lexicon = read_lexicon(model_folder / "cmudict-en-us.dict")
    model = read_lm_bin(model_folder / "en-us.lm.bin").truncated(2)
    unigrams = model.tables[0]
    by_probability = unigrams.word[np.argsort(-unigrams.log_prob, kind="stable")]
    known = (word for word in (model.words[int(i)] for i in by_probability) if word in lexicon)
    chosen = [word for word, _ in zip(known, range(n_words), strict=False)]
    grammar = Grammar(ngram_to_fst(model.restricted_to(chosen)), "en-us.lm.bin, 2-grams")
    return build_graph(Phones((*lexicon.phones, "SIL")), lexicon.restricted(chosen), grammar)


def sampled_bed(
    name: str, graph: Graph, n_frames: int, *, spread: float = 0.4, seed: int = 1
) -> Bed:
    """Return a graph with scores drawn around a path through it."""
    return Bed(name, graph, sampled_scores(graph, n_frames, spread, seed))


#: Test beds by name: (folder for what takes long to build) -> Bed.
BEDS: dict[str, Callable[[Path | None], Bed]] = {"digits": digit_bed, "words": words_bed}


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
