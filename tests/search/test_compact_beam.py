import dataclasses

import numpy as np
import pytest
from compact_graphs import CHAIN, chains, graphs, random_graph, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.units import Units
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.beam import search_of
from wfst_hmm.search.begin import begin_search, graph_to_search
from wfst_hmm.search.cross_check import cross_check
from wfst_hmm.search.decode import decode, decode_beam
from wfst_hmm.search.decoded import decoded_of
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import min_frames
from wfst_hmm.search.result import Decoded, NoPath

UNLIMITED = SearchOptions(beam=np.inf, max_active=0)


@settings(deadline=None, max_examples=250)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_unlimited_beam_equals_the_exact_search_of_the_expanded_graph(
    graph: CompactGraph, seed: int, n_frames: int
) -> None:
    scores = random_scores(seed, n_frames)
    expanded = graph.expanded()
    wanted, _ = viterbi_path(expanded.fst, scores.array, expanded.labels.column)
    search = search_of(graph, UNLIMITED)
    search.advance(scores.array)
    path = search.path()
    if wanted == np.inf:
        assert path.cost == np.inf
        assert not len(path.arcs)
        return
    assert path.cost == pytest.approx(wanted, rel=1e-5, abs=1e-4)
    result = decoded_of(search, graph, scores, 1.0)
    assert result is not None
    assert result.total_cost == pytest.approx(wanted, rel=1e-5, abs=1e-4)
    assert_is_path(graph, scores, result, path.ends)
    result = decode_beam(graph, scores, UNLIMITED)
    assert isinstance(result, Decoded)
    assert result.total_cost == pytest.approx(wanted, rel=1e-5, abs=1e-4)


def test_small_graphs_are_expanded_once_unless_the_beam_is_narrow() -> None:
    loop = Fst.from_arcs(0, [0, 1], [1, 1], [0, 1], [0.0, 0.5], [1, 0], [np.inf, 0.0])
    graph = dataclasses.replace(random_graph(0, [CHAIN], 1), fst=loop)
    expanded = graph_to_search(graph, UNLIMITED)
    assert isinstance(expanded, Graph)
    assert graph_to_search(graph, UNLIMITED) is expanded
    assert graph_to_search(expanded, UNLIMITED) is expanded
    assert graph_to_search(graph, UNLIMITED.replace(beam=2.0)) is graph
    n = np.arange(600)
    line = Fst.from_arcs(0, n, n * 0 + 1, n * 0, n * 0.0, n + 1, np.r_[np.full(600, np.inf), 0.0])
    large = dataclasses.replace(graph, fst=line)  # small as it is, not with its HMMs expanded
    assert graph_to_search(large, UNLIMITED) is large


def assert_is_path(graph: CompactGraph, scores: Scores, result: Decoded, ends: np.ndarray) -> None:
    """Check arcs from start to final state, and that each unit's labels are a way through it."""
    state, begin, cost = graph.fst.start, 0, 0.0
    sources = graph.fst.sources()
    units = graph.units
    for arc, end in zip(result.arcs, ends, strict=True):
        row = graph.fst.arcs[arc]
        assert sources[arc] == state
        state = int(row["nextstate"])
        cost += float(row["weight"])
        if row["ilabel"]:
            unit = int(row["ilabel"]) - 1
            cost += cost_through(units, unit, result.labels[begin:end].tolist())
        else:
            assert begin == end
        begin = int(end)
    assert begin == scores.n_frames
    cost += float(graph.fst.states["final"][state])
    columns = graph.labels.column[result.labels - 1]
    cost -= float(scores.array[np.arange(scores.n_frames), columns].sum())
    assert result.total_cost == pytest.approx(cost, rel=1e-5, abs=1e-4)


