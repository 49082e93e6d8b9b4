"""From a path through a graph to the answer that it stands for.

In: the graph, the scores, arcs or state labels. Out: `Decoded`.

Public names: `decoded_from_arcs`, `decoded_from_labels`, `decoded_from_path`, `decoded_of`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.symbols import EPSILON
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.tags import tags_of
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.align import phone_segments, word_segments
from wfst_hmm.search.backpointers import GraphPath
from wfst_hmm.search.begin import AnySearch
from wfst_hmm.search.dense import DenseSearch
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.result import Decoded, Word
from wfst_hmm.search.unit_states import unit_states
from wfst_hmm.signal.features import frame_times

__all__ = [
    "acoustic_cost_of",
    "decoded_from_arcs",
    "decoded_from_labels",
    "decoded_from_path",
    "decoded_of",
]


def decoded_of(
    search: AnySearch,
    graph: AnyGraph,
    scores: Scores,
    acoustic_scale: float,
    *,
    words: WordCosts | None = None,
    final: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded | None:
    """Return the best answer of a search that has taken all `scores`, None when it has none.

    With ``final=False``, of all paths, not only of those that end in a final state. `words` are
    the costs that were added while searching.
    """
    path = search.path(final=final)
    if path.cost == np.inf:
        return None
    name = "exact" if isinstance(search, DenseSearch) else "beam"
    return decoded_from_path(
        graph, scores, path, acoustic_scale, name, words=words, final=final, notes=notes
    )


def decoded_from_path(
    graph: AnyGraph,
    scores: Scores,
    path: GraphPath,
    acoustic_scale: float,
    search: str = "beam",
    *,
    words: WordCosts | None = None,
    final: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Return the answer that a path through a graph of either kind stands for.

    Parameters
    ----------
    path : GraphPath
        From the start state on; its cost does not matter.
    acoustic_scale : float
    search : str
        Name of the search.
    words : WordCosts, optional
        Costs of words that were added while searching.
    final : bool
        Whether it ends in a final state; its cost is then added.
    """
    rows = graph.fst.arcs[path.arcs]
    costs = float(rows["weight"].sum(dtype=np.float64))
    if isinstance(graph, CompactGraph):
        facts = facts_of(graph)
        labels, acoustic, transitions = unit_states(
            facts.table, facts.label, facts.enter_label, rows["ilabel"] - 1, path.ends, 0,
            scores.array, acoustic_scale, path.complete,
        )  # fmt: skip
        costs += transitions
    else:
        labels = np.ascontiguousarray(rows["ilabel"][rows["ilabel"] > 0])
        acoustic = acoustic_cost_of(graph, scores, labels, acoustic_scale)
    begins = np.concatenate([np.zeros(1, dtype=np.int32), path.ends[:-1]])[: len(rows)]
    speaks = rows["olabel"] > 0
    said = rows["olabel"][speaks]
    if final:
        last = int(rows["nextstate"][-1]) if len(rows) else graph.fst.start
        costs += float(graph.fst.states["final"][last])
    if words is not None:
        costs += words.cost(said.tolist(), complete=final)
    return decoded_from_labels(
        graph, scores, labels, said, begins[speaks], path.arcs, acoustic, costs, search,
        complete=final, notes=notes,
    )  # fmt: skip


def decoded_from_arcs(
    graph: Graph,
    scores: Scores,
    arcs: npt.NDArray[np.int32],
    acoustic_scale: float,
    search: str,
    *,
    complete: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Return the answer that arcs stand for, from the start state on, HMMs written out.

    Parameters
    ----------
    arcs : ndarray of int32
        Arcs of ``graph.fst``.
    complete : bool
        Whether the path ends in a final state; its cost is then added.
    """
    ends = np.cumsum(graph.fst.arcs["ilabel"][arcs] > 0).astype(np.int32)
    path = GraphPath(0.0, arcs, ends, True)
    return decoded_from_path(
        graph, scores, path, acoustic_scale, search, final=complete, notes=notes
    )


def acoustic_cost_of(
    graph: Graph, scores: Scores, labels: npt.NDArray[np.int32], scale: float
) -> float:
    """Return the scaled negative log-likelihood of a state label for each frame."""
    columns = graph.labels.column[labels - 1]
    picked = scores.array[np.arange(len(labels)), columns]
    return -scale * float(picked.sum(dtype=np.float64))


def decoded_from_labels(
    graph: AnyGraph,
    scores: Scores,
    labels: npt.NDArray[np.int32],
    words: npt.NDArray[np.int32],
    word_frames: npt.NDArray[Any],
    arcs: npt.NDArray[np.int32],
    acoustic_cost: float,
    graph_cost: float,
    search: str,
    *,
    complete: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Return the answer that state labels and words stand for.

    Parameters
    ----------
    labels : ndarray of int32, shape (T,)
        State label of each frame.
    words : ndarray of int32, shape (n,)
        Output labels of the graph.
    word_frames : ndarray of int, shape (n,)
        Number of frames before the arc that carries each word.
    arcs : ndarray of int32
        Arcs of the graph, where they are known.
    acoustic_cost, graph_cost : float
        Nats.
    """
    shift, seconds = scores.frame_shift, scores.seconds
    offset = graph.frame_offset if scores.frame_offset is None else scores.frame_offset
    times = frame_times(len(labels), shift, offset, seconds)
    phones, borders = phone_segments(labels, graph.labels, graph.phones, times)
    texts = [graph.words[int(word)] for word in words]
    segments: tuple[Word, ...]
    segments, exact = word_segments(
        texts, [int(frame) for frame in word_frames], phones, borders,
        lambda word: [entry.phones for entry in graph.lexicon.prons(word)],
        graph.silence_phones, times, [entry.phones for entry in graph.lexicon.prons(EPSILON)],
    )  # fmt: skip
    if not exact and texts and complete:
        notes = (*notes, "the lexicon does not explain the phones: word times are rough")
    for array in (labels, arcs):
        array.flags.writeable = False
    meaning = graph.info.get("tags") if complete else None
    return Decoded(
        segments, phones, acoustic_cost, graph_cost, labels, arcs, shift, search, complete, notes,
        frame_offset=offset, seconds=seconds,
        tags=tags_of(meaning, texts) if meaning else (),
    )  # fmt: skip
