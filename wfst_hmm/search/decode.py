"""Decode one utterance: run the search that is asked for, with its proof where that is asked for.

In: a graph of either kind, `Scores` or an array of them, `SearchOptions`. Out: `Decoded` or
`NoPath`.

Public names: `decode`, `decode_beam`, `decode_exact`, `decode_compose`.
"""

from __future__ import annotations

import dataclasses

import numpy.typing as npt

from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.certify import certify
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.quiet import or_nothing
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import BY_NAME, decode_beam, decode_compose, decode_exact
from wfst_hmm.search.taken import scores_for

__all__ = ["decode", "decode_beam", "decode_compose", "decode_exact"]


def decode(
    graph: AnyGraph,
    scores: Scores | LazyScores | npt.ArrayLike,
    options: SearchOptions | None = None,
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

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need, or an array does not hold
        log-likelihoods.
    GraphError
        The graph has an epsilon cycle of negative cost, or no states.
    """
    options = (options or SearchOptions()).of(graph)
    taken = scores_for(graph, scores)
    return or_nothing(_found(graph, taken, options), graph, taken, options)


def _found(graph: AnyGraph, taken: Scores | LazyScores, options: SearchOptions) -> Decoded | NoPath:
    if not options.certify:
        return BY_NAME[options.search](graph, taken, options)
    result, proof = certify(graph, taken, options)
    if isinstance(result, NoPath):
        return result
    return dataclasses.replace(result, notes=(*result.notes, f"certificate: {proof}"))
