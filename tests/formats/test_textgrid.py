"""TextGrids, read back by praatio."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid

from wfst_hmm.errors import DataError
from wfst_hmm.formats.textgrid import write_textgrid
from wfst_hmm.search.result import Phone, Word


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 20),
            st.integers(1, 30),
            st.text('abé"= []\\x', min_size=1, max_size=8).filter(lambda t: t.strip() == t),
        ),
        max_size=6,
    ),
    rest=st.integers(0, 10),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_round_trip(tmp_path: Path, steps: list[tuple[int, int, str]], rest: int) -> None:
    words, at = [], 0
    for gap, length, text in steps:
        words.append(Word(text, (at + gap) * 0.01, (at + gap + length) * 0.01))
        at += gap + length
    duration = (at + rest) * 0.01 + 0.01
    phones = [Phone(word.text, word.start, word.end) for word in words]
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, {"words": words, 'the "phones"': phones}, duration=duration)
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert grid.maxTimestamp == pytest.approx(duration)
    assert grid.tierNames[0] == "words"
    for tier in (grid.getTier(name) for name in grid.tierNames):
        ends = [0.0]
        for entry in tier.entries:  # no holes, no overlaps
            assert entry.start == pytest.approx(ends[-1])
            ends.append(entry.end)
        assert ends[-1] == pytest.approx(duration)
        labelled = [entry for entry in tier.entries if entry.label]
        assert [entry.label for entry in labelled] == [word.text for word in words]
        for entry, word in zip(labelled, words, strict=True):
            assert (entry.start, entry.end) == pytest.approx((word.start, word.end))


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, {"words": [Word('say "yes"', 0.25, 0.51)]}, duration=0.5)
    assert path.read_text(encoding="utf-8").splitlines() == [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        "xmax = 0.5",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        "        xmax = 0.5",
        "        intervals: size = 2",
        "        intervals [1]:",
        "            xmin = 0",
        "            xmax = 0.25",
        '            text = ""',
        "        intervals [2]:",
        "            xmin = 0.25",
        "            xmax = 0.5",
        '            text = "say ""yes"""',
    ]


@pytest.mark.parametrize(
    ("words", "duration", "message"),
    [
        ([Word("a", 0.0, 1.0)], 0.0, "an empty TextGrid"),
        ([Word("a", 0.5, 0.5)], 1.0, "interval 'a' overlaps or lies outside"),
        ([Word("a", 0.0, 0.5), Word("b", 0.4, 0.8)], 1.0, r"tier words: interval 'b'"),
        ([Word("a", 1.5, 2.0)], 1.0, "interval 'a'"),
    ],
)
def test_errors(tmp_path: Path, words: list[Word], duration: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_textgrid(tmp_path / "a.TextGrid", {"words": words}, duration=duration)
    with pytest.raises(DataError, match="0 tiers"):
        write_textgrid(tmp_path / "a.TextGrid", {}, duration=1.0)
    assert not list(tmp_path.iterdir())
