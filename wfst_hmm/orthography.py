"""When two strings are one word, and where a line of text falls into words.

In: text as users write it. Out: fields; keys under which different forms of a word are equal; names of
characters that nobody sees.

A word is compared by a key and kept in the form in which it came: Unicode writes *é* as one character
or as two (Unicode Standard Annex 15), and typographers' apostrophes are not those of dictionaries.

Public names: `FirstForms`, `NEAR`, `Spellings`, `did_you_mean`, `fields`, `folded`, `hidden`,
`is_spelled`, `is_symbol`, `key`, `plain_apostrophes`, `without_hidden`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = [
    "NEAR",
    "FirstForms",
    "Spellings",
    "did_you_mean",
    "fields",
    "folded",
    "hidden",
    "is_spelled",
    "is_symbol",
    "key",
    "plain_apostrophes",
    "without_hidden",
]

#: Similarity (twice the common letters by all letters, in per cent) from which a spelling is near.
NEAR = 60
#: A no-break space (10 000) or an ideographic one belongs to its word, as in Kaldi's and NIST's tools.
_BLANK = " \t\r\n\v\f"
_BLANKS = re.compile(f"[{_BLANK}]+")
#: Right and left single quotation mark, modifier letter apostrophe, prime, fullwidth apostrophe.
_APOSTROPHES = {ord(mark): "'" for mark in "\u2019\u2018\u02bc\u2032\uff07"}


def fields(text: str, most: int = -1) -> list[str]:
    r"""Return what blanks, tabs and line ends separate; other white space is part of a field.

    Parameters
    ----------
    text : str
    most : int
        Split only so often; the last field then holds the rest.

    Examples
    --------
    >>> fields("u1  dix 10\u00a0000 "), fields("u1 one  two ", 1)
    (['u1', 'dix', '10\xa0000'], ['u1', 'one  two'])
    """
    if text.isascii() and not any("\x1c" <= mark <= "\x1f" for mark in text):
        return text.rstrip(_BLANK).split(maxsplit=most)
    stripped = text.strip(_BLANK)
    return _BLANKS.split(stripped, max(most, 0)) if stripped else []


def is_symbol(text: str) -> bool:
    """Tell whether `text` is one field: not empty and without a blank."""
    return text != "" and not any(mark in text for mark in _BLANK)


def key(word: str) -> str:
    """Return what all encodings of a word have in common: its composed form (NFC)."""
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def plain_apostrophes(word: str) -> str:
    """Return the key of a word with straight apostrophes."""
    return word if word.isascii() else key(word).translate(_APOSTROPHES)


def folded(word: str) -> str:
    """Return the key of a word without case, with straight apostrophes."""
    return key(plain_apostrophes(word).casefold())


def hidden(text: str) -> tuple[str, ...]:
    """Return the names of the characters that are not seen, such as ``U+200F RIGHT-TO-LEFT MARK``.

    White space other than a blank counts, for it is taken for one.
    """
    return tuple(
        f"U+{ord(mark):04X} {unicodedata.name(mark, 'control character')}"
        for mark in text if _is_hidden(mark)
    )  # fmt: skip


def without_hidden(word: str) -> str:
    """Return the folded key of a word without the characters that are not seen."""
    return folded("".join(mark for mark in word if not _is_hidden(mark)))


def _is_hidden(mark: str) -> bool:
    """Tell formats (ZWNJ, RLM, BOM ...), controls, spaces and variation selectors."""
    if mark.isascii():
        return not mark.isprintable()
    return unicodedata.category(mark) in ("Cf", "Cc", "Zs", "Zl", "Zp") or (
        "\ufe00" <= mark <= "\ufe0f"
    )


def is_spelled(word: str) -> bool:
    """Tell whether a word has a letter or digit that could be pronounced, and is no ``<mark>``."""
    return word[:1] not in ("<", "[", "{", "(") and any(letter.isalnum() for letter in word)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the question after the most similar of some names, None when none is similar."""
    from rapidfuzz import fuzz, process  # here: only mistakes need it

    found = process.extractOne(name, list(known), scorer=fuzz.ratio, processor=folded,
                               score_cutoff=NEAR)  # fmt: skip
    return f"Did you mean {found[0]!r}?" if found else None


class Spellings:
    r"""Finds words in whatever encoding, and with whatever apostrophe, they are asked for.

    Examples
    --------
    >>> known = Spellings(["caf\u00e9", "don't"])
    >>> known.find("cafe\u0301"), known.find("don\u2019t"), known.find("do")
    ('café', "don't", None)
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._words = dict.fromkeys(words)
        self._by_key: dict[str, str] = {}
        for word in self._words:
            self._by_key.setdefault(plain_apostrophes(word), word)

    def find(self, word: str) -> str | None:
        """Return the spelling that the words have, None when they lack it."""
        return word if word in self._words else self._by_key.get(plain_apostrophes(word))


class FirstForms:
    r"""Gives every word the form in which it came first.

    Examples
    --------
    >>> form = FirstForms()
    >>> form("caf\u00e9"), form("cafe\u0301") == "caf\u00e9"
    ('café', True)
    """

    def __init__(self) -> None:
        self._form: dict[str, str] = {}

    def __call__(self, word: str) -> str:
        """Return the form in which `word` came first."""
        return word if word.isascii() else self._form.setdefault(key(word), word)
