"""Viterbi alignment of utterances with their alignment graphs.

In: scores of the frames under the states of one graph. Out: for each frame the arc of the graph
that it passes, for each utterance the cost of its best path.

Public names: `align_utterances`, `NO_ARC`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.training.alignment_graphs import GraphArrays

__all__ = ["NO_ARC", "align_utterances"]

#: Stands in a path where the utterance could not be aligned.
NO_ARC = -1


def align_utterances(
    graph: GraphArrays,
    scores: npt.NDArray[np.float32],
    borders: npt.NDArray[np.int64],
    *,
    beam: float = np.inf,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Align utterances that share one graph.

    Parameters
    ----------
    graph : GraphArrays
    scores : ndarray of float32, shape (F, C)
        Log-likelihoods of the frames of all utterances, one after another, in the order of
        ``graph.columns``.
    borders : ndarray of int64, shape (U + 1,)
        Utterance u has frames ``borders[u]`` to ``borders[u + 1]``.
    beam : float
        Paths costlier than the best by more are dropped; where that loses every path, the
        utterance is aligned again without.

    Returns
    -------
    path : ndarray of int32, shape (F,)
        Arc that each frame passes; `NO_ARC` in utterances that have no path.
    costs : ndarray of float64, shape (U,)
        Cost of the best path in nats, +inf where there is none.

    Notes
    -----
    Viterbi (1967), frame-synchronous; only nodes that can be reached from surviving ones are
    looked at. Of equally good arcs the first wins.
    """
    path = np.full(len(scores), NO_ARC, dtype=np.int32)
    costs = np.full(len(borders) - 1, np.inf)
    _align(
        graph.start, graph.source, graph.node, graph.cost, graph.final, graph.lowest,
        graph.highest, graph.column, scores, borders, beam, path, costs,
    )  # fmt: skip
    return path, costs


@numba.njit(cache=True, nogil=True)
def _align(  # type: ignore[no-untyped-def]
    start, source, node, cost, final, lowest, highest, column, scores, borders, beam, path, costs
) -> None:
    longest = 0
    for u in range(len(costs)):
        longest = max(longest, borders[u + 1] - borders[u])
    into = np.empty((longest, len(final)), dtype=np.int32)
    for u in range(len(costs)):
        first, last = borders[u], borders[u + 1]
        if last <= first:
            continue
        total = _search(start, source, cost, final, lowest, highest, column,
                        scores[first:last], beam, into, source, node, path[first:last])  # fmt: skip
        if total == np.inf and beam < np.inf:
            total = _search(start, source, cost, final, lowest, highest, column,
                            scores[first:last], np.inf, into, source, node,
                            path[first:last])  # fmt: skip
        costs[u] = total


@numba.njit(cache=True, nogil=True)
def _search(  # type: ignore[no-untyped-def]
    start, source, cost, final, lowest, highest, column, scores, beam, into, from_node, to_node,
    path,
):  # fmt: skip
    """Write the best path of one utterance; return its cost, +inf when there is none."""
    n_nodes, n_frames = len(final), len(scores)
    now = np.full(n_nodes, np.inf)
    before = np.full(n_nodes, np.inf)
    low, high = 0, n_nodes - 1  # window of the nodes alive in the frame before
    stale_low, stale_high = 0, -1  # window of the costs that `now` still holds
    for t in range(n_frames):
        for n in range(stale_low, stale_high + 1):
            now[n] = np.inf
        if t == 0:
            next_low, next_high = 0, n_nodes - 1
        else:
            next_low, next_high = lowest[low], highest[high]
        best = np.inf
        for n in range(next_low, next_high + 1):
            cheapest, by = np.inf, -1
            for arc in range(start[n], start[n + 1]):
                s = source[arc]
                if t == 0:
                    so_far = 0.0 if s < 0 else np.inf
                else:
                    so_far = before[s] if s >= 0 else np.inf
                if so_far + cost[arc] < cheapest:
                    cheapest = so_far + cost[arc]
                    by = arc
            cheapest -= scores[t, column[n]]
            now[n] = cheapest
            into[t, n] = by
            best = min(best, cheapest)
        if best == np.inf:
            return np.inf
        limit = best + beam
        stale_low, stale_high = low, high
        low, high = n_nodes, -1
        for n in range(next_low, next_high + 1):
            if now[n] > limit:
                now[n] = np.inf
            elif now[n] < np.inf:
                low = min(low, n)
                high = n
        now, before = before, now
        if t == 0:
            stale_low, stale_high = 0, -1
    total, at = np.inf, -1
    for n in range(low, high + 1):
        if before[n] + final[n] < total:
            total = before[n] + final[n]
            at = n
    if at < 0:
        return np.inf
    for t in range(n_frames - 1, -1, -1):
        path[t] = into[t, at]
        at = from_node[into[t, at]]
    return total
