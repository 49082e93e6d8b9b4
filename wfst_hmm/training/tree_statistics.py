"""What decision trees are grown from: moments of the frames of every HMM state in its context.

In: frames, and for each frame the context of its HMM state. Out: `ContextStats`: occupancy and
first and second moments of each context that occurs, and sums of them.

Public names: `ContextStats`, `gaussian_log_likelihood`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import scipy.sparse

__all__ = ["ContextStats", "gaussian_log_likelihood"]

Array = npt.NDArray[np.float64]

_CHUNK = 1 << 16
_LOG_2_PI = float(np.log(2.0 * np.pi))


@dataclasses.dataclass(frozen=True, eq=False)
class ContextStats:
    """Moments of M contexts, sorted by context.

    Attributes
    ----------
    context : ndarray of int32, shape (M, 5)
        Left neighbour, phone, right neighbour, place in the word, HMM state.
    moments : ndarray of float64, shape (M, 2 D + 1)
        Sums over the frames: of their values, of the squares, and their number.
    """

    context: npt.NDArray[np.int32]
    moments: Array

    @property
    def n_dims(self) -> int:
        """Dimension D."""
        return int(self.moments.shape[1] - 1) // 2

    @property
    def occupancy(self) -> Array:
        """Frames of each context, shape (M,)."""
        return np.asarray(self.moments[:, -1])

    @classmethod
    def of(
        cls, parts: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]
    ) -> ContextStats:
        """Sum up frames (n, D) with their contexts (n, 5); rows of -1 are left out.

        Sums are float64, in the order of the parts.
        """
        context = np.empty((0, 5), dtype=np.int32)
        moments = np.empty((0, 0))
        for frames, rows in _chunks(parts):
            used = rows[:, 1] >= 0
            some, own = frames[used].astype(np.float64), rows[used]
            if not len(own):
                continue
            values = np.column_stack([some, some * some, np.ones(len(some))])
            new, sums = _summed(own, values)
            if not len(context):
                context, moments = new, sums
            else:
                context, moments = _summed(
                    np.concatenate([context, new]), np.concatenate([moments, sums])
                )
        return cls(context, moments)

    def gaussians(
        self, groups: npt.NDArray[np.int32], n_groups: int, floor: Array
    ) -> tuple[Array, Array, Array]:
        """Return occupancies (S,), means and variances (S, D) of sums of contexts.

        Parameters
        ----------
        groups : ndarray of int32, shape (M,)
            Group of each context.
        n_groups : int
        floor : ndarray, shape (D,)
            Smallest variances. A group without a frame gets the Gaussian of all frames.
        """
        sums = np.zeros((n_groups, self.moments.shape[1]))
        np.add.at(sums, groups, self.moments)
        sums = np.where(sums[:, -1:] > 0, sums, self.moments.sum(axis=0))
        d = self.n_dims
        mean = sums[:, :d] / sums[:, -1:]
        variance = sums[:, d:-1] / sums[:, -1:] - mean**2
        occupancy = np.bincount(groups, weights=self.occupancy, minlength=n_groups)
        return occupancy.astype(np.float64), mean, np.maximum(variance, floor)


def _chunks(
    parts: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]],
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
    """Join parts until there are enough frames to make sorting worth while."""
    waiting: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]] = []
    n = 0
    for frames, rows in parts:
        waiting.append((frames, rows))
        n += len(frames)
        if n >= _CHUNK:
            yield np.concatenate([f for f, _ in waiting]), np.concatenate([r for _, r in waiting])
            waiting, n = [], 0
    if waiting:
        yield np.concatenate([f for f, _ in waiting]), np.concatenate([r for _, r in waiting])


def _summed(context: npt.NDArray[np.int32], values: Array) -> tuple[npt.NDArray[np.int32], Array]:
    """Add up the values of equal contexts."""
    rows, place = np.unique(context, axis=0, return_inverse=True)
    place = place.ravel()
    n = len(place)
    gather = scipy.sparse.csr_matrix((np.ones(n), (place, np.arange(n))), shape=(len(rows), n))
    return rows, np.asarray(gather @ values)


def gaussian_log_likelihood(moments: Array, floor: Array) -> Array:
    """Return the log-likelihood of frames under the diagonal Gaussian of their own moments.

    Parameters
    ----------
    moments : ndarray, shape (..., 2 D + 1)
        As in `ContextStats`.
    floor : ndarray, shape (D,)
        Smallest variances.

    Notes
    -----
    Young, Odell & Woodland (1994), "Tree-based state tying", equation 2: -N/2 (D log 2 pi + D +
    sum of the log variances), which is exact where no variance is floored.
    """
    d = (moments.shape[-1] - 1) // 2
    count = moments[..., -1]
    safe = np.maximum(count, 1e-10)[..., None]
    variance = moments[..., d:-1] / safe - (moments[..., :d] / safe) ** 2
    spread = np.log(np.maximum(variance, floor)).sum(axis=-1)
    return np.asarray(-0.5 * count * (d * (_LOG_2_PI + 1.0) + spread))
