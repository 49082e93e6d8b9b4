"""Why a search found no path.

In: the graph, the scores and the search that found none. Out: `NoPath` with its reason, or the
path after all.

Public names: `fewest_frames`, `may_have_path`, `why_not`.
"""

from __future__ import annotations

import numpy as np

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import AnySearch, begin_search
from wfst_hmm.search.decoded import decoded_of
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import min_frames
from wfst_hmm.search.result import Decoded, NoPath

__all__ = ["fewest_frames", "may_have_path", "why_not"]

#: States times frames up to which an exact search settles whether a path exists.
_AFFORDABLE = 200_000_000


def may_have_path(graph: AnyGraph, scores: Scores) -> bool:
    """Whether a wider beam could find anything: no dead frame, enough frames."""
    fewest = fewest_frames(graph)
    return fewest is not None and scores.n_frames >= fewest and _dead_frame(scores) is None


def fewest_frames(graph: AnyGraph) -> int | None:
    """Return how many frames the shortest complete path takes; None: no path at all."""
    frames_of = facts_of(graph).fewest if isinstance(graph, CompactGraph) else None
    return min_frames(graph.fst, frames_of)


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


def why_not(
    graph: AnyGraph, scores: Scores, options: SearchOptions, search: AnySearch | None = None
) -> Decoded | NoPath:
    """Find out why no path was found; a beam search may find one here after all."""
    n_frames = scores.n_frames
    fewest = fewest_frames(graph)
    if fewest is None:
        return NoPath("empty_graph", "no path of the graph leads to a final state", n_frames)
    if n_frames < fewest:
        detail = f"{n_frames} frames, but the shortest path through the graph takes {fewest}"
        return NoPath("too_few_frames", detail, n_frames, fewest)
    dead = _dead_frame(scores)
    if dead is not None:
        detail = f"all scores of frame {dead} ({dead * scores.frame_shift:.2f} s) are -inf"
        return NoPath("dead_frame", detail, n_frames, fewest)
    if search is None or search.n_pruned:
        if search is not None and not _affordable(graph, n_frames):
            partial = decoded_of(search, graph, scores, options.acoustic_scale, final=False)
            detail = (f"pruning lost every complete path, at last with beam {options.beam:g} and "
                      f"max_active {options.max_active}")  # fmt: skip
            return NoPath("beam_cut", detail, n_frames, fewest, partial)
        wide = options.replace(beam=float("inf"), max_active=0, min_active=0)
        search = begin_search(graph, wide)
        search.advance(scores.array)
        note = f"every path was lost at beam {options.beam:g}; found without pruning"
        found = decoded_of(search, graph, scores, options.acoustic_scale, notes=(note,))
        if found is not None:
            return found
    partial = decoded_of(search, graph, scores, options.acoustic_scale, final=False)
    if search.lost_at is not None:
        seconds = search.lost_at * scores.frame_shift
        detail = (f"no arc of the graph fits the scores of frame {search.lost_at} "
                  f"({seconds:.2f} s)")  # fmt: skip
        return NoPath("no_match", detail, n_frames, fewest, partial)
    detail = f"no path through all {n_frames} frames ends in a final state"
    if partial is not None and partial.words:
        detail += f"; the best one so far says {partial.text!r}"
    return NoPath("not_final", detail, n_frames, fewest, partial)
