"""Walking through the bytes of a binary file without believing what it says about itself.

In: a file's bytes. Out: `Cursor`, which hands out numbers and arrays, and a `FormatError` that
names file and byte when they end too soon; nothing is allocated before the file is known to
hold it.

Public names: `Cursor`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError

__all__ = ["Cursor"]


class Cursor:
    """A place in the bytes of one file; every read is checked against the end.

    Parameters
    ----------
    data : bytes
    where : str
        The file's name, for messages.
    at, end : int
        First byte and the byte after the last; the whole of `data` by default.
    order : str
        ``"<"`` or ``">"``, the byte order of numbers; may be changed as the file tells more.
    """

    def __init__(
        self, data: bytes, where: str, at: int = 0, end: int | None = None, order: str = "<"
    ) -> None:
        self.data = data
        self.where = where
        self.at = at
        self.end = len(data) if end is None else end
        self.order = order

    @property
    def left(self) -> int:
        """Bytes between here and the end."""
        return self.end - self.at

    def place(self) -> str:
        """Return ``file, byte n`` of the present position."""
        return f"{self.where}, byte {self.at}"

    def error(
        self, what: str, *, got: object = None, expected: object = None, fix: str | None = None
    ) -> FormatError:
        """Return (not raise) a `FormatError` that names the present position."""
        return FormatError(what, where=self.place(), got=got, expected=expected, fix=fix)

    def take(self, n: int, what: str) -> bytes:
        """Return the next `n` bytes, which hold `what`."""
        if n < 0 or n > self.left:
            raise self.error(
                f"the file ends inside {what}", got=f"{self.left} bytes",
                expected=f"{n} bytes", fix="The file is truncated or damaged: copy it again.",
            )  # fmt: skip
        part = self.data[self.at : self.at + n]
        self.at += n
        return part

    def number(self, code: str, what: str) -> Any:
        """Return one number of the `struct` type `code` (``i``, ``H``, ``f`` ...)."""
        size = struct.calcsize("<" + code)
        return struct.unpack(self.order + code, self.take(size, what))[0]

    def array(self, kind: str, shape: int | tuple[int, ...], what: str) -> npt.NDArray[Any]:
        """Return an array in native byte order, copied out of the file.

        Parameters
        ----------
        kind : str
            numpy's type code without byte order: ``f4``, ``i4``, ``u1`` ...
        shape : int or tuple of int
            Its product is computed without overflow and checked before anything is allocated.
        """
        shape = (shape,) if isinstance(shape, int) else shape
        count = 1
        for size in shape:
            if size < 0:
                raise self.error(f"negative size of {what}", got=size)
            count *= int(size)
        stored = np.dtype(self.order + kind)
        if count * stored.itemsize > self.left:
            raise self.error(
                f"the file is too short for {what}", got=f"{self.left} bytes",
                expected=f"{' x '.join(map(str, shape))} numbers, {count * stored.itemsize} bytes",
                fix="The file is truncated or damaged: copy it again.",
            )  # fmt: skip
        values = np.frombuffer(self.data, dtype=stored, count=count, offset=self.at)
        self.at += count * stored.itemsize
        return values.astype(stored.newbyteorder("=")).reshape(shape)

    def count(self, what: str, *, low: int = 0, each: int = 1) -> int:
        """Return an int32 that counts items of at least `each` bytes that follow.

        A count below `low`, or one that the rest of the file cannot hold, is an error.
        """
        value = int(self.number("i", what))
        if value < low or value * each > self.left:
            self.at -= 4
            raise self.error(f"impossible {what}", got=value,
                             expected=f"{low} or more, and bytes for them")  # fmt: skip
        return value

    def finish(self) -> None:
        """Complain about bytes after the end of the content."""
        if self.left:
            raise self.error("bytes after the end of the content", got=f"{self.left} bytes",
                             fix="Two files joined, or another format?")  # fmt: skip
