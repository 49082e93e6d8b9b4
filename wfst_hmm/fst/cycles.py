"""Cycles: those that would keep a shortest-path search busy for ever, and how states hang together.

In: the arcs of a graph as arrays. Out: a cycle of negative total cost, or None; the strongly
connected component of every state.

Public names: `components`, `negative_cycle`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["components", "negative_cycle"]

#: Cycles cheaper than zero by less than this are rounding, not a mistake (nats per arc).
TOLERANCE = 1e-6


def negative_cycle(
    n_states: int,
    source: npt.NDArray[Any],
    target: npt.NDArray[Any],
    weight: npt.NDArray[Any],
) -> list[int] | None:
    """Return the states of a cycle whose costs sum to less than zero, None if there is none.

    Parameters
    ----------
    n_states : int
    source, target, weight : arrays of shape (A,)

    Notes
    -----
    Bellman-Ford from everywhere at once. A negative cycle soon shows as a cycle among the
    predecessors (Cherkassky & Goldberg 1999), which is looked for after 1, 2, 4 ... rounds.
    """
    cost = weight.astype(np.float64)
    finite = np.isfinite(cost)
    source, target, cost = source[finite], target[finite], cost[finite]
    distance = np.zeros(n_states)
    parent = np.full(n_states, -1, dtype=np.int64)
    check_at = 1
    for round_number in range(1, n_states + 2):
        reached = distance[source] + cost
        better = reached < distance[target] - TOLERANCE
        if not better.any():
            return None
        after = distance.copy()
        np.minimum.at(after, target[better], reached[better])
        chosen = better & (reached == after[target])
        parent[target[chosen]] = source[chosen]
        distance = after
        if round_number == check_at or round_number > n_states:
            check_at *= 2
            found = _cycle_of(parent)
            if found is not None:
                return found
    return None


def _cycle_of(parent: npt.NDArray[np.int64]) -> list[int] | None:
    """Return a cycle among parent pointers (-1: none), oldest state first."""
    n_states = len(parent)
    up = np.append(parent, n_states)  # a root's parent is the extra place at the end
    up[up < 0] = n_states
    jump = up.copy()
    steps = 1
    while steps <= n_states:
        jump = jump[jump]
        steps *= 2
    on_cycle = np.flatnonzero(jump[:n_states] != n_states)
    if not len(on_cycle):
        return None
    first = int(jump[on_cycle[0]])  # so many steps up, one surely stands on the cycle itself
    cycle = [first]
    while (state := int(up[cycle[-1]])) != first:
        cycle.append(state)
    return cycle[::-1]


@numba.njit(cache=True, nogil=True)
def components(
    states: npt.NDArray[Any], arcs: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the strongly connected component of each state, and the states component by component.

    Parameters
    ----------
    states, arcs : ndarrays of `fst.arrays.STATE` and `ARC`
        Arcs of infinite cost count as none.

    Returns
    -------
    component : ndarray of int64, shape (S,)
        Numbered from 0 so that arcs lead to components of the same or a smaller number.
    order : ndarray of int64, shape (S,)
        The states, by the number of their component.

    Notes
    -----
    Tarjan (1972), "Depth-first search and linear graph algorithms", with a stack of its own in
    place of recursion.
    """
    n_states = len(states)
    component = np.full(n_states, -1, dtype=np.int64)
    order = np.empty(n_states, dtype=np.int64)
    found = np.full(n_states, -1, dtype=np.int64)  # when the search came to a state
    lowest = np.empty(n_states, dtype=np.int64)  # earliest state that is reached from it
    next_arc = np.empty(n_states, dtype=np.int64)
    path = np.empty(n_states, dtype=np.int64)  # from the root to where the search stands
    open_ = np.empty(n_states, dtype=np.int64)  # states whose component is not known yet
    n_found = n_open = n_components = n_ordered = 0
    for root in range(n_states):
        if found[root] >= 0:
            continue
        depth = 0
        path[0] = root
        found[root] = lowest[root] = n_found
        n_found += 1
        next_arc[root] = states[root].pos
        open_[n_open] = root
        n_open += 1
        while depth >= 0:
            state = path[depth]
            if next_arc[state] < states[state].pos + states[state].n_arcs:
                arc = arcs[next_arc[state]]
                next_arc[state] += 1
                if arc.weight == np.inf:
                    continue
                following = arc.nextstate
                if found[following] < 0:  # go down
                    depth += 1
                    path[depth] = following
                    found[following] = lowest[following] = n_found
                    n_found += 1
                    next_arc[following] = states[following].pos
                    open_[n_open] = following
                    n_open += 1
                elif component[following] < 0:  # an arc back into what is open
                    lowest[state] = min(lowest[state], found[following])
                continue
            if lowest[state] == found[state]:  # the root of a component: it is complete
                while True:
                    n_open -= 1
                    member = open_[n_open]
                    component[member] = n_components
                    order[n_ordered] = member
                    n_ordered += 1
                    if member == state:
                        break
                n_components += 1
            depth -= 1
            if depth >= 0:
                lowest[path[depth]] = min(lowest[path[depth]], lowest[state])
    return component, order
