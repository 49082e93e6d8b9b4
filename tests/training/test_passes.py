import itertools

import numpy as np
import pytest
from training_problems import WORDS, small_options, spoken

from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.oov import places_of, vocabulary
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.graph.units import Units
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.training import material as material_module
from wfst_hmm.training.align import align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.flat_start import FlatStart, loudness_range
from wfst_hmm.training.material import Material, prepare
from wfst_hmm.training.monophone import _first_model, _silent
from wfst_hmm.training.passes import Parameters, PassReport, Statistics, collect, global_variance
from wfst_hmm.training.workers import Workers


def model_with_sounds() -> AcousticModel:
    model = _first_model(WORDS, small_options())
    rng = np.random.default_rng(7)
    n = model.n_columns
    states = [
        (np.full(2, 0.5), rng.normal(scale=3, size=(2, 2)), np.full((2, 2), 2.0)) for _ in range(n)
    ]
    return AcousticModel(
        model.phones, model.silence_phones, model.topologies, model.columns,
        MixtureSet.from_states(states), model.front_end,
    )  # fmt: skip


def setting(model: AcousticModel) -> tuple[AlignmentGraphs, Material, Units]:
    compiler = TranscriptCompiler(model, WORDS, LexiconOptions(0.5, "SIL"))
    graphs = AlignmentGraphs(compiler)
    takes = spoken()
    material, skipped = prepare(takes, vocabulary(WORDS, places_of(takes)), graphs)
    assert not skipped
    return graphs, material, compiler.units


def collected(model: AcousticModel, n_workers: int, *, flat: bool = False) -> Statistics:
    graphs, material, units = setting(model)
    parameters = Parameters(model.mixtures, model.topologies)
    with Workers(n_workers) as workers:
        start = None
        if flat:
            depth = loudness_range(material.frames, material.borders)
            start = FlatStart(_silent(model), depth)
        return collect(parameters, material, graphs, units.n_moves + 1, workers, start=start)


def test_a_pass_sums_over_every_utterance() -> None:
    """Against the obvious way: one utterance at a time, states counted by hand."""
    model = model_with_sounds()
    graphs, material, units = setting(model)
    stats, moves, cost = model.mixtures.empty_stats(), np.zeros(units.n_moves + 1), 0.0
    by_id = {take.id: take for take in spoken()}
    for id_ in material.ids:
        take = by_id[id_]
        graph = graphs[graphs.add(take.words)]
        scores = model.mixtures.log_likelihoods(take.frames, graph.columns)
        path, costs = align_utterances(graph, scores, np.array([0, len(scores)]))
        cost += costs[0]
        model.mixtures.accumulate(take.frames, graph.columns[graph.column[graph.node[path]]], stats)
        for arc in path:
            for move in graph.moves[arc]:
                moves[move] += 1
        moves[graph.final_move[graph.node[path[-1]]]] += 1
    sums = collected(model, 1)
    np.testing.assert_allclose(sums.mixtures.occupancy, stats.occupancy)
    np.testing.assert_allclose(sums.mixtures.first, stats.first, atol=1e-8)
    np.testing.assert_allclose(sums.mixtures.second, stats.second, atol=1e-8)
    np.testing.assert_array_equal(sums.moves[1:], moves[1:])
    assert sums.log_likelihood == pytest.approx(-cost, rel=1e-5)
    # Whoever enters a phone leaves it, and each frame is entered or stepped into.
    n_enter, n_step = len(units.enter), len(units.step)
    assert moves[1 : n_enter + 1].sum() == moves[n_enter + n_step + 1 :].sum()
    assert moves[1 : n_enter + n_step + 1].sum() == material.n_frames


@pytest.mark.parametrize("flat", [False, True])
def test_sums_do_not_depend_on_the_workers(monkeypatch: pytest.MonkeyPatch, flat: bool) -> None:
    monkeypatch.setattr(material_module, "_BLOCK_FRAMES", 100)
    monkeypatch.setattr(material_module, "_BATCH_FRAMES", 60)
    model = model_with_sounds()
    one, *others = (collected(model, n, flat=flat) for n in (1, 2, 5))
    for other in others:
        for name in ("occupancy", "first", "second"):
            a, b = getattr(one.mixtures, name), getattr(other.mixtures, name)
            assert a.tobytes() == b.tobytes()
        assert one.log_likelihood == other.log_likelihood
        assert one.moves.tobytes() == other.moves.tobytes()


def test_blocks_cover_every_utterance_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material_module, "_BLOCK_FRAMES", 100)
    monkeypatch.setattr(material_module, "_BATCH_FRAMES", 60)
    _, material, _ = setting(model_with_sounds())
    batches = [batch for block in material.blocks for batch in block]
    assert batches[0].first == 0
    assert batches[-1].last == len(material.ids)
    for a, b in itertools.pairwise(batches):
        assert a.last == b.first
    assert len(material.blocks) > 5
    sizes = [material.borders[b[-1].last] - material.borders[b[0].first] for b in material.blocks]
    assert min(sizes[:-1]) >= 100


def test_global_variance_is_that_of_all_frames() -> None:
    x = (1e3 + np.random.default_rng(0).normal(size=(70_000, 3))).astype(np.float32)
    mean, variance = global_variance(x)
    np.testing.assert_allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-9)
    np.testing.assert_allclose(variance, x.var(axis=0, dtype=np.float64), rtol=1e-6)


def test_reports_survive_json() -> None:
    report = PassReport(3, -1.5, 10, 4, 1, 2, (5,), ("u1",), ("a note",))
    assert PassReport.from_dict(report.to_dict()) == report
