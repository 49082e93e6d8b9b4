"""HMM states within the units of a path: what a search over a compact graph does not keep.

In: units, their first and last frames, scores. Out: the state label of every frame.

Between the frame in which a path enters a unit and the one in which it leaves it, the HMM's own
best path is the one that the search took: the Viterbi algorithm over a few states finds it again.

Public names: `unit_states`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.hmm_table import HmmTable

__all__ = ["unit_states"]

Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def unit_states(
    hmms: HmmTable,
    label: Ints,
    enter_label: Ints,
    unit: Ints,
    end: Ints,
    first_frame: int,
    scores: npt.NDArray[np.float32],
    scale: float,
    complete: bool,
) -> tuple[Ints, float, float]:
    """Return state labels, acoustic cost and transition cost of a path through units.

    Parameters
    ----------
    hmms : HmmTable
    label, enter_label : ndarray of int32
        As in `UnitFacts`.
    unit, end : ndarray of int32, shape (n,)
        Units in order, -1 where an arc has none; frames emitted at the end of each.
    first_frame : int
        Frames emitted before the first of them.
    scores : ndarray of float32, shape (T, S)
        From `first_frame` on.
    scale : float
        Acoustic scale.
    complete : bool
        Whether the last unit has been left.
    """
    slots = hmms.step.shape[1]
    last = first_frame
    longest = 0
    for number in range(len(unit)):
        longest = max(longest, end[number] - last)
        last = end[number]
    labels = np.empty(last - first_frame, dtype=np.int32)
    came = np.empty((longest, slots), dtype=np.int32)
    cost = np.empty(slots)
    new = np.empty(slots)
    acoustic = transitions = 0.0
    begin = first_frame
    for number in range(len(unit)):
        u = unit[number]
        stop = end[number]
        if u < 0:
            continue
        kind = hmms.topology[u]
        row = scores[begin - first_frame]
        cost[:] = np.inf
        for way in range(hmms.enter_start[u], hmms.enter_start[u + 1]):
            cost_of_way = hmms.enter_cost[way] - scale * row[hmms.enter_column[way]]
            if cost_of_way < cost[hmms.enter_state[way]]:
                cost[hmms.enter_state[way]] = cost_of_way
                came[0, hmms.enter_state[way]] = way
        for frame in range(begin + 1, stop):
            row = scores[frame - first_frame]
            for j in range(slots):
                new[j] = np.inf
                came[frame - begin, j] = 0
                for i in range(slots):
                    via = cost[i] + hmms.step[kind, i, j]
                    if via < new[j]:
                        new[j] = via
                        came[frame - begin, j] = i
                new[j] -= scale * row[hmms.column[u, j]]
            cost[:] = new
        state = 0
        best = np.inf
        left = complete or number < len(unit) - 1
        for j in range(slots):
            total = cost[j] + (hmms.leave[kind, j] if left else np.float32(0.0))
            if total < best:
                best = total
                state = j
        if left:
            transitions += hmms.leave[kind, state]
        for frame in range(stop - 1, begin, -1):
            labels[frame - first_frame] = label[u, state]
            acoustic -= scale * scores[frame - first_frame, hmms.column[u, state]]
            before = came[frame - begin, state]
            transitions += hmms.step[kind, before, state]
            state = before
        way = came[0, state]
        labels[begin - first_frame] = enter_label[way]
        acoustic -= scale * scores[begin - first_frame, hmms.enter_column[way]]
        transitions += hmms.enter_cost[way]
        begin = stop
    return labels, acoustic, transitions
