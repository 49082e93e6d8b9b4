"""Subtitles, read back by pysrt and webvtt-py, the players' own libraries."""

import html
import itertools
from pathlib import Path

import pysrt
import pytest
import webvtt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.formats.subtitles import (
    Cue,
    SubtitleOptions,
    cues_of,
    read_srt,
    read_vtt,
    srt_text,
    vtt_text,
)
from wfst_hmm.search.result import Word


@st.composite
def timed_words(draw: st.DrawFn) -> list[Word]:
    words, at = [], 0.0
    for _ in range(draw(st.integers(0, 14))):
        at += draw(st.sampled_from([0.0, 0.0, 0.05, 0.4, 0.6, 2.0]))
        end = at + draw(st.sampled_from([0.0, 0.02, 0.3, 0.3, 1.5]))
        text = draw(st.sampled_from(["a", "é", "don't", "R&B", "<s>", "-->", "x" * 12, "12"]))
        words.append(Word(text, at, end))
        at = end
    return words


@given(timed_words(), st.sampled_from([5, 12, 42]), st.integers(1, 3), st.sampled_from([0.5, 3.0]))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_cues_keep_words_and_limits(
    tmp_path: Path, words: list[Word], max_chars: int, max_lines: int, max_seconds: float
) -> None:
    options = SubtitleOptions(max_chars, max_lines, max_seconds, pause=0.6, min_seconds=0.8)
    cues = cues_of(words, options)
    assert [text for cue in cues for text in cue.text.split()] == [word.text for word in words]
    at = 0
    for number, cue in enumerate(cues):
        inside = words[at : at + len(cue.text.split())]
        at += len(inside)
        assert cue.start == inside[0].start
        assert len(cue.lines) <= max_lines
        spoken = max(word.end for word in inside)
        if len(inside) > 1:
            assert spoken - cue.start <= max_seconds
            assert all(b.start - a.end < 0.6 for a, b in itertools.pairwise(inside))
        for line in cue.lines:
            assert len(line) <= max_chars or " " not in line
        if number + 1 < len(cues):
            assert cue.end <= cues[number + 1].start
            assert cue.end >= min(spoken, cues[number + 1].start)
        else:
            assert cue.end >= max(spoken, cue.start + 0.8)
    if not cues:
        return
    srt, vtt = tmp_path / "a.srt", tmp_path / "a.vtt"
    srt.write_text(srt_text(cues), encoding="utf-8")
    vtt.write_text(vtt_text(cues), encoding="utf-8")
    wanted = [(round(1000 * cue.start), round(1000 * cue.end), cue.text) for cue in cues]
    theirs = pysrt.open(str(srt))
    assert [(c.start.ordinal, c.end.ordinal, c.text.replace("\n", " ")) for c in theirs] == wanted
    for read in (read_srt(srt), read_vtt(vtt)):
        assert [(round(1000 * c.start), round(1000 * c.end), c.text) for c in read] == wanted
    captions = webvtt.read(str(vtt))
    assert [(c.start, c.end) for c in captions] == [
        (str(c.start).replace(",", "."), str(c.end).replace(",", ".")) for c in theirs
    ]
    assert [html.unescape(c.raw_text.replace("\n", " ")) for c in captions] == [
        w[2] for w in wanted
    ]


def test_text() -> None:
    cues = [Cue(0.5, 3661.25, ("Q&A", "a < b"))]
    assert srt_text(cues) == "1\n00:00:00,500 --> 01:01:01,250\nQ&A\na < b\n\n"
    assert vtt_text(cues) == (
        "WEBVTT\n\n00:00:00.500 --> 01:01:01.250\nQ&amp;A\na &lt; b\n\n"
    )  # fmt: skip
    assert srt_text([]) == ""


def test_lines_are_balanced_and_pauses_part_cues() -> None:
    texts = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "tonight"]
    words = [Word(text, 0.3 * i, 0.3 * i + 0.25) for i, text in enumerate(texts)]
    (cue,) = cues_of(words)
    assert cue.lines == ("the quick brown fox jumps", "over the lazy dog tonight")
    later = [*words[:3], Word("fox", 2.0, 2.2)]
    assert [cue.text for cue in cues_of(later)] == ["the quick brown", "fox"]


def test_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text("WEBVTT - title\n\nNOTE nothing\n\nintro\n00:01.000 --> 00:02.500 align:start\n"
                    "a &amp;lt; b\n\nSTYLE\n::cue {}\n", encoding="utf-8")  # fmt: skip
    assert read_vtt(path) == [Cue(1.0, 2.5, ("a &lt; b",))]
    path.write_text("﻿1\r\n00:00:01,000 --> 00:00:02,000\r\nx\r\n", encoding="utf-8")
    assert read_srt(path) == [Cue(1.0, 2.0, ("x",))]


@pytest.mark.parametrize(
    ("text", "message"),
    [("1\nno times\nx\n", "a:1: no times"), ("1\n00:00:02,0 --> 1\n", "a:1: no times"),
     ("\n1\n00:00:02,000 --> 00:00:01,000\nx\n", "a:3: a subtitle that ends before"),
     ("WEBVTT\n", "no times")],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_srt(path)
    if not text.startswith("WEBVTT"):
        with pytest.raises(FormatError, match="not a WebVTT file"):
            read_vtt(path)


def test_bad_words_and_options() -> None:
    for words in ([Word("", 0, 1)], [Word("a\nb", 0, 1)], [Word("a", 1, 0.5)],
                  [Word("a", float("nan"), 1.0)], [Word("a", 1, 2), Word("b", 0.5, 3)]):  # fmt: skip
        with pytest.raises(DataError):
            cues_of(words)
    with pytest.raises(UsageError):
        SubtitleOptions(max_chars=0)
    with pytest.raises(UsageError):
        SubtitleOptions(min_seconds=float("nan"))
