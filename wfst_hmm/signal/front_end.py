"""What a front end promises: samples to features, and when a frame is.

In: `Audio` or samples in pieces. Out: raw cepstra, then `Features`; times of frames. A front end
is a frozen value that is saved with every model; whoever has one asks it, never what kind it is.

A new kind costs its own file, with a class decorated by `register`, and a line in `_HOMES` if it
shall load before anybody has imported that file.

Public names: `CepstraStream`, `FrontEnd`, `NORMALIZATIONS`, `front_end_class`, `front_end_from_dict`,
`register`.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.dither import Dither, dithered, unit_noise
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.htk_files import HtkFeatures

__all__ = [
    "NORMALIZATIONS",
    "CepstraStream",
    "FrontEnd",
    "front_end_class",
    "front_end_from_dict",
    "register",
]

Array = npt.NDArray[np.float32]
#: Whose mean is subtracted from the cepstra.
NORMALIZATIONS = ("speaker", "utterance", "none")
#: Module that defines the front end of a kind.
_HOMES = {
    "kaldi": "wfst_hmm.signal.kaldi",
    "sphinx": "wfst_hmm.signal.sphinx",
    "htk": "wfst_hmm.signal.htk",
}
_CLASSES: dict[str, type[FrontEnd]] = {}
_LEAST_LEVEL = 3.0  # decibels above the noise of one unit: what has a say in a mean
_USUAL_LEVEL = 45.0  # where the mean of speech lies where nothing else is known


class CepstraStream(Protocol):
    """Raw cepstra of audio that still comes in."""

    def accept(self, samples: Array) -> Array:
        """Take samples (n,), full scale 1; return the cepstra (T, n_ceps) that became ready."""
        ...

    def finish(self) -> Array:
        """Return the last cepstra: no more audio comes."""
        ...


class FrontEnd(abc.ABC):
    """How audio becomes features. Implementations are frozen dataclasses.

    Raw cepstra come first and features from them, since the mean of a speaker needs the cepstra
    of several utterances.

    Notes
    -----
    The one convention of times: frame t looks at a window whose middle lies at
    ``t * frame_shift + centre`` seconds. The boundary between frames t - 1 and t lies halfway
    between their middles, at ``frame_to_time(t) = t * frame_shift + frame_offset`` with
    ``frame_offset = centre - frame_shift / 2``. Where windows begin at multiples of the shift
    (Kaldi with ``snip_edges``, Sphinx, HTK) that is ``t * shift + (window - shift) / 2``, where
    they are centred on shifts (Kaldi without) ``t * shift``.
    """

    #: Name in saved models.
    kind: ClassVar[str]
    #: Whether `cepstra` can stretch the frequency axis.
    can_warp: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def rate(self) -> int:
        """Samples per second that it wants."""

    @property
    @abc.abstractmethod
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""

    @property
    @abc.abstractmethod
    def frame_length(self) -> float:
        """Seconds of audio that a frame looks at: its window."""

    @property
    @abc.abstractmethod
    def n_ceps(self) -> int:
        """Raw cepstra of a frame."""

    @property
    @abc.abstractmethod
    def n_dims(self) -> int:
        """Dimension D of a finished frame."""

    @property
    @abc.abstractmethod
    def reach(self) -> int:
        """Frames on either side that a finished frame depends on, normalization aside."""

    @property
    @abc.abstractmethod
    def normalization(self) -> str:
        """Whose mean is subtracted, one of `NORMALIZATIONS`."""

    @property
    def scales_variance(self) -> bool:
        """Whether cepstra are also scaled to variance 1."""
        return False

    @property
    def n_normalized(self) -> int:
        """Raw cepstra whose mean is subtracted, from the first; those behind them keep theirs."""
        return self.n_ceps

    @property
    def resample(self) -> bool:
        """Whether recordings of another rate are converted without being asked."""
        return False

    @property
    def centre(self) -> float:
        """Seconds from the audio's beginning to the middle of the first frame's window."""
        return self.frame_length / 2

    @property
    def frame_offset(self) -> float:
        """Seconds that the boundary before frame t lies behind ``t * frame_shift``."""
        return self.centre - self.frame_shift / 2

    def frame_to_time(self, boundary: int | npt.NDArray[np.integer]) -> Any:
        """Return when frame `boundary` takes over from the one before, in seconds.

        Parameters
        ----------
        boundary : int or ndarray of int
            The number of frames before it; after the last frame it is T.

        Returns
        -------
        float, or ndarray of float64

        Examples
        --------
        >>> front_end_from_dict("kaldi", {}).frame_to_time(100)  # 25 ms windows, 10 ms shift
        1.0075
        """
        return boundary * self.frame_shift + self.frame_offset

    def time_to_frame(self, seconds: float) -> int:
        """Return the boundary that lies nearest to a time; the inverse of `frame_to_time`."""
        return max(0, round((seconds - self.frame_offset) / self.frame_shift))

    def cepstra(self, audio: Audio, *, warp: float = 1.0) -> Array:
        """Return the raw cepstra of a recording; samples that stand still are dithered.

        Parameters
        ----------
        audio : Audio
            At `rate`.
        warp : float
            Stretch of the frequency axis for one speaker; 1 changes nothing.

        Returns
        -------
        ndarray of float32, shape (T, n_ceps)

        Raises
        ------
        DataError
            Another rate, too short for a frame, or a `warp` where `can_warp` is not set.
        """
        self.require_rate(audio)
        return self._cepstra(Audio(dithered(audio.samples, self.rate), self.rate), warp)

    @abc.abstractmethod
    def _cepstra(self, audio: Audio, warp: float = 1.0) -> Array:
        """Return the raw cepstra of a recording, whatever its samples are."""

    @abc.abstractmethod
    def finish(self, cepstra: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Return the features of raw cepstra.

        Parameters
        ----------
        cepstra : ndarray, shape (T, n_ceps)
        stats : CmvnStats, optional
            Of the speaker. Without them an utterance is normalized by itself.
        """

    def stored(self, file: HtkFeatures, where: str = "") -> Array:
        """Return what a feature file holds of these features, for `finish`.

        Raises
        ------
        DataError
            Nothing: the features are of another kind.
        """
        raise DataError(f"features of HTK, but the model's front end is {self.kind!r}",
                        where=where or None, got=file.kind, fix="Name the recording.")  # fmt: skip

    def features(self, audio: Audio) -> Features:
        """Return the features of one recording, normalized by itself."""
        return dataclasses.replace(self.finish(self.cepstra(audio)), seconds=audio.seconds)

    def level(self, cepstra: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the decibels of each frame above white noise of one unit of 16 bits, shape (T,).

        Told by `loudness_columns`, of which the front end's own answer to noise of two strengths
        says how they count. All frames are alike where there are no such columns.
        """
        zero, per_decibel = _level_scale(self)
        if not per_decibel > 0:
            return np.full(len(cepstra), _USUAL_LEVEL)
        return np.asarray((self._loudness(cepstra) - zero) / per_decibel, dtype=np.float64)

    def _loudness(self, cepstra: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return np.asarray(cepstra[:, self.loudness_columns].mean(axis=1))

    @property
    def loudness_columns(self) -> slice:
        """Which of the raw cepstra grow with the logarithm of a frame's energy; perhaps none."""
        return slice(0, 1)

    def counted(self, cepstra: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Tell which frames have a say in the mean, shape (T,): not those of digital silence."""
        return np.asarray(self.level(cepstra) > _LEAST_LEVEL)

    def stats(self, cepstra: npt.NDArray[np.floating]) -> CmvnStats:
        """Return what raw cepstra add to their speaker's statistics; perhaps no frame at all."""
        return CmvnStats.of(cepstra[self.counted(cepstra)])

    def guessed_stats(self, cepstra: npt.NDArray[np.floating]) -> CmvnStats:
        """Return statistics where nothing was said: the frames' own, at the level of usual speech.

        So normalized, silence lies as far below speech as it mostly does, instead of in its place.
        """
        x = np.array(cepstra, dtype=np.float64)
        zero, per_decibel = _level_scale(self)
        if per_decibel > 0:
            raised = zero + _USUAL_LEVEL * per_decibel - self._loudness(x).mean()
            x[:, self.loudness_columns] += raised
        return CmvnStats.of(x)

    def known_stats(self, cepstra: npt.NDArray[np.floating], stats: CmvnStats | None) -> CmvnStats:
        """Return `stats`, or those of the utterance itself, or a guess where both count nothing."""
        found = self.stats(cepstra) if stats is None else stats
        return found if found.count else self.guessed_stats(cepstra)

    def plain(self) -> FrontEnd:
        """Return the same front end without slopes, for features that are spliced instead."""
        return self

    def slopes(self, frames: npt.NDArray[np.floating]) -> Array:
        """Append to finished frames of `plain`, shape (T, D'), the slopes that `finish` appends."""
        return np.asarray(frames, dtype=np.float32)

    def at_rate(self, rate: int) -> FrontEnd:
        """Return the same front end for another number of samples per second."""
        options: Any = self
        return self if rate == self.rate else dataclasses.replace(options, rate=rate)

    def usual_stats(self) -> CmvnStats | None:
        """Return the statistics that models of this kind start from when they name none."""
        return None

    def stream(self, *, block_frames: int = 10) -> CepstraStream:
        """Begin to take audio in pieces: the cepstra are those of `cepstra`, whatever the pieces.

        Parameters
        ----------
        block_frames : int
            Frames may come so many at a time.
        """
        return _DitheredStream(Dither(self.rate), self._stream(block_frames))

    @abc.abstractmethod
    def _stream(self, block_frames: int = 10) -> CepstraStream:
        """Begin to take audio in pieces, whatever its samples are."""

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values for JSON."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(
        cls: type[_F], values: Mapping[str, Any], *, where: str = "feature options"
    ) -> _F:
        """Build a front end from what `to_dict` gave; options left out take their defaults.

        Raises
        ------
        FormatError
            An option is unknown or has an impossible value; the message starts with `where`.
        """
        if not isinstance(values, Mapping):
            raise FormatError("no options", where=where, got=type(values).__name__, expected="dict")
        fields: Any = cls
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(fields)})
        if unknown:
            raise FormatError(
                f"unknown feature option {unknown[0]!r}",
                where=where,
                fix="A newer version of the package may know it.",
            )
        try:
            return cls(**values)
        except UsageError as error:
            raise FormatError(
                error.what, where=where, got=error.got, expected=error.expected
            ) from None

    def require_rate(self, audio: Audio) -> None:
        """Raise `DataError` when a recording has another rate than the front end."""
        if audio.rate != self.rate:
            raise DataError(
                "wrong sampling rate",
                got=f"{audio.rate} Hz",
                expected=f"{self.rate} Hz",
                fix="Resample the recording.",
            )

    def require_warp(self, warp: float) -> None:
        """Raise `DataError` when a front end that cannot warp is asked to."""
        if warp != 1.0 and not self.can_warp:
            raise DataError(f"the front end {self.kind!r} does not warp frequencies", got=warp,
                            fix="Leave spk2warp out.")  # fmt: skip


