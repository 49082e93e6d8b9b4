"""How probable each arc of a lattice is, given the utterance.

In: a `Lattice`. Out: posteriors by the forward-backward algorithm.

Public names: `arc_posteriors`, `log_forward`, `log_backward`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.lattice.lattice import Floats, Ints, Lattice

__all__ = ["arc_posteriors", "log_backward", "log_forward"]


def arc_posteriors(lattice: Lattice, *, scale: float = 1.0) -> tuple[Floats, float]:
    """Return the posterior of every arc and the log of the sum over all paths.

    Parameters
    ----------
    lattice : Lattice
    scale : float
        Factor on all costs. Below one it flattens: acoustic models trust neighbouring frames
        as if they were independent, so that raw posteriors are too sure (Wessel et al. 2001).

    Returns
    -------
    posteriors : ndarray of float64, shape (A,)
        Sum of the probabilities of the paths through each arc, 0 to 1.
    log_total : float
        Log of the sum of ``exp(-scale * cost)`` over all paths.
    """
    forward = log_forward(lattice, scale=scale)
    backward = log_backward(lattice, scale=scale)
    total = float(backward[0]) if lattice.n_states else -np.inf
    if total == -np.inf:
        return np.zeros(lattice.n_arcs), total
    through = forward[lattice.source] - scale * lattice.cost + backward[lattice.target] - total
    return np.exp(through), total


def log_forward(lattice: Lattice, *, scale: float = 1.0) -> Floats:
    """Return the log of the summed ``exp(-scale * cost)`` of all paths to each state."""
    _check(scale)
    sums: Floats = _forward(lattice.source, lattice.target, -scale * lattice.cost, lattice.n_states)
    return sums


def log_backward(lattice: Lattice, *, scale: float = 1.0) -> Floats:
    """Return the log of the summed ``exp(-scale * cost)`` of all paths from each state on."""
    _check(scale)
    sums: Floats = _backward(
        lattice.source, lattice.target, -scale * lattice.cost, -scale * lattice.final
    )
    return sums


def _check(scale: float) -> None:
    if not 0 < scale < np.inf:
        raise UsageError("the scale must be positive", where="scale", got=scale)


@numba.njit(cache=True, nogil=True)
def _add(first: float, second: float) -> float:
    if first == -np.inf:
        return second
    if second == -np.inf:
        return first
    high, low = max(first, second), min(first, second)
    return float(high + np.log1p(np.exp(low - high)))


@numba.njit(cache=True, nogil=True)
def _forward(source: Ints, target: Ints, log: Floats, n_states: int) -> npt.NDArray[np.float64]:
    sums = np.full(n_states, -np.inf)
    if n_states:
        sums[0] = 0.0
    for arc in range(len(source)):
        sums[target[arc]] = _add(sums[target[arc]], sums[source[arc]] + log[arc])
    return sums


@numba.njit(cache=True, nogil=True)
def _backward(source: Ints, target: Ints, log: Floats, final: Floats) -> npt.NDArray[np.float64]:
    sums: npt.NDArray[np.float64] = final.copy()
    for arc in range(len(source) - 1, -1, -1):
        sums[source[arc]] = _add(sums[source[arc]], log[arc] + sums[target[arc]])
    return sums
