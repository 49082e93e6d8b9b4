"""The corpus of synthesized digits."""

from pathlib import Path

import pytest

from wfst_hmm.apps.digits import DIGITS, make_digits
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.signal.audio import read_audio


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_corpus(tmp_path: Path) -> None:
    made = make_digits(tmp_path / "a", n_train_strings=2, n_test_strings=2)
    train, test = read_corpus(made.train), read_corpus(made.test)
    assert (len(train), len(test)) == (16 * 12, 6 * 7)
    assert train.words() == test.words() == tuple(sorted(DIGITS))
    heard, tested = set(train.speakers()), set(test.speakers())
    assert len(heard) == 16
    assert len(tested & heard) == 2
    assert len(tested - heard) == 4
    for utterance in test:
        audio = read_audio(utterance.audio, rate=16000, resample=False)
        assert utterance.words is not None
        assert len(utterance.words) in (1, 3, 4, 5, 6, 7)
        assert 0.2 * len(utterance.words) + 0.2 < audio.seconds < len(utterance.words) + 1.0
    lexicon = made.lexicon.read_text().splitlines()
    assert {line.split()[0] for line in lexicon} == set(DIGITS)
    assert str(tmp_path) not in made.train.read_text()

    again = make_digits(tmp_path / "b", n_train_strings=2, n_test_strings=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    make_digits(tmp_path / "b", seed=1, n_train_strings=1, n_test_strings=1)  # replaces its own
    assert len(read_corpus(again.test)) == 6 * 6
    assert contents(tmp_path / "a") != contents(tmp_path / "b")


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="the output folder holds something else"):
        make_digits(tmp_path)
    with pytest.raises(UsageError, match="something else"):
        make_digits(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="strings per voice"):
        make_digits(tmp_path / "new", n_test_strings=0)
