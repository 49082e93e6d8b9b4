"""Sums of frames, their squares and products under posteriors, and the Gaussians they define.

In: posteriors (G, n) with frames (n, D), chunk by chunk. Out: occupancies, means and floored
covariances of highest likelihood.

Moments are taken about a fixed point (the data's mean), so that data far from zero lose no
digits. Raising variances to a floor, or the eigenvalues of a covariance relative to the floor,
is the exact constrained maximum: the likelihood of EM still never decreases.

Public names: `DiagonalMoments`, `FullMoments`, `Moments`, `floor_of`, `floored_covariances`,
`spread_of`.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "DiagonalMoments",
    "FullMoments",
    "Moments",
    "floor_of",
    "floored_covariances",
    "spread_of",
]

Array = npt.NDArray[np.float64]

_ULPS = 16  # a standard deviation of so many last digits is rounding


def spread_of(frames: npt.NDArray[Any]) -> tuple[Array, Array]:
    """Return mean and variance of frames (N, D), both of shape (D,), in float64.

    Notes
    -----
    The corrected two-pass algorithm (Chan, Golub & LeVeque 1983): a mean far above the spread
    (seconds since 1970) costs no digits, and a constant dimension has variance 0 but for rounding.
    """
    mean = frames.mean(axis=0, dtype=np.float64)
    away = frames - mean
    missed = away.mean(axis=0)  # what rounding left of the mean
    variance = np.einsum("nd,nd->d", away, away) / len(away) - missed**2
    return np.asarray(mean + missed), np.asarray(np.maximum(variance, 0.0))


def floor_of(
    variances: Array, means: Array, share: float, *, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Return the smallest variance allowed in each dimension, shape (D,), always positive.

    Parameters
    ----------
    variances, means : ndarray, shape (D,)
        Of all training frames.
    share : float
        Of the global variance; a dimension that does not vary beyond rounding gets a millionth
        of its squared value, or of one, instead.
    dtype : dtype
        That the frames are kept in: it says what rounding is.
    """
    rounding = _ULPS * float(np.finfo(dtype).eps) * np.abs(means)
    constant = np.asarray((variances <= rounding**2) | (variances < 1e-200))
    stand_in = 1e-6 * np.maximum(means**2, 1.0)
    return np.where(constant, stand_in, share * variances)


def floored_covariances(covariances: Array, floor: Array) -> tuple[Array, int]:
    """Return covariances with no direction narrower than the floor, and how many were raised.

    Parameters
    ----------
    covariances : ndarray, shape (G, D) or (G, D, D)
        Full ones need not be positive definite (collinear or few frames).
    floor : ndarray, shape (D,)

    Notes
    -----
    Full: with F the diagonal matrix of floors, the eigenvalues of F^-1/2 C F^-1/2 are raised
    to 1; the result maximizes the likelihood under C >= F.
    """
    if covariances.ndim == 2:
        return np.maximum(covariances, floor), int((covariances < floor).sum())
    scale = np.sqrt(floor)
    scales = scale[:, None] * scale
    values, vectors = np.linalg.eigh(covariances / scales)
    low = values < 1.0
    raised = np.einsum("gij,gj,gkj->gik", vectors, np.maximum(values, 1.0), vectors) * scales
    touched = np.asarray(low.any(axis=1))[:, None, None]
    symmetric = 0.5 * (raised + raised.transpose(0, 2, 1))
    return np.where(touched, symmetric, covariances), int(low.sum())


class Moments(abc.ABC):
    """Moments of G components about a point; `DiagonalMoments` and `FullMoments` fill them.

    Attributes
    ----------
    occupancy : ndarray, shape (G,)
    first : ndarray, shape (G, D)
    second : ndarray, shape (G, D) or (G, D, D)
    """

    def __init__(self, shift: Array, n_components: int, second_shape: tuple[int, ...]) -> None:
        self.shift = shift
        self.occupancy = np.zeros(n_components)
        self.first = np.zeros((n_components, len(shift)))
        self.second = np.zeros((n_components, *second_shape))

    def add(self, other: Moments) -> None:
        """Add the moments of other frames, about the same point."""
        self.occupancy += other.occupancy
        self.first += other.first
        self.second += other.second

    @abc.abstractmethod
    def accumulate(self, posteriors: npt.NDArray[Any], expanded: npt.NDArray[Any]) -> None:
        """Add frames as ``Gaussians.expand`` laid them out, about the same point."""

    @abc.abstractmethod
    def covariances(self) -> Array:
        """Return covariances (G, D) or (G, D, D), not floored."""

    def means(self) -> Array:
        """Return the mean of every component, shape (G, D); the point where it saw nothing."""
        return np.asarray(self.shift + self.first / self._counts()[:, None])

    def _counts(self) -> Array:
        return np.maximum(self.occupancy, 1e-300)


class DiagonalMoments(Moments):
    """Moments whose second order is kept for each dimension alone."""

    def __init__(self, shift: Array, n_components: int) -> None:
        super().__init__(shift, n_components, (len(shift),))

    def accumulate(self, posteriors: npt.NDArray[Any], expanded: npt.NDArray[Any]) -> None:
        """Add frames given as `DiagonalGaussians.expand` lays them out, about the same point."""
        n_dims = len(self.shift)
        sums = posteriors @ expanded  # (G, 2 D + 1): firsts, seconds, occupancy in one product
        self.first += sums[:, :n_dims]
        self.second += sums[:, n_dims:-1]
        self.occupancy += sums[:, -1]

    def covariances(self) -> Array:
        """Return variances (G, D), not floored."""
        counts = self._counts()[:, None]
        return np.asarray(self.second / counts - (self.first / counts) ** 2)


class FullMoments(Moments):
    """Moments whose second order is a matrix."""

    def __init__(self, shift: Array, n_components: int) -> None:
        super().__init__(shift, n_components, (len(shift), len(shift)))

    def accumulate(self, posteriors: npt.NDArray[Any], expanded: npt.NDArray[Any]) -> None:
        """Add frames (n, D) from which `shift` was subtracted."""
        self.occupancy += posteriors.sum(axis=1)
        self.first += posteriors @ expanded
        columns = np.ascontiguousarray(expanded.T)
        for g, row in enumerate(posteriors):
            self.second[g] += (columns * row) @ expanded

    def covariances(self) -> Array:
        """Return covariances (G, D, D), symmetric, not floored."""
        counts = self._counts()[:, None, None]
        mean = self.first / self._counts()[:, None]
        full = self.second / counts - mean[:, :, None] * mean[:, None, :]
        return np.asarray(0.5 * (full + full.transpose(0, 2, 1)))
