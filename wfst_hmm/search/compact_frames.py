"""Frames of a search over a compact graph, one after the other.

In: the graph, its HMMs, tokens and scores. Out: the tokens after the last frame.

Public names: `advance_units`, `cutoff_of_units`, `first_links`, `first_units`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.compact_links import hear_units, note_unit_links, number_states
from wfst_hmm.search.compact_tokens import Tokens, collect_units
from wfst_hmm.search.hmm_table import HmmTable
from wfst_hmm.search.instances import (
    Instances,
    cheapest_ways,
    enter,
    leave,
    mask_for,
    new_instances,
    rehash,
    step,
    with_room,
)
from wfst_hmm.search.links import LinkStore
from wfst_hmm.search.raw_links import RawLinks, settle_links
from wfst_hmm.search.tokens import close, cutoff_for, gather, grown, new_closing, smallest

__all__ = ["advance_units", "cutoff_of_units", "first_links", "first_units"]

_BEAM_DELTA = 0.5  # nats
_HUGE = np.float32(3e38)


@numba.njit(cache=True, nogil=True)
def first_units(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    start: int,
    collect_at: int,
    slot: npt.NDArray[np.int32],
    slots: int,
) -> Any:
    """Return the tokens before the first frame: the start state and its epsilon closure."""
    state = np.empty(64, dtype=np.int32)
    cost = np.empty(64, dtype=np.float32)
    arc = np.empty(64, dtype=np.int32)
    source = np.empty(64, dtype=np.int32)
    slot[start] = 0
    state[0] = start
    cost[0] = 0.0
    arc[0] = -1
    source[0] = 0
    n, _, state, cost, arc, source, _ = close(
        states, arcs, slack, np.inf, slot, 1, state, cost, arc, source, new_closing(64)
    )
    room = max(len(state), 1024)
    prev = np.empty(room, dtype=np.int32)
    pool_arc = np.empty(room, dtype=np.int32)
    pool_frame = np.zeros(room, dtype=np.int32)
    pool_frame[0] = -1  # an entry without an arc ends nowhere
    history = np.empty(len(state), dtype=np.int32)
    for token in range(n):
        prev[token] = -1 - source[token] if token else -1
        pool_arc[token] = arc[token]
        history[token] = token
    return Tokens(new_instances(1024, slots), 0, np.inf, 0, state, cost, history, n, prev, pool_arc,
                   pool_frame, n, collect_at, np.empty(0, dtype=np.int32))  # fmt: skip


@numba.njit(cache=True, nogil=True)
def first_links(
    links: LinkStore,
    raw: RawLinks,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    lattice_beam: float,
    slot: npt.NDArray[np.int32],
    tokens: Tokens,
) -> Any:
    """Store the links before the first frame: the epsilon closure of the start state."""
    costs, numbers = np.empty(0, np.float32), np.empty(0, np.int32)
    none = np.empty(0, np.uint32)
    for token in range(tokens.n):
        tokens.history[token] = token
    raw = note_unit_links(
        raw, states, arcs, np.zeros(tokens.n, np.float32), hmms, np.inf, 0.0, costs, 1.0,
        (costs, numbers, numbers, 0), (costs, numbers), (none, none, none, 0), (none, none, 0),
        tokens.items, numbers, none, 0, slot, tokens.n, tokens.state, tokens.cost,
    )  # fmt: skip
    return settle_links(links, raw, lattice_beam), raw


@numba.njit(cache=True, nogil=True)
def cutoff_of_units(
    held: npt.NDArray[np.float32],
    scratch: npt.NDArray[np.float32],
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
def advance_units(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    hmms: HmmTable,
    scores: npt.NDArray[np.float32],
    scale: float,
    beam: float,
    max_active: int,
    min_active: int,
    slot: npt.NDArray[np.int32],
    tokens: Tokens,
    first_frame: int,
    above: npt.NDArray[np.float64],
    lattice_beam: float,
    links: LinkStore,
    raw: RawLinks,
) -> Any:
    """Search one chunk.

    With a `lattice_beam` above 0, links are kept instead of backpointers, all of them stored at
    the end of the chunk. Returns frames
    done, frames that lost tokens, cost taken off, the tokens and the links. Fills in
    `above`, shape (n, 2), as `wfst_hmm.search.beam` does.
    """
    items, n_items, lowest, n_active = (
        tokens.items, tokens.n_items, tokens.lowest, tokens.n_active
    )  # fmt: skip
    state, cost, history, n = tokens.state, tokens.cost, tokens.history, tokens.n
    prev, pool_arc, pool_frame = tokens.prev, tokens.pool_arc, tokens.pool_frame
    n_pool, collect_at, index = tokens.n_pool, tokens.collect_at, tokens.numbers
    slots = items.cost.shape[1]
    old_cost, old_index, origin = (
        np.empty(0, np.float32), np.empty(0, np.int32), np.empty(0, np.int32)
    )  # fmt: skip
    g_cost, g_number, flat = old_cost, old_index, np.empty(0, np.uint32)
    offset = 0.0
    n_pruned = 0
    room = max(len(state), 1024)
    first_arc = np.empty(room, dtype=np.uint32)
    end_arc = np.empty(room, dtype=np.uint32)
    arc = np.empty(room, dtype=np.int32)
    source = np.empty(room, dtype=np.int32)
    closing = new_closing(room)
    scratch = np.empty(room, dtype=np.float32)
    way_arc = np.empty(room, dtype=np.uint32)
    way_token = np.empty(room, dtype=np.uint32)
    way_item = np.empty(room, dtype=np.uint32)
    out_item = np.empty(room, dtype=np.uint32)
    out_state = np.empty(room, dtype=np.uint32)
    out_best = np.empty(room, dtype=np.float32)
    heard = np.empty(len(hmms.topology) + 1, dtype=np.float32)
    moved = np.empty(slots, dtype=np.float32)
    came = np.empty(slots, dtype=np.int64)
    for frame in range(len(scores)):
        best = np.float32(lowest)
        for token in range(n):
            best = min(best, cost[token])
        scratch = grown(scratch, 0, n_items * slots)
        cutoff = cutoff_of_units(
            items.cost[:n_items].ravel(), scratch, n_active, best, beam, max_active, min_active
        )
        first_arc = grown(first_arc, 0, n)
        end_arc = grown(end_arc, 0, n)
        n_before = n
        n, n_arcs = gather(
            states,
            arcs,
            state,
            cost,
            history,
            n,
            cutoff + hmms.dearest_leave,
            best,
            first_arc,
            end_arc,
        )
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        row = scores[frame]
        mask = mask_for(n_items)
        if lattice_beam > 0:
            old_index, index = index, old_index
            old_cost = grown(old_cost, 0, n_items * slots)
            _left_behind(items, n_items, old_cost)
            g_cost, g_number = cost[:n].copy(), history[:n].copy()
        n_moved, lost_before, lost_after, lowest = step(
            hmms, items, n_items, cutoff, best, width, row, scale, mask, moved, came
        )
        if lattice_beam > 0:
            origin = _origins(items, n_moved)
        if n_moved + n_arcs * hmms.most_ways > len(items.unit):
            items = with_room(items, n_moved, n_moved + n_arcs * hmms.most_ways)
            rehash(items, n_moved, mask)
        if n_arcs >= len(way_arc):
            way_arc = grown(way_arc, 0, n_arcs + 1)
            way_token = grown(way_token, 0, len(way_arc))
            way_item = grown(way_item, 0, len(way_arc))
        cheapest_ways(arcs, hmms, n_arcs, n, first_arc, end_arc, row, scale, heard)
        n_items, lost_entering, lowest, n_in = enter(
            arcs, hmms, items, n_moved, cost, history, n, first_arc, end_arc, lowest, width,
            row, scale, mask, heard, way_arc, way_token, way_item,
        )  # fmt: skip
        offset += best
        if lost_before or n < n_before:
            above[frame, 0] = offset + cutoff - best
        if n_items == 0:
            n_pruned += lost_before or lost_after or lost_entering or n < n_before
            return frame, n_pruned, offset, Tokens(
                items, 0, np.inf, 0, state, cost, history, n, prev, pool_arc, pool_frame, n_pool, collect_at,
                index,
            ), links, raw  # fmt: skip
        limit = lowest + width
        if n_items > len(state):
            state = grown(state, 0, n_items)
            cost = grown(cost, 0, len(state))
        if len(state) > len(arc):
            arc = grown(arc, 0, len(state))
            source = grown(source, 0, len(state))
        if n_items >= len(out_item):
            out_item = grown(out_item, 0, n_items + 1)
            out_state = grown(out_state, 0, len(out_item))
            out_best = grown(out_best, 0, len(out_item))
        n, n_active, lost_leaving, n_out = leave(
            hmms,
            items,
            n_items,
            limit,
            lowest + beam,
            slot,
            state,
            cost,
            arc,
            source,
            states.ctypes.data,
            out_item,
            out_state,
            out_best,
        )
        n, lost_closing, state, cost, arc, source, closing = close(
            states, arcs, slack, limit, slot, n, state, cost, arc, source, closing
        )
        if lost_after or lost_entering or lost_leaving or lost_closing:
            above[frame, 1] = offset + limit
        n_pruned += min(above[frame, 0], above[frame, 1]) < np.inf
        if n > len(history):
            history = grown(history, 0, n)
        if lattice_beam > 0:
            index, flat, n_states = number_states(items, n_items, limit, index, flat)
            raw = note_unit_links(
                raw, states, arcs, closing.expanded, hmms, limit, best, row, scale,
                (old_cost, old_index, origin, n_moved), (g_cost, g_number),
                (way_arc, way_token, way_item, n_in), (out_item, out_state, n_out),
                items, index, flat, n_states, slot, n, state, cost,
            )  # fmt: skip
            for token in range(n):
                history[token] = n_states + token
            if raw.counts[0] > collect_at or frame == len(scores) - 1:
                n_raw = raw.counts[1]
                links = settle_links(links, raw, lattice_beam)
                hear_units(links, arcs, hmms, scores[: frame + 1], scale, n_raw)
            continue
        if n_pool + n > collect_at:
            n_pool = collect_units(prev, pool_arc, pool_frame, n_pool, items, n_items, source, n)
            collect_at = max(collect_at, 2 * (n_pool + n))
        if n_pool + n > len(prev):
            prev = grown(prev, n_pool, n_pool + n)
            pool_arc = grown(pool_arc, n_pool, n_pool + n)
            pool_frame = grown(pool_frame, n_pool, n_pool + n)
        for token in range(n):
            before = source[token]
            prev[n_pool + token] = before if before >= 0 else n_pool - 1 - before
            pool_arc[n_pool + token] = arc[token]
            pool_frame[n_pool + token] = first_frame + frame + 1
            history[token] = n_pool + token
        n_pool += n
    return len(scores), n_pruned, offset, Tokens(
        items, n_items, lowest, n_active, state, cost, history, n, prev, pool_arc, pool_frame, n_pool,
        collect_at, index,
    ), links, raw  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _left_behind(items: Instances, n: int, old_cost: npt.NDArray[np.float32]) -> None:
    """Keep the costs before a frame; let `back` tell the row, so that `step` says what went where."""
    cost, back = items.cost, items.back
    at = np.uint32(0)
    for number in range(np.uint32(n)):
        for slot in range(np.uint32(cost.shape[1])):
            old_cost[at] = cost[number, slot]
            back[number, slot] = number
            at += np.uint32(1)


@numba.njit(cache=True, nogil=True)
def _origins(items: Instances, n: int) -> npt.NDArray[np.int32]:
    """Return the row that each of the first `n` instances had before the frame."""
    origin = np.empty(n, dtype=np.int32)
    for number in range(np.uint32(n)):
        row = items.back[number, 0]
        for slot in range(1, items.cost.shape[1]):
            row = max(row, items.back[number, slot])  # -1 where a state cannot be reached
        origin[number] = row
    return origin