class _DitheredStream:
    """Noise for samples that stand still, then cepstra."""

    def __init__(self, dither: Dither, cepstra: CepstraStream) -> None:
        self._dither, self._cepstra = dither, cepstra

    def accept(self, samples: Array) -> Array:
        return self._cepstra.accept(self._dither.accept(samples))

    def finish(self) -> Array:
        last = self._cepstra.accept(self._dither.finish())
        return np.concatenate([last, self._cepstra.finish()])


@functools.lru_cache(maxsize=64)
def _level_scale(front_end: FrontEnd) -> tuple[float, float]:
    """Return the loudness of noise of one unit, and what a decibel adds to it; 0: not known."""
    if front_end.loudness_columns == slice(0, 0):
        return 0.0, 0.0
    seconds = max(1.0, 10 * front_end.frame_length)
    noise = np.resize(unit_noise(), int(seconds * front_end.rate))
    quiet, loud = (
        float(front_end._loudness(front_end._cepstra(Audio(noise * gain, front_end.rate))).mean())
        for gain in (np.float32(1), np.float32(100))
    )
    return quiet, (loud - quiet) / 40


_F = TypeVar("_F", bound=FrontEnd)
_C = TypeVar("_C", bound=type[FrontEnd])


def register(cls: _C) -> _C:
    """Make a front end known under its kind, so that models with it can be loaded."""
    _CLASSES[cls.kind] = cls
    return cls


def front_end_class(kind: str) -> type[FrontEnd]:
    """Return the front end of a kind.

    Raises
    ------
    FormatError
        Nobody has registered it.
    """
    if kind not in _CLASSES and kind in _HOMES:
        importlib.import_module(_HOMES[kind])
    if kind not in _CLASSES:
        raise FormatError("an unknown front end", got=repr(kind),
                          expected=" or ".join(sorted({*_HOMES, *_CLASSES})))  # fmt: skip
    return _CLASSES[kind]


def front_end_from_dict(
    kind: str, values: Mapping[str, Any], *, where: str = "feature options"
) -> FrontEnd:
    """Return the front end that a model's JSON describes.

    Raises
    ------
    FormatError
        The kind is unknown, or an option is unknown or impossible.
    """
    return front_end_class(kind).from_dict(values, where=where)
