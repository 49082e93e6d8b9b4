"""Composition while searching, held against composition beforehand and exact search."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS, Problem, cost_of, problems
from word_machines import word_costs

from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import phrase_machine
from wfst_hmm.search.beam import BeamSearch, beam_path
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of

UNLIMITED = SearchOptions(beam=np.inf, max_active=0)


def searchable(problem: Problem) -> bool:
    arcs = problem.fst.arcs
    words_on_epsilons = bool(((arcs["ilabel"] == 0) & (arcs["olabel"] > 0)).any())
    return not (plan_of(problem.fst).cyclic and words_on_epsilons)


def composed_cost(problem: Problem, costs: WordCosts) -> float:
    acceptor = costs.to_fst().with_symbols(None, None)
    machine = ops.compose(problem.fst.with_symbols(None, None), acceptor)
    if not machine.n_states:
        return np.inf
    return viterbi_path(machine, problem.scores, problem.columns)[0]


@settings(deadline=None, max_examples=300)
@given(problems(max_states=7, max_frames=6).filter(searchable), word_costs())
def test_unlimited_beam_equals_composition_and_exact_search(
    problem: Problem, costs: WordCosts
) -> None:
    search = BeamSearch(problem.fst, problem.columns, UNLIMITED, words=costs)
    search.advance(problem.scores)
    found, arcs, *_ = search.path()
    expected = composed_cost(problem, costs)
    if expected == np.inf:
        assert found == np.inf
        assert len(arcs) == 0
        return
    assert found == pytest.approx(expected, abs=1e-4)
    words = problem.fst.arcs["olabel"][arcs]
    spoken = costs.cost(words[words > 0].tolist())
    assert cost_of(problem, arcs) + spoken == pytest.approx(found, abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(problems(max_states=7, max_frames=8).filter(searchable), st.floats(0.5, 8.0),
       st.integers(1, 6))  # fmt: skip
def test_machines_without_costs_change_nothing(
    problem: Problem, beam: float, max_active: int
) -> None:
    free = WordCosts(WORDS, [(1.0, phrase_machine([], WORDS))])
    options = SearchOptions(beam=beam, max_active=max_active, min_active=1)
    search = BeamSearch(problem.fst, problem.columns, options, words=free)
    search.advance(problem.scores)
    cost, arcs, *_ = search.path()
    plain_cost, plain_arcs = beam_path(problem.fst, problem.scores, problem.columns, options)
    assert cost == pytest.approx(plain_cost, abs=1e-5)
    assert arcs.tolist() == plain_arcs.tolist()


@settings(deadline=None, max_examples=150)
@given(problems(max_states=7, max_frames=8).filter(searchable), word_costs(),
       st.lists(st.integers(1, 3)), st.floats(1.0, 8.0))  # fmt: skip
def test_chunks_collection_and_settling_change_nothing(
    problem: Problem, costs: WordCosts, sizes: list[int], beam: float
) -> None:
    options = SearchOptions(beam=beam, max_active=0, min_active=1)
    whole = BeamSearch(problem.fst, problem.columns, options, words=costs)
    whole.advance(problem.scores)
    expected_cost, expected, *_ = whole.path()
    search = BeamSearch(problem.fst, problem.columns, options, words=costs, collect_at=4)
    at, settled = 0, []
    for size in [*sizes, len(problem.scores)]:
        search.advance(problem.scores[at : at + size])
        at += size
        settled += search.settle()[0].tolist()
    cost, arcs, *_ = search.path()
    assert cost == pytest.approx(expected_cost, abs=1e-5)
    if cost < np.inf:
        assert settled + arcs.tolist() == expected.tolist()
    assert search.lost_at == whole.lost_at


def test_refusals() -> None:
    loop = Fst.from_arcs(0, [0, 1, 1], [0, 0, 1], [1, 0, 0], [0.0] * 3, [1, 0, 1], [0.0, 0.0])
    free = WordCosts(WORDS, [(1.0, phrase_machine([], WORDS))])
    with pytest.raises(GraphError, match="epsilon cycle"):
        BeamSearch(loop, np.zeros(1, dtype=np.int32), words=free)
    with pytest.raises(UsageError, match="no word machine"):
        WordCosts(WORDS, [])
    with pytest.raises(UsageError, match="finite"):
        WordCosts(WORDS, [(np.nan, phrase_machine([], WORDS))])
    with pytest.raises(DataError, match="other words"):
        WordCosts(Symbols(["a"]), [(1.0, phrase_machine([], WORDS))])
