"""Features, and their slopes over time.

In: an array. Out: `Features`, T x D float32.

Public names: `Features`, `add_deltas`, `frame_times`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError

__all__ = ["Features", "add_deltas", "frame_times"]


@dataclasses.dataclass(frozen=True, eq=False)
class Features(Frozen):
    """Finished features of one utterance.

    Attributes
    ----------
    array : ndarray of float32, shape (T, D), read-only
    frame_shift : float
        Seconds from one frame to the next.
    seconds : float, optional
        Duration of the audio, where it is known.

    Raises
    ------
    DataError
        Not two-dimensional, or an entry is not finite (frame and dimension are named).
    """

    array: npt.NDArray[np.float32]
    frame_shift: float = 0.01
    seconds: float | None = None

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


def frame_times(
    n_frames: int, shift: float, offset: float = 0.0, seconds: float | None = None
) -> npt.NDArray[np.float64]:
    """Return when each frame takes over from the one before, and the end, shape (T + 1,).

    Parameters
    ----------
    n_frames : int
        T.
    shift, offset : float
        Seconds: the boundary before frame t lies at ``t * shift + offset``, in the middle between
        the middles of two windows (`signal.front_end.FrontEnd`).
    seconds : float, optional
        Duration of the audio; by default that of the windows.

    Notes
    -----
    The first frame has all from the beginning, the last one all to the end: what a window's
    half does not reach at the edges is nobody else's.

    Examples
    --------
    >>> frame_times(4, 0.01, 0.0075, 0.059).tolist()
    [0.0, 0.0175, 0.0275, 0.0375, 0.059]
    """
    times = np.arange(n_frames + 1, dtype=np.float64) * shift + offset
    times[-1] = n_frames * shift + 2 * offset if seconds is None else seconds
    times[0] = 0.0
    np.minimum(times, times[-1], out=times)
    return times


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
