"""Frames of the beam search, one after the other, through any kind of graph.

In: graph arrays, tokens and scores. Out: the tokens after the last frame, and the links that
lead to them where a lattice is wanted.

One driver for all searches. Of `columns` and `hmms` one is None: HMMs are written out in the graph,
or expanded on the way. `machines` is None where no costs of words are added, `lattice_beam` where
the best path is enough. Before it infers types, numba drops the branches that ask for an argument
which is None (and is never assigned to), so that what is not wanted costs nothing, not even
compilation. It does not drop the branch for None where the argument is something: hence two
conditions, on `columns` and on `hmms`, and not one with an else.

Public names: `Tokens`, `advance_tokens`, `best_token`, `first_tokens`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.word_costs import MachineArrays, final_cost
from wfst_hmm.search.backpointers import collect
from wfst_hmm.search.instances import (
    Instances,
    MaybeInstances,
    cheapest_entries,
    cutoff_of_instances,
    enter,
    leave,
    mask_for,
    new_entries,
    rehash,
    step,
    with_room,
)
from wfst_hmm.search.links import (
    LinkStore,
    RawLinks,
    begin_links,
    fill_acoustic,
    note_candidates,
    note_epsilons,
    note_units,
    number_states,
    settle_links,
)
from wfst_hmm.search.pairs import MaybePairs, number_of, renumber_pairs
from wfst_hmm.search.tokens import close, cutoff_for, expand, gather, grown, new_closing, recombine

__all__ = ["Tokens", "advance_tokens", "best_token", "first_tokens"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

_BEAM_DELTA = 0.5  # nats


class Tokens(NamedTuple):
    """All that a search carries from frame to frame.

    Attributes
    ----------
    state, cost, history : ndarray, shape (room,)
        Tokens in states of the graph, or in pairs: where, at which cost, and the backpointer.
        With links, `history` is the token's number within its frame.
    n : int
        How many of them there are.
    items : Instances or None
        Units under way, where HMMs are expanded.
    n_items : int
    lowest : float
        Cost of the best HMM state in them.
    n_active : int
        HMM states in them that lie within the beam.
    prev, arc : ndarray of int32
        Backpointers: the one before each, and the arc between.
    frame : ndarray of int32 or None
        Frames emitted when the arc has ended, where units are expanded.
    n_pool : int
        How many backpointers there are.
    collect_at : int
        Backpointers, or links, before the first clearing.
    numbers : ndarray of int32
        With links: number of each HMM state, flat.
    pairs, spare : Pairs or None
        Pairs that tokens stand in; with HMMs written out, room for those of the next frame.
    """

    state: Ints
    cost: Floats
    history: Ints
    n: int
    items: MaybeInstances
    n_items: int
    lowest: float
    n_active: int
    prev: Ints
    arc: Ints
    frame: Any
    n_pool: int
    collect_at: int
    numbers: Ints
    pairs: MaybePairs
    spare: MaybePairs


@numba.njit(cache=True, nogil=True)
def first_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    start: int,
    machines: MachineArrays | None,
    first_word_state: int,
    pairs: MaybePairs,
    spare: MaybePairs,
    items: MaybeInstances,
    pool_frame: Any,
    collect_at: int,
    slot: Ints,
    lattice_beam: float | None,
    links: LinkStore,
    raw: RawLinks,
) -> Any:
    """Return the tokens before the first frame, and the links: the start state's closure.

    `pairs`, `spare`, `items` and `pool_frame` are the room for those of `Tokens`.
    """
    state = np.empty(64, dtype=np.int32)
    cost = np.empty(64, dtype=np.float32)
    arc = np.empty(64, dtype=np.int32)
    source = np.empty(64, dtype=np.int32)
    cost[0] = 0.0
    arc[0] = -1
    source[0] = 0
    if machines is None:
        slot[start] = 0
        state[0] = start
    else:
        state[0] = number_of(pairs, start, first_word_state)
    n, _, state, cost, arc, source, closing, pairs = close(
        states, arcs, machines, pairs, slack, np.inf, slot, 1, state, cost, arc, source,
        new_closing(64),
    )  # fmt: skip
    room = max(len(state), 1024)
    prev = np.empty(room, dtype=np.int32)
    pool_arc = np.empty(room, dtype=np.int32)
    history = np.empty(len(state), dtype=np.int32)
    for token in range(n):
        prev[token] = -1 - source[token] if token else -1
        pool_arc[token] = arc[token]
        history[token] = token
    if items is not None:
        pool_frame = grown(pool_frame, 0, room)
        pool_frame[:n] = 0
        pool_frame[0] = -1  # an entry without an arc ends nowhere
    if lattice_beam is not None:
        raw = begin_links(raw, n)
        raw = note_epsilons(
            raw, states, arcs, machines, pairs, closing.expanded, np.inf, slot, 0, n, state, cost
        )
        links = settle_links(links, raw, lattice_beam)
    tokens = Tokens(
        state, cost, history, n, items, 0, np.inf, 0, prev, pool_arc, pool_frame, n, collect_at,
        np.empty(0, dtype=np.int32), pairs, spare,
    )  # fmt: skip
    return tokens, links, raw


@numba.njit(cache=True, nogil=True)
def advance_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    columns: Any,
    hmms: Any,
    machines: MachineArrays | None,
    scores: npt.NDArray[np.float32],
    scale: float,
    beam: float,
    max_active: int,
    min_active: int,
    slot: Ints,
    tokens: Tokens,
    first_frame: int,
    renumber_at: int,
    lattice_beam: float | None,
    links: LinkStore,
    raw: RawLinks,
    above: npt.NDArray[np.float64],
) -> Any:
    """Search one chunk.

    `columns` are those of the state labels, None where `hmms` expand units on the way.

    Returns frames done, frames that lost tokens, cost taken off, tokens and links, all of them
    stored at the end of the chunk. Fills in `above`, shape (n, 2): below which cost, counted from
    the chunk's start, nothing was dropped before and after each frame.
    """
    state, cost, history, n = tokens.state, tokens.cost, tokens.history, tokens.n
    items, n_items, n_active = tokens.items, tokens.n_items, tokens.n_active
    lowest = np.float32(tokens.lowest)
    prev, pool_arc, pool_frame = tokens.prev, tokens.arc, tokens.frame
    n_pool, collect_at, index = tokens.n_pool, tokens.collect_at, tokens.numbers
    pairs, spare = tokens.pairs, tokens.spare
    offset = 0.0
    n_pruned = 0
    # Room to work in, made once a chunk and grown where a frame needs more.
    room = max(len(state), 1024)
    first_arc = np.empty(room, dtype=np.uint32)
    end_arc = np.empty(room, dtype=np.uint32)
    arc = np.empty(room, dtype=np.int32)
    source = np.empty(room, dtype=np.int32)
    closing = new_closing(room)
    if columns is not None:
        c_cost = np.empty(room, dtype=np.float32)
        c_state = np.empty(room, dtype=np.int32)
        c_arc = np.empty(room, dtype=np.int32)
        c_token = np.empty(room, dtype=np.int32)
        c_word = np.empty(room if machines is not None else 0, dtype=np.int64)
        acoustic = np.empty(len(columns) + 1, dtype=np.float32)
    if hmms is not None:
        slots = items.cost.shape[1]
        scratch = np.empty(room, dtype=np.float32)
        entries = new_entries(room, machines is not None)
        out_item = np.empty(room, dtype=np.uint32)
        out_state = np.empty(room, dtype=np.uint32)
        out_best = np.empty(room, dtype=np.float32)
        entry = np.empty(len(hmms.topology) + 1, dtype=np.float32)
        moved = np.empty(slots, dtype=np.float32)
        came = np.empty(slots, dtype=np.int64)
        old_cost, old_index = np.empty(0, np.float32), np.empty(0, np.int32)
        origin, flat = np.empty(0, np.int32), np.empty(0, np.uint32)
    for frame in range(len(scores)):
        # Prune by the beam and by how many are active.
        best = lowest
        for token in range(n):
            best = min(best, cost[token])
        if columns is not None:
            cutoff = cutoff_for(cost, n, best, beam, max_active, min_active)
            reach = 0.0
        if hmms is not None:
            scratch = grown(scratch, 0, n_items * slots)
            cutoff = cutoff_of_instances(
                items.cost[:n_items].ravel(),
                scratch,
                n_active,
                best,
                beam,
                max_active,
                min_active,
            )
            reach = hmms.dearest_leave  # tokens have paid for leaving, HMM states have not
        first_arc = grown(first_arc, 0, n)
        end_arc = grown(end_arc, 0, n)
        n_before = n
        n, n_arcs = gather(
            states, arcs, machines, pairs, state, cost, history, n, cutoff + reach, best,
            first_arc, end_arc,
        )  # fmt: skip
        offset += best
        # What max_active cut from this frame would be cut from the next one, too, had it come
        # so far; half a nat is left for changes of rank.
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        if columns is not None:
            # Follow the arcs that consume the frame.
            for label in range(len(columns)):
                acoustic[label + 1] = -scale * scores[frame, columns[label]]
            if n_arcs >= len(c_cost):
                c_cost = grown(c_cost, 0, n_arcs + 1)
                c_state = grown(c_state, 0, len(c_cost))
                c_arc = grown(c_arc, 0, len(c_cost))
                c_token = grown(c_token, 0, len(c_cost))
                if machines is not None:
                    c_word = grown(c_word, 0, len(c_cost))
            n_found, reached = expand(
                arcs, machines, pairs, state, cost, n, first_arc, end_arc, acoustic, width,
                c_cost, c_arc, c_token, c_word,
            )  # fmt: skip
            lost_before = n < n_before
            lost_after = width < np.inf
        if hmms is not None:
            # Move units on, and follow the arcs into units; pairs that none of these needs go.
            if machines is not None and pairs.counts[0] > renumber_at:
                pairs = renumber_pairs(pairs, items.dest, n_items, state, n)
            row = scores[frame]
            mask = mask_for(n_items)
            if lattice_beam is not None:
                old_index, index = index, old_index
                old_cost = grown(old_cost, 0, n_items * slots)
                _left_behind(items, n_items, old_cost)
                g_cost, g_number = cost[:n].copy(), history[:n].copy()
            n_moved, lost_before, lost_after, lowest = step(
                hmms, items, n_items, cutoff, best, width, row, scale, mask, moved, came
            )
            lost_before = lost_before or n < n_before
            if lattice_beam is not None:
                origin = _origins(items, n_moved)
            if n_moved + n_arcs * hmms.most_ways > len(items.unit):
                items = with_room(items, n_moved, n_moved + n_arcs * hmms.most_ways)
                rehash(items, n_moved, mask)
            if n_arcs >= len(entries.arc):
                entries = new_entries(max(n_arcs + 1, 2 * len(entries.arc)), machines is not None)
            cheapest_entries(arcs, hmms, n_arcs, n, first_arc, end_arc, row, scale, entry)
            n_items, lost_entering, lowest, n_entries, pairs = enter(
                arcs, hmms, machines, pairs, items, n_moved, state, cost, history, n, first_arc,
                end_arc, lowest, width, row, scale, mask, entry, entries,
            )  # fmt: skip
            lost_after = lost_after or lost_entering
            n_found, reached = n_items, lowest
        if lost_before:
            above[frame, 0] = offset + cutoff - best
        if n_found == 0:
            n_pruned += lost_before or lost_after
            dead = Tokens(
                state, cost, history, n, items, 0, np.inf, 0, prev, pool_arc, pool_frame, n_pool,
                collect_at, index, pairs, spare,
            )  # fmt: skip
            return frame, n_pruned, offset, dead, links, raw
        # Give each state of the graph its cheapest token, and take the epsilon closure.
        limit = reached + width
        if n_found > len(state):
            state = grown(state, 0, n_found)
            cost = grown(cost, 0, len(state))
        if len(state) > len(arc):
            arc = grown(arc, 0, len(state))
            source = grown(source, 0, len(state))
        if columns is not None:
            n, n_candidates, spare = recombine(
                arcs, machines, spare, n_found, limit, c_cost, c_state, c_arc, c_token, c_word,
                slot, state, cost, arc, source, states.ctypes.data,
            )  # fmt: skip
            if machines is not None:
                pairs, spare = spare, pairs
            lost_after = n_candidates < n_arcs
            for token in range(n):
                source[token] = history[source[token]]
        if hmms is not None:
            if n_items >= len(out_item):
                out_item = grown(out_item, 0, n_items + 1)
                out_state = grown(out_state, 0, len(out_item))
                out_best = grown(out_best, 0, len(out_item))
            n, n_active, lost_leaving, n_out = leave(
                hmms, items, n_items, limit, lowest + beam,
                slot if machines is None else pairs.token, state, cost, arc, source,
                states.ctypes.data if machines is None else 0, out_item, out_state, out_best,
            )  # fmt: skip
            lost_after = lost_after or lost_leaving
        n, lost_closing, state, cost, arc, source, closing, pairs = close(
            states, arcs, machines, pairs, slack, limit, slot, n, state, cost, arc, source, closing
        )
        if lost_after or lost_closing:
            above[frame, 1] = offset + limit
        n_pruned += min(above[frame, 0], above[frame, 1]) < np.inf
        if lattice_beam is not None:
            # Keep all links within the beam; from time to time those within the lattice beam.
            if columns is not None:
                n_states = 0
                raw = begin_links(raw, n)
                raw = note_candidates(
                    raw, cost, n_candidates, c_cost, c_state, c_arc, c_token, history
                )
            if hmms is not None:
                index, flat, n_states = number_states(items, n_items, limit, index, flat)
                raw = begin_links(raw, n_states + n)
                raw = note_units(
                    raw, arcs, hmms, machines, limit, best, row, scale,
                    (old_cost, old_index, origin, n_moved), (g_cost, g_number), entries, n_entries,
                    (out_item, out_state, n_out), items, index, flat, n_states, cost,
                )  # fmt: skip
            raw = note_epsilons(
                raw, states, arcs, machines, pairs, closing.expanded, limit, slot, n_states, n,
                state, cost,
            )  # fmt: skip
            history = grown(history, 0, n)
            for token in range(n):
                history[token] = n_states + token
            if raw.counts[0] > collect_at or frame == len(scores) - 1:
                n_raw = raw.counts[1]
                links = settle_links(links, raw, lattice_beam)
                fill_acoustic(links, arcs, hmms, scores[: frame + 1], columns, scale, n_raw)
        else:
            # Keep the best way into each token alone.
            if n_pool + n > collect_at:
                n_pool = collect(prev, pool_arc, pool_frame, n_pool, items, n_items, source, n)
                collect_at = max(collect_at, 2 * (n_pool + n))
            if n_pool + n > len(prev):
                prev = grown(prev, n_pool, n_pool + n)
                pool_arc = grown(pool_arc, n_pool, n_pool + n)
                if hmms is not None:
                    pool_frame = grown(pool_frame, n_pool, n_pool + n)
            history = grown(history, 0, n)
            for token in range(n):
                before = source[token]
                prev[n_pool + token] = before if before >= 0 else n_pool - 1 - before
                pool_arc[n_pool + token] = arc[token]
                if hmms is not None:
                    pool_frame[n_pool + token] = first_frame + frame + 1
                history[token] = n_pool + token
            n_pool += n
    done = Tokens(
        state, cost, history, n, items, n_items, np.float64(lowest), n_active, prev, pool_arc, pool_frame,
        n_pool, collect_at, index, pairs, spare,
    )  # fmt: skip
    return len(scores), n_pruned, offset, done, links, raw


@numba.njit(cache=True, nogil=True)
def _left_behind(items: Instances, n: int, old_cost: Floats) -> None:
    """Keep the costs before a frame; let `back` tell the row, so that `step` says what went where."""
    cost, back = items.cost, items.back
    at = np.uint32(0)
    for number in range(np.uint32(n)):
        for slot in range(np.uint32(cost.shape[1])):
            old_cost[at] = cost[number, slot]
            back[number, slot] = number
            at += np.uint32(1)


@numba.njit(cache=True, nogil=True)
def _origins(items: Instances, n: int) -> Ints:
    """Return the row that each of the first `n` instances had before the frame."""
    origin = np.empty(n, dtype=np.int32)
    for number in range(np.uint32(n)):
        row = items.back[number, 0]
        for slot in range(1, items.cost.shape[1]):
            row = max(row, items.back[number, slot])  # -1 where a state cannot be reached
        origin[number] = row
    return origin


@numba.njit(cache=True, nogil=True)
def best_token(
    states: npt.NDArray[Any],
    machines: MachineArrays | None,
    items: MaybeInstances,
    pairs: MaybePairs,
    tokens: Tokens,
    final: bool,
) -> tuple[float, int, int]:
    """Return the cost of the best token, its number, and with -1 for that the `back` of a unit.

    With `final`, only tokens in final states count, with the final costs.
    """
    best = np.inf
    found = -1
    back = np.int64(-1)
    for token in range(tokens.n):
        total = float(tokens.cost[token])
        at = tokens.state[token]
        if final and machines is None:
            total += states[at].final
        if final and machines is not None:
            total += states[pairs.state[at]].final
            if total < np.inf:
                total += final_cost(machines, pairs.word_state[at])
        if total < best:
            best = total
            found = token
    if items is not None and not final:
        slots = items.cost.shape[1]
        cost = items.cost[: tokens.n_items].ravel()
        for number in range(len(cost)):
            if cost[number] < best:
                best = float(cost[number])
                found = -1
                back = items.back[number // slots, number % slots]
    return best, found, back
