"""Lists of phrases: read, and sorted by what a graph can spell."""

from pathlib import Path

import pytest

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.biasing import read_boosts, spelled
from wfst_hmm.graph.word_machine import Phrase


def test_phrases_with_boosts_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("# a comment\nnew  york\n\nlos angeles\t2.5\n  paris \t-1\n")
    assert read_boosts(path, boost=4.0) == (
        Phrase(("new", "york"), 4.0), Phrase(("los", "angeles"), 2.5), Phrase(("paris",), -1.0),
    )  # fmt: skip
    path.write_text("")
    assert read_boosts(path, boost=4.0) == ()


@pytest.mark.parametrize("text", ["a\tmuch\n", "a\t\n", "a\tnan\n", "\t3\n", "a\t1\t2\n"])
def test_bad_lines_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("fine\t1\n" + text)
    with pytest.raises(FormatError, match=r"phrases\.txt:2"):
        read_boosts(path, boost=1.0)


def test_bad_boost_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="finite"):
        read_boosts(tmp_path / "none", boost=float("inf"))
    with pytest.raises(FormatError):
        read_boosts(tmp_path / "none", boost=1.0)


def test_what_cannot_be_spelled_is_told() -> None:
    phrases = [Phrase(("a", "b"), 1.0), Phrase(("x", "a", "x", "<eps>"), 1.0)]
    known, unknown = spelled(phrases, Symbols(["a", "b"]))
    assert known == (phrases[0],)
    assert str(unknown[0]) == (
        "'x a x <eps>' cannot be boosted: the graph lacks 'x', '<eps>'"
    )  # fmt: skip


def test_phrases_in_another_encoding() -> None:
    words = Symbols(["caf\u00e9", "don't"])
    known, unknown = spelled([Phrase(("cafe\u0301", "don\u2019t"), 1.0)], words)
    assert [phrase.words for phrase in known] == [("caf\u00e9", "don't")]
    assert not unknown
