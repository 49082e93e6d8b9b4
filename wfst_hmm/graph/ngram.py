"""An n-gram language model with backoff, as arrays.

In: rows of word numbers with their log probabilities and backoff weights (from ``arpa``,
``lm_bin`` or ``ngram_estimation``). Out: `NgramModel`, which answers "how probable is this word
after these", scores whole texts at once, and is turned into a grammar by ``ngram_fst``.

An n-gram is stored as the entry of its first n-1 words (its *context*) and its last word, sorted
by both, so that a lookup is a binary search and n-grams of millions cost a few arrays.

Public names: `NgramModel`, `NgramRows`, `NgramTable`, `Perplexity`, `UNKNOWN_WORDS`,
`is_reserved`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_words
from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.fst.symbols import EPSILON, Symbols

__all__ = [
    "UNKNOWN_WORDS",
    "NgramModel",
    "NgramRows",
    "NgramTable",
    "Perplexity",
    "is_reserved",
]

#: The words that stand for "any word not listed", the first one present is taken.
UNKNOWN_WORDS = ("<unk>", "<UNK>")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class NgramRows:
    """The n-grams of one order as a file lists them, in any order.

    Attributes
    ----------
    words : ndarray of int32, shape (n, k)
        Numbers of the k words of each n-gram.
    log_prob, backoff : ndarray of float64, shape (n,)
        Natural logarithms of the probability and of the backoff weight (0 where none is given).
    """

    words: Ints
    log_prob: Floats
    backoff: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class NgramTable(Frozen):
    """The n-grams of one order, sorted by context and word; read-only.

    Attributes
    ----------
    context : ndarray of int32, shape (n,)
        Entry of the first k-1 words in the table of order k-1; all 0 at order 1.
    word : ndarray of int32, shape (n,)
        The last word.
    log_prob, backoff : ndarray of float64, shape (n,)
        Natural logarithms; `backoff` is what leaving this n-gram as a history costs.
    n_words : int
        Size of the vocabulary's table, epsilon included.
    """

    context: Ints
    word: Ints
    log_prob: Floats
    backoff: Floats
    n_words: int

    def __post_init__(self) -> None:
        for array in (self.context, self.word, self.log_prob, self.backoff):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.word)

    @functools.cached_property
    def keys(self) -> npt.NDArray[np.int64]:
        """Context and word as one increasing number, shape (n,)."""
        return self.context.astype(np.int64) * self.n_words + self.word

    def find(self, context: npt.NDArray[Any], word: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the entries with these contexts and words, shape (m,); -1 where there is none.

        A negative context finds nothing.
        """
        wanted = context.astype(np.int64) * self.n_words + word
        at = np.searchsorted(self.keys, wanted)
        if not len(self):
            return np.full(len(wanted), -1, dtype=np.int64)
        at[at == len(self)] = 0
        return np.where((self.keys[at] == wanted) & (context >= 0), at, -1)


