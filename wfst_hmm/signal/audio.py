"""Recordings to samples: one channel, one rate, and a plain word about what is wrong with a file.

In: an audio file that libsndfile reads (WAV PCM or float, FLAC, OGG, ...), perhaps a stretch of it.
Out: `Audio`, float32 samples at full scale 1.

Public names: `Audio`, `AudioInfo`, `INT16_SCALE`, `audio_info`, `read_audio`, `write_wav`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import atomic_file
from wfst_hmm.remote import local_copy

__all__ = ["INT16_SCALE", "Audio", "AudioInfo", "audio_info", "read_audio", "write_wav"]

#: Samples at full scale 1 times this are of 16-bit size: front ends compute on those.
INT16_SCALE = 32768.0

#: Seconds by which a segment may overrun its recording: lists round their times, a little more
#: than a tenth for the rounding of the sum.
_SLACK = 0.1001

#: Data sizes from here up are what programs write into a WAV header when they cannot go back to
#: correct it (ffmpeg and sox into a pipe): the length is then simply the file's.
_UNKNOWN_LENGTH = 0x7FFF0000
_BLOCK = 1 << 22  # samples of all channels read at a time
_OGG_TAIL_BYTES = 1 << 17  # an Ogg page is at most 65,307 bytes: the last one starts in here
_OGG_LAST_PAGE = 4  # RFC 3533, header type flag "end of stream"


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


def audio_info(path: str | Path) -> AudioInfo:
    """Read only the header of a recording.

    Raises
    ------
    DataError
        The file is missing, empty, truncated or no audio.
    """
    path = Path(path)
    with _opened(path) as file:
        return AudioInfo(int(file.samplerate), int(file.channels), int(file.frames))


def read_audio(
    path: str | Path,
    *,
    rate: int | None = None,
    channel: int | None = None,
    start: float | None = None,
    end: float | None = None,
    resample: bool = True,
) -> Audio:
    """Read one channel of a recording, or of a stretch of it.

    Parameters
    ----------
    path : path
        Any format that libsndfile reads.
    rate : int, optional
        Wanted samples per second; None takes the file's.
    channel : int, optional
        Which channel, from 0; a recording with several is refused without it.
    start, end : float, optional
        The stretch in seconds from the recording's beginning; None is its beginning and end.
        An `end` up to 0.1 s behind the recording's is taken as the recording's.
    resample : bool
        Whether a recording of another rate is resampled (soxr, high quality) or refused.

    Raises
    ------
    DataError
        The file is missing, empty, truncated, no audio, of another rate or without that channel,
        or the stretch lies outside it; the message names the file and the remedy.
    """
    path = Path(path)
    with _opened(path) as file:
        if rate is not None and file.samplerate != rate and not resample:
            raise DataError(
                "wrong sampling rate",
                where=str(path),
                got=f"{file.samplerate} Hz",
                expected=f"{rate} Hz",
                fix="Allow resampling, or convert the recording.",
            )
        column = _chosen_channel(path, file.channels, channel)
        first, last = _stretch(path, start, end, file.samplerate, file.frames)
        samples = _samples(path, file, first, last)[:, column]
        audio_rate = int(file.samplerate)
    if rate is not None and audio_rate != rate:
        import soxr

        samples = soxr.resample(samples, audio_rate, rate)
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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open with libsndfile after the checks that it does not make; `path` may be a URL."""
    with local_copy(path) as local:
        yield from _opened_here(path, local)


def _opened_here(path: Path, local: Path) -> Iterator[Any]:
    import soundfile

    if not local.exists():
        raise DataError("no such audio file", where=str(path), fix="Check the path.")
    if local.is_dir():
        raise DataError("is a directory", where=str(path), expected="an audio file")
    if local.stat().st_size == 0:
        raise DataError("an empty file", where=str(path), expected="audio", fix="Copy it again.")
    file: Any = None
    try:
        try:
            file = soundfile.SoundFile(local)
        except PermissionError:
            raise DataError("may not be read", where=str(path), fix="Check its rights.") from None
        except (soundfile.SoundFileError, OSError) as error:
            raise _not_audio(path, str(error)) from None
        missing = _missing_bytes(local, file)
        if missing:
            raise _truncated(path, missing)
        if file.frames <= 0:
            raise DataError(
                "a recording without samples", where=str(path), fix="Record or copy it again."
            )
        yield file
    finally:
        if file is not None:
            file.close()


