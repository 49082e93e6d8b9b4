"""Beam search over a compact graph: the HMMs on its arcs are expanded while it runs.

In: a `CompactGraph` and scores, all at once or in chunks. Out: the best path, as
`wfst_hmm.search.beam` finds it in the expanded graph, in a fraction of the memory and the time.

Public names: `CompactBeamSearch`, `CompactPath`.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.search.backpointers import cut, live_entries, squeeze, trace
from wfst_hmm.search.hmm_table import HmmTable, facts_of
from wfst_hmm.search.instances import Instances, enter, leave, new_instances, step, with_room
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.tokens import close, cutoff_for, gather, grown

__all__ = ["CompactBeamSearch", "CompactPath"]

_COLLECT_AT = 1 << 19  # backpointers before the first garbage collection (6 MB)
_BEAM_DELTA = 0.5  # nats
_HUGE = np.float32(3e38)


class CompactPath(NamedTuple):
    """A path through a compact graph.

    Attributes
    ----------
    cost : float
        Nats; +inf with no arcs when there is no such path.
    arcs : ndarray of int32, shape (n,)
        From the start state on, epsilons included.
    ends : ndarray of int32, shape (n,)
        Frames emitted when each arc has ended.
    complete : bool
        Whether the last unit has been left.
    """

    cost: float
    arcs: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    complete: bool


class _Tokens(NamedTuple):
    """All that a search carries from frame to frame."""

    items: Instances
    n_items: int
    lowest: float  # cost of the best HMM state
    n_active: int  # HMM states within the beam
    state: npt.NDArray[np.int32]  # tokens in states of the graph
    cost: npt.NDArray[np.float32]
    history: npt.NDArray[np.int32]
    n: int
    prev: npt.NDArray[np.int32]  # backpointers
    pool_arc: npt.NDArray[np.int32]
    pool_frame: npt.NDArray[np.int32]
    n_pool: int
    collect_at: int


class CompactBeamSearch:
    """A search under way: `advance` it by chunks of scores, ask for its `path` at any time.

    The counterpart of `wfst_hmm.search.beam.BeamSearch`, with the same attributes.

    Parameters
    ----------
    graph : CompactGraph
    options : SearchOptions
    collect_at : int
        Backpointers held before those that no active token needs are dropped.
    keep_pruned : bool
        Keep `pruned_above`, two numbers a frame, for a certificate.
    """

    def __init__(
        self,
        graph: CompactGraph,
        options: SearchOptions | None = None,
        *,
        collect_at: int = _COLLECT_AT,
        keep_pruned: bool = False,
    ) -> None:
        self._fst = graph.fst
        self._plan = plan_of(graph.fst)
        self._facts = facts_of(graph)
        self._options = options or SearchOptions()
        slots = self._plan.slots
        self._slot = slots.pop() if slots else np.zeros(self._fst.n_states, dtype=np.int32)
        weakref.finalize(self, slots.append, self._slot)
        self.n_frames = 0
        self.lost_at: int | None = None
        self.n_pruned = 0
        self._keep_pruned = keep_pruned
        self.pruned_above: list[npt.NDArray[np.float64]] = []
        self._offset = 0.0
        self._tokens = _first_tokens(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._fst.start, collect_at, self._slot, self._facts.table.step.shape[1],
        )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        self._facts.check_scores(scores)
        if self.lost_at is not None:
            return
        options = self._options
        above = np.full((len(scores), 2), np.inf)
        n_done, n_pruned, added, self._tokens = _advance(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._facts.table, scores, options.acoustic_scale, options.beam, options.max_active,
            options.min_active, self._slot, self._tokens, self.n_frames, above,
        )  # fmt: skip
        above += self._offset
        self._offset += added
        self.n_pruned += n_pruned
        if self._keep_pruned:
            self.pruned_above.append(above[:n_done])
        if n_done < len(scores):
            self.lost_at = self.n_frames + n_done
        self.n_frames += n_done

    def reached(self) -> npt.NDArray[np.int32]:
        """Return the states of the graph that have a token now, shape (n,)."""
        states: npt.NDArray[np.int32] = self._tokens.state[: self._tokens.n].copy()
        return states

    def path(self, *, final: bool = True) -> CompactPath:
        """Return the best path so far.

        Parameters
        ----------
        final : bool
            Only paths that end in a final state, with the final cost; otherwise the best token,
            be it within a unit, and after the last path died the best one before that.
        """
        tokens = self._tokens
        total, token, back = _best(self._fst.states, tokens, final)
        nothing = np.zeros(0, dtype=np.int32)
        if total == np.inf or (final and self.lost_at is not None):
            return CompactPath(np.inf, nothing, nothing, False)
        last = int(tokens.history[token]) if token >= 0 else int(back >> 32)
        arcs = trace(tokens.prev, tokens.pool_arc, last)
        ends = trace(tokens.prev, tokens.pool_frame, last)
        if token < 0:
            arcs = np.append(arcs, np.int32(back & 0x7FFFFFFF))
            ends = np.append(ends, np.int32(self.n_frames))
        return CompactPath(self._offset + total, arcs, ends, token >= 0)

    def settle(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the arcs that all paths begin with, and their ends, and forget them.

        What `path` returns afterwards goes on behind them; its cost stays that of the whole.
        Called from time to time, it keeps memory flat however long the input is.
        """
        if self.lost_at is not None:
            nothing = np.zeros(0, dtype=np.int32)
            return nothing, nothing
        arcs, ends, self._tokens = _settle(self._tokens)
        return arcs, ends


