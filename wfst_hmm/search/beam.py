"""Beam search: token passing over the active states of a graph, chunk by chunk.

In: graph arrays and scores, all at once or in chunks. Out: the best path, with memory that
stays flat however long the input is.

Public names: `BeamSearch`, `beam_path`.
"""

from __future__ import annotations

import weakref
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.backpointers import collect, settle, trace
from wfst_hmm.search.links import LinkStore, new_links, prune_links, record_links
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of
from wfst_hmm.search.tokens import close, cutoff_for, expand, gather, grown, recombine

__all__ = ["BeamSearch", "beam_path"]

_COLLECT_AT = 1 << 20  # backpointers before the first garbage collection (8 MB)
_PRUNE_AT = 1 << 17  # links before the first pruning of the lattice (2.5 MB)
_BEAM_DELTA = 0.5  # nats


class BeamSearch:
    """A search under way: `advance` it by chunks of scores, ask for its `path` at any time.

    Parameters
    ----------
    fst : Fst
        Decoding graph; input labels are state labels.
    columns : ndarray of int32, shape (n_labels,)
        Column of input label ``i`` at ``i - 1``.
    options : SearchOptions
    collect_at : int
        Backpointers held before those that no active token needs are dropped; or links, with
        `links`.
    links : bool
        Keep what a lattice is made from instead of backpointers; ask for `finish_links` then,
        not for `path`.
    keep_pruned : bool
        Keep `pruned_above`, two numbers a frame, for a certificate.

    Attributes
    ----------
    n_frames : int
        Frames searched so far.
    lost_at : int or None
        Frame at which the last path died, if so.
    n_pruned : int
        Frames in which the beam or max_active dropped something.
    pruned_above : list of ndarray of float64, shape (n, 2)
        For each frame, the cost below which no path was dropped, before the frame and after
        it; +inf: nothing was dropped. An array per chunk.
    """

    def __init__(
        self,
        fst: Fst,
        columns: npt.NDArray[np.int32],
        options: SearchOptions | None = None,
        *,
        collect_at: int | None = None,
        links: bool = False,
        keep_pruned: bool = False,
    ) -> None:
        self._fst = fst
        self._plan = plan_of(fst)
        self._columns = columns
        self._options = options or SearchOptions()
        # One array over all states, handed from search to search: new memory is slow memory.
        slots = self._plan.slots
        self._slot = slots.pop() if slots else np.zeros(fst.n_states, dtype=np.int32)
        weakref.finalize(self, slots.append, self._slot)
        self.n_frames = 0
        self.lost_at: int | None = None
        self.n_pruned = 0
        self._keep_pruned = keep_pruned
        self.pruned_above: list[npt.NDArray[np.float64]] = []
        self._offset = 0.0
        if links and self._plan.cyclic:
            raise GraphError(
                "lattices need a graph without epsilon cycles",
                fix="Remove its epsilons first (fst.ops.remove_epsilons).",
            )
        self._lattice_beam = self._options.lattice_beam if links else -1.0
        if collect_at is None:
            collect_at = _PRUNE_AT if links else _COLLECT_AT
        self._tokens = _first_tokens(
            fst.states, fst.arcs, self._plan.has_epsilon, self._plan.slack, fst.start, collect_at,
            self._slot,
        )  # fmt: skip
        self._links = new_links()
        if links:
            state, cost, _, n = self._tokens[:4]
            none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
            self._links = record_links(
                self._links, fst.states, fst.arcs, self._plan.has_epsilon, self._lattice_beam,
                np.inf, self._slot, n, state, cost, 0, nothing, none, none, none, none, nothing,
            )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        check_scores(self._plan, scores, self._columns)
        if self.lost_at is not None:
            return
        options = self._options
        above = np.full((len(scores), 2), np.inf)
        n_done, n_pruned, added, self._tokens, self._links = _advance(
            self._fst.states, self._fst.arcs, self._plan.has_epsilon, self._plan.slack,
            self._plan.n_labels, scores, self._columns, options.acoustic_scale, options.beam,
            options.max_active, options.min_active, self._slot, self._tokens,
            self._lattice_beam, self._links, above,
        )  # fmt: skip
        above += self._offset
        self._offset += added
        self.n_pruned += n_pruned
        if self._keep_pruned:
            self.pruned_above.append(above[:n_done])
        if n_done < len(scores):
            self.lost_at = self.n_frames + n_done
        self.n_frames += n_done

    def path(self, *, final: bool = True) -> tuple[float, npt.NDArray[np.int32]]:
        """Return cost and arcs of the best path so far.

        Parameters
        ----------
        final : bool
            Only paths that end in a final state, with the final cost; otherwise the best
            token, and after the last path died the best one before that.

        Returns
        -------
        cost : float
            Nats; +inf with no arcs when there is no such path.
        arcs : ndarray of int32
        """
        state, cost, history, n, prev, arc, _, _ = self._tokens
        total, token = _best_token(self._fst.states, state, cost, n, final)
        if token < 0 or (final and self.lost_at is not None):
            return np.inf, np.zeros(0, dtype=np.int32)
        return self._offset + total, trace(prev, arc, history[token])

    def settle(self) -> npt.NDArray[np.int32]:
        """Return the arcs that all paths begin with and forget them: they are decided.

        What `path` returns afterwards goes on behind them; its cost stays that of the whole.
        Called from time to time, it keeps memory flat however long the input is.
        """
        state, cost, history, n, prev, arc, n_pool, collect_at = self._tokens
        if self.lost_at is not None or not n:
            return np.zeros(0, dtype=np.int32)
        arcs: npt.NDArray[np.int32]
        arcs, n_pool = settle(prev, arc, n_pool, history, n)
        self._tokens = (state, cost, history, n, prev, arc, n_pool, collect_at)
        return arcs

    def finish_links(self) -> tuple[float, LinkStore, npt.NDArray[np.float64]]:
        """Prune the links for good and return them.

        Returns
        -------
        cost : float
            Of the best complete path, nats; +inf when no final state was reached.
        links : LinkStore
        final : ndarray of float64, shape (n,)
            Final cost of each token of the last frame, +inf where its state is not final.
        """
        state, cost, history, n, _, _, _, _ = self._tokens
        total, _ = _best_token(self._fst.states, state, cost, n, True)
        if self.lost_at is not None or total == np.inf:
            return np.inf, self._links, np.zeros(0)
        final = self._fst.states["final"][state[:n]].astype(np.float64)
        first = int(self._links.first_token[self._links.counts[2] - 1])
        self._links.extra[first : first + n] = cost[:n] + final - total
        history = history[:n].copy()
        prune_links(self._links, self._lattice_beam, history, n, True)
        return self._offset + total, self._links, final[history >= 0]


