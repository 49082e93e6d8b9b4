"""Text that is safe to put into a picture, whatever a symbol table holds.

In: symbols, costs, state numbers from files of unknown origin. Out: short printable strings,
and their quoted forms for DOT and XML.

Public names: `quoted`, `shown`, `symbol_of`, `weight_text`, `xml_text`.
"""

from __future__ import annotations

import math
import unicodedata
from xml.sax.saxutils import escape

from wfst_hmm.fst.symbols import Symbols

__all__ = ["quoted", "shown", "symbol_of", "weight_text", "xml_text"]

_JOINERS = "\u200c\u200d"  # emoji sequences and several scripts need them
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def shown(text: str, length: int = 24) -> str:
    r"""Return `text` cut to `length` characters, with nothing invisible left in it.

    Control characters, direction overrides and lone surrogates are written as ``\u....``, so
    that a label can neither reorder nor break the text around it. Text with right-to-left
    letters is wrapped in Unicode isolates (UAX #9), which keep it in its own place.

    Examples
    --------
    >>> shown("seven"), shown("a\tb"), shown("x" * 100, 8)
    ('seven', 'a\\u0009b', 'xxxxxxx…')
    """
    if len(text) > length:
        cut = length - 1
        while cut > 0 and (unicodedata.combining(text[cut]) or text[cut] in _JOINERS):
            cut -= 1  # do not part a letter from its accents
        text = text[:cut] + "…"
    safe = "".join(_visible(character) for character in text)
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in safe):
        return _ISOLATE + safe + _END_ISOLATE
    return safe


def _visible(character: str) -> str:
    if character in _JOINERS:
        return character
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def symbol_of(label: int, symbols: Symbols | None, length: int = 24) -> str:
    """Return the symbol of `label`: ε for 0, its number when no table names it."""
    if label == 0:
        return "ε"
    if symbols is not None and label < len(symbols):
        return shown(symbols[label], length)
    return f"#{label}" if symbols is None else f"#{label}?"


def weight_text(cost: float, unit: str) -> str:
    """Return a cost as a few digits; nothing for a free move.

    Parameters
    ----------
    cost : float
        Negative natural logarithm.
    unit : {"nats", "probabilities", "none"}
    """
    if unit == "none" or cost == 0.0:
        return ""
    if unit == "nats":
        return "∞" if math.isinf(cost) else f"{cost:.3g}"
    return f"{math.exp(min(-cost, 700.0)):.3g}"


def quoted(text: str) -> str:
    """Return `text` as a DOT string: quotes, backslashes and HTML entities mean themselves."""
    inner = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + inner.replace("\n", "\\n") + '"'


def xml_text(text: str) -> str:
    """Return `text` for an XML element or a double-quoted attribute."""
    return escape(text, {'"': "&quot;"})
