"""Beam search: token passing over the active states of a graph, chunk by chunk.

In: a graph, its HMMs written out or expanded while the search runs; scores, all at once or in
chunks; costs of words, perhaps. Out: the best path, or the links of a lattice, with memory that
stays flat however long the input is.

Public names: `BeamSearch`, `beam_path`, `search_of`.
"""

from __future__ import annotations

import weakref
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.search.backpointers import GraphPath, settle, trace
from wfst_hmm.search.frames import advance_tokens, best_token, first_tokens
from wfst_hmm.search.hmm_table import HmmTable, UnitFacts, facts_of
from wfst_hmm.search.instances import MaybeInstances, new_instances
from wfst_hmm.search.links import (
    LinkMeanings,
    LinkStore,
    meanings,
    new_links,
    new_raw_links,
    prune_links,
)
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.pairs import MaybePairs, check_words, new_pairs
from wfst_hmm.search.prepare import check_scores, plan_of

__all__ = ["BeamSearch", "beam_path", "search_of"]

_ROOM = 1024  # instances, and pairs, at first
_COLLECT_AT = 1 << 20  # backpointers before the first garbage collection (8 MB, 12 with frames)
_PRUNE_AT = 1 << 19  # links noted before those that matter are sorted out (8 MB)
_RENUMBER_AT = 1 << 18  # pairs before those that nothing needs lose their numbers (5 MB)


