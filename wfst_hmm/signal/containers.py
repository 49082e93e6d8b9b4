"""Files of recordings, opened by what is in them, whatever they are called.

In: a path or URL, perhaps how headerless samples are stored. Out: a `Source`, from which any
stretch can be read. libsndfile decodes what it knows (WAV, FLAC, OGG, MP3 ...), FFmpeg by PyAV
the rest (M4A, MP4, video), where it is installed.

What a careless writer leaves behind is read with a `WfstHmmWarning`: sizes in a WAV header that
are a few bytes too long or were never written, and a second WAV glued to the first. What is
plainly cut off is refused.

Public names: `ENCODINGS`, `RawFormat`, `SUFFIXES`, `Source`, `opened`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import mmap
import os
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError, WfstHmmWarning
from wfst_hmm.files import binary_name
from wfst_hmm.remote import local_copy
from wfst_hmm.signal.mpeg import with_exact_length

__all__ = ["ENCODINGS", "SUFFIXES", "RawFormat", "Source", "opened"]

Samples = npt.NDArray[np.float32]

#: Encodings of headerless samples by ffmpeg's names -> libsndfile's subtype and byte order.
ENCODINGS = {
    "s16le": ("PCM_16", "LITTLE"), "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"), "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"), "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"), "f32be": ("FLOAT", "BIG"),
    "s8": ("PCM_S8", "LITTLE"), "u8": ("PCM_U8", "LITTLE"),
    "mulaw": ("ULAW", "LITTLE"), "alaw": ("ALAW", "LITTLE"),
}  # fmt: skip
#: Endings of recordings, by which they are found in folders.
SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aiff", ".aif", ".au",
    ".caf", ".w64", ".sph", ".raw",
)  # fmt: skip
#: First bytes that no row of samples has by accident: the header is believed beside --raw, too.
_HEADERS = (b"RIFF", b"RIFX", b"RF64", b"riff", b"fLaC", b"OggS", b"FORM", b".snd", b"NIST_1A",
            b"caff", b"ID3")  # fmt: skip
#: What FFmpeg reads and libsndfile does not, to name the remedy where PyAV is not installed.
_MEDIA = {
    b"ftyp": (4,), b"moov": (4,), b"\x1aE\xdf\xa3": (0,), b"\x30\x26\xb2\x75": (0,), b"#!AMR": (0,),
    b"FLV": (0,), b"\xff\xf1": (0,), b"\xff\xf9": (0,), b"MAC ": (0,), b"wvpk": (0,),
    b"G": (0, 188), b"\0\0\1\xba": (0,),
}  # fmt: skip
_HEAD_BYTES = 192

#: Data sizes from here up are what programs write into a WAV header when they cannot go back to
#: correct it (ffmpeg and sox into a pipe): the length is then simply the file's.
_UNKNOWN_LENGTH = 0x7FFF0000
#: Bytes by which a size may be too long: writers count headers and trailing chunks into it.
_FEW_BYTES = 128
_MANY_BYTES = 4096  # behind the samples of a WAV: more samples, unless they are chunks
#: libsndfile's own errors are RuntimeErrors, FFmpeg's are of all these kinds.
_LIBRARY_ERRORS = (RuntimeError, OSError, ValueError, TypeError, LookupError, EOFError)
_UNKNOWN_FRAMES = 1 << 60  # libsndfile's length of a FLAC stream that does not say its own
_BLOCK = 1 << 22  # samples of all channels read at a time
_OGG_TAIL_BYTES = 1 << 17  # an Ogg page is at most 65,307 bytes: the last one starts in here
_OGG_LAST_PAGE = 4  # RFC 3533, header type flag "end of stream"


@dataclasses.dataclass(frozen=True)
class RawFormat:
    """How samples without a header are stored: one channel, one after the other.

    Attributes
    ----------
    rate : int
        Samples per second.
    encoding : str
        Of `ENCODINGS`.

    Raises
    ------
    UsageError
        Another encoding, or a rate that is not positive.

    Examples
    --------
    >>> RawFormat.parse("8000:mulaw")
    RawFormat(rate=8000, encoding='mulaw')
    """

    rate: int
    encoding: str = "s16le"

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.encoding not in ENCODINGS:
            raise UsageError("no format of raw samples", got=f"{self.rate}:{self.encoding}",
                             expected=f"a rate, and one of {', '.join(ENCODINGS)}")  # fmt: skip

    @classmethod
    def parse(cls, text: str) -> RawFormat:
        """Read ``RATE`` or ``RATE:ENCODING``."""
        rate, _, encoding = text.partition(":")
        if not (rate.isascii() and rate.isdigit()):
            raise UsageError("no format of raw samples", got=repr(text),
                             expected="RATE or RATE:FORMAT, such as 16000:s16le")  # fmt: skip
        return cls(int(rate), encoding or "s16le")


class Source(Protocol):
    """An opened recording.

    Attributes
    ----------
    rate, n_channels, n_samples : int
        Samples per second; samples per channel.
    """

    @property
    def rate(self) -> int:
        """Samples per second."""

    @property
    def n_channels(self) -> int:
        """Channels side by side."""

    @property
    def n_samples(self) -> int:
        """Samples per channel."""

    def read(self, first: int, last: int) -> Samples:
        """Return samples [first, last) of all channels, shape (last - first, n_channels).

        Fewer, where the file's length is an estimate and `last` lies behind its end.
        """


@contextlib.contextmanager
def opened(path: Path, raw: RawFormat | None = None) -> Iterator[Source]:
    """Open a recording after the checks that decoders do not make.

    Parameters
    ----------
    path : Path
        May be a URL (`wfst_hmm.remote`).
    raw : RawFormat, optional
        How the samples of a file without a header are stored.

    Raises
    ------
    DataError
        The file is missing, empty, truncated or no audio; whatever a decoder raises while the
        context lasts is one, too.
    """
    import soundfile

    with local_copy(path) as local, contextlib.ExitStack() as stack:
        if not local.exists():
            raise DataError("no such audio file", where=str(path), fix="Check the path.")
        if local.is_dir():
            raise DataError("is a directory", where=str(path), expected="an audio file")
        if local.stat().st_size == 0:
            raise DataError("an empty file", where=str(path), expected="audio",
                            fix="Copy it again.")  # fmt: skip
        try:
            stream = stack.enter_context(open(local, "rb"))
        except PermissionError:
            raise DataError("may not be read", where=str(path), fix="Check its rights.") from None
        source: Source
        try:
            head = os.pread(stream.fileno(), _HEAD_BYTES, 0)
            if raw is not None and not head.startswith(_HEADERS):
                subtype, endian = ENCODINGS[raw.encoding]
                file = soundfile.SoundFile(stream.fileno(), closefd=False, samplerate=raw.rate,
                                           channels=1, format="RAW", subtype=subtype,
                                           endian=endian)  # fmt: skip
            else:
                # Not by its name: libsndfile would believe the ending.
                what = _mended_wav(path, stream.fileno(), head)
                file = soundfile.SoundFile(stream.fileno() if what is None else what,
                                           closefd=False)  # fmt: skip
                if file.frames >= _UNKNOWN_FRAMES:
                    raise ValueError("a stream that does not say how long it is")
                if file.format == "MP3" and (exact := with_exact_length(local.read_bytes())):
                    file.close()
                    file = soundfile.SoundFile(io.BytesIO(exact))
            source = _Decoded(path, stack.enter_context(file))
        except _LIBRARY_ERRORS as error:
            if not _is_media(head):
                raise _not_audio(path, binary_name(head) or str(error)) from None
            source = stack.enter_context(_media(path, local, head, str(error)))
        if isinstance(source, _Decoded) and source.file.format == "OGG":
            _check_ogg(path, local)
        if source.n_samples <= 0:
            raise DataError("a recording without samples", where=str(path),
                            fix="Record or copy it again.")  # fmt: skip
        yield source


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """What libsndfile has opened."""

    path: Path
    file: Any

    @property
    def rate(self) -> int:
        return int(self.file.samplerate)

    @property
    def n_channels(self) -> int:
        return int(self.file.channels)

    @property
    def n_samples(self) -> int:
        return int(self.file.frames)

    def read(self, first: int, last: int) -> Samples:
        try:
            if first:
                self.file.seek(first)
            blocks = [np.zeros((0, self.n_channels), np.float32)]
            while first < last:  # a header may promise what would fill the memory, and hold nothing
                wanted = min(last - first, max(1, _BLOCK // self.n_channels))
                blocks.append(self.file.read(wanted, dtype="float32", always_2d=True))
                first += len(blocks[-1])
                if len(blocks[-1]) < wanted:
                    break
        except _LIBRARY_ERRORS as error:
            raise _truncated(self.path, str(error).removeprefix("Error : ").rstrip(".")) from None
        if first < last and self.file.format != "MP3":  # its length includes what decoders cut
            raise _truncated(self.path, f"{self.file.frames} samples promised, {first} there")
        return np.concatenate(blocks)


def _is_media(head: bytes) -> bool:
    """Tell whether it is worth asking FFmpeg, which takes noise for many things."""
    return head.startswith(_HEADERS) or any(
        all(head[at:].startswith(magic) for at in places) for magic, places in _MEDIA.items()
    )


@contextlib.contextmanager
def _media(path: Path, local: Path, head: bytes, reason: str) -> Iterator[Source]:
    """Open with FFmpeg what libsndfile has refused for `reason`."""
    try:
        import av
    except ImportError:
        if head.startswith(_HEADERS):
            raise _not_audio(path, reason) from None
        raise DataError("not a readable audio file (a format for FFmpeg)", where=str(path),
                        fix='Install PyAV: pip install "wfst_hmm[media]".') from None  # fmt: skip
    with contextlib.ExitStack() as stack:
        try:
            container = stack.enter_context(av.open(str(local)))
        except (av.FFmpegError, *_LIBRARY_ERRORS):
            raise _not_audio(path, reason) from None
        if not container.streams.audio:
            raise DataError("a film without sound", where=str(path), expected="an audio track")
        yield _Media(path, container)


@dataclasses.dataclass(frozen=True)
class _Media:
    """What FFmpeg has opened: the first audio track, on the film's own clock."""

    path: Path
    container: Any

    @property
    def rate(self) -> int:
        return int(self.container.streams.audio[0].codec_context.sample_rate)

    @property
    def n_channels(self) -> int:
        return int(self.container.streams.audio[0].codec_context.layout.nb_channels)

    @property
    def n_samples(self) -> int:
        """As the header says, which may be a few wrong; counted where it says nothing."""
        stream = self.container.streams.audio[0]
        if stream.duration is None:
            if self.container.duration is None:
                return len(self.read(0, _UNKNOWN_FRAMES))
            return round(1e-6 * int(self.container.duration) * self.rate)
        end: float = ((stream.start_time or 0) + stream.duration) * float(stream.time_base)
        return round((end - self._begin) * self.rate)

    @property
    def _begin(self) -> float:
        """When the film begins; its sound may begin later."""
        return 1e-6 * int(self.container.start_time or 0)

    def read(self, first: int, last: int) -> Samples:
        """Decode from the beginning: what FFmpeg jumps to is no exact sample."""
        import av

        blocks, at = [np.zeros((0, self.n_channels), np.float32)], 0
        try:
            for block in self._blocks(av.AudioResampler(format="fltp")):
                begin, at = at, at + len(block)
                blocks.append(block[max(first - begin, 0) : max(last - begin, 0)])
                if at >= last:
                    break
        except (av.FFmpegError, *_LIBRARY_ERRORS) as error:
            raise _truncated(self.path, str(error)) from None
        return np.concatenate(blocks)

    def _blocks(self, resampler: Any) -> Iterator[Samples]:
        """Yield blocks of samples, with silence until the sound begins."""
        self.container.seek(0)
        silence = True
        for frame in itertools.chain(self.container.decode(audio=0), (None,)):
            if silence and frame is not None:
                lead = round(((frame.time or 0.0) - self._begin) * self.rate)
                yield np.zeros((max(lead, 0), self.n_channels), np.float32)
                silence = False
            for planes in resampler.resample(frame):  # planar floats: a row for each channel
                yield np.ascontiguousarray(planes.to_ndarray().T, dtype=np.float32)


