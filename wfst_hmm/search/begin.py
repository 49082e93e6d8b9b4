"""Begin a beam search over either kind of graph.

In: a `Graph` or a `CompactGraph`. Out: the search that fits it.

Public names: `AnySearch`, `begin_search`, `expanded_of`, `graph_to_search`.
"""

from __future__ import annotations

import weakref
from typing import TypeAlias

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.compact_beam import CompactBeamSearch
from wfst_hmm.search.dense import WIDE, DenseSearch, is_small
from wfst_hmm.search.options import SearchOptions

__all__ = ["AnySearch", "begin_search", "expanded_of", "graph_to_search"]

#: All have `advance`, `mark_columns`, `path`, `settle`, `n_frames`, `lost_at`, `n_pruned` and `pruned_above`.
AnySearch: TypeAlias = BeamSearch | CompactBeamSearch | DenseSearch

_EXPANDED: weakref.WeakKeyDictionary[CompactGraph, Graph] = weakref.WeakKeyDictionary()


def begin_search(
    graph: AnyGraph, options: SearchOptions, *, keep_pruned: bool = False
) -> AnySearch:
    """Return a search that has seen no frame yet.

    Small graphs are searched exactly unless the beam is narrow: that is quicker, and no worse.
    """
    if isinstance(graph, CompactGraph):
        return CompactBeamSearch(graph, options, keep_pruned=keep_pruned)
    if options.beam >= WIDE and is_small(graph.fst):
        return DenseSearch(graph.fst, graph.labels.column, options)
    return BeamSearch(graph.fst, graph.labels.column, options, keep_pruned=keep_pruned)


def graph_to_search(graph: AnyGraph, options: SearchOptions) -> AnyGraph:
    """Return the graph that is best searched in the place of this one, its arcs numbered anew.

    A compact graph that is small with its HMMs expanded, too, is expanded once: to search it
    exactly is quicker than to expand it on the way, unless the beam is narrow.
    """
    if isinstance(graph, CompactGraph) and options.beam >= WIDE and is_small(graph.fst):
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
