"""Confidences, n-best lists, lattices and forms of results on the command line."""

import json
from pathlib import Path

import pytest
import webvtt
from command_line import CommandLine
from tiny_speech import TinySpeech, write_one_wrong

import wfst_hmm as wh
from wfst_hmm.apps.recognize import stream_features
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.formats.ctm import read_ctm
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.lattice.nbest import best_hypothesis
from wfst_hmm.lattice.store import read_lattices
from wfst_hmm.search.result import NoPath


def test_forms_in_a_folder(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    out = tmp_path / "out"
    forms = [
        part for form in ("ctm", "textgrid", "srt", "vtt", "json") for part in ("--form", form)
    ]
    done = run("decode", tiny_speech.graph, tiny_speech.test, *forms, "--nbest", 2, "--lattice",
               "--out", out)  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:2] == ["sp0-00", "1"]
    decoded = json.loads((out / "decode.json").read_text())
    ctm, lattices = read_ctm(out / "words.ctm"), read_lattices(out / "lattices.npz")
    assert len(decoded) == len(ctm) == len(lattices) == 6
    for utterance in decoded:
        id_, texts = utterance["id"], utterance["text"].split()
        assert [word.text for word in ctm[id_]] == texts
        assert all(0 < word.confidence <= 1 for word in ctm[id_])  # type: ignore[operator]
        assert [word["text"] for word in utterance["words"]] == texts
        assert all(0 < word["confidence"] <= 1 for word in utterance["words"])
        n_frames = sum(len(phone["states"]) for phone in utterance["phones"])
        assert n_frames == utterance["n_frames"]
        assert utterance["alternatives"][0]["text"] == utterance["text"]
        best = best_hypothesis(lattices[id_])
        assert best is not None
        assert " ".join(best.words) == utterance["text"]
        assert best.total_cost == pytest.approx(utterance["total_cost"], rel=1e-4)
        captions = webvtt.read(str(out / "vtt" / f"{id_}.vtt"))
        assert " ".join(caption.text for caption in captions).split() == texts
        assert (out / "srt" / f"{id_}.srt").is_file()
        assert (out / "textgrid" / f"{id_}.TextGrid").is_file()
    first = (out / "nbest.txt").read_text().splitlines()[0].split("\t")
    assert first[:2] == ["sp0-00", "1"]


