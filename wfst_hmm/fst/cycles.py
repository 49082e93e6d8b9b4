"""Cycles that would keep a shortest-path search busy for ever.

In: the arcs of a graph as arrays. Out: a cycle of negative total cost, or None.

Public names: `negative_cycle`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["negative_cycle"]

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
