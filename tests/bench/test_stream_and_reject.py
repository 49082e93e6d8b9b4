"""The benches of streaming and rejection: what they count, and on a small corpus that they run."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_speech import RATE, TinySpeech, say

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.bench import stream as room
from wfst_hmm.bench.reject import equal_error_rate
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon


def test_an_equal_error_rate() -> None:
    known, strange = np.array([0.0, 1.0, 2.0, 9.0]), np.array([1.5, 5.0, 6.0, 7.0])
    assert equal_error_rate(known, strange) == (0.25, 2.0)
    apart = equal_error_rate(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    assert apart == (0.0, 1.0)


def test_two_minutes_of_a_toy_language(
    tiny_speech: TinySpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recordings named like the digits 0 to 2, which say ba, bi, su."""
    rng = np.random.default_rng(6)
    for digit, word in enumerate(("ba", "bi", "su")):
        for index in (5, 6, 10, 11):
            soundfile.write(tmp_path / f"{digit}_sp_{index}.wav", say([word], rng), RATE)
    words = Lexicon([Entry(word, ("B",)) for word in ("ba", "bi", "su")])
    monkeypatch.setattr(room, "DIGIT_LEXICON", words)
    recognizer = Recognizer.load(tiny_speech.graph)
    rows = {row.work: row for row in room.bench_stream(tmp_path, minutes=2, recognizer=recognizer)}
    for what in ("2 minutes, endpoints", "2 minutes, one segment"):
        assert rows[f"{what}: word error rate"].ours < 5
        assert int(rows[f"{what}: word error rate"].note.split()[2]) > 80
        memory = rows[f"{what}: peak memory, all over the first minute"]
        assert memory.ratio is not None
        assert 1 <= memory.ratio < 1.2
        decided = rows[f"{what}: a word is decided, seconds of audio after its end, median"]
        assert decided.ours < 2.5
    assert "0 of them" in rows["2 minutes, endpoints: peak memory, all over the first minute"].note


def test_bad_calls(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="minutes"):
        room.bench_stream(tmp_path, minutes=0.1)
    with pytest.raises(DataError):
        room.bench_stream(tmp_path)
