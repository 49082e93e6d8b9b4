"""HTK parameter files: one utterance's features behind a header of 12 bytes.

In: a file. Out: `HtkFeatures`; and back. Compressed files (``_C``) are unpacked, a checksum
(``_K``) is passed over without a look: HTK itself can be told to ignore it.

Public names: `HtkFeatures`, `is_htk_features`, `read_htk_features`, `write_htk_features`, `kind_name`,
`kind_code`.

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

__all__ = [
    "HtkFeatures",
    "is_htk_features",
    "kind_code",
    "kind_name",
    "read_htk_features",
    "write_htk_features",
]

_BASES = (
    "WAVEFORM", "LPC", "LPREFC", "LPCEPSTRA", "LPDELCEP", "IREFC", "MFCC", "FBANK", "MELSPEC",
    "USER", "DISCRETE", "PLP", "ANON",
)  # fmt: skip
_QUALIFIERS = {
    "E": 0o100, "N": 0o200, "D": 0o400, "A": 0o1000, "C": 0o2000, "Z": 0o4000, "K": 0o10000,
    "0": 0o20000, "V": 0o40000, "T": 0o100000,
}  # fmt: skip
_SHORT_KINDS = {0: 1.0, 5: 32767.0, 10: 1.0}  # stored as int16, divided by this
_HEAD = 12  # bytes of the header
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


@dataclasses.dataclass(frozen=True)
class _Header:
    """Byte order, frames (those that scale a compressed file counted), ticks, bytes, code."""

    order: str
    count: int
    ticks: int
    size: int
    code: int

    @property
    def tail(self) -> int:
        """Bytes of the checksum."""
        return 2 if self.code & _QUALIFIERS["K"] else 0


def _header(head: bytes, length: int) -> _Header | None:
    """Return the header of a file of `length` bytes in the byte order in which it fits."""
    if len(head) < _HEAD:
        return None
    for order in "><":
        found = _Header(order, *struct.unpack_from(order + "iihH", head))
        fits = found.count >= 0 and found.size > 0 and found.ticks > 0
        if (
            fits
            and _HEAD + found.count * found.size + found.tail == length
            and found.code & 0o77 < len(_BASES)
        ):
            return found
    return None


def is_htk_features(path: str | Path) -> bool:
    """Tell whether a file is an HTK parameter file of features, by its header and length."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            found = _header(file.read(_HEAD), path.stat().st_size)
    except OSError:
        return False
    return found is not None and found.code & 0o77 not in _SHORT_KINDS


def read_htk_features(path: str | Path) -> HtkFeatures:
    """Read an HTK parameter file.

    Raises
    ------
    FormatError
        The length does not match the header, or the kind is unknown.
    """
    data = read_bytes(path)
    if len(data) < _HEAD:
        raise FormatError("too short for an HTK header", where=str(path), got=f"{len(data)} bytes",
                          expected=f"{_HEAD} or more")  # fmt: skip
    header = _header(data, len(data))
    if header is None:
        count, _, size, _ = struct.unpack_from(">iihH", data)
        raise FormatError("its length does not match its header", where=str(path),
                          got=f"{len(data)} bytes", expected=f"12 + {count} x {size} bytes",
                          fix="Truncated, or no HTK file.")  # fmt: skip
    values = _values(data, header, str(path))
    if not np.isfinite(values).all():
        raise FormatError("a feature is not finite", where=str(path))
    kind = kind_name(header.code & ~(_QUALIFIERS["C"] | _QUALIFIERS["K"]))
    return HtkFeatures(values, header.ticks / _TICKS, kind)


def _values(data: bytes, header: _Header, where: str) -> npt.NDArray[np.float32]:
    """Unpack the frames; the length was checked against the header."""
    base, count = header.code & 0o77, header.count
    compressed = bool(header.code & _QUALIFIERS["C"]) and base not in _SHORT_KINDS
    kind = header.order + ("i2" if compressed or base in _SHORT_KINDS else "f4")
    n_dims, rest = divmod(header.size, np.dtype(kind).itemsize)
    if rest:
        raise FormatError("a frame holds no whole number of values", where=where,
                          got=f"{header.size} bytes")  # fmt: skip
    if compressed and count < 4:
        raise FormatError("too short for a compressed file", where=where, got=f"{count} frames",
                          expected="4 or more")  # fmt: skip
    at = _HEAD + (8 * n_dims if compressed else 0)  # scales and shifts stand for four frames
    n_frames = count - 4 if compressed else count
    stored = np.frombuffer(data, kind, n_frames * n_dims, at).reshape(n_frames, n_dims)
    if not compressed:
        if base in _SHORT_KINDS:
            stored = stored / np.float32(_SHORT_KINDS[base])
        return np.array(stored, dtype=np.float32)
    scale, shift = np.frombuffer(data, header.order + "f4", 2 * n_dims, _HEAD).reshape(2, n_dims)
    if not np.all(np.abs(scale) > 0):
        raise FormatError("a scale of the compression is 0", where=where)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for what is not finite
        return np.asarray((stored + shift) / scale, dtype=np.float32)


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
