import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, acyclic, cost_of, graph_of

from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.begin import begin_search
from wfst_hmm.search.dense import DenseSearch
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions

UNLIMITED = SearchOptions(beam=np.inf, max_active=0)


@settings(deadline=None, max_examples=200)
@given(acyclic(max_states=8, max_frames=12), st.lists(st.integers(1, 4)), st.integers(1, 6),
       st.booleans())  # fmt: skip
def test_it_is_the_exact_search_in_pieces_and_settled(
    problem: Problem, sizes: list[int], frames: int, settle: bool
) -> None:
    search = DenseSearch(problem.fst, problem.columns, UNLIMITED, frames=frames)
    beam = BeamSearch(problem.fst, problem.columns, UNLIMITED)
    at = 0
    settled: list[int] = []
    for size in [*sizes, len(problem.scores)]:
        search.advance(problem.scores[at : at + size])
        beam.advance(problem.scores[at : at + size])
        at += size
        if settle:
            settled += search.settle()[0].tolist()
    assert (search.n_frames, search.lost_at) == (beam.n_frames, beam.lost_at)
    wanted, _ = viterbi_path(problem.fst, problem.scores, problem.columns)
    cost, arcs, *_ = search.path()
    assert cost == pytest.approx(wanted, rel=1e-5, abs=1e-4)
    if cost < np.inf:
        assert cost_of(problem, np.array([*settled, *arcs.tolist()])) == pytest.approx(
            wanted, rel=1e-5, abs=1e-4
        )
    partial = search.path(final=False).cost
    assert partial == pytest.approx(beam.path(final=False)[0], rel=1e-5, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(acyclic())
def test_small_graphs_are_searched_exactly_unless_the_beam_is_narrow(problem: Problem) -> None:
    graph = graph_of(problem)
    assert isinstance(begin_search(graph, SearchOptions(beam=8.0)), DenseSearch)
    assert isinstance(begin_search(graph, SearchOptions(beam=7.0)), BeamSearch)
