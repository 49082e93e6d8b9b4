"""Isolated words on tones that stand for words, and on real digits."""

from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.apps.fsdd import find_recordings
from wfst_hmm.apps.words import (
    evaluate_words,
    held_out,
    recognize_words,
    train_words,
    word_corpus,
)
from wfst_hmm.draw.confusion import confusion_svg
from wfst_hmm.errors import DataError, FormatError, UsageError, WfstHmmError
from wfst_hmm.models.word_models import WordModels, WordOptions
from wfst_hmm.signal.audio import Audio, write_wav
from wfst_hmm.signal.corpus import Corpus

RATE = 8000
TONES = {"up": (400, 1200, 2400), "down": (2400, 1200, 400), "flat": (900, 900, 900)}
SMALL = WordOptions(n_states=3, n_mixtures=2, n_iterations=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(0)
    for word, pitches in TONES.items():
        (root / word).mkdir()
        for speaker in ("ann", "bob"):
            for take in range(4):
                parts = []
                for hertz in pitches:
                    t = np.arange(int(rng.integers(700, 1400))) / RATE
                    parts.append(0.3 * np.sin(2 * np.pi * hertz * rng.normal(1, 0.02) * t))
                sound = np.concatenate(parts)
                sound += 0.01 * rng.standard_normal(len(sound))
                audio = Audio(sound.astype(np.float32), RATE)
                write_wav(root / word / f"{speaker}_{take}.wav", audio)
    return root


def test_train_test_recognize_and_keep(folder: Path, tmp_path: Path) -> None:
    corpus = word_corpus(folder)
    assert (len(corpus), sorted(corpus.speakers())) == (24, ["ann", "bob"])
    training, test = held_out(corpus, 0.25, seed=1)
    assert (len(training), len(test)) == (18, 6)
    assert test.words() == corpus.words()
    models = train_words(training, None, SMALL)
    result = evaluate_words(models, test)
    assert (result.n_recordings, result.n_errors, result.accuracy) == (6, 0, 1.0)
    models.save(tmp_path / "model")
    again = WordModels.load(tmp_path / "model")
    files = [u.audio for u in test]
    guesses = recognize_words(again, files)
    assert [g.word for _, g in guesses] == [u.audio.parent.name for u in test]
    assert guesses == recognize_words(models, files, n_workers=2)
    assert all(g.margin > 0 and g.runner_up != g.word for _, g in guesses)
    threaded = train_words(training, None, SMALL, n_workers=2)
    assert evaluate_words(threaded, test).n_errors == 0


def test_confusions_as_text_and_picture(folder: Path) -> None:
    corpus = word_corpus(folder)
    models = train_words(corpus, None, SMALL)
    swapped = Corpus(tuple(
        type(u)(u.id, u.audio, ("flat",), u.speaker) if u.words == ("up",) else u for u in corpus
    ))  # fmt: skip
    result = evaluate_words(models, swapped)
    assert result.n_errors == 8
    assert result.counts[result.words.index("flat"), result.words.index("up")] == 8
    assert {u.audio.parent.name for u, _ in result.mistakes} == {"up"}
    lines = result.table().splitlines()
    assert lines[0].split() == ["down", "flat", "up"]
    assert lines[2].split() == ["flat", ".", "8", "8"]
    svg = confusion_svg(result.counts, result.words, title="<tones>")
    assert "flat understood as up: 8 of 16" in svg
    assert "&lt;tones&gt;" in svg


def test_an_unusable_recording_is_skipped_and_told(folder: Path, tmp_path: Path) -> None:
    corpus = word_corpus(folder)
    models = train_words(corpus, None, SMALL)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    told: list[tuple[str, WfstHmmError]] = []
    good = corpus.utterances[0].audio
    found = recognize_words(models, [bad, good], on_error=lambda *what: told.append(what))
    assert [path for path, _ in found] == [good]
    assert len(told) == 1
    with pytest.raises(DataError, match=r"bad\.wav"):
        recognize_words(models, [bad])


def test_bad_folders_and_models_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        word_corpus(tmp_path / "none")
    with pytest.raises(DataError, match="no folders of words"):
        word_corpus(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings in the folder of a word"):
        word_corpus(tmp_path)
    corpus = word_corpus(folder)
    one = Corpus(tuple(u for u in corpus if u.words == ("up",)))
    with pytest.raises(DataError, match="at least two words"):
        train_words(one, None, SMALL)
    with pytest.raises(UsageError, match="between 0 and 1"):
        held_out(corpus, 1.5)
    with pytest.raises(DataError, match="has one recording"):
        held_out(Corpus(corpus.utterances[:1]), 0.5)
    models = train_words(corpus, None, SMALL)
    other = type(corpus.utterances[0])("x", corpus.utterances[0].audio, ("left",), "ann")
    with pytest.raises(DataError, match="'left' has no model"):
        evaluate_words(models, Corpus((other,)))
    models.save(tmp_path / "m")
    (tmp_path / "m" / "0001.npz").write_bytes(b"nothing")
    with pytest.raises(FormatError, match=r"0001\.npz"):
        WordModels.load(tmp_path / "m")
    (tmp_path / "m" / "words.json").write_text('{"kind": "else"}')
    with pytest.raises(FormatError, match="no word models"):
        WordModels.load(tmp_path / "m")
    with pytest.raises(UsageError, match="n_states must be positive"):
        WordOptions(n_states=0)


def test_real_digits_of_known_speakers(shared: Path) -> None:
    recordings = find_recordings(shared / "fsdd" / "recordings")
    training = Corpus(tuple(r.utterance() for r in recordings if 10 <= r.index < 15))
    test = Corpus(tuple(r.utterance() for r in recordings if r.index < 10))
    models = train_words(training, None, WordOptions(n_states=6, n_mixtures=2, n_iterations=4))
    assert evaluate_words(models, test).accuracy >= 0.9
