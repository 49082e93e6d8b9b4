"""Begin a beam search over either kind of graph, and search with scores of either kind.

In: a `Graph` or a `CompactGraph`, scores. Out: the search that fits it, advanced to the last frame.

Public names: `A_FEW_KEPT`, `UNPRUNED`, `AnySearch`, `advance_all`, `begin_search`,
`expanded_of`, `graph_to_search`, `overruled`, `searches_all`.
"""

from __future__ import annotations

import weakref
from typing import TypeAlias

import numpy as np

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch, search_of
from wfst_hmm.search.dense import WIDE, DenseLinks, DenseSearch, is_small
from wfst_hmm.search.options import SearchOptions

__all__ = [
    "A_FEW_KEPT",
    "UNPRUNED",
    "AnySearch",
    "advance_all",
    "begin_search",
    "expanded_of",
    "graph_to_search",
    "overruled",
    "searches_all",
]

#: All have `advance`, `mark_columns`, `path`, `settle`, `n_frames`, `lost_at`, `n_pruned` and `pruned_above`.
AnySearch: TypeAlias = BeamSearch | DenseSearch

#: What results note where a narrow beam was asked for that something else was stronger than: of
#: small graphs, and of others.
UNPRUNED = (
    "the graph is small: all of its states were searched, whatever the beam (--search beam prunes)"
)
A_FEW_KEPT = f"at least {SearchOptions().fewest_active} states stay, whatever the beam (--search beam prunes)"

_EXPANDED: weakref.WeakKeyDictionary[CompactGraph, Graph] = weakref.WeakKeyDictionary()


def begin_search(
    graph: AnyGraph,
    options: SearchOptions,
    words: WordCosts | None = None,
    *,
    keep_pruned: bool = False,
) -> AnySearch:
    """Return a search that has seen no frame yet; `words` are costs to add to the graph's.

    Small graphs are searched exactly unless the beam is narrow, or is to prune whatever the graph:
    that is quicker, and no worse.
    """
    options = options.of(graph)
    compact = isinstance(graph, CompactGraph)
    if not compact and words is None and searches_all(options) and is_small(graph.fst):
        return DenseSearch(graph.fst, graph.labels.column, options)
    return search_of(graph, options, words, keep_pruned=keep_pruned)


def searches_all(options: SearchOptions) -> bool:
    """Whether a graph that is small is searched exactly."""
    return options.search != "beam" and options.beam >= WIDE


def overruled(search: object, options: SearchOptions) -> tuple[str, ...]:
    """Return notes on what was stronger than narrow bounds that the options asked for."""
    usual = SearchOptions()
    narrow = options.beam < usual.beam or 0 < options.max_active < usual.max_active
    if isinstance(search, (DenseSearch, DenseLinks)):
        return (UNPRUNED,) if narrow else ()
    few = options.min_active is None and options.fewest_active > 0 and options.beam < WIDE
    return (A_FEW_KEPT,) if few else ()


def graph_to_search(
    graph: AnyGraph, options: SearchOptions, words: WordCosts | None = None
) -> AnyGraph:
    """Return the graph that is best searched in the place of this one, its arcs numbered anew.

    A compact graph that is small with its HMMs expanded, too, is expanded once: to search it
    exactly is quicker than to expand it on the way, unless the beam is narrow.
    """
    if words is not None:
        return graph
    if isinstance(graph, CompactGraph) and searches_all(options) and is_small(graph.fst):
        expanded = expanded_of(graph)
        if is_small(expanded.fst):
            return expanded
    return graph


def expanded_of(graph: AnyGraph) -> Graph:
    """Return the graph with the states of its HMMs, expanded on the first call and kept."""
    if isinstance(graph, Graph):
        return graph
    expanded = _EXPANDED.get(graph)
    if expanded is None:
        expanded = _EXPANDED[graph] = graph.expanded()
    return expanded


def advance_all(search: AnySearch, scores: Scores | LazyScores) -> Scores:
    """Search all frames; return the scores, where they are lazy those that were asked for.

    A search with lazy scores does what it does with all of them: before each frame, the columns
    of all states that the frame can lead to are computed.
    """
    if isinstance(scores, Scores):
        search.advance(scores.array)
        return scores
    search.advance(scores.ask(0, 0, np.zeros(scores.n_columns, dtype=np.bool_)))  # checks S
    # an exact search asks for all of the graph's columns, always
    step = max(scores.n_frames, 1) if isinstance(search, DenseSearch) else 1
    for frame in range(0, scores.n_frames, step):
        needed = np.zeros(scores.n_columns, dtype=np.bool_)
        search.mark_columns(needed)
        search.advance(scores.ask(frame, frame + step, needed))
        if search.lost_at is not None:
            break
    return scores.so_far()
