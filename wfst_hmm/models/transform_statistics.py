"""What linear transforms of features are estimated from: quadratic statistics under mixtures.

In: frames with their tied states. Out: `TransformStats`: for each dimension d of the model the
sums G_d of gamma / variance_d times (x, 1)(x, 1)', and k_d of gamma mean_d / variance_d (x, 1).

With them the likelihood of frames under any linear map of the frames is known up to a constant
(Gales 1998, "Maximum likelihood linear transformations for HMM-based speech recognition",
equations 23-26), which fMLLR and MLLT share. Per frame only D weights are kept; the sums over
frames are one matrix product.

Public names: `TransformStats`.
"""

from __future__ import annotations

import dataclasses

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.models.mixtures import MixtureSet

__all__ = ["TransformStats"]

Array = npt.NDArray[np.float64]

_CHUNK = 4096


@dataclasses.dataclass(eq=False)
class TransformStats:
    """Sums over frames; those of other frames can be added.

    Attributes
    ----------
    count : float
        Frames.
    quadratic : ndarray, shape (D, D + 1, D + 1)
        G_d, symmetric; the last row and column belong to the constant 1.
    linear : ndarray, shape (D, D + 1)
        k_d.
    """

    count: float
    quadratic: Array
    linear: Array

    @classmethod
    def empty(cls, n_dims: int) -> TransformStats:
        """Return the statistics of no frames."""
        n = n_dims + 1
        return cls(0.0, np.zeros((n_dims, n, n)), np.zeros((n_dims, n)))

    def add(self, other: TransformStats) -> None:
        """Add the statistics of other frames."""
        self.count += other.count
        self.quadratic += other.quadratic
        self.linear += other.linear

    def accumulate(
        self,
        mixtures: MixtureSet,
        frames: npt.NDArray[np.float32],
        states: npt.NDArray[np.int64],
        *,
        seen_as: npt.NDArray[np.float32] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Add frames under the Gaussians of their states.

        Parameters
        ----------
        mixtures : MixtureSet
        frames : ndarray of float32, shape (T, D)
            What is to be transformed.
        states : ndarray of int, shape (T,)
            Negative: leave the frame out.
        seen_as : ndarray of float32, shape (T, D), optional
            The frames as posteriors of Gaussians shall see them; by default as they are.
        weights : ndarray of float64, shape (T,), optional
            How much each frame counts.
        """
        n_dims = mixtures.n_dims
        upper = np.triu_indices(n_dims + 1)
        seen = frames if seen_as is None else seen_as
        use = np.where(states >= 0, 1.0 if weights is None else weights, 0.0)
        constants = mixtures.log_weights - 0.5 * np.log(2.0 * np.pi * mixtures.variances).sum(
            axis=1
        )
        precisions = 1.0 / mixtures.variances
        for begin in range(0, len(frames), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            extended = np.ones((len(frames[part]), n_dims + 1))
            extended[:, :-1] = frames[part]
            pull, spring = _weights(
                np.ascontiguousarray(seen[part], dtype=np.float64),
                np.ascontiguousarray(states[part], dtype=np.int64), mixtures.offsets, constants,
                mixtures.means, precisions, use[part],
            )  # fmt: skip
            products = extended[:, upper[0]] * extended[:, upper[1]]
            sums = spring.T @ products  # (D, (D + 1)(D + 2) / 2)
            self.quadratic[:, upper[0], upper[1]] += sums
            self.linear += pull.T @ extended
        self.quadratic = np.triu(self.quadratic) + np.triu(self.quadratic, 1).transpose(0, 2, 1)
        self.count += float(use.sum())


@numba.njit(cache=True, nogil=True)
def _weights(x, path, offsets, constants, means, precisions, use):  # type: ignore[no-untyped-def]
    """Return sums over components of gamma mean / variance and gamma / variance, each (T, D)."""
    n_dims = x.shape[1]
    pull = np.zeros(x.shape)
    spring = np.zeros(x.shape)
    joint = np.empty(len(means))
    for t in range(len(x)):
        if use[t] <= 0.0:
            continue
        begin, end = offsets[path[t]], offsets[path[t] + 1]
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
        for g in range(begin, end):
            share = use[t] * joint[g] / norm
            if share > 1e-6:
                for d in range(n_dims):
                    spring[t, d] += share * precisions[g, d]
                    pull[t, d] += share * precisions[g, d] * means[g, d]
    return pull, spring