def _not_audio(path: Path, message: str) -> DataError:
    reason = message.rpartition(": ")[2].strip().rstrip(".")
    return DataError(
        f"not a readable audio file ({reason})",
        where=str(path),
        expected="WAV, FLAC or OGG",
        fix="Convert the recording, for example with ffmpeg or sox.",
    )


def _truncated(path: Path, what: str) -> DataError:
    return DataError(
        f"a truncated recording ({what})",
        where=str(path),
        fix="Copy it again, or cut it cleanly with an audio editor.",
    )


def _missing_bytes(path: Path, file: Any) -> str:
    """Say what a file lacks that its header promises; empty when it is whole.

    libsndfile quietly shortens a WAV file to what is there, and an Ogg file to its last whole
    page. FLAC states its length in the header: reading fewer samples shows it (`_samples`).
    """
    if file.format in ("WAV", "WAVEX"):
        return _missing_of_wav(path)
    if file.format == "OGG":
        with open(path, "rb") as stream:
            stream.seek(max(0, path.stat().st_size - _OGG_TAIL_BYTES))
            tail = stream.read()
        at = tail.rfind(b"OggS")
        if at < 0 or at + 5 >= len(tail) or not tail[at + 5] & _OGG_LAST_PAGE:
            return "its last page is not an end-of-stream page"
        n_segments = tail[at + 26] if at + 26 < len(tail) else 0
        body = tail[at + 27 + n_segments :]
        if len(body) < sum(tail[at + 27 : at + 27 + n_segments]):
            return "its last page is cut"
    return ""


def _missing_of_wav(path: Path) -> str:
    size = path.stat().st_size
    with open(path, "rb") as stream:
        head = stream.read(12)
        if head[:4] not in (b"RIFF", b"RIFX"):
            return ""  # RF64 and other 64-bit forms: their length stands elsewhere
        order = "<" if head[:4] == b"RIFF" else ">"
        while len(chunk := stream.read(8)) == 8:
            name, length = chunk[:4], struct.unpack(order + "I", chunk[4:])[0]
            if name == b"data":
                there = size - stream.tell()
                if length > there and length < _UNKNOWN_LENGTH:
                    return f"its header promises {length} bytes of samples, {there} are there"
                return ""
            stream.seek(length + (length & 1), 1)
    return ""


def _chosen_channel(path: Path, n_channels: int, channel: int | None) -> int:
    if channel is None:
        if n_channels == 1:
            return 0
        raise DataError(
            f"{n_channels} channels",
            where=str(path),
            expected="one channel",
            fix=f"Choose a channel from 0 to {n_channels - 1}, or mix the recording down.",
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


def _samples(path: Path, file: Any, first: int, last: int) -> npt.NDArray[np.float32]:
    """Read samples [first, last) of all channels, shape (last - first, n_channels)."""
    import soundfile

    try:
        if first:
            file.seek(first)
        blocks = []
        while first < last:  # a header may promise what would fill the memory, and hold nothing
            wanted = min(last - first, max(1, _BLOCK // file.channels))
            blocks.append(file.read(wanted, dtype="float32", always_2d=True))
            first += len(blocks[-1])
            if len(blocks[-1]) < wanted:
                break
    except soundfile.SoundFileError as error:
        raise _truncated(path, str(error).removeprefix("Error : ").rstrip(".")) from None
    if first < last:
        raise _truncated(path, f"{file.frames} samples promised, {first} there")
    return np.concatenate(blocks)
