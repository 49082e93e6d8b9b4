"""C ∘ LG: a machine over phones becomes one over the HMMs of phones in context.

In: a `ContextTable` and a machine over phones. Out: the machine over HMMs.

Public names: `compose_context`.
"""

from __future__ import annotations

import numba
import numpy as np

from wfst_hmm.errors import GraphError, ModelError
from wfst_hmm.fst.arrays import ARC, Fst
from wfst_hmm.fst.kernels import grown, sort_arcs
from wfst_hmm.graph.context import ContextTable

__all__ = ["compose_context"]


def compose_context(table: ContextTable, fst: Fst, *, max_states: int) -> Fst:
    """Return C ∘ `fst`: HMMs in (number + 1), the outputs of `fst` out.

    Parameters
    ----------
    table : ContextTable
    fst : Fst
        Phones in (number + 1), epsilons where nothing is read.
    max_states : int
        Budget.

    Returns
    -------
    Fst
        With one phone of right context, words stand on the HMM before their first one's. Where
        several phones go on from a state under one and the same HMM, that HMM has one arc, and
        epsilons lead on from behind it.

    Raises
    ------
    ModelError
        The model has no HMM for a phone in a context that occurs; it is named.
    GraphError
        The budget is spent.
    """
    if not fst.n_states:
        return fst
    made = _compose(fst.states, fst.arcs, fst.start, table.following, table.hmm, table.at_once,
                    table.is_final, max_states, np.empty(1024, dtype=ARC))  # fmt: skip
    counts, final, arcs, missing = made
    if missing >= 0:
        raise ModelError(f"the model has no HMM for a phone in context such as {table.example[missing]}",
                         fix="Give the model's map an HMM for it.")  # fmt: skip
    if len(counts) > max_states:
        raise GraphError("the graph in context exceeds the budget of states",
                         expected=f"at most {max_states}", fix="Raise max_states.")  # fmt: skip
    return Fst.from_runs(0, counts, arcs, final, None, fst.osymbols)


