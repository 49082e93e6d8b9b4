"""HMMs expanded during the search: the inner loops over active units.

In: arcs of a compact graph, the tokens in its states, the scores of a frame. Out: the active
units of the next frame, and what leaves them.

An *instance* is a unit on its way to a state of the graph, with a cost for each of its HMM
states. All arcs with the same unit and the same destination share it: whichever way it was
entered, its future is the same. So a frame touches the graph only where units begin; within
them, it moves small blocks of costs. A frame runs in three steps, each a function here:

1. `step`: move every instance one frame on;
2. `enter`: follow the arcs of the states that were reached in the frame before;
3. `leave`: give each state of the graph its cheapest way out of a unit.

Public names: `Instances`, `enter`, `home`, `leave`, `mask_for`, `new_instances`, `rehash`, `step`,
`with_room`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.hmm_table import HmmTable
from wfst_hmm.search.prefetch import prefetch

__all__ = [
    "Instances", "enter", "home", "leave", "mask_for", "new_instances", "rehash", "step", "with_room"
]  # fmt: skip

Numbers = npt.NDArray[np.uint32]  # unsigned: numba need not ask whether an index is negative
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

_AHEAD = 12  # how many steps ahead memory is asked for
_ARC_BYTES = 16
_HUGE = np.float32(3e38)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing: 2**64 over the golden ratio


class Instances(NamedTuple):
    """Room for the instances of one frame; how many there are is kept beside it.

    Attributes
    ----------
    unit, dest : ndarray of int32, shape (n,)
    cost : ndarray of float32, shape (n, S)
    back : ndarray of int64, shape (n, S)
        How each HMM state's path came into the unit: token before it (upper half) and arc.
    place : ndarray of int32, shape (n,)
        Where in `table` each instance is.
    table : ndarray of int32, shape (2**k,)
        A hash table from (unit, dest) to instances. It is never cleared: an entry counts only
        when the instance that it names has its `place` there.
    """

    unit: Numbers
    dest: Numbers
    cost: Floats
    back: npt.NDArray[np.int64]
    place: Numbers
    table: Numbers


@numba.njit(cache=True, nogil=True)
def new_instances(room: int, slots: int) -> Instances:
    """Return room for instances, a power of two."""
    return Instances(
        np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty((room, slots), np.float32),
        np.empty((room, slots), np.int64), np.zeros(room, np.uint32),
        np.zeros(4 * room, np.uint32),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def with_room(items: Instances, n: int, wanted: int) -> Any:
    """Return room for `wanted` instances at least, with the first `n` of `items` in it."""
    room = len(items.unit)
    while room < wanted:
        room *= 2
    more = new_instances(room, items.cost.shape[1])
    more.unit[:n] = items.unit[:n]
    more.dest[:n] = items.dest[:n]
    more.cost[:n] = items.cost[:n]
    more.back[:n] = items.back[:n]
    return more


@numba.njit(cache=True, nogil=True)
def home(unit: int, dest: int, mask: int) -> int:
    """Return where in the hash table an instance would be if there were no other."""
    key = (np.uint64(dest) << np.uint64(32)) ^ np.uint64(unit)
    return int(np.uint32((key * _MIX) >> np.uint64(32)) & np.uint32(mask))


@numba.njit(cache=True, nogil=True)
def rehash(items: Instances, n: int, mask: int) -> None:
    """Enter the first `n` instances into the hash table, of which ``mask + 1`` entries are used."""
    unit, dest, place, table = items.unit, items.dest, items.place, items.table
    for number in range(n):
        at = home(unit[number], dest[number], mask)
        while table[at] < number and place[table[at]] == at:
            at = np.uint32(at + 1) & np.uint32(mask)
        table[at] = number
        place[number] = at


@numba.njit(cache=True, nogil=True)
def mask_for(n: int) -> int:
    """Return one less than the power of two that gives `n` instances a roomy hash table."""
    size = 64
    while size < 2 * n:
        size *= 2
    return size - 1


@numba.njit(cache=True, nogil=True)
def step(
    hmms: HmmTable,
    items: Instances,
    n: int,
    cutoff: float,
    base: float,
    width: float,
    row: Floats,
    scale: float,
    mask: int,
    moved: Floats,
    came: npt.NDArray[np.int64],
) -> tuple[int, bool, bool, float]:
    """Move all instances one frame on, in place; `base` is taken off all costs.

    `mask` is one less than the size that is used of the hash table, which is filled anew; `moved`
    and `came` have room for the HMM states of a unit. Returns
    how many are left, whether the cutoff dropped any before, whether the distance from
    the best, `width`, dropped any afterwards, and the cost of the best.
    """
    unit, dest, cost, back = items.unit, items.dest, items.cost, items.back
    table, place = items.table, items.place
    moves, column, topology = hmms.step, hmms.column, hmms.topology
    simple = hmms.simple
    slots = cost.shape[1]
    limit_before = np.float32(min(cutoff, _HUGE))
    base32, scale32 = np.float32(base), np.float32(scale)
    room = np.float32(min(width, _HUGE))
    best, limit = _HUGE, _HUGE
    lost_before = lost_after = False
    m = 0
    for i in range(n):
        u = unit[i]
        kind = topology[u]
        if simple:
            c0, c1, c2 = cost[i, 0], cost[i, 1], cost[i, 2]
            low = min(c0, c1, c2)
            if low > limit_before:
                lost_before = lost_before or low < np.inf
                continue
            b0, b1, b2 = back[i, 0], back[i, 1], back[i, 2]
            d0 = c0 + moves[kind, 0, 0]
            d1, via = c1 + moves[kind, 1, 1], c0 + moves[kind, 0, 1]
            n1 = b1
            if via < d1:
                d1, n1 = via, b0
            d2, n2 = c2 + moves[kind, 2, 2], b2
            via = c1 + moves[kind, 1, 2]
            if via < d2:
                d2, n2 = via, b1
            via = c0 + moves[kind, 0, 2]
            if via < d2:
                d2, n2 = via, b0
            d0 -= base32 + scale32 * row[column[u, 0]]
            d1 -= base32 + scale32 * row[column[u, 1]]
            d2 -= base32 + scale32 * row[column[u, 2]]
            low = min(d0, d1, d2)
            if low > limit:
                lost_after = lost_after or low < np.inf
                continue
            cost[m, 0], cost[m, 1], cost[m, 2] = d0, d1, d2
            back[m, 0], back[m, 1], back[m, 2] = b0, n1, n2
        else:
            low = np.float32(np.inf)
            for j in range(slots):
                low = min(low, cost[i, j])
            if low > limit_before:
                lost_before = lost_before or low < np.inf
                continue
            low = np.float32(np.inf)
            for j in range(slots):
                moved[j] = np.inf
                came[j] = -1
                for k in range(slots):
                    via = cost[i, k] + moves[kind, k, j]
                    if via < moved[j]:
                        moved[j], came[j] = via, back[i, k]
                moved[j] -= base32 + scale32 * row[column[u, j]]
                low = min(low, moved[j])
            if low > limit:
                lost_after = lost_after or low < np.inf
                continue
            cost[m] = moved
            back[m] = came
        if low < best:
            best = low
            limit = min(best + room, _HUGE)
        d = dest[i]
        unit[m], dest[m] = u, d
        at = home(u, d, mask)
        while table[at] < m and place[table[at]] == at:  # taken: loops stay here, see `enter`
            at = np.uint32(at + 1) & np.uint32(mask)
        table[at] = m
        place[m] = at
        m += 1
    return m, lost_before, lost_after, best


@numba.njit(cache=True, nogil=True)
def enter(
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    items: Instances,
    n: int,
    cost: Floats,
    history: Ints,
    n_tokens: int,
    first_arc: npt.NDArray[np.uint32],
    end_arc: npt.NDArray[np.uint32],
    best: float,
    width: float,
    row: Floats,
    scale: float,
    mask: int,
) -> tuple[int, bool, float]:
    """Follow the arcs of the tokens into units.

    `mask` is the one that `step` had. Returns how many instances there are, whether `width`
    dropped a way in, and the cost of the best.
    """
    address = arcs.ctypes.data
    ways, way_cost, way_column, way_state = (
        hmms.enter_start, hmms.enter_cost, hmms.enter_column, hmms.enter_state
    )  # fmt: skip
    unit, dest, held, back = items.unit, items.dest, items.cost, items.back
    place, table = items.place, items.table
    slots = held.shape[1]
    scale32 = np.float32(scale)
    room = np.float32(min(width, _HUGE))
    lowest = np.float32(best)
    limit = min(lowest + room, _HUGE)
    lost = False
    for token in range(n_tokens):
        if token + _AHEAD < n_tokens:
            ahead = first_arc[token + _AHEAD]
            prefetch(address + _ARC_BYTES * np.intp(ahead))
            if ahead + 4 < end_arc[token + _AHEAD]:  # the next cache line
                prefetch(address + _ARC_BYTES * np.intp(ahead + 4))
        so_far = cost[token]
        for arc in range(first_arc[token], end_arc[token]):
            u = np.uint32(arcs[arc].ilabel - 1)
            before = so_far + arcs[arc].weight
            for way in range(ways[u], ways[u + 1]):
                new = before + way_cost[way] - scale32 * row[way_column[way]]
                if new > limit:
                    lost = lost or new < np.inf
                    continue
                d = np.uint32(arcs[arc].nextstate)
                # The search of the hash table is written out: as a function of arrays, numba
                # would count references to them in every call.
                if 2 * n > mask:
                    mask = 2 * mask + 1
                    rehash(items, n, mask)
                at = home(u, d, mask)
                number = table[at]
                while number < n and place[number] == at:
                    if unit[number] == u and dest[number] == d:
                        break
                    at = np.uint32(at + 1) & np.uint32(mask)
                    number = table[at]
                if not (number < n and place[number] == at):
                    number = n
                    table[at] = n
                    place[n] = at
                    unit[n], dest[n] = u, d
                    for j in range(slots):
                        held[n, j] = np.inf
                    n += 1
                j = way_state[way]
                if new < held[number, j]:
                    held[number, j] = new
                    back[number, j] = (np.int64(history[token]) << 32) | arc
                    if new < lowest:
                        lowest = new
                        limit = min(lowest + room, _HUGE)
    return n, lost, lowest


@numba.njit(cache=True, nogil=True)
def leave(
    hmms: HmmTable,
    items: Instances,
    n: int,
    cutoff: float,
    counted: float,
    slot: Ints,
    state: Ints,
    cost: Floats,
    arc: Ints,
    source: Ints,
) -> tuple[int, int, bool]:
    """Give each state of the graph its cheapest way out of the HMM states up to the cutoff.

    What leaving costs may lead beyond the cutoff: in an expanded graph, where leaving one unit
    and entering the next are often one arc, the frame after would decide as well.

    `slot` maps states to tokens, as in `wfst_hmm.search.tokens.recombine`; the other arrays have
    room for `n` tokens. Returns the number of tokens, the number of HMM states up to
    `counted`, and whether the cutoff dropped a way out.
    """
    address = slot.ctypes.data
    unit, dest, held, backs = items.unit, items.dest, items.cost, items.back
    out_cost, topology = hmms.leave, hmms.topology
    slots = held.shape[1]
    limit, within_beam = np.float32(min(cutoff, _HUGE)), np.float32(min(counted, _HUGE))
    n_tokens = n_active = 0
    lost = False
    for i in range(n):
        if i + _AHEAD < n:
            prefetch(address + 4 * np.intp(dest[i + _AHEAD]))
        kind = topology[unit[i]]
        best = np.float32(np.inf)
        which = 0
        for j in range(slots):
            so_far = held[i, j]
            within = so_far <= limit
            n_active += so_far <= within_beam
            new = so_far + out_cost[kind, j]
            if new < best:
                if within:
                    best, which = new, j
                else:
                    lost = lost or new < np.inf
        if best == np.inf:
            continue
        reached = dest[i]
        token = slot[reached]
        if 0 <= token < n_tokens and state[token] == reached:
            if best >= cost[token]:
                continue
        else:
            token = n_tokens
            slot[reached] = token
            state[token] = reached
            n_tokens += 1
        cost[token] = best
        back = backs[i, which]
        arc[token] = np.int32(back & 0x7FFFFFFF)
        source[token] = np.int32(back >> 32)
    return n_tokens, n_active, lost
