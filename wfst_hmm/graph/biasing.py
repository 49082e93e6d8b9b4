"""Lists of phrases to listen for.

In: a file of phrases with boosts, the words of a graph. Out: `Phrase`s, and those that the graph
cannot spell.

A line is a phrase, and after a tab its boost in nats, if it has one of its own; ``#`` begins a
comment line.

Public names: `Unspelled`, `read_boosts`, `spelled`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.word_machine import Phrase
from wfst_hmm.orthography import Spellings, fields

__all__ = ["Unspelled", "read_boosts", "spelled"]


@dataclasses.dataclass(frozen=True)
class Unspelled:
    """A phrase that cannot be heard, and the words that the graph lacks for it."""

    phrase: Phrase
    missing: tuple[str, ...]

    def __str__(self) -> str:
        lacks = ", ".join(repr(word) for word in self.missing)
        return f"{' '.join(self.phrase.words)!r} cannot be boosted: the graph lacks {lacks}"


def read_boosts(path: str | Path, *, boost: float) -> tuple[Phrase, ...]:
    """Read a list of phrases.

    Parameters
    ----------
    path : path
    boost : float
        Nats, for phrases without a boost of their own.

    Raises
    ------
    FormatError
        A line without words, or a boost that is no number; the message names the line. An empty
        file is an empty list.
    UsageError
        `boost` is not finite.
    """
    if not math.isfinite(boost):
        raise UsageError("a boost must be finite", got=boost, expected="nats")
    phrases = []
    for number, line in read_lines(path):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        spoken, tab, value = line.partition("\t")
        where = f"{path}:{number}"
        if not fields(spoken):
            raise FormatError("a boost without a phrase", where=where, got=repr(line[:80]))
        own = boost
        if tab:
            try:
                own = float(value)
            except ValueError:
                own = math.nan
            if not math.isfinite(own):
                raise FormatError("not a boost in nats", where=where, got=repr(value[:80]),
                                  expected="phrase<TAB>number")  # fmt: skip
        phrases.append(Phrase(tuple(fields(spoken)), own))
    return tuple(phrases)


def spelled(
    phrases: Iterable[Phrase], words: Symbols
) -> tuple[tuple[Phrase, ...], tuple[Unspelled, ...]]:
    """Sort phrases into those that a graph with these words can put out, and the others.

    Words are the graph's, whatever their encoding and apostrophes.
    """
    known, unknown = [], []
    own = Spellings(list(words)[1:])
    for phrase in phrases:
        found = tuple(map(own.find, phrase.words))
        missing = tuple(w for w, f in zip(phrase.words, found, strict=True) if f is None)
        if missing:
            unknown.append(Unspelled(phrase, tuple(dict.fromkeys(missing))))
        else:
            known.append(dataclasses.replace(phrase, words=tuple(filter(None, found))))
    return tuple(known), tuple(unknown)
