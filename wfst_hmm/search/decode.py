"""Decode one utterance: run the search that is asked for, with its proof where that is asked for.

In: a graph of either kind, `Scores` or an array of them, `SearchOptions`. Out: `Decoded` or
`NoPath`.

Public names: `decode`, `decode_beam`, `decode_exact`, `decode_compose`, `scores_for`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.certify import certify
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.quiet import or_nothing
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import BY_NAME, decode_beam, decode_compose, decode_exact

__all__ = ["decode", "decode_beam", "decode_compose", "decode_exact", "scores_for"]


def decode(
    graph: AnyGraph,
    scores: Scores | LazyScores | npt.ArrayLike,
    options: SearchOptions | None = None,
    costs: WordCosts | None = None,
) -> Decoded | NoPath:
    """Return the best path of `scores` through `graph`, or the reason why there is none.

    Where silence before the first word explains all frames better, nothing was said: the result
    has no words (`search.quiet`).

    Parameters
    ----------
    graph : Graph or CompactGraph
        The beam search expands the HMMs of a compact graph while it runs; the other searches
        expand the graph first, as the beam search does with small ones.
    scores : Scores, LazyScores or array_like, shape (T, S)
        Log-likelihoods; an array has the graph's frame shift. Of lazy ones, the beam search asks
        for what active states need; the other searches and certificates, and the reason why there
        is no path, take all.
    options : SearchOptions, optional
        ``options.search`` says which of the searches; an ``acoustic_scale`` of None is the
        graph's.
    costs : WordCosts, optional
        Costs of words that are added while searching: boosted phrases, another language model.
        The answer is that of the graph composed with them; for the beam search.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need, or an array does not hold
        log-likelihoods.
    GraphError
        The graph has an epsilon cycle of negative cost, or no states.
    UsageError
        `costs` for a search that cannot add them.
    """
    options = (options or SearchOptions()).of(graph)
    taken = scores_for(graph, scores)
    if costs is not None and not options.is_beam:
        raise UsageError("costs of words can be added by the beam search alone",
                         where="search", got=options.search,
                         fix="Leave out the other searches, or the costs.")  # fmt: skip
    return or_nothing(_found(graph, taken, options, costs), graph, taken, options)


def _found(
    graph: AnyGraph,
    taken: Scores | LazyScores,
    options: SearchOptions,
    costs: WordCosts | None,
) -> Decoded | NoPath:
    if options.certify:
        result, proof = certify(graph, taken, options, costs)
    elif options.is_beam:
        return decode_beam(graph, taken, options, costs)
    else:
        return BY_NAME[options.search](graph, taken, options)
    if isinstance(result, NoPath):
        return result
    return dataclasses.replace(result, notes=(*result.notes, f"certificate: {proof}"))


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
