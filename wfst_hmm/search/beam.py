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
from wfst_hmm.search.asked import mark_of_arcs
from wfst_hmm.search.backpointers import settle, trace
from wfst_hmm.search.frames import advance_tokens, first_tokens
from wfst_hmm.search.links import LinkStore, new_links, prune_links
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of
from wfst_hmm.search.raw_links import new_raw_links, note_links, settle_links

__all__ = ["BeamSearch", "beam_path"]

_COLLECT_AT = 1 << 20  # backpointers before the first garbage collection (8 MB)
_PRUNE_AT = 1 << 19  # links noted before those that matter are sorted out (8 MB)


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
        self._tokens = first_tokens(
            fst.states, fst.arcs, self._plan.slack, fst.start, collect_at,
            self._slot,
        )  # fmt: skip
        self._links, self._raw = new_links(), new_raw_links()
        if links:
            state, cost, _, n = self._tokens[:4]
            none, nothing = np.zeros(0, np.int32), np.zeros(0, np.float32)
            self._raw = note_links(
                self._raw, fst.states, fst.arcs, np.zeros(n, np.float32), np.inf, self._slot, n,
                state, cost, 0, nothing, none, none, none, none,
            )  # fmt: skip
            self._links = settle_links(self._links, self._raw, self._lattice_beam)

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        check_scores(self._plan, scores, self._columns)
        if self.lost_at is not None:
            return
        options = self._options
        above = np.full((len(scores), 2), np.inf)
        n_done, n_pruned, added, self._tokens, self._links, self._raw = advance_tokens(
            self._fst.states, self._fst.arcs, self._plan.slack,
            self._plan.n_labels, scores, self._columns, options.scale, options.beam,
            options.max_active, options.fewest_active, self._slot, self._tokens,
            self._lattice_beam, self._links, self._raw, above,
        )  # fmt: skip
        above += self._offset
        self._offset += added
        self.n_pruned += n_pruned
        if self._keep_pruned:
            self.pruned_above.append(above[:n_done])
        if n_done < len(scores):
            self.lost_at = self.n_frames + n_done
        self.n_frames += n_done

    def mark_columns(self, asked: npt.NDArray[np.bool_]) -> None:
        """Mark the score columns that the next frame may look at, in `asked` of shape (S,)."""
        state, n = self._tokens[0], self._tokens[3]
        mark_of_arcs(self._fst.states, self._fst.arcs, self._columns, state, n, asked)

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
        state, cost, _, n, _, _, _, _ = self._tokens
        total, _ = _best_token(self._fst.states, state, cost, n, True)
        if self.lost_at is not None or total == np.inf:
            return np.inf, self._links, np.zeros(0)
        final = self._fst.states["final"][state[:n]].astype(np.float64)
        first = int(self._links.first_token[self._links.counts[2] - 1])
        self._links.extra[first : first + n] = cost[:n] + final - total
        number = np.arange(first, first + n, dtype=np.int32)
        prune_links(self._links, self._lattice_beam, number, n, True)
        return self._offset + total, self._links, final[number >= 0]


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
