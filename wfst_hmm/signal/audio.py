"""Recordings to samples: one channel, one rate, and a plain word about what is wrong with a file.

In: a recording (`signal.containers`), perhaps a stretch of it. Out: `Audio`, float32 samples at
full scale 1.

Public names: `Audio`, `AudioInfo`, `INT16_SCALE`, `audio_info`, `read_audio`, `write_wav`; and `RawFormat`.
"""

from __future__ import annotations

import dataclasses
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import atomic_file
from wfst_hmm.signal.containers import RawFormat, opened

__all__ = [
    "INT16_SCALE", "Audio", "AudioInfo", "RawFormat", "audio_info", "read_audio", "write_wav",
]  # fmt: skip

#: Samples at full scale 1 times this are of 16-bit size: front ends compute on those.
INT16_SCALE = 32768.0

#: Seconds by which a segment may overrun its recording: lists round their times, a little more
#: than a tenth for the rounding of the sum.
_SLACK = 0.1001


@dataclasses.dataclass(frozen=True, eq=False)
class Audio(Frozen):
    """Samples of one channel.

    Attributes
    ----------
    samples : ndarray of float32, shape (N,), read-only
        Full scale is 1; a float recording may overshoot it.
    rate : int
        Samples per second.

    Raises
    ------
    DataError
        `samples` is not one-dimensional or holds NaN or infinity, or `rate` is not positive.
    """

    samples: npt.NDArray[np.float32]
    rate: int

    def __post_init__(self) -> None:
        samples = np.ascontiguousarray(as_numbers(self.samples, name="samples", dtype=np.float32))
        if samples.ndim != 1:
            raise DataError(
                "audio must be one channel",
                got=f"shape {samples.shape}",
                expected="an array of N samples",
            )
        finite = np.isfinite(samples)
        if not finite.all():
            at = int(np.argmin(finite))
            raise DataError(
                f"sample {at} is {samples[at]}",
                expected="finite samples",
                fix="The recording is damaged: export it again.",
            )
        if self.rate <= 0:
            raise DataError("audio without a rate", got=self.rate, expected="samples per second")
        object.__setattr__(self, "samples", read_only(samples))

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """What the header of a recording says: rate in Hz, channels, samples per channel."""

    rate: int
    n_channels: int
    n_samples: int


def audio_info(path: str | Path, *, raw: RawFormat | None = None) -> AudioInfo:
    """Read only the header of a recording; `raw` as for `read_audio`.

    Raises
    ------
    DataError
        The file is missing, empty, truncated or no audio.
    """
    with opened(Path(path), raw) as source:
        return AudioInfo(source.rate, source.n_channels, source.n_samples)


def read_audio(
    path: str | Path,
    *,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    resample: bool = True,
    raw: RawFormat | None = None,
) -> Audio:
    """Read one channel of a recording, or of a stretch of it.

    Parameters
    ----------
    path : path
        Any format that libsndfile reads; with PyAV, also what FFmpeg reads.
    rate : int, optional
        Wanted samples per second; None takes the file's.
    channel : int, optional
        Which channel, from 0; a recording with several is refused without it.
    start, end : float, optional
        The stretch in seconds from the recording's beginning; None is its beginning and end.
        An `end` up to 0.1 s behind the recording's is taken as the recording's.
    resample : bool
        Whether a recording of another rate is resampled (soxr, high quality) or refused.
    raw : RawFormat, optional
        How samples are stored in a file that has no header.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, no audio, of another rate or without that channel,
        or the stretch lies outside it; the message names the file and the remedy.
    """
    path = Path(path)
    with opened(path, raw) as source:
        if rate is not None and source.rate != rate and not resample:
            raise DataError(
                "wrong sampling rate",
                where=str(path),
                got=f"{source.rate} Hz",
                expected=f"{rate} Hz",
                fix="Allow to convert it with --resample (in Python resample=True), or convert "
                "the recording.",
            )
        column = _chosen_channel(path, source.n_channels, channel)
        first, last = _stretch(path, start, end, source.rate, source.n_samples)
        samples = source.read(first, last)[:, column]
        audio_rate = source.rate
    if rate is not None and audio_rate != rate:
        import soxr

        try:
            samples = soxr.resample(samples, audio_rate, rate)
        except (RuntimeError, ValueError) as error:
            raise DataError(f"cannot be converted to {rate} Hz ({error})", where=str(path),
                            got=f"{audio_rate} Hz") from None  # fmt: skip
        audio_rate = rate
    try:
        return Audio(samples, audio_rate)
    except DataError as error:
        raise DataError(
            error.what, where=str(path), expected=error.expected, fix=error.fix
        ) from None


def write_wav(path: str | Path, audio: Audio) -> None:
    """Write 16-bit PCM WAV, atomically; samples beyond full scale are clipped."""
    scaled = np.clip(np.rint(audio.samples * INT16_SCALE), -32768, 32767).astype("<i2")
    # Not by libsndfile: it waits for the disk after every file.
    with atomic_file(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(scaled.tobytes())


def _chosen_channel(path: Path, n_channels: int, channel: int | None) -> int:
    if channel is None:
        if n_channels == 1:
            return 0
        raise DataError(
            f"{n_channels} channels",
            where=str(path),
            expected="one channel",
            fix=f"Choose a channel from 0 to {n_channels - 1} with --channel (in Python "
            "channel=), or mix the recording down.",
        )
    if not 0 <= channel < n_channels:
        raise DataError(
            f"no channel {channel}",
            where=str(path),
            got=f"{n_channels} channel{'s' if n_channels > 1 else ''}",
            expected=f"a channel from 0 to {n_channels - 1}",
        )
    return channel


def _stretch(
    path: Path, start: float | None, end: float | None, rate: int, n_samples: int
) -> tuple[int, int]:
    """Turn seconds into the half-open range of samples [first, last)."""
    begin = 0.0 if start is None else start
    if begin < 0 or (end is not None and not end > begin):
        raise UsageError(
            "a stretch of audio that is none",
            where=str(path),
            got=f"{begin} to {end} s",
            expected="0 <= start < end",
        )
    seconds = n_samples / rate
    if begin >= seconds or (end is not None and end - seconds > _SLACK):
        raise DataError(
            "the stretch lies outside the recording",
            where=str(path),
            got=f"{begin} to {'its end' if end is None else end} s",
            expected=f"at most {seconds:.3f} s",
            fix="Correct the segment's times.",
        )
    first = round(begin * rate)
    last = n_samples if end is None else min(round(end * rate), n_samples)
    if last <= first:
        raise DataError(
            "the stretch holds no sample", where=str(path), got=f"{begin} to {end} s at {rate} Hz"
        )
    return first, last
