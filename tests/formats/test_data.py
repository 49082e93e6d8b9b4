"""Kaldi data directories and manifests: what they give, and what is wrong with them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.formats.data import (
    read_corpus,
    read_text,
    read_transcripts,
    write_manifest,
    write_text,
)
from wfst_hmm.signal.audio import Audio, write_wav
from wfst_hmm.signal.corpus import Corpus, Utterance

Maker = Callable[..., Path]


@pytest.fixture
def kaldi(tmp_path: Path) -> Maker:
    """Write a data directory from its files' contents; ``wavs/a.wav`` .. ``c.wav`` exist."""

    def make(**files: str) -> Path:
        folder = tmp_path / "data"
        for name in "abc":
            path = folder / "wavs" / f"{name}.wav"
            write_wav(path, Audio(np.zeros(10, dtype=np.float32), 8000))
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
        return folder

    return make


WAV_SCP = "a wavs/a.wav\nb wavs/b.wav\n"


def test_kaldi_directory(kaldi: Maker) -> None:
    folder = kaldi(wav_scp=WAV_SCP, text="b uno  dos\na\n", utt2spk="a ann\nb bob\n")
    corpus = read_corpus(folder)
    a, b = corpus
    assert a == Utterance(
        "a", folder / "wavs" / "a.wav", (), "ann", where=f"{folder / 'wav.scp'}:1"
    )
    assert (b.words, b.speaker) == (("uno", "dos"), "bob")
    assert corpus.where == str(folder)


def test_only_wav_scp(kaldi: Maker) -> None:
    corpus = read_corpus(kaldi(wav_scp=WAV_SCP + "\n"))
    assert [(u.words, u.speaker) for u in corpus] == [(None, "a"), (None, "b")]


def test_segments(kaldi: Maker) -> None:
    folder = kaldi(
        wav_scp=WAV_SCP, segments="x b 0.5 1.25\ny a 0 -1 1\n", text="x hi\n", utt2spk="x s\ny s\n"
    )
    x, y = read_corpus(folder)
    assert (x.id, x.audio.name, x.start, x.end, x.channel) == ("x", "b.wav", 0.5, 1.25, None)
    assert (y.id, y.audio.name, y.start, y.end, y.channel) == ("y", "a.wav", 0.0, None, 1)
    assert (x.words, y.words, x.speaker) == (("hi",), None, "s")


def test_paths_with_spaces_and_absolute_and_of_the_current_directory(
    kaldi: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kaldi(wav_scp=f"a wavs/with space.wav\nb {tmp_path}/data/wavs/b.wav\nc here/c.wav\n")
    (folder / "wavs" / "a.wav").rename(folder / "wavs" / "with space.wav")
    (tmp_path / "here").mkdir()
    (folder / "wavs" / "c.wav").rename(tmp_path / "here" / "c.wav")
    monkeypatch.chdir(tmp_path)
    assert all(u.audio.exists() for u in read_corpus(folder))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "not a Kaldi data directory: it has no wav.scp"),
        ({"wav_scp": ""}, "data: no utterance"),
        ({"wav_scp": "a\n"}, r"wav\.scp:1: no audio file"),
        ({"wav_scp": "a sox a.wav -t wav - |\n"}, r"wav\.scp:1: a shell command .*Run it yourself"),
        ({"wav_scp": WAV_SCP + "a wavs/c.wav\n"}, r"wav\.scp:3: id 'a' twice, first in .*scp:1"),
        (
            {"wav_scp": "a wavs/none.wav\n"},
            r"utterance a \(.*wav\.scp:1\): no such audio file; got 'wavs/none.wav' "
            r"\(tried .*data/wavs/none\.wav and .*wavs/none\.wav\)",
        ),
        (
            {"wav_scp": WAV_SCP, "text": "a x\nq y\n"},
            r"text:2: a text line without audio: 'q' is not in wav\.scp",
        ),
        ({"wav_scp": WAV_SCP, "text": "a x\na y\n"}, r"text:2: id 'a' twice"),
        ({"wav_scp": WAV_SCP, "utt2spk": "a s\n"}, r"utt2spk: no speaker of utterance 'b'"),
        ({"wav_scp": WAV_SCP, "utt2spk": "a s t\nb s\n"}, r"utt2spk:1: not a speaker"),
        ({"wav_scp": WAV_SCP, "segments": "x q 0 1\n"}, r"segments:1: segment of an unknown rec"),
        ({"wav_scp": WAV_SCP, "segments": "x a 0\n"}, r"segments:1: not a segment; got 3 fields"),
        ({"wav_scp": WAV_SCP, "segments": "x a 0 one\n"}, r"segments:1: not a time; got 'one'"),
        ({"wav_scp": WAV_SCP, "segments": "x a 0 nan\n"}, r"segments:1: not a time; got 'nan'"),
        ({"wav_scp": WAV_SCP, "segments": "x a 2 1\n"}, r"segments:1: .*ends before it starts"),
        ({"wav_scp": WAV_SCP, "segments": "x a -2 1\n"}, r"segments:1: .*0 <= start"),
        ({"wav_scp": WAV_SCP, "segments": "x a 0 1 A\n"}, r"segments:1: no channel; got 'A'"),
        ({"wav_scp": WAV_SCP, "segments": "x a 0 1\nx a 1 2\n"}, r"segments:2: id 'x' twice"),
    ],
)
def test_bad_directories(kaldi: Maker, files: dict[str, str], message: str) -> None:
    with pytest.raises(WfstHmmError, match=message) as caught:
        read_corpus(kaldi(**files))
    assert "\n" not in str(caught.value)


