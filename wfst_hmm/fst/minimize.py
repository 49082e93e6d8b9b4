"""Minimization by splitting classes of states, for machines of any shape and size.

In: `Fst`. Out: the equivalent `Fst` in which no two states have equal arcs into equal states.

(input, output, cost) counts as one symbol: labels and costs stay where they are, nothing is
pushed. For a machine deterministic in these triples the result is the minimal one; for another
it is the coarsest bisimulation. `ops.minimize` asks OpenFst for the same and is its twin.

Public names: `merge_states`, `state_classes`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.kernels import scramble
from wfst_hmm.fst.trim import predecessors

__all__ = ["merge_states", "state_classes"]


def merge_states(fst: Fst, *, delta: float = 0.0) -> Fst:
    """Return the machine with states of equal future merged.

    Parameters
    ----------
    fst : Fst
        Trim, or useless states may hinder merging.
    delta : float
        Costs are compared after rounding to multiples of it (nats); 0 compares them exactly.

    Returns
    -------
    Fst
        Each merged state stands at the place of its first member, with its arcs.

    Notes
    -----
    Paige & Tarjan (1987), "Three partition refinement algorithms", in rounds: of every class
    that splits, the largest part keeps its name, and only states that lead into a renamed part
    are looked at again. Arcs are compared by 128 bits of a hash: two states with unlike arcs
    would be merged once in some 10^20 machines.
    """
    if not fst.n_states:
        return fst
    block = state_classes(fst, delta=delta)
    n_blocks = int(block.max()) + 1
    if n_blocks == fst.n_states:
        return fst
    first = _first_members(block, n_blocks)
    order = np.argsort(first)
    number = np.empty(n_blocks, dtype=np.int32)
    number[order] = np.arange(n_blocks, dtype=np.int32)
    members = first[order]
    counts = fst.states["n_arcs"][members].astype(np.int64)
    place = np.repeat(fst.states["pos"][members] - (np.cumsum(counts) - counts), counts)
    arcs = fst.arcs[place + np.arange(len(place))]
    arcs["nextstate"] = number[block[arcs["nextstate"]]]
    counts = _drop_repeats(arcs, counts)
    return Fst.from_runs(int(number[block[fst.start]]), counts, arcs[: counts.sum()],
                         fst.states["final"][members], fst.isymbols, fst.osymbols)  # fmt: skip


def state_classes(fst: Fst, *, delta: float = 0.0) -> npt.NDArray[np.int32]:
    """Return the class of every state, shape (n_states,): equal ones have the same future."""
    if not fst.n_states:
        return np.zeros(0, dtype=np.int32)
    symbol = _symbols_of(fst.arcs, delta)
    start, source = predecessors(fst.states, fst.arcs)
    final = _rounded(fst.states["final"], delta)
    return np.asarray(_refine(fst.states, fst.arcs, symbol, final, start, source)[0])


def _rounded(costs: npt.NDArray[np.float32], delta: float) -> npt.NDArray[np.int32]:
    values = costs + np.float32(0.0)  # -0.0 is 0.0
    if delta > 0:
        values = np.round(values / np.float32(delta))
    return np.ascontiguousarray(values, dtype=np.float32).view(np.int32)


def _symbols_of(arcs: npt.NDArray[Any], delta: float) -> npt.NDArray[np.uint64]:
    """Hash (input, output, cost) of every arc."""
    cost = _rounded(arcs["weight"], delta)
    return np.asarray(_mixed(arcs["ilabel"], arcs["olabel"], cost))


@numba.njit(cache=True, nogil=True)
def _mixed(ilabel, olabel, cost):  # type: ignore[no-untyped-def]
    made = np.empty(len(ilabel), dtype=np.uint64)
    for i in range(len(ilabel)):
        low = np.uint64(np.uint32(ilabel[i])) | np.uint64(np.uint32(olabel[i])) << np.uint64(32)
        made[i] = scramble(
            scramble(low + np.uint64(0x9E3779B97F4A7C15)) + np.uint64(np.uint32(cost[i]))
        )
    return made


@numba.njit(cache=True, nogil=True)
def _first_members(block: npt.NDArray[np.int32], n_blocks: int) -> npt.NDArray[np.int64]:
    first = np.full(n_blocks, -1, dtype=np.int64)
    for state in range(len(block)):
        if first[block[state]] < 0:
            first[block[state]] = state
    return first


@numba.njit(cache=True, nogil=True)
def _drop_repeats(arcs: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Close up runs of arcs in place, leaving out arcs that merging made equal."""
    kept = 0
    at = 0
    left = np.empty_like(counts)
    for state in range(len(counts)):
        begin = kept
        for arc in range(at, at + counts[state]):
            repeated = False
            other = kept - 1
            while other >= begin and arcs[other].ilabel == arcs[arc].ilabel:
                if (arcs[other].nextstate == arcs[arc].nextstate
                        and arcs[other].olabel == arcs[arc].olabel
                        and arcs[other].weight == arcs[arc].weight):  # fmt: skip
                    repeated = True
                    break
                other -= 1
            if not repeated:
                arcs[kept] = arcs[arc]
                kept += 1
        left[state] = kept - begin
        at += counts[state]
    return left


