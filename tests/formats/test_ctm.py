"""CTM lines, column by column."""

from pathlib import Path

import pytest

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.ctm import read_ctm, write_ctm
from wfst_hmm.search.result import Word


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.ctm"
    words = {
        "b": [Word("two", 0.1, 0.5), Word("three", 0.5, 0.81, 0.25)],
        "a": [Word("é", 0.0004, 0.3333)],
        "none": [],
    }
    write_ctm(path, words, channel="A")
    assert path.read_text(encoding="utf-8").splitlines() == [
        "a A 0.000 0.333 é",
        "b A 0.100 0.400 two",
        "b A 0.500 0.310 three 0.2500",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([Word("a b", 0.0, 1.0)], "white space; got 'a b'"),
        ([Word("", 0.0, 1.0)], "empty or holds"),
        ([Word("a", 1.0, 0.5)], "utterance u: word 'a' out of order"),
        ([Word("a", 1.0, 1.5), Word("b", 0.5, 0.8)], "word 'b' out of order"),
        ([Word("a", float("nan"), 1.5)], "out of order"),
    ],
)
def test_errors(tmp_path: Path, words: list[Word], message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_ctm(tmp_path / "out.ctm", {"u": words})
    assert not list(tmp_path.iterdir())


def test_files_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.ctm"
    words = {"a": [Word("x", 0.25, 0.5, 0.5), Word("y", 0.5, 0.75)], "b": [Word("é", 0.0, 1.0)]}
    write_ctm(path, words)
    path.write_text(";; a comment\n\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert read_ctm(path) == words


@pytest.mark.parametrize(
    "line", ["a 1 0.0 1.0", "a 1 x 1.0 w", "a 1 0.0 -1 w", "a 1 0 1 w 1.5", "a 1 nan 1 w", "a"]
)
def test_lines_that_are_none(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.ctm"
    path.write_text(f"a 1 0.0 1.0 w\n{line}\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"a\.ctm:2"):
        read_ctm(path)