def test_bad_utterances_are_reported_and_left_out(kaldi: Maker) -> None:
    folder = kaldi(wav_scp="a wavs/a.wav\nb wavs/none.wav\nc wavs/c.wav\n", text="a x\nb y\nq z\n")
    said: list[tuple[str, WfstHmmError]] = []
    corpus = read_corpus(folder, on_error=lambda *pair: said.append(pair))
    assert [u.id for u in corpus] == ["a", "c"]
    assert [id_ for id_, _ in said] == ["q", "b"]


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such data; expected a Kaldi data directory or a TSV"):
        read_corpus(tmp_path / "none")


HEADER = "id\taudio\ttext\tspeaker\n"


def test_manifest(kaldi: Maker) -> None:
    folder = kaldi(m_tsv="\ufeff" + HEADER + "a\twavs/a.wav\tone two\tann\n\nb\twavs/b.wav\t\n")
    a, b = read_corpus(folder / "m.tsv")
    assert (a.id, a.words, a.speaker) == ("a", ("one", "two"), "ann")
    assert a.audio == folder / "wavs" / "a.wav"
    assert a.where.endswith("m.tsv:2")
    assert (b.words, b.speaker) == (None, "b")


def test_manifest_columns_in_any_order(kaldi: Maker) -> None:
    folder = kaldi(
        m_tsv="text\tend\tid\tstart\taudio\tchannel\none\t2.5\ta\t1\twavs/a.wav\t1\n"
        "two\t\tb\t\twavs/a.wav\t\n"
    )
    a, b = read_corpus(folder / "m.tsv")
    assert (a.words, a.start, a.end, a.channel) == (("one",), 1.0, 2.5, 1)
    assert (b.start, b.end, b.channel) == (None, None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no utterance"),
        (HEADER, "no utterance"),
        ("a\twavs/a.wav\tone\n", r"m\.tsv:1: not the header of a manifest"),
        ("id\ttext\n", r"m\.tsv:1: not the header"),
        ("id\taudio\ttext\tcolour\n", r"m\.tsv:1: not the header"),
        ("id\taudio\ttext\tid\n", r"m\.tsv:1: not the header"),
        (HEADER + "a wavs/a.wav one\n", r"m\.tsv:2: wrong number of tab-separated fields; got 1"),
        (HEADER + "a\twavs/a.wav\tone\ts\tmore\n", r"m\.tsv:2: wrong number"),
        (HEADER + "\twavs/a.wav\tone\n", r"m\.tsv:2: an id that is empty"),
        (HEADER + "a b\twavs/a.wav\tone\n", r"m\.tsv:2: an id .* white space; got 'a b'"),
        (HEADER + "a\t\tone\n", r"m\.tsv:2: no audio file"),
        (HEADER + "a\tcat x |\tone\n", r"m\.tsv:2: a shell command"),
        (
            HEADER + "a\twavs/a.wav\tone\na\twavs/b.wav\ttwo\n",
            r"m\.tsv:3: utterance id 'a' twice, first in .*m\.tsv:2",
        ),
        (HEADER + "a\twavs/x.wav\tone\n", r"utterance a \(.*m\.tsv:2\): no such audio file"),
    ],
)
def test_bad_manifests(kaldi: Maker, content: str, message: str) -> None:
    with pytest.raises(WfstHmmError, match=message):
        read_corpus(kaldi(m_tsv=content) / "m.tsv")


