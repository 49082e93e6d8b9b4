"""One utterance decoded by all searches, side by side.

In: a graph, scores. Out: `CrossCheck`: the results and whether they agree.

Public names: `CrossCheck`, `cross_check`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode, scores_for
from wfst_hmm.search.options import SEARCHES, SearchOptions
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import full_scores

__all__ = ["CrossCheck", "cross_check"]

#: Two total costs within this share of each other count as equal.
_SAME_COST = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class CrossCheck:
    """One utterance decoded by all three searches.

    Attributes
    ----------
    results : dict of str to Decoded or NoPath
        By name of the search.
    verdict : str
        ``"agree"``: equal costs and equal paths (or none anywhere); ``"tie"``: equal costs,
        unlike paths; ``"differ"``: unlike costs, or a path from some searches only.
    detail : str
        One line that says what was compared and what was found.
    """

    results: dict[str, Decoded | NoPath]
    verdict: str
    detail: str

    @property
    def ok(self) -> bool:
        """Whether the costs are equal."""
        return self.verdict != "differ"

    def to_dict(self) -> dict[str, Any]:
        """Return verdict and results, JSON-ready."""
        return {
            "verdict": self.verdict,
            "detail": self.detail,
            "results": {name: result.to_dict() for name, result in self.results.items()},
        }


def cross_check(
    graph: AnyGraph, scores: Scores | npt.ArrayLike, options: SearchOptions | None = None
) -> CrossCheck:
    """Decode by the three searches and compare total costs (relative 1e-4) and paths."""
    options = (options or SearchOptions()).of(graph)
    scores = full_scores(scores_for(graph, scores))
    results: dict[str, Decoded | NoPath] = {
        name: decode(
            graph,
            scores,
            options.replace(search=options.search if name == "beam" and options.is_beam else name),
        )
        for name in SEARCHES
    }
    found = {name: result for name, result in results.items() if isinstance(result, Decoded)}
    if not found:
        reasons = {result.reason for result in results.values() if isinstance(result, NoPath)}
        return CrossCheck(results, "agree", f"no search found a path: {', '.join(sorted(reasons))}")
    if len(found) < len(results):
        missing = ", ".join(sorted(results.keys() - found.keys()))
        return CrossCheck(results, "differ", f"no path from {missing}")
    costs = [result.total_cost for result in found.values()]
    spread = max(costs) - min(costs)
    shown = ", ".join(f"{name} {result.total_cost:.4f}" for name, result in found.items())
    if spread > _SAME_COST * max(1.0, max(abs(cost) for cost in costs)):
        return CrossCheck(results, "differ", f"costs {shown}")
    first, *others = found.values()
    same = all(
        np.array_equal(first.labels, other.labels) and first.text == other.text for other in others
    )
    if same:
        return CrossCheck(results, "agree", f"costs {shown}; same path")
    said = " | ".join(dict.fromkeys(result.text for result in found.values()))
    return CrossCheck(results, "tie", f"costs {shown}; unlike paths, words: {said}")
