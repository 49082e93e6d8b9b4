"""Audio to features while it still comes in.

In: samples in pieces of any size. Out: features in blocks whose borders do not depend on the
pieces: a stream that gets everything at once and one that gets sample after sample give the same
features to the bit.

Public names: `FeatureStream`, `SampleStream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import INT16_SCALE
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import CepstraStream, FrontEnd
from wfst_hmm.signal.live_cmvn import LiveCmvn, LiveCmvnOptions

__all__ = ["FeatureStream", "SampleStream"]

Array = npt.NDArray[np.float32]
#: What turns raw cepstra (T, n_ceps) and statistics into features: a model's ``finish``.
Finish = Callable[[npt.NDArray[np.floating], CmvnStats], Features]


class SampleStream:
    """Samples of any kind to those that a front end wants: one channel, float32, one rate.

    Parameters
    ----------
    rate : int
        Samples per second wanted.
    incoming_rate : int, optional
        Samples per second that come in; by default `rate`.
    resample : bool
        Convert another incoming rate (soxr, high quality) instead of refusing it.
    channel : int, optional
        Which channel of pieces of shape (N, C).

    Raises
    ------
    UsageError
        A rate is not positive; or another one comes in and `resample` is not set.
    """

    def __init__(
        self,
        rate: int,
        incoming_rate: int | None = None,
        *,
        resample: bool = False,
        channel: int | None = None,
    ) -> None:
        incoming_rate = rate if incoming_rate is None else incoming_rate
        if incoming_rate <= 0:
            raise UsageError("no sampling rate", got=incoming_rate, expected="samples per second")
        if incoming_rate != rate and not resample:
            raise UsageError("wrong sampling rate", got=f"{incoming_rate} Hz",
                             expected=f"{rate} Hz", fix="Allow resampling.")  # fmt: skip
        self._channel = channel
        self._n_samples = 0
        self._resampler: Any = None
        if incoming_rate != rate:
            import soxr

            self._resampler = soxr.ResampleStream(incoming_rate, rate, 1, dtype="float32")

    def accept(self, samples: npt.ArrayLike) -> Array:
        """Return the samples (n,) that are ready; a piece may be empty.

        Parameters
        ----------
        samples : array_like, shape (N,) or (N, C)
            Floating point at full scale 1, or int16.

        Raises
        ------
        DataError
            NaN or infinity, another type of number, several channels of which none was chosen.
            Nothing of the piece was taken: the stream goes on with the next one.
        """
        piece = self._one_channel(np.asarray(samples))
        self._n_samples += len(piece)
        if self._resampler is None or not len(piece):
            return piece
        return np.asarray(self._resampler.resample_chunk(piece), dtype=np.float32)

    def finish(self) -> Array:
        """Return what the resampler still holds."""
        if self._resampler is None:
            return np.zeros(0, dtype=np.float32)
        last = self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        return np.asarray(last, dtype=np.float32)

    def __getstate__(self) -> dict[str, Any]:
        if self._resampler is not None and self._n_samples:
            raise UsageError("a stream that resamples cannot be copied once audio came in",
                             fix="Give it audio of its own rate.")  # fmt: skip
        return vars(self)

    def _one_channel(self, samples: npt.NDArray[Any]) -> Array:
        if samples.size == 0:
            return np.zeros(0, dtype=np.float32)
        if samples.ndim == 2:
            if self._channel is None and samples.shape[1] == 1:
                samples = samples[:, 0]
            elif self._channel is None:
                raise DataError(f"{samples.shape[1]} channels", expected="one channel",
                                fix="Choose one (channel), or mix them down.")  # fmt: skip
            elif not 0 <= self._channel < samples.shape[1]:
                raise DataError(f"no channel {self._channel}",
                                got=f"{samples.shape[1]} channels")  # fmt: skip
            else:
                samples = samples[:, self._channel]
        elif samples.ndim != 1 or self._channel not in (None, 0):
            raise DataError("samples of an unknown shape", got=f"shape {samples.shape}",
                            expected="(N,) or (N, C)")  # fmt: skip
        if samples.dtype == np.int16:
            return np.asarray(samples.astype(np.float32) / np.float32(INT16_SCALE))
        if samples.dtype.kind != "f":
            raise DataError("samples of an unknown type", got=str(samples.dtype),
                            expected="floating point at full scale 1, or int16")  # fmt: skip
        piece = np.ascontiguousarray(samples, dtype=np.float32)
        finite = np.isfinite(piece)
        if not finite.all():
            at = int(np.argmin(finite))
            raise DataError(f"sample {self._n_samples + at} is {piece[at]}",
                            expected="finite samples")  # fmt: skip
        return piece


class FeatureStream:
    """Features of audio that still comes in.

    Parameters
    ----------
    front_end : FrontEnd
    finish : callable (raw cepstra, CmvnStats) -> Features
        Normalizes by given statistics, adds slopes and whatever else the model wants: its
        ``finish``.
    normalization : LiveCmvnOptions, optional
    reach : int, optional
        Frames on either side that a feature depends on, where `finish` looks further than the
        front end says.
    stats : CmvnStats, optional
        Statistics known beforehand. With ``kind="fixed"`` the features are the batch's with
        these statistics.
    cepstra : CepstraStream, optional
        Where raw cepstra come from; by default a new stream of the front end.
    block_frames : int
        Frames of a block; the last block may be shorter.

    Notes
    -----
    Audio without sound of its own costs no frame: an input shorter than one frame gives none.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        finish: Finish,
        normalization: LiveCmvnOptions | None = None,
        *,
        reach: int | None = None,
        stats: CmvnStats | None = None,
        cepstra: CepstraStream | None = None,
        block_frames: int = 10,
    ) -> None:
        if block_frames < 1:
            raise UsageError("frames of a block", got=block_frames, expected="1 or more")
        self._finish = finish
        self._reach = front_end.reach if reach is None else reach
        self._block = block_frames
        self._cepstra = cepstra or front_end.stream(block_frames=block_frames)
        n_ceps = front_end.n_ceps
        #: Statistics that change nothing: the stream has normalized by itself.
        self._identity = CmvnStats(1.0, np.zeros(n_ceps), np.ones(n_ceps))
        self._live = None
        if front_end.normalization != "none":
            self._live = LiveCmvn(normalization or LiveCmvnOptions(), front_end, stats)
        self._frames = np.zeros((0, n_ceps), dtype=np.float32)  # normalized, with past context
        self._n_before = 0  # how many of them are context of the next block

    def accept(self, samples: Array) -> list[Features]:
        """Return the blocks that became ready.

        Parameters
        ----------
        samples : ndarray of float32, shape (n,)
            At the options' rate, full scale 1, finite (`SampleStream` sees to all that).
        """
        self._take(self._cepstra.accept(samples))
        blocks = []
        while len(self._frames) - self._n_before >= self._block + self._reach:
            blocks.append(self._next(self._block))
        return blocks

    def finish(self) -> list[Features]:
        """Return the last blocks: no more audio comes."""
        self._take(self._cepstra.finish())
        if self._live is not None:
            self._append(self._live.finish())
        blocks = []
        while (left := len(self._frames) - self._n_before) > 0:
            blocks.append(self._next(min(self._block, left)))
        return blocks

    def _take(self, raw: Array) -> None:
        if len(raw):
            self._append(raw if self._live is None else self._live.accept(raw))

    def _append(self, frames: Array) -> None:
        if len(frames):
            self._frames = np.concatenate([self._frames, frames])

    def _next(self, n: int) -> Features:
        """Finish `n` frames within their context; drop what no later frame needs."""
        first, end = self._n_before, self._n_before + n
        window = self._finish(self._frames[: end + self._reach], self._identity)
        block = Features(window.array[first:end], window.frame_shift)
        drop = max(0, end - self._reach)
        self._frames = self._frames[drop:]
        self._n_before = end - drop
        return block
