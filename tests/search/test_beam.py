import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, all_paths, cost_of, problems, random_problem

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.beam import BeamSearch, beam_path
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions

UNLIMITED = SearchOptions(beam=np.inf, max_active=0)


@pytest.mark.parametrize("thousand", range(2))
def test_unlimited_beam_equals_exact_on_a_thousand_machines(thousand: int) -> None:
    n_found = 0
    for seed in range(1000 * thousand, 1000 * (thousand + 1)):
        problem = random_problem(seed, 2 + seed % 12, 1 + seed % 3, seed % 9)
        n_found += check_equal_to_exact(problem)
    assert n_found > 300  # most machines have no path at all for a given length


@settings(deadline=None, max_examples=100)
@given(problems(max_states=8, max_frames=8))
def test_unlimited_beam_equals_exact(problem: Problem) -> None:
    check_equal_to_exact(problem)


def check_equal_to_exact(problem: Problem) -> bool:
    cost, _ = viterbi_path(problem.fst, problem.scores, problem.columns)
    found, path = beam_path(problem.fst, problem.scores, problem.columns, UNLIMITED)
    if cost == np.inf:
        assert found == np.inf
        assert len(path) == 0
    else:
        assert found == pytest.approx(cost, rel=1e-6, abs=1e-5)
        assert cost_of(problem, path) == pytest.approx(cost, rel=1e-6, abs=1e-5)
    return bool(cost < np.inf)


@settings(deadline=None, max_examples=150)
@given(problems(max_states=8, max_frames=8), st.lists(st.integers(1, 3)), st.integers(1, 30))
def test_chunks_and_garbage_collection_change_nothing(
    problem: Problem, sizes: list[int], collect_at: int
) -> None:
    options = SearchOptions(beam=3.0, max_active=4, min_active=2)
    whole = beam_path(problem.fst, problem.scores, problem.columns, options)
    search = BeamSearch(problem.fst, problem.columns, options, collect_at=collect_at)
    at = 0
    for size in [*sizes, len(problem.scores)]:
        search.advance(problem.scores[at : at + size])
        at += size
    cost, arcs, *_ = search.path()
    assert cost == pytest.approx(whole[0], abs=1e-5)
    assert list(arcs) == list(whole[1])


@settings(deadline=None, max_examples=150)
@given(problems(max_frames=4), st.floats(0.1, 8.0), st.integers(1, 5))
def test_beam_finds_a_real_path_never_below_the_optimum(
    problem: Problem, beam: float, max_active: int
) -> None:
    options = SearchOptions(beam=beam, max_active=max_active, min_active=1)
    cost, arcs = beam_path(problem.fst, problem.scores, problem.columns, options)
    if cost < np.inf:
        assert cost_of(problem, arcs) == pytest.approx(cost, abs=1e-5)
        assert cost >= all_paths(problem)[0][0] - 1e-5


@settings(deadline=None, max_examples=200)
@given(problems(max_states=8, max_frames=12), st.lists(st.integers(1, 3)), st.floats(0.5, 9.0))
def test_settled_arcs_and_the_rest_are_the_path(
    problem: Problem, sizes: list[int], beam: float
) -> None:
    options = SearchOptions(beam=beam, max_active=0, min_active=0)
    whole = beam_path(problem.fst, problem.scores, problem.columns, options)
    search = BeamSearch(problem.fst, problem.columns, options, collect_at=5)
    settled: list[int] = []
    at = 0
    for size in [*sizes, len(problem.scores)]:
        search.advance(problem.scores[at : at + size])
        at += size
        settled += search.settle()[0].tolist()
    cost, arcs, *_ = search.path()
    assert cost == pytest.approx(whole[0], abs=1e-5)
    if cost < np.inf:
        assert settled + arcs.tolist() == whole[1].tolist()


def test_a_decided_path_is_settled_at_once() -> None:
    chain = Fst.from_arcs(0, [0, 1, 2, 2], [1, 1, 1, 2], [1, 2, 3, 0], [0.0] * 4, [1, 2, 3, 3],
                          [np.inf] * 3 + [0.0])  # fmt: skip
    search = BeamSearch(chain, np.array([0, 1], dtype=np.int32), UNLIMITED)
    search.advance(np.zeros((2, 2), dtype=np.float32))
    assert search.settle()[0].tolist() == [0, 1]
    assert search.settle()[0].tolist() == []
    search.advance(np.array([[0, 1]], dtype=np.float32))
    assert search.path()[1].tolist() == [3]
