"""The searches of one utterance by name, wider beams where one lost every path, and why there is none.

In: a graph of either kind, scores, `SearchOptions`. Out: `Decoded` or `NoPath`.

Public names: `BY_NAME`, `decode_beam`, `decode_compose`, `decode_exact`, `fewest_frames`,
`full_scores`, `reason_of`, `widening`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import (
    AnySearch,
    advance_all,
    begin_search,
    expanded_of,
    graph_to_search,
    overruled,
)
from wfst_hmm.search.decoded import (
    acoustic_cost_of,
    decoded_from_arcs,
    decoded_from_labels,
    decoded_of,
)
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import AUTO, SearchOptions
from wfst_hmm.search.prepare import min_frames
from wfst_hmm.search.result import Decoded, NoPath

__all__ = [
    "BY_NAME",
    "decode_beam",
    "decode_compose",
    "decode_exact",
    "fewest_frames",
    "full_scores",
    "reason_of",
    "widening",
]

#: States times frames up to which a search without pruning settles whether a path exists.
_AFFORDABLE = 200_000_000


def widening(options: SearchOptions) -> Iterator[tuple[SearchOptions, tuple[str, ...]]]:
    """Yield the options to search with until there is a path, and what a result then notes.

    The options themselves; then as many times as they say with the beam doubled; then, unless
    they allow no retries, without pruning.
    """
    yield options, ()
    tried = options
    for _ in range(options.n_retries):
        tried = tried.widened()
        yield tried, (f"every path was lost at beam {options.beam:g}; found with the beam widened "
                      f"to {tried.beam:g}",)  # fmt: skip
    if options.n_retries:
        yield options.unpruned(), (f"every path was lost at beam {tried.beam:g}; found without "
                                   "pruning",)  # fmt: skip


def decode_beam(
    graph: AnyGraph,
    scores: Scores | LazyScores,
    options: SearchOptions | None = None,
    costs: WordCosts | None = None,
) -> Decoded | NoPath:
    """Decode by beam search, with wider beams when pruning lost every path.

    `costs` are costs of words to add while searching.
    """
    options = (options or SearchOptions()).of(graph)
    for tried, notes in widening(options):
        if tried.beam == np.inf and not _affordable(graph, scores.n_frames):
            break
        searched = graph_to_search(graph, tried, costs)
        search = begin_search(searched, tried, costs)
        used = advance_all(search, scores)
        notes = (*notes, *overruled(search, options))
        found = decoded_of(search, searched, used, tried.scale, words=costs, notes=notes)
        if found is not None:
            return found
        options = options.replace(beam=tried.beam, max_active=tried.max_active)
        scores = full_scores(scores)  # to tell why, and what a wider beam asks for
        if not search.n_pruned or not _may_have_path(graph, scores):
            break
    return _why_not(searched, full_scores(scores), options, search, costs)


def decode_exact(
    graph: AnyGraph, scores: Scores | LazyScores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by the Viterbi algorithm over all states (`wfst_hmm.search.exact`)."""
    options = (options or SearchOptions()).of(graph)
    graph, scores = expanded_of(graph), full_scores(scores)
    cost, arcs = viterbi_path(
        graph.fst, scores.array, graph.labels.column, acoustic_scale=options.scale
    )
    if cost == np.inf:
        return _why_not(graph, scores, options.unpruned())
    return decoded_from_arcs(graph, scores, arcs, options.scale, "exact")


