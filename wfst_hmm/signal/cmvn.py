"""Cepstral mean and variance normalization (Atal 1974; Viikki & Laurila 1998).

In: raw features of an utterance, or of all utterances of a speaker. Out: `CmvnStats`, sums that
can be merged, and features of mean 0 (and variance 1).

Public names: `CmvnStats`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError

__all__ = ["CmvnStats"]

_MIN_VARIANCE = 1e-10  # a dimension that never moves must not be divided by zero


@dataclasses.dataclass(frozen=True, eq=False)
class CmvnStats:
    """Zeroth, first and second order sums over frames; a value: adding makes a new one.

    Attributes
    ----------
    count : float
        Number of frames.
    sum, sumsq : ndarray of float64, shape (D,)
        Sums of the features and of their squares.
    """

    count: float
    sum: npt.NDArray[np.float64]
    sumsq: npt.NDArray[np.float64]

    @classmethod
    def of(cls, features: npt.NDArray[np.floating]) -> CmvnStats:
        """Accumulate the frames of `features`, shape (T, D)."""
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2:
            raise DataError("features must be a T x D array", got=f"shape {x.shape}")
        return cls(float(len(x)), x.sum(axis=0), np.einsum("td,td->d", x, x))

    @classmethod
    def merge(cls, parts: Iterable[CmvnStats]) -> CmvnStats:
        """Add up the sums of several utterances.

        Raises
        ------
        DataError
            There are none, or their dimensions differ.
        """
        parts = list(parts)
        if not parts:
            raise DataError("no statistics to merge", expected="at least one utterance")
        total = parts[0]
        for part in parts[1:]:
            total = total.add(part)
        return total

    def add(self, other: CmvnStats) -> CmvnStats:
        """Return the sums of both.

        Raises
        ------
        DataError
            Their dimensions differ.
        """
        if self.sum.shape != other.sum.shape:
            raise DataError(
                "statistics of different dimension",
                got=f"{other.sum.shape[0]}",
                expected=f"{self.sum.shape[0]}",
            )
        return CmvnStats(self.count + other.count, self.sum + other.sum, self.sumsq + other.sumsq)

    def to_dict(self) -> dict[str, Any]:
        """Return count, mean and variance, JSON-ready, as a model's ``info`` keeps them."""
        return {"count": self.count, "mean": self.mean.tolist(), "variance": self.variance.tolist()}

    @classmethod
    def of_training(cls, info: Mapping[str, Any]) -> CmvnStats | None:
        """Return what a model's ``info`` says of the cepstra it was trained on; None: nothing."""
        known = info.get("cepstra")
        if not known:
            return None
        mean, variance = np.array(known["mean"]), np.array(known["variance"])
        return cls(known["count"], known["count"] * mean, known["count"] * (variance + mean**2))

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean of every dimension, shape (D,)."""
        return self.sum / max(self.count, 1.0)

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """Variance (divided by the count) of every dimension, floored above 0, shape (D,)."""
        spread = self.sumsq / max(self.count, 1.0) - self.mean**2
        return np.maximum(spread, _MIN_VARIANCE)

    def apply(
        self, features: npt.NDArray[np.floating], *, variance: bool = False
    ) -> npt.NDArray[np.float32]:
        """Subtract the mean, and divide by the standard deviation if asked to.

        Parameters
        ----------
        features : ndarray, shape (T, D)
        variance : bool
            Also scale every dimension to variance 1.

        Returns
        -------
        ndarray of float32, shape (T, D)

        Raises
        ------
        DataError
            No frames were counted, or D differs.
        """
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.sum.shape[0]:
            raise DataError(
                "features do not fit the statistics",
                got=f"shape {x.shape}",
                expected=f"(T, {self.sum.shape[0]})",
            )
        if self.count <= 0:
            raise DataError("statistics of no frames", expected="at least one frame")
        normalized = x - self.mean
        if variance:
            normalized /= np.sqrt(self.variance)
        return normalized.astype(np.float32)
