"""Acoustic scores: what the models say of every frame, and what every search reads.

In: an array of log-likelihoods. Out: `Scores`.

Public names: `ACOUSTIC_SCALE`, `Scores`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError

__all__ = ["ACOUSTIC_SCALE", "Scores"]

#: Of models that name no scale of their own. Neighbouring frames say nearly the same, so that the
#: product of their likelihoods claims far too much; a tenth of the logarithm is the usual remedy.
ACOUSTIC_SCALE = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Scores(Frozen):
    """Log-likelihoods of T frames under S tied HMM states.

    Attributes
    ----------
    array : ndarray of float32, shape (T, S)
        Natural logarithms; higher is better; -inf is allowed ("impossible"), NaN and +inf not.
    frame_shift : float
        Seconds from one frame to the next.
    frame_offset : float, optional
        Seconds that the boundary before frame t lies behind ``t * frame_shift``
        (`signal.front_end.FrontEnd.frame_offset`); by default the graph's.
    seconds : float, optional
        Duration of the audio; by default that of the windows.

    Raises
    ------
    DataError
        Not two-dimensional, or an entry is NaN or +inf (frame and column are named).
    """

    array: npt.NDArray[np.float32]
    frame_shift: float = 0.01
    frame_offset: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(as_numbers(self.array, name="scores", dtype=np.float32))
        if array.ndim != 2:
            raise DataError("scores must be a T x S array", got=f"shape {array.shape}")
        if array.size and not array.max() < np.inf:  # also where it is NaN
            wrong = np.isnan(array) | np.isposinf(array)
            frame, column = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"score of frame {frame}, column {column} is no log-likelihood",
                got=array[frame, column],
                expected="a finite number or -inf",
                fix="Look at the features of that frame: empty or silent audio, or a bad model.",
            )
        object.__setattr__(self, "array", read_only(array))

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.array.shape[0])

    @property
    def n_columns(self) -> int:
        """Number of tied states S."""
        return int(self.array.shape[1])
