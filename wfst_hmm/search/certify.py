"""How far from the optimum a search may be.

In: a graph, `Scores`, `SearchOptions`. Out: the result of the search and a `Certificate`.

What the rest of an utterance costs at least is found in the graph made small (`Future`). States
are put together in classes: all HMM states with one state label in one class, all states between
units in another. Every path of the graph is a path of the classes, at the same cost or a higher
one, since each arc between classes has the least cost of those that it stands for. So the cheapest
path of the classes, found from the end backwards, bounds all paths from below.

Public names: `Certificate`, `Future`, `certify`, `future_of`.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import begin_search, expanded_of, graph_to_search, overruled
from wfst_hmm.search.decoded import decoded_of
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import BY_NAME, decode_beam, full_scores

__all__ = ["Certificate", "Future", "certify", "future_of"]

#: Nats per thousand nats of cost that float32 sums may be off.
_ROUNDING = 1e-5


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What is known about the optimum.

    Attributes
    ----------
    optimal : bool
        No path of the graph is cheaper than the one found (up to rounding).
    gap : float
        Nats by which the found path may cost more than the optimum, at most; exact when
        `method` is ``"exact"``.
    bound : float
        No path costs less than this, nats.
    method : str
        ``"nothing pruned"``, ``"exact"`` (the exact search was run), or ``"bound"``.
    """

    optimal: bool
    gap: float
    bound: float
    method: str

    def __str__(self) -> str:
        if self.optimal:
            return f"optimal ({self.method})"
        if self.method == "exact":
            return f"{self.gap:.4f} nats above the optimum"
        return f"gap at most {self.gap:.4f} nats"


def certify(
    graph: AnyGraph,
    scores: Scores | LazyScores,
    options: SearchOptions | None = None,
    costs: WordCosts | None = None,
    *,
    affordable: int = 500_000_000,
) -> tuple[Decoded | NoPath, Certificate | None]:
    """Decode and prove how good the result is: the searches that prune nothing are optimal.

    Parameters
    ----------
    graph : Graph or CompactGraph
    scores : Scores or LazyScores
        Of lazy ones, all columns are computed.
    options : SearchOptions, optional
    costs : WordCosts, optional
        Costs of words that are added while searching, for the beam search.
    affordable : int
        States (of the graph, times those of `costs`) times frames up to which the exact search is
        run where the bound leaves a gap.

    Returns
    -------
    result : Decoded or NoPath
    certificate : Certificate or None
        None when there is no path.

    Notes
    -----
    A path that the search lost was dropped somewhere: in frame t, at a cost that the search
    remembers from below, since it drops only what lies above a cutoff. What was left of the
    path then cost at least as much as the cheapest way to the end through the classes of
    `Future`. The least sum of both over all frames bounds every lost path; the
    optimum is the found path or a lost one.
    """
    options, scores = (options or SearchOptions()).of(graph), full_scores(scores)
    if not options.is_beam:
        result = BY_NAME[options.search](graph, scores, options)
        if isinstance(result, NoPath):
            return result, None
        return result, Certificate(True, 0.0, result.total_cost, "nothing pruned")
    searched = graph_to_search(graph, options, costs)
    search = begin_search(searched, options, costs, keep_pruned=True)
    search.advance(scores.array)
    notes = overruled(search, options)
    found_path = decoded_of(search, searched, scores, options.scale, words=costs, notes=notes)
    if found_path is None:
        result = decode_beam(graph, scores, options, costs)
        if isinstance(result, NoPath):
            return result, None
        bound = -np.inf  # a wider beam found it; its own pruning was not recorded
    else:
        result = found_path
        above = np.concatenate([np.zeros((0, 2)), *search.pruned_above])
        lost = above < np.inf  # elsewhere nothing was dropped, and rest may be -inf
        bound = np.inf
        if lost.any():
            rest = future_of(searched, costs).rest(scores.array, options.scale)
            ahead = np.stack([rest[:-1], rest[1:]], axis=1)
            bound = float(np.min(above[lost] + ahead[lost], initial=np.inf))
    found = result.total_cost
    slack = _ROUNDING * max(1.0, abs(found))
    if bound >= found - slack:
        method = "nothing pruned" if bound == np.inf else "bound"
        return result, Certificate(True, 0.0, found, method)
    n_word_states = 1 if costs is None else costs.n_states
    if _states(graph) * n_word_states * scores.n_frames <= affordable:
        best = _optimum(graph, scores, options, costs)
        gap = max(0.0, found - best)
        return result, Certificate(gap <= slack, gap, best, "exact")
    return result, Certificate(False, found - bound, bound, "bound")


