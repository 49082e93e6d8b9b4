"""Cepstral mean normalization while the audio still comes in.

In: raw cepstra, frame by frame. Out: normalized ones, the same however the frames are cut into
pieces.

A whole utterance is normalized by the mean of all its frames, of which a stream knows the
beginning only: its features differ from the batch's, most at the start. With the statistics of
the speaker, known beforehand, both are the same.

Public names: `LiveCmvn`, `LiveCmvnOptions`, `SpeechGate`.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.options import check, option
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.front_end import FrontEnd

__all__ = ["LiveCmvn", "LiveCmvnOptions", "SpeechGate"]

Array = npt.NDArray[np.float32]
KINDS = ("running", "sphinx", "fixed")
_LOOK_BACK, _LOUD, _HOLD = 300, 5, 30  # frames, of 10 ms mostly
_SPHINX_KEPT, _SPHINX_FULL = 500, 800  # frames: CMN_WIN and CMN_WIN_HWM of PocketSphinx


@dataclasses.dataclass(frozen=True)
class LiveCmvnOptions:
    """How a stream is normalized; each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible.
    """

    kind: str = option(
        "running",
        "running: mean of the last frames; sphinx: the live mean of PocketSphinx, moved from time "
        "to time; fixed: given statistics only.",
        choices=KINDS,
        expected=" or ".join(KINDS),
        what="unknown kind of normalization",
    )
    window: int = option(600, "Frames that a running mean looks back.", least=1)
    prior_frames: int = option(
        200,
        "Frames that the statistics known beforehand count for, until the window is full.",
        least=0,
    )
    wait: int = option(
        50,
        "Without such statistics, speech among so many first frames stands for them.",
        least=1,
    )

    def __post_init__(self) -> None:
        check(self, "{name} of the normalization")


class SpeechGate:
    """Tells, frame by frame as they come, which of them have a say in the mean.

    Parameters
    ----------
    front_end : FrontEnd
        Tells the levels of frames, and digital silence.

    Notes
    -----
    A frame is loud when it lies `MARGIN` decibels above the quietest of the last three seconds;
    speech is five loud frames in a row (a click is not), and what follows within 0.3 s: pauses
    between words had a say in training, too, but not waiting. Noise that is as it was, hum and
    digital silence are no speech, however long they last; music and other voices are.
    """

    MARGIN = 10.0

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        # frame and level, rising: the first is the least of the last `_LOOK_BACK` frames
        self._least: collections.deque[tuple[int, float]] = collections.deque()
        self._n = 0
        self._n_loud = 0  # in a row
        self._hold = 0  # frames that still have a say

    def accept(self, frames: Array) -> npt.NDArray[np.bool_]:
        """Return which of the next frames (n, D) have a say, shape (n,)."""
        levels = self._front_end.level(frames).tolist()
        counted = self._front_end.counted(frames)
        said = np.zeros(len(frames), dtype=bool)
        for i in np.flatnonzero(counted).tolist():
            said[i] = self._next(levels[i])
        return said

    def _next(self, level: float) -> bool:
        least = self._least
        while least and least[-1][1] >= level:
            least.pop()
        least.append((self._n, level))
        if least[0][0] <= self._n - _LOOK_BACK:
            least.popleft()
        self._n += 1
        self._n_loud = self._n_loud + 1 if level > least[0][1] + self.MARGIN else 0
        self._hold = _HOLD if self._n_loud >= _LOUD else max(0, self._hold - 1)
        return self._hold > 0


class LiveCmvn:
    """Normalizes frames as they come.

    Parameters
    ----------
    options : LiveCmvnOptions
    front_end : FrontEnd
        Its normalization, and which frames are speech (`SpeechGate`): others have no say.
    prior : CmvnStats, optional
        Statistics known beforehand: of the speaker, or of what the model was trained on.

    Raises
    ------
    UsageError
        ``fixed`` without statistics, or ``sphinx`` with variances.
    DataError
        The statistics are of no frames.

    Notes
    -----
    ``running``: frame t is normalized by the mean of the last `window` frames up to t that have a
    say and of the prior, which counts for ``min(prior_frames, window - number of these frames)``
    frames: Kaldi's online CMVN (``online-feature.h``, OnlineCmvn), but that silence does not push
    speech out of the window. ``sphinx``: the mean stands still until 800 frames are counted, the
    prior's mean being 500 of them; then it becomes theirs, and they count for 500 (PocketSphinx,
    ``cmn_live.c``, which looks at the count once per piece of audio and leaves frames with c0 < 0
    as they are: here, once per frame, and all are shifted).

    Without a prior the first `wait` frames are waited for. Speech among them stands for it; where
    most are silence, a guess (`FrontEnd.guessed_stats`) that counts for `wait` frames.
    """

    def __init__(
        self, options: LiveCmvnOptions, front_end: FrontEnd, prior: CmvnStats | None = None
    ) -> None:
        self._variance = front_end.scales_variance
        if options.kind == "fixed" and prior is None:
            raise UsageError("fixed normalization needs statistics",
                             fix="Compute them from recordings of the speaker.")  # fmt: skip
        if options.kind == "sphinx" and self._variance:
            raise UsageError("sphinx normalizes the mean only, the model wants the variance, too",
                             fix="Take running, or fixed.")  # fmt: skip
        if prior is not None and prior.count <= 0:
            raise DataError("statistics of no frames", expected="at least one frame")
        self._options = options
        self._front_end = front_end
        self._gate = SpeechGate(front_end)
        self._prior = prior
        self._prior_frames = options.prior_frames
        self._waiting: list[Array] = []
        self._count = 0.0
        self._sums: npt.NDArray[np.float64] = np.zeros(0)  # of 1, of x and of its square
        self._recent: npt.NDArray[np.float64] = np.zeros((0, 0))  # the window's rows of these
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
        spoken = first[SpeechGate(self._front_end).accept(first)]
        if 2 * len(spoken) >= len(first):
            self._prior = CmvnStats.of(spoken)
        else:
            self._prior = self._front_end.guessed_stats(first)
            self._prior_frames = min(self._options.wait, self._prior_frames)
        return self._normalized(frames)

    def _normalized(self, frames: Array) -> Array:
        found = self._shifted(frames)
        left_alone = self._front_end.n_normalized  # and what lies behind these
        found[:, left_alone:] = frames[:, left_alone:]
        return found

    def _shifted(self, frames: Array) -> Array:
        prior = self._prior
        assert prior is not None  # accept and _begin see to it
        if self._options.kind == "fixed":
            return prior.apply(frames, variance=self._variance)
        x = frames.astype(np.float64)
        said = self._gate.accept(frames)
        return (self._sphinx if self._options.kind == "sphinx" else self._running)(x, said, prior)

    def _running(
        self, x: npt.NDArray[np.float64], said: npt.NDArray[np.bool_], prior: CmvnStats
    ) -> Array:
        rows = np.hstack([np.ones((len(x), 1)), x, x * x])[said]
        if not self._recent.size:
            self._recent = np.zeros((self._options.window, rows.shape[1]))
            self._sums = np.zeros(rows.shape[1])
        leaving = np.concatenate([self._recent, rows])
        self._recent = leaving[len(rows) :]
        # One addition a frame, in order: pieces of any size add up to the same bits.
        steps = np.concatenate([self._sums[None], rows - leaving[: len(rows)]])
        sums = np.add.accumulate(steps, axis=0)
        self._sums = sums[-1]
        sums = sums[np.cumsum(said)]
        count = sums[:, :1]
        share = np.clip(self._options.window - count, 0, self._prior_frames) / prior.count
        total = np.maximum(count + share * prior.count, 1e-10)
        n = x.shape[1]
        mean = (sums[:, 1 : n + 1] + share * prior.sum) / total
        normalized = x - mean
        if self._variance:
            spread = (sums[:, n + 1 :] + share * prior.sumsq) / total - mean**2
            normalized /= np.sqrt(np.maximum(spread, 1e-10))
        return np.asarray(normalized, dtype=np.float32)

    def _sphinx(
        self, x: npt.NDArray[np.float64], said: npt.NDArray[np.bool_], prior: CmvnStats
    ) -> Array:
        if not self._count:
            self._count, self._mean = float(_SPHINX_KEPT), prior.mean
            self._sums = prior.mean * _SPHINX_KEPT
        normalized = np.empty_like(x)
        for frame in range(len(x)):
            normalized[frame] = x[frame] - self._mean
            if said[frame]:
                self._sums = self._sums + x[frame]
                self._count += 1
            if self._count > _SPHINX_FULL:
                self._mean = self._sums / self._count
                self._sums = self._mean * _SPHINX_KEPT
                self._count = float(_SPHINX_KEPT)
        return normalized.astype(np.float32)
