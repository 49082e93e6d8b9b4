"""Time-marked words as a CTM file, the form that NIST's scoring tools read.

In: words with times, by utterance. Out: a text file with the lines
``utterance channel start duration word [confidence]``.

Public names: `write_ctm`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError
from wfst_hmm.files import atomic_file
from wfst_hmm.search.result import Word

__all__ = ["write_ctm"]


def write_ctm(path: str | Path, words: Mapping[str, Sequence[Word]], *, channel: str = "1") -> None:
    """Write the words of every utterance, sorted by utterance, atomically.

    The format is that of the NIST Scoring Toolkit (sclite, "CTM file format"): seconds with
    three decimals, confidence with four where a word has one.

    Parameters
    ----------
    path : path
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
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


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
