"""``words`` and ``bench`` as users call them."""

from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine, contents

from wfst_hmm.cli.bench import BENCHES
from wfst_hmm.signal.audio import Audio, write_wav

RATE = 8000
GLIDES = {"up": (500, 2400), "down": (2400, 500)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("glides")
    rng = np.random.default_rng(1)
    for word, (first, last) in GLIDES.items():
        (root / word).mkdir()
        for take in range(6):
            hertz = np.linspace(first, last, int(rng.integers(1800, 2600)))
            sound = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
            sound += 0.01 * rng.standard_normal(len(hertz))
            write_wav(root / word / f"ann_{take}.wav", Audio(sound.astype(np.float32), RATE))
    return root


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from wfst_hmm.cli import main

    path = tmp_path_factory.mktemp("words-model") / "model"
    options = ["--states", "2", "--mixtures", "1", "--iterations", "3", "--held-out", "0"]
    assert main(["words", "train", str(folder), "--model", str(path), *options]) == 0
    return path


def test_train_holds_some_recordings_out(run: CommandLine, folder: Path, tmp_path: Path):
    done = run("words", "train", folder, "--model", tmp_path / "m", "--states", 2, "--mixtures", 1,
               "--held-out", 0.34, "--json")  # fmt: skip
    assert done.code == 0, done
    assert done.json["recordings"] == 4
    assert done.json["accuracy"] == 1.0


def test_test_prints_and_draws_confusions(
    run: CommandLine, folder: Path, model: Path, tmp_path: Path
):
    picture = tmp_path / "confusion.svg"
    done = run("words", "test", folder, "--model", model, "--picture", picture)
    assert done.code == 0, done
    assert "accuracy 100.00 % (0 wrong of 12 recordings)" in done.out
    assert picture.read_text(encoding="utf-8").startswith(("<svg", "<?xml"))


def test_recognize_names_the_bad_recording_and_goes_on(
    run: CommandLine, folder: Path, model: Path, tmp_path: Path
):
    empty = tmp_path / "empty.wav"
    empty.touch()
    good = folder / "up" / "ann_0.wav"
    done = run("words", "recognize", good, empty, "--model", model, "--json")
    assert done.code == 1
    assert [row["word"] for row in done.json] == ["up"]
    assert "empty.wav" in done.err


def test_bad_input_leaves_the_model_alone(
    run: CommandLine, folder: Path, model: Path, tmp_path: Path
):
    before = contents(model)
    assert "nowhere" in run.fails("words", "train", tmp_path / "nowhere", "--model", model)
    (tmp_path / "none").mkdir()
    assert "none" in run.fails("words", "train", tmp_path / "none", "--model", model)
    assert contents(model) == before
    assert str(folder) in run.fails("words", "test", folder, "--model", folder)


@pytest.mark.parametrize("command", sorted(BENCHES))
def test_every_bench_explains_itself(run: CommandLine, command: str):
    done = run("bench", command, "--help")
    assert done.code == 0
    assert f"Example: wfst-hmm bench {command}" in done.out
    for option in BENCHES[command].options:
        shown = option.strip("<>").upper() if option.startswith("<") else f"--{option}"
        assert shown in done.out


def test_bench_rows_carry_ratios(run: CommandLine):
    done = run("bench", "gmm", "--max-frames", 2000, "--iterations", 1, "--repeat", 1, "--json")
    assert done.code == 0, done
    rows = done.json["rows"]
    assert rows
    for row in rows:
        assert row["ours"] > 0
        if row["theirs"] is not None:
            assert row["ratio"] == pytest.approx(row["ours"] / row["theirs"])


def test_bench_says_what_it_lacks(run: CommandLine, tmp_path: Path):
    for command in ("digits", "train", "words"):
        assert str(tmp_path) in run.fails("bench", command, "--data", tmp_path)
    assert "no such test bed" in run.fails("bench", "search", "--bed", "nonsense")
