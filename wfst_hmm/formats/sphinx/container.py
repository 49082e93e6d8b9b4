"""The binary files of CMU Sphinx models: a text header, a byte-order mark, numbers, a checksum.

In: a file. Out: its header and a `Cursor` at its numbers, in the file's byte order; the checksum
has been compared by then.

Public names: `open_container`, `write_container`, `checksum`, `read_cepstra`, `write_cepstra`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_bytes
from wfst_hmm.formats.cursor import Cursor

__all__ = ["checksum", "open_container", "read_cepstra", "write_cepstra", "write_container"]

_ORDER_MARK = 0x11223344
_MAX_HEADER = 1 << 14


@numba.njit(cache=True, nogil=True)
def _rotated_sum(words):  # type: ignore[no-untyped-def]
    total = np.uint64(0)
    mask = np.uint64(0xFFFFFFFF)
    for word in words:
        turned = ((total << np.uint64(20)) | (total >> np.uint64(12))) & mask
        total = (turned + np.uint64(word)) & mask
    return total


def checksum(words: npt.NDArray[np.uint32]) -> int:
    """Return the sum of 32-bit words, rotated left by 20 bits before each addition."""
    return int(_rotated_sum(words))


def open_container(path: str | Path) -> tuple[dict[str, str], Cursor]:
    """Open a ``means``, ``variances``, ``mixture_weights`` or like file.

    Returns
    -------
    header : dict
        Keys and values of the text lines.
    cursor : Cursor
        Stands at the first number and ends before the checksum.

    Raises
    ------
    FormatError
        No such file, no header, no byte-order mark, or a wrong checksum.
    """
    cursor = Cursor(read_bytes(path), str(path))
    header: dict[str, str] = {}
    first = _line(cursor)
    if first == "s3":
        while (line := _line(cursor)) != "endhdr":
            key, _, value = line.partition(" ")
            if line and not line.startswith("#"):
                header[key] = value.strip()
    elif len(first.split()) == 1:  # files of before 1996: a version, then one comment
        header["version"] = first
        while _line(cursor) != "*end_comment*":
            pass
    else:
        raise FormatError("not a Sphinx container", where=str(path), got=repr(first[:40]),
                          expected="s3 in the first line")  # fmt: skip
    mark = cursor.take(4, "byte-order mark")
    for order in "<>":
        if struct.unpack(order + "I", mark)[0] == _ORDER_MARK:
            cursor.order = order
            break
    else:
        raise cursor.error("no byte-order mark behind the header", got=mark.hex())
    if "chksum0" in header:
        _verify(cursor)
    elif cursor.left % 4:
        raise cursor.error("numbers are cut off", got=f"{cursor.left} bytes", expected="4 each")
    return header, cursor


def _line(cursor: Cursor) -> str:
    limit = min(cursor.end, cursor.at + _MAX_HEADER)
    stop = cursor.data.find(b"\n", cursor.at, limit)
    if stop < 0 or cursor.at > _MAX_HEADER:
        raise cursor.error("the header does not end", expected="a line endhdr")
    raw = cursor.data[cursor.at : stop]
    cursor.at = stop + 1
    if not raw.isascii() or b"\0" in raw:
        raise cursor.error("the header is no text", got=repr(raw[:20]))
    return raw.decode("ascii").strip()


def _verify(cursor: Cursor) -> None:
    if cursor.left % 4 or cursor.left < 4:
        raise cursor.error("numbers are cut off", got=f"{cursor.left} bytes", expected="4 each")
    words = np.frombuffer(cursor.data, cursor.order + "u4", cursor.left // 4, cursor.at)
    computed, stored = checksum(words[:-1].astype(np.uint32)), int(words[-1])
    if computed != stored:
        raise cursor.error("wrong checksum", got=f"{computed:#010x}", expected=f"{stored:#010x}",
                           fix="The file is damaged: copy it again.")  # fmt: skip
    cursor.end -= 4


def write_container(
    path: str | Path,
    arrays: list[npt.NDArray[np.int32] | npt.NDArray[np.float32]],
    *,
    version: str = "1.0",
    order: Literal["<", ">"] = "<",
    with_checksum: bool = True,
) -> None:
    """Write int32 and float32 arrays one behind the other, as `open_container` finds them."""
    payload = b"".join(a.astype(a.dtype.newbyteorder(order)).tobytes() for a in arrays)
    lines = f"s3\nversion {version}\n" + ("chksum0 yes\n" if with_checksum else "")
    padding = -(len(lines) + len("endhdr\n")) % 4  # numbers then start at a multiple of 4
    head = (lines + " " * padding + "endhdr\n").encode() + struct.pack(order + "I", _ORDER_MARK)
    words = np.frombuffer(payload, order + "u4").astype(np.uint32)
    tail = struct.pack(order + "I", checksum(words)) if with_checksum else b""
    with atomic_file(path) as temporary:
        temporary.write_bytes(head + payload + tail)


def read_cepstra(path: str | Path, n_ceps: int = 13) -> npt.NDArray[np.float32]:
    """Read a ``.mfc`` file: a count and that many floats, in either byte order.

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)
        Raw cepstra, before mean normalization.
    """
    cursor = Cursor(read_bytes(path), str(path))
    for order in "<>":
        cursor.at, cursor.order = 0, order
        count = cursor.number("i", "number of floats")
        if count * 4 == cursor.left:
            break
    else:
        raise FormatError("its length does not match its first number", where=str(path),
                          got=f"{cursor.end} bytes", fix="Not a .mfc file, or truncated.")  # fmt: skip
    if count == 0 or count % n_ceps:
        raise FormatError(f"not frames of {n_ceps} cepstra", where=str(path), got=f"{count} floats")
    values = cursor.array("f4", (count // n_ceps, n_ceps), "cepstra")
    if not np.isfinite(values).all():
        raise FormatError("a cepstrum is not finite", where=str(path))
    return values


def write_cepstra(path: str | Path, cepstra: npt.NDArray[np.float32], *, order: str = "<") -> None:
    """Write a ``.mfc`` file of cepstra (T, n)."""
    values = np.asarray(cepstra, dtype=order + "f4")
    with atomic_file(path) as temporary:
        temporary.write_bytes(struct.pack(order + "i", values.size) + values.tobytes())
