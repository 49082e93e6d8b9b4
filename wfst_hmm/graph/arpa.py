r"""ARPA files: n-gram language models as text.

In: a path, plain or gzip. Out: an `NgramModel`; and the way back.

The format (Doug Paul, for the ARPA community; described in SRILM's ngram-format(5))::

    \data\
    ngram 1=4
    ngram 2=3

    \1-grams:
    -1.2041 word -0.3010          log10 of the probability, words, log10 of the backoff weight

    \2-grams:
    -0.6021 word word

    \end\

Text before ``\data\`` is ignored. Millions of lines are parsed a block at a time, by numpy and by
C loops over lists.

Public names: `read_arpa`, `write_arpa`.
"""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_blocks
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.ngram import NgramModel, NgramRows, is_reserved
from wfst_hmm.orthography import is_symbol

__all__ = ["MAX_ORDER", "read_arpa", "write_arpa"]

MAX_ORDER = 20  # a longer n-gram is a damaged header
LOG10 = math.log(10.0)
_MAX = 1e30  # a cost must fit single precision
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,18})")
_SECTION = re.compile(rb"\\(\d{1,3})-grams:")
_SPACE = np.isin(np.arange(256), np.frombuffer(b" \t\n\r\v\f", dtype=np.uint8))


def read_arpa(path: str | Path) -> NgramModel:
    r"""Read an ARPA file of any order.

    Parameters
    ----------
    path : path
        UTF-8, plain or gzip.

    Returns
    -------
    NgramModel
        ``info["skipped"]`` counts n-grams left out because no sentence reaches them (see
        `NgramModel.from_rows`).

    Raises
    ------
    FormatError
        Not an ARPA file; a section is missing, cut off or has another number of lines than
        ``\data\`` says; a line has the wrong number of fields, a number that is none, a positive
        log probability, a word that is no 1-gram, or repeats an n-gram. The message names the line.
    """
    reader = _Reader(str(path))
    for number, block in read_blocks(path):
        for at, chunk in _split_at_sections(number, block):
            reader.take(at, chunk)
            reader.line = at + chunk.count(b"\n") - chunk.endswith(b"\n")
            if reader.ended:
                return reader.model()
    raise reader.error(reader.line, r"the file ends too early; its last line must be \end\ ")


def _split_at_sections(number: int, block: bytes) -> Iterator[tuple[int, bytes]]:
    r"""Cut a block so that a line that starts with a backslash is a chunk of its own."""
    at = 0
    while at < len(block):
        if block[at : at + 1] == b"\\":
            end = block.find(b"\n", at) + 1 or len(block)
        else:
            end = block.find(b"\n\\", at) + 1 or len(block)
        chunk = block[at:end]
        yield number, chunk
        number += chunk.count(b"\n")
        at = end


