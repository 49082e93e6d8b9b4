"""Two-pass decoding: speakers whose voices are shifted, and speakers who say next to nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_problems import WORDS, small_options, spoken

from wfst_hmm.apps.adaptation import (
    AdaptationOptions,
    SpeakerReport,
    adapted_features,
    can_adapt,
)
from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.corpus import Utterance
from wfst_hmm.signal.features import Features
from wfst_hmm.training.features import Take
from wfst_hmm.training.recipe import RecipeOptions, train_ladder_on
from wfst_hmm.training.tree_building import TreeOptions

TURNS = {
    "plain": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "turned": np.array([[0.8, 0.25, 0.6], [-0.25, 0.9, -0.9]]),
}


def said_by(speaker: str, n: int, seed: int) -> list[Take]:
    turn = TURNS[speaker]
    return [
        Take(f"{speaker}-{t.id}", t.words,
             (t.frames @ turn[:, :2].T + turn[:, 2]).astype(np.float32), "", speaker)
        for t in spoken(n, seed)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ContextModel, Graph]:
    out: Path = tmp_path_factory.mktemp("adapt") / "model"
    takes = said_by("plain", 40, 1) + said_by("turned", 40, 2)
    options = RecipeOptions(
        training=small_options(n_passes=4, n_gaussians=7), leaves=12, gaussians=16, passes=8,
        splice=0, lda_dims=2, tree=TreeOptions(12, 5.0, 10.0),
    )  # fmt: skip
    model = train_ladder_on(takes, WORDS, out, "sat", options)
    assert isinstance(model, ContextModel)
    return model, build_graph(model, WORDS, word_loop(WORDS.words))


def heard(model: ContextModel, takes: list[Take]) -> list[tuple[Utterance, Features]]:
    return [
        (Utterance(t.id, Path("x.wav"), t.words, t.speaker), model.finish(t.frames, _no_stats()))
        for t in takes
    ]


def _no_stats() -> Any:
    from wfst_hmm.signal.cmvn import CmvnStats

    return CmvnStats(1.0, np.zeros(2), np.ones(2))


def searches(graph: Graph) -> Any:
    options = SearchOptions(search="exact", acoustic_scale=0.5)
    return lambda scores: decode(graph, scores, options)


def test_adapted_features_fit_better(trained: tuple[ContextModel, Graph]) -> None:
    model, graph = trained
    takes = said_by("turned", 10, 7) + said_by("plain", 10, 8)
    items = heard(model, takes)
    reports: list[SpeakerReport] = []
    made = list(adapted_features(model, graph, items, searches(graph),
                                 [t.speaker for t in takes], told=reports.append))  # fmt: skip
    assert [u.id for u, _ in made] == [t.id for t in takes]
    assert {r.speaker: r.transform.kind for r in reports} == {"turned": "full", "plain": "full"}
    assert all(r.transform.gain > 0 for r in reports)
    costs = {"bare": 0.0, "adapted": 0.0}
    for (_, before), (_, after) in zip(items, made, strict=True):
        assert isinstance(after, Features)
        for name, features in (("bare", before), ("adapted", after)):
            result = searches(graph)(model.score(features, adapted=True))
            assert isinstance(result, Decoded)
            costs[name] += result.total_cost
    assert costs["adapted"] < costs["bare"]


def test_scores_of_unadapted_features_take_their_own_densities(
    trained: tuple[ContextModel, Graph],
) -> None:
    model, _ = trained
    features = heard(model, said_by("plain", 1, 3))[0][1]
    assert model.unadapted is not None
    np.testing.assert_array_equal(
        model.score(features).array, model.unadapted.log_likelihoods(features.array)
    )
    assert (model.score(features, adapted=True).array != model.score(features).array).any()


def test_order_errors_and_little_speech(trained: tuple[ContextModel, Graph]) -> None:
    model, graph = trained
    one, two, three = heard(model, said_by("plain", 3, 5))
    short = Features(two[1].array[:2])
    items: list[tuple[Utterance, Features | WfstHmmError]] = [
        one, (Utterance("bad", Path("y"), None, "gone"), DataError("cannot be read")),
        (Utterance("short", Path("z"), None, "hasty"), short), three,
    ]  # fmt: skip
    reports: list[SpeakerReport] = []
    made = list(adapted_features(model, graph, items, searches(graph),
                                 ["plain", "gone", "hasty", "plain"], told=reports.append))  # fmt: skip
    assert [u.id for u, _ in made] == [one[0].id, "bad", "short", three[0].id]
    assert isinstance(made[1][1], DataError)
    hasty = next(r for r in reports if r.speaker == "hasty")
    assert hasty.transform.kind == "identity"
    assert "no adaptation" in (hasty.transform.note or "")
    assert isinstance(made[2][1], Features)
    np.testing.assert_array_equal(made[2][1].array, short.array)


def test_options_and_models(trained: tuple[ContextModel, Graph]) -> None:
    with pytest.raises(UsageError, match="n_rounds"):
        AdaptationOptions(n_rounds=0)
    assert can_adapt(trained[0])
    scores = Scores(np.zeros((3, trained[0].n_columns), dtype=np.float32))
    assert searches(trained[1])(scores) is not None
