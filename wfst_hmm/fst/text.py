"""Transducers as text, in the form that OpenFst's ``fstcompile`` and ``fstprint`` use.

In: a path. Out: an `Fst` whose labels are named by symbols; and the way back.

One arc a line, ``source target input output [cost]`` (an acceptor: ``source target label
[cost]``), or a final state, ``state [cost]``; the source of the first line is the start. Labels
are strings here, as everywhere at public edges.

Public names: `read_fst_text`, `write_fst_text`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import EPSILON, Symbols

__all__ = ["read_fst_text", "write_fst_text"]

_EPSILONS = frozenset((EPSILON, "<epsilon>", "ε"))
_Row = tuple[int, list[str]]  # line number, fields


def read_fst_text(
    path: str | Path,
    isymbols: Symbols | None = None,
    osymbols: Symbols | None = None,
    *,
    acceptor: bool | None = None,
) -> Fst:
    """Read a transducer from text.

    Parameters
    ----------
    path : path
        UTF-8, plain or gzip.
    isymbols, osymbols : Symbols, optional
        Tables that must hold every label; by default both sides share one table of the labels
        that occur, in order of appearance.
    acceptor : bool, optional
        Whether arcs have one label. By default they do when some arc line has three fields and
        none five, or when every arc line has four and the fourth is always a number.

    Raises
    ------
    FormatError
        A line is neither an arc nor a final state, a number or label is wrong (``path:line`` is
        named), or the file is empty.
    """
    arcs, finals = _split(path)
    if acceptor is None:
        acceptor = _looks_like_acceptor([fields for _, fields in arcs])
    n_labels = 1 if acceptor else 2
    first = min([*arcs[:1], *finals[:1]], default=None)
    if first is None:
        raise FormatError("no arcs and no states in this file", where=str(path),
                          expected="lines such as: 0 1 word word 0.5")  # fmt: skip
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
        ilabel = _label(fields[2], isymbols, seen, where)
        olabel = _label(fields[1 + n_labels], osymbols, seen, where)
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
    table = Symbols(seen) if isymbols is None or osymbols is None else None
    return Fst.from_arcs(0, source_, ilabel_, olabel_, weight, target_, costs,
                         isymbols or table, osymbols or table)  # fmt: skip


def _split(path: str | Path) -> tuple[list[_Row], list[_Row]]:
    arcs: list[_Row] = []
    finals: list[_Row] = []
    for number, line in read_lines(path):
        fields = line.split()
        if fields:
            (arcs if len(fields) > 2 else finals).append((number, fields))
    return arcs, finals


def _looks_like_acceptor(arcs: Sequence[Sequence[str]]) -> bool:
    counts = {len(fields) for fields in arcs}
    if counts == {4}:
        return all(_number(fields[3]) is not None for fields in arcs)
    return 3 in counts and 5 not in counts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _state(name: str, states: dict[str, int], where: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) < 20):
        raise FormatError("not a state number", where=where, got=repr(name[:40]),
                          expected="0, 1, 2 ...")  # fmt: skip
    return states.setdefault(str(int(name)), len(states))


def _label(text: str, symbols: Symbols | None, seen: dict[str, int], where: str) -> int:
    if text in _EPSILONS:
        return 0
    if symbols is None:
        return seen.setdefault(text, len(seen))
    if text not in symbols:
        raise FormatError(f"label {text!r} is not in the symbol table", where=where,
                          fix="Add it to the table or correct the label.")  # fmt: skip
    return symbols.id(text)


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
