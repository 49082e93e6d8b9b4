"""Transcribing with a model at hand: graphs kept and found again, recordings as users have them."""

import gzip
import json
import shutil

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech
from typer.testing import CliRunner

from wfst_hmm.apps import preparation
from wfst_hmm.apps.preparation import prepared_corpus
from wfst_hmm.apps.recognize import corpus_of_files, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.transcription import cache_folder, faster, transcriber
from wfst_hmm.cli.app import assemble
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.search.options import SearchOptions

ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0 <s> -0.3
-1.0 </s>
-0.5 {0} -0.2
-0.6 {1} -0.2
-0.7 {2} -0.2

\\2-grams:
-0.2 <s> {0}
-0.3 {0} {1}

\\end\\
"""


@pytest.fixture
def parts(tiny_speech: TinySpeech, tmp_path):
    """A model, its lexicon as a file, and a cache of one's own."""
    recognizer = Recognizer.load(tiny_speech.graph)
    recognizer.graph.lexicon.write(tmp_path / "lexicon.txt")
    return {"model": tiny_speech.graph / "model", "lexicon": tmp_path / "lexicon.txt",
            "cache": tmp_path / "cache"}  # fmt: skip


def test_a_graph_is_built_once(parts, tiny_speech):
    told = []
    first = transcriber(grammar="loop", progress=told.append, **parts)
    assert first.built
    assert any("arcs" in text for text in told)
    told.clear()
    second = transcriber(grammar="loop", progress=told.append, **parts)
    assert (second.built, second.folder, told) == (False, first.folder, [])
    assert second.megabytes > 0
    corpus = read_corpus(tiny_speech.test)
    twins = decode_corpus(Recognizer.load(tiny_speech.graph), corpus)
    for outcome, twin in zip(decode_corpus(second.recognizer, corpus), twins, strict=True):
        assert outcome.decoded.text == twin.decoded.text


def test_other_content_is_another_graph(parts):
    first = transcriber(grammar="loop", **parts)
    assert transcriber(grammar="words", **parts).folder != first.folder
    text = parts["lexicon"].read_text().splitlines()
    parts["lexicon"].write_text("\n".join(text[:-1]) + "\n")
    shorter = transcriber(grammar="loop", **parts)
    assert shorter.folder != first.folder
    assert len(shorter.recognizer.graph.words) < len(first.recognizer.graph.words)


@pytest.mark.parametrize("damage", ["truncate", "no mark", "empty"])
def test_damage_in_the_cache_is_built_again(parts, damage):
    first = transcriber(grammar="loop", **parts)
    if damage == "truncate":
        path = first.folder / "graph" / "graph.fst"
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "no mark":
        (first.folder / "cache.json").unlink()
    else:
        shutil.rmtree(first.folder / "graph")
    again = transcriber(grammar="loop", **parts)
    assert again.built
    assert again.folder == first.folder
    assert not transcriber(grammar="loop", **parts).built


def test_language_models_give_compact_graphs_and_smaller_vocabularies(parts, tmp_path):
    words = sorted(Recognizer.load(transcriber(grammar="loop", **parts).folder / "graph").graph.words)  # fmt: skip
    words = [word for word in words if word != "<eps>"][:3]
    (tmp_path / "lm.arpa").write_text(ARPA.format(*words))
    whole = transcriber(grammar=tmp_path / "lm.arpa", **parts).recognizer.graph
    assert isinstance(whole, CompactGraph)
    assert set(whole.words) == {"<eps>", *words}
    small = transcriber(grammar=tmp_path / "lm.arpa", vocabulary=2, **parts).recognizer.graph
    assert set(small.words) == {"<eps>", *words[:2]}
    heading = "made by hand\n" * 1000  # a long one, and packed: it is known by its content
    packed = gzip.compress((heading + ARPA.format(*words)).encode())
    for name in ("d.lm.gz", "d"):
        (tmp_path / name).write_bytes(packed)
        again = transcriber(grammar=tmp_path / name, vocabulary=2, **parts).recognizer.graph
        assert set(again.words) == set(small.words)
    with pytest.raises(UsageError, match="language model"):
        transcriber(grammar="loop", vocabulary=2, **parts)
    with pytest.raises(UsageError, match="positive"):
        transcriber(grammar="loop", vocabulary=0, **parts)


