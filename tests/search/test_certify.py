import numpy as np
import pytest
from compact_graphs import chains, graphs, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, all_paths, graph_of, problems
from word_machines import word_costs

from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.certify import certify, future_of
from wfst_hmm.search.decode import decode
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
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


@settings(deadline=None, max_examples=150)
@given(st.one_of(graphs, chains), word_costs(), st.integers(0, 2**32 - 1), st.floats(0.1, 6.0),
       st.integers(1, 4), st.booleans(), st.sampled_from([0, 10**9]))  # fmt: skip
def test_the_gap_holds_with_costs_of_words(
    graph: CompactGraph, costs: WordCosts, seed: int, beam: float, max_active: int, expand: bool,
    affordable: int,
) -> None:  # fmt: skip
    arcs = graph.fst.arcs
    if plan_of(graph.fst).cyclic and ((arcs["ilabel"] == 0) & (arcs["olabel"] > 0)).any():
        return
    scores = random_scores(seed, 8)
    searched = graph.expanded() if expand else graph
    everything = SearchOptions(beam=np.inf, max_active=0)
    best = decode(graph.expanded(), scores, everything, costs)
    options = SearchOptions(beam=beam, max_active=max_active, min_active=0)
    result, proof = certify(searched, scores, options, costs, affordable=affordable)
    assert isinstance(result, Decoded) == isinstance(best, Decoded)
    if isinstance(result, Decoded) and isinstance(best, Decoded):
        assert proof is not None
        assert proof.bound <= best.total_cost + 1e-3
        assert result.total_cost - proof.gap <= best.total_cost + 1e-3
        if proof.optimal:
            assert result.total_cost == pytest.approx(best.total_cost, abs=2e-3)
    least, ending = costs.least()
    states = {costs.start}
    for _ in range(4):
        for word in range(1, len(costs.words)):
            steps = [costs.step(state, word) for state in states]
            assert all(cost >= least[word] - 1e-6 for cost, _ in steps)
            states |= {following for cost, following in steps if cost < np.inf}
    assert all(costs.final(state) >= ending - 1e-6 for state in states)


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


@settings(deadline=None, max_examples=150)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.floats(0.1, 6.0),
       st.integers(1, 4), st.booleans(), st.sampled_from([0, 10**9]))  # fmt: skip
def test_the_gap_holds_for_compact_graphs_and_their_expansions(
    graph: CompactGraph, seed: int, beam: float, max_active: int, expand: bool, affordable: int
) -> None:
    scores = random_scores(seed, 8)
    whole = graph.expanded()
    best, _ = viterbi_path(whole.fst, scores.array, whole.labels.column)
    options = SearchOptions(beam=beam, max_active=max_active, min_active=0)
    result, proof = certify(whole if expand else graph, scores, options, affordable=affordable)
    assert isinstance(result, Decoded) == (best < np.inf)
    if isinstance(result, Decoded):
        assert proof is not None
        assert proof.bound <= best + 1e-3
        assert result.total_cost - proof.gap <= best + 1e-3
        if proof.optimal:
            assert result.total_cost == pytest.approx(best, abs=2e-3)


@settings(deadline=None, max_examples=150)
@given(problems(max_states=6, max_frames=5))
def test_the_rest_never_costs_less_than_the_bound(problem: Problem) -> None:
    graph = graph_of(problem)
    rest = future_of(graph).rest(problem.scores, 1.0)
    for cost, arcs in all_paths(problem):
        spent, frame = 0.0, 0
        assert rest[0] <= cost + 1e-4
        for arc in arcs:
            row = problem.fst.arcs[arc]
            spent += float(row["weight"])
            if row["ilabel"]:
                spent -= float(problem.scores[frame, problem.columns[row["ilabel"] - 1]])
                frame += 1
            assert rest[frame] <= cost - spent + 1e-4
