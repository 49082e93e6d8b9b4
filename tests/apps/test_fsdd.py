"""The FSDD protocols: nobody is tested on what they trained with."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.apps.fsdd import RATE, Protocol, find_recordings, make_known, make_unknown
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.signal.audio import Audio, read_audio, write_wav
from wfst_hmm.signal.corpus import Corpus

SPEAKERS = ("ann", "bob", "cyd")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones that tell digit, speaker and index apart by their length."""
    folder = tmp_path_factory.mktemp("recordings")
    for digit in range(10):
        for s, speaker in enumerate(SPEAKERS):
            for index in (5, 9, 10, 11):
                n = 800 + 40 * digit + 400 * s + index
                tone = np.full(n, 0.25, dtype=np.float32)
                write_wav(folder / f"{digit}_{speaker}_{index}.wav", Audio(tone, RATE))
    (folder / "README.txt").touch()
    return folder


def strings(corpus: Corpus) -> list[str]:
    return [u.id for u in corpus if "-string" in u.id]


def check_strings(connected: Corpus, n_each: int) -> None:
    """Every recording of the single digits lies n_each times in the strings, noise between."""
    spoken: Counter[tuple[str, str]] = Counter()
    for u in connected:
        assert u.words is not None
        assert 3 <= len(u.words) <= 7
        spoken.update((u.speaker, word) for word in u.words)
        x = read_audio(u.audio, rate=RATE, resample=False).samples
        tone = np.abs(x - 0.25) < 1e-3
        edges = np.flatnonzero(np.diff(tone.astype(int)))
        assert tone[0]
        assert tone[-1]
        assert len(edges) == 2 * (len(u.words) - 1)
        gaps = np.diff(edges)[::2]
        assert ((gaps >= 400) & (gaps <= 1600)).all()
        noise = x[~tone]
        assert 5e-4 < noise.std() < 2e-3
    assert set(spoken.values()) == {n_each}


def test_known(recordings: Path, tmp_path: Path) -> None:
    protocol = make_known(recordings, tmp_path / "known", n_test_rounds=3)
    train, single, connected = (
        read_corpus(path) for path in (protocol.train, protocol.single, protocol.connected)
    )
    assert len(single) == 10 * 3 * 2
    assert {u.id.split("-")[-1] for u in single} == {"05", "09"}
    assert len(train) - len(strings(train)) == 10 * 3 * 2
    assert not set(single.by_id()) & set(train.by_id())
    check_strings(connected, 3 * 2)
    check_strings(train.subset(strings(train)), 2)
    assert protocol.lexicon.exists()
    assert protocol.name == "known"


def test_unknown(recordings: Path, tmp_path: Path) -> None:
    protocols = make_unknown(recordings, tmp_path / "unknown", n_train_rounds=2)
    assert [protocol.name for protocol in protocols] == list(SPEAKERS)
    for protocol in protocols:
        train, single, connected = (
            read_corpus(path) for path in (protocol.train, protocol.single, protocol.connected)
        )
        assert set(train.speakers()) == set(SPEAKERS) - {protocol.name}
        assert set(single.speakers()) == set(connected.speakers()) == {protocol.name}
        assert len(single) == 40
        check_strings(connected, 4)
        check_strings(train.subset(strings(train)), 8)


def test_same_seed_same_bytes(recordings: Path, tmp_path: Path) -> None:
    def audio(protocol: Protocol) -> list[bytes]:
        return [u.audio.read_bytes() for u in read_corpus(protocol.connected)]

    first = make_known(recordings, tmp_path / "a")
    assert audio(first) == audio(make_known(recordings, tmp_path / "b"))
    assert audio(first) != audio(make_known(recordings, tmp_path / "c", seed=1))
    assert str(tmp_path / "a") not in first.connected.read_text()


def test_errors(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no recording named \{digit\}_\{speaker\}_\{index\}"):
        find_recordings(tmp_path)
    with pytest.raises(UsageError, match="rounds"):
        make_known(recordings, tmp_path / "out", n_train_rounds=0)
    with pytest.raises(UsageError, match="something else"):
        make_unknown(recordings, recordings)
    few = tmp_path / "few"
    write_wav(few / "0_ann_5.wav", Audio(np.zeros(800, dtype=np.float32), RATE))
    with pytest.raises(DataError, match="got 0 with indices from 10, 1 from 5 to 9"):
        make_known(few, tmp_path / "out")
    with pytest.raises(DataError, match="one speaker cannot be left out"):
        make_unknown(few, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_real_recordings(shared: Path, tmp_path: Path) -> None:
    found = find_recordings(shared / "fsdd" / "recordings")
    assert len(found) == 2700
    protocol = make_known(shared / "fsdd" / "recordings", tmp_path / "known")
    assert len(read_corpus(protocol.single)) == 300
    words = [u.words for u in read_corpus(protocol.connected)]
    assert sum(len(w) for w in words if w is not None) == 600
