"""Odd recordings on the command line: every command reads them alike, or says the same of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from command_line import CommandLine
from tiny_speech import RATE, TinySpeech

from wfst_hmm.cli.app import assemble

#: Every command that reads recordings, and how it names them.
READERS = {
    "train": "train DATA new --lexicon LEXICON --passes 1 --gaussians 10 -j 1",
    "adapt": "adapt MODEL DATA new --lexicon LEXICON",
    "vtln": "vtln DATA --graph GRAPH --out warps",
    "prons": "prons DATA --model MODEL --lexicon LEXICON --out lexiconp.txt",
    "decode": "decode GRAPH DATA",
    "transcribe": "transcribe DATA --model MODEL --lexicon LEXICON --grammar loop --cache cache",
    "calibrate": "calibrate GRAPH DATA --out confidence.json",
    "align": "align DATA --model MODEL --lexicon LEXICON --out aligned",
    "features": "features DATA --model MODEL --out features",
    "draw": "draw GRAPH --film ONE --out film.html",
    "speaker identify": "speaker identify ONE --model speakers.npz",
    "words recognize": "words recognize ONE --model words",
    "diarize": "diarize ONE",
}


def changed(folder: Path, corpus: Path, change: str) -> Path:
    """Copy a corpus with other recordings: headerless, of two channels, of another rate."""
    shutil.copytree(corpus, folder)
    for path in folder.glob("*.wav"):
        samples, rate = soundfile.read(path, dtype="float32")
        if change == "raw":
            (samples * 32767).astype("<i2").tofile(path.with_suffix(".raw"))
            path.unlink()
        elif change == "stereo":
            soundfile.write(path, np.stack([0 * samples, samples], axis=1), rate)
        elif change == "rate":
            soundfile.write(path, np.repeat(samples, 2), 2 * rate)
    if change == "raw":
        listing = folder / "wav.scp"
        listing.write_text(listing.read_text().replace(".wav", ".raw"))
    return folder


def arguments(command: str, tiny_speech: TinySpeech, data: Path) -> list[str]:
    one = sorted(data.glob("sp0-02.*"))[0]
    names = {"DATA": data, "ONE": one, "MODEL": tiny_speech.model, "GRAPH": tiny_speech.graph,
             "LEXICON": tiny_speech.lexicon}  # fmt: skip
    return [str(names.get(word, word)) for word in command.split()]


def options_of(command: str) -> set[str]:
    found = typer.main.get_command(assemble())
    for name in command.split():
        found = found.commands[name]  # type: ignore[attr-defined]
    return {option for parameter in found.params for option in parameter.opts}


@pytest.mark.parametrize("command", READERS)
def test_all_commands_have_the_options_that_messages_name(command: str) -> None:
    always = {"transcribe", "diarize", "speaker identify"}  # convert rates without being asked
    wanted = {"--channel", "--raw"} | (
        {"--resample"} - ({"--resample"} if command in always else set())
    )
    assert wanted <= options_of(command)


@pytest.mark.parametrize("command", [c for c in READERS if " " not in c and c != "diarize"])
@pytest.mark.parametrize("change", ["raw", "stereo", "rate"])
def test_odd_recordings(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: str, change: str,
) -> None:  # fmt: skip
    if (command, change) in (("transcribe", "stereo"), ("transcribe", "rate"), ("train", "rate")):
        pytest.skip("takes them without being asked")
    data = changed(tmp_path / "data", tiny_speech.test, change)
    monkeypatch.chdir(tmp_path)
    given = arguments(READERS[command], tiny_speech, data)
    option, value = {"raw": ("--raw", f"{RATE}:s16le"), "stereo": ("--channel", "1"),
                     "rate": ("--resample", None)}[change]  # fmt: skip
    refused = run(*given)
    assert "Traceback" not in refused.err
    assert refused.code == 1, refused.err
    assert option in refused.err, refused.err
    done = run(*given, option, *([value] if value else []))
    if command == "calibrate":  # has read them all: the toy's words are too easy to fit anything to
        assert "words are right: confidences cannot be fitted" in done.err
        return
    assert done.code == 0, done.err
    if command == "decode":
        assert done.out == run(*arguments(READERS[command], tiny_speech, tiny_speech.test)).out


def test_one_raw_file_among_many_is_named_and_left_out(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_speech.test, data)
    (data / "sp0-02.wav").rename(data / "sp0-02.raw")  # a WAV that is only called so
    (data / "sp1-03.raw").write_bytes(bytes(range(7)) * 500)
    (data / "sp1-03.wav").unlink()
    listing = data / "wav.scp"
    names = listing.read_text()
    for name in ("sp0-02", "sp1-03"):
        names = names.replace(f"{name}.wav", f"{name}.raw")
    listing.write_text(names)
    done = run("decode", tiny_speech.graph, data)
    assert done.code == 1
    assert len(done.out.splitlines()) == 5
    assert "sp1-03.raw: not a readable audio file" in done.err
    assert "--raw RATE[:FORMAT]" in done.err


def test_a_warning_is_one_line(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    path = tmp_path / "glued.wav"
    first = (tiny_speech.test / "sp0-00.wav").read_bytes()
    path.write_bytes(first + first)
    done = run("decode", tiny_speech.graph, path)
    assert done.code == 0
    assert done.out.split() == ["glued", *run("decode", tiny_speech.graph,
                                             tiny_speech.test / "sp0-00.wav").out.split()[1:]]  # fmt: skip
    assert (
        done.err == f"wfst-hmm: {path}: another WAV is glued to its end: only the first is read.\n"
    )


@pytest.mark.parametrize(
    "command", ["decode", "align", "adapt", "vtln", "prons", "features", "train"]
)
def test_transcripts_without_recordings_are_named_and_left_out(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:  # fmt: skip
    part = tmp_path / "part" / "12" / "34"
    part.mkdir(parents=True)
    lines = (tiny_speech.test / "text").read_text().splitlines()
    for line in lines:
        samples, rate = soundfile.read(tiny_speech.test / f"{line.split()[0]}.wav")
        soundfile.write(part / f"{line.split()[0]}.flac", samples, rate)
    (part / "12-34.trans.txt").write_text("\n".join([lines[0], "sp9-99 ba bi", *lines[1:]]) + "\n")
    monkeypatch.chdir(tmp_path)
    given = READERS[command].replace("ONE", "DATA")
    done = run(*(str(word) for word in [
        {"DATA": tmp_path / "part", "MODEL": tiny_speech.model, "GRAPH": tiny_speech.graph,
         "LEXICON": tiny_speech.lexicon}.get(word, word) for word in given.split()]))  # fmt: skip
    assert "12-34.trans.txt:2: no such recording; got" in done.err
    assert "sp9-99.flac. Restore it" in done.err
    assert "Traceback" not in done.err
    if command == "decode":
        assert len(done.out.splitlines()) == 6


@pytest.mark.parametrize("command", ["decode", "align", "features", "adapt", "train", "prons"])
def test_a_table_with_a_wrong_header_is_called_that(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    table = Path("corpus.tsv")
    table.write_text("name\tfile\ttext\na\ta.wav\tba\n")
    given = [str({"DATA": table, "MODEL": tiny_speech.model, "GRAPH": tiny_speech.graph,
                  "LEXICON": tiny_speech.lexicon}.get(word, word))
             for word in READERS[command].split()]  # fmt: skip
    line = run.fails(*given)
    assert line.startswith("wfst-hmm: corpus.tsv:1: not the header of a manifest; got 'name file")


def test_decoding_needs_no_text_column(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    table = tmp_path / "corpus.tsv"
    table.write_text(f"audio\tid\n{tiny_speech.test / 'sp0-00.wav'}\tone\n")
    done = run("decode", tiny_speech.graph, table)
    assert (done.code, done.out.split()[0]) == (0, "one"), done.err
    assert run("info", table, "--json").json["kind"] == "manifest"


def test_files_end_where_the_recording_or_the_segment_ends(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    samples, _ = soundfile.read(tiny_speech.test / "sp1-03.wav")
    odd = samples[: len(samples) - len(samples) % 80 + 41]  # not a whole number of frames
    Path("data").mkdir()
    soundfile.write("data/call.wav", np.stack([0 * odd, odd], axis=1), RATE)
    seconds = len(odd) / RATE
    text = next(line.split(None, 1)[1]
                for line in (tiny_speech.test / "text").read_text().splitlines()
                if line.startswith("sp1-03"))  # fmt: skip
    Path("data/wav.scp").write_text("call call.wav\n")
    Path("data/segments").write_text(f"one call 0.05 {seconds - 0.02:.6f} 1\n")
    Path("data/text").write_text(f"one {text}\n")
    done = run("align", "data", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
               "--out", "part")  # fmt: skip
    assert done.code == 0, done.err
    grid = Path("part/textgrid/one.TextGrid").read_text().splitlines()
    assert float(grid[4].split("=")[1]) == pytest.approx(seconds - 0.02, abs=1e-3)
    rows = [line.split() for line in Path("part/phones.ctm").read_text().splitlines()]
    assert {(row[0], row[1]) for row in rows} == {("call", "2")}
    assert float(rows[0][2]) == pytest.approx(0.05)
    assert float(rows[-1][2]) + float(rows[-1][3]) == pytest.approx(seconds - 0.02, abs=2e-3)
    done = run("align", tiny_speech.test, "--model", tiny_speech.model, "--lexicon",
               tiny_speech.lexicon, "--out", "whole")  # fmt: skip
    assert done.code == 0, done.err
    for path in sorted(tiny_speech.test.glob("*.wav")):
        grid = Path(f"whole/textgrid/{path.stem}.TextGrid").read_text().splitlines()
        assert float(grid[4].split("=")[1]) == pytest.approx(soundfile.info(path).duration)
    first = Path("whole/words.ctm").read_text().split()
    assert first[:2] == ["sp0-00", "1"]
