"""A search written down token by token: slow and plain, for pictures and for checks.

In: a graph's machine and scores. Out: `Recording`: every token of every frame, where it came from,
and what the beam cut. The fast search (`search.beam`) keeps none of this; this one follows the
same rules with nothing but array operations and is held against it in tests.

Public names: `Recording`, `record`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import check_scores, plan_of

__all__ = ["Recording", "record"]

_MAX_TOKENS = 20_000_000  # about a gigabyte
_RANK_DELTA = 0.5  # nats that max_active's cutoff is widened by in the next frame

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Recording:
    """All tokens of one search; those after ``t`` frames are ``first[t]`` to ``first[t + 1]``.

    Attributes
    ----------
    fst : Fst
    first : ndarray of int64, shape (n + 2,)
        For the ``n`` frames that were searched.
    state : ndarray of int64, shape (N,)
    cost : ndarray of float64, shape (N,)
        Nats, from the start of the utterance.
    arc : ndarray of int64, shape (N,)
        Arc that led here, -1 at the start.
    before : ndarray of int64, shape (N,)
        Token that the arc came from: of the frame before, or for an epsilon of the same frame;
        -1 at the start.
    is_kept : ndarray of bool, shape (N,)
        Whether the token was within the beam when the next frame began.
    cutoff : ndarray of float64, shape (n + 1,)
        The cost above which tokens were dropped after ``t`` frames; +inf: none were.
    limit : ndarray of float64, shape (n + 1,)
        The cost above which arcs into frame ``t`` were not followed.
    n_made : ndarray of int64, shape (n + 1,)
        Arcs followed into each frame, before the cheapest way into each state was chosen.
    n_frames : int
        Frames there were; more than ``n`` when every path was lost.
    """

    fst: Fst
    first: Ints
    state: Ints
    cost: Floats
    arc: Ints
    before: Ints
    is_kept: npt.NDArray[np.bool_]
    cutoff: Floats
    limit: Floats
    n_made: Ints
    n_frames: int

    @property
    def n_searched(self) -> int:
        """Number of frames that tokens survived."""
        return len(self.first) - 2

    def frame_of(self) -> Ints:
        """Return how many frames each token has behind it, shape (N,)."""
        return np.repeat(np.arange(self.n_searched + 1), np.diff(self.first))

    def best_token(self, *, final: bool = True) -> int:
        """Return the cheapest token of the last frame; with its final cost, or -1: none is final."""
        first, end = int(self.first[-2]), int(self.first[-1])
        costs = self.cost[first:end].copy()
        if final:
            costs += self.fst.states["final"][self.state[first:end]]
        best = int(np.argmin(costs))
        if final and (costs[best] == np.inf or self.n_searched < self.n_frames):
            return -1
        return first + best

    def tokens_to(self, token: int) -> list[int]:
        """Return the tokens from the start to `token`."""
        found = []
        while token >= 0:
            found.append(token)
            token = int(self.before[token])
        return found[::-1]

    def path(self) -> tuple[float, list[int]]:
        """Return cost and arcs of the best complete path; +inf and none when there is none."""
        token = self.best_token()
        if token < 0:
            return float("inf"), []
        arcs = [int(self.arc[t]) for t in self.tokens_to(token)]
        final = float(self.fst.states["final"][self.state[token]])
        return float(self.cost[token]) + final, [arc for arc in arcs if arc >= 0]


def record(
    fst: Fst,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    options: SearchOptions | None = None,
    *,
    max_tokens: int = _MAX_TOKENS,
) -> Recording:
    """Search as the beam search does, and write everything down.

    Parameters
    ----------
    fst, scores, columns
        As for `wfst_hmm.search.exact.viterbi_path`.
    options : SearchOptions, optional
    max_tokens : int

    Raises
    ------
    UsageError
        There would be more than `max_tokens` tokens.
    DataError, GraphError
        As for the beam search.
    """
    options = options or SearchOptions()
    plan = plan_of(fst)
    check_scores(plan, scores, columns)
    start = _Tokens.of([fst.start], [0.0], [-1], [-1])
    frames = [_closed(fst, start, np.inf, plan.slack, 0)]
    cutoffs, limits, made, kept = [], [np.inf], [1], []
    n_tokens = 0
    for row in scores:
        now = frames[-1]
        cutoff = _cutoff(now.cost, options)
        inside = now.cost <= cutoff
        width = _width(now.cost, cutoff, options)
        acoustic = -options.scale * row[columns].astype(np.float64)
        made_now, new = _emitted(fst, now, inside, acoustic, width, n_tokens)
        kept.append(inside)
        cutoffs.append(cutoff)
        n_tokens += len(now.state)
        if not len(new.state):
            break
        limit = float(new.cost.min()) + width
        frames.append(_closed(fst, new, limit, plan.slack, n_tokens))
        limits.append(limit)
        made.append(made_now)
        if n_tokens + len(frames[-1].state) > max_tokens:
            raise UsageError("too many tokens to write down", got=f"over {max_tokens:,}",
                             fix="Narrow the beam, or take a shorter recording.")  # fmt: skip
    if len(kept) < len(frames):
        kept.append(np.ones(len(frames[-1].state), dtype=bool))
        cutoffs.append(np.inf)
    return _recording(fst, frames, kept, (cutoffs, limits), made, len(scores))


@dataclasses.dataclass(frozen=True, eq=False)
class _Tokens:
    """The tokens of one frame; `before` counts over all frames."""

    state: Ints
    cost: Floats
    arc: Ints
    before: Ints

    @classmethod
    def of(cls, state: Any, cost: Any, arc: Any, before: Any) -> _Tokens:
        return cls(np.asarray(state, dtype=np.int64), np.asarray(cost, dtype=np.float64),
                   np.asarray(arc, dtype=np.int64), np.asarray(before, dtype=np.int64))  # fmt: skip

    def rows(self, keep: Any) -> _Tokens:
        return _Tokens(self.state[keep], self.cost[keep], self.arc[keep], self.before[keep])


def _cutoff(cost: Floats, options: SearchOptions) -> float:
    """Return the highest cost that may stay, by the beam and the bounds on active states."""
    best = float(cost.min())
    cutoff = best + options.beam
    n_within = int(np.count_nonzero(cost <= cutoff))
    if n_within < options.fewest_active:
        few = options.fewest_active
        return float(np.partition(cost, few - 1)[few - 1]) if len(cost) > few else np.inf
    if 0 < options.max_active < n_within:
        return float(np.partition(cost, options.max_active - 1)[options.max_active - 1])
    return cutoff


def _width(cost: Floats, cutoff: float, options: SearchOptions) -> float:
    best = float(cost.min())
    return options.beam if cutoff == best + options.beam else cutoff - best + _RANK_DELTA


def _arcs_from(
    fst: Fst, state: Ints, *, emitting: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the emitting or the epsilon arcs of states, and for each the row of its state."""
    rows = fst.states[state]
    n_epsilons = rows["n_input_eps"].astype(np.int64)
    begin = rows["pos"].astype(np.int64) + (n_epsilons if emitting else 0)
    count = rows["n_arcs"].astype(np.int64) - n_epsilons if emitting else n_epsilons
    owner = np.repeat(np.arange(len(state)), count)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    return begin[owner] + within, owner


