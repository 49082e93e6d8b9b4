"""Wrong input, as the user of the command line meets it: one line that names the place and the
remedy, exit code 1 or 2, and output that was there before is untouched."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import CommandLine, contents
from tiny_speech import RATE, TinySpeech

Damage = Callable[[Path], None]


@pytest.fixture
def data(tiny_speech: TinySpeech, tmp_path: Path) -> Path:
    """A corpus of one's own to spoil."""
    return Path(shutil.copytree(tiny_speech.train, tmp_path / "data"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An older model, which a failing command must not touch."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    (folder / "graph.json").write_text("{}")
    return folder


@pytest.fixture
def train(run: CommandLine, tiny_speech: TinySpeech, data: Path, old: Path) -> Callable[..., str]:
    """Run a training that must fail; return its complaint."""

    def attempt(*more: object, lexicon: Path | None = None) -> str:
        before = contents(old)
        message = run.fails("train", data, old, "--lexicon", lexicon or tiny_speech.lexicon,
                            "--passes", 2, "--force", *more)  # fmt: skip
        assert contents(old) == before
        assert {p.name for p in old.parent.iterdir()} <= {"data", "old", "lexicon.txt"}
        return message

    return attempt


@pytest.fixture
def graph(run: CommandLine, tiny_speech: TinySpeech, old: Path) -> Callable[..., str]:
    """Run a graph build that must fail; return its complaint."""

    def attempt(
        *, lexicon: Path | None = None, grammar: object = "loop", model: Path | None = None
    ) -> str:
        before = contents(old)
        message = run.fails("graph", "--model", model or tiny_speech.model, "--lexicon",
                            lexicon or tiny_speech.lexicon, "--grammar", grammar,
                            "--out", old)  # fmt: skip
        assert contents(old) == before
        return message

    return attempt


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def test_a_lexicon_line_without_pronunciation(train: Callable[..., str], tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("ba B AA\nbi\nsu S UW\n")
    message = train(lexicon=lexicon)
    assert f"{lexicon}:2: word 'bi' has no pronunciation" in message
    assert "Add its phones" in message


def test_a_phone_that_the_model_lacks(graph: Callable[..., str], tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("ba B AA\nzu Z UW\n")
    message = graph(lexicon=lexicon)
    assert f"{lexicon}:2: the model lacks phone 'Z' of word 'zu'" in message


def test_transcript_words_that_the_lexicon_lacks(train: Callable[..., str], data: Path) -> None:
    edit(data / "text", lambda text: text.replace(" su", " sus", 1).replace(" bi", " bie", 1))
    message = train()
    assert "sus (nearest: su)" in message
    assert "bie (nearest: bi)" in message
    assert "--on-oov skip" in message


def test_such_utterances_can_be_skipped(
    run: CommandLine, tiny_speech: TinySpeech, data: Path, tmp_path: Path
) -> None:
    edit(data / "text", lambda text: text.replace(" su", " sus", 1))
    done = run("train", data, tmp_path / "m", "--lexicon", tiny_speech.lexicon, "--passes", 2,
               "--on-oov", "skip", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["utterances"] == 23
    assert "sus" in done.err
    assert len(done.json["skipped"]) == 1


def test_duplicate_ids(train: Callable[..., str], data: Path) -> None:
    edit(data / "wav.scp", lambda text: text + text.splitlines()[0] + "\n")
    message = train()
    assert f"{data}/wav.scp:25" in message
    assert "twice" in message


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    soundfile.write(path, samples, rate)


NOISE = np.random.default_rng(0).normal(0, 0.1, RATE)
BAD_AUDIO: dict[str, tuple[Damage, str]] = {
    "missing": (lambda p: p.unlink(), "no such audio file"),
    "empty": (lambda p: p.write_bytes(b""), "empty"),
    "no samples": (lambda p: write(p, NOISE[:0]), ""),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:2000]), "truncated"),
    "no audio": (lambda p: p.write_bytes(b"hello " * 100), ""),
    "wrong rate": (lambda p: write(p, NOISE, 16000), "wrong sampling rate"),
    "stereo": (lambda p: write(p, np.stack([NOISE, NOISE], axis=1)), "channel"),
}


@pytest.mark.parametrize("name", BAD_AUDIO)
def test_bad_audio_in_training(train: Callable[..., str], data: Path, name: str) -> None:
    damage, expected = BAD_AUDIO[name]
    damage(data / "sp0-02.wav")
    message = train()
    assert "sp0-02" in message
    assert expected in message


@pytest.mark.parametrize("name", BAD_AUDIO)
def test_bad_audio_in_decoding_is_reported_and_skipped(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, name: str
) -> None:
    test = Path(shutil.copytree(tiny_speech.test, tmp_path / "test"))
    damage, expected = BAD_AUDIO[name]
    damage(test / "sp0-02.wav")
    done = run("decode", tiny_speech.graph, test, "--out", tmp_path / "out")
    assert done.code == 1
    complaint, total = done.err.splitlines()
    assert "sp0-02" in complaint
    assert expected in complaint
    assert total == "wfst-hmm: 1 of 6 utterances could not be decoded; see above"
    kept = [line for line in (test / "text").read_text().splitlines() if "sp0-02" not in line]
    assert done.out.splitlines() == kept
    assert (tmp_path / "out" / "hyp.txt").read_text().splitlines() == kept


def test_bad_audio_in_training_can_be_skipped(
    run: CommandLine, tiny_speech: TinySpeech, data: Path, tmp_path: Path
) -> None:
    BAD_AUDIO["truncated"][0](data / "sp0-02.wav")
    BAD_AUDIO["missing"][0](data / "sp0-04.wav")
    done = run("train", data, tmp_path / "m", "--lexicon", tiny_speech.lexicon, "--passes", 2,
               "--on-bad-audio", "skip", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["utterances"] == 22
    assert "sp0-02" in done.err
    assert "sp0-04" in done.err


def test_a_single_missing_recording(run: CommandLine, tiny_speech: TinySpeech) -> None:
    done = run("decode", tiny_speech.graph, "gone.wav")
    assert done.code == 1
    assert "gone.wav" in done.err.splitlines()[0]


def test_too_few_frames(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    write(tmp_path / "short.wav", NOISE[: RATE // 20])
    graph = tmp_path / "graph"
    run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon, "--grammar",
        "length:1-5", "--out", graph)  # fmt: skip
    done = run("decode", graph, tmp_path / "short.wav", tiny_speech.test / "sp0-00.wav")
    assert done.code == 1
    assert "utterance short" in done.err
    assert "frames, but the shortest path through the graph takes" in done.err
    assert done.out.startswith("sp0-00 ")


def test_too_few_frames_to_align(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    write(tmp_path / "short.wav", NOISE[: RATE // 10])
    (tmp_path / "m.tsv").write_text("id\taudio\ttext\nshort\tshort.wav\tba bi su ba bi su\n")
    done = run("align", tmp_path / "m.tsv", "--model", tiny_speech.model, "--lexicon",
               tiny_speech.lexicon, "--out", tmp_path / "out")  # fmt: skip
    assert done.code == 1
    assert "utterance short" in done.err
    assert "shortest path" in done.err
    assert not (tmp_path / "out").exists()


def test_align_reports_what_it_cannot_align(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    test = Path(shutil.copytree(tiny_speech.test, tmp_path / "test"))
    edit(test / "text", lambda text: "\n".join(text.replace(" su", " sus").splitlines()[1:]) + "\n")
    done = run("align", test, "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
               "--out", tmp_path / "out", "--form", "json")  # fmt: skip
    assert done.code == 1
    assert "utterance sp0-00" in done.err
    assert "no transcript" in done.err
    assert "sus (nearest: su)" in done.err
    assert "could not be aligned" in done.err.splitlines()[-1]


def test_a_text_line_without_audio(train: Callable[..., str], data: Path) -> None:
    edit(data / "text", lambda text: text + "ghost ba\n")
    message = train()
    assert f"{data}/text:25: a text line without audio: 'ghost'" in message


def test_nan_and_impossible_scores(
    run: CommandLine, tiny_speech: TinySpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wfst_hmm.models.acoustic import AcousticModel
    from wfst_hmm.models.scores import Scores

    true_score = AcousticModel.score
    number = iter(range(6))

    def spoiled(model: AcousticModel, features: object) -> Scores:
        array = np.array(true_score(model, features).array)  # type: ignore[arg-type]
        which = next(number)
        if which == 1:
            array[3, 0] = np.nan
        if which == 2:
            array[5] = -np.inf
        return Scores(array)

    monkeypatch.setattr(AcousticModel, "score", spoiled)
    done = run("decode", tiny_speech.graph, tiny_speech.test)
    assert done.code == 1
    first, second, total = done.err.splitlines()
    assert "utterance sp0-02" in first
    assert "frame 3, column 0" in first
    assert "utterance sp0-04" in second
    assert "all scores of frame 5" in second
    assert "2 of 6" in total
    assert len(done.out.splitlines()) == 4


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_grammar(graph: Callable[..., str], tmp_path: Path, text: str) -> None:
    grammar = tmp_path / "grammar.txt"
    grammar.write_text(text)
    assert str(grammar) in graph(grammar=grammar)


def test_grammars_that_are_none(graph: Callable[..., str], tmp_path: Path) -> None:
    assert "loup" in graph(grammar="loup")
    grammar = tmp_path / "phrases.txt"
    grammar.write_text("ba bi\nba bai\n")
    message = graph(grammar=grammar)
    assert "bai (nearest: " in message


def test_a_graph_made_for_another_model(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run("train", tiny_speech.train, other, "--lexicon", tiny_speech.lexicon, "--passes", 2)
    message = run.fails("decode", tiny_speech.graph, tiny_speech.test, "--model", other,
                        "--out", tmp_path / "out", code=1)  # fmt: skip
    assert "made for another acoustic model" in message
    assert str(other) in message
    assert not (tmp_path / "out").exists()


def test_a_graph_without_its_model(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(tiny_speech.graph, tmp_path / "bare"))
    shutil.rmtree(bare / "model")
    audio = tiny_speech.test / "sp0-00.wav"
    assert "--model" in run.fails("decode", bare, audio)
    assert run("decode", bare, audio, "--model", tiny_speech.model).code == 0


@pytest.mark.parametrize(
    "name", ["graph.fst", "words.txt", "labels.npz", "lexicon.txt", "graph.json"]
)
def test_a_damaged_graph(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, name: str
) -> None:
    graph = Path(shutil.copytree(tiny_speech.graph, tmp_path / "graph"))
    data = (graph / name).read_bytes()
    (graph / name).write_bytes(data[: len(data) // 2])
    assert str(graph) in run.fails("decode", graph, tiny_speech.test)
    (graph / name).unlink()
    assert str(graph) in run.fails("decode", graph, tiny_speech.test)


def test_folders_of_others_are_not_replaced(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    lexicon = tiny_speech.lexicon
    for command in (
        ["train", tiny_speech.train, home, "--lexicon", lexicon, "--passes", 2],
        [
            "graph",
            "--model",
            tiny_speech.model,
            "--lexicon",
            lexicon,
            "--grammar",
            "loop",
            "--out",
            home,
        ],
        ["demo", "--out", home / "thesis.tex"],
    ):
        run.fails(*command)
        assert contents(home) == {"thesis.tex": b"years of work"}


def test_results_do_not_replace_a_file(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    message = run.fails(
        "decode", tiny_speech.graph, tiny_speech.test, "--out", tmp_path / "out", code=2
    )
    assert str(tmp_path / "out") in message
    assert (tmp_path / "out").read_text() == "mine"


def test_score_of_unlike_lists(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a ba\n")
    (tmp_path / "hyp").write_text("b ba\n")
    assert "no reference for utterance 'b'" in run.fails(
        "score", tmp_path / "ref", tmp_path / "hyp"
    )
    assert str(tmp_path / "none") in run.fails("score", tmp_path / "ref", tmp_path / "none")


def test_drawing_nothing_or_too_much(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    out = tmp_path / "x.svg"
    assert "one thing to draw" in run.fails("draw", "--out", out, code=2)
    assert "--phone" in run.fails("draw", tiny_speech.model, "--phone", "QQ", "--out", out)
    assert "cannot draw a recording" in run.fails(
        "draw", tiny_speech.test / "sp0-00.wav", "--out", out
    )
    assert "'zz'" in run.fails("draw", tiny_speech.graph, "--accept", "zz", "--out", out)
    assert ".svg" in run.fails("draw", tiny_speech.graph, "--out", tmp_path / "x.gif", code=2)
    assert not out.exists()


def test_info_of_nothing(run: CommandLine, tmp_path: Path) -> None:
    assert "no such file" in run.fails("info", tmp_path / "none")
    assert "unknown kind" in run.fails("info", tmp_path)
    (tmp_path / "empty").write_text("")
    assert "empty" in run.fails("info", tmp_path / "empty")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 10)
    assert str(tmp_path / "binary") in run.fails("info", tmp_path / "binary")


def test_hostile_words_reach_neither_terminal_nor_line(
    run: CommandLine, tiny_speech: TinySpeech, data: Path, tmp_path: Path
) -> None:
    edit(data / "text", lambda text: text.replace(" su", " \x1b[31msu\u202e", 1))
    message = run.fails("train", data, tmp_path / "m", "--lexicon", tiny_speech.lexicon)
    assert "\x1b" not in message
