"""Cepstral mean normalization while the audio still comes in.

In: raw cepstra, frame by frame. Out: normalized ones, the same however the frames are cut into
pieces.

A whole utterance is normalized by the mean of all its frames, of which a stream knows the
beginning only: its features differ from the batch's, most at the start. With the statistics of
the speaker, known beforehand, both are the same.

Public names: `LiveCmvn`, `LiveCmvnOptions`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.cmvn import CmvnStats

__all__ = ["LiveCmvn", "LiveCmvnOptions"]

Array = npt.NDArray[np.float32]
#: Which frames (n, D) have a say in a mean.
Counted = Callable[[npt.NDArray[np.floating]], npt.NDArray[np.bool_]]
KINDS = ("running", "sphinx", "fixed")
_SPHINX_KEPT, _SPHINX_FULL = 500, 800  # frames: CMN_WIN and CMN_WIN_HWM of PocketSphinx


def _option(default: object, text: str) -> object:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class LiveCmvnOptions:
    """How a stream is normalized; each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible.
    """

    kind: str = _option(  # type: ignore[assignment]
        "running",
        "running: mean of the last frames; sphinx: the live mean of PocketSphinx, moved from time "
        "to time; fixed: given statistics only.",
    )
    window: int = _option(  # type: ignore[assignment]
        600, "Frames that a running mean looks back."
    )
    prior_frames: int = _option(  # type: ignore[assignment]
        200, "Frames that the statistics known beforehand count for, until the window is full."
    )
    wait: int = _option(  # type: ignore[assignment]
        50, "Without such statistics, the first frames stand for them: so many are waited for."
    )

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError("unknown kind of normalization", got=self.kind,
                             expected=" or ".join(KINDS))  # fmt: skip
        for name, least in (("window", 1), ("prior_frames", 0), ("wait", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} of the normalization", got=getattr(self, name),
                                 expected=f"{least} or more")  # fmt: skip


class LiveCmvn:
    """Normalizes frames as they come.

    Parameters
    ----------
    options : LiveCmvnOptions
    prior : CmvnStats, optional
        Statistics known beforehand: of the speaker, or of many.
    variance : bool
        Also scale to variance 1.
    counted : callable, optional
        Tells which of the frames (n, D) have a say in the mean: a front end's ``counted``. By
        default all have.
    n_dims : int, optional
        Dimensions that are normalized, from the first; those behind them are left as they are.
        By default all are.

    Raises
    ------
    UsageError
        ``fixed`` without statistics, or ``sphinx`` with variances.
    DataError
        The statistics are of no frames.

    Notes
    -----
    ``running``: frame t is normalized by the mean of frames max(0, t - window + 1) to t and of
    the prior, which counts for ``min(prior_frames, window - number of these frames)`` frames:
    Kaldi's online CMVN (``online-feature.h``, OnlineCmvn). ``sphinx``: the mean stands still
    until 800 frames are counted, the prior's mean being 500 of them; then it becomes theirs, and
    they count for 500 (PocketSphinx, ``cmn_live.c``, which looks at the count once per piece
    of audio and leaves frames with c0 < 0 as they are: here, once per frame, and all are
    shifted).
    """

    def __init__(
        self,
        options: LiveCmvnOptions,
        prior: CmvnStats | None = None,
        *,
        variance: bool = False,
        counted: Counted | None = None,
        n_dims: int | None = None,
    ) -> None:
        if options.kind == "fixed" and prior is None:
            raise UsageError("fixed normalization needs statistics",
                             fix="Compute them from recordings of the speaker.")  # fmt: skip
        if options.kind == "sphinx" and variance:
            raise UsageError("sphinx normalizes the mean only, the model wants the variance, too",
                             fix="Take running, or fixed.")  # fmt: skip
        if prior is not None and prior.count <= 0:
            raise DataError("statistics of no frames", expected="at least one frame")
        self._options = options
        self._prior = prior
        self._variance = variance
        self._n_dims = n_dims
        self._counted: Counted = counted or (lambda frames: np.ones(len(frames), dtype=bool))
        self._waiting: list[Array] = []
        self._count = 0.0
        self._sums: npt.NDArray[np.float64] = np.zeros(0)  # of x and of its square, side by side
        self._recent: npt.NDArray[np.float64] = np.zeros((0, 0))  # the window's rows: weight, sums
        self._mean: npt.NDArray[np.float64] = np.zeros(0)

    def accept(self, frames: Array) -> Array:
        """Return the frames (n, D) that are ready, normalized: all of them, or none so far."""
        if self._prior is None:
            self._waiting.append(frames)
            if sum(map(len, self._waiting)) < self._options.wait:
                return frames[:0]
            return self._begin()
        return self._normalized(frames) if len(frames) else frames

    def finish(self) -> Array:
        """Return the frames that were still waited with."""
        return self._begin() if self._waiting else np.zeros((0, 0), dtype=np.float32)

    def _begin(self) -> Array:
        frames = np.concatenate(self._waiting)
        self._waiting = []
        if not len(frames):
            return frames
        first = frames[: self._options.wait]
        counted = first[self._counted(first)]
        self._prior = CmvnStats.of(counted if len(counted) else first)
        return self._normalized(frames)

    def _normalized(self, frames: Array) -> Array:
        found = self._shifted(frames)
        if self._n_dims is not None:
            found[:, self._n_dims :] = frames[:, self._n_dims :]
        return found

    def _shifted(self, frames: Array) -> Array:
        prior = self._prior
        assert prior is not None  # accept and _begin see to it
        if self._options.kind == "fixed":
            return prior.apply(frames, variance=self._variance)
        x = frames.astype(np.float64)
        weight = self._counted(frames).astype(float)
        if self._options.kind == "sphinx":
            return self._sphinx(x, weight, prior)
        return self._running(x, weight, prior)

    def _running(
        self, x: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], prior: CmvnStats
    ) -> Array:
        rows = np.hstack([weight[:, None], weight[:, None] * x, weight[:, None] * x * x])
        if not self._recent.size:
            self._recent = np.zeros((self._options.window, rows.shape[1]))
            self._sums = np.zeros(rows.shape[1])
        leaving = np.concatenate([self._recent, rows])
        self._recent = leaving[len(rows) :]
        # One addition a frame, in order: pieces of any size add up to the same bits.
        steps = np.concatenate([self._sums[None], rows - leaving[: len(rows)]])
        sums = np.add.accumulate(steps, axis=0)[1:]
        self._sums = sums[-1]
        count = sums[:, :1]
        share = np.clip(self._options.window - count, 0, self._options.prior_frames) / prior.count
        total = np.maximum(count + share * prior.count, 1e-10)
        n = x.shape[1]
        mean = (sums[:, 1 : n + 1] + share * prior.sum) / total
        normalized = x - mean
        if self._variance:
            spread = (sums[:, n + 1 :] + share * prior.sumsq) / total - mean**2
            normalized /= np.sqrt(np.maximum(spread, 1e-10))
        return np.asarray(normalized, dtype=np.float32)

    def _sphinx(
        self, x: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], prior: CmvnStats
    ) -> Array:
        if not self._count:
            self._count, self._mean = float(_SPHINX_KEPT), prior.mean
            self._sums = prior.mean * _SPHINX_KEPT
        normalized = np.empty_like(x)
        for frame in range(len(x)):
            normalized[frame] = x[frame] - self._mean
            if weight[frame]:
                self._sums = self._sums + x[frame]
                self._count += 1
            if self._count > _SPHINX_FULL:
                self._mean = self._sums / self._count
                self._sums = self._mean * _SPHINX_KEPT
                self._count = float(_SPHINX_KEPT)
        return normalized.astype(np.float32)
