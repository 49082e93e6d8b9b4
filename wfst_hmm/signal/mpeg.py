"""How long an MP3 is: counted, for no header must say so.

In: the bytes of an MP3. Out: the same with a header frame that states the number of frames.

An MP3 is a row of frames. A decoder that is asked for the length takes what a header frame ("Xing",
"Info", "VBRI") states, or guesses from the first frame's bit rate: wrong for joined files and
variable rates, too long or too short; and libsndfile reads no further than its guess.

ISO/IEC 11172-3, 2.4.1.3 (headers) and 2.4.3.1 (lengths of frames); 13818-3 for the lower rates.

Public names: `with_exact_length`.
"""

from __future__ import annotations

import dataclasses
import struct

__all__ = ["with_exact_length"]

#: kbit/s of Layer III by the header's four bits, of MPEG-1 and of the lower sampling rates.
_BIT_RATES = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_XING_BITS = 9 << 4  # a bit rate whose frames have room for the header's fields
_VBRI_AT, _VBRI_COUNT = 4 + 32, 14


@dataclasses.dataclass(frozen=True)
class _Frame:
    """What four bytes of a Layer III header say."""

    kind: tuple[int, int]  # version and sampling rate: alike in all frames of a stream
    length: int  # bytes
    side: int  # bytes of side information behind the header


def _frame(data: bytes, at: int) -> _Frame | None:
    """Read the header at `at`; None where there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None  # eleven bits of sync, layer III
    version, bits, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or rate == 3:
        return None
    lower = version != 3
    kbits, hertz = _BIT_RATES[not lower][bits], _RATES[version][rate]
    if not kbits:
        return None
    padding = data[at + 2] >> 1 & 1
    length = (72_000 if lower else 144_000) * kbits // hertz + padding
    mono = data[at + 3] >> 6 == 3
    side = (9 if mono else 17) if lower else (17 if mono else 32)
    return _Frame((version, rate), length, side)


def _walk(data: bytes) -> tuple[int, int]:
    """Return where the first frame begins and how many there are; (0, 0): none."""
    at, first, count = 0, 0, 0
    kind: tuple[int, int] | None = None
    while at < len(data) - 3:
        if data[at : at + 3] == b"ID3" and at + 10 <= len(data):  # seven bits a byte
            size = data[at + 6] << 21 | data[at + 7] << 14 | data[at + 8] << 7 | data[at + 9]
            at += 10 + size
            continue
        frame = _frame(data, at)
        if frame is not None and kind in (None, frame.kind):
            behind = at + frame.length
            after = _frame(data, behind)
            # a frame that no other follows, and that does not end the stream, is an accident
            if count or behind >= len(data) - 3 or (after and after.kind == frame.kind):
                if not count:
                    first, kind = at, frame.kind
                count += behind <= len(data)
                at = behind
                continue
        found = [i for i in (data.find(b"\xff", at + 1), data.find(b"ID3", at + 1)) if i > 0]
        at = min(found, default=len(data))
    return first, count


def with_exact_length(data: bytes) -> bytes | None:
    """Return an MP3 whose header states its number of frames; None where that stands there already.

    Parameters
    ----------
    data : bytes
        A whole file.
    """
    first, count = _walk(data)
    frame = _frame(data, first)
    if not count or frame is None:
        return None
    mark = first + 4 + frame.side
    if data[mark : mark + 4] in (b"Xing", b"Info") and data[mark + 7] & 1:
        place = mark + 8
    elif data[first + _VBRI_AT : first + _VBRI_AT + 4] == b"VBRI":
        place = first + _VBRI_AT + _VBRI_COUNT
    else:
        header = bytes((0xFF, data[first + 1] | 1, data[first + 2] & 0x0C | _XING_BITS,
                        data[first + 3]))  # fmt: skip
        made = _frame(header, 0)
        assert made is not None  # the first frame's, with another bit rate
        body = header + bytes(made.side) + b"Xing" + struct.pack(">II", 1, count)
        return data[:first] + body.ljust(made.length, b"\0") + data[first:]
    stated = struct.pack(">I", count - 1)  # the header's own frame does not count
    if data[place : place + 4] == stated:
        return None
    return data[:place] + stated + data[place + 4 :]
