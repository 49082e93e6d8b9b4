"""The ladder on a toy corpus: every rung, resumed, reproducible, and with bad input."""

from pathlib import Path

import numpy as np
import pytest
from training_problems import WORDS, small_options, spoken

from wfst_hmm.apps.drawing import draw_file
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import load_model
from wfst_hmm.training.features import Take
from wfst_hmm.training.passes import PassReport
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.recipe import RecipeOptions, train_ladder_on
from wfst_hmm.training.tree_building import TreeOptions


class Notes(Watcher):
    """Remembers what it hears; may pull the plug after so many passes."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.notes: list[str] = []
        self.stages: list[str] = []
        self.n_passed = 0
        self.stop_after = stop_after

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def passed(self, report: PassReport) -> None:
        self.n_passed += 1
        if self.n_passed == self.stop_after:
            raise KeyboardInterrupt


def options(n_workers: int = 1, **changes: object) -> RecipeOptions:
    training = small_options(n_passes=3, n_gaussians=7, n_workers=n_workers)
    usual: dict[str, object] = {
        "training": training, "leaves": 12, "gaussians": 20, "passes": 8, "splice": 1,
        "lda_dims": 3, "tree": TreeOptions(12, 5.0, 10.0),
    }  # fmt: skip
    return RecipeOptions(**{**usual, **changes})  # type: ignore[arg-type]


def takes(n: int = 30) -> list[Take]:
    """Return utterances of two speakers, one of whom shifts everything."""
    made = []
    for number, take in enumerate(spoken(n)):
        speaker = "low" if number % 2 else "high"
        shift = np.float32(0.5 if number % 2 else -0.5)
        made.append(Take(take.id, take.words, take.frames + shift, "", speaker))
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notes, ContextModel]:
    out = tmp_path_factory.mktemp("ladder") / "model"
    watcher = Notes()
    model = train_ladder_on(takes(), WORDS, out, "sat", options(), watcher=watcher)
    assert isinstance(model, ContextModel)
    return out, watcher, model


def test_every_rung_is_on_disk(whole: tuple[Path, Notes, ContextModel]) -> None:
    out, watcher, model = whole
    assert watcher.n_passed == 3 + 3 * 8
    stages = out.parent / "model.stages"
    rungs = {name: load_model(stages / name) for name in ("mono", "tri", "lda", "sat")}
    assert rungs["sat"].hash == model.hash == load_model(out).hash
    for name, n_dims in (("tri", 2), ("lda", 3), ("sat", 3)):
        rung = rungs[name]
        assert isinstance(rung, ContextModel)
        assert rung.n_dims == n_dims
        assert rung.tree is not None
        assert rung.tree.n_leaves == rung.n_columns
        passes = rung.info["training"]["passes"]
        assert len(passes) == 8
        assert passes[-1]["n_gaussians"] > passes[0]["n_gaussians"]
    assert isinstance(rungs["tri"], ContextModel)
    assert rungs["tri"].transform is None
    assert model.splice == 1
    assert model.transform is not None
    assert model.transform.shape == (3, 6)
    assert model.unadapted is not None
    assert rungs["lda"].unadapted is None  # type: ignore[union-attr]
    first = model.first_pass()
    assert first.densities is model.unadapted
    assert first.unadapted is None
    raw = takes()[0].frames
    assert first.finish(raw).array.shape == (len(raw), 3)


@pytest.mark.parametrize("n", [2, 5, 9, 14, 20, 26])
def test_an_interrupted_ladder_ends_the_same(
    whole: tuple[Path, Notes, ContextModel], tmp_path: Path, n: int
) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_ladder_on(takes(), WORDS, out, "sat", options(), watcher=Notes(n))
    assert not out.exists()
    watcher = Notes()
    model = train_ladder_on(takes(), WORDS, out, "sat", options(), watcher=watcher)
    assert model.hash == whole[2].hash
    assert watcher.n_passed == 27 - n


def test_workers_change_nothing(whole: tuple[Path, Notes, ContextModel], tmp_path: Path) -> None:
    model = train_ladder_on(takes(), WORDS, tmp_path / "model", "sat", options(3))
    assert model.hash == whole[2].hash


def test_a_higher_rung_begins_with_the_lower(tmp_path: Path) -> None:
    out = tmp_path / "model"
    train_ladder_on(takes(), WORDS, out, "mono", options())
    watcher = Notes()
    train_ladder_on(takes(), WORDS, out, "tri", options(), watcher=watcher)
    assert watcher.n_passed == 8
    again = Notes()
    train_ladder_on(takes(), WORDS, out, "tri", options(), watcher=again)
    assert again.n_passed == 0
    other = Notes()
    train_ladder_on(takes(), WORDS, out, "tri", options(leaves=9), watcher=other)
    assert other.n_passed == 3 + 8
    assert any("other data or options" in note for note in other.notes)


def test_a_speaker_of_a_few_frames_falls_back(tmp_path: Path) -> None:
    data = takes()
    data[3] = Take("u03", ("c",), spoken(1, 5)[0].frames[:12], "", "hasty")
    watcher = Notes()
    model = train_ladder_on(data, WORDS, tmp_path / "model", "sat", options(), watcher=watcher)
    assert isinstance(model, ContextModel)
    assert any("speaker hasty" in note and "only" in note for note in watcher.notes)


def test_transcripts_that_do_not_match_are_left_out_and_told(tmp_path: Path) -> None:
    data = takes()
    data.append(Take("long", ("ab",) * 40, data[0].frames[:9], "", "high"))
    model = train_ladder_on(data, WORDS, tmp_path / "model", "tri", options())
    skipped = model.info["training"]["skipped"]
    assert [entry[0] for entry in skipped] == ["long"]
    assert "shortest path" in skipped[0][1]
    with pytest.raises(DataError, match="lacks 1 word"):
        train_ladder_on([*data, Take("x", ("zz",), data[0].frames)], WORDS, tmp_path / "m2", "tri",
                        options())  # fmt: skip


def test_one_word_and_frames_that_do_not_move(tmp_path: Path) -> None:
    data = [t for t in takes(60) if t.words == ("c",)]
    data.append(Take("flat", ("c",), np.zeros((40, 2), dtype=np.float32), "", "low"))
    model = train_ladder_on(data, WORDS, tmp_path / "model", "sat", options())
    assert isinstance(model, ContextModel)
    assert np.isfinite(model.score(model.finish(data[0].frames)).array).all()


def test_unknown_recipes_and_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe"):
        train_ladder_on(takes(), WORDS, tmp_path / "model", "nnet", options())
    with pytest.raises(UsageError, match="splice"):
        options(splice=-1)


def test_damaged_files_of_a_stage_are_made_anew(
    whole: tuple[Path, Notes, ContextModel], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        train_ladder_on(takes(), WORDS, out, "sat", options(), watcher=Notes(15))
    (tmp_path / "model.stages" / "lda.journal").write_bytes(b"PK\3\4 cut short")
    (tmp_path / "model.stages" / "tri.alignment.npz").write_bytes(b"")
    watcher = Notes()
    model = train_ladder_on(takes(), WORDS, out, "sat", options(), watcher=watcher)
    assert model.hash == whole[2].hash
    assert any("damaged" in note for note in watcher.notes)


def test_a_full_disk_leaves_the_last_pass(
    whole: tuple[Path, Notes, ContextModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wfst_hmm.training import journal

    out, real, calls = tmp_path / "model", np.savez, [0]

    def full(stream: object, **arrays: object) -> None:
        calls[0] += 1
        if calls[0] == 4:
            raise OSError(28, "No space left on device")
        real(stream, **arrays)  # type: ignore[arg-type]

    monkeypatch.setattr(journal.np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        train_ladder_on(takes(), WORDS, out, "tri", options())
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(journal.np, "savez", real)
    model = train_ladder_on(takes(), WORDS, out, "sat", options())
    assert model.hash == whole[2].hash


def test_likelihoods_count_the_stretch_of_transforms(
    whole: tuple[Path, Notes, ContextModel],
) -> None:
    """Without their determinants, turning and adapting would look like losses."""
    stages = whole[0].parent / "model.stages"
    for name in ("lda", "sat"):
        passes = load_model(stages / name).info["training"]["passes"]
        likelihoods = [p["log_likelihood"] for p in passes]
        assert (np.diff(likelihoods) > -0.05).all()
        assert likelihoods[-1] > likelihoods[0]


def test_silent_and_clipped_recordings_do_no_harm(tmp_path: Path) -> None:
    """Digital silence and a recording at full scale lie between good ones."""
    import soundfile
    import tiny_speech

    from wfst_hmm.signal.kaldi import FeatureOptions
    from wfst_hmm.training.recipe import train_ladder

    data = tiny_speech.write_corpus(tmp_path / "data", 14, 1)
    lexicon = tiny_speech.write_lexicon(tmp_path / "lexicon.txt")
    first, second = sorted(data.glob("*.wav"))[:2]
    samples, rate = soundfile.read(first)
    soundfile.write(first, np.zeros_like(samples), rate)
    soundfile.write(second, np.sign(soundfile.read(second)[0]), rate)
    training = small_options(n_gaussians=30, n_passes=3, features=FeatureOptions(rate=8000))
    made = train_ladder(data, lexicon, tmp_path / "model", "sat",
                        options(training=training, lda_dims=10, splice=2))  # fmt: skip
    assert isinstance(made, ContextModel)
    assert isinstance(made.densities, type(made.unadapted))
    assert np.isfinite(made.densities.means).all()  # type: ignore[union-attr]
    assert made.info["training"]["n_utterances"] == 14


def test_mapped_frames_have_no_name(tmp_path: Path) -> None:
    from wfst_hmm.training.feature_store import mapped_frames, mapped_parts

    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 0, 7)]
    made = mapped_frames(iter(parts), tmp_path / "new")
    np.testing.assert_array_equal(made, np.concatenate(parts))
    assert not made.flags.writeable
    for part, own in zip(parts, mapped_parts(iter(parts), tmp_path / "new"), strict=True):
        np.testing.assert_array_equal(part, own)
        assert not own.flags.writeable
    assert mapped_parts(iter([]), tmp_path / "new") == []
    assert mapped_frames(iter(parts[1:2]), tmp_path / "new").shape == (0, 3)
    assert not list((tmp_path / "new").iterdir())


def test_its_trees_can_be_drawn(whole: tuple[Path, Notes, ContextModel], tmp_path: Path) -> None:
    out, _, model = whole
    phone = next(p for p in model.phones if p not in model.silence_phones)
    picture = draw_file(out, tmp_path / "tree.svg", phone=phone, state=0)
    assert f"{phone}, HMM state 0" in picture.note
    assert "<svg" in (tmp_path / "tree.svg").read_text(encoding="utf-8")
    hmm = draw_file(out, tmp_path / "hmm.svg", phone=phone)
    assert f"phone {phone}" in hmm.note