@numba.njit(cache=True, nogil=True)
def _slot_of(table, keys, key):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(table) - 1)
    x = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = (x ^ (x >> np.uint64(29))) & mask
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _compose(  # type: ignore[no-untyped-def]
    states, fst_arcs, start, following, hmm, at_once, is_final, max_states, arcs
):  # fmt: skip
    """Return arcs per state, final costs, arcs, and a state of C that lacks an HMM (or -1).

    A pair of states is one number; the pair (state of C, n_fst) has read the end. States
    that follow a grouped HMM have no pair; their arcs wait in a list.
    """
    n_fst = len(states)
    n_columns = following.shape[1]
    end = n_columns - 1
    table = np.full(1 << 16, -1, dtype=np.int32)
    keys = np.empty(1 << 15, dtype=np.int64)  # pair of each state, or ~(its place in waiting)
    counts = np.empty(1 << 15, dtype=np.int64)
    final = np.empty(1 << 15, dtype=np.float32)
    waiting = np.empty(1024, dtype=arcs.dtype)  # arcs of grouped states
    waits = np.zeros(1024, dtype=np.int64)  # where each grouped state's arcs begin
    n_waiting = 0
    n_grouped = 0
    row = np.empty(1024, dtype=arcs.dtype)  # arcs of the state at hand
    key_row = np.empty(1024, dtype=np.int64)
    keys[0] = start
    table[_slot_of(table, keys, np.int64(start))] = 0
    n_pairs = 1
    n_states = 1
    n_arcs = 0
    at = 0
    while at < n_states:
        if n_states > max_states:
            break
        final[at] = np.inf
        n_row = 0
        if keys[at] < 0:
            group = ~keys[at]
            n_row = waits[group + 1] - waits[group]
            if n_row > len(row):
                row, key_row = grown(row, n_row), grown(key_row, n_row)
            for i in range(n_row):
                row[i] = waiting[waits[group] + i]
            grouped = True
        else:
            grouped = False
            own = keys[at] // (n_fst + 1)
            state = keys[at] % (n_fst + 1)
            if at_once[own, 1] >= 0:
                if at_once[own, 0] < 0:
                    return counts[:0], final[:0], arcs[:0], own
                row[0].ilabel, row[0].olabel = at_once[own, 0], 0
                row[0].weight = 0.0
                key_row[0] = np.int64(at_once[own, 1]) * (n_fst + 1) + state
                n_row = 1
            else:
                most = 1
                if state < n_fst:
                    most += states[state].n_arcs
                if most > len(row):
                    row, key_row = grown(row, most), grown(key_row, most)
                ends = state == n_fst or states[state].final < np.inf
                cost = np.float32(0.0) if state == n_fst else states[state].final
                if ends and is_final[own]:
                    final[at] = cost
                elif ends:
                    if hmm[own, end] < 0 or following[own, end] < 0:
                        return counts[:0], final[:0], arcs[:0], own
                    row[0].ilabel, row[0].olabel, row[0].weight = hmm[own, end], 0, cost
                    key_row[0] = np.int64(following[own, end]) * (n_fst + 1) + n_fst
                    n_row = 1
                first, last = 0, 0
                if state < n_fst:
                    first = states[state].pos
                    last = first + states[state].n_arcs
                for arc in range(first, last):
                    label = fst_arcs[arc].ilabel
                    context, written = own, 0
                    if label > 0:
                        context, written = following[own, label - 1], hmm[own, label - 1]
                        if written < 0:
                            return counts[:0], final[:0], arcs[:0], own
                        if written == 0 and at_once[context, 1] >= 0:
                            if at_once[context, 0] < 0:
                                return counts[:0], final[:0], arcs[:0], context
                            written, context = at_once[context, 0], at_once[context, 1]
                    row[n_row].ilabel, row[n_row].olabel = written, fst_arcs[arc].olabel
                    row[n_row].weight = fst_arcs[arc].weight
                    key_row[n_row] = np.int64(context) * (n_fst + 1) + fst_arcs[arc].nextstate
                    n_row += 1
        # destinations get their numbers in the order of the arcs
        if not grouped:
            if n_pairs + n_row > len(table) // 2:
                size = len(table)
                while n_pairs + n_row > size // 2:
                    size *= 4
                table = np.full(size, -1, dtype=np.int32)
                for other in range(n_states):
                    if keys[other] >= 0:
                        table[_slot_of(table, keys, keys[other])] = other
            if n_states + 2 * n_row > len(keys):
                more = n_states + 2 * n_row
                keys, counts, final = grown(keys, more), grown(counts, more), grown(final, more)
            for i in range(n_row):
                slot = _slot_of(table, keys, key_row[i])
                if table[slot] < 0:
                    table[slot] = n_states
                    keys[n_states] = key_row[i]
                    n_states += 1
                    n_pairs += 1
                row[i].nextstate = table[slot]
        sort_arcs(row, 0, n_row)
        if n_arcs + n_row > len(arcs):
            arcs = grown(arcs, n_arcs + n_row)
        begin = n_arcs
        i = 0
        while i < n_row:
            j = i + 1
            while j < n_row and row[j].ilabel == row[i].ilabel:
                j += 1
            if grouped or j == i + 1 or row[i].ilabel == 0:
                for k in range(i, j):
                    arcs[n_arcs] = row[k]
                    n_arcs += 1
            else:
                if n_waiting + j - i > len(waiting):
                    waiting = grown(waiting, n_waiting + j - i)
                if n_grouped + 2 > len(waits):
                    waits = grown(waits, n_grouped + 2)
                least = row[i].weight
                for k in range(i, j):
                    least = min(least, row[k].weight)
                for k in range(i, j):
                    waiting[n_waiting] = row[k]
                    waiting[n_waiting].ilabel = 0
                    waiting[n_waiting].weight = row[k].weight - least
                    n_waiting += 1
                waits[n_grouped + 1] = n_waiting
                keys[n_states] = ~np.int64(n_grouped)
                arcs[n_arcs] = row[i]
                arcs[n_arcs].olabel = 0
                arcs[n_arcs].weight = least
                arcs[n_arcs].nextstate = n_states
                n_arcs += 1
                n_grouped += 1
                n_states += 1
            i = j
        counts[at] = n_arcs - begin
        at += 1
    return counts[:n_states], final[:n_states], arcs[:n_arcs], -1