NAMES = st.text("abé_-1", min_size=1, max_size=6)
SECONDS = st.one_of(st.none(), st.floats(0, 100))


@given(
    rows=st.dictionaries(
        NAMES,
        st.tuples(
            st.lists(NAMES, max_size=3),
            NAMES,
            SECONDS,
            st.sampled_from([None, 0, 3]),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_manifest_round_trip(
    tmp_path: Path, rows: dict[str, tuple[list[str], str, float | None, int | None]]
) -> None:
    audio = tmp_path / "audio" / "a b.wav"
    audio.parent.mkdir(exist_ok=True)
    audio.touch()
    corpus = Corpus(
        tuple(
            Utterance(
                id_,
                audio,
                tuple(words) or None,
                speaker,
                start,
                None if start is None else start + 1.5,
                channel=channel,
            )
            for id_, (words, speaker, start, channel) in rows.items()
        )
    )
    path = tmp_path / "m.tsv"
    write_manifest(path, corpus)
    assert str(tmp_path) not in path.read_text(encoding="utf-8")
    got = tuple(dataclasses.replace(u, where="") for u in read_corpus(path))
    assert got == corpus.utterances
    known = {u.id: u.words for u in corpus if u.words is not None}
    assert read_transcripts(path) == known


def test_manifest_field_with_a_tab(tmp_path: Path) -> None:
    u = Utterance("a", tmp_path / "a\tb.wav", None, "s")
    with pytest.raises(DataError, match="tab or line break"):
        write_manifest(tmp_path / "m.tsv", Corpus((u,)))
    assert not list(tmp_path.iterdir())


@given(
    transcripts=st.dictionaries(
        st.text("abc1é", min_size=1, max_size=5),
        st.lists(st.text("xyzß", min_size=1, max_size=4), max_size=4),
        max_size=5,
    )
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_text_round_trip(tmp_path: Path, transcripts: dict[str, list[str]]) -> None:
    path = tmp_path / "hyp.txt"
    write_text(path, transcripts)
    assert read_text(path) == {id_: tuple(words) for id_, words in transcripts.items()}
    assert read_transcripts(path) == read_text(path)
    ids = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines()]
    assert ids == sorted(transcripts)


def test_text_that_could_not_be_read_back(tmp_path: Path) -> None:
    for transcripts in ({"a b": ["x"]}, {"a": ["x y"]}, {"a": [""]}, {"": ["x"]}):
        with pytest.raises(DataError, match="empty id or word"):
            write_text(tmp_path / "hyp.txt", transcripts)
    assert not list(tmp_path.iterdir())


def test_transcripts_of_a_directory(kaldi: Maker) -> None:
    assert read_transcripts(kaldi(text="a x y\n")) == {"a": ("x", "y")}
    with pytest.raises(FormatError, match="without transcripts"):
        read_transcripts(kaldi(wav_scp=WAV_SCP) / "wavs")
    with pytest.raises(FormatError, match="no such file"):
        read_transcripts(Path("nowhere") / "text")


def test_yesno(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared / "yesno")
    corpus = read_corpus(shared / "yesno" / "kaldi" / "data" / "train_yesno")
    assert len(corpus) == 31
    assert corpus.words() == ("NO", "YES")
    assert list(corpus.speakers()) == ["global"]
