"""H: the units' HMMs as a transducer, and its composition with a graph of units, done directly.

In: `Units` and a machine whose input labels are units (phones). Out: H as an `Fst`, or a
machine whose input labels are HMM states.

Public names: `hmm_fst`, `expand_units`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.units import Moves, Units

__all__ = ["expand_units", "hmm_fst"]

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


def hmm_fst(units: Units, states: Symbols, symbols: Symbols) -> Fst:
    """Return H, the transducer from HMM states to units.

    Parameters
    ----------
    units : Units
    states : Symbols
        Names of the state labels.
    symbols : Symbols
        Names of the units (label = unit number + 1), then the disambiguation symbols: these
        pass through H, as input labels after those of the states.

    Returns
    -------
    Fst
        State 0 is between units, start and final. A unit's label stands on the arc that enters
        it; transition probabilities are the costs, forbidden moves have no arc.
    """
    first = 1 + np.cumsum(units.n_states) - units.n_states  # H's number of a unit's state 0

    def columns(moves: Moves) -> tuple[npt.NDArray[Any], ...]:
        unit = np.repeat(np.arange(len(units)), moves.counts)
        inside = [
            np.where(column < 0, 0, first[unit] + column) for column in (moves.source, moves.target)
        ]
        output = np.where(moves.source < 0, unit + 1, 0)
        return inside[0], moves.label, output, moves.cost, inside[1]

    passing = list(symbols)[len(units) + 1 :]
    marks = np.arange(len(passing))
    nowhere = np.zeros(len(passing), dtype=np.int64)
    rows = [columns(moves) for moves in (units.enter, units.step, units.leave)]
    rows.append((nowhere, marks + len(states), marks + len(units) + 1, nowhere, nowhere))
    source, ilabel, olabel, weight, target = map(np.concatenate, zip(*rows, strict=True))
    final = np.full(1 + int(units.n_states.sum()), np.inf)
    final[0] = 0.0
    return Fst.from_arcs(0, source, ilabel, olabel, weight, target, final,
                         states.extended(passing), symbols)  # fmt: skip


def expand_units(fst: Fst, units: Units, states: Symbols | None = None) -> Fst:
    """Return H ∘ `fst` with disambiguation symbols removed, built without composing.

    Parameters
    ----------
    fst : Fst
        Input labels 1 to U are units; greater ones are disambiguation symbols and become
        epsilons, as 0 is.
    units : Units
    states : Symbols, optional
        Names of the state labels, for the result's input side.

    Returns
    -------
    Fst
        The weighted relation of the composition. A state between units is left out where
        joining its ways in with its ways out makes the machine smaller.

    Notes
    -----
    In H ∘ LG, once a unit is entered, only its HMM state and the LG state behind it matter: all
    arcs with one unit and one destination share their HMM states.
    """
    if not fst.n_states:
        return fst.with_symbols(states, fst.osymbols)
    n_units = len(units)
    ilabel = fst.arcs["ilabel"]
    is_unit = (ilabel > 0) & (ilabel <= n_units)
    bodies = _Bodies.of(fst, units, is_unit)
    kept = _kept_junctions(fst, units, bodies, is_unit)
    node, first, n_states = _number_states(units, bodies, kept)
    ways = _ways_on(fst, units, bodies, kept, node, first)
    rows = [
        _enter_rows(fst, units, bodies, is_unit, ways, first),
        _step_rows(units, bodies, first),
        _leave_rows(units, bodies, kept, node, first),
        _epsilon_rows(fst, is_unit, ways, node),
    ]
    source, label, word, cost, target = map(np.concatenate, zip(*rows, strict=True))
    final = np.full(n_states, np.inf)
    ends = np.flatnonzero(np.isfinite(fst.states["final"]))
    which, at = ways.expand(ends)
    np.minimum.at(final, ways.state[at], ways.cost[at] + fst.states["final"][ends[which]])
    return Fst.from_arcs(int(node[fst.start]), source, label, word, cost, target, final,
                         states, fst.osymbols)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class _Ragged:
    """A list of (state, cost) for each of many rows, end to end."""

    start: _Ints
    state: _Ints
    cost: _Floats

    def expand(self, rows: _Ints) -> tuple[_Ints, _Ints]:
        """Return, for every item of the chosen rows, (index into `rows`, index of the item)."""
        return _ragged(self.start[rows], self.start[rows + 1] - self.start[rows])


def _ragged(start: _Ints, count: _Ints) -> tuple[_Ints, _Ints]:
    which = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return which, start[which] + within


@dataclasses.dataclass(frozen=True, eq=False)
class _Bodies:
    """One copy of a unit's HMM for each (unit, state behind it), ordered by the latter."""

    unit: _Ints
    behind: _Ints
    of_arc: _Ints  # for each arc that is a unit, in the order of the arcs

    @classmethod
    def of(cls, fst: Fst, units: Units, is_unit: npt.NDArray[np.bool_]) -> _Bodies:
        arcs = fst.arcs[is_unit]
        key = arcs["nextstate"].astype(np.int64) * len(units) + (arcs["ilabel"] - 1)
        distinct, of_arc = np.unique(key, return_inverse=True)
        return cls(distinct % len(units), distinct // len(units), of_arc)


def _kept_junctions(
    fst: Fst, units: Units, bodies: _Bodies, is_unit: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Tell which states of `fst` stay states of their own.

    With n ways in and m ways out, a state of its own costs n + m arcs, joining costs n * m.
    The start and what an epsilon leads to must stay.
    """
    n_in = np.bincount(bodies.behind, weights=units.leave.counts[bodies.unit],
                       minlength=fst.n_states)  # fmt: skip
    out = np.ones(fst.n_arcs)
    out[is_unit] = units.enter.counts[fst.arcs["ilabel"][is_unit] - 1]
    n_out = np.bincount(fst.sources(), weights=out, minlength=fst.n_states)
    kept: npt.NDArray[np.bool_] = n_in * n_out > n_in + n_out
    kept[fst.start] = True
    kept[fst.arcs["nextstate"][~is_unit]] = True
    return kept


def _number_states(
    units: Units, bodies: _Bodies, kept: npt.NDArray[np.bool_]
) -> tuple[_Ints, _Ints, int]:
    """Number the result's states: each kept junction, then the bodies that end there."""
    size = units.n_states[bodies.unit]
    per_state = np.bincount(bodies.behind, weights=size, minlength=len(kept)).astype(np.int64)
    per_state += kept
    node = np.cumsum(per_state) - per_state
    before = np.cumsum(size) - size  # body states before this body
    first = before + np.cumsum(kept)[bodies.behind]
    return np.where(kept, node, -1), first, int(per_state.sum())


def _ways_on(
    fst: Fst,
    units: Units,
    bodies: _Bodies,
    kept: npt.NDArray[np.bool_],
    node: _Ints,
    first: _Ints,
) -> _Ragged:
    """List, for each state of `fst`, the states of the result that go on from it."""
    leave = units.leave
    which, move = _ragged(leave.start[bodies.unit], leave.counts[bodies.unit])
    joined = ~kept[bodies.behind[which]]
    which, move = which[joined], move[joined]
    junctions = np.flatnonzero(kept)
    at = np.concatenate([junctions, bodies.behind[which]])
    state = np.concatenate([node[junctions], first[which] + leave.source[move]])
    cost = np.concatenate([np.zeros(len(junctions)), leave.cost[move]])
    order = np.argsort(at, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=fst.n_states))])
    return _Ragged(start, state[order], cost[order])


