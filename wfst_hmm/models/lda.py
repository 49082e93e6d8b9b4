"""Linear discriminant analysis: the directions of features that tell classes apart.

In: frames with their classes. Out: a matrix (m, D) that makes the frames of a class spread alike
in all directions (covariance: the identity) and the classes lie as far apart as m dimensions let
them.

Public names: `LdaStats`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

from wfst_hmm.errors import DataError

__all__ = ["LdaStats"]

Array = npt.NDArray[np.float64]


class LdaStats:
    """Sums over frames: of each class, and of all products.

    Parameters
    ----------
    n_classes : int
    n_dims : int
    """

    def __init__(self, n_classes: int, n_dims: int) -> None:
        self.count = np.zeros(n_classes)
        self.first = np.zeros((n_classes, n_dims))
        self.second = np.zeros((n_dims, n_dims))

    def add(self, frames: npt.NDArray[np.floating], classes: npt.NDArray[np.integer]) -> None:
        """Add frames (T, D) with their classes (T,); negative classes are left out."""
        used = classes >= 0
        x, own = frames[used].astype(np.float64), classes[used]
        order = np.argsort(own, kind="stable")
        groups, first = np.unique(own[order], return_index=True)
        if len(groups):
            self.first[groups] += np.add.reduceat(x[order], first, axis=0)
        self.count += np.bincount(own, minlength=len(self.count))
        self.second += x.T @ x

    def scatters(self) -> tuple[Array, Array]:
        """Return covariances within and between classes, each (D, D)."""
        total = self.count.sum()
        if total <= 0:
            raise DataError("no frames for the discriminant analysis")
        seen = self.count > 0
        means = self.first[seen] / self.count[seen, None]
        mean = self.first.sum(axis=0) / total
        away = means - mean
        between = (away * (self.count[seen, None] / total)).T @ away
        everything = self.second / total - np.outer(mean, mean)
        return everything - between, between

    def estimate(self, n_dims: int) -> Array:
        """Return the matrix (n_dims, D), the most telling direction first.

        Raises
        ------
        DataError
            More dimensions are wanted than the features have.

        Notes
        -----
        Haeb-Umbach & Ney (1992), "Linear discriminant analysis for improved large vocabulary
        continuous speech recognition": eigenvectors of W^-1 B. A direction in which no class
        varies is kept from dominating by a ten-thousandth of the mean variance.
        """
        within, between = self.scatters()
        if not 1 <= n_dims <= len(within):
            raise DataError("more dimensions than the features have", got=n_dims,
                            expected=f"1 to {len(within)}")  # fmt: skip
        within = within + 1e-10 * max(float(np.trace(within)) / len(within), 1e-10) * np.eye(
            len(within)
        )
        values, vectors = scipy.linalg.eigh(between, within)
        best = vectors[:, np.argsort(values)[::-1][:n_dims]].T
        # The sign of an eigenvector means nothing: its largest entry is made positive.
        largest = np.abs(best).argmax(axis=1)
        return np.asarray(best * np.sign(best[np.arange(n_dims), largest])[:, None])