def cost_through(units: Units, unit: int, labels: list[int]) -> float:
    """Return the cheapest transitions through a unit with these state labels, +inf for none."""

    def rows(kind: str) -> list[tuple[int, int, int, float]]:
        moves = getattr(units, kind)
        span = range(moves.start[unit], moves.start[unit + 1])
        return [(int(moves.source[i]), int(moves.target[i]), int(moves.label[i]),
                 float(moves.cost[i])) for i in span]  # fmt: skip

    costs = {target: cost for _, target, label, cost in rows("enter") if label == labels[0]}
    for wanted in labels[1:]:
        new: dict[int, float] = {}
        for source, target, label, cost in rows("step"):
            if label == wanted and source in costs:
                new[target] = min(new.get(target, np.inf), costs[source] + cost)
        costs = new
    return min((costs[s] + cost for s, _, _, cost in rows("leave") if s in costs), default=np.inf)


@settings(deadline=None, max_examples=100)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3)),
       st.integers(1, 30), st.booleans())  # fmt: skip
def test_chunks_collection_and_settling_change_nothing(
    graph: CompactGraph, seed: int, sizes: list[int], collect_at: int, settle: bool
) -> None:
    scores = random_scores(seed, 12).array
    options = SearchOptions(beam=3.0, max_active=4, min_active=2)
    whole = search_of(graph, options)
    whole.advance(scores)
    pieces = search_of(graph, options, collect_at=collect_at)
    at = 0
    arcs: list[int] = []
    ends: list[int] = []
    for size in [*sizes, 12]:
        pieces.advance(scores[at : at + size])
        at += size
        if settle:
            decided = pieces.settle()
            arcs += decided[0].tolist()
            ends += decided[1].tolist()
    for final in (True, False):
        a, b = whole.path(final=final), pieces.path(final=final)
        assert b.cost == pytest.approx(a.cost, abs=1e-4)
        if a.cost < np.inf:
            assert [*arcs, *b.arcs.tolist()] == a.arcs.tolist()
            assert [*ends, *b.ends.tolist()] == a.ends.tolist()


@settings(deadline=None, max_examples=100)
@given(st.one_of(graphs, chains), st.integers(0, 2**32 - 1), st.floats(0.1, 8.0),
       st.integers(1, 5))  # fmt: skip
def test_a_beam_finds_a_real_path_never_below_the_optimum(
    graph: CompactGraph, seed: int, beam: float, max_active: int
) -> None:
    scores = random_scores(seed, 7)
    expanded = graph.expanded()
    best, _ = viterbi_path(expanded.fst, scores.array, expanded.labels.column)
    search = begin_search(graph, SearchOptions(beam=beam, max_active=max_active, min_active=1))
    search.advance(scores.array)
    assert search.path()[0] >= best - 1e-4
    partial = search.path(final=False)
    assert partial[0] == np.inf or partial[2][-1:].tolist() in ([], [search.n_frames])


@settings(deadline=None, max_examples=100)
@given(st.one_of(graphs, chains))
def test_fewest_frames_are_those_of_the_expanded_graph(graph: CompactGraph) -> None:
    assert min_frames(graph.fst, facts_of(graph).fewest) == min_frames(graph.expanded().fst)


def test_searches_agree_and_reasons_are_the_same() -> None:
    n_found = 0
    reasons = set()
    for seed in range(60):
        graph = random_graph(seed, [CHAIN, Topology.silence(3)], 2 + seed % 4)
        scores = random_scores(seed, 1 + seed % 8)
        check = cross_check(graph, scores, UNLIMITED)
        assert check.ok, check.detail
        beam, exact = check.results["beam"], check.results["exact"]
        if isinstance(beam, NoPath):
            assert isinstance(exact, NoPath)
            assert (beam.reason, beam.detail) == (exact.reason, exact.detail)
            reasons.add(beam.reason)
        else:
            n_found += 1
    assert n_found > 10
    assert {"too_few_frames", "empty_graph"} <= reasons


def test_scores_and_units_that_do_not_fit_are_refused() -> None:
    graph = random_graph(3, [CHAIN], 3)
    few = Scores(np.zeros((4, 1), dtype=np.float32))
    with pytest.raises(DataError, match="too few columns"):
        decode(graph, few)
    step = graph.units.step
    label = step.label.copy()
    label[1] += 1  # the state that move 1 leads to can stay, too
    units = dataclasses.replace(graph.units, step=dataclasses.replace(step, label=label))
    with pytest.raises(GraphError, match="several state labels"):
        decode(dataclasses.replace(graph, units=units), random_scores(0, 4))