def _emitted(
    fst: Fst, now: _Tokens, inside: Any, acoustic: Floats, width: float, first: int
) -> tuple[int, _Tokens]:
    """Follow the emitting arcs of the tokens inside the beam; the cheapest way into each state."""
    numbers = np.flatnonzero(inside)
    arcs, owner = _arcs_from(fst, now.state[numbers], emitting=True)
    rows = fst.arcs[arcs]
    cost = now.cost[numbers][owner] + rows["weight"] + acoustic[rows["ilabel"] - 1]
    made = _Tokens.of(rows["nextstate"], cost, arcs, first + numbers[owner])
    alive = np.isfinite(cost)
    if alive.any():
        alive &= cost <= float(cost[alive].min()) + width
    return len(arcs), _cheapest(made.rows(alive))


def _cheapest(tokens: _Tokens) -> _Tokens:
    """Keep the cheapest token of each state, the earlier one of equals."""
    order = np.lexsort((tokens.cost, tokens.state))
    state = tokens.state[order]
    leads = np.ones(len(state), dtype=bool)
    leads[1:] = state[1:] != state[:-1]
    return tokens.rows(np.sort(order[leads]))


def _closed(fst: Fst, tokens: _Tokens, limit: float, slack: float, first: int) -> _Tokens:
    """Follow epsilons until nothing gets cheaper; they start from tokens of this same frame."""
    at = {int(state): number for number, state in enumerate(tokens.state)}
    state, cost = tokens.state.tolist(), tokens.cost.tolist()
    arc, before = tokens.arc.tolist(), tokens.before.tolist()
    has_epsilon = fst.states["n_input_eps"][tokens.state] > 0
    queue = np.flatnonzero(has_epsilon).tolist()
    for number in queue:  # grows while it is walked
        arcs, _ = _arcs_from(fst, np.array([state[number]]), emitting=False)
        for one in arcs.tolist():
            new = cost[number] + float(fst.arcs["weight"][one])
            target = int(fst.arcs["nextstate"][one])
            other = at.get(target)
            if not new <= limit or new == np.inf:
                continue
            if other is None:
                other = at[target] = len(state)
                for column in (state, cost, arc, before):
                    column.append(0)
            elif new >= cost[other] - slack * (1 + abs(new)):
                continue
            state[other], cost[other], arc[other], before[other] = target, new, one, first + number
            queue.append(other)
    return _Tokens.of(state, cost, arc, before)


def _recording(
    fst: Fst, frames: list[_Tokens], kept: list[Any], bounds: tuple[list[float], list[float]],
    made: list[int], n_frames: int,
) -> Recording:  # fmt: skip
    def joined(name: str) -> Any:
        return np.concatenate([getattr(tokens, name) for tokens in frames])

    first = np.cumsum([0, *(len(tokens.state) for tokens in frames)])
    return Recording(
        fst, first, joined("state"), joined("cost"), joined("arc"), joined("before"),
        np.concatenate(kept), np.array(bounds[0]), np.array(bounds[1]), np.array(made), n_frames,
    )  # fmt: skip
