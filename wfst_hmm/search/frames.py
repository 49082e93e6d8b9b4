"""Frames of the beam search, one after the other.

In: graph arrays, tokens and scores. Out: the tokens after the last frame, and the links that
lead to them where a lattice is wanted.

Public names: `advance_tokens`, `first_tokens`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.backpointers import collect
from wfst_hmm.search.links import LinkStore
from wfst_hmm.search.raw_links import RawLinks, hear, note_links, settle_links
from wfst_hmm.search.tokens import close, cutoff_for, expand, gather, grown, new_closing, recombine

__all__ = ["advance_tokens", "first_tokens"]

_BEAM_DELTA = 0.5  # nats


@numba.njit(cache=True, nogil=True)
def first_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    start: int,
    collect_at: int,
    slot: npt.NDArray[np.int32],
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
    prev = np.empty(max(n, 1024), dtype=np.int32)
    pool_arc = np.empty(max(n, 1024), dtype=np.int32)
    history = np.empty(len(state), dtype=np.int32)
    for token in range(n):
        prev[token] = -1 - source[token] if token else -1
        pool_arc[token] = arc[token]
        history[token] = token
    return state, cost, history, n, prev, pool_arc, n, collect_at


@numba.njit(cache=True, nogil=True)
def advance_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    slack: float,
    n_labels: int,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    scale: float,
    beam: float,
    max_active: int,
    min_active: int,
    slot: npt.NDArray[np.int32],
    tokens: Any,
    lattice_beam: float,
    links: LinkStore,
    raw: RawLinks,
    above: npt.NDArray[np.float64],
) -> Any:
    """Search one chunk.

    Returns frames done, frames that lost tokens, cost taken off, tokens and links, all of them
    stored at the end of the chunk. Fills in
    `above`, shape (n, 2): below which cost, counted from the chunk's start, nothing was dropped
    before and after each frame.
    """
    state, cost, history, n, prev, pool_arc, n_pool, collect_at = tokens
    offset = 0.0
    n_pruned = 0
    room = max(len(state), 1024)
    first_arc = np.empty(room, dtype=np.uint32)
    end_arc = np.empty(room, dtype=np.uint32)
    new_state = np.empty(room, dtype=np.int32)
    new_cost = np.empty(room, dtype=np.float32)
    new_history = np.empty(room, dtype=np.int32)
    arc = np.empty(room, dtype=np.int32)
    source = np.empty(room, dtype=np.int32)
    closing = new_closing(room)
    c_cost = np.empty(room, dtype=np.float32)
    c_state = np.empty(room, dtype=np.int32)
    c_arc = np.empty(room, dtype=np.int32)
    c_token = np.empty(room, dtype=np.int32)
    acoustic = np.empty(n_labels + 1, dtype=np.float32)
    for frame in range(len(scores)):
        best = np.float32(np.inf)
        for token in range(n):
            best = min(best, cost[token])
        cutoff = cutoff_for(cost, n, best, beam, max_active, min_active)
        first_arc = grown(first_arc, 0, n)
        end_arc = grown(end_arc, 0, n)
        n_before = n
        n, n_arcs = gather(states, arcs, state, cost, history, n, cutoff, best, first_arc, end_arc)
        offset += best
        # What max_active cut from this frame would be cut from the next one, too, had it come
        # so far; half a nat is left for changes of rank.
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        for label in range(n_labels):
            acoustic[label + 1] = -scale * scores[frame, columns[label]]
        if n_arcs >= len(c_cost):
            c_cost = grown(c_cost, 0, n_arcs + 1)
            c_state = grown(c_state, 0, len(c_cost))
            c_arc = grown(c_arc, 0, len(c_cost))
            c_token = grown(c_token, 0, len(c_cost))
        n_candidates, new_best = expand(
            arcs, cost, n, first_arc, end_arc, acoustic, width, c_cost, c_arc, c_token
        )
        if n < n_before:
            above[frame, 0] = offset + cutoff - best
        if n_candidates == 0:
            n_pruned += n < n_before or width < np.inf
            return frame, n_pruned, offset, (
                state, cost, history, n, prev, pool_arc, n_pool, collect_at
            ), links, raw  # fmt: skip
        if n_candidates > len(new_state):
            new_state = grown(new_state, 0, n_candidates)
        if len(new_state) > len(new_cost):
            new_cost = grown(new_cost, 0, len(new_state))
        if len(new_state) > len(arc):
            arc = grown(arc, 0, len(new_state))
            source = grown(source, 0, len(new_state))
        limit = new_best + width
        n_new, n_candidates = recombine(
            arcs, n_candidates, limit, c_cost, c_state, c_arc, c_token,
            slot, new_state, new_cost, arc, source, states.ctypes.data,
        )  # fmt: skip
        n_new, dropped, new_state, new_cost, arc, source, closing = close(
            states, arcs, slack, limit, slot, n_new, new_state, new_cost, arc, source, closing
        )
        if dropped or n_candidates < n_arcs:
            above[frame, 1] = offset + limit
        n_pruned += min(above[frame, 0], above[frame, 1]) < np.inf
        if n_new > len(new_history):
            new_history = grown(new_history, 0, n_new)
        if lattice_beam > 0:
            raw = note_links(
                raw, states, arcs, closing.expanded, limit, slot, n_new, new_state, new_cost,
                n_candidates, c_cost, c_state, c_arc, c_token, history,
            )  # fmt: skip
            for token in range(n_new):
                new_history[token] = token
            if raw.counts[0] > collect_at or frame == len(scores) - 1:
                n_raw = raw.counts[1]
                links = settle_links(links, raw, lattice_beam)
                hear(links, arcs, scores[: frame + 1], columns, scale, n_raw)
        else:
            if n_pool + n_new > collect_at:
                n_pool, prev, pool_arc = collect(prev, pool_arc, n_pool, history, n)
                collect_at = max(collect_at, 2 * (n_pool + n_new))
            if n_pool + n_new > len(prev):
                prev = grown(prev, n_pool, n_pool + n_new)
                pool_arc = grown(pool_arc, n_pool, n_pool + n_new)
            for token in range(n_new):
                where = source[token]
                prev[n_pool + token] = history[where] if where >= 0 else n_pool - 1 - where
                pool_arc[n_pool + token] = arc[token]
                new_history[token] = n_pool + token
            n_pool += n_new
        n = n_new
        state, new_state = new_state, state
        cost, new_cost = new_cost, cost
        history, new_history = new_history, history
    return len(scores), n_pruned, offset, (
        state, cost, history, n, prev, pool_arc, n_pool, collect_at
    ), links, raw  # fmt: skip
