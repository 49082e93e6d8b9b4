import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_problems import WORDS, alignments, graphs_of, small_options, spoken

from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs, GraphArrays
from wfst_hmm.training.flat_start import FlatStart, loudness_threshold, spread
from wfst_hmm.training.material import prepare
from wfst_hmm.training.monophone import _first_model, _speech
from wfst_hmm.training.workers import Workers


def is_path(graph: GraphArrays, path: np.ndarray) -> bool:
    nodes = graph.node[path]
    joined = (graph.source[path[1:]] == nodes[:-1]).all()
    return bool(graph.source[path[0]] == -1 and joined and np.isfinite(graph.final[nodes[-1]]))


def test_the_threshold_lies_between_quiet_and_loud() -> None:
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.8):
        quiet = rng.normal(-8, 1, int(2000 * share))
        loud = rng.normal(5, 2, 2000 - len(quiet))
        assert -6 < loudness_threshold(np.concatenate([quiet, loud])) < 1
    assert np.isfinite(loudness_threshold(np.zeros(10)))


def test_the_threshold_is_the_best_of_all_cuts() -> None:
    """Against the obvious way: the cut with the least spread within its two sides."""
    values = np.random.default_rng(1).gamma(2.0, size=400)

    def within(cut: float) -> float:
        low, high = values[values <= cut], values[values > cut]
        return float(low.var() * len(low) + high.var() * len(high))

    best = min(within(cut) for cut in np.sort(values)[:-1])
    assert within(loudness_threshold(values)) <= best * 1.02


@settings(deadline=None, max_examples=60)
@given(problem=alignments(), extra=st.integers(0, 25), seed=st.integers(0, 9))
def test_first_paths_are_paths(problem, extra, seed) -> None:  # type: ignore[no-untyped-def]
    compiler, words, rng = problem
    graph = graphs_of(compiler, words)[0]
    n_frames = graph.n_min_frames + extra
    frames = rng.normal(size=(n_frames, 2)).astype(np.float32)
    densities = MixtureSet.from_gaussians([[-1.0, 0.0], [1.0, 0.0]], np.ones((2, 2)))
    speech = rng.integers(0, 2, int(compiler.labels.column.max()) + 1)
    path = FlatStart(densities, speech, seed).paths(graph, frames, 3)
    _, costs = align_utterances(
        graph, np.zeros((n_frames, len(graph.columns)), np.float32), np.array([0, n_frames])
    )
    assert len(path) == n_frames
    if np.isfinite(costs[0]):
        assert is_path(graph, path)
        again = FlatStart(densities, speech, seed).paths(graph, frames, 3)
        np.testing.assert_array_equal(path, again)
    else:
        assert (path == NO_ARC).all()


def small_graph(words: tuple[str, ...]) -> GraphArrays:
    model = _first_model(WORDS, small_options(n_silence_states=2))
    return graphs_of(TranscriptCompiler(model, WORDS, LexiconOptions(0.5, "SIL")), words)[0]


def test_each_stretch_is_shared_evenly() -> None:
    graph = small_graph(("ab", "c"))
    rng = np.random.default_rng(0)
    for n_frames in (6, 7, 40, 61):
        scores = rng.normal(size=(n_frames, len(graph.columns))).astype(np.float32)
        path, _ = align_utterances(graph, scores, np.array([0, n_frames]))
        silent = np.isin(graph.columns[graph.column[graph.node[path]]], [0, 1])
        even = spread(path, graph, np.where(silent, 0, 1))
        assert is_path(graph, even)
        still = np.isin(graph.columns[graph.column[graph.node[even]]], [0, 1])
        np.testing.assert_array_equal(still, silent)
        borders = [0, *(np.flatnonzero(np.diff(silent)) + 1), n_frames]
        for a, b in itertools.pairwise(borders):
            nodes = graph.node[even[a:b]]
            lengths = np.diff(np.flatnonzero(np.diff(nodes, prepend=-2, append=-2)))
            assert lengths.max() - lengths.min() <= 1
            before, after = graph.node[path[a:b]], list(dict.fromkeys(nodes))
            assert list(dict.fromkeys(before)) == after


def test_silence_is_found_and_variants_are_drawn() -> None:
    model = _first_model(WORDS, small_options())
    graphs = AlignmentGraphs(TranscriptCompiler(model, WORDS, LexiconOptions(0.5, "SIL")))
    material, _ = prepare(spoken(60), WORDS, graphs)
    with Workers(1) as workers:
        start = FlatStart.fit(material, graphs, _speech(model), np.full(2, 0.01), workers)
    assert start.densities.means[0, 0] == pytest.approx(-5.6, abs=0.7)
    assert start.densities.means[1, 0] > 0.5
    number = graphs.add(("ba",))
    graph = graphs[number]
    third = {int(c) for c in model.columns[model.phones.index("C")]}
    frames = np.full((12, 2), 2.0, dtype=np.float32)
    said_c = 0
    for utterance in range(300):
        path = start.paths(graph, frames, utterance)
        said_c += bool(third & set(graph.columns[graph.column[graph.node[path]]].tolist()))
    assert 60 < said_c < 140  # its probability is 0.5 against 1: a third of 300
