"""Beam search through a graph and word machines at once: composition while searching.

In: graph arrays, `WordCosts`, scores in chunks. Out: the best path of graph ∘ machines, which is
never built.

A token is a pair, a state of the graph and a state of the word machines; wherever an arc puts out
a word, the machines are asked for its cost and their next state. Pairs are found by a hash table
that is made anew for every frame. The steps of a frame are those of `search.tokens`.

Public names: `FusedSearch`, `check_words`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.word_costs import MachineArrays, WordCosts, final_cost, take_word
from wfst_hmm.search.backpointers import collect, settle, trace
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of
from wfst_hmm.search.tokens import cutoff_for, grown

__all__ = ["FusedSearch", "check_words"]

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_COLLECT_AT = 1 << 20  # backpointers before the first garbage collection (8 MB)
_BEAM_DELTA = 0.5  # nats
_HUGE = np.float32(3e38)


def check_words(fst: Fst) -> None:
    """Raise a `GraphError` where words could go round an epsilon cycle."""
    on_epsilons = (fst.arcs["ilabel"] == 0) & (fst.arcs["olabel"] > 0)
    if plan_of(fst).cyclic and bool(on_epsilons.any()):
        raise GraphError(
            "words on epsilon arcs, and an epsilon cycle: they cannot be given costs",
            fix="Remove the graph's epsilons first (fst.ops.remove_epsilons).",
        )


class FusedSearch:
    """A search under way, with the methods of `wfst_hmm.search.beam.BeamSearch`.

    Parameters
    ----------
    fst : Fst
        Decoding graph; input labels are state labels, output labels the words of `costs`.
    columns : ndarray of int32, shape (n_labels,)
    costs : WordCosts
    options : SearchOptions
    collect_at : int
        Backpointers held before those that no active token needs are dropped.

    Attributes
    ----------
    n_frames : int
        Frames searched so far.
    lost_at : int or None
        Frame at which the last path died, if so.
    n_pruned : int
        Frames in which the beam or max_active dropped something.

    Raises
    ------
    GraphError
        The graph has an epsilon cycle and puts out words on epsilon arcs: a word going round it
        could become cheaper without end.
    """

    def __init__(
        self,
        fst: Fst,
        columns: npt.NDArray[np.int32],
        costs: WordCosts,
        options: SearchOptions | None = None,
        *,
        collect_at: int = _COLLECT_AT,
    ) -> None:
        self._fst = fst
        self._plan = plan_of(fst)
        self._columns = columns
        self._costs = costs
        self._options = options or SearchOptions()
        check_words(fst)
        self.n_frames = 0
        self.lost_at: int | None = None
        self.n_pruned = 0
        self._offset = 0.0
        self._tokens = _first_pairs(
            fst.states, fst.arcs, self._plan.has_epsilon, self._plan.slack, fst.start,
            costs.arrays, costs.start, collect_at,
        )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        check_scores(self._plan, scores, self._columns)
        if self.lost_at is not None:
            return
        options = self._options
        n_done, n_pruned, added, self._tokens = _advance_pairs(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._plan.n_labels, scores, self._columns, options.scale, options.beam,
            options.max_active, options.fewest_active, self._costs.arrays, self._tokens,
        )  # fmt: skip
        self._offset += added
        self.n_pruned += n_pruned
        if n_done < len(scores):
            self.lost_at = self.n_frames + n_done
        self.n_frames += n_done

    def path(self, *, final: bool = True) -> tuple[float, npt.NDArray[np.int32]]:
        """Return cost (that of the words included) and arcs of the best path so far.

        As `BeamSearch.path`; a final path also pays the machines' final cost.
        """
        state, word_state, cost, history, n, prev, arc, _, _ = self._tokens
        total, token = _best_pair(
            self._fst.states, self._costs.arrays, state, word_state, cost, n, final
        )
        if token < 0 or (final and self.lost_at is not None):
            return np.inf, np.zeros(0, dtype=np.int32)
        return self._offset + total, trace(prev, arc, history[token])

    def settle(self) -> npt.NDArray[np.int32]:
        """Return the arcs that all paths begin with and forget them, as `BeamSearch.settle`."""
        state, word_state, cost, history, n, prev, arc, n_pool, collect_at = self._tokens
        if self.lost_at is not None or not n:
            return np.zeros(0, dtype=np.int32)
        arcs: npt.NDArray[np.int32]
        arcs, n_pool = settle(prev, arc, n_pool, history, n)
        self._tokens = (state, word_state, cost, history, n, prev, arc, n_pool, collect_at)
        return arcs


@numba.njit(cache=True, nogil=True)
def _place(table: Ints, state: Ints, word_state: Longs, wanted: int, wanted_word_state: int) -> Any:
    """Return where in the table the pair stands, or the free place where it belongs."""
    mask = np.uint64(len(table) - 1)
    key = np.uint64(wanted) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(wanted_word_state) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0x165667B19E3779F9)
    at = (key >> np.uint64(32)) & mask
    while True:
        token = table[at]
        if token < 0 or (state[token] == wanted and word_state[token] == wanted_word_state):
            return np.int64(at)
        at = (at + np.uint64(1)) & mask


@numba.njit(cache=True, nogil=True)
def _table_for(n: int, state: Ints, word_state: Longs, n_expected: int) -> Ints:
    """Return a hash table of the first `n` tokens, at most half full with `n_expected`."""
    size = 256
    while size < 2 * n_expected:
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    for token in range(n):
        table[_place(table, state, word_state, state[token], word_state[token])] = token
    return table


@numba.njit(cache=True, nogil=True)
def _close_pairs(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    slack: float,
    cutoff: float,
    machines: MachineArrays,
    table: Ints,
    n: int,
    state: Ints,
    word_state: Longs,
    cost: Floats,
    arc: Ints,
    source: Ints,
) -> tuple[int, bool, Ints, Longs, Floats, Ints, Ints]:
    """Follow epsilon arcs within a frame until nothing gets cheaper, as `search.tokens.close`."""
    queue = np.empty(max(64, n), dtype=np.int32)
    expanded = np.full(len(state), np.inf, dtype=np.float32)
    n_queue = 0
    for token in range(n):
        if has_epsilon[state[token] >> 3] & (1 << (state[token] & 7)):
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
        row = states[state[token]]
        for number in range(row.pos, row.pos + row.n_input_eps):
            added, reached_word = 0.0, word_state[token]
            if arcs[number].olabel:
                added, reached_word = take_word(machines, word_state[token], arcs[number].olabel)
            new = np.float32(so_far + arcs[number].weight + added)
            if new > limit or new == np.inf:
                dropped = dropped or new < np.inf
                continue
            reached = arcs[number].nextstate
            if 2 * (n + 1) > len(table):
                table = _table_for(n, state, word_state, 2 * (n + 1))
            place = _place(table, state, word_state, reached, reached_word)
            other = table[place]
            if other >= 0:
                if new >= cost[other] - slack * (1 + abs(new)):
                    continue
            else:
                other = n
                if n == len(state):
                    state = grown(state, n, n + 1)
                    word_state = grown(word_state, n, len(state))
                    cost = grown(cost, n, len(state))
                    arc = grown(arc, n, len(state))
                    source = grown(source, n, len(state))
                    expanded = grown(expanded, n, len(state))
                table[place] = n
                state[n] = reached
                word_state[n] = reached_word
                expanded[n] = np.inf
                n += 1
            cost[other] = new
            arc[other] = number
            source[other] = -1 - token
            if has_epsilon[reached >> 3] & (1 << (reached & 7)):
                queue = grown(queue, n_queue, n_queue + 1)
                queue[n_queue] = other
                n_queue += 1
    return n, dropped, state, word_state, cost, arc, source


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
) -> Any:
    """Return the tokens before the first frame."""
    state = np.full(64, start, dtype=np.int32)
    word_state = np.full(64, first_word_state, dtype=np.int64)
    cost = np.zeros(64, dtype=np.float32)
    arc = np.full(64, -1, dtype=np.int32)
    source = np.zeros(64, dtype=np.int32)
    table = _table_for(1, state, word_state, 64)
    n, _, state, word_state, cost, arc, source = _close_pairs(
        states, arcs, has_epsilon, slack, np.inf, machines, table, 1,
        state, word_state, cost, arc, source,
    )  # fmt: skip
    prev = np.empty(max(n, 1024), dtype=np.int32)
    pool_arc = np.empty(max(n, 1024), dtype=np.int32)
    history = np.empty(len(state), dtype=np.int32)
    for token in range(n):
        prev[token] = -1 - source[token] if token else -1
        pool_arc[token] = arc[token]
        history[token] = token
    return state, word_state, cost, history, n, prev, pool_arc, n, collect_at


@numba.njit(cache=True, nogil=True)
def _kept(
    state: Ints, word_state: Longs, cost: Floats, history: Ints, n: int, cutoff: float, best: float
) -> int:
    """Keep the tokens up to the cutoff, in place, costs relative to `best`; the best one first."""
    kept = 0
    leader = 0
    for token in range(n):
        if cost[token] <= cutoff:
            if cost[token] <= best:
                leader = kept
            state[kept] = state[token]
            word_state[kept] = word_state[token]
            cost[kept] = cost[token] - best
            history[kept] = history[token]
            kept += 1
    if kept:
        state[0], state[leader] = state[leader], state[0]
        word_state[0], word_state[leader] = word_state[leader], word_state[0]
        cost[0], cost[leader] = cost[leader], cost[0]
        history[0], history[leader] = history[leader], history[0]
    return kept


@numba.njit(cache=True, nogil=True)
def _expand_pairs(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    acoustic: Floats,
    beam: float,
    machines: MachineArrays,
    n: int,
    state: Ints,
    word_state: Longs,
    cost: Floats,
) -> tuple[int, float, Floats, Ints, Longs, Ints, Ints]:
    """Follow emitting arcs; return candidates and the cost of the best one."""
    n_arcs = 0
    for token in range(n):
        n_arcs += states[state[token]].n_arcs - states[state[token]].n_input_eps
    c_cost = np.empty(n_arcs, dtype=np.float32)
    c_state = np.empty(n_arcs, dtype=np.int32)
    c_word = np.empty(n_arcs, dtype=np.int64)
    c_arc = np.empty(n_arcs, dtype=np.int32)
    c_token = np.empty(n_arcs, dtype=np.int32)
    best = _HUGE
    cutoff = _HUGE  # finite, so that impossible arcs (+inf) never pass
    width = np.float32(min(beam, _HUGE))
    m = 0
    for token in range(n):
        row = states[state[token]]
        for number in range(row.pos + row.n_input_eps, row.pos + row.n_arcs):
            one = arcs[number]
            new = cost[token] + one.weight + acoustic[one.ilabel]
            reached_word = word_state[token]
            if one.olabel:
                added, reached_word = take_word(machines, reached_word, one.olabel)
                new = np.float32(new + added)
            if new <= cutoff:
                c_cost[m] = new
                c_state[m] = one.nextstate
                c_word[m] = reached_word
                c_arc[m] = number
                c_token[m] = token
                m += 1
                if new < best:
                    best = new
                    cutoff = min(best + width, _HUGE)
    return m, best, c_cost, c_state, c_word, c_arc, c_token


@numba.njit(cache=True, nogil=True)
def _advance_pairs(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    slack: float,
    n_labels: int,
    scores: npt.NDArray[np.float32],
    columns: Ints,
    scale: float,
    beam: float,
    max_active: int,
    min_active: int,
    machines: MachineArrays,
    tokens: Any,
) -> Any:
    """Search one chunk; return frames done, frames that lost tokens, cost taken off, tokens."""
    state, word_state, cost, history, n, prev, pool_arc, n_pool, collect_at = tokens
    offset = 0.0
    n_pruned = 0
    acoustic = np.empty(n_labels + 1, dtype=np.float32)
    for frame in range(len(scores)):
        best = np.float32(np.inf)
        for token in range(n):
            best = min(best, cost[token])
        cutoff = cutoff_for(cost, n, best, beam, max_active, min_active)
        n_before = n
        n = _kept(state, word_state, cost, history, n, cutoff, best)
        offset += best
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        for label in range(n_labels):
            acoustic[label + 1] = -scale * scores[frame, columns[label]]
        m, new_best, c_cost, c_state, c_word, c_arc, c_token = _expand_pairs(
            states, arcs, acoustic, width, machines, n, state, word_state, cost
        )
        if m == 0:
            n_pruned += n < n_before or width < np.inf
            return frame, n_pruned, offset, (
                state, word_state, cost, history, n, prev, pool_arc, n_pool, collect_at
            )  # fmt: skip
        limit = new_best + width
        new_state = np.empty(m, dtype=np.int32)
        new_word = np.empty(m, dtype=np.int64)
        new_cost = np.empty(m, dtype=np.float32)
        arc = np.empty(m, dtype=np.int32)
        source = np.empty(m, dtype=np.int32)
        table = _table_for(0, new_state, new_word, m)
        n_new = 0
        dropped = n < n_before
        for candidate in range(m):
            new = c_cost[candidate]
            if new > limit:
                dropped = True
                continue
            place = _place(table, new_state, new_word, c_state[candidate], c_word[candidate])
            token = table[place]
            if token < 0:
                token = n_new
                table[place] = n_new
                new_state[n_new] = c_state[candidate]
                new_word[n_new] = c_word[candidate]
                n_new += 1
            elif new >= new_cost[token]:
                continue
            new_cost[token] = new
            arc[token] = c_arc[candidate]
            source[token] = c_token[candidate]
        n_new, dropped_too, new_state, new_word, new_cost, arc, source = _close_pairs(
            states, arcs, has_epsilon, slack, limit, machines, table, n_new,
            new_state, new_word, new_cost, arc, source,
        )  # fmt: skip
        n_pruned += dropped or dropped_too
        if n_pool + n_new > collect_at:
            n_pool, prev, pool_arc = collect(prev, pool_arc, n_pool, history, n)
            collect_at = max(collect_at, 2 * (n_pool + n_new))
        prev = grown(prev, n_pool, n_pool + n_new)
        pool_arc = grown(pool_arc, n_pool, n_pool + n_new)
        new_history = np.empty(len(new_state), dtype=np.int32)
        for token in range(n_new):
            where = source[token]
            prev[n_pool + token] = history[where] if where >= 0 else n_pool - 1 - where
            pool_arc[n_pool + token] = arc[token]
            new_history[token] = n_pool + token
        n_pool += n_new
        n = n_new
        state, word_state, cost, history = new_state, new_word, new_cost, new_history
    return len(scores), n_pruned, offset, (
        state, word_state, cost, history, n, prev, pool_arc, n_pool, collect_at
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _best_pair(
    states: npt.NDArray[Any],
    machines: MachineArrays,
    state: Ints,
    word_state: Longs,
    cost: Floats,
    n: int,
    final: bool,
) -> tuple[float, int]:
    best = np.inf
    found = -1
    for token in range(n):
        total = float(cost[token])
        if final:
            total += states[state[token]].final
            if total < np.inf:
                total += final_cost(machines, word_state[token])
        if total < best:
            best = total
            found = token
    return best, found
