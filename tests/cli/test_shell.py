"""The shell around the commands: exit codes, interrupts, pipes, speed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from command_line import CommandLine
from tiny_speech import TinySpeech

from wfst_hmm.cli import shell
from wfst_hmm.cli.app import COMMANDS, GROUPS
from wfst_hmm.errors import DataError, UsageError

PROGRAM = [sys.executable, "-m", "wfst_hmm"]


def application(raises: BaseException | None) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def work(word: str) -> None:
        if raises is not None:
            raise raises

    return app


@pytest.mark.parametrize(
    ("raises", "code", "message"),
    [
        (None, 0, ""),
        (DataError("bad", where="x:1", fix="Mend it."), 1, "wfst-hmm: x:1: bad. Mend it.\n"),
        (UsageError("no"), 2, "wfst-hmm: no\n"),
        (typer.BadParameter("odd"), 2, "wfst-hmm: Invalid value: odd"),
        (typer.Exit(1), 1, ""),
        (KeyboardInterrupt(), 130, "wfst-hmm: interrupted; unfinished output was removed\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "wfst-hmm: /x: Permission denied\n"),
        (OSError(28, "No space left on device"), 1, "wfst-hmm: No space left on device\n"),
        (MemoryError(), 1, "wfst-hmm: out of memory"),
        (DataError("two\nlines\u2028here"), 1, "wfst-hmm: two lines here\n"),
    ],
)
def test_exit_codes(
    capsys: pytest.CaptureFixture[str], raises: BaseException | None, code: int, message: str
) -> None:
    assert shell.run(lambda: application(raises), ["go"]) == code
    caught = capsys.readouterr()
    assert caught.err.startswith(message)
    assert len(caught.err.splitlines()) == (1 if message else 0)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        shell.run(lambda: application(ZeroDivisionError()), ["go"])


def test_nothing_and_nonsense(run: CommandLine) -> None:
    assert "Usage:" in run().out
    assert run("--version").out.startswith("wfst-hmm ")
    assert "No such command 'sing'" in run.fails("sing", code=2)
    assert "decode --help" in run.fails("decode", code=2)
    assert "--wide" in run.fails("info", "x", "--wide", code=2)
    assert "valid number" in run.fails("decode", "g", "a.wav", "--beam", "loud", code=2)
    assert "at least 1" in run.fails("draw", "x.fst", "--max-states", 0, code=2)


def test_the_overview_has_every_command_under_one_heading(run: CommandLine) -> None:
    lines = run("--help").out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.strip()]
    for heading, names in GROUPS.items():
        place = lines.index(f"{heading}:")
        assert [line.split()[0] for line in lines[place + 1 : place + 1 + len(names)]] == [*names]
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    assert all(listed.count(name) == 1 for name in COMMANDS)


def test_json_has_no_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    shell.print_json({"a": [float("inf"), 1.0], "ü": float("nan")})
    assert capsys.readouterr().out.split() == [
        "{",
        '"a":',
        "[",
        "null,",
        "1.0",
        "],",
        '"ü":',
        "null",
        "}",
    ]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from wfst_hmm.cli import main; main(['--help']);"
        "bad = {'numpy', 'numba', 'pywrapfst', 'soundfile', 'rich'} & set(sys.modules);"
        "sys.exit(','.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_leaves_early_is_no_error(tiny_speech: TinySpeech) -> None:
    command = [*PROGRAM, "info", str(tiny_speech.model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
        process.wait(60)
    assert b"Traceback" not in complaint


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_training_leaves_no_partial_output(
    tiny_speech: TinySpeech, tmp_path: Path, sent: int, code: int
) -> None:
    target = tmp_path / "model"
    command = [*PROGRAM, "train", str(tiny_speech.train), str(target), "--lexicon",
               str(tiny_speech.lexicon), "--passes", "100000", "--threads", "1"]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells ignore it behind &
    )  # fmt: skip
    journal = tmp_path / "model.journal"
    for _ in range(600):
        if journal.exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    os.kill(process.pid, sent)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == code, complaint
    assert complaint.decode().splitlines()[-1].startswith("wfst-hmm: ")
    assert not target.exists()
    assert {p.name for p in tmp_path.iterdir()} <= {"model.journal"}  # to go on from


def test_interrupted_decoding_leaves_older_results_alone(
    tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: CommandLine
) -> None:
    from wfst_hmm.apps import recognize

    (tmp_path / "hyp.txt").write_text("old\n")

    def interrupted(*arguments: object, **named: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(recognize, "answer", interrupted)
    done = run("decode", tiny_speech.graph, tiny_speech.test, "--out", tmp_path)
    assert done.code == 130
    assert (tmp_path / "hyp.txt").read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["hyp.txt"]
