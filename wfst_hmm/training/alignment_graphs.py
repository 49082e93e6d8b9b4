"""The alignment graphs of a whole corpus, laid out for the aligner.

In: the word sequences of the transcripts. Out: `AlignmentGraphs`: one graph for each distinct
sequence, its nodes being HMM states (which is where frames are scored), its arcs sorted by the
node they lead to; all costs of all graphs are renewed at once when transition probabilities
change.

Public names: `AlignmentGraphs`, `GraphArrays`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.graph.transcript import TranscriptCompiler, TranscriptGraph

__all__ = ["AlignmentGraphs", "GraphArrays"]


@dataclasses.dataclass(frozen=True, eq=False)
class GraphArrays:
    """One graph: N nodes, A arcs; the arcs into node n are rows ``start[n]`` to ``start[n+1]``.

    Attributes
    ----------
    start : int32, shape (N + 1,)
    source : int32, shape (A,)
        Node that the arc leaves, -1 for the beginning of the utterance.
    node : int32, shape (A,)
        Node that the arc leads to.
    cost : float64, shape (A,)
    final : float64, shape (N,)
        Cost of ending in each node, +inf where that is not allowed.
    lowest, highest : int32, shape (N,)
        First node that an arc from this or any later node leads to, and last node that an arc
        from this or any earlier node leads to: the window of the next frame.
    columns : int32, shape (C,)
        The distinct score columns of the nodes.
    column : int32, shape (N,)
        Index into `columns` for each node.
    moves, final_move : int32, shapes (A, 2) and (N,)
        HMM moves behind arcs and ends, as in `TranscriptGraph`.
    n_min_frames : int
    """

    start: npt.NDArray[np.int32]
    source: npt.NDArray[np.int32]
    node: npt.NDArray[np.int32]
    cost: npt.NDArray[np.float64]
    final: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.int32]
    highest: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    moves: npt.NDArray[np.int32]
    final_move: npt.NDArray[np.int32]
    n_min_frames: int


class AlignmentGraphs:
    """Graphs by number; equal word sequences share one.

    Parameters
    ----------
    compiler : TranscriptCompiler
        Errors of its calls (unknown words) pass through.
    """

    def __init__(self, compiler: TranscriptCompiler) -> None:
        self._compiler = compiler
        self._number: dict[tuple[str, ...], int] = {}
        self._graphs: list[GraphArrays] = []
        self._fixed: list[npt.NDArray[np.float64]] = []
        self._final_fixed: list[npt.NDArray[np.float64]] = []
        self._contexts: list[npt.NDArray[np.int32]] = []

    def __len__(self) -> int:
        return len(self._graphs)

    def __getitem__(self, number: int) -> GraphArrays:
        return self._graphs[number]

    def add(self, words: Sequence[str], *, where: str | None = None) -> int:
        """Return the number of the graph of `words`, made when it is new."""
        key = tuple(words)
        if key not in self._number:
            transcript = self._compiler(key, where=where)
            arrays, fixed, final_fixed = _by_node(transcript, self._compiler.labels.column)
            self._number[key] = len(self._graphs)
            self._graphs.append(arrays)
            self._fixed.append(fixed)
            self._final_fixed.append(final_fixed)
            if transcript.context is not None:
                self._contexts.append(transcript.context[1:])
        return self._number[key]

    def context(self, number: int) -> npt.NDArray[np.int32]:
        """Return the context of each node of a graph, as in `TranscriptGraph.context`."""
        return self._contexts[number]

    def relabel(self, columns_of: Callable[[npt.NDArray[np.int32]], npt.NDArray[np.int32]]) -> None:
        """Give the nodes of all graphs other score columns, by their contexts.

        Nodes and arcs stay what they are: a path of the old graphs is one of the new.

        Parameters
        ----------
        columns_of : callable
            Columns (n,) of contexts (n, 5), such as `graph.transcript_context.columns_of_context`
            with another map.
        """
        every = columns_of(np.concatenate(self._contexts))
        bounds = np.cumsum([0, *map(len, self._contexts)])
        for number, (a, b) in enumerate(itertools.pairwise(bounds)):
            columns, local = np.unique(every[a:b], return_inverse=True)
            self._graphs[number] = dataclasses.replace(
                self._graphs[number], columns=columns.astype(np.int32),
                column=local.ravel().astype(np.int32),
            )  # fmt: skip

    def reweight(self, move_costs: npt.NDArray[np.float64]) -> None:
        """Take new transition costs into all graphs (see `Units.move_costs`)."""
        if not self._graphs:
            return
        moves = np.concatenate([graph.moves for graph in self._graphs])
        costs = np.concatenate(self._fixed) + move_costs[moves].sum(axis=1)
        ends = np.concatenate(self._final_fixed)
        ends = ends + move_costs[np.concatenate([graph.final_move for graph in self._graphs])]
        arc = node = 0
        for number, graph in enumerate(self._graphs):
            next_arc, next_node = arc + len(graph.source), node + len(graph.final)
            self._graphs[number] = dataclasses.replace(
                graph, cost=costs[arc:next_arc], final=ends[node:next_node]
            )
            arc, node = next_arc, next_node


def _by_node(
    transcript: TranscriptGraph, column_of_label: npt.NDArray[np.int32]
) -> tuple[GraphArrays, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Sort the arcs of a transcript's graph by target; state 0, the start, becomes node -1."""
    arcs = transcript.fst.arcs
    order = np.argsort(arcs["nextstate"], kind="stable")
    node = arcs["nextstate"][order].astype(np.int32) - 1
    source = transcript.fst.sources()[order] - 1
    n_nodes = transcript.fst.n_states - 1
    start = np.searchsorted(node, np.arange(n_nodes + 1)).astype(np.int32)
    columns_in = column_of_label[arcs["ilabel"][order] - 1]
    if node.min(initial=0) < 0 or (np.diff(start) == 0).any():
        raise GraphError("a state of an alignment graph cannot be reached")
    column = columns_in[start[:-1]]
    if (columns_in != column[node]).any():
        raise GraphError("a state of an alignment graph is entered with unlike score columns")
    columns, local = np.unique(column, return_inverse=True)
    inner = source >= 0
    lowest = np.arange(n_nodes)
    np.minimum.at(lowest, source[inner], node[inner])
    highest = np.arange(n_nodes)
    np.maximum.at(highest, source[inner], node[inner])
    arrays = GraphArrays(
        start, source, node, arcs["weight"][order].astype(np.float64),
        transcript.fst.states["final"][1:].astype(np.float64),
        np.minimum.accumulate(lowest[::-1])[::-1].astype(np.int32),
        np.maximum.accumulate(highest).astype(np.int32),
        columns.astype(np.int32), local.astype(np.int32),
        transcript.moves[order], transcript.final_move[1:], transcript.n_min_frames,
    )  # fmt: skip
    return arrays, transcript.fixed[order], transcript.final_fixed[1:]
