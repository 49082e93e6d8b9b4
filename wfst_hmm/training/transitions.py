"""Re-estimated transition probabilities.

In: how often each move of each HMM was made. Out: new topologies; what was impossible stays
impossible, and what was possible stays possible.

Public names: `reestimated_topologies`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.units import Units
from wfst_hmm.models.topology import Topology

__all__ = ["reestimated_topologies"]


def reestimated_topologies(
    topologies: Sequence[Topology],
    units: Units,
    counts: npt.NDArray[np.float64],
    *,
    prior: float = 5.0,
) -> list[Topology]:
    """Return topologies whose probabilities follow the counts.

    Parameters
    ----------
    topologies : sequence of Topology, length U
    units : Units
        Of these topologies.
    counts : ndarray, shape (n_moves + 1,)
        How often each move was made, numbered as in `Units.move_costs`; entry 0 is ignored.
    prior : float
        Frames' worth of trust in the previous probabilities: a move of probability p that was
        made c times out of n has probability (c + prior p) / (n + prior) thereafter. No allowed
        move becomes forbidden so, and the likelihood cannot decrease: the prior's maximum lies
        at the previous probabilities.
    """
    n_enter, n_step = len(units.enter), len(units.step)
    enter, step, leave = np.split(counts[1:], [n_enter, n_enter + n_step])
    updated = []
    for unit, topology in enumerate(topologies):
        n = topology.n_states
        entered = np.zeros(n)
        part = slice(units.enter.start[unit], units.enter.start[unit + 1])
        entered[units.enter.target[part]] = enter[part]
        moved = np.zeros((n, n + 1))  # the last column: leaving the phone
        part = slice(units.step.start[unit], units.step.start[unit + 1])
        moved[units.step.source[part], units.step.target[part]] = step[part]
        part = slice(units.leave.start[unit], units.leave.start[unit + 1])
        moved[units.leave.source[part], n] = leave[part]
        before = np.concatenate([topology.transitions, topology.final[:, None]], axis=1)
        rows = _mixed(moved, before, prior)
        initial = _mixed(entered[None], topology.initial[None], prior)[0]
        updated.append(Topology(initial, rows[:, :n], rows[:, n]))
    return updated


def _mixed(
    counts: npt.NDArray[np.float64], before: npt.NDArray[np.float64], prior: float
) -> npt.NDArray[np.float64]:
    mixed = counts + prior * before
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))
