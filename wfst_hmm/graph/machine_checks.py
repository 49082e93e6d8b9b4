"""Checks of a transducer as such: loops without input, dead states, sums of probabilities.

In: an `Fst`. Out: a cycle, states, or a sum for each state.

Public names: `free_loop`, `unreachable_states`, `dead_ends`, `state_sums`, `backoff_sums`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.cycles import negative_cycle

__all__ = ["backoff_sums", "dead_ends", "free_loop", "state_sums", "unreachable_states"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]
_TOLERANCE = 1e-6  # nats
_MAX_BACKOFFS = 64


def free_loop(fst: Fst, silent: npt.NDArray[np.bool_]) -> tuple[list[int], float] | None:
    """Return a cycle of arcs that read nothing and together cost zero or less.

    Parameters
    ----------
    fst : Fst
    silent : bool, shape (n_arcs,)
        The arcs that read nothing.

    Returns
    -------
    states, cost : list of int, float
        The states of the cycle in order and its cost in nats; None when there is none. A
        search could walk it for ever, a determinization would.
    """
    arcs = fst.arcs[silent]
    source, target = fst.sources()[silent].astype(np.int64), arcs["nextstate"].astype(np.int64)
    weight = arcs["weight"].astype(np.float64)
    if not len(arcs):
        return None
    height = np.zeros(fst.n_states)
    if weight.min() < 0:
        cycle = negative_cycle(fst.n_states, source, target, weight)
        if cycle is not None:
            return cycle, _cost_around(cycle, source, target, weight)
        height = _heights(fst.n_states, source, target, weight)
    # a cycle of cost zero has only arcs that cost exactly the difference of heights
    tight = height[source] + weight - height[target] <= _TOLERANCE
    found = _cycle(fst.n_states, source[tight], target[tight])
    return None if found is None else (found, _cost_around(found, source, target, weight))


def _heights(n_states: int, source: _Ints, target: _Ints, weight: _Floats) -> _Floats:
    """Return the cheapest cost to every state from anywhere, with no negative cycle around."""
    height = np.zeros(n_states)
    for _ in range(n_states):
        after = height.copy()
        np.minimum.at(after, target, height[source] + weight)
        if np.array_equal(after, height):
            break
        height = after
    return height


def _cycle(n_states: int, source: _Ints, target: _Ints) -> list[int] | None:
    """Return the states of any cycle: what is left when states without a way in are peeled off."""
    kept = np.ones(len(source), dtype=bool)
    while kept.any():
        has_way_in = np.zeros(n_states, dtype=bool)
        has_way_in[target[kept]] = True
        fewer = kept & has_way_in[source]
        if fewer.sum() == kept.sum():
            break
        kept = fewer
    if not kept.any():
        return None
    before = dict(zip(target[kept].tolist(), source[kept].tolist(), strict=True))
    state = next(iter(before))
    order: dict[int, int] = {}
    while state not in order:
        order[state] = len(order)
        state = before[state]
    return list(order)[order[state] :][::-1]


def _cost_around(cycle: list[int], source: _Ints, target: _Ints, weight: _Floats) -> float:
    total = 0.0
    for state, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        total += float(weight[(source == state) & (target == following)].min())
    return total


def unreachable_states(fst: Fst) -> _Ints:
    """Return the states that no path from the start enters."""
    return np.flatnonzero(~_reached(fst.n_states, [fst.start], *_runs(fst, forward=True)))


def dead_ends(fst: Fst) -> _Ints:
    """Return the states that no path leads from to a final state."""
    ends = np.flatnonzero(np.isfinite(fst.states["final"]))
    return np.flatnonzero(~_reached(fst.n_states, ends, *_runs(fst, forward=False)))


def _runs(fst: Fst, *, forward: bool) -> tuple[_Ints, _Ints]:
    """Return where each state's neighbours begin in a list of neighbours, and the list."""
    source, target = fst.sources(), fst.arcs["nextstate"]
    if not forward:
        order = np.argsort(target, kind="stable")
        source, target = target[order], source[order]
    counts = np.bincount(source, minlength=fst.n_states)
    return np.concatenate([[0], np.cumsum(counts)]), np.asarray(target, dtype=np.int64)


