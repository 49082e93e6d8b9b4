"""Exact search of small graphs: every state in every frame, nothing pruned.

In: graph arrays and scores, all at once or in chunks. Out: the best path, with memory that
stays flat however long the input is; or the links of the exact lattice.

Where a graph has a few hundred arcs, to look at all of them is quicker than to find out which
ones matter. Arcs into a state lie next to each other, so a frame is one pass over the arcs.

A lattice is made by a forward pass over every state, then one back from the end within the beam.
The forward pass knows the best cost of every state in every frame. On the way back, the cost of
the best complete path through a link is then known when it is met, so that links beyond the
lattice beam are never kept, nor states looked at to which none of the others leads.

Public names: `WIDE`, `DenseLinks`, `DenseSearch`, `is_small`, `links_are_dense`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.backpointers import GraphPath
from wfst_hmm.search.links import LinkMeanings, LinkStore, meanings, new_links
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of
from wfst_hmm.search.tokens import grown

__all__ = ["WIDE", "DenseLinks", "DenseSearch", "is_small", "links_are_dense"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

#: Nats: a beam from which on pruning a small graph takes longer than it saves.
WIDE = 8.0

_MOST_ARCS = 1000
_FRAMES = 1024  # backpointers kept before those that are decided are given up
_MOST_COSTS = 25_000_000  # states times frames of a lattice: 100 MB
_LEVEL_EVERY = 16  # frames after which costs are brought back to zero, for float32's sake


def is_small(fst: Fst) -> bool:
    """Whether this search is quicker than any with a beam."""
    return fst.n_arcs <= _MOST_ARCS and fst.n_states <= _MOST_ARCS and not plan_of(fst).cyclic


def _arcs_into(fst: Fst) -> tuple[Any, Ints]:
    """Return the arcs that emit by their target, and their labels.

    The arcs as arrays: where those into each state begin, source, weight, number (and -1).
    """
    arcs = fst.arcs
    emits = np.flatnonzero(arcs["ilabel"] > 0)
    emits = emits[np.argsort(arcs["nextstate"][emits], kind="stable")]
    counts = np.bincount(arcs["nextstate"][emits], minlength=fst.n_states)
    return (
        np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32),
        fst.sources()[emits].astype(np.uint32), arcs["weight"][emits].astype(np.float32),
        np.append(emits, -1).astype(np.int32),
    ), arcs["ilabel"][emits]  # fmt: skip


def _silent_of(fst: Fst) -> Any:
    """Return the epsilons, each behind all that lead to it: source, target, weight, number."""
    arcs, sources = fst.arcs, fst.sources()
    order = plan_of(fst).order
    rank = np.zeros(fst.n_states, dtype=np.int64)
    rank[order] = np.arange(len(order))
    silent = np.flatnonzero(arcs["ilabel"] == 0)
    silent = silent[np.argsort(rank[sources[silent]], kind="stable")]
    return (
        sources[silent], np.ascontiguousarray(arcs["nextstate"][silent]),
        arcs["weight"][silent].astype(np.float32), silent.astype(np.int32),
    )  # fmt: skip


class DenseSearch:
    """A search under way, with the methods and attributes of `wfst_hmm.search.beam.BeamSearch`.

    Parameters
    ----------
    fst : Fst
        Decoding graph without epsilon cycles; input labels are state labels.
    columns : ndarray of int32, shape (n_labels,)
        Column of input label ``i`` at ``i - 1``.
    options : SearchOptions
        Of these the acoustic scale alone matters: no path is dropped, whatever the beam.
    frames : int
        Backpointers kept before those that are decided are given up.
    """

    def __init__(
        self,
        fst: Fst,
        columns: npt.NDArray[np.int32],
        options: SearchOptions | None = None,
        *,
        frames: int = _FRAMES,
    ) -> None:
        self._fst = fst
        self._plan = plan_of(fst)
        self._columns = columns
        self._scale = (options or SearchOptions()).scale
        self.n_frames = 0
        self.lost_at: int | None = None
        self.n_pruned = 0
        self.pruned_above: list[npt.NDArray[np.float64]] = []
        self._incoming, self._labels = _arcs_into(fst)
        self._silent = _silent_of(fst)
        self._sources = fst.sources()
        self._emits = fst.arcs["ilabel"] > 0
        self._cost = np.full(fst.n_states, np.inf, dtype=np.float32)
        self._cost[fst.start] = 0.0
        self._into = np.full((frames + 1, fst.n_states), -1, dtype=np.int32)
        _close_all(self._cost, self._into[0], *self._silent)
        self._n_rows = 1
        self._n_settled = 0  # frames
        self._offset = 0.0
        self._decided = [np.zeros(0, dtype=np.int32)]

    def advance(self, scores: npt.NDArray[np.float32]) -> None:
        """Search the frames of one chunk, log-likelihoods of shape (n, S), C-contiguous."""
        check_scores(self._plan, scores, self._columns)
        columns = self._columns[self._labels - 1].astype(np.uint32)
        at = 0
        while at < len(scores) and self.lost_at is None:
            if self._n_rows == len(self._into):
                self._make_room()
            end = min(len(scores), at + len(self._into) - self._n_rows)
            done, added = _advance(
                self._incoming, columns, self._silent, scores[at:end], self._scale, self._cost,
                self._into, self._n_rows,
            )  # fmt: skip
            self._offset += added
            self._n_rows += done
            self.n_frames += done
            if done < end - at:
                self.lost_at = self.n_frames
            at = end

    def mark_columns(self, needed: npt.NDArray[np.bool_]) -> None:
        """Mark the score columns that any frame looks at, in `needed` of shape (S,)."""
        needed[self._columns[self._labels - 1]] = True

    def path(self, *, final: bool = True) -> GraphPath:
        """Return the best path so far, as `BeamSearch.path` does."""
        total = self._cost.astype(np.float64)
        if final:
            total += self._fst.states["final"]
        best = int(total.argmin())
        if total[best] == np.inf or (final and self.lost_at is not None):
            nothing = np.zeros(0, dtype=np.int32)
            return GraphPath(np.inf, nothing, nothing, False)
        rest = _trace(self._into, self._n_rows - 1, best, self._sources, self._emits)
        arcs = np.concatenate([*self._decided, rest])
        return GraphPath(self._offset + float(total[best]), arcs, self._ends(arcs), True)

    def _ends(self, arcs: Ints) -> Ints:
        """Return the frames emitted when arcs of one frame each have ended."""
        return (self._n_settled + np.cumsum(self._emits[arcs])).astype(np.int32)

    def settle(self) -> tuple[Ints, Ints]:
        """Return the arcs that all paths begin with and forget them, as `BeamSearch.settle`."""
        if self.lost_at is None:
            self._decide()
        arcs = np.concatenate(self._decided)
        ends = self._ends(arcs)
        self._n_settled = int(ends[-1]) if len(ends) else self._n_settled
        self._decided = [np.zeros(0, dtype=np.int32)]
        return arcs, ends

    def _decide(self) -> None:
        row, state = _meeting(self._into, self._n_rows - 1, self._cost, self._sources, self._emits)
        if row <= 0:
            return
        self._decided.append(_trace(self._into, row, state, self._sources, self._emits))
        kept = self._n_rows - row
        self._into[:kept] = self._into[row : self._n_rows].copy()
        self._into[0, state] = -1
        self._n_rows = kept

    def _make_room(self) -> None:
        self._decide()
        if 2 * self._n_rows > len(self._into):
            self._into = np.concatenate([self._into, np.empty_like(self._into)])


@numba.njit(cache=True, nogil=True)
def _close_all(
    cost: Floats, into: Ints, source: Ints, target: Ints, weight: Floats, arc: Ints
) -> None:
    """Follow the epsilons, each behind all that lead to it."""
    for number in range(len(source)):
        new = cost[source[number]] + weight[number]
        if new < cost[target[number]]:
            cost[target[number]] = new
            into[target[number]] = arc[number]


@numba.njit(cache=True, nogil=True)
def _advance(
    incoming: Any,
    column: npt.NDArray[np.uint32],
    silent: Any,
    scores: Floats,
    scale: float,
    cost: Floats,
    into: Ints,
    n_rows: int,
) -> tuple[int, float]:
    """Search frames, costs in place; return how many, and the cost taken off."""
    start, source, weight, arc = incoming
    n_states = len(cost)
    before = cost.copy()
    scale32 = np.float32(scale)
    offset = 0.0
    for frame in range(len(scores)):
        row = scores[frame]
        came = into[n_rows + frame]
        lowest = np.float32(np.inf)
        for state in range(n_states):
            best = np.float32(np.inf)
            which = np.uint32(start[state])
            for link in range(start[state], start[state + 1]):
                new = before[source[link]] + weight[link] - scale32 * row[column[link]]
                # without a branch, which nobody could predict
                which = np.uint32(link) if new < best else which
                best = new if new < best else best
            cost[state] = best
            came[state] = arc[which]
            lowest = min(lowest, best)
        if lowest == np.inf:
            cost[:] = before
            return frame, offset
        _close_all(cost, came, silent[0], silent[1], silent[2], silent[3])
        if frame % _LEVEL_EVERY == 0:
            for state in range(n_states):
                cost[state] -= lowest
            offset += lowest
        before[:] = cost
    return len(scores), offset


@numba.njit(cache=True, nogil=True)
def _trace(into: Ints, row: int, state: int, sources: Ints, emits: npt.NDArray[np.bool_]) -> Ints:
    """Return the arcs that lead to a state after the frame of `row`."""
    path = np.empty(2 * row + 16, dtype=np.int32)
    n = 0
    while into[row, state] >= 0:
        arc = into[row, state]
        if n == len(path):
            path = np.concatenate((path, np.empty(n, dtype=np.int32)))
        path[n] = arc
        n += 1
        state = sources[arc]
        row -= emits[arc]
    backwards: Ints = path[:n][::-1].copy()
    return backwards


@numba.njit(cache=True, nogil=True)
def _meeting(
    into: Ints, row: int, cost: Floats, sources: Ints, emits: npt.NDArray[np.bool_]
) -> tuple[int, int]:
    """Return the last row in which all paths are in one state, and the state; row 0 for none."""
    states = np.flatnonzero(cost < np.inf).astype(np.int32)
    seen = np.full(len(cost), -1, dtype=np.int64)
    n = len(states)
    while row > 0 and n > 1:
        m = 0
        for number in range(n):
            state = states[number]
            arc = into[row, state]
            while not emits[arc]:
                state = sources[arc]
                arc = into[row, state]
            state = sources[arc]
            if seen[state] != row:
                seen[state] = row
                states[m] = state
                m += 1
        n = m
        row -= 1
    return (row, int(states[0])) if n == 1 else (0, -1)


def links_are_dense(fst: Fst, options: SearchOptions, n_frames: int) -> bool:
    """Whether `DenseLinks` is quicker than the beam search, and its lattice no larger."""
    wide = (
        options.search != "beam" and options.beam >= WIDE and options.lattice_beam <= options.beam
    )
    return wide and (n_frames + 1) * fst.n_states <= _MOST_COSTS and is_small(fst)


class DenseLinks:
    """The search for a lattice: `advance` it once, then ask for `finish_links`.

    Parameters
    ----------
    fst : Fst
        Decoding graph without epsilon cycles; input labels are state labels.
    columns : ndarray of int32, shape (n_labels,)
        Column of input label ``i`` at ``i - 1``.
    options : SearchOptions
        Of these the acoustic scale and the lattice beam matter.
    """

    def __init__(self, fst: Fst, columns: Ints, options: SearchOptions) -> None:
        self._fst = fst
        self._columns = columns
        self._options = options
        self._scores = np.zeros((0, 0), dtype=np.float32)

    def advance(self, scores: Floats) -> None:
        """Take all frames, log-likelihoods of shape (T, S), C-contiguous."""
        check_scores(plan_of(self._fst), scores, self._columns)
        self._scores = scores

    def finish_links(self) -> tuple[float, LinkStore, npt.NDArray[np.float64]]:
        """Search, and return what `BeamSearch.finish_links` does."""
        fst, scores, options = self._fst, self._scores, self._options
        incoming, labels = _arcs_into(fst)
        silent = _silent_of(fst)
        column = self._columns[labels - 1].astype(np.uint32)
        cost = np.empty((len(scores) + 1, fst.n_states), dtype=np.float32)
        cost[0] = np.inf
        cost[0, fst.start] = 0.0
        base = np.zeros(len(scores) + 1, dtype=np.float32)
        done = _forward(incoming, column, silent, scores, options.scale, cost, base)
        total = cost[done] + fst.states["final"].astype(np.float64)
        best = float(total.min(initial=np.inf))
        if done < len(scores) or best == np.inf:
            return np.inf, new_links(), np.zeros(0)
        store, last = _backward(
            incoming, column, silent, scores, options.scale, cost, base,
            (total - best).astype(np.float32), options.lattice_beam,
        )  # fmt: skip
        final = fst.states["final"][last].astype(np.float64)
        return best + float(base.sum(dtype=np.float64)), store, final

    def meanings(self, links: LinkStore) -> LinkMeanings:
        """Return what links stand for."""
        return meanings(self._fst, None, links.arc[: links.counts[0]])


@numba.njit(cache=True, nogil=True)
def _forward(
    incoming: Any,
    column: npt.NDArray[np.uint32],
    silent: Any,
    scores: Floats,
    scale: float,
    cost: Floats,
    base: Floats,
) -> int:
    """Fill in the best costs, row after row, less what `base` has for each; return how many."""
    start, source, weight, _ = incoming
    n_states = cost.shape[1]
    scale32 = np.float32(scale)
    into = np.empty(n_states, dtype=np.int32)  # where each cost is from does not matter here
    _close_all(cost[0], into, silent[0], silent[1], silent[2], silent[3])
    lowest = np.float32(0.0)
    for frame in range(len(scores)):
        row, before, after = scores[frame], cost[frame], cost[frame + 1]
        level = lowest
        base[frame + 1] = level
        lowest = np.float32(np.inf)
        for state in range(n_states):
            best = np.float32(np.inf)
            for link in range(start[state], start[state + 1]):
                new = before[source[link]] + weight[link] - scale32 * row[column[link]] - level
                best = new if new < best else best
            after[state] = best
            lowest = min(lowest, best)
        if lowest == np.inf:
            return frame
        _close_all(after, into, silent[0], silent[1], silent[2], silent[3])
    return len(scores)


@numba.njit(cache=True, nogil=True)
def _backward(
    incoming: Any,
    column: npt.NDArray[np.uint32],
    silent: Any,
    scores: Floats,
    scale: float,
    cost: Floats,
    base: Floats,
    ending: Floats,
    lattice_beam: float,
) -> tuple[LinkStore, Ints]:
    """Return the links within the lattice beam, and the states of the last frame's tokens.

    `ending` is what each state of the last frame lacks to the best complete path. Tokens and
    links are numbered backwards; the arrays are turned round at the end.
    """
    start, in_source, weight, in_arc = incoming
    silent_source, silent_target, silent_weight, silent_arc = silent
    n_frames, n_states = len(scores), cost.shape[1]
    scale32 = np.float32(scale)
    beam = np.float32(min(lattice_beam, 3e38))
    room = 4 * (n_frames + 1) + 1024
    source, target, arc = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)  # fmt: skip
    excess, acoustic, extra = np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.float32)  # fmt: skip
    links_at = np.zeros(n_frames + 2, np.int64)  # links of later frames, and those of this one
    silent_at = np.zeros(n_frames + 1, np.int64)
    tokens_at = np.zeros(n_frames + 2, np.int64)
    most = len(in_source) + len(silent_source)  # links into a frame
    now, then = np.full(n_states, -1, np.int32), np.full(n_states, -1, np.int32)  # tokens
    live, before = np.empty(n_states, np.int32), np.empty(n_states, np.int32)  # their states
    n_live = n_tokens = n_links = 0
    extra = grown(extra, 0, n_states)
    for state in range(n_states):
        if ending[state] <= beam:
            now[state] = n_tokens
            extra[n_tokens] = ending[state]
            live[n_live] = state
            n_live += 1
            n_tokens += 1
    last = live[:0]
    for frame in range(n_frames, -1, -1):
        if n_links + most > len(source):
            source, target = grown(source, n_links, n_links + most), grown(target, n_links, n_links + most)  # fmt: skip
            arc, excess = grown(arc, n_links, n_links + most), grown(excess, n_links, n_links + most)  # fmt: skip
            acoustic = grown(acoustic, n_links, n_links + most)
        extra = grown(extra, n_tokens, n_tokens + 2 * n_states)
        held = cost[frame]
        for number in range(len(silent_source) - 1, -1, -1):
            token = now[silent_target[number]]
            if token < 0:
                continue
            s = silent_source[number]
            above = max(
                held[s] + silent_weight[number] - held[silent_target[number]], np.float32(0)
            )
            through = extra[token] + above
            if not through <= beam:
                continue
            if now[s] < 0:
                now[s] = n_tokens
                extra[n_tokens] = through
                live[n_live] = s
                n_live += 1
                n_tokens += 1
            extra[now[s]] = min(extra[now[s]], through)
            source[n_links], target[n_links], arc[n_links] = now[s], token, silent_arc[number]
            excess[n_links], acoustic[n_links] = above, 0.0
            n_links += 1
        silent_at[frame] = n_links
        tokens_at[frame] = n_tokens
        if frame == n_frames:
            last = live[:n_live].copy()
        if frame:
            row, earlier, level = scores[frame - 1], cost[frame - 1], base[frame]
            n_before = 0
            for which in range(n_live):
                state = live[which]
                token = now[state]
                for link in range(start[state], start[state + 1]):
                    likely = scale32 * row[column[link]]
                    s = in_source[link]
                    above = earlier[s] + weight[link] - likely - level - held[state]
                    above = max(above, np.float32(0))
                    through = extra[token] + above
                    if not through <= beam:
                        continue
                    if then[s] < 0:
                        then[s] = n_tokens
                        extra[n_tokens] = through
                        before[n_before] = s
                        n_before += 1
                        n_tokens += 1
                    extra[then[s]] = min(extra[then[s]], through)
                    source[n_links], target[n_links], arc[n_links] = then[s], token, in_arc[link]
                    excess[n_links], acoustic[n_links] = above, -likely
                    n_links += 1
            for which in range(n_live):
                now[live[which]] = -1
            now, then = then, now
            live, before = before, live
            n_live = n_before
        links_at[frame] = n_links
    end = np.int32(n_tokens - 1)
    first_token = np.empty(n_frames + 2, np.int64)
    first_link = np.empty(n_frames + 2, np.int64)
    first_epsilon = np.empty(n_frames + 1, np.int64)
    for frame in range(n_frames + 1):
        first_token[frame] = n_tokens - tokens_at[frame]
        first_link[frame] = n_links - links_at[frame]
        first_epsilon[frame] = n_links - silent_at[frame]
    first_token[n_frames + 1], first_link[n_frames + 1] = n_tokens, n_links
    counts = np.array([n_links, n_tokens, n_frames + 1, n_frames], dtype=np.int64)
    return LinkStore(
        end - source[:n_links][::-1], end - target[:n_links][::-1], arc[:n_links][::-1].copy(),
        excess[:n_links][::-1].copy(), acoustic[:n_links][::-1].copy(), extra[:n_tokens][::-1].copy(),
        first_link, first_epsilon, first_token, counts,
    ), last[::-1].copy()  # fmt: skip