def _optimum(
    graph: AnyGraph, scores: Scores, options: SearchOptions, costs: WordCosts | None
) -> float:
    """Return the cost of the best of all paths, nats."""
    if costs is not None:
        search = begin_search(graph, options.unpruned(), costs)
        search.advance(scores.array)
        return search.path().cost
    whole = expanded_of(graph)
    return viterbi_path(whole.fst, scores.array, whole.labels.column, acoustic_scale=options.scale)[
        0
    ]


def _states(graph: AnyGraph) -> int:
    """Return about how many states the graph has, its HMMs expanded."""
    if isinstance(graph, CompactGraph):
        return int(graph.fst.n_states + facts_of(graph).table.step.shape[1] * graph.fst.n_arcs)
    return graph.fst.n_states


Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Future:
    """A graph of classes.

    Attributes
    ----------
    source, label, target : ndarray of int64, shape (A,)
        Arcs between classes; label 0 consumes no frame.
    cost : ndarray of float64, shape (A,)
        Nats; not below 0 where the label is 0.
    final : ndarray of float64, shape (C,)
        Cost of ending in each class, +inf where no path does.
    epsilon : float
        What the epsilons within one frame cost less than `cost` says, at most; 0 or below, -inf
        where epsilon cycles leave it open.
    columns : ndarray of int64
        Score column of each label, from 1.
    """

    source: Ints
    label: Ints
    target: Ints
    cost: Floats
    final: Floats
    epsilon: float
    columns: Ints

    def rest(self, scores: npt.NDArray[np.float32], scale: float) -> Floats:
        """Return the least cost of frames t to T and the end, for t = 0 to T, shape (T + 1,)."""
        silent = self.label == 0
        emits = ~silent
        ahead: Floats = _backwards(
            self.source[emits], self.columns[self.label[emits] - 1], self.target[emits],
            self.cost[emits], self.source[silent], self.target[silent], self.cost[silent],
            self.final, scores, scale,
        )  # fmt: skip
        # each frame that is left, and the end, may have epsilons that cost less
        left = np.arange(len(scores), -1, -1) + 1.0
        if self.epsilon:
            ends = ahead < np.inf
            ahead[ends] += left[ends] * self.epsilon
        return ahead


_FUTURES: weakref.WeakKeyDictionary[AnyGraph, Future] = weakref.WeakKeyDictionary()


def future_of(graph: AnyGraph, costs: WordCosts | None = None) -> Future:
    """Return the classes of a graph, made on the first call.

    With costs of words, which are added while searching, an arc's cost is the least that it can
    have behind any words; these classes are made anew.
    """
    make = _of_compact if isinstance(graph, CompactGraph) else _of_expanded
    if costs is not None:
        least, ending = costs.least()
        arcs = graph.fst.arcs
        return make(graph, arcs["weight"] + least[arcs["olabel"]], ending)
    future = _FUTURES.get(graph)
    if future is None:
        future = _FUTURES[graph] = make(graph, graph.fst.arcs["weight"].astype(np.float64), 0.0)
    return future


def _epsilon(fst: Fst, weight: Floats) -> float:
    plan = plan_of(fst)
    if plan.cyclic:
        return -np.inf
    return float(_dearest_gain(fst.states, fst.arcs, weight, plan.order))


