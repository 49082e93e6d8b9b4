import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from training_problems import WORDS, alignments, graphs_of, small_options, spoken

from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.oov import places_of, vocabulary
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs, GraphArrays
from wfst_hmm.training.flat_start import FlatStart, loudness_range, quietness, spread
from wfst_hmm.training.material import prepare
from wfst_hmm.training.monophone import _first_model, _silent


def is_path(graph: GraphArrays, path: np.ndarray) -> bool:
    nodes = graph.node[path]
    joined = (graph.source[path[1:]] == nodes[:-1]).all()
    return bool(graph.source[path[0]] == -1 and joined and np.isfinite(graph.final[nodes[-1]]))


def test_the_range_reaches_from_quiet_to_loud_whatever_the_level() -> None:
    rng = np.random.default_rng(0)
    parts = [
        level + np.concatenate([rng.normal(-50, 1, 40), rng.normal(0, 0.5, 60)])
        for level in (-10.0, 0.0, 30.0)
    ]
    frames = np.concatenate(parts)[:, None]
    found = loudness_range(frames, np.array([0, 100, 200, 300]))
    assert 50 < found < 56
    for part in parts:
        favours = quietness(part, found)
        assert (favours[:40] > 0).all()
        assert (favours[40:] < 0).all()
    flat = loudness_range(np.zeros((5, 1)), np.array([0, 5]))
    assert np.isfinite(quietness(np.zeros(5), flat)).all()


@settings(deadline=None, max_examples=60)
@given(problem=alignments(), extra=st.integers(0, 25), seed=st.integers(0, 9))
def test_first_paths_are_paths(problem, extra, seed) -> None:  # type: ignore[no-untyped-def]
    compiler, words, rng = problem
    graph = graphs_of(compiler, words)[0]
    n_frames = graph.n_min_frames + extra
    frames = rng.normal(size=(n_frames, 2)).astype(np.float32)
    start = FlatStart(rng.random(int(compiler.labels.column.max()) + 1) < 0.5, 2.0, seed)
    path = start.path(graph, frames, 3)
    _, costs = align_utterances(
        graph, np.zeros((n_frames, len(graph.columns)), np.float32), np.array([0, n_frames])
    )
    assert len(path) == n_frames
    if np.isfinite(costs[0]):
        assert is_path(graph, path)
        again = start.path(graph, frames, 3)
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
        even = spread(path, graph, silent)
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


def test_silence_is_found() -> None:
    model = _first_model(WORDS, small_options())
    graphs = AlignmentGraphs(TranscriptCompiler(model, WORDS, LexiconOptions(0.5, "SIL")))
    takes = spoken(60)
    material, _ = prepare(takes, vocabulary(WORDS, places_of(takes)), graphs)
    start = FlatStart(_silent(model), loudness_range(material.frames, material.borders))
    right = 0
    for batch in (batch for block in material.blocks for batch in block):
        for u in range(batch.first, batch.last):
            frames = material.frames[material.borders[u] : material.borders[u + 1]]
            graph = graphs[batch.graph]
            path = start.path(graph, frames, u)
            silent = graph.columns[graph.column[graph.node[path]]] == 0
            right += int((silent == (frames[:, 0] < -5)).sum())
    assert right > 0.93 * material.n_frames


def test_pronunciations_are_drawn_by_their_probabilities() -> None:
    model = _first_model(WORDS, small_options())
    graph = graphs_of(TranscriptCompiler(model, WORDS, LexiconOptions(0.5, "SIL")), ("ba",))[0]
    start = FlatStart(_silent(model), 5.0)
    third = {int(c) for c in model.columns[model.phones.index("C")]}
    frames = np.full((12, 2), 2.0, dtype=np.float32)
    said_c = 0
    for utterance in range(300):
        path = start.path(graph, frames, utterance)
        said_c += bool(third & set(graph.columns[graph.column[graph.node[path]]].tolist()))
    assert 60 < said_c < 140  # its probability is 0.5 against 1: a third of 300