def beam_path(
    fst: Fst,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    options: SearchOptions | None = None,
) -> tuple[float, npt.NDArray[np.int32]]:
    """Return the cost and the arcs of the cheapest path that the beam leaves.

    Like `wfst_hmm.search.exact.viterbi_path`, and equal to it when nothing is pruned.
    """
    search = BeamSearch(fst, columns, options)
    search.advance(scores)
    return search.path()


@numba.njit(cache=True, nogil=True)
def _first_tokens(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
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
    prev = np.empty(max(n, 1024), dtype=np.int32)
    pool_arc = np.empty(max(n, 1024), dtype=np.int32)
    history = np.empty(len(state), dtype=np.int32)
    for token in range(n):
        prev[token] = -1 - source[token] if token else -1
        pool_arc[token] = arc[token]
        history[token] = token
    return state, cost, history, n, prev, pool_arc, n, collect_at


@numba.njit(cache=True, nogil=True)
def _advance(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
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
    above: npt.NDArray[np.float64],
) -> Any:
    """Search one chunk.

    Returns frames done, frames that lost tokens, cost taken off, tokens and links. Fills in
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
    queue = np.empty(room, dtype=np.int32)
    expanded = np.empty(room, dtype=np.float32)
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
        n, n_arcs = gather(states, state, cost, history, n, cutoff, best, first_arc, end_arc)
        offset += best
        # What max_active cut from this frame would be cut from the next one, too, had it come
        # so far; half a nat is left for changes of rank.
        width = beam if cutoff == best + beam else cutoff - best + _BEAM_DELTA
        for label in range(n_labels):
            acoustic[label + 1] = -scale * scores[frame, columns[label]]
        if n_arcs > len(c_cost):
            c_cost = grown(c_cost, 0, n_arcs)
            c_state = grown(c_state, 0, n_arcs)
            c_arc = grown(c_arc, 0, n_arcs)
            c_token = grown(c_token, 0, n_arcs)
        n_candidates, new_best = expand(
            arcs, cost, n, first_arc, end_arc, acoustic, width, c_cost, c_state, c_arc, c_token
        )
        if n < n_before:
            above[frame, 0] = offset + cutoff - best
        if n_candidates == 0:
            n_pruned += n < n_before or width < np.inf
            return frame, n_pruned, offset, (
                state, cost, history, n, prev, pool_arc, n_pool, collect_at
            ), links  # fmt: skip
        if n_candidates > len(new_state):
            new_state = grown(new_state, 0, n_candidates)
        if len(new_state) > len(new_cost):
            new_cost = grown(new_cost, 0, len(new_state))
        if len(new_state) > len(arc):
            arc = grown(arc, 0, len(new_state))
            source = grown(source, 0, len(new_state))
            expanded = grown(expanded, 0, len(new_state))
            queue = grown(queue, 0, len(new_state))
        limit = new_best + width
        n_new, dropped = recombine(
            n_candidates, limit, c_cost, c_state, c_arc, c_token,
            slot, new_state, new_cost, arc, source,
        )  # fmt: skip
        n_new, dropped_too, new_state, new_cost, arc, source, queue, expanded = close(
            states, arcs, has_epsilon, slack, limit, slot, n_new,
            new_state, new_cost, arc, source, queue, expanded,
        )  # fmt: skip
        if dropped or dropped_too or n_candidates < n_arcs:
            above[frame, 1] = offset + limit
        n_pruned += min(above[frame, 0], above[frame, 1]) < np.inf
        if n_new > len(new_history):
            new_history = grown(new_history, 0, n_new)
        if lattice_beam > 0:
            n_pool = links.counts[1]
            links = record_links(
                links, states, arcs, has_epsilon, lattice_beam, limit, slot, n_new, new_state,
                new_cost, n_candidates, c_cost, c_state, c_arc, c_token, history, acoustic,
            )  # fmt: skip
            for token in range(n_new):
                new_history[token] = n_pool + token
            if links.counts[0] > collect_at:
                prune_links(links, lattice_beam, new_history, n_new, False)
                collect_at = max(collect_at, 2 * links.counts[0])
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
    ), links  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _best_token(
    states: npt.NDArray[Any],
    state: npt.NDArray[np.int32],
    cost: npt.NDArray[np.float32],
    n: int,
    final: bool,
) -> tuple[float, int]:
    best = np.inf
    found = -1
    for token in range(n):
        total = float(cost[token])
        if final:
            total += states[state[token]].final
        if total < best:
            best = total
            found = token
    return best, found
