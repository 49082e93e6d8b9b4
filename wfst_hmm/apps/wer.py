"""Word error rate: what was said against what was recognized.

In: reference and hypothesis words, or the files that hold them. Out: `WordErrors`,
substitutions, deletions and insertions with the alignment that they come from.

Public names: `AlignedWord`, `FileScore`, `SCLITE`, `Weights`, `WordErrors`, `score_files`, `score_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm import orthography
from wfst_hmm.apps.score_sources import paired
from wfst_hmm.errors import DataError
from wfst_hmm.formats.nist import Choice, Deletable, Silent, Token

__all__ = [
    "SCLITE",
    "AlignedWord",
    "FileScore",
    "Weights",
    "WordErrors",
    "score_files",
    "score_words",
]


@dataclasses.dataclass(frozen=True)
class Weights:
    """Costs by which words are aligned; the best alignment has the smallest sum.

    Attributes
    ----------
    substitution, edit, correct : int
        Of a word for another; of a word too many or too few; of a word for itself.
    deletable : int
        Of a word too few that may be missing.
    silent : int
        Of passing over ``@``.
    """

    substitution: int
    edit: int
    deletable: int
    correct: int = 0
    silent: int = 1


#: Those of NIST's sclite, in thousandths.
SCLITE = Weights(4000, 3000, 2000)


@dataclasses.dataclass(frozen=True)
class AlignedWord:
    """One column of an alignment: a reference word, a hypothesis word, or both."""

    reference: str | None
    hypothesis: str | None
    #: Whether they count as one word although they may be written differently.
    same: bool = dataclasses.field(default=False, compare=False)

    @property
    def kind(self) -> str:
        """``correct``, ``substitution``, ``deletion`` or ``insertion``."""
        if self.same:
            return "correct"
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
    speakers : mapping of str to WordErrors
        Of every speaker, in the reference's order.
    notes : tuple of str
        What whoever reads the figures should know.
    """

    total: WordErrors
    utterances: Mapping[str, WordErrors]
    missing: tuple[str, ...]
    speakers: Mapping[str, WordErrors] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def n_wrong(self) -> int:
        """Utterances with an error."""
        return sum(part.n_errors > 0 for part in self.utterances.values())


def score_words(
    reference: Sequence[Token],
    hypothesis: Sequence[Token],
    *,
    weights: Weights | None = None,
    same: Callable[[str], str] = orthography.plain_apostrophes,
) -> WordErrors:
    """Align two word sequences with the fewest errors (Levenshtein 1966).

    Among the alignments with the fewest errors it takes one with the most correct words, which
    makes the numbers of substitutions, deletions and insertions unique.

    Parameters
    ----------
    reference, hypothesis : sequence of str or Choice
        Words; of alternatives (`formats.nist.Choice`) the best is taken.
    weights : Weights, optional
        By default errors cost 1; `SCLITE` counts as NIST's tool does.
    same : callable (word) -> str
        Words are the same when it makes the same of them; by default encodings (NFC, NFD) and
        apostrophes make no difference.

    Examples
    --------
    >>> errors = score_words("one two three".split(), "one three four".split())
    >>> errors.deletions, errors.insertions, errors.n_errors / errors.n_words == errors.wer
    (1, 1, True)
    """
    ref, hyp = _Net(reference, same), _Net(hypothesis, same)
    if weights is None:  # one error outweighs all correct words together
        unit = min(len(ref.words), len(hyp.words)) + 1
        weights = Weights(unit, unit, 0, -1, 0)
    columns = _columns(ref, hyp, _costs(ref, hyp, weights), weights)
    kinds = [column.kind for column in columns]
    return WordErrors(
        kinds.count("substitution"),
        kinds.count("deletion"),
        kinds.count("insertion"),
        sum(column.reference is not None for column in columns),
        tuple(columns),
    )


class _Net:
    """Words with alternatives as a network: arc 0 begins, each further arc is a word.

    Attributes
    ----------
    words : list of str
        Of every arc.
    keys : list of str
        What is compared.
    before : list of tuple of int
        The arcs that each may follow, smaller numbers.
    ends : tuple of int
        The arcs that may be last.
    """

    def __init__(self, tokens: Sequence[Token], same: Callable[[str], str]) -> None:
        self.words: list[str] = [""]
        self.before: list[tuple[int, ...]] = [()]
        self.ends = self._add(tokens, (0,))
        self.keys = [same(word) for word in self.words]
        self.is_linear = all(b == (i - 1,) for i, b in enumerate(self.before) if i)

    def _add(self, tokens: Sequence[Token], ends: tuple[int, ...]) -> tuple[int, ...]:
        for token in tokens:
            if isinstance(token, Choice):
                ends = tuple(end for way in token.ways for end in self._add(way, ends))
            else:
                self.words.append(token)
                self.before.append(ends)
                ends = (len(self.words) - 1,)
        return ends

    def skipping(self, weights: Weights) -> npt.NDArray[np.int64]:
        """Return what it costs to leave out each arc."""
        return np.array([
            weights.silent if isinstance(word, Silent)
            else weights.deletable if isinstance(word, Deletable) else weights.edit
            for word in self.words
        ], dtype=np.int64)  # fmt: skip


