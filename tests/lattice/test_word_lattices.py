"""Lattices of graphs and word machines at once: those of the two composed beforehand."""

import dataclasses

import numpy as np
import pytest
from compact_graphs import chains, graphs, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, acyclic, graph_of
from word_machines import word_costs

from wfst_hmm.fst import ops
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.lattice.answer import AnswerOptions, answer
from wfst_hmm.lattice.generate import decode_with_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.nbest import n_best
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

UNLIMITED = SearchOptions(beam=np.inf, max_active=0, lattice_beam=1e6)
compact = st.one_of(graphs, chains).filter(lambda graph: not plan_of(graph.fst).cyclic)


def costs_of(lattice: Lattice) -> dict[tuple[str, ...], float]:
    return {h.words: h.total_cost for h in n_best(lattice, 500)}


def assert_alike(
    found: tuple[Decoded, Lattice] | NoPath, wanted: tuple[Decoded, Lattice] | NoPath
) -> None:
    assert isinstance(found, NoPath) == isinstance(wanted, NoPath)
    if isinstance(found, NoPath) or isinstance(wanted, NoPath):
        return
    assert found[0].total_cost == pytest.approx(wanted[0].total_cost, abs=1e-3)
    assert costs_of(found[1]) == {
        words: pytest.approx(cost, abs=1e-3) for words, cost in costs_of(wanted[1]).items()
    }
    assert found[0].total_cost == pytest.approx(min(costs_of(found[1]).values()), abs=1e-3)


@settings(deadline=None, max_examples=100)
@given(acyclic(max_states=6, max_frames=6), word_costs())
def test_lattices_are_those_of_composition_beforehand(problem: Problem, costs: WordCosts) -> None:
    acceptor = costs.to_fst().with_symbols(None, None)
    composed = ops.compose(problem.fst.with_symbols(None, None), acceptor)
    scores = Scores(problem.scores)
    found = decode_with_lattice(graph_of(problem), scores, UNLIMITED, costs)
    if not composed.n_states:
        assert isinstance(found, NoPath)
        return
    whole = graph_of(dataclasses.replace(problem, fst=composed))
    assert_alike(found, decode_with_lattice(whole, scores, UNLIMITED))


@settings(deadline=None, max_examples=60)
@given(compact, word_costs(), st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_lattices_of_compact_graphs_are_those_of_expanded_ones(
    graph: CompactGraph, costs: WordCosts, seed: int, n_frames: int
) -> None:
    scores = random_scores(seed, n_frames)
    assert_alike(
        decode_with_lattice(graph, scores, UNLIMITED, costs),
        decode_with_lattice(graph.expanded(), scores, UNLIMITED, costs),
    )


@settings(deadline=None, max_examples=60)
@given(compact, word_costs(), st.integers(0, 2**32 - 1), st.floats(0.5, 6.0), st.booleans())
def test_with_a_beam_the_answer_leads_the_n_best_list(
    graph: CompactGraph, costs: WordCosts, seed: int, beam: float, expand: bool
) -> None:
    scores = random_scores(seed, 6)
    options = SearchOptions(beam=beam, max_active=0, min_active=0, lattice_beam=3.0)
    searched: AnyGraph = graph.expanded() if expand else graph
    found = answer(searched, scores, options, AnswerOptions(n_best=5, keep_lattice=True), costs)
    best = decode(searched, scores, options, costs)
    if expand:
        assert isinstance(found, NoPath) == isinstance(best, NoPath)
    if isinstance(found, NoPath) or isinstance(best, NoPath):
        return
    assert found.lattice is not None
    if expand:  # of compact graphs, lattices prune the states of a unit one by one
        assert found.decoded.total_cost == pytest.approx(best.total_cost, abs=1e-3)
    led = found.alternatives[0].decoded.total_cost
    assert led == pytest.approx(found.decoded.total_cost, abs=1e-3)
    assert all(0 <= word.confidence <= 1 for word in found.decoded.words if word.confidence)