def test_the_cache_that_cannot_be_written(parts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be kept"):
        transcriber(grammar="loop", **{**parts, "cache": tmp_path / "file"})


def test_where_graphs_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "wfst_hmm"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder().is_absolute()
    assert cache_folder().name == "wfst_hmm"


def test_faster_is_narrower():
    options = SearchOptions(beam=10.0, max_active=100)
    assert faster(options).beam < options.beam
    assert faster(options).max_active < options.max_active


# -- recordings as users have them ----------------------------------------------------------------


def test_channels_and_rates_are_told(tiny_speech, tmp_path):
    samples, _ = soundfile.read(tiny_speech.test / "sp0-02.wav")
    soundfile.write(tmp_path / "stereo.wav", np.column_stack([samples, 0 * samples]), RATE)
    soundfile.write(tmp_path / "fast.wav", soxr.resample(samples, RATE, 2 * RATE), 2 * RATE)
    soundfile.write(tmp_path / "slow.wav", soxr.resample(samples, RATE, RATE // 2), RATE // 2)
    names = [tmp_path / f"{n}.wav" for n in ("stereo", "fast", "slow", "none")]
    notes = []
    corpus = prepared_corpus(corpus_of_files(names), RATE, notes.append)
    assert [u.channel for u in corpus] == [0, None, None, None]
    assert len(notes) == 3
    assert "2 channels" in notes[0]
    assert "converted" in notes[1]
    assert "expect more errors" in notes[2]
    recognizer = Recognizer.load(tiny_speech.graph)
    stereo, fast, _, none = decode_corpus(recognizer, corpus, resample=True)
    (plain,) = decode_corpus(recognizer, [tiny_speech.test / "sp0-02.wav"])
    assert stereo.decoded.text == fast.decoded.text == plain.decoded.text
    assert none.error is not None


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(6001, 100_000))
def test_cuts_lie_where_it_is_quiet(seed, n):
    rng = np.random.default_rng(seed)
    levels = rng.uniform(-30, -20, n)
    quiet = [*range(1500, n, 2500)]
    for at in quiet:
        levels[at - 30 : at + 30] = -70.0
    cuts = list(preparation._cuts(levels))
    borders = np.array([0.0, *cuts, n / 100])
    assert np.all(np.diff(borders) >= preparation._SHORTEST - 1e-6)
    assert np.diff(borders).max() <= preparation.LONGEST / 2 + 1e-6
    for cut in cuts:
        assert min(abs(cut * 100 - at) for at in quiet) <= 40


def test_long_recordings_are_cut_at_pauses(tiny_speech, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "LONGEST", 3.0)
    monkeypatch.setattr(preparation, "_WANTED", 1.0)
    monkeypatch.setattr(preparation, "_SHORTEST", 0.5)
    corpus = read_corpus(tiny_speech.test)
    samples, words = [], []
    for utterance in corpus.utterances[:3]:
        samples += [soundfile.read(utterance.audio)[0], np.zeros(RATE // 2)]
        words += utterance.words
    soundfile.write(tmp_path / "long.wav", np.concatenate(samples), RATE)
    length = sum(map(len, samples)) / RATE
    notes = []
    pieces = prepared_corpus(corpus_of_files([tmp_path / "long.wav"]), RATE, notes.append)
    if length > 3.0:
        assert len(pieces) > 1
        assert "cut at pauses" in notes[0]
        assert [u.id for u in pieces] == [f"long-{n:04}" for n in range(1, len(pieces) + 1)]
        assert len({u.speaker for u in pieces}) == 1
    assert (pieces.utterances[0].start or 0.0, pieces.utterances[-1].end or length) == (
        0.0, pytest.approx(length))  # fmt: skip


# -- the command ----------------------------------------------------------------------------------


def run(*arguments):
    arguments = ["transcribe", *map(str, arguments)]
    return CliRunner().invoke(assemble(arguments), arguments)


def test_the_command(parts, tiny_speech, tmp_path):
    named = [f"--{name}={value}" for name, value in parts.items()]
    result = run(tiny_speech.test, *named, "--grammar", "loop", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "building the decoding graph, once" in result.stderr
    hypotheses = (tmp_path / "out" / "hyp.txt").read_text().splitlines()
    corpus = read_corpus(tiny_speech.test)
    assert hypotheses == [" ".join([u.id, *u.words]) for u in sorted(corpus, key=lambda u: u.id)]
    assert result.stdout.splitlines() == [" ".join([u.id, *u.words]) for u in corpus]
    again = run(tiny_speech.test, *named, "--grammar", "loop", "--json", "--fast")
    assert "building" not in again.stderr
    assert [row["id"] for row in json.loads(again.stdout)] == [u.id for u in corpus]
    srt = run(tiny_speech.test / "sp0-02.wav", *named, "--grammar", "loop", "--form", "srt")
    assert "-->" in srt.stdout
    bad = run(tmp_path / "none.wav", *named, "--grammar", "loop")
    assert bad.exit_code == 1
    assert "skipped" in bad.stderr
