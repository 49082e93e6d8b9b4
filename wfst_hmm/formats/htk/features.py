"""HTK parameter files: one utterance's features behind a header of 12 bytes.

In: a file. Out: `HtkFeatures`; and back. Compressed files (``_C``) are unpacked, a checksum
(``_K``) is passed over without a look: HTK itself can be told to ignore it.

Public names: `HtkFeatures`, `read_htk_features`, `write_htk_features`, `kind_name`, `kind_code`.

Notes
-----
Format: The HTK Book (3.5), section 5.10. All numbers are big-endian unless HTK was told
otherwise; a little-endian file is recognized by its length.
"""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_bytes
from wfst_hmm.formats.cursor import Cursor

__all__ = ["HtkFeatures", "kind_code", "kind_name", "read_htk_features", "write_htk_features"]

_BASES = (
    "WAVEFORM", "LPC", "LPREFC", "LPCEPSTRA", "LPDELCEP", "IREFC", "MFCC", "FBANK", "MELSPEC",
    "USER", "DISCRETE", "PLP", "ANON",
)  # fmt: skip
_QUALIFIERS = {
    "E": 0o100, "N": 0o200, "D": 0o400, "A": 0o1000, "C": 0o2000, "Z": 0o4000, "K": 0o10000,
    "0": 0o20000, "V": 0o40000, "T": 0o100000,
}  # fmt: skip
_SHORT_KINDS = {0: 1.0, 5: 32767.0, 10: 1.0}  # stored as int16, divided by this
_TICKS = 1e7  # HTK counts time in units of 100 ns


def kind_name(code: int) -> str:
    """Return the name of a parameter kind, such as ``MFCC_D_A_0``."""
    base = code & 0o77
    if base >= len(_BASES):
        raise FormatError("no parameter kind of HTK", got=code)
    return "_".join([_BASES[base], *(q for q, bit in _QUALIFIERS.items() if code & bit)])


def kind_code(name: str) -> int:
    """Return the number of a parameter kind; qualifiers in any order."""
    base, *qualifiers = name.upper().split("_")
    if base not in _BASES or any(q not in _QUALIFIERS for q in qualifiers):
        raise FormatError("no parameter kind of HTK", got=repr(name[:40]),
                          expected="such as MFCC_0_D_A")  # fmt: skip
    return _BASES.index(base) | sum({_QUALIFIERS[q] for q in qualifiers})


@dataclasses.dataclass(frozen=True, eq=False)
class HtkFeatures:
    """Features of one utterance.

    Attributes
    ----------
    array : ndarray of float32, shape (T, D)
    frame_shift : float
        Seconds.
    kind : str
        ``MFCC_0_D_A`` ...; packing (``_C``, ``_K``) is left out.
    """

    array: npt.NDArray[np.float32]
    frame_shift: float
    kind: str


def read_htk_features(path: str | Path) -> HtkFeatures:
    """Read an HTK parameter file.

    Raises
    ------
    FormatError
        The length does not match the header, or the kind is unknown.
    """
    cursor = Cursor(read_bytes(path), str(path))
    if cursor.end < 12:
        raise FormatError("too short for an HTK header", where=str(path), got=f"{cursor.end} bytes",
                          expected="12 or more")  # fmt: skip
    for order in "><":
        count, ticks, size, code = struct.unpack_from(order + "iihH", cursor.data)
        tail = 2 if code & _QUALIFIERS["K"] else 0
        fits = count >= 0 and size > 0 and 12 + count * size + tail == cursor.end
        if fits and code & 0o77 < len(_BASES) and ticks > 0:
            break
    else:
        count, _, size, _ = struct.unpack_from(">iihH", cursor.data)
        raise FormatError("its length does not match its header", where=str(path),
                          got=f"{cursor.end} bytes", expected=f"12 + {count} x {size} bytes",
                          fix="Truncated, or no HTK file.")  # fmt: skip
    cursor.at, cursor.order = 12, order
    cursor.end -= tail
    values = _values(cursor, count, size, code)
    if not np.isfinite(values).all():
        raise FormatError("a feature is not finite", where=str(path))
    kind = kind_name(code & ~(_QUALIFIERS["C"] | _QUALIFIERS["K"]))
    return HtkFeatures(values, ticks / _TICKS, kind)


def _values(cursor: Cursor, count: int, size: int, code: int) -> npt.NDArray[np.float32]:
    base = code & 0o77
    compressed = bool(code & _QUALIFIERS["C"]) and base not in _SHORT_KINDS
    width = 2 if compressed or base in _SHORT_KINDS else 4
    if size % width:
        raise cursor.error("a frame holds no whole number of values", got=f"{size} bytes")
    n_dims = size // width
    if width == 4:
        return cursor.array("f4", (count, n_dims), "features")
    if not compressed:
        shorts = cursor.array("i2", (count, n_dims), "features")
        return np.asarray(shorts / np.float32(_SHORT_KINDS[base]), dtype=np.float32)
    if count < 4:
        raise cursor.error("too short for a compressed file", got=f"{count} frames", expected="4 or more")  # fmt: skip
    scale, shift = (cursor.array("f4", n_dims, "scales") for _ in range(2))
    shorts = cursor.array("i2", (count - 4, n_dims), "features")
    if not np.all(np.abs(scale) > 0):
        raise cursor.error("a scale of the compression is 0")
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what is not finite
        return np.asarray((shorts + shift) / scale, dtype=np.float32)


def write_htk_features(path: str | Path, features: HtkFeatures, *, compress: bool = False) -> None:
    """Write an HTK parameter file, big-endian.

    Parameters
    ----------
    compress : bool
        16 bits a value (``_C``): each dimension is scaled by its own range.
    """
    array = np.asarray(features.array, dtype=np.float32)
    code = kind_code(features.kind)
    if array.ndim != 2 or not array.size or (code & 0o77) in _SHORT_KINDS:
        raise DataError("no features that HTK stores as floats", got=f"{features.kind}, {array.shape}")  # fmt: skip
    ticks = round(features.frame_shift * _TICKS)
    n, n_dims = array.shape
    if not compress:
        head = struct.pack(">iihH", n, ticks, 4 * n_dims, code)
        body = array.astype(">f4").tobytes()
    else:
        head = struct.pack(">iihH", n + 4, ticks, 2 * n_dims, code | _QUALIFIERS["C"])
        low, high = array.min(axis=0).astype(np.float64), array.max(axis=0).astype(np.float64)
        span = np.maximum(high - low, 1e-6)
        scale = (2 * 32767 / span).astype(np.float32)
        shift = ((high + low) * 32767 / span).astype(np.float32)
        shorts = np.clip(np.round(array * scale.astype(np.float64) - shift), -32767, 32767)
        parts = (scale.astype(">f4"), shift.astype(">f4"), shorts.astype(">i2"))
        body = b"".join(part.tobytes() for part in parts)
    with atomic_file(path) as temporary:
        temporary.write_bytes(head + body)
