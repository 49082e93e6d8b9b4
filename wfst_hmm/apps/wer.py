"""Word error rate: what was said against what was recognized.

In: reference and hypothesis words, or the files that hold them. Out: `WordErrors`,
substitutions, deletions and insertions with the alignment that they come from.

Public names: `AlignedWord`, `FileScore`, `WordErrors`, `score_files`, `score_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError
from wfst_hmm.formats.data import read_text, read_transcripts

__all__ = ["AlignedWord", "FileScore", "WordErrors", "score_files", "score_words"]


@dataclasses.dataclass(frozen=True)
class AlignedWord:
    """One column of an alignment: a reference word, a hypothesis word, or both."""

    reference: str | None
    hypothesis: str | None

    @property
    def kind(self) -> str:
        """``correct``, ``substitution``, ``deletion`` or ``insertion``."""
        if self.reference is None:
            return "insertion"
        if self.hypothesis is None:
            return "deletion"
        return "correct" if self.reference == self.hypothesis else "substitution"


@dataclasses.dataclass(frozen=True)
class WordErrors:
    """Errors of one utterance, or of many pooled.

    Attributes
    ----------
    substitutions, deletions, insertions : int
    n_words : int
        Words of the reference.
    alignment : tuple of AlignedWord
        In order; of pooled errors one after the other.
    """

    substitutions: int
    deletions: int
    insertions: int
    n_words: int
    alignment: tuple[AlignedWord, ...] = ()

    @classmethod
    def pool(cls, parts: Iterable[WordErrors]) -> WordErrors:
        """Add up the errors of several utterances."""
        parts = list(parts)
        return cls(
            sum(part.substitutions for part in parts),
            sum(part.deletions for part in parts),
            sum(part.insertions for part in parts),
            sum(part.n_words for part in parts),
            tuple(word for part in parts for word in part.alignment),
        )

    @property
    def n_errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Errors per reference word, a fraction; may pass 1. No reference word counts as one."""
        return self.n_errors / max(self.n_words, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return ``wer``, ``substitutions``, ``deletions``, ``insertions``, ``words`` for JSON."""
        return {
            "wer": self.wer,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "words": self.n_words,
        }


@dataclasses.dataclass(frozen=True)
class FileScore:
    """Errors of a file of hypotheses.

    Attributes
    ----------
    total : WordErrors
        Of all utterances of the reference.
    utterances : mapping of str to WordErrors
        In the reference's order.
    missing : tuple of str
        Utterances without a hypothesis; their words count as deletions.
    """

    total: WordErrors
    utterances: Mapping[str, WordErrors]
    missing: tuple[str, ...]

    @property
    def n_wrong(self) -> int:
        """Utterances with an error."""
        return sum(part.n_errors > 0 for part in self.utterances.values())


def score_words(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """Align two word sequences with the fewest errors (Levenshtein 1966).

    Among the alignments with the fewest errors it takes one with the most correct words, which
    makes the numbers of substitutions, deletions and insertions unique.

    Examples
    --------
    >>> errors = score_words("one two three".split(), "one three four".split())
    >>> errors.deletions, errors.insertions, errors.n_errors / errors.n_words == errors.wer
    (1, 1, True)
    """
    reference, hypothesis = tuple(reference), tuple(hypothesis)
    costs, unit = _costs(reference, hypothesis)
    columns: list[AlignedWord] = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        here = costs[i, j]
        if i and j:
            same = reference[i - 1] == hypothesis[j - 1]
            if here == costs[i - 1, j - 1] + (-1 if same else unit):
                i, j = i - 1, j - 1
                columns.append(AlignedWord(reference[i], hypothesis[j]))
                continue
        if i and here == costs[i - 1, j] + unit:
            i -= 1
            columns.append(AlignedWord(reference[i], None))
        else:
            j -= 1
            columns.append(AlignedWord(None, hypothesis[j]))
    kinds = [column.kind for column in columns]
    return WordErrors(
        kinds.count("substitution"),
        kinds.count("deletion"),
        kinds.count("insertion"),
        len(reference),
        tuple(reversed(columns)),
    )


def _costs(
    reference: Sequence[str], hypothesis: Sequence[str]
) -> tuple[npt.NDArray[np.int64], int]:
    """Cost of the best alignment of every pair of prefixes, shape (N + 1, M + 1).

    An error costs `unit`, a correct word -1; `unit` outweighs all correct words together, so
    errors are minimized first. A row needs no loop: its insertions are a running minimum.
    """
    n, m = len(reference), len(hypothesis)
    numbers: dict[str, int] = {}
    ref = np.array([numbers.setdefault(word, len(numbers)) for word in reference], dtype=np.int64)
    hyp = np.array([numbers.setdefault(word, len(numbers)) for word in hypothesis], dtype=np.int64)
    unit = min(n, m) + 1
    inserted = unit * np.arange(m + 1)
    costs = np.empty((n + 1, m + 1), dtype=np.int64)
    costs[0] = inserted
    for i in range(1, n + 1):
        row = costs[i]
        row[:] = costs[i - 1] + unit
        diagonal = costs[i - 1, :-1] + np.where(hyp == ref[i - 1], -1, unit)
        np.minimum(row[1:], diagonal, out=row[1:])
        row[:] = np.minimum.accumulate(row - inserted) + inserted
    return costs, unit


def score_files(
    reference: str | Path, hypothesis: str | Path, *, ignore_case: bool = False
) -> FileScore:
    """Score a file of hypotheses.

    Parameters
    ----------
    reference : path
        A Kaldi ``text`` file, a Kaldi data directory or a TSV manifest.
    hypothesis : path
        A file in Kaldi ``text`` form, such as ``hyp.txt`` of ``wfst-hmm decode``.
    ignore_case : bool
        Compare case-folded words.

    Raises
    ------
    FormatError
        A file is missing or cannot be understood.
    DataError
        A hypothesis belongs to no reference, the files share no utterance, or the reference has
        none.
    """
    references = read_transcripts(reference)
    hypotheses = read_text(hypothesis)
    unknown = [id_ for id_ in hypotheses if id_ not in references]
    if unknown:
        raise DataError(
            f"no reference for utterance {unknown[0]!r}"
            + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""),
            where=str(hypothesis),
            expected=f"utterances of {reference}",
            fix="Score it against its own reference.",
        )
    if not references:
        raise DataError("no transcript", where=str(reference), fix="Name a text file.")
    if not hypotheses:
        raise DataError("no hypothesis", where=str(hypothesis), fix="Decode first.")
    fold = str.casefold if ignore_case else str
    utterances = {
        id_: score_words(
            [fold(word) for word in words], [fold(word) for word in hypotheses.get(id_, ())]
        )
        for id_, words in references.items()
    }
    missing = tuple(id_ for id_ in references if id_ not in hypotheses)
    return FileScore(WordErrors.pool(utterances.values()), utterances, missing)
