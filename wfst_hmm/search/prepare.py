"""What every search must know of a graph before its first frame, worked out once per graph.

In: `Fst`. Out: `Plan`: the order in which epsilon arcs are followed, the highest input label,
the length of the shortest path; a graph with an epsilon cycle of negative cost is refused here.

Public names: `Plan`, `plan_of`, `min_frames`, `check_scores`.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.fst.arrays import Fst

__all__ = ["Plan", "check_scores", "min_frames", "plan_of"]

#: Nats. Epsilon cycles down to minus this count as free: rounding of float32 costs, no gain.
_FREE_CYCLE = 1e-6
_NEVER = 1 << 20  # frames of an arc that no path can take


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Facts about one graph that its searches share.

    Attributes
    ----------
    n_labels : int
        Highest input label.
    order : ndarray of int32
        States with epsilon arcs, each before the states that its epsilons lead to, as far as
        cycles allow.
    slack : float
        How much better an epsilon must be to count as better: 0, or a little (nats) where
        epsilon cycles hold arcs of negative cost, so that rounding cannot run around them.
    cyclic : bool
        Whether there are epsilon cycles (one pass through `order` is then not enough).
    has_epsilon : ndarray of uint8, shape (ceil(n_states / 8),)
        A bit per state: it has epsilon arcs.
    slots : list of ndarray of int32, shape (n_states,)
        Working arrays that finished searches gave back; their content does not matter.
    """

    n_labels: int
    order: npt.NDArray[np.int32]
    slack: float
    cyclic: bool
    has_epsilon: npt.NDArray[np.uint8]
    slots: list[npt.NDArray[np.int32]] = dataclasses.field(default_factory=list)


_PLANS: weakref.WeakKeyDictionary[Fst, Plan] = weakref.WeakKeyDictionary()


def plan_of(fst: Fst, where: str | None = None) -> Plan:
    """Return the plan of `fst`, made on the first call and kept as long as the graph lives.

    Raises
    ------
    GraphError
        There are no states, or an epsilon cycle has negative cost: going round it for ever
        would make every path cheaper. The cycle is shown.
    """
    plan = _PLANS.get(fst)
    if plan is None:
        plan = _PLANS[fst] = _make_plan(fst, where)
    return plan


def _make_plan(fst: Fst, where: str | None) -> Plan:
    if not fst.n_states:
        raise GraphError("the graph has no states", where=where, fix="Its grammar may be empty.")
    n_labels = int(fst.arcs["ilabel"].max()) if fst.n_arcs else 0
    has_epsilon = np.packbits(fst.states["n_input_eps"] > 0, bitorder="little")
    if not fst.states["n_input_eps"].any():
        return Plan(n_labels, np.zeros(0, dtype=np.int32), 0.0, False, has_epsilon)
    order, n_sorted = _epsilon_order(fst.states, fst.arcs)
    cyclic = n_sorted < len(order)
    slack = 0.0
    if cyclic and bool((fst.arcs["weight"][fst.arcs["ilabel"] == 0] < 0).any()):
        cycle = _negative_cycle(fst.states, fst.arcs, order, _FREE_CYCLE)
        if len(cycle):
            raise GraphError(
                "an epsilon cycle has negative cost", where=where, got=_show_cycle(fst, cycle),
                fix="No path would be the cheapest: make the cost of the cycle zero or more.",
            )  # fmt: skip
        slack = 2 * _FREE_CYCLE
    return Plan(n_labels, order, slack, cyclic, has_epsilon)


def _show_cycle(fst: Fst, cycle: npt.NDArray[np.int64]) -> str:
    rows = fst.arcs[cycle]
    shown = " -> ".join(str(int(state)) for state in rows["nextstate"][:12])
    total = float(rows["weight"].sum(dtype=np.float64))
    return f"states {int(rows['nextstate'][-1])} -> {shown} at {total:.6g} nats"


@numba.njit(cache=True, nogil=True)
def _epsilon_order(
    states: npt.NDArray[Any], arcs: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int32], int]:
    """Kahn's topological sort of the epsilon arcs; states on or behind cycles come last."""
    n_states = len(states)
    indegree = np.zeros(n_states, dtype=np.int32)
    n_with = 0
    for state in range(n_states):
        n_eps = states[state].n_input_eps
        n_with += n_eps > 0
        for arc in range(states[state].pos, states[state].pos + n_eps):
            indegree[arcs[arc].nextstate] += 1
    order = np.empty(n_with, dtype=np.int32)
    stack = np.empty(n_states, dtype=np.int32)
    n_stack = 0
    for state in range(n_states):
        if indegree[state] == 0:
            stack[n_stack] = state
            n_stack += 1
    n_sorted = 0
    while n_stack:
        n_stack -= 1
        state = stack[n_stack]
        indegree[state] = -1
        n_eps = states[state].n_input_eps
        if n_eps:
            order[n_sorted] = state
            n_sorted += 1
        for arc in range(states[state].pos, states[state].pos + n_eps):
            following = arcs[arc].nextstate
            indegree[following] -= 1
            if indegree[following] == 0:
                stack[n_stack] = following
                n_stack += 1
    at = n_sorted
    for state in range(n_states):
        if indegree[state] >= 0 and states[state].n_input_eps > 0:
            order[at] = state
            at += 1
    return order, n_sorted