def _reached(
    n_states: int, roots: npt.ArrayLike, start: _Ints, neighbour: _Ints
) -> npt.NDArray[np.bool_]:
    seen = np.zeros(n_states, dtype=bool)
    fresh = np.asarray(roots, dtype=np.int64)
    fresh = fresh[fresh >= 0]
    while len(fresh):
        seen[fresh] = True
        counts = start[fresh + 1] - start[fresh]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        following = neighbour[np.repeat(start[fresh], counts) + within]
        fresh = np.unique(following[~seen[following]])
    return seen


def state_sums(fst: Fst) -> _Floats:
    """Return, for each state, the sum of the probabilities of its arcs and of ending there."""
    weights = _probability(fst.arcs["weight"])
    sums = np.bincount(fst.sources(), weights=weights, minlength=fst.n_states)
    return np.asarray(sums + _probability(fst.states["final"]))


def _probability(cost: npt.NDArray[Any]) -> _Floats:
    with np.errstate(over="ignore"):  # a cost far below zero: the sum shall be infinite
        return np.exp(-cost.astype(np.float64))


def backoff_sums(fst: Fst, backoff: int) -> _Floats:
    """Return, for each state, the sum of the probabilities of all words and of ending.

    A word without an arc of its own has the probability behind the backoff arc, times that
    arc's. In a proper n-gram model all sums are one.

    Parameters
    ----------
    fst : Fst
        Deterministic; at most one arc a state reads `backoff`, and these form no cycle.
    backoff : int
        Label of ``#0``.
    """
    arcs, source = fst.arcs, fst.sources().astype(np.int64)
    backs = arcs["ilabel"] == backoff
    lower = np.full(fst.n_states, -1, dtype=np.int64)
    lower[source[backs]] = arcs["nextstate"][backs]
    weight = np.zeros(fst.n_states)
    weight[source[backs]] = _probability(arcs["weight"][backs])

    ends = np.flatnonzero(np.isfinite(fst.states["final"]))
    n_labels = int(arcs["ilabel"].max(initial=0)) + 2  # the last one stands for the end
    state = np.concatenate([source[~backs], ends])
    label = np.concatenate([arcs["ilabel"][~backs].astype(np.int64),
                            np.full(len(ends), n_labels - 1)])  # fmt: skip
    cost = np.concatenate([arcs["weight"][~backs], fst.states["final"][ends]])
    probability = _probability(cost)
    order = np.argsort(state * n_labels + label)
    key, sorted_probability = (state * n_labels + label)[order], probability[order]

    explicit = np.bincount(state, weights=probability, minlength=fst.n_states)
    # what the lower state gives the words that this state lists itself
    twice = np.zeros(fst.n_states)
    row = np.flatnonzero(lower[state] >= 0)
    at, share = lower[state[row]], np.ones(len(row))
    for _ in range(_MAX_BACKOFFS):
        if not len(row):
            break
        wanted = at * n_labels + label[row]
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        found = key[place] == wanted
        np.add.at(twice, state[row[found]], (share * sorted_probability[place])[found])
        on = ~found & (lower[at] >= 0)
        row, share, at = row[on], share[on] * weight[at[on]], lower[at[on]]
    return _descend(np.asarray(explicit, dtype=np.float64), weight, twice, lower)


def _descend(explicit: _Floats, weight: _Floats, twice: _Floats, lower: _Ints) -> _Floats:
    total: _Floats = explicit.copy()
    has = np.flatnonzero(lower >= 0)
    for _ in range(_MAX_BACKOFFS):
        after: _Floats = total.copy()
        after[has] = explicit[has] + weight[has] * (total[lower[has]] - twice[has])
        if np.allclose(after, total, rtol=0, atol=1e-12):
            break
        total = after
    return total
