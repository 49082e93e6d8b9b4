"""Exact search of small graphs: every state in every frame, nothing pruned.

In: graph arrays and scores, all at once or in chunks. Out: the best path, with memory that
stays flat however long the input is.

Where a graph has a few hundred arcs, to look at all of them is quicker than to find out which
ones matter. Ways into a state lie next to each other, so a frame is one pass over the arcs.

Public names: `WIDE`, `DenseSearch`, `close_all`, `is_small`, `silent_of`, `ways_of`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of

__all__ = ["WIDE", "DenseSearch", "close_all", "is_small", "silent_of", "ways_of"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

#: Nats: a beam from which on pruning a small graph takes longer than it saves.
WIDE = 8.0

_MOST_ARCS = 1000
_FRAMES = 1024  # backpointers kept before those that are decided are given up
_LEVEL_EVERY = 16  # frames after which costs are brought back to zero, for float32's sake


def is_small(fst: Fst) -> bool:
    """Whether this search is quicker than any with a beam."""
    return fst.n_arcs <= _MOST_ARCS and fst.n_states <= _MOST_ARCS and not plan_of(fst).cyclic


def ways_of(fst: Fst) -> tuple[Any, Ints]:
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


def silent_of(fst: Fst) -> Any:
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
        self._ways, self._labels = ways_of(fst)
        self._silent = silent_of(fst)
        self._sources = fst.sources()
        self._emits = fst.arcs["ilabel"] > 0
        self._cost = np.full(fst.n_states, np.inf, dtype=np.float32)
        self._cost[fst.start] = 0.0
        self._into = np.full((frames + 1, fst.n_states), -1, dtype=np.int32)
        close_all(self._cost, self._into[0], *self._silent)
        self._n_rows = 1
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
                self._ways, columns, self._silent, scores[at:end], self._scale, self._cost,
                self._into, self._n_rows,
            )  # fmt: skip
            self._offset += added
            self._n_rows += done
            self.n_frames += done
            if done < end - at:
                self.lost_at = self.n_frames
            at = end

    def mark_columns(self, asked: npt.NDArray[np.bool_]) -> None:
        """Mark the score columns that any frame looks at, in `asked` of shape (S,)."""
        asked[self._columns[self._labels - 1]] = True

    def path(self, *, final: bool = True) -> tuple[float, npt.NDArray[np.int32]]:
        """Return cost and arcs of the best path so far, as `BeamSearch.path` does."""
        total = self._cost.astype(np.float64)
        if final:
            total += self._fst.states["final"]
        best = int(total.argmin())
        if total[best] == np.inf or (final and self.lost_at is not None):
            return np.inf, np.zeros(0, dtype=np.int32)
        rest = _trace(self._into, self._n_rows - 1, best, self._sources, self._emits)
        return self._offset + float(total[best]), np.concatenate([*self._decided, rest])

    def settle(self) -> npt.NDArray[np.int32]:
        """Return the arcs that all paths begin with and forget them, as `BeamSearch.settle`."""
        if self.lost_at is None:
            self._decide()
        arcs = np.concatenate(self._decided)
        self._decided = [np.zeros(0, dtype=np.int32)]
        return arcs

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
def close_all(
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
    ways: Any,
    column: npt.NDArray[np.uint32],
    silent: Any,
    scores: Floats,
    scale: float,
    cost: Floats,
    into: Ints,
    n_rows: int,
) -> tuple[int, float]:
    """Search frames, costs in place; return how many, and the cost taken off."""
    start, source, weight, arc = ways
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
            for way in range(start[state], start[state + 1]):
                new = before[source[way]] + weight[way] - scale32 * row[column[way]]
                # without a branch, which nobody could predict
                which = np.uint32(way) if new < best else which
                best = new if new < best else best
            cost[state] = best
            came[state] = arc[which]
            lowest = min(lowest, best)
        if lowest == np.inf:
            cost[:] = before
            return frame, offset
        close_all(cost, came, silent[0], silent[1], silent[2], silent[3])
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
