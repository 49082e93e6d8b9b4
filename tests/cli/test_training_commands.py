"""The rungs of training, adaptation to speakers and corpora, on the command line."""

import json
from pathlib import Path

import pytest
from command_line import CommandLine
from tiny_speech import TinySpeech

from wfst_hmm.formats.data import read_corpus, write_manifest
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import load_model


def test_adapt(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    done = run("adapt", tiny_speech.model, tiny_speech.test, tmp_path / "m", "--lexicon",
               tiny_speech.lexicon, "--weights", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["n_utterances"] == 6
    assert load_model(tmp_path / "m").hash == done.json["hash"]


@pytest.fixture
def ladder(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> Path:
    """Train all rungs, build a graph for the last one."""
    folder = tmp_path
    done = run("train", tiny_speech.train, folder / "model", "--lexicon", tiny_speech.lexicon,
               "--recipe", "sat", "--passes", "4", "--gaussians", "30", "--leaves", "20",
               "--tied-gaussians", "40", "-j", "1")  # fmt: skip
    assert done.code == 0, done.err
    done = run("graph", "--model", folder / "model", "--lexicon", tiny_speech.lexicon, "--grammar",
               "loop", "--out", folder / "graph")  # fmt: skip
    assert done.code == 0, done.err
    return folder


def test_every_rung_decodes(run: CommandLine, tiny_speech: TinySpeech, ladder: Path) -> None:
    said = dict(line.split(" ", 1) for line in (tiny_speech.test / "text").read_text().splitlines())
    for extra in ((), ("--adapt",)):
        done = run("decode", ladder / "graph", tiny_speech.test, *extra)
        assert done.code == 0, done.err
        found = dict(line.split(None, 1) for line in done.out.splitlines())
        right = sum(found[id_].strip() == text for id_, text in said.items())
        assert right >= len(said) - 1
    stages = ladder / "model.stages"
    models = [load_model(stages / name) for name in ("tri", "lda", "sat")]
    assert all(isinstance(model, ContextModel) for model in models)
    done = run("align", tiny_speech.test, "--model", ladder / "model", "--lexicon",
               tiny_speech.lexicon, "--out", ladder / "aligned")  # fmt: skip
    assert done.code == 0, done.err
    shared = run("decode", ladder / "graph", tiny_speech.test, "--adapt", "--cluster", "processes",
                 "-j", "2")  # fmt: skip
    assert shared.out == run("decode", ladder / "graph", tiny_speech.test, "--adapt").out


def test_words_without_pronunciations_are_guessed(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    few = tmp_path / "few.txt"
    lines = tiny_speech.lexicon.read_text().splitlines()
    few.write_text("\n".join(line for line in lines if not line.startswith("bi")) + "\nib IY B\n")
    done = run("align", tiny_speech.test, "--model", tiny_speech.model, "--lexicon", few, "--out",
               tmp_path / "out", "--guess", "--form", "ctm")  # fmt: skip
    assert done.code == 0, done.err
    assert "guessed: bi =" in done.err
    assert (tmp_path / "out" / "guessed.txt").read_text().startswith("bi ")


def test_vtln(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    out = tmp_path / "spk2warp"
    done = run("vtln", tiny_speech.test, "--graph", tiny_speech.graph, "--out", out)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in out.read_text().splitlines()] == ["sp0", "sp1"]
    assert "sp0: " in done.out
    table = tmp_path / "beside.tsv"
    write_manifest(table, read_corpus(tiny_speech.test))
    assert run("vtln", table, "--graph", tiny_speech.graph).code == 0
    beside = tmp_path / "beside.tsv.spk2warp"
    assert beside.read_bytes() == out.read_bytes()
    beside.write_text("sp0 0.9\nsp1 1.1\n")
    assert {u.speaker: u.warp for u in read_corpus(table)} == {"sp0": 0.9, "sp1": 1.1}
    done = run("vtln", tiny_speech.test, "--out", out)
    assert done.code == 2
    assert "--graph" in done.err


@pytest.mark.parametrize("command", ["train", "adapt"])
def test_a_model_of_other_data_is_replaced_only_by_force(
    run: CommandLine,
    tiny_speech: TinySpeech,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = read_corpus(tiny_speech.test)
    write_manifest(Path("one.tsv"), list(corpus))
    write_manifest(Path("other.tsv"), list(corpus)[1:])
    sizes = ["--passes", 1, *(["--gaussians", 20] if command == "train" else [])]
    model = [tiny_speech.model] if command == "adapt" else []

    def made(data: str, *more: str) -> list[object]:
        return [command, *model, data, "made", "--lexicon", tiny_speech.lexicon, *sizes, *more]

    assert run(*made("one.tsv")).code == 0
    first = load_model("made").hash
    assert run(*made("one.tsv")).code == 0  # the same again
    assert load_model("made").hash == first
    message = run.fails(*made("other.tsv"), code=2)
    assert "a model of other data" in message
    assert "--force" in message
    assert load_model("made").hash == first
    assert run(*made("other.tsv", "--force")).code == 0
    assert load_model("made").hash != first
    header = json.loads(Path("made/model.json").read_text())
    del header["info"]["data"]  # of an earlier version
    Path("made/model.json").write_text(json.dumps(header))
    assert "is not known" in run.fails(*made("other.tsv"), code=2)
