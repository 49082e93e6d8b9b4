"""One segment in blocks: the whole decoded at once, costs and times included."""

import dataclasses
import math

import numpy as np
import pytest
from compact_graphs import chains, graphs, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS, Problem, graph_of, problems
from word_machines import word_costs

from wfst_hmm.errors import UsageError
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.scores import Scores
from wfst_hmm.search import begin, online
from wfst_hmm.search.decode import decode
from wfst_hmm.search.endpoints import ENDPOINTS, EndpointRule, Trail
from wfst_hmm.search.online import OnlineSearch
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

WIDE = SearchOptions(beam=np.inf, max_active=0, acoustic_scale=0.5)


def searched(search: OnlineSearch, problem: Problem, sizes: list[int]) -> Decoded | NoPath:
    at = 0
    for size in [*sizes, len(problem.scores)]:
        search.advance(Scores(problem.scores[at : at + size]))
        at = min(at + size, len(problem.scores))
    return search.result(0.01)


@pytest.fixture(autouse=True)
def settle_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "_SETTLE_EVERY", 2)
    monkeypatch.setattr(online, "_MOST_PARTS", 2)


@settings(deadline=None, max_examples=200)
@given(problems(max_states=7, max_frames=12), st.lists(st.integers(0, 4)))
def test_blocks_give_the_result_of_the_whole(problem: Problem, sizes: list[int]) -> None:
    graph = graph_of(problem)
    found = searched(OnlineSearch(graph, WIDE), problem, sizes)
    expected = decode(graph, Scores(problem.scores), WIDE)
    assert isinstance(found, Decoded) == isinstance(expected, Decoded)
    if isinstance(expected, Decoded):
        assert isinstance(found, Decoded)
        assert found.total_cost == pytest.approx(expected.total_cost, abs=1e-4)
        assert found.acoustic_cost == pytest.approx(expected.acoustic_cost, abs=1e-4)
        assert found.words == expected.words
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.arcs.tolist() == expected.arcs.tolist()
    else:
        assert isinstance(found, NoPath)
        # The whole is looked at for dead frames and counted; a stream sees where its path ended.
        seen_later = expected.reason in ("dead_frame", "too_few_frames")
        assert found.reason in (expected.reason, *(["no_match", "dead_frame"] * seen_later))


@settings(deadline=None, max_examples=120)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.lists(st.integers(0, 4)),
       st.booleans())  # fmt: skip
