"""The words of HTK's model files, one by one, each with its place.

In: a file. Out: `TokenReader`, from which a parser takes keywords, names and numbers.

Public names: `MAX_SIZE`, `Token`, `TokenReader`, `real_of`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines

__all__ = ["MAX_SIZE", "Token", "TokenReader", "real_of"]

MAX_SIZE = 1 << 16  # the longest vector
_TOKEN = re.compile(r'<[^>]*>|"(?:[^"\\]|\\.)*"|~\w|[^\s<"~]+')


@dataclasses.dataclass(frozen=True)
class Token:
    """A word and the line that it stands on."""

    text: str
    where: str


class TokenReader:
    """A place in the words of a file."""

    def __init__(self) -> None:
        self.path = ""
        self.tokens: Iterator[Token] = iter(())
        self.waiting: Token | None = None

    def open(self, path: str | Path) -> None:
        """Start to read a file."""
        self.path = str(path)
        self.tokens = _tokens(path)
        self.waiting = None

    def peek(self) -> Token | None:
        """Return the next token without passing it, None at the end."""
        if self.waiting is None:
            self.waiting = next(self.tokens, None)
        return self.waiting

    def next(self, what: str) -> Token:
        """Return the next token and pass it; the end of the file is an error."""
        token = self.peek()
        if token is None:
            raise FormatError(f"the file ends where {what} should be", where=self.path,
                              fix="The file is truncated.")  # fmt: skip
        self.waiting = None
        return token

    def key(self) -> str:
        """Return the next token when it is a keyword, in capitals, else nothing."""
        token = self.peek()
        return token.text.upper() if token is not None and token.text.startswith("<") else ""

    def take(self, *keys: str) -> str:
        """Return the next keyword and pass it when it is one of `keys`, else nothing."""
        found = self.key()
        if found not in keys:
            return ""
        self.next(found)
        return found

    def expect(self, key: str) -> None:
        """Pass a keyword that has to stand here."""
        token = self.next(key)
        if token.text.upper() != key:
            raise FormatError("another thing than expected", where=token.where,
                              got=repr(token.text[:40]), expected=key)  # fmt: skip

    def name(self) -> str:
        """Return a name, quoted or not."""
        text = self.next("a name").text
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text

    def integer(self, what: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        token = self.next(what)
        if not (token.text.isascii() and token.text.isdigit() and len(token.text) < 10):
            raise FormatError(f"no {what}", where=token.where, got=repr(token.text[:20]))
        if not low <= int(token.text) <= high:
            raise FormatError(f"{what} out of range", where=token.where, got=token.text,
                              expected=f"{low} to {high}")  # fmt: skip
        return int(token.text)

    def real(self, what: str) -> float:
        """Return a finite number."""
        token = self.next(what)
        return real_of(token.text, what, token.where)

    def vector(self, what: str, n: int | None = None) -> npt.NDArray[np.float64]:
        """Return a length and that many numbers; with `n`, the length has to be that."""
        token = self.peek()
        size = self.integer(f"length of {what}", 1, MAX_SIZE)
        if n is not None and size != n:
            raise FormatError(f"{what} of the wrong length", where=token.where if token else None,
                              got=size, expected=n)  # fmt: skip
        return np.array([self.real(what) for _ in range(size)])


def _tokens(path: str | Path) -> Iterator[Token]:
    first = True
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        if first and line.lstrip()[:1] not in ("~", "<", ""):
            raise FormatError("not an HTK model file in text form", where=where,
                              got=repr(line[:20]),
                              fix="HHEd without -B writes models as text.")  # fmt: skip
        first = first and not line.strip()
        for match in _TOKEN.finditer(line):
            yield Token(match.group(), where)


def real_of(text: str, what: str, where: str) -> float:
    """Return a finite number, or complain about `what` at `where`."""
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise FormatError(f"no number for {what}", where=where, got=repr(text[:20]))
    return value
