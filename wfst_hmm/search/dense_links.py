"""Exact lattices of small graphs: every state forward, then back from the end within the beam.

In: graph arrays and all scores. Out: the links of the lattice, as `BeamSearch.finish_links` gives
them.

The forward pass knows the best cost of every state in every frame. On the way back, the cost of
the best complete path through a link is then known when it is met, so that links beyond the
lattice beam are never kept, nor states looked at to which none of the others leads.

Public names: `DenseLinks`, `links_are_dense`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.dense import WIDE, close_all, is_small, silent_of, ways_of
from wfst_hmm.search.links import LinkStore, new_links
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of
from wfst_hmm.search.tokens import grown

__all__ = ["DenseLinks", "links_are_dense"]

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

_MOST_COSTS = 25_000_000  # states times frames: 100 MB


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
        ways, labels = ways_of(fst)
        silent = silent_of(fst)
        column = self._columns[labels - 1].astype(np.uint32)
        cost = np.empty((len(scores) + 1, fst.n_states), dtype=np.float32)
        cost[0] = np.inf
        cost[0, fst.start] = 0.0
        base = np.zeros(len(scores) + 1, dtype=np.float32)
        done = _forward(ways, column, silent, scores, options.scale, cost, base)
        total = cost[done] + fst.states["final"].astype(np.float64)
        best = float(total.min(initial=np.inf))
        if done < len(scores) or best == np.inf:
            return np.inf, new_links(), np.zeros(0)
        store, last = _backward(
            ways, column, silent, scores, options.scale, cost, base,
            (total - best).astype(np.float32), options.lattice_beam,
        )  # fmt: skip
        final = fst.states["final"][last].astype(np.float64)
        return best + float(base.sum(dtype=np.float64)), store, final


@numba.njit(cache=True, nogil=True)
def _forward(
    ways: Any,
    column: npt.NDArray[np.uint32],
    silent: Any,
    scores: Floats,
    scale: float,
    cost: Floats,
    base: Floats,
) -> int:
    """Fill in the best costs, row after row, less what `base` has for each; return how many."""
    start, source, weight, _ = ways
    n_states = cost.shape[1]
    scale32 = np.float32(scale)
    into = np.empty(n_states, dtype=np.int32)  # where each cost is from does not matter here
    close_all(cost[0], into, silent[0], silent[1], silent[2], silent[3])
    lowest = np.float32(0.0)
    for frame in range(len(scores)):
        row, before, after = scores[frame], cost[frame], cost[frame + 1]
        level = lowest
        base[frame + 1] = level
        lowest = np.float32(np.inf)
        for state in range(n_states):
            best = np.float32(np.inf)
            for way in range(start[state], start[state + 1]):
                new = before[source[way]] + weight[way] - scale32 * row[column[way]] - level
                best = new if new < best else best
            after[state] = best
            lowest = min(lowest, best)
        if lowest == np.inf:
            return frame
        close_all(after, into, silent[0], silent[1], silent[2], silent[3])
    return len(scores)


@numba.njit(cache=True, nogil=True)
def _backward(
    ways: Any,
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
    start, way_source, weight, way_arc = ways
    silent_source, silent_target, silent_weight, silent_arc = silent
    n_frames, n_states = len(scores), cost.shape[1]
    scale32 = np.float32(scale)
    beam = np.float32(min(lattice_beam, 3e38))
    room = 4 * (n_frames + 1) + 1024
    source, target, arc = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)  # fmt: skip
    excess, spoken, extra = np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.float32)  # fmt: skip
    links_at = np.zeros(n_frames + 2, np.int64)  # links of later frames, and those of this one
    silent_at = np.zeros(n_frames + 1, np.int64)
    tokens_at = np.zeros(n_frames + 2, np.int64)
    most = len(way_source) + len(silent_source)  # links into a frame
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
            spoken = grown(spoken, n_links, n_links + most)
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
            excess[n_links], spoken[n_links] = above, 0.0
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
                for way in range(start[state], start[state + 1]):
                    heard = scale32 * row[column[way]]
                    s = way_source[way]
                    above = earlier[s] + weight[way] - heard - level - held[state]
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
                    source[n_links], target[n_links], arc[n_links] = then[s], token, way_arc[way]
                    excess[n_links], spoken[n_links] = above, -heard
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
        excess[:n_links][::-1].copy(), spoken[:n_links][::-1].copy(), extra[:n_tokens][::-1].copy(),
        first_link, first_epsilon, first_token, counts,
    ), last[::-1].copy()  # fmt: skip