def _not_audio(path: Path, message: str) -> DataError:
    reason = message.rpartition(": ")[2].strip().rstrip(".")
    return DataError(
        f"not a readable audio file ({reason})",
        where=str(path),
        expected="WAV, FLAC or OGG (or MP3, M4A, a film)",
        fix="Convert it, for example with ffmpeg or sox; samples without a header need --raw "
        "RATE[:FORMAT].",
    )


def _truncated(path: Path, what: str) -> DataError:
    return DataError(
        f"a truncated recording ({what})",
        where=str(path),
        fix="Copy it again, or cut it cleanly with an audio editor.",
    )


def _check_ogg(path: Path, local: Path) -> None:
    """Refuse a cut Ogg file: libsndfile quietly shortens it to its last whole page."""
    with open(local, "rb") as stream:
        stream.seek(max(0, local.stat().st_size - _OGG_TAIL_BYTES))
        tail = stream.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 5 >= len(tail) or not tail[at + 5] & _OGG_LAST_PAGE:
        raise _truncated(path, "its last page is not an end-of-stream page")
    n_segments = tail[at + 26] if at + 26 < len(tail) else 0
    body = tail[at + 27 + n_segments :]
    if len(body) < sum(tail[at + 27 : at + 27 + n_segments]):
        raise _truncated(path, "its last page is cut")


