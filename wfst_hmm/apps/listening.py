"""Where live audio comes from, and what a stream makes of it.

In: a microphone, or raw samples from a pipe. Out: pieces of samples; from them and a `Stream`,
partial words and finished segments as they come.

Public names: `ENCODINGS`, `heard`, `microphone`, `raw_pieces`, `speaker_stats`.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognize import corpus_of_files
from wfst_hmm.apps.stream import Partial, Segment, Stream
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.extract import utterance_cepstra

__all__ = ["ENCODINGS", "heard", "microphone", "raw_pieces", "speaker_stats"]

#: How raw samples are written: name -> numpy's type.
ENCODINGS = {"s16le": "<i2", "s16be": ">i2", "f32le": "<f4", "f32be": ">f4"}
_PIECE_SECONDS = 0.1
_READ_BYTES = 1 << 16

Piece = npt.NDArray[Any]


class Readable(Protocol):
    """What raw samples are read from: gives what is there, at least a byte, or nothing at the end."""

    def read1(self, n: int, /) -> bytes:
        """Return up to `n` bytes."""


def raw_pieces(
    source: Readable,
    *,
    encoding: str = "s16le",
    n_channels: int = 1,
    warn: Callable[[str], None] = lambda message: None,
) -> Iterator[Piece]:
    """Yield samples (n, C) as they come, int16 or float32.

    Raises
    ------
    UsageError
        An unknown encoding, a number of channels below 1.
    DataError
        What comes is a WAV file.
    """
    if encoding not in ENCODINGS:
        raise UsageError("unknown encoding of samples", got=encoding,
                         expected=" or ".join(ENCODINGS))  # fmt: skip
    if n_channels < 1:
        raise UsageError("channels", got=n_channels, expected="1 or more")
    kind = np.dtype(ENCODINGS[encoding])
    frame = kind.itemsize * n_channels
    left, first = b"", True
    while data := source.read1(_READ_BYTES):
        left += data
        if first and len(left) >= 12:
            if left[:4] == b"RIFF" and left[8:12] == b"WAVE":
                raise DataError("a WAV file, not raw samples", where="standard input",
                                fix="Decode it with wfst-hmm decode, or take off its header.")  # fmt: skip
            first = False
        whole = len(left) - len(left) % frame
        samples = np.frombuffer(left[:whole], dtype=kind).reshape(-1, n_channels)
        left = left[whole:]
        yield samples.astype(kind.newbyteorder("="))
    if left:
        warn(f"the input ends within a sample: {len(left)} bytes are left over")


def microphone(
    rate: int,
    *,
    device: int | str | None = None,
    n_channels: int = 1,
    warn: Callable[[str], None] = lambda message: None,
) -> Iterator[Piece]:
    """Yield samples (n, C) from a microphone, float32, until the generator is closed.

    Parameters
    ----------
    rate : int
    device : int or str, optional
        Number or name of the device, by default the system's.
    n_channels : int
    warn : callable
        Told when samples were lost.

    Raises
    ------
    UsageError
        The package sounddevice is not installed.
    DataError
        There is no such device, or the system's sound library is missing.
    """
    try:
        import sounddevice
    except ImportError:
        raise UsageError("the microphone needs the package sounddevice",
                         fix='Install it: pip install "wfst_hmm[mic]"; or use --stdin.') from None  # fmt: skip
    except OSError as error:  # PortAudio itself is not there
        raise DataError(f"no sound library ({error})",
                        fix="Install PortAudio (Debian: libportaudio2); or use --stdin.") from None  # fmt: skip
    pieces: queue.SimpleQueue[Piece] = queue.SimpleQueue()

    def take(samples: Piece, n: int, time: object, status: object) -> None:
        if status:
            warn(f"the microphone: {status}")
        pieces.put(samples.copy())

    try:
        with sounddevice.InputStream(
            samplerate=rate, blocksize=int(rate * _PIECE_SECONDS), device=device,
            channels=n_channels, dtype="float32", callback=take,
        ):  # fmt: skip
            while True:
                yield pieces.get()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise DataError(f"the microphone cannot be used ({error})",
                        fix="Name another one with --device, another --rate, or use --stdin.") from None  # fmt: skip


def heard(stream: Stream, pieces: Iterable[Piece]) -> Iterator[Partial | Segment]:
    """Feed a stream; yield partial words whenever they change, and segments when they end.

    An interruption (Ctrl-C) ends the audio, not the recognition: the last words are yielded, too.
    """
    before: tuple[str, ...] = ()
    try:
        for piece in pieces:
            for segment in stream.accept(piece):
                before = ()
                yield segment
            partial = stream.partial()
            if partial.words != before:
                before = partial.words
                yield partial
    except KeyboardInterrupt:
        pass
    yield from stream.close()


def speaker_stats(
    model: SpeechModel, recordings: str | Path | Iterable[str | Path], *, resample: bool = True
) -> CmvnStats:
    """Return the statistics of recordings of a speaker, for normalization from the first frame on.

    Raises
    ------
    DataError
        A recording cannot be used, or there is none.
    """
    front_end = model.front_end
    return CmvnStats.merge(
        front_end.stats(utterance_cepstra(utterance, front_end, resample=resample))
        for utterance in corpus_of_files(recordings)
    )
