"""Lattices of compact graphs: those of the expanded graph."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from compact_graphs import CHAIN, chains, graphs, random_graph, random_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import phrase_machine
from wfst_hmm.lattice.answer import AnswerOptions, answer
from wfst_hmm.lattice.generate import decode_with_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.nbest import n_best
from wfst_hmm.search import begin
from wfst_hmm.search.beam import search_of
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import NoPath

UNLIMITED = SearchOptions(beam=np.inf, max_active=0, lattice_beam=1e6)
acyclic = graphs.filter(lambda graph: not plan_of(graph.fst).cyclic)


@pytest.fixture(autouse=True, scope="module")
def _no_graph_is_small() -> Iterator[None]:
    """Keep small graphs compact, so that the kernels for large ones are tried."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(begin, "is_small", lambda fst: False)
        yield


def costs(lattice: Lattice) -> dict[tuple[str, ...], float]:
    return {h.words: h.total_cost for h in n_best(lattice, 500)}


@settings(deadline=None, max_examples=60)
@given(acyclic, st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_lattices_equal_those_of_the_expanded_graph(
    graph: CompactGraph, seed: int, n_frames: int
) -> None:
    scores = random_scores(seed, n_frames)
    compact = decode_with_lattice(graph, scores, UNLIMITED)
    whole = decode_with_lattice(graph.expanded(), scores, UNLIMITED)
    if isinstance(whole, NoPath) or isinstance(compact, NoPath):
        assert isinstance(whole, NoPath)
        assert isinstance(compact, NoPath)
        assert whole.reason == compact.reason
        return
    assert costs(compact[1]) == {
        words: pytest.approx(cost, abs=1e-3) for words, cost in costs(whole[1]).items()
    }
    assert compact[0].total_cost == pytest.approx(whole[0].total_cost, abs=1e-3)
    for hypothesis in n_best(compact[1], 50):
        columns = graph.labels.column[np.asarray(hypothesis.labels) - 1]
        heard = -float(scores.array[np.arange(n_frames), columns].sum())
        assert hypothesis.acoustic_cost == pytest.approx(heard, abs=1e-3)
    assert compact[0].total_cost == pytest.approx(min(costs(compact[1]).values()), abs=1e-3)


@settings(deadline=None, max_examples=60)
@given(acyclic, st.integers(0, 2**32 - 1), st.floats(0.5, 6.0))
def test_with_a_beam_the_best_path_is_in_the_lattice(
    graph: CompactGraph, seed: int, beam: float
) -> None:
    scores = random_scores(seed, 6)
    options = SearchOptions(beam=beam, max_active=0, min_active=0, lattice_beam=3.0)
    found = answer(graph, scores, options, AnswerOptions(n_best=5, keep_lattice=True))
    if isinstance(found, NoPath):
        return
    assert found.lattice is not None
    best = min(costs(found.lattice).values())
    assert best <= found.decoded.total_cost + 1e-3
    assert found.alternatives[0].decoded.total_cost == pytest.approx(best, abs=1e-3)


@settings(deadline=None, max_examples=60)
@given(st.one_of(acyclic, chains), st.integers(0, 2**32 - 1), st.floats(0.5, 3.0))
def test_pruning_on_the_way_leaves_the_same_lattice(
    graph: CompactGraph, seed: int, lattice_beam: float
) -> None:
    if plan_of(graph.fst).cyclic:
        return
    scores = random_scores(seed, 8).array
    options = SearchOptions(beam=4.0, max_active=6, min_active=1, lattice_beam=lattice_beam)
    counts = []
    for collect_at in (1, 1 << 20):
        search = search_of(graph, options, links=True, collect_at=collect_at)
        search.advance(scores[:3])
        search.advance(scores[3:])
        cost, links, final = search.finish_links()
        n_links, n_tokens = (int(count) for count in links.counts[:2])
        counts.append((round(cost, 3), n_links, n_tokens, len(final)))
    if counts[0][0] < np.inf:
        assert counts[0] == counts[1]


def dense_graph(seed: int, n_states: int, n_arcs: int) -> CompactGraph:
    """Return a graph in which most units are active after a few frames."""
    rng = np.random.default_rng(seed)
    columns = (rng.integers(0, high, n_arcs) for high in (n_states, 5, 4, n_states))
    source, unit, word, following = columns
    unit[following <= source] = rng.integers(1, 5, int((following <= source).sum()))
    fst = Fst.from_arcs(0, source, unit, word, rng.integers(0, 9, n_arcs) / 4, following,
                        rng.random(n_states))  # fmt: skip
    return dataclasses.replace(random_graph(seed, [CHAIN] * 4, 1), fst=fst)


@pytest.mark.parametrize("seed", range(4))
def test_many_active_units(seed: int) -> None:
    graph = dense_graph(seed, 60, 400)
    scores = random_scores(seed, 20)
    search = search_of(graph, UNLIMITED)
    search.advance(scores.array)
    active = search.active_units()
    assert len(active) > 100
    assert len(np.unique(active, axis=0)) == len(active)
    found = decode_with_lattice(graph, scores, UNLIMITED.replace(lattice_beam=1.0))
    assert not isinstance(found, NoPath)
    assert found[0].total_cost == pytest.approx(search.path().cost, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fused", [False, True])
def test_no_unit_is_active_twice_when_the_room_for_units_grows(seed: int, fused: bool) -> None:
    graph = dense_graph(seed, 120, 1600)
    scores = random_scores(seed, 12)
    costs_nothing = WordCosts(WORDS, [(1.0, phrase_machine([], WORDS))])
    search = search_of(graph, UNLIMITED, costs_nothing if fused else None)
    rooms = {len(search._tokens.items.unit)}
    for row in scores.array:
        search.advance(row[None])
        items, n = search._tokens.items, search._tokens.n_items
        rooms.add(len(items.unit))
        active = np.stack([items.unit[:n], items.dest[:n]], axis=1)
        assert len(np.unique(active, axis=0)) == n
    assert len(rooms) > 1  # or this test shows nothing
    expanded = graph.expanded()
    wanted, _ = viterbi_path(expanded.fst, scores.array, expanded.labels.column)
    assert search.path().cost == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_lattices_stay_exact_when_the_room_for_units_grows(seed: int) -> None:
    graph = dense_graph(seed, 120, 1600)
    scores = random_scores(seed, 12)
    options = UNLIMITED.replace(lattice_beam=0.3)
    compact = decode_with_lattice(graph, scores, options)
    whole = decode_with_lattice(graph.expanded(), scores, options)
    assert not isinstance(compact, NoPath)
    assert not isinstance(whole, NoPath)
    assert compact[0].total_cost == pytest.approx(whole[0].total_cost, abs=1e-3)
    assert costs(compact[1]) == {
        words: pytest.approx(cost, abs=1e-3) for words, cost in costs(whole[1]).items()
    }
