"""Labels: whatever a symbol table holds, a picture's text stays text."""

import re
import unicodedata
import xml.dom.minidom

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.draw.labels import quoted, shown, symbol_of, weight_text, xml_text
from wfst_hmm.fst.symbols import Symbols


def test_short_text_stays_itself() -> None:
    assert shown("sieben") == "sieben"
    assert shown("日本語") == "日本語"
    assert shown("👩\u200d💻") == "👩\u200d💻"


def test_long_text_is_cut_and_never_between_a_letter_and_its_accent() -> None:
    assert shown("x" * 10_000, 24) == "x" * 23 + "…"
    assert shown("abcde\u0301fgh", 6) == "abcd…"  # the accent's letter goes with it


@pytest.mark.parametrize("character", ["\n", "\0", "\u202e", "\u2066", "\ud800", "\u2028", "\x1b"])
def test_invisible_characters_are_written_out(character: str) -> None:
    text = shown(f"a{character}b")
    assert text == f"a\\u{ord(character):04x}b"


def test_right_to_left_text_is_isolated() -> None:
    assert shown("سلام") == "\u2068سلام\u2069"


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60), st.integers(1, 30))
def test_shown_is_short_and_printable(text: str, length: int) -> None:
    result = shown(text, length)
    assert len(re.sub(r"\\u[0-9a-f]{4,6}", "?", result).strip("\u2068\u2069")) <= length
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in result)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="￾￿")))
def test_xml_gives_the_text_back(text: str) -> None:
    made = xml.dom.minidom.parseString(f'<a b="{xml_text(text)}">{xml_text(text)}</a>')
    element = made.documentElement
    assert element.getAttribute("b") == text
    assert "".join(child.data for child in element.childNodes) == text


def test_dot_quoting() -> None:
    assert quoted('say "hi" \\N &lt;') == '"say \\"hi\\" \\\\N &amp;lt;"'
    assert quoted("two\nlines") == '"two\\nlines"'


def test_symbols_and_their_absence() -> None:
    table = Symbols(["yes"])
    assert symbol_of(0, table) == "ε"
    assert symbol_of(1, table) == "yes"
    assert symbol_of(7, table) == "#7?"  # beyond the table
    assert symbol_of(7, None) == "#7"


def test_weights() -> None:
    assert weight_text(0.0, "nats") == ""
    assert weight_text(0.6931, "nats") == "0.693"
    assert weight_text(0.6931, "probabilities") == "0.5"
    assert weight_text(float("inf"), "nats") == "∞"
    assert weight_text(float("inf"), "probabilities") == "0"
    assert weight_text(-5000.0, "probabilities") == "1.01e+304"
    assert weight_text(3.0, "none") == ""
