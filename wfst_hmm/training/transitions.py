"""Re-estimated transition probabilities.

In: how often each move of each HMM was made. Out: new topologies; what was impossible stays
impossible, and what was possible stays possible.

Public names: `likeliest`, `reestimated_topologies`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.units import Units
from wfst_hmm.models.topology import Topology

__all__ = ["likeliest", "reestimated_topologies"]

Array = npt.NDArray[np.float64]


def reestimated_topologies(
    topologies: Sequence[Topology],
    units: Units,
    counts: npt.NDArray[np.float64],
    *,
    floor: float = 1e-3,
) -> list[Topology]:
    """Return the topologies that make the counted moves likeliest.

    Parameters
    ----------
    topologies : sequence of Topology, length U
    units : Units
        Of these topologies.
    counts : ndarray, shape (n_moves + 1,)
        How often each move was made, numbered as in `Units.move_costs`; entry 0 is ignored.
    floor : float
        Smallest probability of an allowed move, so that none becomes forbidden for lack of
        data. A state that was never left nor stayed in keeps its probabilities.
    """
    n_enter, n_step = len(units.enter), len(units.step)
    enter, step, leave = np.split(counts[1:], [n_enter, n_enter + n_step])
    updated = []
    for unit, topology in enumerate(topologies):
        n = topology.n_states
        entered = np.zeros((1, n))
        part = slice(units.enter.start[unit], units.enter.start[unit + 1])
        entered[0, units.enter.target[part]] = enter[part]
        moved = np.zeros((n, n + 1))  # the last column: leaving the phone
        part = slice(units.step.start[unit], units.step.start[unit + 1])
        moved[units.step.source[part], units.step.target[part]] = step[part]
        part = slice(units.leave.start[unit], units.leave.start[unit + 1])
        moved[units.leave.source[part], n] = leave[part]
        before = np.concatenate([topology.transitions, topology.final[:, None]], axis=1)
        rows = np.stack([likeliest(c, b, floor) for c, b in zip(moved, before, strict=True)])
        initial = likeliest(entered[0], topology.initial, floor)
        updated.append(Topology(initial, rows[:, :n], rows[:, n]))
    return updated


def likeliest(counts: Array, before: Array, floor: float) -> Array:
    """Return the distribution p >= floor that maximizes sum(counts * log p).

    Parameters
    ----------
    counts, before : ndarray, shape (n,)
        Zeros of `before` are forbidden and stay zero; without counts it is the answer.
    floor : float
        Taken smaller where the allowed moves are too many for it.

    Notes
    -----
    Where the floor holds, p is the floor; the others share what is left by their counts (the
    Kuhn-Tucker conditions). So the likelihood cannot decrease once `before` keeps the floor.
    """
    allowed = before > 0
    if not counts[allowed].sum() > 0:
        return before
    floor = min(floor, 0.5 / allowed.sum())
    low = ~allowed
    p = np.zeros(len(counts))
    while True:
        free = ~low
        left = 1.0 - floor * (allowed & low).sum()
        p = np.where(free, left * counts / counts[free].sum(), np.where(allowed, floor, 0.0))
        sinking = free & (p < floor)
        if not sinking.any():
            return p
        low |= sinking
