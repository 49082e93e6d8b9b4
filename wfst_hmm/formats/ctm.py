"""Time-marked words as a CTM file, the form that NIST's scoring tools read.

In: words with times, by utterance. Out: a text file with the lines
``utterance channel start duration word [confidence]``.

Public names: `ctm_text`, `read_ctm`, `write_ctm`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.search.result import Word

__all__ = ["ctm_text", "read_ctm", "write_ctm"]


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

    Lines that start with ``;;`` are comments, as in NIST's tools.

    Raises
    ------
    FormatError
        A line has another number of fields than 5 or 6, or a time or confidence that is none;
        the message names ``path:line``.
    """
    found: dict[str, list[Word]] = {}
    for number, line in read_lines(path):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        where = f"{path}:{number}"
        if len(fields) not in (5, 6):
            raise FormatError("no line of a CTM file", where=where, got=repr(line[:80]),
                              expected="utterance channel start duration word [confidence]")  # fmt: skip
        start, length, *sure = (_number(field, where) for field in (*fields[2:4], *fields[5:]))
        if start < 0 or length < 0 or not all(0 <= value <= 1 for value in sure):
            raise FormatError("a time below 0, or a confidence outside 0 to 1", where=where,
                              got=repr(line[:80]))  # fmt: skip
        word = Word(fields[4], start, start + length, sure[0] if sure else None)
        found.setdefault(fields[0], []).append(word)
    return found


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
        if part.split() != [part]:
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