class _Mended(mmap.mmap):
    """A file whose header is another one in memory."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:  # type: ignore[override]
        """Go to the end where a decoder wants to go beyond, as in a file it may."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: len(self)}[whence]
        super().seek(min(max(begin + offset, 0), len(self)))
        return self.tell()


def _is_chunk(behind: bytes, word: str, n_bytes: int) -> bool:
    """Tell whether `n_bytes` that begin so are chunks of a WAV rather than samples."""
    name = behind[:4].decode("latin-1")
    return name.isascii() and name.isprintable() and struct.unpack(word, behind[4:])[0] <= n_bytes


def _mended_wav(path: Path, descriptor: int, head: bytes) -> mmap.mmap | None:
    """Return a WAV file with a right header, after a warning; None: as it is, or no WAV.

    Raises
    ------
    DataError
        It is cut off: libsndfile would quietly shorten it to what is there.
    """
    if head[:4] not in (b"RIFF", b"RIFX") or head[8:12] != b"WAVE":
        return None  # RF64 and other 64-bit forms: their length stands elsewhere
    word = ("<" if head[:4] == b"RIFF" else ">") + "I"
    size, at = os.fstat(descriptor).st_size, 12
    while len(chunk := os.pread(descriptor, 8, at)) == 8 and chunk[:4] != b"data":
        length = struct.unpack(word, chunk[4:])[0]
        at += 8 + length + (length & 1)
    if len(chunk) < 8:
        return None
    length, start = struct.unpack(word, chunk[4:])[0], at + 8
    whole = struct.unpack(word, head[4:8])[0] + 8  # of the file, if anybody has written it
    there = size - start
    if length >= _UNKNOWN_LENGTH:
        return None
    if length > there:
        if length - there > min(_FEW_BYTES, there // 4):
            raise _truncated(path, f"its header promises {length} bytes of samples, {there} are "
                             "there")  # fmt: skip
        what = f"its header promises {length - there} bytes more than there are: read to its end"
        length = there
    elif not length and there and not start < whole <= size:
        what = "the sizes in its header were never written: read to its end"
        length = there
    else:
        end = start + length + (length & 1)
        behind = os.pread(descriptor, 8, end)
        if behind[:4] in (b"RIFF", b"RIFX"):
            what = "another WAV is glued to its end: only the first is read"
        elif size - end > _MANY_BYTES and whole <= end and not _is_chunk(behind, word, size - end):
            what = f"its header counts {length} of {there} bytes of samples: read to its end"
            length = there
        else:
            return None
    warnings.warn(f"{path}: {what}.", WfstHmmWarning, stacklevel=2)
    mended = _Mended(descriptor, start + length, access=mmap.ACCESS_COPY)
    mended[4:8] = struct.pack(word, start + length - 8)
    mended[at + 4 : at + 8] = struct.pack(word, length)
    return mended
