"""Beam search through a compact graph and word machines at once, HMMs expanded on the way.

In: a `CompactGraph`, `WordCosts`, scores in chunks. Out: the best path of graph ∘ machines.

Each pair of a state of the graph and a state of the machines that the search meets gets a number
for as long as it is needed; with these numbers in the place of the graph's states, the steps of a
frame are those of `search.instances`.

Public names: `FusedCompactSearch`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.word_costs import MachineArrays, WordCosts, final_cost, take_word
from wfst_hmm.search.backpointers import trace
from wfst_hmm.search.compact_beam import CompactPath
from wfst_hmm.search.compact_frames import cutoff_of_units
from wfst_hmm.search.compact_tokens import Tokens, collect_units, settle_units
from wfst_hmm.search.fused import check_words
from wfst_hmm.search.hmm_table import HmmTable, facts_of
from wfst_hmm.search.instances import (
    FREE,
    Instances,
    home,
    leave,
    mask_for,
    new_instances,
    rehash,
    step,
    with_room,
)
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.tokens import grown

__all__ = ["FusedCompactSearch"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

_COLLECT_AT = 1 << 19  # backpointers before the first garbage collection (6 MB)
_RENUMBER_AT = 1 << 18  # pairs before those that nothing needs lose their numbers (5 MB)
_BEAM_DELTA = 0.5  # nats
_HUGE = np.float32(3e38)


class Pairs(NamedTuple):
    """Pairs by number; how many there are is kept beside it.

    Attributes
    ----------
    state : ndarray of int32, shape (n,)
        States of the graph.
    word_state : ndarray of int64, shape (n,)
        States of the word machines.
    slot : ndarray of int32, shape (n,)
        Token of each pair, where there is one: as in `wfst_hmm.search.tokens.recombine`.
    table : ndarray of int32, shape (2**k,)
        A hash table of the numbers, -1 where there is none.
    """

    state: Ints
    word_state: npt.NDArray[np.int64]
    slot: Ints
    table: Ints


class FusedCompactSearch:
    """A search under way, with the methods of `wfst_hmm.search.compact_beam.CompactBeamSearch`.

    Parameters
    ----------
    graph : CompactGraph
    costs : WordCosts
    options : SearchOptions
    collect_at, renumber_at : int
        Backpointers, and pairs, held before those that nothing needs are dropped.

    Attributes
    ----------
    n_frames, lost_at, n_pruned
        As of the other searches.

    Raises
    ------
    GraphError
        The graph has an epsilon cycle and puts out words on epsilon arcs.
    """

    def __init__(
        self,
        graph: CompactGraph,
        costs: WordCosts,
        options: SearchOptions | None = None,
        *,
        collect_at: int = _COLLECT_AT,
        renumber_at: int = _RENUMBER_AT,
    ) -> None:
        check_words(graph.fst)
        self._fst = graph.fst
        self._plan = plan_of(graph.fst)
        self._facts = facts_of(graph)
        self._costs = costs
        self._options = options or SearchOptions()
        self._renumber_at = renumber_at
        self.n_frames = 0
        self.lost_at: int | None = None
        self.n_pruned = 0
        self._offset = 0.0
        self._tokens, self._pairs, self._n_pairs = _first_pairs(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._fst.start, costs.arrays, costs.start, collect_at,
            self._facts.table.step.shape[1],
        )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        self._facts.check_scores(scores)
        if self.lost_at is not None:
            return
        options = self._options
        n_done, n_pruned, added, self._tokens, self._pairs, self._n_pairs = _advance(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._facts.table, scores, options.scale, options.beam, options.max_active,
            options.fewest_active, self._costs.arrays, self._tokens, self._pairs, self._n_pairs,
            self.n_frames, self._renumber_at,
        )  # fmt: skip
        self._offset += added
        self.n_pruned += n_pruned
        if n_done < len(scores):
            self.lost_at = self.n_frames + n_done
        self.n_frames += n_done

    def path(self, *, final: bool = True) -> CompactPath:
        """Return the best path so far, its cost that of the words included."""
        tokens = self._tokens
        total, token, back = _best(
            self._fst.states, self._costs.arrays, tokens, self._pairs, final
        )  # fmt: skip
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

    def settle(self) -> tuple[Ints, Ints]:
        """Return the arcs that all paths begin with, and their ends, and forget them."""
        if self.lost_at is not None:
            nothing = np.zeros(0, dtype=np.int32)
            return nothing, nothing
        arcs, ends, self._tokens = settle_units(self._tokens)
        return arcs, ends


@numba.njit(cache=True, nogil=True)
def _home_of(state: int, word_state: int, mask: int) -> Any:
    key = np.uint64(state) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(word_state) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0x165667B19E3779F9)
    return np.int64((key >> np.uint64(32)) & np.uint64(mask))


@numba.njit(cache=True, nogil=True)
def _number(pairs: Pairs, n_pairs: int, state: int, word_state: int) -> tuple[int, int]:
    """Return the number of a pair, and how many there are now; there must be room for one."""
    mask = len(pairs.table) - 1
    at = _home_of(state, word_state, mask)
    while True:
        number = pairs.table[at]
        if number < 0:
            pairs.table[at] = n_pairs
            pairs.state[n_pairs] = state
            pairs.word_state[n_pairs] = word_state
            return n_pairs, n_pairs + 1
        if pairs.state[number] == state and pairs.word_state[number] == word_state:
            return np.int64(number), n_pairs
        at = (at + 1) & mask


@numba.njit(cache=True, nogil=True)
def _with_room(pairs: Pairs, n_pairs: int, wanted: int) -> Any:
    """Return room for `wanted` pairs at least, the hash table at most half full."""
    if wanted <= len(pairs.state):
        return pairs
    room = len(pairs.state)
    while room < wanted:
        room *= 2
    more = Pairs(np.empty(room, np.int32), np.empty(room, np.int64), np.zeros(room, np.int32),
                 np.full(2 * room, -1, dtype=np.int32))  # fmt: skip
    more.slot[:n_pairs] = pairs.slot[:n_pairs]
    n = 0
    for number in range(n_pairs):
        _, n = _number(more, n, pairs.state[number], pairs.word_state[number])
    return more


@numba.njit(cache=True, nogil=True)
def _renumbered(
    pairs: Pairs, n_pairs: int, items: Instances, n_items: int, of_token: Ints, n: int
) -> Any:
    """Drop the pairs that neither instances nor tokens stand in; renumber what does, in place."""
    fresh = np.full(n_pairs, -1, dtype=np.int32)
    left = Pairs(np.empty(len(pairs.state), np.int32), np.empty(len(pairs.state), np.int64),
                 pairs.slot, np.full(len(pairs.table), -1, dtype=np.int32))  # fmt: skip
    kept = 0
    for i in range(n_items):
        old = items.dest[i]
        if fresh[old] < 0:
            fresh[old], kept = _number(left, kept, pairs.state[old], pairs.word_state[old])
        items.dest[i] = fresh[old]
    for token in range(n):
        pair = of_token[token]
        if fresh[pair] < 0:
            fresh[pair], kept = _number(left, kept, pairs.state[pair], pairs.word_state[pair])
        of_token[token] = fresh[pair]
    return left, kept


@numba.njit(cache=True, nogil=True)
def _first_pairs(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    slack: float,
    start: int,
    machines: MachineArrays,
    first_word_state: int,
    collect_at: int,
    slots: int,
) -> Any:
    """Return tokens and pairs before the first frame."""
    pairs = Pairs(np.empty(1024, np.int32), np.empty(1024, np.int64), np.zeros(1024, np.int32),
                  np.full(2048, -1, dtype=np.int32))  # fmt: skip
    pair, n_pairs = _number(pairs, 0, start, first_word_state)
    state = np.full(64, pair, dtype=np.int32)
    cost = np.zeros(64, dtype=np.float32)
    arc = np.full(64, -1, dtype=np.int32)
    source = np.zeros(64, dtype=np.int32)
    n, _, state, cost, arc, source, pairs, n_pairs = _close(
        states, arcs, has_epsilon, slack, np.inf, machines, pairs, n_pairs, 1, state, cost, arc,
        source,
    )  # fmt: skip
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
    return Tokens(
        new_instances(1024, slots), 0, np.inf, 0, state, cost, history, n, prev, pool_arc,
        pool_frame, n, collect_at, np.empty(0, dtype=np.int32),
    ), pairs, n_pairs  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _close(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    slack: float,
    cutoff: float,
    machines: MachineArrays,
    pairs: Pairs,
    n_pairs: int,
    n: int,
    state: Ints,
    cost: Floats,
    arc: Ints,
    source: Ints,
) -> Any:
    """Follow epsilon arcs within a frame until nothing gets cheaper, as `search.tokens.close`."""
    queue = np.empty(max(64, n), dtype=np.int32)
    expanded = np.full(len(state), np.inf, dtype=np.float32)
    n_queue = 0
    for token in range(n):
        own = pairs.state[state[token]]
        if has_epsilon[own >> 3] & (1 << (own & 7)):
            queue[n_queue] = token
            n_queue += 1
    limit = np.float32(cutoff)
    dropped = False
    at = 0
    while at < n_queue:
        token = queue[at]
        at += 1
        so_far = cost[token]
        if so_far >= expanded[token]:
            continue  # it was in the queue twice
        expanded[token] = so_far
        word_state = pairs.word_state[state[token]]
        row = states[pairs.state[state[token]]]
        for number in range(row.pos, row.pos + row.n_input_eps):
            added, reached_word = 0.0, word_state
            if arcs[number].olabel:
                added, reached_word = take_word(machines, word_state, arcs[number].olabel)
            new = np.float32(so_far + arcs[number].weight + added)
            if new > limit or new == np.inf:
                dropped = dropped or new < np.inf
                continue
            own = arcs[number].nextstate
            pairs = _with_room(pairs, n_pairs, n_pairs + 1)
            reached, n_pairs = _number(pairs, n_pairs, own, reached_word)
            other = pairs.slot[reached]
            if 0 <= other < n and state[other] == reached:
                if new >= cost[other] - slack * (1 + abs(new)):
                    continue
            else:
                other = n
                pairs.slot[reached] = n
                if n == len(state):
                    state = grown(state, n, n + 1)
                    cost = grown(cost, n, len(state))
                    arc = grown(arc, n, len(state))
                    source = grown(source, n, len(state))
                    expanded = grown(expanded, n, len(state))
                state[n] = reached
                expanded[n] = np.inf
                n += 1
            cost[other] = new
            arc[other] = number
            source[other] = -1 - token
            if has_epsilon[own >> 3] & (1 << (own & 7)):
                queue = grown(queue, n_queue, n_queue + 1)
                queue[n_queue] = other
                n_queue += 1
    return n, dropped, state, cost, arc, source, pairs, n_pairs


@numba.njit(cache=True, nogil=True)
def _enter(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    machines: MachineArrays,
    pairs: Pairs,
    n_pairs: int,
    items: Instances,
    n: int,
    state: Ints,
    cost: Floats,
    history: Ints,
    n_tokens: int,
    best: float,
    width: float,
    row: Floats,
    scale: float,
    mask: int,
) -> Any:
    """Follow the arcs of the tokens into units, as `search.instances.enter`."""
    ways, way_state = hmms.enter_start, hmms.enter_state
    slots = items.cost.shape[1]
    scale32 = np.float32(scale)
    room = np.float32(min(width, _HUGE))
    lowest = np.float32(best)
    limit = min(lowest + room, _HUGE)
    lost = False
    for token in range(n_tokens):
        word_state = pairs.word_state[state[token]]
        own = states[pairs.state[state[token]]]
        for arc in range(own.pos + own.n_input_eps, own.pos + own.n_arcs):
            u = np.uint32(arcs[arc].ilabel - 1)
            before = cost[token] + arcs[arc].weight
            reached_word = word_state
            if arcs[arc].olabel:
                added, reached_word = take_word(machines, word_state, arcs[arc].olabel)
                before = np.float32(before + added)
            for way in range(ways[u], ways[u + 1]):
                new = before + hmms.enter_cost[way] - scale32 * row[hmms.enter_column[way]]
                if new > limit or new == np.inf:
                    lost = lost or new < np.inf
                    continue
                pair, n_pairs = _number(pairs, n_pairs, arcs[arc].nextstate, reached_word)
                d = np.uint32(pair)
                if 2 * n > mask:
                    mask = 2 * mask + 1
                    rehash(items, n, mask)
                at = home(u, d, mask)
                number = items.table[at]
                while number != FREE and not (items.unit[number] == u and items.dest[number] == d):
                    at = np.uint32(at + 1) & np.uint32(mask)
                    number = items.table[at]
                if number == FREE:
                    number = np.uint32(n)
                    items.table[at] = number
                    items.unit[n], items.dest[n] = u, d
                    for j in range(slots):
                        items.cost[n, j] = np.inf
                    n += 1
                j = way_state[way]
                if new < items.cost[number, j]:
                    items.cost[number, j] = new
                    items.back[number, j] = (np.int64(history[token]) << 32) | arc
                    if new < lowest:
                        lowest = new
                        limit = min(lowest + room, _HUGE)
    return n, n_pairs, lost, lowest


@numba.njit(cache=True, nogil=True)
def _kept(
    states: npt.NDArray[Any],
    pairs: Pairs,
    state: Ints,
    cost: Floats,
    history: Ints,
    n: int,
    cutoff: float,
    best: float,
) -> tuple[int, int]:
    """Keep the tokens up to the cutoff, costs relative to `best`; count their emitting arcs."""
    kept = 0
    n_arcs = 0
    for token in range(n):
        if cost[token] <= cutoff:
            state[kept] = state[token]
            cost[kept] = cost[token] - best
            history[kept] = history[token]
            row = states[pairs.state[state[kept]]]
            n_arcs += row.n_arcs - row.n_input_eps
            kept += 1
    return kept, n_arcs


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
    machines: MachineArrays,
    tokens: Tokens,
    pairs: Pairs,
    n_pairs: int,
    first_frame: int,
    renumber_at: int,
) -> Any:
    """Search one chunk; return frames done, frames that lost tokens, cost taken off, the rest."""
    items, n_items, lowest, n_active = (
        tokens.items, tokens.n_items, tokens.lowest, tokens.n_active
    )  # fmt: skip
    state, cost, history, n = tokens.state, tokens.cost, tokens.history, tokens.n
    prev, pool_arc, pool_frame = tokens.prev, tokens.pool_arc, tokens.pool_frame
    n_pool, collect_at = tokens.n_pool, tokens.collect_at
    offset = 0.0
    n_pruned = 0
    slots = items.cost.shape[1]
    scratch = np.empty(1024, dtype=np.float32)
    moved, came = np.empty(slots, dtype=np.float32), np.empty(slots, dtype=np.int64)
    out_item, out_state = np.empty(1024, np.uint32), np.empty(1024, np.uint32)
    out_best = np.empty(1024, np.float32)
    for frame in range(len(scores)):
        best = np.float32(lowest)
        for token in range(n):
            best = min(best, cost[token])
        scratch = grown(scratch, 0, n_items * slots)
        cutoff = cutoff_of_units(
            items.cost[:n_items].ravel(), scratch, n_active, best, beam, max_active, min_active
        )
        n_before = n
        n, n_arcs = _kept(states, pairs, state, cost, history, n, cutoff + hmms.dearest_leave, best)
        if n_pairs > renumber_at:
            pairs, n_pairs = _renumbered(pairs, n_pairs, items, n_items, state, n)
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        row = scores[frame]
        mask = mask_for(n_items)
        n_moved, lost_before, lost_after, lowest = step(
            hmms, items, n_items, cutoff, best, width, row, scale, mask, moved, came
        )
        if n_moved + n_arcs * hmms.most_ways > len(items.unit):
            items = with_room(items, n_moved, n_moved + n_arcs * hmms.most_ways)
            rehash(items, n_moved, mask)
        pairs = _with_room(pairs, n_pairs, n_pairs + n_arcs)
        n_items, n_pairs, lost_entering, lowest = _enter(
            states, arcs, hmms, machines, pairs, n_pairs, items, n_moved, state, cost, history, n,
            lowest, width, row, scale, mask,
        )  # fmt: skip
        offset += best
        lost = lost_before or lost_after or lost_entering or n < n_before
        if n_items == 0:
            n_pruned += lost
            return frame, n_pruned, offset, Tokens(
                items, 0, np.inf, 0, state, cost, history, n, prev, pool_arc, pool_frame, n_pool,
                collect_at, tokens.numbers,
            ), pairs, n_pairs  # fmt: skip
        limit = lowest + width
        if n_items > len(state):
            state = grown(state, 0, n_items)
            cost = grown(cost, 0, len(state))
        arc = np.empty(len(state), dtype=np.int32)
        source = np.empty(len(state), dtype=np.int32)
        if n_items >= len(out_item):
            out_item = grown(out_item, 0, n_items + 1)
            out_state = grown(out_state, 0, len(out_item))
            out_best = grown(out_best, 0, len(out_item))
        n, n_active, lost_leaving, _ = leave(
            hmms,
            items,
            n_items,
            limit,
            lowest + beam,
            pairs.slot,
            state,
            cost,
            arc,
            source,
            0,
            out_item,
            out_state,
            out_best,
        )
        n, lost_closing, state, cost, arc, source, pairs, n_pairs = _close(
            states, arcs, has_epsilon, slack, limit, machines, pairs, n_pairs, n, state, cost, arc,
            source,
        )  # fmt: skip
        n_pruned += lost or lost_leaving or lost_closing
        if n_pool + n > collect_at:
            n_pool = collect_units(prev, pool_arc, pool_frame, n_pool, items, n_items, source, n)
            collect_at = max(collect_at, 2 * (n_pool + n))
        if n_pool + n > len(prev):
            prev = grown(prev, n_pool, n_pool + n)
            pool_arc = grown(pool_arc, n_pool, n_pool + n)
            pool_frame = grown(pool_frame, n_pool, n_pool + n)
        history = grown(history, 0, n)
        for token in range(n):
            before = source[token]
            prev[n_pool + token] = before if before >= 0 else n_pool - 1 - before
            pool_arc[n_pool + token] = arc[token]
            pool_frame[n_pool + token] = first_frame + frame + 1
            history[token] = n_pool + token
        n_pool += n
    return len(scores), n_pruned, offset, Tokens(
        items, n_items, lowest, n_active, state, cost, history, n, prev, pool_arc, pool_frame, n_pool,
        collect_at, tokens.numbers,
    ), pairs, n_pairs  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _best(
    states: npt.NDArray[Any], machines: MachineArrays, tokens: Tokens, pairs: Pairs, final: bool
) -> tuple[float, int, int]:
    """Return the cost of the best token, and either its number or, with -1, its `back`."""
    best = np.inf
    found = -1
    back = np.int64(-1)
    for token in range(tokens.n):
        total = float(tokens.cost[token])
        pair = tokens.state[token]
        if final:
            total += states[pairs.state[pair]].final
            if total < np.inf:
                total += final_cost(machines, pairs.word_state[pair])
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
