"""Transducers as text, in the form that OpenFst's ``fstcompile`` and ``fstprint`` use.

In: a path. Out: an `Fst` whose labels are named by symbols; and the way back.

One arc a line, ``source target input output [cost]`` (an acceptor: ``source target label
[cost]``), or a final state, ``state [cost]``; the source of the first line is the start. Labels
are strings here, as everywhere at public edges; where all are numbers and no table names them, they
are those of a machine without tables, 0 for epsilon, as the tools have it.

Public names: `read_fst_text`, `write_fst_text`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm import orthography
from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import EPSILON, EPSILONS, Symbols, renumbered

__all__ = ["read_fst_text", "write_fst_text"]

_Row = tuple[int, list[str]]  # line number, fields


def read_fst_text(
    path: str | Path | Sequence[str],
    isymbols: Symbols | Mapping[int, str] | None = None,
    osymbols: Symbols | Mapping[int, str] | None = None,
    *,
    acceptor: bool | None = None,
) -> Fst:
    """Read a transducer from text.

    Parameters
    ----------
    path : path, or sequence of str
        UTF-8, plain or gzip; or the lines themselves.
    isymbols, osymbols : Symbols or mapping of int to str, optional
        Tables that must hold every label (of a mapping, labels may be the numbers, which need not
        all be named); by default both sides share one table of the labels that occur, in order of
        appearance.
    acceptor : bool, optional
        Whether arcs have one label. By default they do when some arc line has three fields and
        none five; four fields are an input and an output label, as for ``fstcompile``.

    Raises
    ------
    FormatError
        A line is neither an arc nor a final state, a number or label is wrong (``path:line`` is
        named), or the file is empty.
    """
    lines = read_lines(path) if isinstance(path, (str, Path)) else enumerate(path, 1)
    path = path if isinstance(path, (str, Path)) else "the text"
    arcs, finals = _split(lines)
    if acceptor is None:
        acceptor = _looks_like_acceptor([fields for _, fields in arcs])
    n_labels = 1 if acceptor else 2
    first = min([*arcs[:1], *finals[:1]], default=None)
    if first is None:
        raise FormatError("no arcs and no states in this file", where=str(path),
                          expected="lines such as: 0 1 word word 0.5")  # fmt: skip
    labels = [{f[2] for _, f in arcs if len(f) > 2},
              {f[1 + n_labels] for _, f in arcs if len(f) > 1 + n_labels}]  # fmt: skip
    tables = [_numbered(table, names)
              for table, names in zip((isymbols, osymbols), labels, strict=True)]  # fmt: skip
    if isymbols is None and osymbols is None and all(map(_is_number, labels[0] | labels[1])):
        tables = [_Numbers({}), _Numbers({})]
    states: dict[str, int] = {first[1][0]: 0}
    seen: dict[str, int] = {EPSILON: 0}
    columns: list[tuple[int, int, int, float, int]] = []
    for number, fields in arcs:
        where = f"{path}:{number}"
        if not 2 + n_labels <= len(fields) <= 3 + n_labels:
            raise FormatError(
                "not an arc", where=where, got=f"{len(fields)} fields",
                expected="source target " + ("label" if acceptor else "input output") + " [cost]",
            )  # fmt: skip
        source, target = (_state(name, states, where) for name in fields[:2])
        ilabel, olabel = (
            _label(fields[at], table, seen, where)
            for at, table in ((2, tables[0]), (1 + n_labels, tables[1]))
        )
        cost = _cost(fields[2 + n_labels :], where)
        if cost < math.inf:
            columns.append((source, ilabel, olabel, cost, target))
    final: dict[int, float] = {}
    for number, fields in finals:
        where = f"{path}:{number}"
        final[_state(fields[0], states, where)] = _cost(fields[1:], where)
    costs = np.full(len(states), np.inf)
    costs[list(final)] = list(final.values())
    rows = zip(*columns, strict=True) if columns else ((),) * 5
    source_, ilabel_, olabel_, weight, target_ = rows
    table = Symbols(seen, spaces=True) if None in tables else None
    sides: list[tuple[npt.ArrayLike, Symbols | None]] = []
    for side, names in zip((ilabel_, olabel_), tables, strict=True):
        if isinstance(names, _Numbers) and names.table:
            sides.append(renumbered(np.array(side, dtype=np.int64), names.table))
        else:
            sides.append((side, names if isinstance(names, Symbols) else
                          None if isinstance(names, _Numbers) else table))  # fmt: skip
    return Fst.from_arcs(0, source_, sides[0][0], sides[1][0], weight, target_, costs,
                         sides[0][1], sides[1][1])  # fmt: skip


class _Numbers:
    """The side of a machine whose labels are numbers, and what some of them are called."""

    def __init__(self, table: Mapping[int, str]) -> None:
        self.table = table
        self.number_of = {name: number for number, name in table.items()}

    def label(self, text: str) -> int | None:
        if text in self.number_of:
            return self.number_of[text]
        return int(text) if _is_number(text) and len(text) < 10 else None


def _numbered(
    table: Symbols | Mapping[int, str] | None, labels: Collection[str]
) -> Symbols | _Numbers | None:
    """Return how the labels of a side are to be understood."""
    if table is None or isinstance(table, Symbols):
        return table
    named = set(table.values()) | EPSILONS
    if any(label not in named for label in labels) and not all(map(_is_number, labels)):
        return Symbols((name for number, name in table.items() if number), spaces=True)
    return _Numbers(table)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _split(lines: Iterable[tuple[int, str]]) -> tuple[list[_Row], list[_Row]]:
    arcs: list[_Row] = []
    finals: list[_Row] = []
    for number, line in lines:
        fields = orthography.fields(line)
        if fields:
            (arcs if len(fields) > 2 else finals).append((number, fields))
    return arcs, finals


def _looks_like_acceptor(arcs: Sequence[Sequence[str]]) -> bool:
    counts = {len(fields) for fields in arcs}
    return 3 in counts and 5 not in counts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _state(name: str, states: dict[str, int], where: str) -> int:
    if not (_is_number(name) and len(name) < 20):
        raise FormatError("not a state number", where=where, got=repr(name[:40]),
                          expected="0, 1, 2 ...")  # fmt: skip
    return states.setdefault(str(int(name)), len(states))


def _label(text: str, symbols: Symbols | _Numbers | None, seen: dict[str, int], where: str) -> int:
    if text in EPSILONS:
        return 0
    if symbols is None:
        return seen.setdefault(text, len(seen))
    number = symbols.label(text) if isinstance(symbols, _Numbers) else (
        symbols.id(text) if text in symbols else None)  # fmt: skip
    if number is None:
        raise FormatError(f"label {text!r} is not in the symbol table", where=where,
                          fix="Add it to the table or correct the label.")  # fmt: skip
    return number


def _cost(fields: Sequence[str], where: str) -> float:
    if not fields:
        return 0.0
    cost = math.inf if fields[0] == "Infinity" else _number(fields[0])
    if cost is None or math.isnan(cost) or (abs(cost) > 3e38 and cost < math.inf):
        raise FormatError("not a cost", where=where, got=repr(fields[0][:40]),
                          expected="a number (minus a natural logarithm), or Infinity")  # fmt: skip
    return cost


def write_fst_text(fst: Fst, path: str | Path) -> None:
    """Write `fst` as text with the names of its symbol tables (or numbers, without tables).

    The start state's lines come first, the other states' follow in their order.
    """
    lines: list[str] = []
    order = [fst.start, *(s for s in range(fst.n_states) if s != fst.start)]
    for state in order if fst.n_states else ():
        for arc in fst.arcs_of(state):
            labels = (
                _name(int(arc["ilabel"]), fst.isymbols), _name(int(arc["olabel"]), fst.osymbols)
            )  # fmt: skip
            cost = _shown(float(arc["weight"]))
            lines.append("\t".join((str(state), str(arc["nextstate"]), *labels, *cost)))
        final = float(fst.states["final"][state])
        if final < math.inf:
            lines.append("\t".join((str(state), *_shown(final))))
        elif state == fst.start and not len(fst.arcs_of(state)):
            lines.append(f"{state}\tInfinity")  # keeps the start first, though it leads nowhere
    with atomic_file(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _name(label: int, symbols: Symbols | None) -> str:
    if symbols is not None:
        return symbols[label]
    return str(label) if label else EPSILON


def _shown(cost: float) -> tuple[str, ...]:
    if cost == 0.0:
        return ()
    return ("Infinity" if cost == math.inf else repr(cost),)
