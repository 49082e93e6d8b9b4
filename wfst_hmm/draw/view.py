"""Parts of large machines: surroundings of a state or word, paths, arcs by label.

In: an `Fst` of any size. Out: state and arc numbers, and pictures of just those. Nothing here
takes a step in Python for every arc: millions of arcs are passed over by numpy.

Public names: `arcs_into`, `arcs_with`, `matching_symbols`, `part`, `path_of`, `surroundings`,
`view`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.picture import DrawOptions, Picture, fst_picture, sources_of
from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst.arrays import Fst

__all__ = ["arcs_into", "arcs_with", "matching_symbols", "part", "path_of", "surroundings", "view"]

_MAX_STEPS = 5_000_000  # states of the product looked at before a path search gives up
_MATCHES = 20  # symbols that a search returns


def arcs_with(fst: Fst, symbol: str, *, side: str | None = None) -> npt.NDArray[np.int64]:
    """Return the numbers of the arcs that carry `symbol`.

    Parameters
    ----------
    fst : Fst
    symbol : str
    side : {"input", "output"}, optional
        By default the output side if its table has the symbol, else the input side.

    Raises
    ------
    DataError
        No table has the symbol.
    """
    for name, field, table in (("output", "olabel", fst.osymbols), ("input", "ilabel", fst.isymbols)):  # fmt: skip
        if side in (None, name) and table is not None and symbol in table:
            return np.flatnonzero(fst.arcs[field] == table.id(symbol))
    raise DataError(f"symbol {symbol!r} is in no symbol table of this machine",
                    fix="Check its spelling, and on which side it stands.")  # fmt: skip


def matching_symbols(fst: Fst, text: str, limit: int = _MATCHES) -> list[tuple[str, str, int]]:
    """Return symbols that contain `text`, whatever the case: (side, symbol, arcs that carry it).

    The symbol itself comes first, then those that begin with it, then the rest, each group in
    the order of its table; symbols that no arc carries are left out.
    """
    wanted = text.casefold()
    ranked = []
    sides = (("output", "olabel", fst.osymbols), ("input", "ilabel", fst.isymbols))
    for order, (side, field, table) in enumerate(sides):
        if not wanted or table is None or (order and table == fst.osymbols and _is_acceptor(fst)):
            continue
        counts = np.bincount(fst.arcs[field], minlength=len(table))
        for label, symbol in enumerate(table):
            folded = symbol.casefold()
            if label and wanted in folded and counts[label]:
                rank = 0 if folded == wanted else 1 if folded.startswith(wanted) else 2
                ranked.append((rank, order, label, side, symbol, int(counts[label])))
    return [(side, symbol, count) for _, _, _, side, symbol, count in sorted(ranked)[:limit]]


def _is_acceptor(fst: Fst) -> bool:
    return bool(np.array_equal(fst.arcs["ilabel"], fst.arcs["olabel"]))


def arcs_into(fst: Fst, state: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the arcs that lead to `state`."""
    return np.flatnonzero(fst.arcs["nextstate"] == state)


def surroundings(
    fst: Fst, around: Sequence[int], *, radius: int = 2, max_states: int = 80
) -> list[int]:
    """Return states at most `radius` arcs away, against or along the arcs, nearest first."""
    if radius < 0 or max_states < 1:
        raise UsageError("radius and max_states must not be negative", got=(radius, max_states))
    for state in around:
        if not 0 <= state < fst.n_states:
            raise GraphError("no such state", got=state, expected=f"0 to {fst.n_states - 1}")
    found = dict.fromkeys(int(state) for state in around)
    layer = np.fromiter(found, dtype=np.int64)
    for _ in range(radius):
        if len(found) >= max_states or not len(layer):
            break
        arcs_out = [fst.arcs_of(int(state))["nextstate"] for state in layer[:max_states]]
        ahead = np.concatenate(arcs_out).astype(np.int64)
        inside = np.zeros(fst.n_states, dtype=bool)
        inside[layer] = True
        arcs_in = np.flatnonzero(inside[fst.arcs["nextstate"]])
        behind = sources_of(fst, arcs_in)
        new = [s for s in dict.fromkeys([*ahead.tolist(), *behind.tolist()]) if s not in found]
        found.update(dict.fromkeys(new))
        layer = np.array(new, dtype=np.int64)
    return list(found)[:max_states]