@numba.njit(cache=True, nogil=True)
def _first_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
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
    queue = np.empty(64, dtype=np.int32)
    expanded = np.empty(64, dtype=np.float32)
    slot[start] = 0
    state[0] = start
    cost[0] = 0.0
    arc[0] = -1
    source[0] = 0
    n, _, state, cost, arc, source, queue, expanded = close(
        states, arcs, has_epsilon, slack, np.inf, slot, 1, state, cost, arc, source, queue, expanded
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
    return _Tokens(new_instances(1024, slots), 0, np.inf, 0, state, cost, history, n, prev, pool_arc,
                   pool_frame, n, collect_at)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _cutoff(
    items: Instances,
    n_items: int,
    n_active: int,
    best: float,
    beam: float,
    max_active: int,
    min_active: int,
) -> float:
    """Return the highest cost to go on from, as `cutoff_for` does, counting HMM states."""
    if n_active >= min_active and (max_active == 0 or n_active <= max_active):
        return best + beam
    held = items.cost[:n_items].ravel()
    cost = np.empty(len(held), dtype=np.float32)
    n = 0
    for value in held:
        if value < np.inf:
            cost[n] = value
            n += 1
    return float(cutoff_for(cost, n, best, beam, max_active, min_active))


@numba.njit(cache=True, nogil=True)
def _advance(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    slack: float,
    hmms: HmmTable,
    scores: npt.NDArray[np.float32],
    scale: float,
    beam: float,
    max_active: int,
    min_active: int,
    slot: npt.NDArray[np.int32],
    tokens: _Tokens,
    first_frame: int,
    above: npt.NDArray[np.float64],
) -> Any:
    """Search one chunk.

    Returns frames done, frames that lost tokens, cost taken off, and the tokens. Fills in
    `above`, shape (n, 2), as `wfst_hmm.search.beam` does.
    """
    items, n_items, lowest, n_active = (
        tokens.items, tokens.n_items, tokens.lowest, tokens.n_active
    )  # fmt: skip
    state, cost, history, n = tokens.state, tokens.cost, tokens.history, tokens.n
    prev, pool_arc, pool_frame = tokens.prev, tokens.pool_arc, tokens.pool_frame
    n_pool, collect_at = tokens.n_pool, tokens.collect_at
    offset = 0.0
    n_pruned = 0
    room = max(len(state), 1024)
    first_arc = np.empty(room, dtype=np.uint32)
    end_arc = np.empty(room, dtype=np.uint32)
    arc = np.empty(room, dtype=np.int32)
    source = np.empty(room, dtype=np.int32)
    queue = np.empty(room, dtype=np.int32)
    expanded = np.empty(room, dtype=np.float32)
    for frame in range(len(scores)):
        best = np.float32(lowest)
        for token in range(n):
            best = min(best, cost[token])
        cutoff = _cutoff(items, n_items, n_active, best, beam, max_active, min_active)
        first_arc = grown(first_arc, 0, n)
        end_arc = grown(end_arc, 0, n)
        n_before = n
        n, n_arcs = gather(
            states, state, cost, history, n, cutoff + hmms.dearest_leave, best, first_arc, end_arc
        )
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        row = scores[frame]
        n_moved, lost_before, lost_after, lowest = step(
            hmms, items, n_items, cutoff, best, width, row, scale
        )
        if n_moved + n_arcs * hmms.most_ways > len(items.unit):
            items = with_room(items, n_moved, n_moved + n_arcs * hmms.most_ways)
        n_items, lost_entering, lowest = enter(
            arcs, hmms, items, n_moved, cost, history, n, first_arc, end_arc, lowest, width,
            row, scale,
        )  # fmt: skip
        offset += best
        if lost_before or n < n_before:
            above[frame, 0] = offset + cutoff - best
        if n_items == 0:
            n_pruned += lost_before or lost_after or lost_entering or n < n_before
            return frame, n_pruned, offset, _Tokens(
                items, 0, np.inf, 0, state, cost, history, n, prev, pool_arc, pool_frame, n_pool, collect_at
            )  # fmt: skip
        limit = lowest + width
        if n_items > len(state):
            state = grown(state, 0, n_items)
            cost = grown(cost, 0, len(state))
        if len(state) > len(arc):
            arc = grown(arc, 0, len(state))
            source = grown(source, 0, len(state))
            expanded = grown(expanded, 0, len(state))
            queue = grown(queue, 0, len(state))
        n, n_active, lost_leaving = leave(
            hmms, items, n_items, limit, slot, state, cost, arc, source
        )
        n, lost_closing, state, cost, arc, source, queue, expanded = close(
            states, arcs, has_epsilon, slack, limit, slot, n, state, cost, arc, source, queue,
            expanded,
        )  # fmt: skip
        if lost_after or lost_entering or lost_leaving or lost_closing:
            above[frame, 1] = offset + limit
        n_pruned += min(above[frame, 0], above[frame, 1]) < np.inf
        if n_pool + n > collect_at:
            n_pool = _collect(prev, pool_arc, pool_frame, n_pool, items, n_items, source, n)
            collect_at = max(collect_at, 2 * (n_pool + n))
        if n_pool + n > len(prev):
            prev = grown(prev, n_pool, n_pool + n)
            pool_arc = grown(pool_arc, n_pool, n_pool + n)
            pool_frame = grown(pool_frame, n_pool, n_pool + n)
        if n > len(history):
            history = grown(history, 0, n)
        for token in range(n):
            before = source[token]
            prev[n_pool + token] = before if before >= 0 else n_pool - 1 - before
            pool_arc[n_pool + token] = arc[token]
            pool_frame[n_pool + token] = first_frame + frame + 1
            history[token] = n_pool + token
        n_pool += n
    return len(scores), n_pruned, offset, _Tokens(
        items, n_items, lowest, n_active, state, cost, history, n, prev, pool_arc, pool_frame, n_pool,
        collect_at,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _roots(items: Instances, n_items: int, names: npt.NDArray[np.int32], n: int) -> Any:
    """Return what instances and the first `n` tokens name; a token may name none (below 0)."""
    cost, back = items.cost[:n_items].ravel(), items.back[:n_items].ravel()
    roots = np.full(len(cost) + n, -1, dtype=np.int32)
    for number in range(len(cost)):
        if cost[number] < np.inf:
            roots[number] = back[number] >> 32
    for token in range(n):
        roots[len(cost) + token] = max(names[token], -1)
    return roots


@numba.njit(cache=True, nogil=True)
def _collect(
    prev: npt.NDArray[np.int32],
    pool_arc: npt.NDArray[np.int32],
    pool_frame: npt.NDArray[np.int32],
    n_pool: int,
    items: Instances,
    n_items: int,
    names: npt.NDArray[np.int32],
    n: int,
) -> int:
    """Drop the backpointers that neither instances nor tokens lead to; return how many stay.

    What instances and tokens name is renumbered.
    """
    number_of, kept = live_entries(prev, n_pool, _roots(items, n_items, names, n))
    squeeze(prev, number_of, True)
    squeeze(pool_arc, number_of, False)
    squeeze(pool_frame, number_of, False)
    slots = items.cost.shape[1]
    for number in range(n_items):
        for slot in range(slots):
            if items.cost[number, slot] < np.inf:
                back = items.back[number, slot]
                moved = np.int64(number_of[back >> 32])
                items.back[number, slot] = (moved << 32) | (back & 0x7FFFFFFF)
    for token in range(n):
        if names[token] >= 0:
            names[token] = number_of[names[token]]
    return int(kept)


@numba.njit(cache=True, nogil=True)
def _settle(tokens: _Tokens) -> Any:
    """Cut off what all paths have in common; return its arcs, their ends, and the tokens."""
    prev, pool_arc, pool_frame = tokens.prev, tokens.pool_arc, tokens.pool_frame
    common = cut(
        prev, tokens.n_pool, _roots(tokens.items, tokens.n_items, tokens.history, tokens.n)
    )
    arcs = trace(prev, pool_arc, common)
    ends = trace(prev, pool_frame, common)
    n_pool = tokens.n_pool
    if common >= 0:
        prev[common] = -1
        pool_arc[common] = -1
        pool_frame[common] = -1
        n_pool = _collect(
            prev, pool_arc, pool_frame, n_pool, tokens.items, tokens.n_items, tokens.history,
            tokens.n,
        )  # fmt: skip
    return arcs, ends, _Tokens(
        tokens.items, tokens.n_items, tokens.lowest, tokens.n_active, tokens.state, tokens.cost,
        tokens.history, tokens.n, prev, pool_arc, pool_frame, n_pool, tokens.collect_at,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _best(states: npt.NDArray[Any], tokens: _Tokens, final: bool) -> tuple[float, int, int]:
    """Return the cost of the best token, and either its number or, with -1, its `back`."""
    best = np.inf
    found = -1
    back = np.int64(-1)
    for token in range(tokens.n):
        total = float(tokens.cost[token])
        if final:
            total += states[tokens.state[token]].final
        if total < best:
            best = total
            found = token
    if not final:
        slots = tokens.items.cost.shape[1]
        cost = tokens.items.cost[: tokens.n_items].ravel()
        for number in range(len(cost)):
            if cost[number] < best:
                best = float(cost[number])
                found = -1
                back = tokens.items.back[number // slots, number % slots]
    return best, found, back
