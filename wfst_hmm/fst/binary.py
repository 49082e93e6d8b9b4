"""OpenFst's own binary files, with the symbol tables that may be inside.

In: a path to a ``vector`` or ``const`` FST over the standard (tropical) or the log semiring, whose
weights are the same negative logarithms. Out: an `Fst`. Every count is checked against the file's length before it is believed: OpenFst itself
aborts the process on some damaged files.

Public names: `FST_MAGIC`, `fst_of_bytes`, `read_fst`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.files import read_bytes
from wfst_hmm.fst.arrays import ARC, STATE, Fst
from wfst_hmm.fst.symbols import EPSILON, EPSILONS, Symbols, renumbered

__all__ = ["FST_MAGIC", "fst_of_bytes", "read_fst"]

#: The first four bytes of every OpenFst file.
FST_MAGIC = struct.pack("<i", 2125659606)
_SYMBOLS_MAGIC = 2125658996
_HAS_ISYMBOLS, _HAS_OSYMBOLS, _ALIGNED = 1, 2, 4
_LOG64 = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f8"), ("nextstate", "<i4")])
#: Semiring -> how an arc lies in a vector FST.
_ARCS = {"standard": ARC, "log": ARC, "log64": _LOG64}


class _Cursor:
    """A position in a file's bytes."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def error(self, what: str) -> FormatError:
        return FormatError(f"{what} (byte {self.at})", where=self.where,
                           fix="The file is damaged or of another kind.")  # fmt: skip

    def unpack(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        if self.at + size > len(self.data):
            raise self.error("the file ends early")
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += size
        return values

    def text(self) -> str:
        (length,) = self.unpack("<i")
        if not 0 <= length <= len(self.data) - self.at:
            raise self.error("a string of impossible length")
        self.at += length
        try:
            return self.data[self.at - length : self.at].decode("utf-8")
        except UnicodeDecodeError:
            raise self.error("a string that is not UTF-8") from None

    def array(self, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        size = count * dtype.itemsize
        if not 0 <= size <= len(self.data) - self.at:
            raise self.error("more states or arcs announced than the file holds")
        self.at += size
        return np.frombuffer(self.data, dtype, count, self.at - size)


def read_fst(path: str | Path) -> Fst:
    """Read a binary OpenFst file.

    Returns
    -------
    Fst
        Under the symbol tables of the file, renumbered from 0 without gaps; None where there
        are none inside.

    Raises
    ------
    FormatError
        Not a whole ``vector`` or ``const`` FST over the standard or log semiring.
    """
    return fst_of_bytes(read_bytes(path), str(path))


def fst_of_bytes(data: bytes, where: str) -> Fst:
    """Read an OpenFst file's bytes; see `read_fst`."""
    cursor = _Cursor(data, where)
    if data[:4] != FST_MAGIC:
        raise FormatError("not an OpenFst file", where=where)
    cursor.at = 4
    kind, semiring = cursor.text(), cursor.text()
    if kind not in ("vector", "const") or semiring not in _ARCS:
        fix = "Convert it with fstconvert --fst_type=vector."
        if semiring.startswith("compactlattice") or semiring.startswith("lattice"):
            fix = "It is a lattice of Kaldi: wfst-hmm lattice takes archives of them."
        elif semiring not in _ARCS:
            fix = "Convert it with fstmap --map_type=to_std, or print it with fstprint."
        raise FormatError(
            "another kind of FST", where=where, got=f"{kind} over {semiring}",
            expected=f"vector or const over {', '.join(_ARCS)}", fix=fix,
        )  # fmt: skip
    version, flags = cursor.unpack("<ii")
    _, start, n_states, n_arcs = cursor.unpack("<Qqqq")
    tables = [
        _read_symbols(cursor) if flags & flag else None for flag in (_HAS_ISYMBOLS, _HAS_OSYMBOLS)
    ]
    if kind == "vector":
        final, source, arcs = _read_vector(cursor, n_states, _ARCS[semiring])
    else:
        aligned = bool(flags & _ALIGNED) or version == 1
        final, source, arcs = _read_const(cursor, n_states, n_arcs, aligned, semiring)
    return _finished(cursor, start, final, source, arcs, tables)


def _read_symbols(cursor: _Cursor) -> dict[int, str]:
    (magic,) = cursor.unpack("<i")
    if magic != _SYMBOLS_MAGIC:
        raise cursor.error("no symbol table where one was announced")
    cursor.text()
    _, size = cursor.unpack("<qq")
    table: dict[int, str] = {}
    for _ in range(size):
        symbol = cursor.text()
        (key,) = cursor.unpack("<q")
        table[key] = symbol
    table.pop(0, None)  # epsilon, whatever it is called
    return table


_Parts = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[Any]]


def _read_vector(cursor: _Cursor, n_states: int, arc: np.dtype[Any]) -> _Parts:
    if n_states < 0:  # written to a stream: the count is unknown and the states end the file
        n_states = len(cursor.data)
    final: list[float] = []
    counts: list[int] = []
    blocks: list[npt.NDArray[Any]] = []
    while len(final) < n_states and cursor.at < len(cursor.data):
        weight, count = cursor.unpack("<dq" if arc is _LOG64 else "<fq")
        final.append(weight)
        counts.append(count)
        blocks.append(cursor.array(arc, count))
    if len(final) < n_states < len(cursor.data):
        raise cursor.error("the file ends early")
    arcs = (np.concatenate(blocks) if blocks else np.zeros(0, arc)).astype(ARC)
    return np.array(final, np.float32), np.repeat(np.arange(len(final)), counts), arcs


def _read_const(
    cursor: _Cursor, n_states: int, n_arcs: int, aligned: bool, semiring: str
) -> _Parts:
    state_type, arc_type = STATE, ARC
    if semiring == "log64":  # as C aligns the structures
        state_type = np.dtype([("final", "<f8"), *STATE.descr[1:]])
        arc_type = np.dtype(
            [*_LOG64.descr[:2], ("weight", "<f8"), ("nextstate", "<i4"), ("", "<i4")]
        )

    def align() -> None:
        if aligned:
            cursor.at = -(-cursor.at // 16) * 16

    align()
    states = cursor.array(state_type, n_states)
    align()
    arcs = cursor.array(arc_type, n_arcs)[list(ARC.names or ())].astype(ARC)
    counts = states["n_arcs"].astype(np.int64)
    if counts.sum() != n_arcs or np.any(states["pos"] != np.cumsum(counts) - counts):
        raise cursor.error("the states' runs of arcs do not fit together")
    return states["final"].astype(np.float32), np.repeat(np.arange(n_states), counts), arcs


def _whole(table: dict[int, str]) -> Symbols | None:
    """Return a table that numbers its symbols as `Symbols` does, None where it does not."""
    rest = [symbol for number, symbol in sorted(table.items()) if number]
    if {*table} - {0} != {*range(1, len(rest) + 1)} or not all(rest):
        return None
    if len({EPSILON, *rest}) <= len(rest) or table.get(0, EPSILON) not in EPSILONS:
        return None
    return Symbols(rest, spaces=True)


def _finished(
    cursor: _Cursor,
    start: int,
    final: npt.NDArray[np.float32],
    source: npt.NDArray[np.int64],
    arcs: npt.NDArray[Any],
    tables: list[dict[int, str] | None],
) -> Fst:
    real = ~np.isposinf(arcs["weight"])  # an arc of infinite cost is no arc
    arcs, source = arcs[real], source[real]
    try:
        labels: list[npt.NDArray[np.int32]] = []
        symbols: list[Symbols | None] = []
        for side, table in zip(("ilabel", "olabel"), tables, strict=True):
            column, names = arcs[side], None
            if table is not None:
                names = _whole(table)
                if names is None or column.max(initial=0) >= len(names):
                    column, names = renumbered(column, table)
            labels.append(column)
            symbols.append(names)
        return Fst.from_arcs(start, source, labels[0], labels[1], arcs["weight"],
                             arcs["nextstate"], final, symbols[0], symbols[1])  # fmt: skip
    except WfstHmmError as error:
        raise FormatError(str(error), where=cursor.where) from None
