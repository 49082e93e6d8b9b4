"""n-gram models from text: counting and smoothing.

In: sentences. Out: an `NgramModel` that gives every sequence of its words a probability, and
whose probabilities after any history sum to one.

Both methods interpolate: an n-gram's estimate is its discounted share of its history plus what
the history leaves over, spread as the shorter history says; the shortest spreads evenly.

Public names: `estimate_ngrams`, `read_sentences`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_words
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.ngram import UNKNOWN_WORDS, NgramModel, NgramTable, is_reserved
from wfst_hmm.orthography import FirstForms, fields, is_symbol

__all__ = ["estimate_ngrams", "read_sentences"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BOS, _EOS, _UNK = 1, 2, 3
_NEVER = -99.0 * math.log(10.0)  # how ARPA files write that a word is not predicted
#: Discounts of counts 1, 2 and 3 or more where the text is too small to estimate them.
_FALLBACK = (0.5, 1.0, 1.5)


@dataclasses.dataclass(frozen=True)
class _Counts:
    """The distinct n-grams of one order, sorted by context and word.

    `suffix` is the entry, one order below, of the n-gram without its first word; `from_start`
    tells whether it begins with ``<s>``.
    """

    context: Ints
    word: Ints
    count: Ints
    suffix: Ints
    from_start: npt.NDArray[np.bool_]


def read_sentences(path: str | Path) -> list[list[str]]:
    """Read one sentence a line, words between blanks; empty lines are left out.

    Encodings of one word (NFC, NFD) are counted together, in the form that comes first.
    """
    form = FirstForms()
    return [list(map(form, fields(line))) for _, line in read_lines(path) if line.strip()]


def estimate_ngrams(
    sentences: Iterable[str | Sequence[str]],
    order: int = 3,
    *,
    method: Literal["kneser-ney", "witten-bell"] = "kneser-ney",
    vocabulary: str | Iterable[str] | None = None,
) -> NgramModel:
    """Estimate an n-gram model from text.

    Parameters
    ----------
    sentences : iterable of str, or of sequences of str
        Without ``<s>`` and ``</s>``.
    order : int
    method : {"kneser-ney", "witten-bell"}
        Interpolated modified Kneser-Ney (Chen & Goodman 1999, eq. 19 to 22), best with enough
        text; or interpolated Witten-Bell (1991), which takes any text, however small.
    vocabulary : iterable of str, optional
        The words of the model: those that the text lacks get the share of unseen words, those
        that it has besides count as ``<unk>``. By default all words of the text.

    Returns
    -------
    NgramModel
        With ``<s>``, ``</s>`` and ``<unk>``; ``info["discounts"]`` lists Kneser-Ney's.

    Raises
    ------
    DataError
        There is no sentence, or a word is empty, reserved or holds white space.
    """
    if not 1 <= order <= 10:
        raise UsageError("an impossible order", got=order, expected="1 to 10")
    if method not in ("kneser-ney", "witten-bell"):
        raise UsageError("no such method", got=repr(method), expected="kneser-ney or witten-bell")
    if isinstance(sentences, str):  # a text: a sentence a line
        sentences = sentences.splitlines()
    text = [as_words(sentence) for sentence in sentences]
    words = _vocabulary(text, None if vocabulary is None else as_words(vocabulary))
    counts = _count(text, words, order)
    discounts: list[tuple[float, float, float]] = []
    tables: list[NgramTable] = []
    below: Floats = np.array([])
    leftover: Floats = np.array([])
    for k, found in enumerate(counts, start=1):
        predicted = found.word != _BOS
        if method == "kneser-ney":
            extended = counts[k].suffix if k < order else None
            number = _continuations(found, extended)
            discounts.append(_discounts(number[predicted & (number > 0)]))
            taken = np.array([0.0, *discounts[-1]])[np.minimum(number, 3)]
        else:
            number = np.where(predicted, found.count, 0)
            taken = np.zeros(len(number))
        n_contexts = len(counts[k - 2].word) if k > 1 else 1
        total = np.bincount(found.context, number, n_contexts)
        if method == "kneser-ney":
            left = np.bincount(found.context, taken, n_contexts)
        else:
            left = np.bincount(found.context, number > 0, n_contexts)
            total = total + left
        with np.errstate(invalid="ignore", divide="ignore"):
            leftover = np.where(total > 0, left / total, 1.0)
        lower = below[found.suffix] if k > 1 else np.full(len(found.word), 1 / (len(words) - 2))
        probability = (number - taken) / total[found.context] + leftover[found.context] * lower
        with np.errstate(divide="ignore"):
            log_prob = np.where(predicted, np.log(probability), _NEVER)
        below = np.where(predicted, probability, 0.0)
        if k > 1:
            tables[-1] = dataclasses.replace(tables[-1], backoff=np.log(leftover))
        tables.append(NgramTable(
            found.context.astype(np.int32), found.word.astype(np.int32), log_prob,
            np.zeros(len(log_prob)), len(words),
        ))  # fmt: skip
    info = {"method": method, "n_sentences": len(text), "skipped": 0}
    return NgramModel(words, tuple(tables), {**info, "discounts": discounts} if discounts else info)


def _vocabulary(text: Sequence[Sequence[str]], chosen: Iterable[str] | None) -> Symbols:
    if not text:
        raise DataError("no sentence to count", fix="Give at least one line of text.")
    found = dict.fromkeys(word for sentence in text for word in sentence)
    special = ("<s>", "</s>", *UNKNOWN_WORDS)
    for word in [*found, *(chosen := found if chosen is None else list(chosen))]:
        if not is_symbol(word) or is_reserved(word) or word in special[:2]:
            raise DataError("a word that a model cannot hold", got=repr(word),
                            expected="no white space, not <s>, </s>, <eps>, #0, #1 ...")  # fmt: skip
    spoken = dict.fromkeys(word for word in chosen if word not in special)
    return Symbols(["<s>", "</s>", "<unk>", *spoken])


def _count(text: Sequence[Sequence[str]], words: Symbols, order: int) -> list[_Counts]:
    """Count the n-grams of each order that occur in one sentence.

    At order 1 every word of the vocabulary has an entry, counted or not.
    """
    number = {word: at for at, word in enumerate(words)}
    lengths = np.array([len(sentence) + 2 for sentence in text])
    ids = np.array([
        at for sentence in text
        for at in (_BOS, *(number.get(word, _UNK) for word in sentence), _EOS)
    ], dtype=np.int64)  # fmt: skip
    position = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    n_words = len(words)
    entry = ids - 1  # entry of the k-gram that ends here; order 1 lists words 1, 2, ...
    listed = np.arange(1, n_words)
    counts = [_Counts(np.zeros(n_words - 1, np.int64), listed, np.bincount(entry, minlength=n_words - 1),
                      np.zeros(n_words - 1, np.int64), listed == _BOS)]  # fmt: skip
    for k in range(2, order + 1):
        here = np.flatnonzero(position >= k - 1)
        keys, first, inverse, count = np.unique(
            entry[here - 1] * n_words + ids[here],
            return_index=True, return_inverse=True, return_counts=True,
        )  # fmt: skip
        counts.append(_Counts(keys // n_words, keys % n_words, count, entry[here[first]],
                              position[here[first]] == k - 1))  # fmt: skip
        entry = np.full(len(ids), -1)
        entry[here] = inverse
    return counts


def _continuations(found: _Counts, longer_suffixes: Ints | None) -> Ints:
    """Return how many different words precede each n-gram; its count where none can."""
    if longer_suffixes is None:
        number = found.count
    else:
        before = np.bincount(longer_suffixes, minlength=len(found.word))
        number = np.where(found.from_start, found.count, before)
    return np.where(found.word == _BOS, 0, number)


def _discounts(number: Ints) -> tuple[float, float, float]:
    """Estimate what to take from counts of 1, 2 and 3 or more (Chen & Goodman 1999, eq. 17)."""
    n = [int((number == c).sum()) for c in (1, 2, 3, 4)]
    if n[0] and n[1] and n[2]:
        y = n[0] / (n[0] + 2 * n[1])
        d = tuple(c - (c + 1) * y * n[c] / n[c - 1] for c in (1, 2, 3))
        if all(0 < part < c for c, part in enumerate(d, start=1)):
            return d[0], d[1], d[2]
    return _FALLBACK
