"""Training on a cluster: the model of a single process, to the last bit."""

from pathlib import Path

import pytest
from tiny_speech import TinySpeech
from training_problems import WORDS, small_options, spoken

from wfst_hmm.apps.building import train_model
from wfst_hmm.cluster.engines import engine_for
from wfst_hmm.cluster.training import ClusterWorkers
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.training import material, passes
from wfst_hmm.training.monophone import train_on
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.recipe import RecipeOptions


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "_BLOCK_FRAMES", 200)
    monkeypatch.setattr(passes, "GROUP", 3)


def same(a: Path, b: Path) -> bool:
    return all((a / n).read_bytes() == (b / n).read_bytes() for n in ("model.json", "mixtures.npz"))


def test_threads_of_an_engine_train_the_same_monophones(tmp_path: Path) -> None:
    train_on(spoken(60), WORDS, tmp_path / "alone", small_options())
    with engine_for("threads", 3) as engine:
        workers = ClusterWorkers(engine, tmp_path / "shared")
        train_on(spoken(60), WORDS, tmp_path / "shared", small_options(), workers=workers)
    assert same(tmp_path / "alone", tmp_path / "shared")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alone", "shared"]


def test_processes_climb_the_same_ladder(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    options = TrainingOptions(n_passes=3, n_gaussians=20, n_workers=1, split_occupancy=10)
    ladder = RecipeOptions(leaves=8, gaussians=20)
    assert read_lexicon(tiny_speech.lexicon)

    def train(out: Path, workers: ClusterWorkers | None) -> None:
        train_model(tiny_speech.train, tiny_speech.lexicon, out, options, recipe="tri",
                    ladder=ladder, workers=workers)  # fmt: skip

    train(tmp_path / "alone", None)
    with engine_for("processes", 2) as engine:
        train(tmp_path / "shared", ClusterWorkers(engine, tmp_path / "shared"))
    files = [p.name for p in (tmp_path / "alone").iterdir() if p.is_file()]
    assert files
    for name in files:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "shared" / name).read_bytes()
