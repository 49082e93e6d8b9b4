"""Scores that are computed when they are asked for, held against all of them."""

import numpy as np
import pytest
from compact_graphs import chains, graphs, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import Problem, graph_of, problems
from word_machines import word_costs

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.lazy_scores import LazyScores, StateDensities
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import advance_all, begin_search
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

options = st.builds(
    SearchOptions, beam=st.sampled_from([1.0, 3.0, 20.0, np.inf]),
    max_active=st.sampled_from([0, 3]), min_active=st.sampled_from([0, 2]),
)  # fmt: skip


class Table:
    """Densities whose one feature is the number of the frame."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores
        self.n_states = scores.shape[1]

    def log_likelihoods(self, x: object, states: object = None) -> np.ndarray:
        rows = self._scores[np.asarray(x, dtype=int)[:, 0]]
        return rows if states is None else rows[:, np.asarray(states, dtype=int)]


def lazy_of(scores: np.ndarray, block: int = 3) -> LazyScores:
    """Return lazy scores in which what nobody asked for would win every search."""
    lazy = LazyScores(Table(scores), np.arange(len(scores))[:, None], block=block)
    lazy._array[:] = 1e30
    return lazy


def assert_same(
    graph: AnyGraph,
    scores: np.ndarray,
    lazy: LazyScores,
    how: SearchOptions,
    costs: WordCosts | None = None,
) -> None:
    wanted = decode(graph, Scores(scores), how, costs)
    found = decode(graph, lazy, how, costs)
    if isinstance(wanted, NoPath):
        assert isinstance(found, NoPath)
        assert (found.reason, found.detail) == (wanted.reason, wanted.detail)
        return
    assert isinstance(found, Decoded)
    assert found.total_cost == wanted.total_cost
    assert found.labels.tolist() == wanted.labels.tolist()
    assert found.arcs.tolist() == wanted.arcs.tolist()


@settings(deadline=None, max_examples=100)
@given(problems(max_states=6, max_frames=8), options, st.integers(1, 5))
def test_searches_of_graphs_do_what_they_do_with_all_scores(
    problem: Problem, how: SearchOptions, block: int
) -> None:
    assert_same(graph_of(problem), problem.scores, lazy_of(problem.scores, block), how)


@settings(deadline=None, max_examples=100)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.integers(0, 9), options,
       st.integers(1, 5))  # fmt: skip
def test_searches_of_compact_graphs_do_what_they_do_with_all_scores(
    graph: CompactGraph, seed: int, n_frames: int, how: SearchOptions, block: int
) -> None:
    scores = random_scores(seed, n_frames).array
    assert_same(graph, scores, lazy_of(scores, block), how)


@settings(deadline=None, max_examples=60)
@given(chains, word_costs(), st.integers(0, 2**32 - 1), options, st.booleans())
def test_searches_with_costs_of_words_do_what_they_do_with_all_scores(
    graph: CompactGraph, costs: WordCosts, seed: int, how: SearchOptions, expand: bool
) -> None:
    if plan_of(graph.fst).cyclic:
        return
    scores = random_scores(seed, 9).array
    assert_same(graph.expanded() if expand else graph, scores, lazy_of(scores), how, costs)


def chain_graph(n_states: int) -> Problem:
    """Return a line of states with self-loops, a column for each."""
    at = np.arange(n_states)
    fst = Fst.from_arcs(
        0, np.r_[at, at + 1], np.r_[at, at] + 1, np.zeros(2 * n_states, dtype=int),
        np.zeros(2 * n_states), np.r_[at + 1, at + 1], np.r_[[np.inf] * n_states, 0.0],
    )  # fmt: skip
    return Problem(fst, np.zeros((0, n_states), np.float32), at.astype(np.int32))


def mixtures(rng: np.random.Generator, means: np.ndarray) -> StateDensities:
    shape = (2 * len(means), means.shape[1])
    weights = np.log(np.tile([0.25, 0.75], len(means)))
    spread = np.repeat(means, 2, axis=0) + rng.normal(size=shape) / 4
    return MixtureSet(weights, spread, rng.uniform(0.5, 2.0, shape), np.arange(len(means) + 1) * 2)


def codebooks(rng: np.random.Generator, means: np.ndarray) -> StateDensities:
    n = len(means)
    weights = (rng.dirichlet(np.ones(n), n) + 20 * np.eye(n))[None].astype(np.float32) / 21
    one_stream = (np.arange(means.shape[1]),)
    return CodebookSet(one_stream, (means[None],), (np.ones((1, *means.shape)),), weights,
                       np.zeros(n, dtype=np.int32))  # fmt: skip


@pytest.mark.parametrize("densities", [mixtures, codebooks])
def test_few_scores_are_computed_of_a_long_graph(densities) -> None:
    rng = np.random.default_rng(0)
    means = 3 * rng.normal(size=(40, 8))
    model = densities(rng, means)
    x = np.repeat(means, 3, axis=0) + rng.normal(size=(120, 8)) / 2
    graph = graph_of(chain_graph(40))
    narrow = SearchOptions(beam=7.0)
    lazy = LazyScores(model, x)
    found = decode(graph, lazy, narrow)
    wanted = decode(graph, Scores(model.log_likelihoods(x)), narrow)
    assert isinstance(found, Decoded)
    assert isinstance(wanted, Decoded)
    assert found.total_cost == pytest.approx(wanted.total_cost, rel=1e-5)
    assert found.labels.tolist() == wanted.labels.tolist()
    assert 0 < lazy.known.mean() < 0.6
    np.testing.assert_allclose(lazy.full().array, model.log_likelihoods(x), rtol=1e-4, atol=1e-3)
    assert lazy.known.all()


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(UsageError, match="block"):
        LazyScores(Table(np.zeros((2, 1), np.float32)), np.zeros((2, 1)), block=0)
    with pytest.raises(DataError, match="features"):
        LazyScores(Table(np.zeros((2, 1), np.float32)), np.full((2, 1), np.nan))
    scores = np.zeros((5, 4), dtype=np.float32)
    scores[3, 2] = np.nan
    lazy = LazyScores(Table(scores), np.arange(5)[:, None])
    with pytest.raises(DataError, match="frame 3, column 2"):
        lazy.full()
    graph = graph_of(chain_graph(5))
    with pytest.raises(DataError, match="too few columns"):
        decode(graph, lazy, SearchOptions())


def test_no_frames_ask_for_nothing() -> None:
    search = begin_search(graph_of(chain_graph(3)), SearchOptions(beam=4.0))
    lazy = lazy_of(np.zeros((0, 3), dtype=np.float32))
    assert advance_all(search, lazy).n_frames == 0
    assert search.path()[0] == np.inf
