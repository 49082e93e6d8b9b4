"""Acoustic scores that are computed when a search asks for them.

In: a model's densities and features. Out: `LazyScores`, which scores the states it is asked for.

Public names: `LazyScores`, `StateDensities`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.models.checks import as_frames
from wfst_hmm.models.scores import Scores
from wfst_hmm.signal.features import Features

__all__ = ["LazyScores", "StateDensities"]

_BLOCK = 16  # frames


class StateDensities(Protocol):
    """Densities of S states: `MixtureSet`, `CodebookSet`, or your own."""

    @property
    def n_states(self) -> int:
        """Number of score columns."""

    def log_likelihoods(
        self, x: npt.ArrayLike, states: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Return log-likelihoods of frames, shape (T, S), or of some states."""


class LazyScores:
    """Scores of T frames under S states, computed for the states that a search asks for.

    `wfst_hmm.search.decode.decode` and `decode_beam` take them in place of `Scores`.

    Parameters
    ----------
    densities : MixtureSet, CodebookSet or `StateDensities`
        Their ``log_likelihoods(x, states)`` scores some states alone.
    features : Features or array_like, shape (T, D)
    frame_shift : float
        Seconds from one frame to the next, where `features` are an array.
    frame_offset : float, optional
        As for `Scores`.
    block : int
        Frames. A column that is asked for is computed up to the end of its block: states that
        are active stay so for some frames, and matrix products want more than one.

    Attributes
    ----------
    known : ndarray of bool, shape (T, S)
        What has been computed.

    Raises
    ------
    UsageError
        A block of no frames.
    DataError
        NaN or infinite features; from `ask`, a score that is NaN or +inf.

    Notes
    -----
    Off unless you ask for it: with mixtures and codebooks it is slower than to score all states,
    since one matrix product over all Gaussians costs less than gathering some of them again and
    again (a row of ``wfst-hmm bench transcribe``; the same with a hundred Gaussians a state).
    It is for densities of your own that cost more than a matrix product.
    """

    def __init__(
        self,
        densities: StateDensities,
        features: Features | npt.ArrayLike,
        frame_shift: float = 0.01,
        *,
        frame_offset: float | None = None,
        block: int = _BLOCK,
    ) -> None:
        if block < 1:
            raise UsageError("a block of no frames", where="block", got=block, expected="1 or more")
        array: Any = features
        self.seconds: float | None = None
        if isinstance(features, Features):
            array, frame_shift, self.seconds = (
                features.array, features.frame_shift, features.seconds
            )  # fmt: skip
        self._densities = densities
        self._frames = as_frames(array, None, name="features", dtype=np.float32, allow_empty=True)
        self._block = block
        self.frame_shift, self.frame_offset = frame_shift, frame_offset
        shape = (len(self._frames), densities.n_states)
        self._array = np.full(shape, -np.inf, dtype=np.float32)
        self.known = np.zeros(shape, dtype=np.bool_)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self._array)

    @property
    def n_columns(self) -> int:
        """Number of score columns S."""
        return int(self._array.shape[1])

    def ask(self, first: int, end: int, columns: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Return frames ``first`` to ``end``, one block at most, with `columns` computed.

        Parameters
        ----------
        columns : ndarray of bool, shape (S,)

        Returns
        -------
        ndarray of float32, shape (end - first, S)
            Log-likelihoods; -inf where nobody asked yet.
        """
        stop = max(end, min(self.n_frames, first - first % self._block + self._block))
        missing = np.flatnonzero(columns & ~self.known[first:end].all(axis=0))
        if len(missing) and stop > first:
            found = self._densities.log_likelihoods(self._frames[first:stop], missing)
            if not found.max() < np.inf:  # also where it is NaN
                frame, column = np.argwhere(~(found < np.inf))[0]
                raise DataError(
                    f"score of frame {first + frame}, column {missing[column]} is no "
                    "log-likelihood", got=found[frame, column], expected="a finite number or -inf",
                )  # fmt: skip
            self._array[first:stop, missing] = found
            self.known[first:stop, missing] = True
        rows = self._array[first:end]
        rows.flags.writeable = False  # as those of `Scores`: kernels are compiled for such arrays
        return rows

    def so_far(self) -> Scores:
        """Return the scores with -inf where nobody asked: enough to look up a search's paths."""
        return Scores(self._array, self.frame_shift, self.frame_offset, self.seconds)

    def full(self) -> Scores:
        """Return the scores with all columns computed."""
        self.ask(0, self.n_frames, np.ones(self.n_columns, dtype=np.bool_))
        return self.so_far()
