"""How far from the optimum a search may be.

In: a graph, `Scores`, `SearchOptions`. Out: the result of the search and a `Certificate`.

Public names: `Certificate`, `certify`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import begin_search, expanded_of, graph_to_search, overruled
from wfst_hmm.search.decoded import decoded_of
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.future import future_of
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import BY_NAME, decode_beam, full_scores

__all__ = ["Certificate", "certify"]

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
    `wfst_hmm.search.future`. The least sum of both over all frames bounds every lost path; the
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