def _costs(ref: _Net, hyp: _Net, weights: Weights) -> npt.NDArray[np.int64]:
    """Return the cost of the best alignment that ends with each pair of arcs, shape (A, B).

    Where the hypothesis has no alternatives a row needs no loop: its insertions are a running
    minimum.
    """
    numbers: dict[str, int] = {}
    a_keys, b_keys = (
        np.array([numbers.setdefault(key, len(numbers)) for key in net.keys], dtype=np.int64)
        for net in (ref, hyp)
    )
    deleted, inserted = ref.skipping(weights), hyp.skipping(weights)
    costs = np.empty((len(ref.words), len(hyp.words)), dtype=np.int64)
    total = np.cumsum(inserted) - inserted[0]
    for a in range(len(ref.words)):
        row = costs[a]
        if a:
            above = costs[list(ref.before[a])].min(axis=0)
            pairs = np.where(b_keys == a_keys[a], weights.correct, weights.substitution)
            row[:] = above + deleted[a]
            for b, before in enumerate(hyp.before) if not hyp.is_linear else ():
                if b:
                    row[b] = min(row[b], above[list(before)].min() + pairs[b])
            if hyp.is_linear:
                np.minimum(row[1:], above[:-1] + pairs[1:], out=row[1:])
        else:
            row[:] = np.iinfo(np.int64).max // 4
            row[0] = 0
        if hyp.is_linear:
            row[:] = np.minimum.accumulate(row - total) + total
        else:
            for b, before in enumerate(hyp.before):
                if b:
                    row[b] = min(row[b], row[list(before)].min() + inserted[b])
    return costs


def _columns(
    ref: _Net, hyp: _Net, costs: npt.NDArray[np.int64], weights: Weights
) -> list[AlignedWord]:
    """Return the best alignment, found from its end.

    Of equally good ways it takes a pair of words, then an insertion, as sclite does.
    """
    deleted, inserted = ref.skipping(weights), hyp.skipping(weights)
    pairs = [(a, b) for a in ref.ends for b in hyp.ends]
    a, b = min(pairs, key=lambda pair: costs[pair])
    columns: list[AlignedWord] = []
    while a or b:
        here, said, heard = costs[a, b], ref.words[a], hyp.words[b]
        equal = ref.keys[a] == hyp.keys[b]
        if a and b:
            cost = here - (weights.correct if equal else weights.substitution)
            found = next(((i, j) for i in ref.before[a] for j in hyp.before[b]
                          if costs[i, j] == cost), None)  # fmt: skip
            if found is not None:
                columns.append(AlignedWord(_written(said), _written(heard), equal))
                a, b = found
                continue
        before = next((j for j in hyp.before[b] if costs[a, j] == here - inserted[b]), None)
        if before is not None:
            if not isinstance(heard, Silent):
                may = isinstance(heard, Deletable)
                columns.append(AlignedWord("" if may else None, _written(heard), may))
            b = before
            continue
        if not isinstance(said, Silent):
            may = isinstance(said, Deletable)
            columns.append(AlignedWord(_written(said), None, may))
        a = next(i for i in ref.before[a] if costs[i, b] == here - deleted[a])
    return columns[::-1]


def _written(word: str) -> str:
    return f"({word})" if isinstance(word, Deletable) else str(word)


def score_files(
    reference: str | Path,
    hypothesis: str | Path,
    *,
    ignore_case: bool = False,
    sclite: bool = False,
) -> FileScore:
    """Score a file of hypotheses.

    Parameters
    ----------
    reference : path
        Whatever `apps.score_sources.read_source` reads: a Kaldi ``text``, a data directory, a
        TSV manifest, sclite's ``.trn``, ``.stm`` or ``.ctm``, a TextGrid or a folder of them.
    hypothesis : path
        The same, or a folder of results, whose ``hyp.txt`` or ``words.ctm`` is taken.
    ignore_case : bool
        Compare case-folded words.
    sclite : bool
        Count as ``sclite -D`` does: case is ignored, and words are aligned with its weights.

    Raises
    ------
    FormatError
        A file is missing or cannot be understood.
    DataError
        A hypothesis belongs to no reference, the files share no utterance, or the reference has
        none.
    """
    references, hypotheses, notes = paired(reference, hypothesis, all_kinds=sclite)
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
    same = orthography.folded if ignore_case or sclite else orthography.plain_apostrophes
    weights = SCLITE if sclite else None
    utterances = {
        id_: score_words(said.tokens, hypotheses.get(id_, ()), weights=weights, same=same)
        for id_, said in references.items()
    }
    quoted = sum(
        w.same and not w.reference.startswith("(")
        and orthography.key(w.reference).casefold() != orthography.key(w.hypothesis).casefold()
        for part in utterances.values() for w in part.alignment if w.reference and w.hypothesis
    )  # fmt: skip
    if quoted:
        notes.append(
            f"{quoted} word{'s' * (quoted > 1)} taken for equal although apostrophes differ"
        )
    speakers: dict[str, list[WordErrors]] = {}
    for id_, said in references.items():
        speakers.setdefault(said.speaker or id_, []).append(utterances[id_])
    missing = tuple(id_ for id_ in references if id_ not in hypotheses)
    return FileScore(
        WordErrors.pool(utterances.values()), utterances, missing,
        {name: WordErrors.pool(parts) for name, parts in speakers.items()}, tuple(notes),
    )  # fmt: skip