def test_segments_share_the_subtitles_of_their_recording(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    manifest = tmp_path / "list.tsv"
    audio = tiny_speech.test / "sp1-03.wav"
    manifest.write_text(
        f"id\taudio\ttext\tstart\tend\na\t{audio}\t\t0\t0.75\nb\t{audio}\t\t0.75\t1.5\n"
    )
    done = run("decode", tiny_speech.graph, manifest, "--form", "srt")
    assert done.code == 0, done.err
    assert done.out.startswith("1\n00:00:00,1")
    ctm = run("decode", tiny_speech.graph, manifest, "--form", "ctm").out.splitlines()
    assert {line.split()[0] for line in ctm} == {"sp1-03"}  # the recording, and its times
    starts = [float(line.split()[2]) for line in ctm]
    assert starts == sorted(starts)
    assert [start >= 0.75 for start in starts] == [False, False, True, True]


def test_printed_forms_and_confidences(run: CommandLine, tiny_speech: TinySpeech) -> None:
    audio = tiny_speech.test / "sp0-00.wav"
    assert run("decode", tiny_speech.graph, audio, "--confidence").out.startswith("sp0-00 su:")
    assert run("decode", tiny_speech.graph, audio, "--form", "textgrid").out.startswith("File type")
    as_json = run("decode", tiny_speech.graph, audio, "--form", "json").json
    assert as_json == run("decode", tiny_speech.graph, audio, "--json").json
    assert as_json[0]["words"][0]["confidence"] > 0.9
    without = run("decode", tiny_speech.graph, audio, "--json", "--no-confidence").json
    assert "confidence" not in without[0]["words"][0]
    exact = run("decode", tiny_speech.graph, audio, "--json", "--search", "exact").json
    assert exact[0]["words"][0]["confidence"] > 0.9


def test_calibration(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    path = tmp_path / "confidence.json"
    weak = ["--acoustic-scale", 0.006]  # so that not all words are sure
    write_one_wrong(tmp_path / "some.tsv", tiny_speech.graph, tiny_speech.test, weak[1])
    some_wrong = ["calibrate", tiny_speech.graph, tmp_path / "some.tsv", *weak, "--out", path]
    made = run(*some_wrong, "--json")
    assert made.code == 0, made.err
    fit = made.json["calibration"]
    assert 0 < fit["n_correct"] < fit["n_words"]
    assert fit["slope"] > 0
    audio = tiny_speech.test / "sp0-00.wav"
    Calibration(0.0, 2.5).save(tmp_path / "other.json")
    plain = run("decode", tiny_speech.graph, audio, "--json").json[0]["words"][0]["confidence"]
    told = run("decode", tiny_speech.graph, audio, "--json", "--calibration",
               tmp_path / "other.json").json  # fmt: skip
    assert told[0]["words"][0]["confidence"] == pytest.approx(0.924, abs=0.001)
    assert plain > 0.99


def test_a_calibration_that_says_nothing_replaces_none(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    path = tmp_path / "confidence.json"
    command = ["calibrate", tiny_speech.graph, tiny_speech.test, "--out", path]
    assert "all of the 13 words are right" in run.fails(*command)
    assert not path.exists()
    Calibration(0.5, -0.25).save(path)
    before = path.read_bytes()
    assert "stays as it is" in run.fails(*command)
    assert path.read_bytes() == before


def test_complaints(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    graph, test = tiny_speech.graph, tiny_speech.test
    assert "unknown form" in run.fails("decode", graph, test, "--form", "doc", code=2)
    assert "6 files" in run.fails("decode", graph, test, "--form", "srt", code=2)
    assert "--out" in run.fails("decode", graph, test, "--lattice", code=2)
    assert "--out" in run.fails("decode", graph, test, "--form", "srt", "--form", "vtt", code=2)
    assert "no such file" in run.fails("decode", graph, test, "--calibration", tmp_path / "no")
    (tmp_path / "bad").write_text("{}")
    assert "no calibration" in run.fails("decode", graph, test, "--calibration", tmp_path / "bad")


def test_transcribe_tells_how_sure_it_is(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    """The same options on a graph of its own, words and phones in context or not."""
    common = ["transcribe", tiny_speech.test, "--model", tiny_speech.model, "--lexicon",
              tiny_speech.lexicon, "--grammar", "loop", "--cache", tmp_path / "cache"]  # fmt: skip
    plain = run(*common)
    assert plain.code == 0, plain.err
    sure = run(*common, "--confidence").out.splitlines()
    for line, told in zip(plain.out.splitlines(), sure, strict=True):
        words = [part.rsplit(":", 1) for part in told.split()[1:]]
        assert [word for word, _ in words] == line.split()[1:]
        assert all(0 < float(share) <= 1 for _, share in words)
    out = tmp_path / "out"
    listed = run(*common, "--nbest", 2, "--lattice", "--out", out)
    assert listed.out.split()[:2] == ["sp0-00", "1"]
    assert len(read_lattices(out / "lattices.npz")) == 6
    assert "--out" in run.fails(*common, "--lattice", code=2)
    again = tmp_path / "again"
    shared = run(
        *common, "--nbest", 2, "--lattice", "--out", again, "--cluster", "threads", "-j", 2
    )
    assert shared.out == listed.out
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in out.iterdir()
    }
    assert not (tmp_path / "again.journal").exists()


def test_python_and_the_command_line_agree(
    run: CommandLine,
    tiny_speech: TinySpeech,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Naming a beam changes the beam and nothing else."""
    monkeypatch.chdir(tmp_path)
    recognizer = wh.Recognizer.load(tiny_speech.graph)
    features = {
        utterance.id: found
        for utterance, found in stream_features(read_corpus(tiny_speech.test), recognizer.model)
    }
    for more, options in (
        ([], None), (["--beam", 12], wh.SearchOptions(beam=12)),
        (["--search", "beam", "--beam", 3], wh.SearchOptions(search="beam", beam=3)),
        (["--search", "exact", "--certify"], wh.SearchOptions(search="exact", certify=True)),
    ):  # fmt: skip
        told = run("decode", tiny_speech.graph, tiny_speech.test, "--json", *more).json
        assert len(told) == len(features)
        for line in told:
            found = features[line["id"]]
            assert not isinstance(found, WfstHmmError)
            result = wh.decode(recognizer.graph, recognizer.model.score(found), options)
            if isinstance(result, NoPath):
                assert line["detail"] == result.detail
            else:
                assert line["text"] == result.text
                assert line["total_cost"] == pytest.approx(result.total_cost, rel=1e-6)
                assert line["notes"] == list(result.notes)
    assert "certificate: optimal" in told[0]["notes"][0]
