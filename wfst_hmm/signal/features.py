"""Features, and their slopes over time.

In: an array. Out: `Features`, T x D float32.

Public names: `Features`, `add_deltas`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError

__all__ = ["Features", "add_deltas"]


@dataclasses.dataclass(frozen=True, eq=False)
class Features(Frozen):
    """Finished features of one utterance.

    Attributes
    ----------
    array : ndarray of float32, shape (T, D), read-only
    frame_shift : float
        Seconds from one frame to the next.

    Raises
    ------
    DataError
        Not two-dimensional, or an entry is not finite (frame and dimension are named).
    """

    array: npt.NDArray[np.float32]
    frame_shift: float = 0.01

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(as_numbers(self.array, name="features", dtype=np.float32))
        if array.ndim != 2:
            raise DataError("features must be a T x D array", got=f"shape {array.shape}")
        if not np.isfinite(array).all():
            frame, dim = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise DataError(
                f"feature {dim} of frame {frame} is {array[frame, dim]}",
                expected="finite features",
                fix="Look at the audio there.",
            )
        object.__setattr__(self, "array", read_only(array))

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.array.shape[0])

    @property
    def n_dims(self) -> int:
        """Dimension D."""
        return int(self.array.shape[1])


def add_deltas(
    features: npt.NDArray[np.floating], *, order: int = 2, window: int = 2
) -> npt.NDArray[np.float32]:
    """Append the regression slopes of every dimension, and the slopes' slopes.

    Order n convolves the frames with the n-fold convolution of ``w[j] = j / sum(k^2)``,
    j = -window .. window, the first and last frame repeated beyond the edges: the HTK Book
    (Young et al. 2006), equation 5.16, taken to higher orders as in Kaldi's ``add-deltas``.

    Parameters
    ----------
    features : ndarray, shape (T, D)
    order : int
        0 leaves the features as they are.
    window : int
        Frames on each side, at least 1.

    Returns
    -------
    ndarray of float32, shape (T, D * (order + 1))
    """
    x = np.asarray(features, dtype=np.float32)
    n_frames, n_dims = x.shape
    out = np.empty((n_frames, n_dims * (order + 1)), dtype=np.float32)
    out[:, :n_dims] = x
    if n_frames == 0:
        return out
    steps = np.arange(-window, window + 1, dtype=np.float64)
    slope = steps / (steps @ steps)
    weights = np.ones(1)
    for n in range(1, order + 1):
        weights = np.convolve(weights, slope)
        reach = n * window
        padded = x[np.clip(np.arange(-reach, n_frames + reach), 0, n_frames - 1)]
        block = np.zeros((n_frames, n_dims))
        for j, weight in enumerate(weights):
            if weight:
                block += weight * padded[j : j + n_frames]
        out[:, n * n_dims : (n + 1) * n_dims] = block
    return out
