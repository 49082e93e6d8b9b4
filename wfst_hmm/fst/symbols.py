"""Symbol tables: the strings that stand at every public edge, and the integers behind them.

In: strings, or an OpenFst symbol file. Out: an immutable two-way map in which 0 is ``<eps>``
and nothing else; or, for tables of others, any numbers' names.

Public names: `BACKOFF`, `EPSILON`, `EPSILONS`, `Symbols`, `read_numbers`, `renumbered`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.orthography import is_symbol

__all__ = ["BACKOFF", "EPSILON", "EPSILONS", "Symbols", "read_numbers", "renumbered"]

EPSILON = "<eps>"
#: What others call it.
EPSILONS = frozenset((EPSILON, "<epsilon>", "ε"))
#: The word and the phone symbol that stand for a backoff arc of a grammar.
BACKOFF = "#0"


class Symbols:
    """An immutable table of distinct symbols, numbered 0, 1, 2 ...; number 0 is ``<eps>``.

    Parameters
    ----------
    symbols : iterable of str
        The symbols from number 1 on; ``<eps>`` is added in front, or accepted as the first.
    spaces : bool
        Allow blanks within symbols: for machines of others, which are looked at and drawn.

    Raises
    ------
    DataError
        A symbol is empty, holds white space, occurs twice, or is ``<eps>`` past the first place.

    Examples
    --------
    >>> table = Symbols(["yes", "no"])
    >>> table.ids(["no", "yes"]), table[2], len(table), "maybe" in table
    ([2, 1], 'no', 3, False)
    """

    __slots__ = ("_ids", "_spaces", "_symbols")

    def __init__(self, symbols: Iterable[str], *, spaces: bool = False) -> None:
        table = list(symbols)
        if not table or table[0] != EPSILON:
            table.insert(0, EPSILON)
        ids: dict[str, int] = {}
        for number, symbol in enumerate(table):
            if not (symbol.strip() if spaces else is_symbol(symbol)):
                raise DataError(
                    f"symbol number {number} is empty or holds white space", got=repr(symbol)
                )
            if symbol in ids:
                raise DataError(
                    f"symbol {symbol!r} occurs twice", got=f"numbers {ids[symbol]} and {number}"
                )
            ids[symbol] = number
        self._symbols = tuple(table)
        self._ids = ids
        self._spaces = spaces

    def __len__(self) -> int:
        return len(self._symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._symbols):
            raise DataError(
                "no symbol has this number", got=number, expected=f"0 to {len(self._symbols) - 1}"
            )
        return self._symbols[number]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbols) and self._symbols == other._symbols

    def __hash__(self) -> int:
        return hash(self._symbols)

    def __repr__(self) -> str:
        shown = " ".join(self._symbols[1:6])
        more = " ..." if len(self._symbols) > 6 else ""
        return f"Symbols({len(self._symbols) - 1}: {shown}{more})"

    def id(self, symbol: str) -> int:
        """Return the number of `symbol`; a `DataError` when the table lacks it."""
        try:
            return self._ids[symbol]
        except KeyError:
            raise DataError(f"symbol {symbol!r} is not in the table", got=repr(self)) from None

    def ids(self, symbols: Iterable[str]) -> list[int]:
        """Return the numbers of `symbols`, in order."""
        return [self.id(symbol) for symbol in symbols]

    def strings(self, numbers: Iterable[int]) -> list[str]:
        """Return the strings of `numbers`, in order, leaving out epsilons."""
        return [self[int(number)] for number in numbers if number]

    def extended(self, symbols: Iterable[str]) -> Symbols:
        """Return a table with those of `symbols` that are new, appended in order."""
        added = dict.fromkeys(symbol for symbol in symbols if symbol not in self._ids)
        return Symbols([*self._symbols, *added], spaces=self._spaces)

    def write(self, path: str | Path) -> None:
        """Write the table in OpenFst's text form, ``symbol<TAB>number`` a line."""
        text = "".join(f"{symbol}\t{number}\n" for number, symbol in enumerate(self._symbols))
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Symbols:
        """Read OpenFst's text form; numbers must be 0 to n-1 in any order, 0 being ``<eps>``."""
        found = read_numbers(path)
        if found.get(0) != EPSILON:
            raise FormatError(
                "number 0 must be <eps>", where=str(path), got=repr(found.get(0)), expected=EPSILON
            )
        if max(found) != len(found) - 1:
            missing = next(n for n in range(len(found)) if n not in found)
            raise FormatError(
                f"number {missing} is missing", where=str(path),
                expected=f"0 to {len(found) - 1} without gaps",
            )  # fmt: skip
        return cls(found[number] for number in range(len(found)))


def read_numbers(path: str | Path) -> dict[int, str]:
    """Read any symbol table in OpenFst's text form: numbers may have gaps, symbols blanks.

    Whatever number 0 has for a name of epsilon becomes ``<eps>``.

    Raises
    ------
    FormatError
        A line is no symbol and number, or one of them is given twice.
    """
    found: dict[int, str] = {}
    line_of: dict[str, int] = {}
    for line_number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{line_number}"
        symbol, tab, text = line.rpartition("\t")
        fields = [symbol.strip(), text.strip()] if tab else line.split()
        if len(fields) != 2 or not fields[0] or not (fields[1].isascii() and fields[1].isdigit()):
            raise FormatError(
                "not a symbol and its number", where=where, got=repr(line[:80]),
                expected="symbol<TAB>number",
            )  # fmt: skip
        symbol, number = fields[0], int(fields[1])
        symbol = EPSILON if number == 0 and symbol in EPSILONS else symbol
        if number in found:
            raise FormatError(
                f"number {number} is given twice", where=where, got=f"{found[number]}, {symbol}"
            )
        if symbol in line_of:
            raise FormatError(
                f"symbol {symbol!r} is given twice", where=where,
                got=f"first in line {line_of[symbol]}",
            )  # fmt: skip
        found[number] = symbol
        line_of[symbol] = line_number
    return found


def renumbered(
    labels: npt.NDArray[Any], table: Mapping[int, str]
) -> tuple[npt.NDArray[np.int32], Symbols]:
    """Number the labels that occur from 1 on, in the order of their old numbers.

    A label that the table does not name is called by its number.

    Examples
    --------
    >>> labels, symbols = renumbered(np.array([7, 0, 3, 9]), {3: "no", 7: "yes"})
    >>> labels.tolist(), list(symbols)
    ([2, 0, 1, 3], ['<eps>', 'no', 'yes', '9'])
    """
    used = np.unique(labels[labels != 0])
    known = set(table.values())
    names = []
    for label in used.tolist():
        name = table.get(label, str(label))
        while label not in table and name in known:
            name += "'"
        names.append(name)
    new = np.where(labels == 0, 0, np.searchsorted(used, labels) + 1).astype(np.int32)
    return new, Symbols(names, spaces=True)
