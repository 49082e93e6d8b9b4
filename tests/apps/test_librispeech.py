"""LibriSpeech's layout, from a toy copy of it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wfst_hmm.apps.building import corpus_from
from wfst_hmm.apps.librispeech import is_librispeech, read_librispeech
from wfst_hmm.bench.ladder import LadderFolders
from wfst_hmm.errors import DataError, FormatError


def part(folder: Path, lines: dict[str, str]) -> Path:
    for id_, text in lines.items():
        speaker, chapter, _ = id_.split("-")
        place = folder / speaker / chapter
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{id_}.flac", np.zeros(1600), 16000)
        with open(place / f"{speaker}-{chapter}.trans.txt", "a") as stream:
            stream.write(f"{id_} {text}\n")
    return folder


def test_speakers_words_and_recordings(tmp_path: Path) -> None:
    folder = part(tmp_path / "dev", {"7-3-0000": "IT'S LATE", "12-1-0000": "YES",
                                     "7-3-0001": "NO MATTER"})  # fmt: skip
    assert is_librispeech(folder)
    corpus = read_librispeech(folder)
    assert [(u.id, u.words, u.speaker) for u in corpus] == [
        ("12-1-0000", ("yes",), "12"), ("7-3-0000", ("it's", "late"), "7"),
        ("7-3-0001", ("no", "matter"), "7"),
    ]  # fmt: skip
    assert all(u.audio.is_file() for u in corpus)
    assert corpus_from(folder) == corpus


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no transcripts"):
        read_librispeech(tmp_path)
    folder = part(tmp_path / "x", {"1-2-0000": "YES"})
    listing = folder / "1" / "2" / "1-2.trans.txt"
    listing.write_text("1-2-0000\n")
    with pytest.raises(FormatError, match=r"1-2\.trans\.txt:1: no transcript"):
        read_librispeech(folder)
    listing.write_text("1-2-0009 NO\n")
    with pytest.raises(DataError, match="no such recording"):
        read_librispeech(folder)


def test_the_ladder_finds_its_parts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="to train and test on"):
        LadderFolders.of(tmp_path)
    part(tmp_path / "train-clean", {"1-2-0000": "YES"})
    part(tmp_path / "dev-clean", {"3-4-0000": "NO"})
    found = LadderFolders.of(tmp_path)
    assert (found.train.name, found.test.name) == ("train-clean", "dev-clean")
