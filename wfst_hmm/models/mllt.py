"""Maximum likelihood linear transforms: the square map under which diagonal Gaussians fit best.

In: scatters of frames about the means of the Gaussians they belong to. Out: a matrix (D, D) to
multiply features and means by. Also called semi-tied covariances (STC) or global STC.

Public names: `estimate_mllt`, `mllt_objective`, `mllt_scatters`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.models.mixtures import MixtureSet, MixtureStats
from wfst_hmm.models.transform_statistics import TransformStats

__all__ = ["estimate_mllt", "mllt_objective", "mllt_scatters"]

Array = npt.NDArray[np.float64]


def mllt_scatters(stats: TransformStats, mixtures: MixtureSet, moments: MixtureStats) -> Array:
    """Return the scatters about the Gaussians' means, weighed by their precisions, (D, D, D).

    ``[d]`` is the sum over Gaussians and frames of gamma / variance_d (x - mean)(x - mean)',
    the means being those of the frames.

    Parameters
    ----------
    stats : TransformStats
        Of the frames under `mixtures`.
    mixtures : MixtureSet
    moments : MixtureStats
        Of the same frames under the same mixtures.
    """
    seen = moments.occupancy > 1e-3
    occupancy = moments.occupancy[seen]
    means = mixtures.means[seen] + moments.first[seen] / occupancy[:, None]
    weights = occupancy[:, None] / mixtures.variances[seen]  # (G, D)
    n_dims = mixtures.n_dims
    out = np.empty((n_dims, n_dims, n_dims))
    for d in range(n_dims):
        about = (means * weights[:, d, None]).T @ means
        out[d] = stats.quadratic[d, :-1, :-1] - about
    return np.asarray(0.5 * (out + out.transpose(0, 2, 1)))


def mllt_objective(matrix: Array, scatters: Array, count: float) -> float:
    """Return count log|det A| - 1/2 sum_d a_d G_d a_d', the log-likelihood but for a constant."""
    sign, logdet = np.linalg.slogdet(matrix)
    if sign == 0:
        return -np.inf
    return float(count * logdet - 0.5 * np.einsum("di,dij,dj->", matrix, scatters, matrix))


def estimate_mllt(scatters: Array, count: float, *, n_iterations: int = 200) -> Array:
    """Return the matrix of highest likelihood, beginning from the identity.

    Parameters
    ----------
    scatters : ndarray, shape (D, D, D)
        From `mllt_scatters`.
    count : float
        Frames.
    n_iterations : int
        Sweeps over the rows, at most.

    Raises
    ------
    ModelError
        A scatter is singular: too few frames.

    Notes
    -----
    Gales (1999), "Semi-tied covariance matrices for hidden Markov models", equation 24: with
    the cofactors c of row d, a_d = c G_d^-1 sqrt(count / (c G_d^-1 c')), which is the exact
    maximum over one row; so no sweep loses likelihood.
    """
    n_dims = len(scatters)
    try:
        inverses = np.linalg.inv(scatters)
    except np.linalg.LinAlgError:
        raise ModelError("too few frames for a transform of the features",
                         got=f"{count:g} frames, {n_dims} dimensions") from None  # fmt: skip
    matrix = np.eye(n_dims)
    before = mllt_objective(matrix, scatters, count)
    for _ in range(n_iterations):
        for d in range(n_dims):
            cofactors = np.linalg.inv(matrix)[:, d]  # of row d, but for the determinant
            row = cofactors @ inverses[d]
            matrix[d] = row * np.sqrt(count / (row @ cofactors))
        after = mllt_objective(matrix, scatters, count)
        if after - before < 1e-9 * count:
            break
        before = after
    return matrix