def view(
    fst: Fst,
    around: int | str | None = None,
    *,
    radius: int = 2,
    max_states: int = 80,
    options: DrawOptions | None = None,
    names: Sequence[str] | None = None,
) -> Picture:
    """Return a picture of the surroundings of a state, or of the arcs that carry a symbol.

    Parameters
    ----------
    fst : Fst
    around : int or str, optional
        A state, or a word or phone; by default the start state.
    radius : int
        Arcs to follow from there, in both directions.
    max_states : int
    options : DrawOptions, optional
    names : sequence of str, optional
        Of all states.
    """
    states, marked = part(fst, around, radius=radius, max_states=max_states)
    return fst_picture(fst, options, states=states, path=marked, names=names)


def part(
    fst: Fst, around: int | str | None = None, *, radius: int = 2, max_states: int = 80
) -> tuple[list[int], list[int]]:
    """Return the states and the marked arcs that `view` would draw."""
    marked: list[int] = []
    if around is None:
        centre = [fst.start] if fst.start >= 0 else []
    elif isinstance(around, str):
        marked = arcs_with(fst, around)[:max_states].tolist()
        ends = [int(fst.arcs[arc]["nextstate"]) for arc in marked]
        begins = sources_of(fst, marked).tolist()
        centre = [state for pair in zip(begins, ends, strict=True) for state in pair]
    else:
        centre = [around]
    states = surroundings(fst, centre, radius=radius, max_states=max_states) if centre else []
    inside = set(states)
    marked = [
        arc
        for arc, source in zip(marked, sources_of(fst, marked).tolist(), strict=True)
        if source in inside and int(fst.arcs[arc]["nextstate"]) in inside
    ]
    return states, marked


def path_of(fst: Fst, symbols: Sequence[str], *, side: str | None = None) -> list[int]:
    """Return the arcs of the cheapest path that reads or writes exactly `symbols`.

    Parameters
    ----------
    fst : Fst
        Without negative costs on the way.
    symbols : sequence of str
    side : {"input", "output"}, optional
        By default the output side if its table has all of them, else the input side.

    Raises
    ------
    DataError
        A symbol is in no table.
    GraphError
        No path carries them, or the search grows beyond all bounds.

    Notes
    -----
    Dijkstra's algorithm over pairs (state, symbols matched so far).
    """
    field, labels = _labels(fst, symbols, side)
    if fst.start < 0:
        raise GraphError("an empty machine has no path")
    n = len(labels)
    origin = (fst.start, 0)
    best: dict[tuple[int, int], float] = {origin: 0.0}
    came: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
    queue: list[tuple[float, int, int]] = [(0.0, *origin)]
    end: tuple[int, int] = (-1, n)  # beyond the final states
    while queue:
        cost, state, matched = heapq.heappop(queue)
        here = (state, matched)
        if here == end:
            return _back(came, end)
        if cost > best[here]:
            continue
        if len(best) > _MAX_STEPS:
            raise GraphError("too many paths to look through", got=f"{len(best):,} states")
        final = float(fst.states[state]["final"])
        if matched == n and final < np.inf and cost + final < best.get(end, np.inf):
            best[end] = cost + final
            came[end] = (here, -1)
            heapq.heappush(queue, (cost + final, *end))
        first = int(fst.states[state]["pos"])
        row = fst.arcs_of(state)
        wanted = (row[field] == 0) if matched == n else (row[field] == 0) | (row[field] == labels[matched])  # fmt: skip
        for offset in np.flatnonzero(wanted).tolist():
            arc = row[offset]
            target = (int(arc["nextstate"]), matched + int(arc[field] != 0))
            total = cost + float(arc["weight"])
            if total < best.get(target, np.inf):
                best[target] = total
                came[target] = (here, first + offset)
                heapq.heappush(queue, (total, *target))
    raise GraphError(f"no path carries {' '.join(symbols)!r}" if symbols else "no empty path")


def _labels(fst: Fst, symbols: Sequence[str], side: str | None) -> tuple[str, list[int]]:
    tables: list[tuple[str, str, Any]] = [
        ("output", "olabel", fst.osymbols), ("input", "ilabel", fst.isymbols),
    ]  # fmt: skip
    for name, field, table in tables:
        if side in (None, name) and table is not None and all(s in table for s in symbols):
            return field, table.ids(symbols)
    unknown = [s for s in symbols if not any(t is not None and s in t for _, _, t in tables)]
    raise DataError("symbols that no table of this machine has",
                    got=" ".join(map(repr, unknown[:5] or list(symbols)[:5])),
                    fix="Check their spelling, and on which side they stand.")  # fmt: skip


def _back(
    came: dict[tuple[int, int], tuple[tuple[int, int], int]], end: tuple[int, int]
) -> list[int]:
    arcs = []
    here = end
    while here in came:
        here, arc = came[here]
        if arc >= 0:
            arcs.append(arc)
    return arcs[::-1]
