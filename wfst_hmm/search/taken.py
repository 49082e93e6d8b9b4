"""Scores as a caller may have them: arrays that hold log-likelihoods, and what only looks like it.

In: a graph, scores of any form. Out: `Scores` or `LazyScores` that fit the graph.

Public names: `scores_for`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores

__all__ = ["scores_for"]


def scores_for(graph: AnyGraph, scores: Scores | LazyScores | npt.ArrayLike) -> Scores | LazyScores:
    """Return scores for a graph; an array of log-likelihoods gets the graph's frame shift.

    Parameters
    ----------
    graph : Graph or CompactGraph
    scores : Scores, LazyScores or array_like, shape (T, S)

    Raises
    ------
    DataError
        An array that is no table of real numbers; NaN or +inf; a transposed one; probabilities.
    """
    if isinstance(scores, (Scores, LazyScores)):
        return scores
    array = np.asarray(scores)
    n_columns = int(graph.labels.column.max(initial=-1)) + 1
    if array.dtype.kind not in "fiu" or array.ndim != 2:
        raise DataError("scores must be a T x S array of log-likelihoods",
                        got=f"{array.dtype}, shape {array.shape}",
                        expected=f"real numbers, shape (T, {n_columns})")  # fmt: skip
    if len(array) == n_columns != array.shape[1]:
        raise DataError("scores that look transposed", got=f"shape {array.shape}",
                        expected=f"(T, {n_columns}): a row for each frame",
                        fix="Hand over scores.T; or Scores(scores), if they are right.")  # fmt: skip
    if array.size and array.min() >= 0 and 0 < array.max() <= 1:
        raise DataError("scores that look like probabilities, not like their logarithms",
                        got="all between 0 and 1", expected="natural log-likelihoods",
                        fix="Take np.log of them (and minus the log priors, where they are a "
                            "network's posteriors); or Scores(scores), if they are right.")  # fmt: skip
    return Scores(array, graph.frame_shift)
