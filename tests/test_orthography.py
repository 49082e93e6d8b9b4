"""Where text falls into words, and when two strings are one word."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from wfst_hmm import orthography

NFD, NFC = "cafe\u0301", "caf\u00e9"


@given(
    st.text(alphabet="ab\t\n \r\v\f\x1c\x1f\x85\xa0\u2028\u3000é", max_size=12),
    st.sampled_from([-1, 1, 2]),
)
def test_fields_are_what_kaldi_and_nist_take_for_fields(text: str, most: int) -> None:
    """The slow twin: bytes split at ASCII white space only."""
    twin = [part.decode() for part in text.encode().split(None, most)]
    found = orthography.fields(text, most)
    assert [part.rstrip(" \t\n\r\v\f") for part in found] == [p.rstrip(" \t\n\r\v\f") for p in twin]
    assert all(map(orthography.is_symbol, orthography.fields(text)))


@given(st.text(max_size=8))
def test_a_key_is_the_same_for_every_encoding(word: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, word)
        assert orthography.key(other) == orthography.key(word)
        assert orthography.folded(other) == orthography.folded(word)


def test_apostrophes_case_and_hidden_marks() -> None:
    assert orthography.plain_apostrophes("don\u2019t") == orthography.plain_apostrophes("don't")
    assert orthography.folded("\u00c9T\u00c9") == orthography.folded("e\u0301te\u0301")
    assert orthography.hidden("caf\u00e9\u200f") == ("U+200F RIGHT-TO-LEFT MARK",)
    assert orthography.hidden("\ufeffa\u200cb\u00a0") == (
        "U+FEFF ZERO WIDTH NO-BREAK SPACE", "U+200C ZERO WIDTH NON-JOINER", "U+00A0 NO-BREAK SPACE",
    )  # fmt: skip
    assert orthography.without_hidden("\ufeffCafe\u0301") == NFC
    assert [orthography.is_spelled(word) for word in ("...", "<unk>", "7", "\u00e9", "\u4e00", "")] == [
        False, False, True, True, True, False,
    ]  # fmt: skip


def test_the_first_form_stays() -> None:
    form = orthography.FirstForms()
    assert [form(word) for word in (NFD, NFC, "a")] == [NFD, NFD, "a"]


def test_only_similar_names_are_proposed() -> None:
    assert orthography.did_you_mean("lout", ["soft", "loud"]) == "Did you mean 'loud'?"
    assert orthography.did_you_mean("anna", ["6848", "61"]) is None


@given(st.lists(st.sampled_from([NFC, NFD, "don't", "don\u2019t", "a"]), max_size=4),
       st.sampled_from([NFC, NFD, "don't", "don\u2019t", "b"]))  # fmt: skip
def test_spellings_are_found(words: list[str], word: str) -> None:
    """The slow twin looks at every word."""
    same = [
        w for w in words if orthography.plain_apostrophes(w) == orthography.plain_apostrophes(word)
    ]
    found = orthography.Spellings(words).find(word)
    assert found == (word if word in words else same[0] if same else None)
