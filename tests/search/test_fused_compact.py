"""Compact graphs and word machines at once, held against the expanded graph."""

import dataclasses

import numpy as np
import pytest
from compact_graphs import CHAIN, chains, graphs, random_graph, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS
from word_machines import word_costs

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import phrase_machine
from wfst_hmm.search.beam import search_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of

UNLIMITED = SearchOptions(beam=np.inf, max_active=0)


def searchable(graph: CompactGraph) -> bool:
    arcs = graph.fst.arcs
    words_on_epsilons = bool(((arcs["ilabel"] == 0) & (arcs["olabel"] > 0)).any())
    return not (plan_of(graph.fst).cyclic and words_on_epsilons)


problems = st.one_of(graphs, chains).filter(searchable)


@settings(deadline=None, max_examples=200)
@given(problems, word_costs(), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_unlimited_beam_equals_the_search_of_the_expanded_graph(
    graph: CompactGraph, costs: WordCosts, seed: int, n_frames: int
) -> None:
    scores = random_scores(seed, n_frames).array
    expanded = graph.expanded()
    direct = search_of(expanded, UNLIMITED, costs)
    direct.advance(scores)
    search = search_of(graph, UNLIMITED, costs)
    search.advance(scores)
    wanted, found = direct.path()[0], search.path()
    if wanted == np.inf:
        assert found.cost == np.inf
        assert not len(found.arcs)
    else:
        assert found.cost == pytest.approx(wanted, rel=1e-5, abs=1e-4)
        assert found.complete


@settings(deadline=None, max_examples=100)
@given(problems, st.integers(0, 2**32 - 1), st.floats(0.5, 8.0), st.integers(1, 6))
def test_machines_without_costs_change_nothing(
    graph: CompactGraph, seed: int, beam: float, max_active: int
) -> None:
    scores = random_scores(seed, 10).array
    options = SearchOptions(beam=beam, max_active=max_active, min_active=1)
    free = WordCosts(WORDS, [(1.0, phrase_machine([], WORDS))])
    search, plain = search_of(graph, options, free), search_of(graph, options)
    search.advance(scores)
    plain.advance(scores)
    assert search.lost_at == plain.lost_at
    for final in (True, False):
        mine, other = search.path(final=final), plain.path(final=final)
        assert mine.cost == pytest.approx(other.cost, abs=1e-4)


@settings(deadline=None, max_examples=120)
@given(problems, word_costs(), st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3)),
       st.integers(1, 12))  # fmt: skip
def test_chunks_collection_renumbering_and_settling_change_nothing(
    graph: CompactGraph, costs: WordCosts, seed: int, sizes: list[int], hold: int
) -> None:
    scores = random_scores(seed, 12).array
    options = SearchOptions(beam=4.0, max_active=0, min_active=2)
    whole = search_of(graph, options, costs)
    whole.advance(scores)
    pieces = search_of(graph, options, costs, collect_at=hold, renumber_at=hold)
    at = 0
    arcs: list[int] = []
    ends: list[int] = []
    for size in [*sizes, 12]:
        pieces.advance(scores[at : at + size])
        at += size
        decided = pieces.settle()
        arcs += decided[0].tolist()
        ends += decided[1].tolist()
    for final in (True, False):
        a, b = whole.path(final=final), pieces.path(final=final)
        assert b.cost == pytest.approx(a.cost, abs=1e-4)
        if a.cost < np.inf:
            assert [*arcs, *b.arcs.tolist()] == a.arcs.tolist()
            assert [*ends, *b.ends.tolist()] == a.ends.tolist()


def test_words_on_epsilon_cycles_are_refused() -> None:
    loop = Fst.from_arcs(0, [0, 1, 1], [0, 0, 1], [1, 0, 0], [0.0] * 3, [1, 0, 1], [0.0, 0.0])
    graph = dataclasses.replace(random_graph(1, [CHAIN], 2), fst=loop)
    free = WordCosts(WORDS, [(1.0, phrase_machine([], WORDS))])
    with pytest.raises(GraphError, match="epsilon cycle"):
        search_of(graph, None, free)
