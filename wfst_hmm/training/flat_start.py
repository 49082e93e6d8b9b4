"""The first alignment, when nothing is known yet: frames shared out evenly along some path.

In: alignment graphs, utterances. Out: an arc for each frame, like `align_utterances` gives.

Public names: `even_path`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.training.alignment_graphs import GraphArrays

__all__ = ["even_path"]

_TRIES = 10


def even_path(graph: GraphArrays, n_frames: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Walk through the graph at random and spread the frames evenly over the nodes passed.

    Each step backwards from the end takes an arc with the probability that its cost stands for;
    self-loops make nodes last. So optional silence is there as often as it is expected.

    Parameters
    ----------
    graph : GraphArrays
    n_frames : int
        At least ``graph.n_min_frames``.
    rng : Generator

    Returns
    -------
    ndarray of int32, shape (n_frames,)
        Arc that each frame passes.

    Notes
    -----
    Kaldi's recipes begin in the same way (Povey et al. 2011, ``align-equal``).
    """
    arcs = None
    for _ in range(_TRIES):
        arcs = _walk(graph, rng, n_frames)
        if arcs is not None:
            break
    if arcs is None:
        arcs = _shortest(graph)
    loop = np.full(len(graph.final), -1, dtype=np.int32)
    loops = np.flatnonzero(graph.source == graph.node)
    loop[graph.node[loops]] = loops
    return _spread(arcs, graph.node, loop, n_frames)


def _walk(graph: GraphArrays, rng: np.random.Generator, longest: int) -> list[int] | None:
    """Return the arcs of a random path without self-loops, None when it grows too long."""
    ends = np.flatnonzero(graph.final < np.inf)
    node = int(ends[_draw(graph.final[ends], rng)])
    arcs: list[int] = []
    while node >= 0:
        if len(arcs) == longest:
            return None
        rows = np.arange(graph.start[node], graph.start[node + 1])
        rows = rows[graph.source[rows] != node]
        arcs.append(int(rows[_draw(graph.cost[rows], rng)]))
        node = int(graph.source[arcs[-1]])
    return arcs[::-1]


def _draw(costs: npt.NDArray[np.float64], rng: np.random.Generator) -> int:
    weights = np.exp(costs.min() - costs)
    return int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))


def _shortest(graph: GraphArrays) -> list[int]:
    """Return the arcs of a path of fewest frames, by breadth-first search from the start."""
    into = np.full(len(graph.final), -1)
    frontier, reached = {-1}, set()
    while True:
        following = set()
        for arc in np.flatnonzero(np.isin(graph.source, sorted(frontier))):
            node = int(graph.node[arc])
            if node not in reached and into[node] < 0:
                into[node] = arc
                following.add(node)
        reached |= following
        ends = [node for node in sorted(following) if graph.final[node] < np.inf]
        if ends:
            break
        frontier = following
    arcs, node = [], ends[0]
    while node >= 0:
        arcs.append(int(into[node]))
        node = int(graph.source[into[node]])
    return arcs[::-1]


def _spread(
    arcs: list[int], node: npt.NDArray[np.int32], loop: npt.NDArray[np.int32], n_frames: int
) -> npt.NDArray[np.int32]:
    """Stretch a path to `n_frames`, by the self-loops of those nodes that have one."""
    may_stay = loop[node[arcs]] >= 0
    extra = n_frames - len(arcs)
    stays = np.zeros(len(arcs), dtype=np.int64)
    if may_stay.any():
        shares = np.linspace(0, extra, int(may_stay.sum()) + 1).round().astype(np.int64)
        stays[may_stay] = np.diff(shares)
    path: list[int] = []
    for arc, n in zip(arcs, stays, strict=True):
        path.append(arc)
        path.extend([int(loop[node[arc]])] * int(n))
    return np.array(path, dtype=np.int32)
