"""The recorded search against the fast one, and against all paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WIDE, Problem, all_paths, cost_of, problems, random_problem

from wfst_hmm.draw.recording import record
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.options import SearchOptions


@settings(deadline=None, max_examples=150)
@given(problems())
def test_unpruned_it_finds_the_cheapest_of_all_paths(problem: Problem) -> None:
    recording = record(problem.fst, problem.scores, problem.columns, WIDE)
    cost, arcs = recording.path()
    paths = all_paths(problem)
    if not paths:
        assert cost == np.inf
        return
    assert cost == pytest.approx(paths[0][0], abs=1e-5)
    assert cost_of(problem, np.array(arcs, dtype=np.int64)) == pytest.approx(cost, abs=1e-5)


@settings(deadline=None, max_examples=150)
@given(problems(max_states=6, max_frames=6), st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_with_a_beam_it_keeps_what_the_fast_search_keeps(problem: Problem, beam: float) -> None:
    options = SearchOptions(beam=beam, max_active=0, min_active=0)
    recording = record(problem.fst, problem.scores, problem.columns, options)
    search = BeamSearch(problem.fst, problem.columns, options)
    search.advance(problem.scores)
    assert search.path()[0] == pytest.approx(recording.path()[0], abs=1e-4)
    assert search.n_frames == recording.n_searched
    for final in (True, False):
        token = recording.best_token(final=final)
        cost = search.path(final=final).cost
        assert (token < 0) == (cost == np.inf)


def test_every_token_is_one_arc_from_the_one_before() -> None:
    problem = random_problem(5, 6, 3, 6)
    recording = record(problem.fst, problem.scores, problem.columns, WIDE)
    frames, sources = recording.frame_of(), problem.fst.sources()
    assert len(recording.state) > 10
    for token, arc in enumerate(recording.arc):
        before = recording.before[token]
        if arc < 0:
            assert before == -1
            continue
        row = problem.fst.arcs[arc]
        assert row["nextstate"] == recording.state[token]
        assert sources[arc] == recording.state[before]
        assert frames[token] - frames[before] == int(row["ilabel"] > 0)
        assert recording.is_kept[before] or row["ilabel"] == 0
    for first, end in zip(recording.first[:-1], recording.first[1:], strict=True):
        states = recording.state[first:end].tolist()
        assert len(states) == len(set(states))


def test_bounds_on_active_states_and_on_tokens() -> None:
    n = 7  # a fan of loops, dearer one by one
    fst = Fst.from_arcs(
        0, [0] * 6 + list(range(1, n)), [1] * 12, [0] * 12, [*range(6), *[0] * 6],
        [*range(1, n), *range(1, n)], [np.inf, *[0.0] * 6],
    )  # fmt: skip
    scores, columns = np.zeros((3, 1), np.float32), np.zeros(1, np.int32)
    wide = record(fst, scores, columns, SearchOptions(beam=50, max_active=0))
    assert np.diff(wide.first).tolist() == [1, 6, 6, 6]
    few = record(fst, scores, columns, SearchOptions(beam=50, max_active=2, min_active=1))
    assert np.add.reduceat(few.is_kept, few.first[:-1]).tolist() == [1, 2, 2, 2]
    narrow = record(fst, scores, columns, SearchOptions(beam=0.5, max_active=0, min_active=0))
    assert np.diff(narrow.first).tolist() == [1, 1, 1, 1]
    with pytest.raises(UsageError, match="too many tokens"):
        record(fst, scores, columns, WIDE, max_tokens=9)


def test_a_lost_search_says_where() -> None:
    scores = np.array([[0.0], [-np.inf], [0.0]], np.float32)
    fst = Fst.from_arcs(0, [0], [1], [0], [0.0], [0], [0.0])
    recording = record(fst, scores, np.zeros(1, np.int32))
    assert (recording.n_searched, recording.n_frames) == (1, 3)
    assert recording.path() == (np.inf, [])
    assert recording.best_token(final=False) == 1
