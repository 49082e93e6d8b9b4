"""Time-marked words as a CTM file, the form that NIST's scoring tools read.

In: words with times, by utterance. Out: a text file with the lines
``utterance channel start duration word [confidence]``.

Public names: `CtmRow`, `ctm_rows`, `ctm_text`, `read_ctm`, `write_ctm`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.orthography import fields, is_symbol
from wfst_hmm.search.result import Word

__all__ = ["CtmRow", "ctm_rows", "ctm_text", "read_ctm", "write_ctm"]

_EXPECTED = "recording channel start duration word [confidence [type speaker]]"
#: Types of words in the eighth field's form (NIST's RT evaluations) that are no words.
_NO_WORDS = ("non-lex", "misc", "noise")


@dataclasses.dataclass(frozen=True)
class CtmRow:
    """A line of a CTM file.

    Attributes
    ----------
    recording, channel : str
    start, duration : float
        Seconds; 0 for the marks of alternatives, which have none.
    text : str
    confidence : float, optional
    kind : str
        ``lex``, ``fp``, ``non-lex`` ... where the line says so.
    speaker : str
    ways : tuple of tuples of str
        Of several alternatives in this place, the words of each.
    """

    recording: str
    channel: str
    start: float
    duration: float
    text: str
    confidence: float | None = None
    kind: str = ""
    speaker: str = ""
    ways: tuple[tuple[str, ...], ...] = ()

    @property
    def middle(self) -> float:
        """The time by which NIST's tools assign words to segments, seconds."""
        return self.start + self.duration / 2

    @property
    def is_word(self) -> bool:
        """Whether it is not a noise."""
        return self.kind not in _NO_WORDS


def write_ctm(path: str | Path, words: Mapping[str, Sequence[Word]], *, channel: str = "1") -> None:
    """Write what `ctm_text` returns, atomically."""
    text = ctm_text(words, channel=channel)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def ctm_text(words: Mapping[str, Sequence[Word]], *, channel: str = "1") -> str:
    """Return the words of every utterance as CTM lines, sorted by utterance.

    The format is that of the NIST Scoring Toolkit (sclite, "CTM file format"): seconds with
    three decimals, confidence with four where a word has one.

    Parameters
    ----------
    words : mapping of str to sequence of Word
        By utterance id, each in order of time.
    channel : str
        Second column of every line.

    Raises
    ------
    DataError
        A word has no text or holds white space, ends before it starts, or starts before the one
        in front of it; or an id or the channel holds white space.
    """
    lines = []
    for id_ in sorted(words):
        before = 0.0
        for word in words[id_]:
            _check(id_, channel, word, before)
            before = word.start
            start = round(word.start, 3)
            line = f"{id_} {channel} {start:.3f} {round(word.end, 3) - start:.3f} {word.text}"
            if word.confidence is not None:
                line += f" {word.confidence:.4f}"
            lines.append(line + "\n")
    return "".join(lines)


def read_ctm(path: str | Path) -> dict[str, list[Word]]:
    """Read the words of every utterance, in the file's order; channels are not kept apart.

    Raises
    ------
    FormatError
        As `ctm_rows`.
    """
    found: dict[str, list[Word]] = {}
    for row in ctm_rows(path):
        if row.is_word and not row.text.startswith("<ALT"):
            word = Word(row.text, row.start, row.start + row.duration, row.confidence)
            found.setdefault(row.recording, []).append(word)
    return found


def ctm_rows(path: str | Path) -> Iterator[CtmRow]:
    """Yield the lines of a CTM file: 5 to 8 fields, ``NA`` for what is not known.

    Lines that start with ``;;`` are comments, as in NIST's tools.

    Raises
    ------
    FormatError
        A line has another number of fields, or a time or confidence that is none; the message
        names ``path:line``.
    """
    for number, line in read_lines(path):
        row = fields(line)
        if not row or line.startswith(";;"):
            continue
        where = f"{path}:{number}"
        if not 5 <= len(row) <= 8:
            raise FormatError("no line of a CTM file", where=where, got=repr(line[:80]),
                              expected=_EXPECTED)  # fmt: skip
        if row[2] == row[3] == "*" and row[4].upper().startswith("<ALT"):
            yield CtmRow(row[0], row[1], 0.0, 0.0, row[4])
            continue
        start, length = _number(row[2], where), _number(row[3], where)
        sure = _number(row[5], where) if len(row) > 5 and row[5] != "NA" else None
        if start < 0 or length < 0 or not 0 <= (sure or 0.0) <= 1:
            raise FormatError("a time below 0, or a confidence outside 0 to 1", where=where,
                              got=repr(line[:80]))  # fmt: skip
        kind, speaker, *_ = (*("" if value == "NA" else value for value in row[6:]), "", "")
        yield CtmRow(row[0], row[1], start, length, row[4], sure, kind.lower(), speaker)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError("no number", where=where, got=repr(text[:20]))
    return value


def _check(id_: str, channel: str, word: Word, before: float) -> None:
    for part in (id_, channel, word.text):
        if not is_symbol(part):
            raise DataError(
                "a CTM field that is empty or holds white space",
                where=f"utterance {id_}",
                got=repr(part),
            )
    if not before <= word.start <= word.end:
        raise DataError(
            f"word {word.text!r} out of order",
            where=f"utterance {id_}",
            got=f"{word.start} to {word.end} s after a word at {before} s",
            expected="words in order of time",
        )
