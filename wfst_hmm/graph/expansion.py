"""H ∘ graph, done directly: units on the arcs of a machine become the states of their HMMs.

In: `Units` and a machine whose input labels are units (phones, or phones in context). Out: a
machine whose input labels are HMM states.

Public names: `expand_units`.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import ARC, Fst
from wfst_hmm.fst.kernels import grown, put_arc, sort_arcs
from wfst_hmm.fst.minimize import state_classes
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.units import Units

__all__ = ["expand_units"]

#: Bytes by arc and by state of the result while it is made: itself, and what checks its order.
_ARC_BYTES, _STATE_BYTES = 32, 48
_Ints = npt.NDArray[np.int64]
_Labels = npt.NDArray[np.int32]
_Floats = npt.NDArray[np.float64]


def expand_units(
    fst: Fst,
    units: Units,
    states: Symbols | None = None,
    *,
    afford: Callable[[int], None] | None = None,
) -> Fst:
    """Return H ∘ `fst` with disambiguation symbols removed, built without composing.

    Parameters
    ----------
    fst : Fst
        Input labels 1 to U are units; greater ones are disambiguation symbols and become
        epsilons, as 0 is.
    units : Units
    states : Symbols, optional
        Names of the state labels, for the result's input side.
    afford : callable (bytes), optional
        Called with the memory that the result takes while it is made, before it is made; raises
        an error to stop there.

    Returns
    -------
    Fst
        The weighted relation of the composition. A state between units is left out where
        joining its ways in with its ways out makes the machine smaller.

    Notes
    -----
    In H ∘ LG, once a unit is entered, only what its HMM may still do and the LG state behind it
    matter. So all units that lead to one state of LG share the HMM states that have the same
    future: the whole HMM, or the last states of two triphones that end alike.
    """
    if not fst.n_states:
        return fst.with_symbols(states, fst.osymbols)
    tails = _tails_of(units)
    ilabel = np.where(fst.arcs["ilabel"] > len(units), 0, fst.arcs["ilabel"])
    given = (
        fst.states, fst.arcs, ilabel, fst.start, tails.enter_start, tails.enter_tail,
        tails.enter_label, tails.enter_cost, tails.unit_start, tails.unit_tail, tails.step_start,
        tails.step_tail, tails.step_label, tails.step_cost, tails.leave, np.empty(0, dtype=ARC),
    )  # fmt: skip
    if afford is not None:
        counts = _expand(*given, True)[0]
        afford(_ARC_BYTES * int(counts.sum()) + _STATE_BYTES * len(counts))
    counts, arcs, final, start = _expand(*given, False)
    return Fst.from_runs(int(start), counts, arcs, final, states, fst.osymbols)


_TAILS: weakref.WeakKeyDictionary[Units, _Tails] = weakref.WeakKeyDictionary()


def _tails_of(units: Units) -> _Tails:
    """Return the tails, worked out once: parts of one graph may be expanded many times."""
    tails = _TAILS.get(units)
    if tails is None:
        tails = _TAILS[units] = _Tails.of(units)
    return tails


@dataclasses.dataclass(frozen=True, eq=False)
class _Tails:
    """HMM states of all units, those with the same future taken as one ("tail")."""

    enter_start: _Ints  # by unit
    enter_tail: _Labels
    enter_label: _Labels
    enter_cost: _Floats
    unit_start: _Ints  # by unit: its tails
    unit_tail: _Labels
    step_start: _Ints  # by tail
    step_tail: _Labels
    step_label: _Labels
    step_cost: _Floats
    leave: _Floats  # by tail, +inf where the unit cannot be left

    @classmethod
    def of(cls, units: Units) -> _Tails:
        first = np.cumsum(units.n_states) - units.n_states
        n = int(units.n_states.sum())
        step, out = units.step, units.leave
        of_step, of_leave = (np.repeat(first, moves.counts) for moves in (step, out))
        leave = np.full(n, np.inf)
        leave[of_leave + out.source] = out.cost
        hmms = Fst.from_arcs(0 if n else -1, of_step + step.source, step.label, step.label,
                             step.cost, of_step + step.target, leave)  # fmt: skip
        tail = state_classes(hmms)
        member = np.unique(tail, return_index=True)[1]
        by_source = np.argsort(of_step + step.source, kind="stable")
        per_state = np.bincount(of_step + step.source, minlength=n)
        begin = np.cumsum(per_state) - per_state
        counts = per_state[member]
        starts = np.concatenate([[0], np.cumsum(counts)])
        rows = by_source[np.repeat(begin[member] - starts[:-1], counts) + np.arange(starts[-1])]
        return cls(
            units.enter.start,
            tail[np.repeat(first, units.enter.counts) + units.enter.target],
            units.enter.label,
            units.enter.cost,
            np.concatenate([first, [n]]).astype(np.int64),
            tail,
            starts.astype(np.int64),
            tail[(of_step + step.target)[rows]],
            step.label[rows],
            step.cost[rows],
            leave[member],
        )


@numba.njit(cache=True, nogil=True)
def _expand(  # type: ignore[no-untyped-def]
    states, fst_arcs, ilabel, start, enter_start, enter_tail, enter_label, enter_cost,
    unit_start, unit_tail, step_start, step_tail, step_label, step_cost, leave, arcs,
    only_counts,
):  # fmt: skip
    """Return arcs per state, arcs, final costs and the start state.

    With `only_counts`, the arcs are not made. The result's states: for each state of the machine ("junction") itself, if it is kept, then
    the tails of the units that lead to it.
    """
    n = len(states)
    # arcs by destination
    into_start = np.zeros(n + 2, dtype=np.int64)
    entries = np.zeros(len(fst_arcs) + 1, dtype=np.int64)  # first way into each arc's unit
    n_out = np.zeros(n, dtype=np.int64)
    kept = np.zeros(n, dtype=np.bool_)
    kept[start] = True
    for state in range(n):
        for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
            unit = ilabel[arc] - 1
            ways = 0
            if unit >= 0:
                into_start[fst_arcs[arc].nextstate + 2] += 1
                ways = enter_start[unit + 1] - enter_start[unit]
                n_out[state] += ways
            else:
                kept[fst_arcs[arc].nextstate] = True
                n_out[state] += 1
            entries[arc + 1] = entries[arc] + ways
    for state in range(n):
        into_start[state + 2] += into_start[state + 1]
    into = np.empty(into_start[n + 1], dtype=np.int32)
    for arc in range(len(fst_arcs)):
        if ilabel[arc] > 0:
            target = fst_arcs[arc].nextstate
            into[into_start[target + 1]] = arc
            into_start[target + 1] += 1
    # the tails that lead to each junction
    cluster_start = np.zeros(n + 1, dtype=np.int64)
    cluster = np.empty(1024, dtype=np.int32)
    place = np.zeros(len(leave), dtype=np.int64)
    stamp = np.full(len(leave), -1, dtype=np.int32)
    entered = np.empty(entries[-1], dtype=np.int32)  # number within the cluster
    size = 0
    for state in range(n):
        begin = size
        n_leaving = 0
        for at in range(into_start[state], into_start[state + 1]):
            unit = ilabel[into[at]] - 1
            for item in range(unit_start[unit], unit_start[unit + 1]):
                tail = unit_tail[item]
                if stamp[tail] != state:
                    stamp[tail] = state
                    place[tail] = size - begin
                    if size == len(cluster):
                        cluster = grown(cluster, size + 1)
                    cluster[size] = tail
                    size += 1
                    n_leaving += leave[tail] < np.inf
            for way in range(enter_start[unit], enter_start[unit + 1]):
                entered[entries[into[at]] + way - enter_start[unit]] = place[enter_tail[way]]
        cluster_start[state + 1] = size
        if n_leaving * n_out[state] > n_leaving + n_out[state]:
            kept[state] = True
    # numbers, and numbers of arcs
    base = np.zeros(n + 1, dtype=np.int64)
    total = np.int64(0)
    for state in range(n):
        base[state + 1] = base[state] + kept[state] + cluster_start[state + 1]
        base[state + 1] -= cluster_start[state]
    counts = np.zeros(base[n], dtype=np.int64)
    final = np.full(base[n], np.inf, dtype=np.float32)
    for state in range(n):
        at = base[state]
        if kept[state]:
            counts[at] = n_out[state]
            final[at] = states[state].final
            total += counts[at]
            at += 1
        for item in range(cluster_start[state], cluster_start[state + 1]):
            tail = cluster[item]
            counts[at] = step_start[tail + 1] - step_start[tail]
            if leave[tail] < np.inf:
                counts[at] += 1 if kept[state] else n_out[state]
                if not kept[state]:
                    final[at] = leave[tail] + states[state].final
            total += counts[at]
            at += 1
    if only_counts:
        return counts, arcs, final, base[start]
    # arcs
    arcs = np.empty(total, dtype=arcs.dtype)
    row = 0
    for state in range(n):
        for item in range(cluster_start[state], cluster_start[state + 1]):
            place[cluster[item]] = item - cluster_start[state]
        for item in range(cluster_start[state] - kept[state], cluster_start[state + 1]):
            begin = row
            cost = 0.0
            goes_on = True
            if item >= cluster_start[state]:
                tail = cluster[item]
                for tail_arc in range(step_start[tail], step_start[tail + 1]):
                    where = place[step_tail[tail_arc]]
                    put_arc(arcs, row, step_label[tail_arc], 0, step_cost[tail_arc],
                            base[state] + kept[state] + where)  # fmt: skip
                    row += 1
                cost = leave[tail]
                goes_on = cost < np.inf
                if goes_on and kept[state]:
                    put_arc(arcs, row, 0, 0, cost, base[state])
                    row += 1
                    goes_on = False
            if goes_on:
                for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
                    following = fst_arcs[arc].nextstate
                    unit = ilabel[arc] - 1
                    if unit < 0:
                        put_arc(arcs, row, 0, fst_arcs[arc].olabel, cost + fst_arcs[arc].weight,
                                base[following])  # fmt: skip
                        row += 1
                        continue
                    for way in range(enter_start[unit], enter_start[unit + 1]):
                        where = entered[entries[arc] + way - enter_start[unit]]
                        put_arc(arcs, row, enter_label[way], fst_arcs[arc].olabel,
                                cost + fst_arcs[arc].weight + enter_cost[way],
                                base[following] + kept[following] + where)  # fmt: skip
                        row += 1
            sort_arcs(arcs, begin, row)
    return counts, arcs, final, base[start]
