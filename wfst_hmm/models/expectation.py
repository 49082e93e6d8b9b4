"""The expectation step of a Gaussian mixture, chunk by chunk.

In: a bank of one mixture and frames. Out: the log-likelihood and the moments of components.

Public names: `expectation`, `responsibilities`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.bank import Bank
from wfst_hmm.models.gaussian import Gaussians, chunk_frames, soft_max
from wfst_hmm.models.moments import Moments
from wfst_hmm.models.threads import map_threads

__all__ = ["expectation", "responsibilities"]


def responsibilities(
    gaussians: Gaussians, expanded: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return log p(x_t), shape (n,), and P(m | x_t), shape (M, n).

    Parameters
    ----------
    gaussians : Gaussians
        The components of one mixture.
    expanded : ndarray
        Frames as ``gaussians.expand`` gave them.

    Notes
    -----
    Bilmes (1998), p(l | x_i, theta) of section 3.
    """
    joint = gaussians.score(expanded)
    totals = np.empty(joint.shape[1], dtype=joint.dtype)
    soft_max(joint, totals)
    return totals, joint


def expectation(
    bank: Bank, x: npt.NDArray[np.float64], shift: npt.NDArray[np.float64], n_threads: int
) -> tuple[float, Moments]:
    """Return the log-likelihood of frames (N, D) and the moments of the components.

    Parameters
    ----------
    bank : Bank
        Of one mixture.
    shift : ndarray, shape (D,)
        The point that moments are taken about.
    """
    gaussians = bank.gaussians(shift)
    step = chunk_frames(len(gaussians))
    n_shares = max(1, min(n_threads, -(-len(x) // step)))

    def work(share: int) -> tuple[float, Moments]:
        moments = bank.moments(shift)
        total = 0.0
        for start in range(share * step, len(x), step * n_shares):
            expanded = gaussians.expand(x[start : start + step])
            scores, joint = responsibilities(gaussians, expanded)
            total += float(scores.sum())
            moments.accumulate(joint, expanded)
        return total, moments

    total, moments = 0.0, bank.moments(shift)
    for part, sums in map_threads(work, range(n_shares), n_threads):
        total += part
        moments.add(sums)
    return total, moments
