import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_problems import WORDS, alignments, graphs_of, small_options

from wfst_hmm.errors import DataError
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.graph.units import Units
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import GraphArrays
from wfst_hmm.training.monophone import _first_model


def cheapest(graph: GraphArrays, scores: np.ndarray) -> float:
    """The obvious way: every sequence of arcs."""
    best = np.inf
    for arcs in itertools.product(range(len(graph.source)), repeat=len(scores)):
        at, total = -1, 0.0
        for t, arc in enumerate(arcs):
            if graph.source[arc] != at:
                break
            at = int(graph.node[arc])
            total += graph.cost[arc] - scores[t, graph.column[at]]
        else:
            best = min(best, total + graph.final[at])
    return float(best)


def cost_of(graph: GraphArrays, path: np.ndarray, scores: np.ndarray) -> float:
    """Check that a path is one, and add up its costs."""
    nodes = graph.node[path]
    assert graph.source[path[0]] == -1
    np.testing.assert_array_equal(graph.source[path[1:]], nodes[:-1])
    picked = scores[np.arange(len(path)), graph.column[nodes]]
    return float(graph.cost[path].sum() - picked.astype(float).sum() + graph.final[nodes[-1]])


def few_arcs() -> GraphArrays:
    model = _first_model(WORDS, small_options(n_states=1))
    return graphs_of(TranscriptCompiler(model, WORDS, LexiconOptions(0.4)), ("c",))[0]


def test_alignment_is_the_best_of_all_paths() -> None:
    graph = few_arcs()
    rng = np.random.default_rng(0)
    for n_frames in range(1, 4):
        scores = rng.normal(scale=3, size=(n_frames, len(graph.columns))).astype(np.float32)
        path, costs = align_utterances(graph, scores, np.array([0, n_frames]))
        assert costs[0] == pytest.approx(cheapest(graph, scores), rel=1e-9)
        assert cost_of(graph, path, scores) == pytest.approx(costs[0], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(problem=alignments(), lengths=st.lists(st.integers(1, 14), min_size=1, max_size=3))
def test_alignment_equals_the_exact_search(problem, lengths) -> None:  # type: ignore[no-untyped-def]
    compiler, words, rng = problem
    fst = compiler(words).fst
    graph = graphs_of(compiler, words)[0]
    borders = np.cumsum([0, *lengths])
    n_columns = int(compiler.labels.column.max()) + 1
    scores = rng.normal(scale=4, size=(borders[-1], n_columns)).astype(np.float32)
    path, costs = align_utterances(graph, np.ascontiguousarray(scores[:, graph.columns]), borders)
    for u, (a, b) in enumerate(itertools.pairwise(borders)):
        wanted, _ = viterbi_path(fst, scores[a:b], compiler.labels.column)
        assert costs[u] == pytest.approx(wanted, rel=1e-5)
        if np.isfinite(wanted):
            own = cost_of(graph, path[a:b], scores[a:b][:, graph.columns])
            assert own == pytest.approx(wanted, rel=1e-5)
        else:
            assert (path[a:b] == NO_ARC).all()
        assert np.isfinite(wanted) == (b - a >= graph.n_min_frames) or not _may_last(compiler)


def _may_last(compiler: TranscriptCompiler) -> bool:
    """Whether every phone may last as long as it likes."""
    units = compiler.units
    return bool(len(set(units.step.source)) and (units.step.counts > 0).all())


@settings(deadline=None, max_examples=40)
@given(problem=alignments(), n_frames=st.integers(1, 20), beam=st.sampled_from([0.1, 2.0, 8.0]))
def test_a_beam_finds_a_path_but_never_a_better_one(problem, n_frames, beam) -> None:  # type: ignore[no-untyped-def]
    compiler, words, rng = problem
    graph = graphs_of(compiler, words)[0]
    scores = rng.normal(scale=4, size=(n_frames, len(graph.columns))).astype(np.float32)
    borders = np.array([0, n_frames])
    _, exact = align_utterances(graph, scores, borders)
    path, costs = align_utterances(graph, scores, borders, beam=beam)
    assert np.isfinite(costs[0]) == np.isfinite(exact[0])
    if np.isfinite(costs[0]):
        assert costs[0] >= exact[0] - 1e-9
        assert cost_of(graph, path, scores) == pytest.approx(costs[0], rel=1e-6)


def test_equal_word_sequences_share_a_graph() -> None:
    model = _first_model(WORDS, small_options())
    graphs = graphs_of(TranscriptCompiler(model, WORDS), ("ab", "c"))
    assert [graphs.add(w) for w in (("ab", "c"), ("c",), ("ab", "c"))] == [0, 1, 0]
    assert len(graphs) == 2
    with pytest.raises(DataError, match="utterance u1: the lexicon lacks 1 word: abb"):
        graphs.add(("abb",), where="utterance u1")


def test_new_transition_costs_are_those_of_a_new_graph() -> None:
    model = _first_model(WORDS, small_options())
    words = ("ba", "c")
    graphs = graphs_of(TranscriptCompiler(model, WORDS), words)
    graphs.add(("ab",))
    moved = [
        Topology(t.initial, np.where(t.transitions > 0, t.transitions, 0) * 0.5,
                 t.final * 0.5 + 0.5)
        if t.n_states == 1
        else Topology.left_to_right(2, self_loop=0.9)
        for t in model.topologies
    ]  # fmt: skip
    model = type(model)(
        model.phones, model.silence_phones, tuple(moved), model.columns, model.mixtures,
        model.front_end,
    )  # fmt: skip
    graphs.reweight(Units.of_phones(moved, model.state_labels()).move_costs)
    wanted = graphs_of(TranscriptCompiler(model, WORDS), words)[0]
    np.testing.assert_allclose(graphs[0].cost, wanted.cost, rtol=1e-6)
    np.testing.assert_allclose(graphs[0].final, wanted.final, rtol=1e-6)
    np.testing.assert_array_equal(graphs[0].source, wanted.source)
