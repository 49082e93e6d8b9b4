import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, all_paths, graph_of, problems

from wfst_hmm.models.scores import Scores
from wfst_hmm.search.certify import certify
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded


@settings(deadline=None, max_examples=300)
@given(problems(max_states=6, max_frames=5), st.floats(0.1, 6.0), st.integers(1, 4),
       st.sampled_from([0, 10**9]))  # fmt: skip
def test_the_optimum_lies_within_the_gap(
    problem: Problem, beam: float, max_active: int, affordable: int
) -> None:
    options = SearchOptions(beam=beam, max_active=max_active, min_active=0)
    result, proof = certify(
        graph_of(problem), Scores(problem.scores), options, affordable=affordable
    )
    paths = all_paths(problem)
    assert isinstance(result, Decoded) == bool(paths)
    if not isinstance(result, Decoded):
        assert proof is None
        return
    assert proof is not None
    best = paths[0][0]
    assert proof.bound <= best + 1e-3
    assert result.total_cost - proof.gap <= best + 1e-3
    if proof.optimal:
        assert result.total_cost == pytest.approx(best, abs=1e-3)
        assert str(proof).startswith("optimal")
    if affordable:
        assert proof.optimal == (result.total_cost <= best + 1e-3)


def test_an_unlimited_beam_is_optimal_without_more_work() -> None:
    options = SearchOptions(beam=np.inf, max_active=0)
    fst = problems_with_a_path()
    result, proof = certify(graph_of(fst), Scores(fst.scores), options, affordable=0)
    assert isinstance(result, Decoded)
    assert proof is not None
    assert (proof.optimal, proof.gap, proof.method) == (True, 0.0, "nothing pruned")


def problems_with_a_path() -> Problem:
    from search_problems import random_problem

    return next(
        problem
        for problem in (random_problem(seed, 4, 2, 4) for seed in range(1000))
        if all_paths(problem)
    )
