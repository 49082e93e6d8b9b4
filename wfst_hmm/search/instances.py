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

With word machines, the destination is a pair (`wfst_hmm.search.pairs`): the word of an arc is
said where its unit begins.

Public names: `FREE`, `Entries`, `Instances`, `MaybeInstances`, `cheapest_entries`, `cutoff_of_instances`, `enter`,
`leave`, `mask_for`, `new_entries`, `new_instances`, `rehash`, `step`, `with_room`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.word_costs import MachineArrays, take_word
from wfst_hmm.search.hmm_table import HmmTable
from wfst_hmm.search.pairs import MaybePairs, pairs_with_room, place_of
from wfst_hmm.search.tokens import cutoff_for, prefetch, smallest

__all__ = [
    "FREE", "Entries", "Instances", "MaybeInstances", "cheapest_entries", "cutoff_of_instances", "enter", "leave",
    "mask_for", "new_entries", "new_instances", "rehash", "step", "with_room",
]  # fmt: skip

Numbers = npt.NDArray[np.uint32]  # unsigned: numba need not ask whether an index is negative
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

#: An entry of the hash table without an instance.
FREE = np.uint32(0xFFFFFFFF)

_STATE_BYTES = 20
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
    table : ndarray of uint32, shape (2**k,)
        A hash table from (unit, dest) to instances, filled anew in each frame.
    """

    unit: Numbers
    dest: Numbers
    cost: Floats
    back: npt.NDArray[np.int64]
    table: Numbers


#: `Instances`, or None where HMMs are written out in the graph.
MaybeInstances: TypeAlias = Any


@numba.njit(cache=True, nogil=True)
def new_instances(room: int, slots: int) -> Instances:
    """Return room for instances, a power of two."""
    return Instances(
        np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty((room, slots), np.float32),
        np.empty((room, slots), np.int64), np.empty(8 * room, np.uint32),
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
    unit, dest, table = items.unit, items.dest, items.table
    table[: mask + 1] = FREE
    for number in range(np.uint32(n)):
        at = home(unit[number], dest[number], mask)
        while table[at] != FREE:
            at = np.uint32(at + 1) & np.uint32(mask)
        table[at] = number


@numba.njit(cache=True, nogil=True)
def cutoff_of_instances(
    held: Floats,
    scratch: Floats,
    n_active: int,
    best: float,
    beam: float,
    max_active: int,
    min_active: int,
) -> float:
    """Return the highest cost to go on from, as `cutoff_for` does, counting HMM states.

    `held` are their costs, `scratch` has room for as many, and `n_active` lie within the beam.
    """
    if n_active >= min_active and (max_active == 0 or n_active <= max_active):
        return best + beam
    n = 0
    for value in held:
        if value < np.inf:
            scratch[n] = value
            n += 1
    if n_active < min_active:
        # so few are quicker kept than chosen from
        return float(smallest(scratch[:n], min_active)) if n > 2 * min_active else np.inf
    return float(cutoff_for(scratch, n, best, beam, max_active, min_active))


@numba.njit(cache=True, nogil=True)
def mask_for(n: int) -> int:
    """Return one less than the power of two that gives `n` instances a roomy hash table."""
    size = 64
    while size < 4 * n:
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
    moves, column, topology = hmms.step, hmms.column, hmms.topology
    slots = cost.shape[1]
    limit_before = np.float32(min(cutoff, _HUGE))
    base32, scale32 = np.float32(base), np.float32(scale)
    room = np.float32(min(width, _HUGE))
    best, limit = _HUGE, _HUGE
    m = np.uint32(0)
    n_before = n_possible = 0  # up to the cutoff, and those of them that go on at all
    if hmms.simple:
        # no branches: which of these are taken, nobody could predict
        for i in range(np.uint32(n)):
            u, d = unit[i], dest[i]
            kind = topology[u]
            c0, c1, c2 = cost[i, 0], cost[i, 1], cost[i, 2]
            b0, b1, b2 = back[i, 0], back[i, 1], back[i, 2]
            within = min(c0, c1, c2) <= limit_before
            d0 = c0 + moves[kind, 0, 0]
            d1, via = c1 + moves[kind, 1, 1], c0 + moves[kind, 0, 1]
            n1 = b0 if via < d1 else b1
            d1 = via if via < d1 else d1
            d2, via = c2 + moves[kind, 2, 2], c1 + moves[kind, 1, 2]
            n2 = b1 if via < d2 else b2
            d2 = via if via < d2 else d2
            via = c0 + moves[kind, 0, 2]
            n2 = b0 if via < d2 else n2
            d2 = via if via < d2 else d2
            d0 -= base32 + scale32 * row[column[u, 0]]
            d1 -= base32 + scale32 * row[column[u, 1]]
            d2 -= base32 + scale32 * row[column[u, 2]]
            unit[m], dest[m] = u, d
            cost[m, 0], cost[m, 1], cost[m, 2] = d0, d1, d2
            back[m, 0], back[m, 1], back[m, 2] = b0, n1, n2
            low = min(d0, d1, d2) if within else np.float32(np.inf)
            best = low if low < best else best
            limit = min(best + room, _HUGE)
            n_before += within
            n_possible += low < np.inf
            m += np.uint32(low <= limit)
    else:
        for i in range(np.uint32(n)):
            u = unit[i]
            kind = topology[u]
            low = np.float32(np.inf)
            for j in range(slots):
                low = min(low, cost[i, j])
            if low > limit_before:
                continue
            n_before += 1
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
            best = min(best, low)
            limit = min(best + room, _HUGE)
            n_possible += low < np.inf
            if low <= limit:
                unit[m], dest[m], cost[m], back[m] = u, dest[i], moved, came
                m += np.uint32(1)
    rehash(items, m, mask)
    return np.int64(m), n_before < n, n_possible > m, best


class Entries(NamedTuple):
    """What `enter` notes of the arcs into units that it followed.

    Attributes
    ----------
    arc, token, item : ndarray of uint32
        The arc, the token that it leaves, the instance (`FREE`: dropped).
    added : ndarray of float32
        Cost of the arc's word by the word machines, where there are any.
    word : ndarray of int64
        State of the word machines behind the arc.
    """

    arc: Numbers
    token: Numbers
    item: Numbers
    added: Floats
    word: npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def new_entries(room: int, with_words: bool) -> Entries:
    """Return room for the entries of so many arcs."""
    words = room if with_words else 0
    return Entries(
        np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.uint32),
        np.empty(words, np.float32), np.empty(words, np.int64),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def cheapest_entries(
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    n_arcs: int,
    n_tokens: int,
    first_arc: npt.NDArray[np.uint32],
    end_arc: npt.NDArray[np.uint32],
    row: Floats,
    scale: float,
    entry: Floats,
) -> None:
    """Fill in what it costs at least to begin units in a frame, at least those that arcs name.

    ``entry[u + 1]`` is for unit u: transition and acoustic cost of its cheapest first state.
    """
    starts, start_cost, start_column = hmms.enter_start, hmms.enter_cost, hmms.enter_column
    scale32 = np.float32(scale)
    # where more arcs are to be followed than there are units, each unit is looked at once
    if n_arcs > len(entry):
        for u in range(np.uint32(len(entry) - 1)):
            low = np.float32(np.inf)
            for way in range(starts[u], starts[u + 1]):
                low = min(low, start_cost[way] - scale32 * row[start_column[way]])
            entry[u + 1] = low
        return
    for token in range(n_tokens):
        for arc in range(first_arc[token], end_arc[token]):
            u = np.uint32(arcs[arc].ilabel - 1)
            low = np.float32(np.inf)
            for way in range(starts[u], starts[u + 1]):
                low = min(low, start_cost[way] - scale32 * row[start_column[way]])
            entry[u + 1] = low


@numba.njit(cache=True, nogil=True)
def enter(
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    machines: MachineArrays | None,
    pairs: MaybePairs,
    items: Instances,
    n: int,
    state: Ints,
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
    entry: Floats,
    entries: Entries,
) -> Any:
    """Follow the arcs of the tokens into units.

    `mask` is the one that `step` had, `entry` is from `cheapest_entries`; `entries` have room for
    the arcs of all tokens, and one more. Returns how many instances there are, whether `width`
    dropped an entry, the cost of the best, how many entries were noted, and the pairs.
    """
    starts, start_cost, start_column, start_state = (
        hmms.enter_start, hmms.enter_cost, hmms.enter_column, hmms.enter_state
    )  # fmt: skip
    unit, dest, held, back = items.unit, items.dest, items.cost, items.back
    table = items.table
    e_arc, e_token, e_item, e_added, e_word = entries
    slots = held.shape[1]
    scale32 = np.float32(scale)
    room = np.float32(min(width, _HUGE))
    lowest = np.float32(best)
    limit = min(lowest + room, _HUGE)
    m = np.uint32(0)
    n_possible = 0
    if machines is not None:
        least = machines.least
    for token in range(n_tokens):
        so_far = cost[token]
        if machines is not None:
            word_state = pairs.word_state[state[token]]
        for arc in range(first_arc[token], end_arc[token]):
            # noted first, counted if within the limit: no branch, which nobody could predict
            new = so_far + arcs[arc].weight + entry[np.uint32(arcs[arc].ilabel)]
            if machines is not None:
                added, reached = 0.0, word_state
                if arcs[arc].olabel:
                    if new + least[arcs[arc].olabel] > limit:
                        n_possible += new < np.inf
                        continue  # whatever came before: most words are too dear
                    added, reached = take_word(machines, word_state, arcs[arc].olabel)
                    new = np.float32(new + added)
                e_added[m] = added
                e_word[m] = reached
            e_arc[m] = arc
            e_token[m] = token
            m += np.uint32(new <= limit)
            n_possible += new < np.inf
    lost = n_possible > m
    if machines is not None:
        pairs = pairs_with_room(pairs, np.int64(m))
        pair_table, pair_mask, n_pairs = pairs.table, pairs.counts[1], np.int64(pairs.counts[0])
        pair_state, pair_word_state = pairs.state, pairs.word_state
    for which in range(m):
        arc, token = e_arc[which], e_token[which]
        u = np.uint32(arcs[arc].ilabel - 1)
        before = cost[token] + arcs[arc].weight
        if machines is not None:
            before = np.float32(before + e_added[which])
        e_item[which] = FREE
        for way in range(starts[u], starts[u + 1]):
            new = before + start_cost[way] - scale32 * row[start_column[way]]
            if new > limit:
                lost = lost or new < np.inf
                continue
            if machines is None:
                d = np.uint32(arcs[arc].nextstate)
            else:
                own = arcs[arc].nextstate
                place = place_of(
                    pair_table, pair_mask, pair_state, pair_word_state, own, e_word[which]
                )
                pair = pair_table[place]
                if pair < 0:
                    pair = n_pairs
                    n_pairs += 1
                    pair_table[place] = pair
                    pair_state[pair] = own
                    pair_word_state[pair] = e_word[which]
                d = np.uint32(pair)
            # The search of the hash table is written out: as a function of arrays, numba
            # would count references to them in every call.
            if 2 * n > mask:
                mask = 2 * mask + 1
                rehash(items, n, mask)
            at = home(u, d, mask)
            number = table[at]
            while number != FREE and not (unit[number] == u and dest[number] == d):
                at = np.uint32(at + 1) & np.uint32(mask)
                number = table[at]
            if number == FREE:
                number = np.uint32(n)
                table[at] = number
                unit[n], dest[n] = u, d
                for j in range(slots):
                    held[n, j] = np.inf
                n += 1
            e_item[which] = number
            j = start_state[way]
            if new < held[number, j]:
                held[number, j] = new
                back[number, j] = (np.int64(history[token]) << 32) | np.int64(arc)
                if new < lowest:
                    lowest = new
                    limit = min(lowest + room, _HUGE)
    if machines is not None:
        pairs.counts[0] = np.uint64(n_pairs)
    return n, lost, lowest, np.int64(m), pairs


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
    rows: int,
    out_item: Numbers,
    out_state: Numbers,
    out_best: Floats,
) -> tuple[int, int, bool, int]:
    """Give each state of the graph its cheapest way out of the HMM states up to the cutoff.

    What leaving costs may lead beyond the cutoff: in an expanded graph, where leaving one unit
    and entering the next are often one arc, the frame after would decide as well.

    `slot` maps states to tokens, as in `wfst_hmm.search.tokens.recombine`; the other arrays have
    room for `n` tokens. `rows` is where the graph's states are in memory, 0 if they are not to be
    fetched. Returns the number of tokens, the number of HMM states up to
    `counted`, whether the cutoff dropped a way out, and how many instances with a way out are
    noted: in `out_item`, with the token that each reached in `out_state`.
    """
    address = slot.ctypes.data
    unit, dest, held, backs = items.unit, items.dest, items.cost, items.back
    out_cost, topology = hmms.leave, hmms.topology
    slots = held.shape[1]
    limit, within_beam = np.float32(min(cutoff, _HUGE)), np.float32(min(counted, _HUGE))
    never = np.float32(np.inf)
    simple = hmms.simple
    n_active = n_lost = 0
    m = np.uint32(0)
    for i in range(np.uint32(n)):
        prefetch(address + 4 * np.intp(dest[i]))
        kind = topology[unit[i]]
        if simple:
            c0, c1, c2 = held[i, 0], held[i, 1], held[i, 2]
            n_active += np.intp(c0 <= within_beam) + np.intp(c1 <= within_beam)
            n_active += np.intp(c2 <= within_beam)
            l0, l1, l2 = out_cost[kind, 0], out_cost[kind, 1], out_cost[kind, 2]
            possible = min(c0 + l0, c1 + l1, c2 + l2)
            c0 = c0 + l0 if c0 <= limit else never
            c1 = c1 + l1 if c1 <= limit else never
            c2 = c2 + l2 if c2 <= limit else never
            which = np.uint32(1) if c1 < c0 else np.uint32(0)
            best = min(c0, c1)
            which = np.uint32(2) if c2 < best else which
            best = min(best, c2)
        else:
            best = possible = never
            which = np.uint32(0)
            for j in range(slots):
                so_far = held[i, j]
                n_active += so_far <= within_beam
                new = so_far + out_cost[kind, j]
                possible = min(possible, new)
                if so_far <= limit and new < best:
                    best, which = new, np.uint32(j)
        n_lost += possible < best
        out_item[m] = i
        out_state[m] = which
        out_best[m] = best
        m += np.uint32(best < never)
    n_tokens = 0
    for noted in range(m):
        i, best = out_item[noted], out_best[noted]
        reached = dest[i]
        which = out_state[noted]
        token = slot[reached]
        if 0 <= token < n_tokens and state[token] == reached:
            out_state[noted] = token
            if best >= cost[token]:
                continue
        else:
            token = n_tokens
            out_state[noted] = token
            slot[reached] = token
            state[token] = reached
            if rows:
                prefetch(rows + _STATE_BYTES * np.intp(reached))
            n_tokens += 1
        cost[token] = best
        back = backs[i, which]
        arc[token] = np.int32(back & 0x7FFFFFFF)
        source[token] = np.int32(back >> 32)
    return n_tokens, n_active, n_lost > 0, np.int64(m)
