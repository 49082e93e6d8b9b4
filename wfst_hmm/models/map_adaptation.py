"""Maximum a posteriori adaptation of mixtures: as far towards new frames as they are many.

In: mixtures and EM statistics of new frames. Out: mixtures whose means (and weights) lie between
the old ones and those of the frames.

Public names: `map_adapted`.
"""

from __future__ import annotations

import numpy as np

from wfst_hmm.errors import ModelError, UsageError
from wfst_hmm.models.mixtures import MixtureSet, MixtureStats

__all__ = ["map_adapted"]


def map_adapted(
    mixtures: MixtureSet, stats: MixtureStats, *, tau: float = 10.0, weights: bool = False
) -> MixtureSet:
    """Return the mixtures of highest posterior probability.

    Parameters
    ----------
    mixtures : MixtureSet
        The prior.
    stats : MixtureStats
        Of the new frames under these very mixtures.
    tau : float
        So many frames the prior is worth: a Gaussian that sees ``tau`` new frames goes half the
        way to them.
    weights : bool
        Adapt the weights as well.

    Notes
    -----
    Gauvain & Lee (1994), "Maximum a posteriori estimation for multivariate Gaussian mixture
    observations of Markov chains", equations 20 and 27 with one prior weight for all Gaussians:
    mean' = (tau mean + sum of gamma x) / (tau + sum of gamma). Variances stay.
    """
    if stats.first.shape != mixtures.means.shape:
        raise ModelError("statistics of another mixture set", got=stats.first.shape,
                         expected=mixtures.means.shape)  # fmt: skip
    if not tau > 0 or not np.isfinite(tau):
        raise UsageError("tau must be positive", got=tau)
    # `first` is about the old means: sum of gamma (x - mean)
    means = mixtures.means + stats.first / (tau + stats.occupancy)[:, None]
    logs = mixtures.log_weights
    if weights:
        share = tau * np.exp(logs) + stats.occupancy
        total = np.add.reduceat(share, mixtures.offsets[:-1])
        sizes = np.diff(mixtures.offsets)
        logs = np.log(share) - np.log(np.repeat(total, sizes))
    return MixtureSet(logs, means, mixtures.variances, mixtures.offsets)