def _of_expanded(graph: AnyGraph, weight: Floats, ending: float) -> Future:
    fst = graph.fst
    source, arcs = fst.sources(), fst.arcs
    loops = (arcs["nextstate"] == source) & (arcs["ilabel"] > 0)
    of_state = np.zeros(fst.n_states, dtype=np.int64)
    of_state[source[loops]] = arcs["ilabel"][loops]
    n = int(arcs["ilabel"].max(initial=0)) + 1
    key = (of_state[source] * n + arcs["ilabel"]) * n + of_state[arcs["nextstate"]]
    kinds, which = np.unique(key, return_inverse=True)
    cost = np.full(len(kinds), np.inf)
    np.minimum.at(cost, which, weight)
    rest, target = np.divmod(kinds, n)
    begin, label = np.divmod(rest, n)
    final = np.full(n, np.inf)
    np.minimum.at(final, of_state, fst.states["final"] + ending)
    cost[label == 0] = np.maximum(cost[label == 0], 0.0)
    return Future(begin, label, target, cost, final, _epsilon(fst, weight),
                  graph.labels.column.astype(np.int64))  # fmt: skip


def _of_compact(graph: AnyGraph, weight: Floats, ending: float) -> Future:
    assert isinstance(graph, CompactGraph)
    fst, units, facts = graph.fst, graph.units, facts_of(graph)
    n_units, slots = facts.label.shape
    cheapest = np.full(n_units + 1, np.inf)
    np.minimum.at(cheapest, fst.arcs["ilabel"], weight)
    of_enter, of_step, of_leave = (
        np.repeat(np.arange(n_units), moves.counts)
        for moves in (units.enter, units.step, units.leave)
    )
    # class 0 is between units; the others are HMM states of units
    first = 1 + slots * np.arange(n_units)
    between = np.zeros(len(of_leave), dtype=np.int64)
    enter_cost = units.enter.cost + cheapest[of_enter + 1]
    source = np.concatenate([np.zeros(len(of_enter), np.int64),
                             first[of_step] + units.step.source,
                             first[of_leave] + units.leave.source])  # fmt: skip
    target = np.concatenate([first[of_enter] + units.enter.target,
                             first[of_step] + units.step.target, between])  # fmt: skip
    label = np.concatenate([units.enter.label, units.step.label, between])
    cost = np.concatenate([enter_cost, units.step.cost, units.leave.cost])
    final = np.full(1 + slots * n_units, np.inf)
    final[0] = fst.states["final"].min() + ending
    used = cost < np.inf
    gain = float(min(0.0, units.leave.cost.min(initial=0.0)))
    cost[label == 0] -= gain  # transition probabilities above 1 would be needed for that
    return Future(source[used], label[used].astype(np.int64), target[used], cost[used], final,
                  _epsilon(fst, weight) + gain, graph.labels.column.astype(np.int64))  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _backwards(
    source: Ints,
    column: Ints,
    target: Ints,
    cost: Floats,
    silent_source: Ints,
    silent_target: Ints,
    silent_cost: Floats,
    final: Floats,
    scores: npt.NDArray[np.float32],
    scale: float,
) -> Floats:
    """Return the least cost from any class at each frame's beginning to the end."""
    n_frames = len(scores)
    least = np.empty(n_frames + 1)
    after = final.copy()
    before = np.empty(len(final))
    for frame in range(n_frames, -1, -1):
        if frame < n_frames:
            before[:] = np.inf
            row = scores[frame]
            for arc in range(len(source)):
                through = cost[arc] - scale * row[column[arc]] + after[target[arc]]
                if through < before[source[arc]]:
                    before[source[arc]] = through
            after, before = before, after
        changed = True
        while changed:
            changed = False
            for arc in range(len(silent_source)):
                through = silent_cost[arc] + after[silent_target[arc]]
                if through < after[silent_source[arc]]:
                    after[silent_source[arc]] = through
                    changed = True
        least[frame] = after.min()
    return least


@numba.njit(cache=True, nogil=True)
def _dearest_gain(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    weight: Floats,
    order: npt.NDArray[np.int32],
) -> float:
    """Return the least sum of the negative costs along any run of epsilons, 0 for none."""
    least = 0.0
    onward = np.zeros(len(states))
    for state in order[::-1]:
        first = states[state].pos
        for arc in range(first, first + states[state].n_input_eps):
            gain = min(weight[arc], 0.0)
            onward[state] = min(onward[state], gain + onward[arcs[arc].nextstate])
        least = min(least, onward[state])
    return least
