"""Exact search: the Viterbi algorithm over every state of the graph, nothing pruned.

In: graph arrays and T x S scores. Out: the cheapest path, its cost in float64.

Public names: `viterbi_path`.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.prepare import check_scores, plan_of

__all__ = ["viterbi_path"]

#: Bytes of backpointers held at once; longer searches are cut into blocks and done twice.
_MAX_BYTES = 1 << 30


def viterbi_path(
    fst: Fst,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    *,
    acoustic_scale: float = 1.0,
    max_bytes: int = _MAX_BYTES,
) -> tuple[float, npt.NDArray[np.int32]]:
    """Return the cost and the arcs of the cheapest path that emits every frame.

    Parameters
    ----------
    fst : Fst
        Input labels are state labels, 0 emits nothing.
    scores : ndarray of float32, shape (T, S)
        Log-likelihoods, C-contiguous; -inf forbids, NaN is not looked for.
    columns : ndarray of int32, shape (n_labels,)
        Column of input label ``i`` at ``i - 1`` (``StateLabels.column``).
    acoustic_scale : float
        Factor on the log-likelihoods.
    max_bytes : int
        Backpointers held at once. Beyond, costs are kept at block borders only and each block
        is searched again on the way back: twice the time, the memory of one block.

    Returns
    -------
    cost : float
        Nats; arc costs, scaled negative log-likelihoods and the final cost. +inf: no path.
    arcs : ndarray of int32, shape (n,)
        Indices into ``fst.arcs`` along the path, epsilons included; empty when there is no
        path.

    Raises
    ------
    DataError
        The scores lack a column for one of the graph's labels.
    GraphError
        The graph has an epsilon cycle of negative cost.

    Notes
    -----
    Viterbi (1967); Rabiner (1989), equations 32-35. Costs add up in float64.
    """
    plan = plan_of(fst)
    check_scores(plan, scores, columns)
    n_frames = scores.shape[0]
    row_bytes = 8 * fst.n_states
    if (n_frames + 1) * row_bytes <= max_bytes:
        n_rows = n_frames
    else:  # T / n blocks of n rows: the borders and one block take least at n = sqrt(T)
        n_rows = max(1, math.isqrt(n_frames))
    cost, arcs = _viterbi(
        fst.states, fst.arcs, fst.start, scores, columns, plan.order, plan.cyclic, plan.slack,
        acoustic_scale, n_rows,
    )  # fmt: skip
    return cost, arcs


@numba.njit(cache=True, nogil=True)
def _follow_epsilons(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    order: npt.NDArray[np.int32],
    cyclic: bool,
    slack: float,
    cost: npt.NDArray[np.float64],
    into: npt.NDArray[np.int32],
    source: npt.NDArray[np.int32],
) -> None:
    """Relax the epsilon arcs of one frame, in place, until nothing gets cheaper."""
    changed = True
    while changed:
        changed = False
        for state in order:
            so_far = cost[state]
            if so_far == np.inf:
                continue
            first = states[state].pos
            for arc in range(first, first + states[state].n_input_eps):
                following = arcs[arc].nextstate
                new = so_far + arcs[arc].weight
                if new < cost[following] - slack:
                    cost[following] = new
                    into[following] = arc
                    source[following] = state
                    changed = cyclic


@numba.njit(cache=True, nogil=True)
def _emit(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    row: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    scale: float,
    cost: npt.NDArray[np.float64],
    new_cost: npt.NDArray[np.float64],
    into: npt.NDArray[np.int32],
    source: npt.NDArray[np.int32],
) -> None:
    """Move every state over its emitting arcs into the next frame."""
    for state in range(len(states)):
        so_far = cost[state]
        if so_far == np.inf:
            continue
        first = states[state].pos
        for arc in range(first + states[state].n_input_eps, first + states[state].n_arcs):
            following = arcs[arc].nextstate
            new = so_far + arcs[arc].weight - scale * row[columns[arcs[arc].ilabel - 1]]
            if new < new_cost[following]:
                new_cost[following] = new
                into[following] = arc
                source[following] = state


@numba.njit(cache=True, nogil=True)
def _viterbi(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    start: int,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    cyclic: bool,
    slack: float,
    scale: float,
    n_rows: int,
) -> tuple[float, npt.NDArray[np.int32]]:
    n_states = len(states)
    n_frames = len(scores)
    n_blocks = max(1, -(-n_frames // max(n_rows, 1)))
    borders = np.empty((n_blocks, n_states))  # costs before the first frame of each block
    into = np.empty((n_rows + 1, n_states), dtype=np.int32)
    source = np.empty((n_rows + 1, n_states), dtype=np.int32)
    into[0] = -1
    cost = np.full(n_states, np.inf)
    cost[start] = 0.0
    _follow_epsilons(states, arcs, order, cyclic, slack, cost, into[0], source[0])
    new_cost = np.empty(n_states)
    for frame in range(n_frames):
        if frame % n_rows == 0:
            borders[frame // n_rows] = cost
        at = frame % n_rows + 1
        new_cost[:] = np.inf
        into[at] = -1
        _emit(states, arcs, scores[frame], columns, scale, cost, new_cost, into[at], source[at])
        _follow_epsilons(states, arcs, order, cyclic, slack, new_cost, into[at], source[at])
        cost, new_cost = new_cost, cost
    best = np.inf
    state = -1
    for candidate in range(n_states):
        total = cost[candidate] + states[candidate].final
        if total < best:
            best = total
            state = candidate
    path = np.empty(2 * n_frames + 16, dtype=np.int32)
    n_path = 0
    if state < 0:
        return np.inf, path[:0]
    for block in range(n_blocks - 1, -1, -1):
        first = block * n_rows
        last = min(first + n_rows, n_frames)
        if block < n_blocks - 1:  # the last block's backpointers are still there
            cost[:] = borders[block]
            for frame in range(first, last):
                at = frame - first + 1
                new_cost[:] = np.inf
                into[at] = -1
                _emit(states, arcs, scores[frame], columns, scale, cost, new_cost, into[at],
                      source[at])  # fmt: skip
                _follow_epsilons(states, arcs, order, cyclic, slack, new_cost, into[at],
                                 source[at])  # fmt: skip
                cost, new_cost = new_cost, cost
        at = last - first
        while at > 0:
            arc = into[at, state]
            state = source[at, state]
            if n_path == len(path):
                path = np.concatenate((path, np.empty(n_path, dtype=np.int32)))
            path[n_path] = arc
            n_path += 1
            at -= arcs[arc].ilabel != 0
    # Epsilons before the first frame: their backpointers are made anew, row 0 may be overwritten.
    cost[:] = np.inf
    cost[start] = 0.0
    into[0] = -1
    _follow_epsilons(states, arcs, order, cyclic, slack, cost, into[0], source[0])
    while into[0, state] >= 0:
        if n_path == len(path):
            path = np.concatenate((path, np.empty(n_path, dtype=np.int32)))
        path[n_path] = into[0, state]
        n_path += 1
        state = source[0, state]
    return best, path[:n_path][::-1].copy()