@numba.njit(cache=True, nogil=True)
def _refine(  # type: ignore[no-untyped-def]
    states, arcs, symbol, final, start, source
):  # fmt: skip
    """Return the class of every state and how many there are."""
    n = len(states)
    block = np.zeros(n, dtype=np.int32)
    size = np.zeros(n, dtype=np.int32)
    size[0] = n
    n_blocks = 1
    looked_at = np.arange(n).astype(np.int32)
    n_looked = n
    sign = np.empty((n, 2), dtype=np.uint64)
    group_of = np.empty(n, dtype=np.int32)
    marked = np.zeros(n, dtype=np.bool_)
    first_round = True
    while n_looked:
        # what each state does, told from the classes it leads to
        for i in range(n_looked):
            state = looked_at[i]
            a = scramble(np.uint64(np.uint32(final[state])) + np.uint64(1))
            b = np.uint64(0)
            for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
                key = symbol[arc]
                if not first_round:
                    key = scramble(key + np.uint64(block[arcs[arc].nextstate] + 1)
                                    * np.uint64(0x9E3779B97F4A7C15))  # fmt: skip
                a += key
                b += scramble(key ^ np.uint64(0xD1B54A32D192ED03))
            sign[i, 0], sign[i, 1] = a, b
        # states of one class that do the same form a group
        capacity = 16
        while capacity < 2 * n_looked:
            capacity *= 2
        mask = np.uint64(capacity - 1)
        table = np.full(capacity, -1, dtype=np.int32)
        count = np.zeros(n_looked, dtype=np.int32)
        leader = np.empty(n_looked, dtype=np.int32)
        n_groups = 0
        for i in range(n_looked):
            own = block[looked_at[i]]
            slot = scramble(sign[i, 0] ^ (sign[i, 1] + np.uint64(own))) & mask
            while True:
                group = table[slot]
                if group < 0:
                    table[slot] = n_groups
                    leader[n_groups] = i
                    group = n_groups
                    n_groups += 1
                    break
                other = leader[group]
                if (sign[other, 0] == sign[i, 0] and sign[other, 1] == sign[i, 1]
                        and block[looked_at[other]] == own):  # fmt: skip
                    break
                slot = (slot + np.uint64(1)) & mask
            group_of[i] = group
            count[group] += 1
        # the largest part of a class keeps its name: the rest of it, or its largest group
        name = np.full(n_groups, -1, dtype=np.int32)
        heir = np.full(n_blocks, -1, dtype=np.int32)
        rest = size[:n_blocks].copy()
        for group in range(n_groups):
            own = block[looked_at[leader[group]]]
            rest[own] -= count[group]
            if heir[own] < 0 or count[group] > count[heir[own]]:
                heir[own] = group
        for group in range(n_groups):
            own = block[looked_at[leader[group]]]
            if rest[own] == 0 and heir[own] == group:
                name[group] = own
            else:
                name[group] = n_blocks
                size[n_blocks] = count[group]
                size[own] -= count[group]
                n_blocks += 1
        # look again at what leads into a renamed part
        following = np.empty(0, dtype=np.int32)
        n_following = 0
        n_renamed = 0
        for i in range(n_looked):
            state = looked_at[i]
            new = name[group_of[i]]
            if new != block[state]:
                block[state] = new
                looked_at[n_renamed] = state
                n_renamed += 1
        if first_round:
            following = np.arange(n).astype(np.int32)
            n_following = n
            first_round = False
        else:
            most = 0
            for i in range(n_renamed):
                most += start[looked_at[i] + 1] - start[looked_at[i]]
            following = np.empty(min(n, most), dtype=np.int32)
            for i in range(n_renamed):
                for at in range(start[looked_at[i]], start[looked_at[i] + 1]):
                    before = source[at]
                    if not marked[before]:
                        marked[before] = True
                        following[n_following] = before
                        n_following += 1
            for i in range(n_following):
                marked[following[i]] = False
        looked_at = following
        n_looked = n_following
    return block, n_blocks
