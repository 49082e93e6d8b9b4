r"""Kaldi's basic reading and writing: tokens, numbers, vectors and matrices, text or binary.

In: bytes; a binary object starts with ``\0B``. Out: Python numbers and numpy arrays. Both
sides take the two modes through the same calls, as Kaldi's own ``io-funcs`` do, so that each
format above is written down once.

Public names: `KaldiReader`, `KaldiWriter`.

Notes
-----
Formats: Kaldi's ``base/io-funcs.h``, ``matrix/kaldi-matrix.cc``, ``matrix/compressed-matrix.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.formats.cursor import Cursor

__all__ = ["KaldiReader", "KaldiWriter"]

_BLANKS = b" \t\n\r\v\f"
_MAX_TOKEN = 4096  # a key or tag longer than this is none
_NUMERIC = {"FV": "f4", "DV": "f8", "FM": "f4", "DM": "f8"}


class KaldiReader(Cursor):
    r"""A cursor over one Kaldi object, or several behind each other.

    Parameters
    ----------
    data, where, at, end
        As for `Cursor`.
    binary : bool, optional
        The mode; looked up (and the mark ``\0B`` skipped) when not given.
    """

    def __init__(
        self,
        data: bytes,
        where: str,
        at: int = 0,
        end: int | None = None,
        binary: bool | None = None,
    ) -> None:
        super().__init__(data, where, at, end)
        self.binary = False
        if binary is None:
            self.start_object()
        else:
            self.binary = binary

    def start_object(self) -> None:
        r"""Look for the mark of a binary object and set the mode for what follows."""
        self.binary = self.data[self.at : min(self.at + 2, self.end)] == b"\0B"
        if self.binary:
            self.at += 2

    def place(self) -> str:
        """Return ``file, byte n`` in binary objects, ``file:line`` in text."""
        if self.binary:
            return super().place()
        line = self.data.count(b"\n", 0, self.at) + 1
        return f"{self.where}:{line}"

    # -- tokens ------------------------------------------------------------------------------

    def skip_blanks(self) -> None:
        """Move to the next character that is not white space."""
        while self.at < self.end and self.data[self.at] in _BLANKS:
            self.at += 1

    def token(self, what: str) -> str:
        """Return the characters up to the next white space, and pass one blank after them."""
        if not self.binary:
            self.skip_blanks()
        stop = self.at
        limit = min(self.end, self.at + _MAX_TOKEN)
        while stop < limit and self.data[stop] not in _BLANKS:
            stop += 1
        if stop == self.at or (stop == limit and stop < self.end):
            raise self.error(f"no {what} here", got=repr(self.data[self.at : self.at + 16]))
        raw = self.data[self.at : stop]
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.error(f"{what} is not UTF-8", got=repr(raw[:16])) from None
        # A new line belongs to the next reading: it ends a text object in an archive.
        self.at = stop + (stop < self.end and self.data[stop] in b" \t")
        return text

    def peek(self) -> str:
        """Return the next token without moving, or an empty string at the end."""
        before = self.at
        self.skip_blanks()
        found = self.token("token") if self.at < self.end else ""
        self.at = before
        return found

    def expect(self, *tokens: str) -> str:
        """Read one of `tokens` and return it."""
        before = self.at
        found = self.token(" or ".join(tokens))
        if found not in tokens:
            self.at = before
            raise self.error("another thing than expected", got=repr(found),
                             expected=" or ".join(tokens))  # fmt: skip
        if self.binary and self.data[self.at - 1 : self.at] not in (b" ", b"\t"):
            raise self.error(f"no blank after {found}")
        return found

    # -- numbers -----------------------------------------------------------------------------

    def _marked(self, sizes: dict[int, str], what: str) -> Any:
        mark = int(self.number("b", what))
        if mark not in sizes:
            self.at -= 1
            raise self.error(f"no number for {what}", got=f"size mark {mark}",
                             expected=" or ".join(map(str, sizes)))  # fmt: skip
        return self.number(sizes[mark], what)

    def integer(self, what: str, *, low: int | None = None, high: int | None = None) -> int:
        """Return an int32 (or uint32), checked to lie in ``low..high`` when these are given."""
        before = self.at
        if self.binary:
            value = int(self._marked({4: "i", -4: "I"}, what))
        else:
            value = self._whole(self.token(what), what)
        if (low is not None and value < low) or (high is not None and value > high):
            self.at = before
            raise self.error(f"{what} out of range", got=value,
                             expected=f"{low} to {high}" if high is not None else f"{low} or more")  # fmt: skip
        return value

    def _whole(self, text: str, what: str) -> int:
        digits = text[1:] if text[:1] == "-" else text
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
            raise self.error(f"no whole number for {what}", got=repr(text[:40]))
        return int(text)

    def real(self, what: str) -> float:
        """Return a float or a double."""
        if self.binary:
            return float(self._marked({4: "f", 8: "d"}, what))
        return self._real(self.token(what), what)

    def _real(self, text: str, what: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise self.error(f"no number for {what}", got=repr(text[:40])) from None

    def size(self, what: str, *, each: int = 1, low: int = 0) -> int:
        """Return a count of items of which each takes at least `each` bytes."""
        before = self.at
        value = self.integer(what, low=low)
        if value * each > self.left:
            self.at = before
            raise self.error(f"more {what} than the file can hold", got=value,
                             expected=f"at most {self.left // each}")  # fmt: skip
        return value

    # -- vectors and matrices ----------------------------------------------------------------

    def _bracketed(self, what: str) -> bytes:
        self.skip_blanks()
        if self.data[self.at : self.at + 1] != b"[":
            raise self.error(f"no {what} here", got=repr(self.data[self.at : self.at + 16]),
                             expected="[")  # fmt: skip
        stop = self.data.find(b"]", self.at, self.end)
        if stop < 0:
            raise self.error(f"{what} has no closing ]", fix="The file is truncated.")
        body = self.data[self.at + 1 : stop]
        self.at = stop + 1
        return body

    def _numbers(self, body: bytes, what: str) -> npt.NDArray[Any]:
        try:
            return np.array(body.split(), dtype=np.float64)
        except ValueError as error:
            raise self.error(f"not a number inside {what} ({error})") from None

    def integers(self, what: str) -> npt.NDArray[np.int32]:
        """Return a vector of int32, shape (N,)."""
        if self.binary:
            mark = int(self.number("b", what))
            if mark != 4:
                self.at -= 1
                raise self.error(f"no int32 vector for {what}", got=f"size mark {mark}", expected=4)
            return self.array("i4", self.count(f"length of {what}", each=4), what)
        body = self._bracketed(what)
        return np.array([self._whole(t.decode("latin-1"), what) for t in body.split()], np.int32)

    def vector(self, what: str, text_type: type = np.float32) -> npt.NDArray[Any]:
        """Return a vector, shape (N,): float32 or float64 as stored, `text_type` from text."""
        if self.binary:
            kind = self.expect("FV", "DV")
            n = self.integer(f"length of {what}", low=0)
            return self.array(_NUMERIC[kind], n, what)
        with np.errstate(over="ignore"):
            return self._numbers(self._bracketed(what), what).astype(text_type)

    def matrix(self, what: str, text_type: type = np.float32) -> npt.NDArray[Any]:
        """Return a matrix, shape (R, C): float32 or float64 as stored, `text_type` from text.

        Kaldi's three compressed kinds are unpacked to float32.
        """
        if not self.binary:
            return self._text_matrix(what, text_type)
        kind = self.expect("FM", "DM", "CM", "CM2", "CM3")
        if kind in _NUMERIC:
            rows = self.integer(f"rows of {what}", low=0)
            columns = self.integer(f"columns of {what}", low=0)
            return self.array(_NUMERIC[kind], (rows, columns), what)
        return self._compressed(kind, what)

    def _text_matrix(self, what: str, text_type: type) -> npt.NDArray[Any]:
        lines = [line for line in self._bracketed(what).split(b"\n") if line.strip()]
        rows = [self._numbers(line, what) for line in lines]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise self.error(f"rows of {what} of unlike lengths", got=sorted(widths)[:4])
        if not rows:
            return np.zeros((0, 0), text_type)
        with np.errstate(over="ignore"):
            return np.stack(rows).astype(text_type)

    def _compressed(self, kind: str, what: str) -> npt.NDArray[np.float32]:
        """Unpack ``CM`` (quartiles per column), ``CM2`` (16 bits) or ``CM3`` (8 bits)."""
        low = np.float32(self.number("f", what))
        span = np.float32(self.number("f", what))
        rows, columns = int(self.number("i", what)), int(self.number("i", what))
        if not max(abs(low), abs(span)) < 1e37:  # also true of NaN
            raise self.error(f"impossible limits of the compressed {what}", got=(low, span))
        step16 = np.float32(1.52590218966964e-05)  # 1/65535 as Kaldi writes it
        if kind == "CM2":
            units = self.array("u2", (rows, columns), what).astype(np.float32)
            return np.asarray(low + span * step16 * units, dtype=np.float32)
        if kind == "CM3":
            units = self.array("u1", (rows, columns), what).astype(np.float32)
            return np.asarray(low + span * np.float32(1 / 255.0) * units, dtype=np.float32)
        quartiles = self.array("u2", (columns, 4), f"column headers of {what}").astype(np.float32)
        p0, p25, p75, p100 = (low + span * step16 * quartiles.T)[:, None, :]
        v = self.array("u1", (columns, rows), what).T.astype(np.float32)
        below = p0 + ((p25 - p0) * v) * np.float64(1 / 64.0)
        middle = p25 + ((p75 - p25) * (v - 64)) * np.float64(1 / 128.0)
        above = p75 + ((p100 - p75) * (v - 192)) * np.float64(1 / 63.0)
        unpacked = np.where(v <= 64, below, np.where(v <= 192, middle, above))
        return np.asarray(unpacked, dtype=np.float32)


class KaldiWriter:
    r"""Collects one Kaldi object, text or binary; the mark ``\0B`` is written at once."""

    def __init__(self, *, binary: bool) -> None:
        self.binary = binary
        self._parts: list[bytes] = [b"\0B"] if binary else []

    def getvalue(self) -> bytes:
        """Return everything written so far."""
        return b"".join(self._parts)

    def token(self, text: str) -> None:
        """Write a token and a blank."""
        self._parts.append(text.encode("utf-8") + b" ")

    def newline(self) -> None:
        """End a line; text mode only."""
        if not self.binary:
            self._parts.append(b"\n")

    def integer(self, value: int, *, unsigned: bool = False) -> None:
        """Write an int32 or uint32."""
        if self.binary:
            code, mark = ("I", -4) if unsigned else ("i", 4)
            self._parts.append(struct.pack("<b" + code, mark, value))
        else:
            self._parts.append(f"{value} ".encode())

    def real(self, value: float) -> None:
        """Write a float; in text with the fewest digits that give the same float32 back."""
        if self.binary:
            self._parts.append(struct.pack("<bf", 4, value))
        else:
            self._parts.append(_text(np.float32(value)) + b" ")

    def integers(self, values: Sequence[int] | npt.NDArray[Any]) -> None:
        """Write a vector of int32."""
        array = np.asarray(values, dtype="<i4")
        if self.binary:
            self._parts.append(struct.pack("<bi", 4, len(array)) + array.tobytes())
        else:
            self._parts.append(b"[ " + b"".join(b"%d " % v for v in array) + b"]\n")

    def vector(self, values: npt.NDArray[Any]) -> None:
        """Write a vector of float32 or float64."""
        if self.binary:
            self.token("DV" if values.dtype == np.float64 else "FV")
            self.integer(len(values))
            self._parts.append(values.astype(values.dtype.newbyteorder("<")).tobytes())
        else:
            self._parts.append(b" [ " + b"".join(_text(v) + b" " for v in values) + b"]\n")

    def matrix(self, values: npt.NDArray[Any]) -> None:
        """Write a matrix of float32 or float64, uncompressed."""
        if self.binary:
            self.token("DM" if values.dtype == np.float64 else "FM")
            for size in values.shape:
                self.integer(size)
            self._parts.append(values.astype(values.dtype.newbyteorder("<")).tobytes())
        else:
            rows = (b"\n  " + b"".join(_text(v) + b" " for v in row) for row in values)
            self._parts.append(b" [" + b"".join(rows) + (b"" if len(values) else b" ") + b"]\n")


def _text(value: np.floating[Any]) -> bytes:
    """Return the shortest decimal that reads back to the same number."""
    return (
        np.format_float_positional(value, trim="-").encode()
        if (np.isfinite(value) and (value == 0 or 1e-4 <= abs(value) < 1e8))
        else str(value).encode()
    )