def decode_compose(
    graph: AnyGraph, scores: Scores | LazyScores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by composition in OpenFst (`wfst_hmm.search.compose`)."""
    from wfst_hmm.search.compose import compose_path  # loads OpenFst

    options = (options or SearchOptions()).of(graph)
    graph, scores = expanded_of(graph), full_scores(scores)
    path = compose_path(graph.fst, scores.array, graph.labels.column, acoustic_scale=options.scale)
    if path.cost == np.inf:
        return _why_not(graph, scores, options.unpruned())
    acoustic = acoustic_cost_of(graph, scores, path.labels, options.scale)
    return decoded_from_labels(
        graph, scores, path.labels, path.words, path.word_frames,
        np.zeros(0, dtype=np.int32), acoustic, path.cost - acoustic, "compose",
    )  # fmt: skip


BY_NAME: dict[str, Callable[[AnyGraph, Scores | LazyScores, SearchOptions], Decoded | NoPath]] = {
    AUTO: decode_beam,
    "beam": decode_beam,
    "exact": decode_exact,
    "compose": decode_compose,
}


def full_scores(scores: Scores | LazyScores) -> Scores:
    """Return the scores with all columns computed."""
    return scores if isinstance(scores, Scores) else scores.full()


def fewest_frames(graph: AnyGraph) -> int | None:
    """Return how many frames the shortest complete path takes; None: no path at all."""
    frames_of = facts_of(graph).fewest if isinstance(graph, CompactGraph) else None
    return min_frames(graph.fst, frames_of)


def reason_of(
    graph: AnyGraph,
    options: SearchOptions,
    *,
    n_frames: int,
    frame_shift: float,
    dead_frame: int | None,
    lost_at: int | None,
    pruned: bool,
    ended: bool = True,
    partial: Decoded | None = None,
) -> NoPath:
    """Return why there is no path, the first of the reasons that holds.

    Parameters
    ----------
    graph : Graph or CompactGraph
    options : SearchOptions
        Those of the last search.
    n_frames : int
        Frames there are, or that were searched.
    frame_shift : float
    dead_frame : int or None
        The first frame whose scores are all -inf.
    lost_at : int or None
        The frame at which the last path died.
    pruned : bool
        Whether a path may have been lost to pruning.
    ended : bool
        Whether `n_frames` are all frames: fewer than a path takes are a reason then.
    partial : Decoded or None
        The best hypothesis that reached no final state.
    """
    fewest = fewest_frames(graph)
    if fewest is None:
        return NoPath("empty_graph", "no path of the graph leads to a final state", n_frames)
    if ended and n_frames < fewest:
        detail = f"{n_frames} frames, but the shortest path through the graph takes {fewest}"
        return NoPath("too_few_frames", detail, n_frames, fewest)
    if dead_frame is not None:
        reason = "dead_frame"
        detail = f"all scores of frame {dead_frame} ({dead_frame * frame_shift:.2f} s) are -inf"
    elif pruned:
        reason = "beam_cut"
        detail = (f"pruning lost every complete path at beam {options.beam:g} and max_active "
                  f"{options.max_active}: widen them, or allow retries")  # fmt: skip
    elif lost_at is not None:
        reason = "no_match"
        detail = (f"no arc of the graph fits the scores of frame {lost_at} "
                  f"({lost_at * frame_shift:.2f} s)")  # fmt: skip
    else:
        reason = "not_final"
        detail = f"no path through all {n_frames} frames ends in a final state"
        if partial is not None and partial.words:
            detail += f"; the best one so far says {partial.text!r}"
    return NoPath(reason, detail, n_frames, fewest, partial)


def _why_not(
    graph: AnyGraph,
    scores: Scores,
    options: SearchOptions,
    search: AnySearch | None = None,
    costs: WordCosts | None = None,
) -> NoPath:
    """Find out why a search has no path; where it pruned, a look at all paths tells whose fault."""
    dead = _dead_frame(scores)
    pruned = search is not None and search.n_pruned > 0
    if dead is None and (search is None or (pruned and _affordable(graph, scores.n_frames))):
        whole = begin_search(graph, options.unpruned(), costs)
        whole.advance(scores.array)
        if search is None or whole.path().cost == np.inf:
            search, pruned = whole, False
    partial = None
    if search is not None:
        partial = decoded_of(search, graph, scores, options.scale, words=costs, final=False)
    return reason_of(
        graph, options, n_frames=scores.n_frames, frame_shift=scores.frame_shift, dead_frame=dead,
        lost_at=None if search is None else search.lost_at, pruned=pruned, partial=partial,
    )  # fmt: skip


def _may_have_path(graph: AnyGraph, scores: Scores) -> bool:
    """Whether a wider beam could find anything: no dead frame, enough frames."""
    fewest = fewest_frames(graph)
    return fewest is not None and scores.n_frames >= fewest and _dead_frame(scores) is None


def _dead_frame(scores: Scores) -> int | None:
    if not scores.n_frames or not scores.n_columns:
        return None
    dead = np.flatnonzero(np.isneginf(scores.array.max(axis=1)))
    return int(dead[0]) if len(dead) else None


def _affordable(graph: AnyGraph, n_frames: int) -> bool:
    n_states = graph.fst.n_states
    if isinstance(graph, CompactGraph):
        n_states += graph.fst.n_arcs * facts_of(graph).table.step.shape[1]
    return n_states * n_frames <= _AFFORDABLE