def test_compact_graphs_give_the_result_of_the_whole(
    graph: CompactGraph, seed: int, sizes: list[int], stay_compact: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if stay_compact:
            patch.setattr(begin, "is_small", lambda fst: False)
        assert_stream_is_whole(graph, seed, sizes)


def assert_stream_is_whole(graph: CompactGraph, seed: int, sizes: list[int]) -> None:
    graph = dataclasses.replace(graph, silence_phones=("P0",))
    scores = random_scores(seed, 12)
    search, at = OnlineSearch(graph, WIDE), 0
    for size in [*sizes, 12]:
        search.advance(Scores(scores.array[at : at + size]))
        words, n_stable = search.words()
        assert n_stable <= len(words)
        at = min(at + size, 12)
    trail = search.trail(0.01)
    found, expected = search.result(0.01), decode(graph, scores, WIDE)
    assert isinstance(found, Decoded) == isinstance(expected, Decoded)
    if not (isinstance(found, Decoded) and isinstance(expected, Decoded)):
        return
    assert found.total_cost == pytest.approx(expected.total_cost, abs=1e-4)
    if found.labels.tolist() != expected.labels.tolist():  # as good a path: its cost is its own
        spoken = scores.array[np.arange(12), graph.labels.column[found.labels - 1]]
        assert found.acoustic_cost == pytest.approx(-0.5 * float(spoken.sum()), abs=1e-4)
        return
    assert found.acoustic_cost == pytest.approx(expected.acoustic_cost, abs=1e-4)
    assert search.acoustic_cost() == pytest.approx(found.acoustic_cost, abs=1e-4)
    assert found.text == expected.text
    assert found.arcs.tolist() == expected.arcs.tolist()
    assert found.words == expected.words
    if trail.relative_cost == 0:
        silent = [phone.text in graph.silence_phones for phone in found.phones]
        assert trail.speech == (not all(silent))
        sound = [p.end for p, quiet in zip(found.phones, silent, strict=True) if not quiet]
        assert trail.trailing_silence == pytest.approx(0.12 - max(sound, default=0.0))


def searchable(problem: Problem) -> bool:
    arcs = problem.fst.arcs
    words_on_epsilons = bool(((arcs["ilabel"] == 0) & (arcs["olabel"] > 0)).any())
    return not (plan_of(problem.fst).cyclic and words_on_epsilons)


@settings(deadline=None, max_examples=80)
@given(problems(max_states=7, max_frames=12).filter(searchable), word_costs(),
       st.lists(st.integers(0, 4)))  # fmt: skip
def test_costs_of_words_are_in_the_total(
    problem: Problem, costs: WordCosts, sizes: list[int]
) -> None:
    graph = graph_of(problem)
    whole = OnlineSearch(graph, WIDE, costs)
    whole.advance(Scores(problem.scores))
    found, expected = searched(OnlineSearch(graph, WIDE, costs), problem, sizes), whole.result(0.01)
    assert isinstance(found, Decoded) == isinstance(expected, Decoded)
    if isinstance(found, Decoded) and isinstance(expected, Decoded):
        assert found.total_cost == pytest.approx(expected.total_cost, abs=1e-4)
        assert found.text == expected.text
        rows = problem.fst.arcs[found.arcs]
        last = int(rows["nextstate"][-1]) if len(rows) else problem.fst.start
        spoken = costs.cost(WORDS.ids(word.text for word in found.words))
        plain = rows["weight"].sum() + problem.fst.states["final"][last]
        assert found.graph_cost == pytest.approx(plain + spoken, abs=1e-4)


@settings(deadline=None, max_examples=80)
@given(st.one_of(graphs, chains), word_costs(), st.integers(0, 2**32 - 1),
       st.lists(st.integers(0, 4)))  # fmt: skip
def test_costs_of_words_in_compact_graphs(
    graph: CompactGraph, costs: WordCosts, seed: int, sizes: list[int]
) -> None:
    arcs = graph.fst.arcs
    if plan_of(graph.fst).cyclic and ((arcs["ilabel"] == 0) & (arcs["olabel"] > 0)).any():
        return
    scores = random_scores(seed, 9)
    search, at = OnlineSearch(graph, WIDE, costs), 0
    for size in [*sizes, 9]:
        search.advance(Scores(scores.array[at : at + size]))
        at = min(at + size, 9)
    found = search.result(0.01)
    expected = decode(graph.expanded(), scores, WIDE, costs)
    assert isinstance(found, Decoded) == isinstance(expected, Decoded)
    if isinstance(found, Decoded) and isinstance(expected, Decoded):
        assert found.total_cost == pytest.approx(expected.total_cost, abs=1e-4)


@settings(deadline=None, max_examples=80)
@given(problems(max_states=7, max_frames=12), st.lists(st.integers(0, 4)))
def test_stable_words_stay(problem: Problem, sizes: list[int]) -> None:
    search = OnlineSearch(graph_of(problem), SearchOptions(beam=4.0))
    stable: tuple[str, ...] = ()
    at = 0
    for size in [*sizes, len(problem.scores)]:
        search.advance(Scores(problem.scores[at : at + size]))
        at = min(at + size, len(problem.scores))
        words, n_stable = search.words()
        assert words[: len(stable)] == stable
        assert n_stable >= len(stable)
        stable = words[:n_stable]
    result = search.result(0.01)
    if isinstance(result, Decoded):
        assert tuple(word.text for word in result.words)[: len(stable)] == stable


@pytest.mark.parametrize(
    ("trail", "reached"),
    [
        (Trail(4.9, 4.9, False, math.inf), False),
        (Trail(5.0, 5.0, False, math.inf), True),  # nothing said
        (Trail(2.0, 0.5, True, 2.0), True),  # a likely end
        (Trail(2.0, 0.5, True, 2.1), False),
        (Trail(2.0, 1.0, True, 8.0), True),
        (Trail(2.0, 1.9, True, 9.0), False),
        (Trail(3.0, 2.0, True, math.inf), True),
        (Trail(19.9, 0.0, True, 0.0), False),
        (Trail(20.0, 0.0, True, math.inf), True),
    ],
)
def test_kaldis_rules(trail: Trail, reached: bool) -> None:
    assert ENDPOINTS.reached(trail) is reached


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="trailing_silence"):
        EndpointRule(True, math.nan)
    with pytest.raises(UsageError, match="always holds"):
        EndpointRule(True, 0.0)
