"""Words that the lexicon lacks, by every command: the same option, the same rules."""

import shutil
from pathlib import Path

import pytest
from command_line import CommandLine
from tiny_speech import TinySpeech


@pytest.fixture
def data(tiny_speech: TinySpeech, tmp_path: Path) -> Path:
    """The test recordings; one transcript has a token without letters, one a word in capitals."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_speech.test, folder)
    lines = (folder / "text").read_text().splitlines()
    lines[0] += " ..."
    lines[1] = lines[1].split(" ", 1)[0] + " " + lines[1].split(" ", 1)[1].upper()
    (folder / "text").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def lexicon(tiny_speech: TinySpeech, tmp_path: Path) -> Path:
    """The lexicon, with a word that nobody says and a phone that the model lacks."""
    path = tmp_path / "lexicon.txt"
    path.write_text(tiny_speech.lexicon.read_text() + "zoo Z UW\n<SIL> SIL\n<UNK> SIL\n")
    return path


COMMANDS = {
    "align": ("align", "DATA", "--model", "MODEL", "--lexicon", "LEXICON", "--out", "out", "--form", "ctm"),
    "prons": ("prons", "DATA", "--model", "MODEL", "--lexicon", "LEXICON", "--out", "out.txt"),
    "vtln": ("vtln", "DATA", "--model", "MODEL", "--lexicon", "LEXICON", "--out", "warps"),
    "adapt": ("adapt", "MODEL", "DATA", "adapted", "--lexicon", "LEXICON"),
    "train": ("train", "DATA", "trained", "--lexicon", "LEXICON", "--passes", "2"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_words_cost_their_utterances_only(
    run: CommandLine, tiny_speech: TinySpeech, data: Path, lexicon: Path, command: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    names = {"DATA": data.name, "MODEL": str(tiny_speech.model), "LEXICON": lexicon.name}
    given = [names.get(part, part) for part in COMMANDS[command]]
    first = (data / "text").read_text().split()[0]
    done = run(*given, "--fold-case")
    assert done.code == (1 if command == "align" else 0), done.err
    assert f"{first}" in done.err
    assert "... (no letters)" in done.err
    assert "found in other case" in done.err
    assert "phone 'Z'" not in done.err  # nobody says zoo
    skipped = run(*given, "--on-oov", "skip")
    assert "there in other case (--fold-case)" in skipped.err
    shutil.rmtree(tmp_path / "trained", ignore_errors=True)
    if command != "train":
        unknown = run(*given, "--on-oov", "unk", "--fold-case")
        assert unknown.code == 0, unknown.err
        assert "spoken as <UNK>: ..." in unknown.err


def test_raise_names_the_words_and_the_way_out(
    run: CommandLine, tiny_speech: TinySpeech, data: Path
) -> None:
    message = run.fails("align", data, "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
                        "--out", data / "out", "--on-oov", "raise")  # fmt: skip
    assert "are there in other case (--fold-case)" in message
    assert "first in utterance" in message


def test_a_grammar_in_another_encoding(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lexicon.txt").write_text("bu\u0301 B UW\nba B AA\n", encoding="utf-8")
    Path("phrases.txt").write_text("b\u00fa ba\n...\n", encoding="utf-8")
    done = run("graph", "--model", tiny_speech.model, "--lexicon", "lexicon.txt", "--grammar",
               "phrases.txt", "--out", "graph")  # fmt: skip
    assert done.code == 0, done.err
    assert "1 word of the grammar cannot be spoken: ... (no letters)" in done.err
    words = Path("graph/words.txt").read_text(encoding="utf-8").split()
    assert "b\u00fa" in words


def test_old_spellings_are_understood(
    run: CommandLine, tiny_speech: TinySpeech, lexicon: Path, tmp_path: Path
) -> None:
    done = run("adapt", tiny_speech.model, tiny_speech.test, tmp_path / "a", "--lexicon", lexicon,
               "--skip-oov")  # fmt: skip
    assert done.code == 0, done.err
    assert "--skip-oov is now called --on-oov skip" in done.err
