"""The E and M steps of tied mixtures, under `MixtureSet`.

In: frames with their states, statistics. Out: statistics, new parameters.

Public names: `LEAST_OCCUPANCY`, `accumulate`, `gather`, `surviving`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_OCCUPANCY", "accumulate", "gather", "surviving"]

#: Fewer frames than this are no data at all.
LEAST_OCCUPANCY = 1e-3


def gather(
    offsets: npt.NDArray[np.int64], states: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the components of `states`, in order, and the offsets among them."""
    counts = offsets[states + 1] - offsets[states]
    chosen = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    components = np.arange(chosen[-1]) + np.repeat(offsets[states] - chosen[:-1], counts)
    return components.astype(np.intp), chosen


@numba.njit(cache=True, nogil=True)
def accumulate(  # type: ignore[no-untyped-def]
    x, seen, path, offsets, constants, means, precisions, occupancy, first, second
):
    """Add frames to moments about the means; return the log-likelihood.

    Parameters
    ----------
    x : (T, D), which decides on shares; seen : (T, D), whose moments are added up
    path : (T,) state of each frame, negative to skip; offsets : (S + 1,)
    constants : (G,) log weights and normalizers; means, precisions : (G, D)
    occupancy : (G,); first, second : (G, D); all three are added to
    """
    n_dims = x.shape[1]
    joint = np.empty(len(means))
    total = 0.0
    for t in range(len(x)):
        state = path[t]
        if state < 0:
            continue
        begin, end = offsets[state], offsets[state + 1]
        best = -np.inf
        for g in range(begin, end):
            distance = 0.0
            for d in range(n_dims):
                distance += (x[t, d] - means[g, d]) ** 2 * precisions[g, d]
            joint[g] = constants[g] - 0.5 * distance
            best = max(best, joint[g])
        norm = 0.0
        for g in range(begin, end):
            joint[g] = np.exp(joint[g] - best)
            norm += joint[g]
        total += best + np.log(norm)
        for g in range(begin, end):
            share = joint[g] / norm
            if share > 1e-12:  # what is lost is below rounding
                occupancy[g] += share
                for d in range(n_dims):
                    away = seen[t, d] - means[g, d]
                    first[g, d] += share * away
                    second[g, d] += share * away * away
    return total


def surviving(
    log_weights: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.int64],
    occupancy: npt.NDArray[np.float64],
    min_occupancy: float,
    min_weight: float,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.int64], tuple[int, ...]]:
    """Choose the components that saw enough, and weigh them.

    Returns
    -------
    alive : (G',) indices of the components kept; the heaviest of each state always is
    log_weights : (G',)
    offsets : (S + 1,)
    unseen : states without data; they keep all components and weights
    """
    kept: list[int] = []
    logs: list[npt.NDArray[np.float64]] = []
    unseen: list[int] = []
    bounds = [0]
    for state in range(len(offsets) - 1):
        own = slice(int(offsets[state]), int(offsets[state + 1]))
        counts = occupancy[own]
        total = counts.sum()
        if total < LEAST_OCCUPANCY:
            unseen.append(state)
            alive = np.arange(len(counts))
            logs.append(log_weights[own])
        else:
            good = (counts >= min_occupancy) & (counts >= min_weight * total)
            good[counts.argmax()] = True
            alive = np.flatnonzero(good)
            logs.append(np.log(counts[alive] / counts[alive].sum()))
        kept.extend(own.start + int(g) for g in alive)
        bounds.append(len(kept))
    return np.array(kept, dtype=np.intp), np.concatenate(logs), np.array(bounds), tuple(unseen)
