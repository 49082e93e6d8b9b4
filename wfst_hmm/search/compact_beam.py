"""Beam search over a compact graph: the HMMs on its arcs are expanded while it runs.

In: a `CompactGraph` and scores, all at once or in chunks. Out: the best path, as
`wfst_hmm.search.beam` finds it in the expanded graph, in a fraction of the memory and the time.

Public names: `CompactBeamSearch`, `CompactPath`.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.search.asked import mark_of_units
from wfst_hmm.search.backpointers import trace
from wfst_hmm.search.compact_frames import advance_units, first_links, first_units
from wfst_hmm.search.compact_tokens import best_token, settle_units
from wfst_hmm.search.hmm_table import HmmTable, facts_of
from wfst_hmm.search.links import LinkStore, new_links, prune_links
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.raw_links import new_raw_links

__all__ = ["CompactBeamSearch", "CompactPath"]

_COLLECT_AT = 1 << 19  # backpointers before the first garbage collection (6 MB)
_PRUNE_AT = 1 << 19  # links noted before those that matter are sorted out (8 MB)


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


class CompactBeamSearch:
    """A search under way: `advance` it by chunks of scores, ask for its `path` at any time.

    The counterpart of `wfst_hmm.search.beam.BeamSearch`, with the same attributes.

    Parameters
    ----------
    graph : CompactGraph
    options : SearchOptions
    collect_at : int
        Backpointers held before those that no active token needs are dropped; or links, with
        `links`.
    links : bool
        Keep what a lattice is made from instead of backpointers; ask for `finish_links` then,
        not for `path`.
    keep_pruned : bool
        Keep `pruned_above`, two numbers a frame, for a certificate.
    """

    def __init__(
        self,
        graph: CompactGraph,
        options: SearchOptions | None = None,
        *,
        collect_at: int | None = None,
        links: bool = False,
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
        if links:
            _check_links(graph, self._facts.table)
        self._lattice_beam = self._options.lattice_beam if links else -1.0
        if collect_at is None:
            collect_at = _PRUNE_AT if links else _COLLECT_AT
        self._tokens = first_units(
            self._fst.states, self._fst.arcs, self._plan.slack,
            self._fst.start, collect_at, self._slot, self._facts.table.step.shape[1],
        )  # fmt: skip
        self._links, self._raw = new_links(), new_raw_links()
        if links:
            self._links, self._raw = first_links(
                self._links, self._raw, self._fst.states, self._fst.arcs, self._facts.table,
                self._lattice_beam, self._slot, self._tokens,
            )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        self._facts.check_scores(scores)
        if self.lost_at is not None:
            return
        options = self._options
        above = np.full((len(scores), 2), np.inf)
        n_done, n_pruned, added, self._tokens, self._links, self._raw = advance_units(
            self._fst.states, self._fst.arcs, self._plan.slack,
            self._facts.table, scores, options.scale, options.beam, options.max_active,
            options.fewest_active, self._slot, self._tokens, self.n_frames, above, self._lattice_beam,
            self._links, self._raw,
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
        tokens = self._tokens
        mark_of_units(
            self._fst.states, self._fst.arcs, self._facts.table, tokens.items.unit,
            tokens.n_items, tokens.state, tokens.n, asked,
        )  # fmt: skip

    def active_units(self) -> npt.NDArray[np.uint32]:
        """Return unit and destination of every active instance, shape (n, 2)."""
        n = self._tokens.n_items
        return np.stack([self._tokens.items.unit[:n], self._tokens.items.dest[:n]], axis=1)

    def path(self, *, final: bool = True) -> CompactPath:
        """Return the best path so far.

        Parameters
        ----------
        final : bool
            Only paths that end in a final state, with the final cost; otherwise the best token,
            be it within a unit, and after the last path died the best one before that.
        """
        tokens = self._tokens
        total, token, back = best_token(self._fst.states, tokens, final)
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
        arcs, ends, self._tokens = settle_units(self._tokens)
        return arcs, ends

    def finish_links(self) -> tuple[float, LinkStore, npt.NDArray[np.float64]]:
        """Prune the links for good and return them, as `BeamSearch.finish_links` does.

        What the links stand for is told by `wfst_hmm.search.compact_links.meanings`.
        """
        tokens = self._tokens
        total, _, _ = best_token(self._fst.states, tokens, True)
        if self.lost_at is not None or total == np.inf:
            return np.inf, self._links, np.zeros(0)
        ending = self._fst.states["final"][tokens.state[: tokens.n]].astype(np.float64)
        last = int(self._links.counts[2]) - 1
        first, end = (int(self._links.first_token[i]) for i in (last, last + 1))
        final = np.full(end - first, np.inf)
        final[len(final) - tokens.n :] = ending
        self._links.extra[first : end - tokens.n] = np.inf
        self._links.extra[end - tokens.n : end] = tokens.cost[: tokens.n] + ending - total
        number = np.arange(first, end, dtype=np.int32)
        prune_links(self._links, self._lattice_beam, number, len(number), True)
        return self._offset + total, self._links, final[number >= 0]


def _check_links(graph: CompactGraph, table: HmmTable) -> None:
    if plan_of(graph.fst).cyclic:
        raise GraphError(
            "lattices need a graph without epsilon cycles",
            fix="Remove its epsilons first (fst.ops.remove_epsilons).",
        )
    if graph.fst.n_arcs * table.most_ways >= 1 << 31:
        raise GraphError(
            "too many arcs for lattices with HMMs that can be entered in several ways",
            got=graph.fst.n_arcs, fix="Expand the graph (CompactGraph.expanded).",
        )  # fmt: skip