class BeamSearch:
    """A search under way: `advance` it by chunks of scores, ask for its `path` at any time.

    Parameters
    ----------
    fst : Fst
        Decoding graph; input labels are state labels, with `units` those of units.
    columns : ndarray of int32, shape (n_labels,)
        Column of state label ``i`` at ``i - 1``.
    options : SearchOptions
    units : UnitFacts, optional
        The HMMs of the graph's units, where they are not written out in it.
    words : WordCosts, optional
        Costs of words that are added while searching: the search is one of graph ∘ machines.
    links : bool
        Keep what a lattice is made from instead of backpointers; ask for `finish_links` then,
        not for `path`.
    keep_pruned : bool
        Keep `pruned_above`, two numbers a frame, for a certificate.
    collect_at : int
        Backpointers held before those that no active token needs are dropped; or links, with
        `links`.
    renumber_at : int
        Pairs of states of graph and machines held before those that nothing needs are dropped.

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

    Raises
    ------
    GraphError
        The graph has epsilon cycles, and links are wanted; or it puts out words on epsilon arcs,
        too, which could become cheaper without end by their costs.
    """

    def __init__(
        self,
        fst: Fst,
        columns: npt.NDArray[np.int32],
        options: SearchOptions | None = None,
        *,
        units: UnitFacts | None = None,
        words: WordCosts | None = None,
        links: bool = False,
        keep_pruned: bool = False,
        collect_at: int | None = None,
        renumber_at: int = _RENUMBER_AT,
    ) -> None:
        self._fst = fst
        self._plan = plan_of(fst)
        self._columns = columns
        self._units = units
        self._hmms: HmmTable | None = None if units is None else units.table
        self._words = words
        self._machines = None if words is None else words.arrays
        self._options = options or SearchOptions()
        if words is not None:
            check_words(fst)
        if links:
            _check_links(fst, units)
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
        self._n_settled = 0  # frames
        self._lattice_beam = float(self._options.lattice_beam) if links else None
        self._renumber_at = renumber_at
        if collect_at is None:
            collect_at = _PRUNE_AT if links else _COLLECT_AT
        pairs = spare = items = frame = None
        if words is not None:
            pairs, spare = new_pairs(_ROOM), new_pairs(_ROOM) if units is None else None
        if self._hmms is not None:
            items, frame = new_instances(_ROOM, self._hmms.step.shape[1]), np.empty(0, np.int32)
        self._tokens, self._links, self._raw = first_tokens(
            fst.states, fst.arcs, self._plan.slack, fst.start, self._machines,
            0 if words is None else words.start, pairs, spare, items, frame, collect_at,
            self._slot, self._lattice_beam, new_links(), new_raw_links(),
        )  # fmt: skip

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        if self._units is not None:
            self._units.check_scores(scores)
        else:
            check_scores(self._plan, scores, self._columns)
        if self.lost_at is not None:
            return
        options = self._options
        above = np.full((len(scores), 2), np.inf)
        n_done, n_pruned, added, self._tokens, self._links, self._raw = advance_tokens(
            self._fst.states, self._fst.arcs, self._plan.slack,
            self._columns[: self._plan.n_labels] if self._units is None else None, self._hmms,
            self._machines, scores,
            float(options.scale), float(options.beam), options.max_active,
            options.fewest_active, self._slot, self._tokens, self.n_frames, self._renumber_at,
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

    def mark_columns(self, needed: npt.NDArray[np.bool_]) -> None:
        """Mark the score columns that the next frame may look at, in `needed` of shape (S,)."""
        tokens = self._tokens
        _mark(
            self._fst.states, self._fst.arcs, self._columns, self._hmms, tokens.items,
            tokens.n_items, tokens.pairs, tokens.state, tokens.n, needed,
        )  # fmt: skip

    def active_units(self) -> npt.NDArray[np.uint32]:
        """Return unit and destination of every active instance, shape (n, 2); units only."""
        items, n = self._tokens.items, self._tokens.n_items
        return np.stack([items.unit[:n], items.dest[:n]], axis=1)

    def path(self, *, final: bool = True) -> GraphPath:
        """Return the best path so far, the costs of its words included.

        Parameters
        ----------
        final : bool
            Only paths that end in a final state, with the final cost; otherwise the best token,
            be it within a unit, and after the last path died the best one before that.
        """
        tokens = self._tokens
        total, token, back = self._best(final)
        if total == np.inf or (final and self.lost_at is not None):
            nothing = np.zeros(0, dtype=np.int32)
            return GraphPath(np.inf, nothing, nothing, False)
        last = int(tokens.history[token]) if token >= 0 else int(back >> 32)
        arcs = trace(tokens.prev, tokens.arc, last)
        if self._units is None:
            return GraphPath(self._offset + total, arcs, self._ends(arcs), True)
        ends = trace(tokens.prev, tokens.frame, last)
        if token < 0:  # the unit that has not been left
            arcs = np.append(arcs, np.int32(back & 0x7FFFFFFF))
            ends = np.append(ends, np.int32(self.n_frames))
        return GraphPath(self._offset + total, arcs, ends, token >= 0)

    def _best(self, final: bool) -> tuple[float, int, int]:
        tokens = self._tokens
        found: tuple[float, int, int] = best_token(
            self._fst.states, self._machines, tokens.items, tokens.pairs, tokens, final
        )
        return found

    def _ends(self, arcs: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the frames emitted when arcs of one frame each have ended."""
        return (self._n_settled + np.cumsum(self._fst.arcs["ilabel"][arcs] > 0)).astype(np.int32)

    def settle(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the arcs that all paths begin with, and their ends, and forget them.

        They are decided. What `path` returns afterwards goes on behind them; its cost stays that
        of the whole. Called from time to time, it keeps memory flat however long the input is.
        """
        tokens = self._tokens
        if self.lost_at is not None:
            nothing = np.zeros(0, dtype=np.int32)
            return nothing, nothing
        arcs, ends, n_pool = settle(
            tokens.prev, tokens.arc, tokens.frame, tokens.n_pool, tokens.items, tokens.n_items,
            tokens.history, tokens.n,
        )  # fmt: skip
        self._tokens = tokens._replace(n_pool=n_pool)
        if self._units is None:
            ends = self._ends(arcs)
            self._n_settled = int(ends[-1]) if len(ends) else self._n_settled
        return arcs, ends

    def finish_links(self) -> tuple[float, LinkStore, npt.NDArray[np.float64]]:
        """Prune the links for good and return them; `meanings` tells what they stand for.

        Returns
        -------
        cost : float
            Of the best complete path, nats; +inf when no final state was reached.
        links : LinkStore
        final : ndarray of float64, shape (n,)
            Final cost of each token of the last frame, +inf where its state is not final; without
            that of the word machines.
        """
        tokens, links = self._tokens, self._links
        total, _, _ = self._best(True)
        if self.lost_at is not None or total == np.inf:
            return np.inf, links, np.zeros(0)
        state = tokens.state[: tokens.n]
        if tokens.pairs is not None:
            state = tokens.pairs.state[state]
        own = self._fst.states["final"][state].astype(np.float64)
        ending = tokens.cost[: tokens.n] + own
        if self._words is not None:
            reached = tokens.pairs.word_state[tokens.state[: tokens.n]]
            ending += [self._words.final(int(at)) for at in reached]
        # HMM states of the last frame come first among its tokens, and end nothing.
        last = int(links.counts[2]) - 1
        first, end = (int(links.first_token[i]) for i in (last, last + 1))
        final = np.full(end - first, np.inf)
        final[len(final) - tokens.n :] = own
        links.extra[first:end] = np.inf
        links.extra[end - tokens.n : end] = ending - total
        number = np.arange(first, end, dtype=np.int32)
        prune_links(links, self._options.lattice_beam, number, len(number), True)
        return self._offset + total, links, final[number >= 0]

    def meanings(self, links: LinkStore) -> LinkMeanings:
        """Return what links stand for, the costs of words not counted."""
        return meanings(self._fst, self._units, links.arc[: links.counts[0]])


def _check_links(fst: Fst, units: UnitFacts | None) -> None:
    if plan_of(fst).cyclic:
        raise GraphError(
            "lattices need a graph without epsilon cycles",
            fix="Remove its epsilons first (fst.ops.remove_epsilons).",
        )
    if units is not None and fst.n_arcs * units.table.most_ways >= 1 << 31:
        raise GraphError(
            "too many arcs for lattices with HMMs that can be entered in several ways",
            got=fst.n_arcs, fix="Expand the graph (CompactGraph.expanded).",
        )  # fmt: skip


def search_of(
    graph: AnyGraph,
    options: SearchOptions | None = None,
    words: WordCosts | None = None,
    **kept: Any,
) -> BeamSearch:
    """Return the beam search of a graph of either kind; `kept` are further arguments of it."""
    units = facts_of(graph) if isinstance(graph, CompactGraph) else None
    return BeamSearch(graph.fst, graph.labels.column, options, units=units, words=words, **kept)


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
    found = search.path()
    return found.cost, found.arcs


@numba.njit(cache=True, nogil=True)
def _mark(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    columns: npt.NDArray[np.int32],
    hmms: Any,
    items: MaybeInstances,
    n_items: int,
    pairs: MaybePairs,
    state: npt.NDArray[np.int32],
    n: int,
    needed: npt.NDArray[np.bool_],
) -> None:
    """Mark the columns of the arcs that leave tokens, and of all states of active units.

    All states: what looks for the states within a unit afterwards (`unit_states`) may look at
    those that are too far off for the search.
    """
    if items is not None:
        for number in range(n_items):
            for column in hmms.column[items.unit[number]]:
                needed[column] = True
    for token in range(n):
        row = states[state[token] if pairs is None else pairs.state[state[token]]]
        for arc in range(row.pos + row.n_input_eps, row.pos + row.n_arcs):
            label = arcs[arc].ilabel - 1
            if hmms is None:
                needed[columns[label]] = True
            else:
                for way in range(hmms.enter_start[label], hmms.enter_start[label + 1]):
                    needed[hmms.enter_column[way]] = True
