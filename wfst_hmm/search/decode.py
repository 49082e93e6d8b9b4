"""Decode one utterance: run a search, build the answer, or say why there is none.

In: a graph of either kind, `Scores`, `SearchOptions`. Out: `Decoded` or `NoPath`.

Public names: `decode`, `decode_beam`, `decode_exact`, `decode_compose`, `noted`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import begin_search, expanded_of, graph_to_search
from wfst_hmm.search.decoded import (
    acoustic_cost_of,
    decoded_from_arcs,
    decoded_from_labels,
    decoded_of,
)
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.lazy import advance_all
from wfst_hmm.search.no_path import may_have_path, why_not
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath

__all__ = ["decode", "decode_beam", "decode_compose", "decode_exact", "noted"]


def decode(
    graph: AnyGraph, scores: Scores | LazyScores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Return the best path of `scores` through `graph`, or the reason why there is none.

    Parameters
    ----------
    graph : Graph or CompactGraph
        The beam search expands the HMMs of a compact graph while it runs; the other searches
        expand the graph first, as the beam search does with small ones.
    scores : Scores or LazyScores
        Of lazy ones, the beam search asks for what active states need; the other searches and
        certificates, and the reason why there is no path, take all.
    options : SearchOptions, optional
        ``options.search`` says which of the three searches.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has an epsilon cycle of negative cost, or no states.
    """
    options = options or SearchOptions()
    if options.search == "beam" and not options.certify:
        return decode_beam(graph, scores, options)
    scores = _all_of(scores)
    if options.search == "beam":
        from wfst_hmm.search.certify import certify  # which decodes, too

        return noted(*certify(graph, scores, options))
    return _SEARCHES[options.search](graph, scores, options)


def _all_of(scores: Scores | LazyScores) -> Scores:
    return scores if isinstance(scores, Scores) else scores.full()


def noted(result: Decoded | NoPath, proof: object) -> Decoded | NoPath:
    """Return the result with what was proven of it among its notes."""
    if isinstance(result, NoPath) or proof is None:
        return result
    return dataclasses.replace(result, notes=(*result.notes, f"certificate: {proof}"))


def decode_exact(
    graph: AnyGraph, scores: Scores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by the Viterbi algorithm over all states (`wfst_hmm.search.exact`)."""
    options = options or SearchOptions()
    graph = expanded_of(graph)
    cost, arcs = viterbi_path(
        graph.fst, scores.array, graph.labels.column, acoustic_scale=options.acoustic_scale
    )
    if cost == np.inf:
        return why_not(graph, scores, options)
    return decoded_from_arcs(graph, scores, arcs, options.acoustic_scale, "exact")


def decode_compose(
    graph: AnyGraph, scores: Scores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by composition in OpenFst (`wfst_hmm.search.compose`)."""
    from wfst_hmm.search.compose import compose_path  # loads OpenFst

    options = options or SearchOptions()
    graph = expanded_of(graph)
    path = compose_path(
        graph.fst, scores.array, graph.labels.column, acoustic_scale=options.acoustic_scale
    )
    if path.cost == np.inf:
        return why_not(graph, scores, options)
    acoustic = acoustic_cost_of(graph, scores, path.labels, options.acoustic_scale)
    return decoded_from_labels(
        graph, scores, path.labels, path.words, path.word_frames,
        np.zeros(0, dtype=np.int32), acoustic, path.cost - acoustic, "compose",
    )  # fmt: skip


def decode_beam(
    graph: AnyGraph, scores: Scores | LazyScores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by beam search, with wider beams when pruning lost every path."""
    options = options or SearchOptions()
    notes: tuple[str, ...] = ()
    for attempt in range(options.retries + 1):
        graph = graph_to_search(graph, options)
        search = begin_search(graph, options)
        asked_for = advance_all(search, scores)
        found = decoded_of(search, graph, asked_for, options.acoustic_scale, notes=notes)
        if found is not None:
            return found
        scores = _all_of(scores)  # to tell why, and what a wider beam asks for
        if not search.n_pruned or not may_have_path(graph, scores):
            break
        if attempt < options.retries:
            options = options.replace(beam=2 * options.beam, max_active=2 * options.max_active)
            notes = (f"every path was lost; found with the beam widened to {options.beam:g}",)
    return why_not(graph, _all_of(scores), options, search)


_SEARCHES: dict[str, Callable[[AnyGraph, Scores, SearchOptions], Decoded | NoPath]] = {
    "exact": decode_exact,
    "compose": decode_compose,
}
