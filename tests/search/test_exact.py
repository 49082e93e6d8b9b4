import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import Problem, all_paths, cost_of, problems

from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.prepare import min_frames


@settings(deadline=None, max_examples=300)
@given(problems())
def test_exact_equals_enumeration(problem: Problem) -> None:
    paths = all_paths(problem)
    for max_bytes in (1 << 30, 1):  # in one piece, and in blocks that are searched twice
        cost, arcs = viterbi_path(problem.fst, problem.scores, problem.columns, max_bytes=max_bytes)
        if not paths:
            assert cost == np.inf
            assert len(arcs) == 0
            continue
        assert cost == pytest.approx(paths[0][0], abs=1e-6)
        assert cost_of(problem, arcs) == pytest.approx(cost, abs=1e-6)
        cheapest = [path for total, path in paths if total <= paths[0][0] + 1e-6]
        if len(cheapest) == 1:
            assert tuple(arcs) == cheapest[0]


def test_acoustic_scale() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [0.0, 1.0], [1, 1], [np.inf, 0.0])
    scores = np.array([[-2.0, 0.0]], dtype=np.float32)
    columns = np.arange(2, dtype=np.int32)
    assert viterbi_path(fst, scores, columns)[0] == 1.0
    cost, arcs = viterbi_path(fst, scores, columns, acoustic_scale=0.25)
    assert (cost, list(arcs)) == (0.5, [0])


def test_negative_epsilon_cycle_is_shown() -> None:
    fst = Fst.from_arcs(
        0, [0, 1, 2, 2], [0, 0, 0, 1], [0] * 4, [1.0, -3.0, 1.0, 0.0], [1, 2, 0, 2],
        [0.0] * 3,
    )  # fmt: skip
    with pytest.raises(GraphError, match=r"epsilon cycle has negative cost.*-1 nats"):
        viterbi_path(fst, np.zeros((2, 1), dtype=np.float32), np.zeros(1, dtype=np.int32))


def test_rounding_around_a_free_cycle_ends() -> None:
    weights = np.float32([0.1, 0.2, -0.3])
    fst = Fst.from_arcs(
        0, [0, 1, 2, 0], [0, 0, 0, 1], [0] * 4, [*weights, 0.0], [1, 2, 0, 0], [0.0] * 3
    )
    scores = np.full((50, 1), -1234.567, dtype=np.float32)
    cost, arcs = viterbi_path(fst, scores, np.zeros(1, dtype=np.int32))
    assert cost == pytest.approx(50 * 1234.567, rel=1e-6)
    assert len(arcs) >= 50


def test_labels_outside_the_scores_are_refused() -> None:
    fst = Fst.from_arcs(0, [0], [2], [0], [0.0], [0], [0.0])
    with pytest.raises(DataError, match="too few columns"):
        viterbi_path(fst, np.zeros((1, 1), dtype=np.float32), np.arange(2, dtype=np.int32))
    with pytest.raises(DataError, match="more input labels"):
        viterbi_path(fst, np.zeros((1, 1), dtype=np.float32), np.arange(1, dtype=np.int32))


@settings(deadline=None, max_examples=100)
@given(problems(max_frames=0))
def test_min_frames(problem: Problem) -> None:
    fewest = min_frames(problem.fst)
    n_columns = problem.scores.shape[1]
    for n_frames in range(7):
        scores = np.zeros((n_frames, n_columns), dtype=np.float32)
        cost, _ = viterbi_path(problem.fst, scores, problem.columns)
        if cost < np.inf:
            assert fewest == n_frames
            return
    assert fewest is None or fewest > 6