@dataclasses.dataclass
class _Reader:
    """The state of reading: which section, and what the sections so far held."""

    path: str
    counts: list[int] = dataclasses.field(default_factory=list)
    section: int = -1  # -1: before \data\, 0: in it, k: in \k-grams:
    ended: bool = False
    line: int = 1
    n_lines: int = 0  # n-grams seen in this section
    words: dict[bytes, int] = dataclasses.field(default_factory=dict)
    rows: list[NgramRows] = dataclasses.field(default_factory=list)
    lines: list[npt.NDArray[np.int64]] = dataclasses.field(default_factory=list)
    parts: list[tuple[npt.NDArray[Any], ...]] = dataclasses.field(default_factory=list)

    def error(self, line: int, what: str, **more: Any) -> FormatError:
        return FormatError(what, where=f"{self.path}:{line}", **more)

    def take(self, number: int, chunk: bytes) -> None:
        if chunk.startswith(b"\\"):
            self._command(number, chunk.strip())
        elif self.section == 0:
            self._header(number, chunk)
        elif self.section > 0:
            self._ngrams(number, chunk)

    def _command(self, number: int, text: bytes) -> None:
        if self.section < 0:
            if text == b"\\data\\":
                self.section = 0
            return
        section = _SECTION.fullmatch(text)
        if self.section == 0 and not self.counts:
            raise self.error(number, r"no 'ngram 1=count' line after \data\ ")
        self._close_section(number)
        named = int(section[1]) if section else len(self.counts) + 1
        while self.section + 1 < named and self.counts[self.section : self.section + 1] == [0]:
            self.section += 1  # "ngram 3=0": no such n-grams, and no section of them
            self._close_section(number)
        if text == b"\\end\\" and self.section == len(self.counts):
            self.ended = True
        elif section and int(section[1]) == self.section + 1 <= len(self.counts):
            self.section += 1
        else:
            wanted = (
                rf"\{self.section + 1}-grams:" if self.section < len(self.counts) else r"\end\ "
            )
            raise self.error(number, "wrong section", got=_shown(text), expected=wanted)

    def _header(self, number: int, chunk: bytes) -> None:
        for at, line in enumerate(chunk.split(b"\n"), start=number):
            if not line.strip():
                continue
            count = _COUNT.fullmatch(line.strip())
            if not count or int(count[1]) != len(self.counts) + 1:
                raise self.error(at, "not the next line of the counts", got=_shown(line),
                                 expected=f"'ngram {len(self.counts) + 1}=count'")  # fmt: skip
            if int(count[1]) > MAX_ORDER:
                raise self.error(at, f"order above {MAX_ORDER}", got=_shown(line))
            self.counts.append(int(count[2]))

    def _close_section(self, number: int) -> None:
        if self.section == 0:
            return
        if self.n_lines != self.counts[self.section - 1]:
            raise self.error(
                number, rf"\{self.section}-grams: ends here", got=f"{self.n_lines} n-grams",
                expected=f"{self.counts[self.section - 1]} as \\data\\ says",
            )  # fmt: skip
        empty = (
            np.empty((0, self.section), np.int32), np.empty(0), np.empty(0), np.empty(0, np.int64)
        )  # fmt: skip
        ids, log_prob, backoff, lines = (
            np.concatenate(part) for part in zip(empty, *self.parts, strict=True)
        )
        self.rows.append(NgramRows(ids.astype(np.int32), log_prob * LOG10, backoff * LOG10))
        self.lines.append(lines)
        self.parts, self.n_lines = [], 0

    def _ngrams(self, number: int, chunk: bytes) -> None:
        """Parse lines of the current section."""
        k = self.section
        per_line, lines = _fields_per_line(chunk)
        lines = lines + number
        wrong = np.flatnonzero((per_line != k + 1) & (per_line != k + 2))
        if len(wrong):
            at = int(lines[wrong[0]])
            text = chunk.split(b"\n", at - number + 1)[at - number]
            raise self.error(
                at, f"wrong number of fields for a {k}-gram", got=_shown(text),
                expected=f"log10 probability, {k} word(s) and perhaps log10 backoff",
            )  # fmt: skip
        self.n_lines += len(lines)
        if self.n_lines > self.counts[k - 1]:
            at = int(lines[len(lines) - (self.n_lines - self.counts[k - 1])])
            raise self.error(at, f"more {k}-grams than \\data\\ says", expected=self.counts[k - 1])
        fields = np.array(chunk.split(), dtype=object)
        first = np.cumsum(per_line) - per_line
        log_prob = self._numbers(fields[first], lines)
        positive = np.flatnonzero(log_prob > 1e-4)
        if len(positive):
            at = int(positive[0])
            raise self.error(int(lines[at]), "a log10 probability above 0", got=log_prob[at])
        ids = np.empty((len(lines), k), dtype=np.int32)
        for j in range(k):
            ids[:, j] = self._word_ids(fields[first + 1 + j], lines)
        backoff = np.zeros(len(lines))
        if k < len(self.counts):  # the highest order has no use for one
            has = np.flatnonzero(per_line == k + 2)
            backoff[has] = self._numbers(fields[first[has] + k + 1], lines[has])
        self.parts.append((ids, np.minimum(log_prob, 0.0), backoff, lines))

    def _numbers(
        self, fields: npt.NDArray[Any], lines: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        try:
            values = np.fromiter(map(float, fields), dtype=np.float64, count=len(fields))
            fine = (values < _MAX) & ((values > -_MAX) | (values == -np.inf))  # NaN is neither
            fine &= b"_" not in b" ".join(fields)
        except ValueError:
            fine = np.array([_is_number(field) for field in fields])
        if not np.all(fine):
            at = int(np.argmin(fine))
            at = next((i for i, field in enumerate(fields) if not _is_number(field)), at)
            raise self.error(int(lines[at]), "not a number", got=_shown(fields[at]))
        return values

    def _word_ids(
        self, fields: npt.NDArray[Any], lines: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        if self.section == 1:
            return self._new_words(fields, lines)
        try:
            return np.fromiter(map(self.words.__getitem__, fields), dtype=np.int32,
                               count=len(fields))  # fmt: skip
        except KeyError:
            at = next(i for i, field in enumerate(fields) if field not in self.words)
            raise self.error(
                int(lines[at]), "a word that is no 1-gram", got=_shown(fields[at]),
                fix="Every word of the model has a line among the 1-grams.",
            ) from None  # fmt: skip

    def _new_words(
        self, fields: npt.NDArray[Any], lines: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        for line, field in zip(lines, fields, strict=True):
            try:
                word = field.decode("utf-8")
            except UnicodeDecodeError:
                raise self.error(int(line), "not UTF-8", got=_shown(field),
                                 fix="Convert the file, for example with iconv -t UTF-8.") from None  # fmt: skip
            if not is_symbol(word) or is_reserved(word):
                raise self.error(int(line), "a word that graphs cannot use", got=repr(word),
                                 fix="Rename it: no white space, not <eps>, not #0, #1 ...")  # fmt: skip
            if field in self.words:
                raise self.error(int(line), "a 1-gram that occurs twice", got=repr(word))
            self.words[field] = len(self.words) + 1
        return np.arange(len(self.words) - len(fields) + 1, len(self.words) + 1, dtype=np.int32)

    def model(self) -> NgramModel:
        if not self.words:
            raise self.error(self.line, "no 1-grams")
        while len(self.rows) > 1 and not len(self.rows[-1].words):
            del self.rows[-1], self.lines[-1]
        words = Symbols(word.decode("utf-8") for word in self.words)
        return NgramModel.from_rows(
            words, self.rows, info={"source": self.path},
            place=lambda order, row: f"{self.path}:{self.lines[order - 1][row]}",
        )  # fmt: skip


def _fields_per_line(chunk: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the numbers of fields of the lines that have any, and those lines' offsets."""
    data = np.frombuffer(chunk, dtype=np.uint8)
    space = _SPACE[data]
    starts = ~space
    starts[1:] &= space[:-1]
    newlines = np.flatnonzero(data == 10)
    line_of_start = np.searchsorted(newlines, np.flatnonzero(starts))
    per_line = np.bincount(line_of_start, minlength=1)
    filled = np.flatnonzero(per_line)
    return per_line[filled], filled


def _is_number(field: bytes) -> bool:
    try:
        value = float(field)
        return b"_" not in field and value < _MAX and (value > -_MAX or value == -math.inf)
    except ValueError:
        return False


def _shown(text: bytes) -> str:
    return repr(text[:60].decode("utf-8", "replace"))


def write_arpa(model: NgramModel, path: str | Path) -> None:
    """Write a model as an ARPA file; gzip when the name ends in ``.gz``.

    Probabilities are written with seven digits; a backoff weight only where the n-gram has one or
    is continued by longer ones.
    """
    path = Path(path)
    with atomic_file(path) as temporary:
        if path.suffix == ".gz":
            with (
                open(temporary, "wb") as raw,
                gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
            ):
                _write(model, cast(BinaryIO, packed))
        else:
            with open(temporary, "wb") as plain:
                _write(model, plain)


def _write(model: NgramModel, stream: BinaryIO) -> None:
    header = [rf"ngram {k}={n}" for k, n in enumerate(model.counts, start=1)]
    stream.write("\n".join(["\\data\\", *header, ""]).encode())
    words = list(model.words)
    for k, table in enumerate(model.tables, start=1):
        stream.write(f"\n\\{k}-grams:\n".encode())
        continued = np.zeros(len(table), dtype=bool)
        if k < model.order:
            continued[model.tables[k].context] = True
        backed = continued | (table.backoff != 0)
        columns = [[words[w] for w in column] for column in model.rows(k).T.tolist()]
        lines = zip(
            (table.log_prob / LOG10).tolist(), map(" ".join, zip(*columns, strict=True)),
            (table.backoff / LOG10).tolist(), backed.tolist(), strict=True,
        )  # fmt: skip
        while part := list(itertools.islice(lines, 100_000)):
            stream.write("".join(
                f"{p:.7g}\t{text}\t{b:.7g}\n" if has else f"{p:.7g}\t{text}\n"
                for p, text, b, has in part
            ).encode())  # fmt: skip
    stream.write(b"\n\\end\\\n")