_Rows = tuple[npt.NDArray[Any], ...]


def _enter_rows(
    fst: Fst,
    units: Units,
    bodies: _Bodies,
    is_unit: npt.NDArray[np.bool_],
    ways: _Ragged,
    first: _Ints,
) -> _Rows:
    arcs, source = fst.arcs[is_unit], fst.sources()[is_unit].astype(np.int64)
    of_way, way = ways.expand(source)
    enter = units.enter
    unit = arcs["ilabel"][of_way].astype(np.int64) - 1
    of_row, move = _ragged(enter.start[unit], enter.counts[unit])
    arc, way = of_way[of_row], way[of_row]
    cost = arcs["weight"][arc] + ways.cost[way] + enter.cost[move]
    target = first[bodies.of_arc[arc]] + enter.target[move]
    return ways.state[way], enter.label[move], arcs["olabel"][arc], cost, target


def _step_rows(units: Units, bodies: _Bodies, first: _Ints) -> _Rows:
    step = units.step
    body, move = _ragged(step.start[bodies.unit], step.counts[bodies.unit])
    word = np.zeros(len(body), dtype=np.int32)
    return (first[body] + step.source[move], step.label[move], word, step.cost[move],
            first[body] + step.target[move])  # fmt: skip


def _leave_rows(
    units: Units, bodies: _Bodies, kept: npt.NDArray[np.bool_], node: _Ints, first: _Ints
) -> _Rows:
    leave = units.leave
    ending = np.flatnonzero(kept[bodies.behind])
    unit = bodies.unit[ending]
    which, move = _ragged(leave.start[unit], leave.counts[unit])
    body = ending[which]
    nothing = np.zeros(len(body), dtype=np.int32)
    return (first[body] + leave.source[move], nothing, nothing, leave.cost[move],
            node[bodies.behind[body]])  # fmt: skip


def _epsilon_rows(fst: Fst, is_unit: npt.NDArray[np.bool_], ways: _Ragged, node: _Ints) -> _Rows:
    arcs, source = fst.arcs[~is_unit], fst.sources()[~is_unit].astype(np.int64)
    arc, way = ways.expand(source)
    return (ways.state[way], np.zeros(len(arc), dtype=np.int32), arcs["olabel"][arc],
            arcs["weight"][arc] + ways.cost[way], node[arcs["nextstate"][arc]])  # fmt: skip
