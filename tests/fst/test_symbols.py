"""Symbol tables: strings at the edges, 0 is <eps>."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.fst.symbols import Symbols

WORDS = st.text(st.characters(exclude_categories=["Zs", "Zl", "Zp", "Cc", "Cs"]), min_size=1)


@given(st.lists(WORDS.filter(lambda w: w.split() == [w] and w != "<eps>"), unique=True))
def test_file_round_trip(tmp_path_factory: pytest.TempPathFactory, words: list[str]):
    table = Symbols(words)
    path: Path = tmp_path_factory.mktemp("symbols") / "words.txt"
    table.write(path)
    assert Symbols.read(path) == table
    assert table.strings(table.ids(words)) == words
    assert hash(Symbols.read(path)) == hash(table)


def test_epsilon_is_zero_and_nothing_else():
    assert list(Symbols(["<eps>", "a"])) == list(Symbols(["a"])) == ["<eps>", "a"]
    with pytest.raises(DataError, match="occurs twice"):
        Symbols(["a", "<eps>"])
    with pytest.raises(DataError, match="occurs twice"):
        Symbols(["a", "b", "a"])
    with pytest.raises(DataError, match="white space"):
        Symbols(["a b"])
    with pytest.raises(DataError, match="white space"):
        Symbols([""])


def test_unknown_symbol_and_number():
    table = Symbols(["a"])
    with pytest.raises(DataError, match="'b' is not in the table"):
        table.id("b")
    with pytest.raises(DataError, match="expected 0 to 1"):
        table[2]
    with pytest.raises(DataError, match="expected 0 to 1"):
        table[-1]


def test_extended_keeps_numbers():
    table = Symbols(["a", "b"])
    assert list(table.extended(["b", "c", "c"])) == ["<eps>", "a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<eps> 0\na\n", r"w:2: not a symbol and its number"),
        ("<eps> 0\na -1\n", r"w:2: not a symbol"),
        ("<eps> 0\na ²\n", r"w:2: not a symbol"),
        ("<eps> 0\na 1\nb 1\n", r"w:3: number 1 is given twice"),
        ("<eps> 0\na 1\na 2\n", r"w:3: symbol 'a' is given twice"),
        ("a 0\n", r"w: number 0 must be <eps>"),
        ("", r"w: number 0 must be <eps>"),
        ("<eps> 0\nb 2\n", r"w: number 1 is missing"),
    ],
)
def test_bad_file_names_the_line(tmp_path: Path, text: str, complaint: str):
    path = tmp_path / "w"
    path.write_text(text)
    with pytest.raises(FormatError, match=complaint):
        Symbols.read(path)