@numba.njit(cache=True, nogil=True)
def _negative_cycle(
    states: npt.NDArray[Any], arcs: npt.NDArray[Any], order: npt.NDArray[np.int32], slack: float
) -> npt.NDArray[np.int64]:
    """Return the arcs of an epsilon cycle that costs less than ``-slack``, or none.

    Bellman (1958), Ford (1956): costs from everywhere at once; a state that still improves
    after as many passes as there are states has such a cycle among its ancestors.
    """
    cost = np.zeros(len(states))
    into = np.full(len(states), -1, dtype=np.int64)
    came = np.full(len(states), -1, dtype=np.int32)
    last = -1
    for _ in range(len(order) + 1):
        last = -1
        for state in order:
            first = states[state].pos
            for arc in range(first, first + states[state].n_input_eps):
                new = cost[state] + arcs[arc].weight
                if new < cost[arcs[arc].nextstate] - slack:
                    last = arcs[arc].nextstate
                    cost[last] = new
                    into[last] = arc
                    came[last] = state
        if last < 0:
            return np.zeros(0, dtype=np.int64)
    for _ in range(len(order) + 1):  # from anywhere behind the cycle back onto it
        last = came[last]
    cycle = np.empty(len(order) + 1, dtype=np.int64)
    state = last
    n = 0
    while n == 0 or state != last:
        cycle[n] = into[state]
        n += 1
        state = came[state]
    backwards: npt.NDArray[np.int64] = cycle[:n][::-1].copy()
    return backwards


@numba.njit(cache=True, nogil=True)
def _fewest_frames(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    start: int,
    frames_of: npt.NDArray[np.int32],
    most: int,
) -> int:
    """Dial's shortest paths, counted in frames: ``frames_of[label]`` an arc, at most `most`."""
    seen = np.zeros(len(states), dtype=np.uint8)
    after = np.full(len(states), -1, dtype=np.int32)  # lists of states by frame, one link a state
    fewest = np.full(len(states), 1 << 30, dtype=np.int32)
    heads = np.full(most + 1, -1, dtype=np.int32)
    pending = np.empty(2 * len(states) + 16, dtype=np.int32)  # states of this frame
    before = np.full(len(states), -1, dtype=np.int32)
    fewest[start] = 0
    heads[0] = start
    frames = 0
    empty = 0
    while empty <= most:
        at = heads[frames % (most + 1)]
        heads[frames % (most + 1)] = -1
        n = 0
        while at >= 0:
            pending[n] = at
            n += 1
            at = after[at]
        empty = 0 if n else empty + 1
        while n:
            n -= 1
            state = pending[n]
            if seen[state]:
                continue
            seen[state] = 1
            if states[state].final < np.inf:
                return frames
            for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
                following = arcs[arc].nextstate
                then = frames + frames_of[arcs[arc].ilabel]
                if arcs[arc].weight == np.inf or then >= fewest[following] or seen[following]:
                    continue
                if fewest[following] < 1 << 30 and fewest[following] > frames:  # leave its list
                    _unlink(heads, after, before, following, fewest[following] % (most + 1))
                fewest[following] = then
                if then == frames:
                    if n == len(pending):
                        pending = np.concatenate((pending, np.empty(n, dtype=np.int32)))
                    pending[n] = following
                    n += 1
                elif then - frames <= most:
                    head = heads[then % (most + 1)]
                    after[following] = head
                    before[following] = -1
                    if head >= 0:
                        before[head] = following
                    heads[then % (most + 1)] = following
                else:
                    fewest[following] = 1 << 30  # no way through the arc's unit
        frames += 1
    return -1


@numba.njit(cache=True, nogil=True)
def _unlink(
    heads: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    before: npt.NDArray[np.int32],
    state: int,
    which: int,
) -> None:
    """Take a state out of its doubly linked list."""
    if before[state] >= 0:
        after[before[state]] = after[state]
    else:
        heads[which] = after[state]
    if after[state] >= 0:
        before[after[state]] = before[state]


def min_frames(fst: Fst, frames_of: npt.NDArray[np.int32] | None = None) -> int | None:
    """Return how many frames the shortest complete path takes; None: no path at all.

    `frames_of` are the frames of an arc by its input label, where that is not one frame for any
    label but epsilon.
    """
    if not fst.n_states:
        return None
    if frames_of is None:
        frames_of = np.ones(plan_of(fst).n_labels + 1, dtype=np.int32)
        frames_of[0] = 0
    most = int(frames_of[frames_of < _NEVER].max(initial=1))
    frames = int(_fewest_frames(fst.states, fst.arcs, fst.start, frames_of, most))
    return frames if frames >= 0 else None


def check_scores(
    plan: Plan, scores: npt.NDArray[np.float32], columns: npt.NDArray[np.int32]
) -> None:
    """Refuse scores that lack a column for some input label of the graph.

    Parameters
    ----------
    plan : Plan
    scores : ndarray of float32, shape (T, S)
    columns : ndarray of int32, shape (n_labels,)
        ``columns[i - 1]``: the column of input label ``i``.

    Raises
    ------
    DataError
        A label has no column, or its column is not among the S.
    """
    if plan.n_labels > len(columns):
        raise DataError(
            "the graph has more input labels than the model has states",
            got=f"label {plan.n_labels}", expected=f"at most {len(columns)}",
            fix="Graph and model do not belong together: rebuild the graph.",
        )  # fmt: skip
    used = columns[: plan.n_labels]
    if len(used) and (int(used.max()) >= scores.shape[1] or int(used.min()) < 0):
        raise DataError(
            "scores with too few columns for the graph's labels", got=scores.shape[1],
            expected=int(used.max()) + 1,
            fix="Graph and scores do not belong together: use the graph's own model.",
        )  # fmt: skip
