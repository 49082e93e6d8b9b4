"""Kaldi's lexicons with probabilities of silence.

In: ``lexiconp_silprob.txt`` and ``silprob.txt``, as ``utils/dict_dir_add_pronprobs.sh`` writes
them. Out: a `Lexicon` whose entries say how likely silence is after them, and what holds for
whole sentences.

Public names: `SilenceProbabilities`, `read_silence_lexicon`, `read_silence_probabilities`.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.orthography import fields

__all__ = ["SilenceProbabilities", "read_silence_lexicon", "read_silence_probabilities"]

_EXPECTED = "word, its probability, that of silence after it, two correction factors, phones"
#: Name in ``silprob.txt`` -> attribute, and whether it is a probability.
_FIELDS = {
    "<s>": ("initial", True),
    "</s>_s": ("end_after_silence", False),
    "</s>_n": ("end_after_word", False),
    "overall": ("overall", True),
}


@dataclasses.dataclass(frozen=True)
class SilenceProbabilities:
    """What ``silprob.txt`` says.

    Attributes
    ----------
    initial : float
        Probability of silence before the first word (``<s>``): what
        ``GraphOptions.silence_probability`` means where every entry has a probability of its own.
    overall : float
        That after any word.
    end_after_silence, end_after_word : float
        Correction factors of the end of a sentence (``</s>_s``, ``</s>_n``); graphs hold none.
    """

    initial: float
    overall: float
    end_after_silence: float = 1.0
    end_after_word: float = 1.0


def read_silence_lexicon(path: str | Path) -> Lexicon:
    """Read ``lexiconp_silprob.txt``.

    Each line: a word, the probability of this pronunciation, the probability of silence after it
    (kept as ``Entry.silence``), two factors, and the phones. The factors correct for the word
    that follows, after silence and without it; they are checked and left out, for an `Entry`
    holds what comes after it only.

    Parameters
    ----------
    path : path
        UTF-8, plain or gzip.

    Raises
    ------
    FormatError
        A line has too few fields or a bad number (``file:line`` is named), or there is none.

    Notes
    -----
    Chen, Xu, Peddinti, Povey & Khudanpur (2015), "Pronunciation and silence probability modeling
    for ASR": P(s_r | w), F(s_l | w) and F(n_l | w).
    """
    entries = []
    for number, line in read_lines(path):
        row = fields(line)
        if not row:
            continue
        where = f"{path}:{number}"
        if len(row) < 6:
            raise FormatError("too few fields for a lexicon with silence", where=where,
                              got=len(row), expected=_EXPECTED)  # fmt: skip
        probability = _number(row[1], where, "the probability of a pronunciation", 1.0)
        silence = _number(row[2], where, "the probability of silence", 1.0)
        if silence == 1.0:
            raise FormatError("silence after a word cannot be certain", where=where,
                              got=row[2], expected="below 1")  # fmt: skip
        for text in row[3:5]:
            _number(text, where, "a correction factor", math.inf)
        entries.append(Entry(row[0], tuple(row[5:]), probability, where, silence))
    if not entries:
        raise FormatError("no pronunciations in this lexicon", where=str(path), expected=_EXPECTED)
    note = f"{path}: the factors for the word that follows (columns 4 and 5) are left out"
    return Lexicon(entries, (note,))


def read_silence_probabilities(path: str | Path) -> SilenceProbabilities:
    """Read ``silprob.txt``: a name and a number a line.

    Raises
    ------
    FormatError
        A line is not understood, a name comes twice, or ``<s>`` or ``overall`` is missing.
    """
    values: dict[str, float] = {}
    for number, line in read_lines(path):
        row = fields(line)
        if not row:
            continue
        where = f"{path}:{number}"
        if len(row) != 2 or row[0] not in _FIELDS:
            raise FormatError("not a probability of silence", where=where, got=repr(line[:60]),
                              expected=f"one of {' '.join(_FIELDS)} and a number")  # fmt: skip
        name, probable = _FIELDS[row[0]]
        if name in values:
            raise FormatError(f"{row[0]} comes twice", where=where)
        values[name] = _number(row[1], where, row[0], 1.0 if probable else math.inf)
    if missing := [text for text, (_, needed) in _FIELDS.items()
                   if needed and _FIELDS[text][0] not in values]:  # fmt: skip
        raise FormatError(f"it does not say {missing[0]}", where=str(path))
    return SilenceProbabilities(**values)


def _number(text: str, where: str, what: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0.0 < value <= most and math.isfinite(value)):
        raise FormatError(f"not {what}", where=where, got=repr(text[:40]),
                          expected="above 0" + (f", at most {most:g}" if most < math.inf else ""))  # fmt: skip
    return value
