"""How far from the optimum a beam search may be.

In: `Graph`, `Scores`, `SearchOptions`. Out: the result of the search and a `Certificate`.

Public names: `Certificate`, `certify`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.decode import decode_beam
from wfst_hmm.search.decoded import decoded_from_arcs
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

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
    graph: Graph,
    scores: Scores,
    options: SearchOptions | None = None,
    *,
    affordable: int = 500_000_000,
) -> tuple[Decoded | NoPath, Certificate | None]:
    """Decode by beam search and prove how good the result is.

    Parameters
    ----------
    graph : Graph
    scores : Scores
    options : SearchOptions, optional
    affordable : int
        States times frames up to which the exact search is run where the bound leaves a gap.

    Returns
    -------
    result : Decoded or NoPath
    certificate : Certificate or None
        None when there is no path.

    Notes
    -----
    A path that the search lost was dropped somewhere: in frame t, at a cost that the search
    remembers from below, since it drops only what lies above a cutoff. What was left of the
    path then cost at least the sum over the remaining frames of

        min over labels of (acoustic cost of the label + cheapest arc with it) + e,

    where e <= 0 is the cheapest run of epsilons, plus the cheapest final cost. The least sum of
    both over all frames bounds every lost path; the optimum is the found path or a lost one.
    """
    options = options or SearchOptions()
    search = BeamSearch(graph.fst, graph.labels.column, options, keep_pruned=True)
    search.advance(scores.array)
    cost, arcs = search.path()
    if cost == np.inf:
        result = decode_beam(graph, scores, options)
        if isinstance(result, NoPath):
            return result, None
        bound = -np.inf  # a wider beam found it; its own pruning was not recorded
    else:
        result = decoded_from_arcs(graph, scores, arcs, options.acoustic_scale, "beam")
        rest = _rest(graph, scores, options.acoustic_scale)
        above = np.concatenate([np.zeros((0, 2)), *search.pruned_above])
        lost = above < np.inf  # elsewhere nothing was dropped, and rest may be -inf
        ahead = np.stack([rest[:-1], rest[1:]], axis=1)
        bound = float(np.min(above[lost] + ahead[lost], initial=np.inf))
    found = result.total_cost
    slack = _ROUNDING * max(1.0, abs(found))
    if bound >= found - slack:
        method = "nothing pruned" if bound == np.inf else "bound"
        return result, Certificate(True, 0.0, found, method)
    if graph.fst.n_states * scores.n_frames <= affordable:
        best, _ = viterbi_path(
            graph.fst, scores.array, graph.labels.column, acoustic_scale=options.acoustic_scale
        )
        gap = max(0.0, found - best)
        return result, Certificate(gap <= slack, gap, best, "exact")
    return result, Certificate(False, found - bound, bound, "bound")


def _rest(graph: Graph, scores: Scores, scale: float) -> npt.NDArray[np.float64]:
    """Return a lower bound on the cost of frames t to T and the end, for t = 0 to T."""
    plan = plan_of(graph.fst)
    if plan.cyclic:
        return np.full(scores.n_frames + 1, -np.inf)
    cheapest = np.full(plan.n_labels + 1, np.inf)
    np.minimum.at(cheapest, graph.fst.arcs["ilabel"], graph.fst.arcs["weight"])
    epsilon = float(_cheapest_epsilons(graph.fst.states, graph.fst.arcs, plan.order))
    columns = graph.labels.column[: plan.n_labels]
    frames = np.empty(scores.n_frames)
    for frame, row in enumerate(scores.array):
        frames[frame] = np.min(cheapest[1:] - scale * row[columns].astype(np.float64),
                               initial=np.inf)  # fmt: skip
    end = float(graph.fst.states["final"].min()) + epsilon
    return np.append(np.cumsum((frames + epsilon)[::-1])[::-1], 0.0) + end


@numba.njit(cache=True, nogil=True)
def _cheapest_epsilons(
    states: npt.NDArray[Any], arcs: npt.NDArray[Any], order: npt.NDArray[np.int32]
) -> float:
    """Return the least cost of any run of epsilon arcs, 0 for none at all."""
    least = 0.0
    onward = np.zeros(len(states))
    for state in order[::-1]:
        first = states[state].pos
        for arc in range(first, first + states[state].n_input_eps):
            onward[state] = min(onward[state], arcs[arc].weight + onward[arcs[arc].nextstate])
        least = min(least, onward[state])
    return least