@dataclasses.dataclass(frozen=True)
class Perplexity:
    """How well a model predicts a text.

    Attributes
    ----------
    log_prob : float
        Natural log probability of everything counted.
    n_sentences, n_words : int
        Sentences, and words without sentence ends.
    n_unknown : int
        Words outside the vocabulary: predicted as ``<unk>`` where the model has it, else left
        out of every figure.
    n_impossible : int
        Words and sentence ends that the model gives no probability; left out of every figure.
    """

    log_prob: float
    n_sentences: int
    n_words: int
    n_unknown: int
    n_impossible: int
    n_predicted: int

    @property
    def perplexity(self) -> float:
        """Inverse geometric mean of the probability of a predicted word or sentence end."""
        return math.exp(-self.log_prob / self.n_predicted) if self.n_predicted else math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class NgramModel:
    """A backoff n-gram model.

    Attributes
    ----------
    words : Symbols
        The vocabulary, with ``<s>``, ``</s>`` and ``<unk>`` where the model has them.
    tables : tuple of NgramTable
        Orders 1 to N.
    info : mapping
        What the reader or estimator has to say: where from, rows left out and why.

    Notes
    -----
    ``p(w | h) = p*(w | h)`` where the n-gram is listed, else ``bow(h) p(w | h')`` with ``h'`` the
    history without its first word (Katz 1987; the ARPA format, Doug Paul).
    """

    words: Symbols
    tables: tuple[NgramTable, ...]
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    bos: str = "<s>"
    eos: str = "</s>"

    @property
    def order(self) -> int:
        """The longest n-gram's length."""
        return len(self.tables)

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of n-grams of each order."""
        return tuple(len(table) for table in self.tables)

    @property
    def unknown(self) -> str | None:
        """The word that stands for unknown words, or None."""
        return next((word for word in UNKNOWN_WORDS if word in self.words), None)

    def __repr__(self) -> str:
        return f"NgramModel(order {self.order}, {len(self.words) - 1} words, counts {self.counts})"

    @classmethod
    def from_rows(
        cls,
        words: Symbols,
        rows: Sequence[NgramRows],
        *,
        info: Mapping[str, Any] | None = None,
        place: Callable[[int, int], str] | None = None,
    ) -> NgramModel:
        """Sort and link rows.

        Rows that no sentence can reach are left out and counted in ``info["skipped"]``, as Kaldi's
        ``arpa2fst`` does: ``<s>`` past the first place, ``</s>`` before the last, and an n-gram
        whose first n-1 words are no n-gram of the model.

        Parameters
        ----------
        words : Symbols
        rows : sequence of NgramRows
            Orders 1 to N.
        info : mapping, optional
        place : callable, optional
            ``place(order, row)`` says where a row came from, for messages.

        Raises
        ------
        FormatError
            An n-gram occurs twice.
        """
        bos, eos = (words.id(w) if w in words else -1 for w in (cls.bos, cls.eos))
        tables: list[NgramTable] = []
        skipped = 0
        for order, row in enumerate(rows, start=1):
            ids = row.words
            keep = ~((ids[:, 1:] == bos).any(axis=1) | (ids[:, :-1] == eos).any(axis=1))
            context = _entries(tables, ids[:, :-1])
            keep &= context >= 0
            kept = np.flatnonzero(keep)
            skipped += len(ids) - len(kept)
            key = context[kept] * len(words) + ids[kept, -1]
            if len(key) > 1 and not (key[1:] > key[:-1]).all():
                by_key = np.argsort(key, kind="stable")
                kept, key = kept[by_key], key[by_key]
                _check_distinct(words, ids, kept, key, order, place)
            tables.append(
                NgramTable(
                    context[kept].astype(np.int32), ids[kept, -1].astype(np.int32),
                    np.ascontiguousarray(row.log_prob[kept], dtype=np.float64),
                    np.ascontiguousarray(row.backoff[kept], dtype=np.float64), len(words),
                )
            )  # fmt: skip
        return cls(words, tuple(tables), {**(info or {}), "skipped": skipped})

    def rows(self, order: int) -> Ints:
        """Return the words of every n-gram of one order, shape (n, order), sorted."""
        table = self.tables[order - 1]
        result = np.empty((len(table), order), dtype=np.int32)
        at: Ints = np.arange(len(table), dtype=np.int32)
        for k in range(order, 0, -1):
            result[:, k - 1] = self.tables[k - 1].word[at]
            at = self.tables[k - 1].context[at]
        return result

    def truncated(self, order: int) -> NgramModel:
        """Return the model of the n-grams up to `order`; it no longer sums to one exactly."""
        if not 1 <= order <= self.order:
            raise UsageError("no such order", got=order, expected=f"1 to {self.order}")
        last = self.tables[order - 1]
        cut = dataclasses.replace(last, backoff=np.zeros(len(last)))
        return dataclasses.replace(self, tables=(*self.tables[: order - 1], cut))

    def restricted_to(self, words: str | Iterable[str]) -> NgramModel:
        """Return the n-grams made of `words` only (with ``<s>`` and ``</s>``), costs unchanged."""
        chosen = {*as_words(words), self.bos, self.eos}
        kept_words = [word for word in self.words if word in chosen]
        table = Symbols(kept_words)
        keep_word = np.array([word in chosen for word in self.words])
        keep_word[0] = False
        number = np.cumsum(keep_word)
        tables: list[NgramTable] = []
        keep_context, new_context = np.array([True]), np.array([0])
        for old in self.tables:
            keep = keep_word[old.word] & keep_context[old.context]
            tables.append(
                NgramTable(
                    new_context[old.context[keep]].astype(np.int32),
                    number[old.word[keep]].astype(np.int32),
                    old.log_prob[keep], old.backoff[keep], len(table),
                )
            )  # fmt: skip
            keep_context, new_context = keep, np.cumsum(keep) - 1
        return dataclasses.replace(self, words=table, tables=tuple(tables))

    def log_prob(self, word: str, history: str | Sequence[str] = ()) -> float:
        """Return the natural log probability of `word` after `history` (oldest word first).

        Words outside the vocabulary count as ``<unk>``; without one the answer is -inf.
        """
        history = as_words(history)
        text = [*history[max(0, len(history) - self.order + 1) :], word]
        return float(self._token_log_probs(self._ids(text))[-1])

    def log_probs(self, rows: npt.NDArray[Any]) -> Floats:
        """Return the natural log probability of the last word of each row after the others.

        Parameters
        ----------
        rows : ndarray of int, shape (n, k)
            Word numbers; with k - 1 above the model's order, the oldest words do not matter.
        """
        gap = np.zeros((len(rows), 1), dtype=np.int64)
        text = np.concatenate((gap, rows), axis=1).ravel()  # number 0 parts the rows
        return self._token_log_probs(text)[rows.shape[1] :: rows.shape[1] + 1]

    def sentence_log_prob(self, words: str | Sequence[str]) -> float:
        """Return the natural log probability of a whole sentence, its end included."""
        ids = self._ids(
            [*([self.bos] if self.bos in self.words else []), *as_words(words), self.eos]
        )
        start = 1 if self.bos in self.words else 0
        return float(self._token_log_probs(ids)[start:].sum())

    def perplexity(self, sentences: Iterable[str | Sequence[str]]) -> Perplexity:
        """Score a text, all positions at once.

        Parameters
        ----------
        sentences : iterable of str, or of sequences of str
            Without ``<s>`` and ``</s>``; ends are predicted where the model has ``</s>``.
        """
        before = [self.bos] if self.bos in self.words else []
        after = [self.eos] if self.eos in self.words else []
        text: list[str] = []
        counted: list[bool] = []  # neither sentence starts nor the gaps between sentences
        n_sentences = n_words = 0
        if isinstance(sentences, str):
            sentences = sentences.splitlines()
        for sentence in map(as_words, sentences):
            text += [*before, *sentence, *after, ""]
            counted += [False] * len(before) + [True] * (len(sentence) + len(after)) + [False]
            n_sentences += 1
            n_words += len(sentence)
        listed = np.array([not word or word in self.words for word in text], dtype=bool)
        unknown = np.array(counted, dtype=bool) & ~listed
        log_prob = self._token_log_probs(self._ids(text))[np.array(counted, dtype=bool)]
        possible = np.isfinite(log_prob)
        return Perplexity(
            float(log_prob[possible].sum()), n_sentences, n_words, int(unknown.sum()),
            int((~possible).sum()) - (0 if self.unknown else int(unknown.sum())),
            int(possible.sum()),
        )  # fmt: skip

    def _ids(self, text: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return word numbers; 0, which no n-gram holds, for gaps and words without a number."""
        number = {word: at for at, word in enumerate(self.words)}
        other = number.get(self.unknown or "", 0)
        return np.array([number.get(word, other) if word else 0 for word in text], dtype=np.int64)

    def _token_log_probs(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Return log p(ids[i] | everything before it) for every i, shape (n,)."""
        n = len(ids)
        if not n:
            return np.zeros(0)
        found = [np.zeros(n, dtype=np.int64)]  # found[k][i]: entry of the k-gram that ends at i
        for table in self.tables:
            before = np.concatenate(([-1], found[-1][:-1])) if len(found) > 1 else found[0]
            found.append(table.find(before, ids))
        result = np.full(n, -np.inf)
        for order, table in enumerate(self.tables, start=1):
            if order > 1:  # not listed at this order: one more backoff weight
                history = np.concatenate(([-1], found[order - 1][:-1]))
                has = history >= 0
                result[has] += self.tables[order - 2].backoff[history[has]]
            listed = found[order] >= 0
            result[listed] = table.log_prob[found[order][listed]]
        return result


def _entries(tables: Sequence[NgramTable], ids: Ints) -> npt.NDArray[np.int64]:
    """Return the entry of each row of words, shape (n,); -1 where a table lacks it."""
    entry = np.zeros(len(ids), dtype=np.int64)
    for table, column in zip(tables, ids.T, strict=True):
        entry = table.find(entry, column)
    return entry


def _check_distinct(
    words: Symbols,
    ids: Ints,
    kept: npt.NDArray[Any],
    key: npt.NDArray[np.int64],
    order: int,
    place: Callable[[int, int], str] | None,
) -> None:
    same = np.flatnonzero(key[1:] == key[:-1])
    if len(same):
        first, second = sorted((int(kept[same[0]]), int(kept[same[0] + 1])))
        raise FormatError(
            f"n-gram {' '.join(words.strings(ids[second]))!r} occurs twice",
            where=place(order, second) if place else None,
            got=f"first at {place(order, first)}" if place else None,
            fix="Keep one of the two.",
        )


def is_reserved(word: str) -> bool:
    """Tell whether graphs use `word` as a label of their own: ``<eps>``, ``#0``, ``#1`` ..."""
    return word == EPSILON or (word.startswith("#") and word[1:].isdigit())
