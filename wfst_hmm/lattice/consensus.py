"""Minimum Bayes risk: the words with the least expected number of errors, and how sure each is.

In: a `Lattice`. Out: `Consensus`: bins of competing words (a confusion network), the best word
of each with its posterior and times.

Public names: `Consensus`, `Bin`, `consensus`, `confidences`.

Notes
-----
Xu, Povey, Mangu & Zhu (2011), "Minimum Bayes Risk decoding and system combination based on a
recursion for edit distance", algorithms 1-5: the edit distance between one word sequence and
all paths of a lattice at once, by an approximate recursion that never overestimates agreement.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Floats, Ints, Lattice
from wfst_hmm.lattice.nbest import best_hypothesis
from wfst_hmm.lattice.posteriors import arc_posteriors, log_forward
from wfst_hmm.search.result import Word

__all__ = ["Bin", "Consensus", "confidences", "consensus"]

_MAX_ROUNDS = 20
_MAX_CELLS = 1 << 22  # states times slots that are looked at one and all (70 MB)
_REACH = 5.0  # seconds that a word may be from its place beyond that
_FAR = 1e9
_DELTA = 1e-5  # errors; makes a word rather meet an empty bin than be an insertion


@dataclasses.dataclass(frozen=True)
class Bin:
    """Words that compete for one place.

    Attributes
    ----------
    words : tuple of (str, float)
        Words and posteriors, most probable first; ``""`` stands for no word.
    start, end : float
        Seconds, averaged over the paths that have a word here.
    """

    words: tuple[tuple[str, float], ...]
    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Consensus:
    """The word sequence of least expected word errors.

    Attributes
    ----------
    words : tuple of Word
        With confidences: the posterior of the word in its bin.
    bins : tuple of Bin
        The confusion network, bins in which some word has a noticeable posterior.
    expected_errors : float
        Expected edit distance between `words` and what was said, as the lattice sees it.
    """

    words: tuple[Word, ...]
    bins: tuple[Bin, ...]
    expected_errors: float


def consensus(lattice: Lattice, *, scale: float = 1.0, min_posterior: float = 1e-3) -> Consensus:
    """Find the words with the least expected number of errors.

    Parameters
    ----------
    lattice : Lattice
        Raw lattices are determinized first.
    scale : float
        Factor on all costs, as for `arc_posteriors`.
    min_posterior : float
        Words less probable are left out of the bins.
    """
    work = _Work.of(lattice, scale)
    chosen, ends = work.best_words()
    rounds = 0
    while True:
        slots = _with_gaps(chosen)
        gamma, spans, errors = work.compare(slots, ends)
        better = np.argmax(gamma, axis=1)
        rounds += 1
        improved = better[better > 0]
        if np.array_equal(improved, chosen) or rounds == _MAX_ROUNDS:
            break
        chosen, ends = improved, np.maximum.accumulate(spans[better > 0, 1])
    return work.result(slots, gamma, spans, errors, min_posterior)


def confidences(
    lattice: Lattice,
    words: tuple[str, ...],
    *,
    scale: float = 1.0,
    ends: Sequence[float] | None = None,
) -> list[float]:
    """Return for each of `words` the probability that it was said there.

    Parameters
    ----------
    lattice : Lattice
    words : tuple of str
        Any word sequence, such as the best path's.
    scale : float
    ends : sequence of float, optional
        Seconds at which the words end, in order. In long recordings a word is only compared with
        what lies within a few seconds of it; by default the words are spread as those of the
        best path are.
    """
    work = _Work.of(lattice, scale)
    ids = work.ids(words)
    if ends is None:
        _, known = work.best_words()
        places = np.linspace(0, max(len(known) - 1, 0), len(ids)).round().astype(np.int64)
        last = known[places] if len(known) else np.zeros(len(ids))
    else:
        times = work.lattice.frame_times()
        last = np.interp(np.asarray(ends, dtype=np.float64), times, np.arange(len(times)))
    gamma, _, _ = work.compare(_with_gaps(ids), np.maximum.accumulate(last))
    places = 1 + 2 * np.arange(len(ids))
    return [
        float(gamma[place, word]) if word < gamma.shape[1] else 0.0
        for place, word in zip(places, ids, strict=True)
    ]


def _with_gaps(words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Put a place for an insertion before, between and after the words."""
    slots = np.zeros(2 * len(words) + 1, dtype=np.int64)
    slots[1::2] = words
    return slots


@dataclasses.dataclass(frozen=True, eq=False)
class _Work:
    """A lattice with one end, its words numbered from 1 as far as they occur."""

    lattice: Lattice
    source: Ints
    target: Ints
    word: npt.NDArray[np.int64]  # local numbers
    share: Floats  # probability of each arc among the paths into its target
    frames: Ints
    vocabulary: tuple[int, ...]  # local number - 1 -> word of the lattice
    n_states: int

    @classmethod
    def of(cls, lattice: Lattice, scale: float) -> _Work:
        if not lattice.is_deterministic:
            lattice = determinize_lattice(lattice)
        forward = log_forward(lattice, scale=scale)
        ends = np.flatnonzero(lattice.final < np.inf).astype(np.int32)
        n = lattice.n_states
        # arcs without a word from every final state to one end behind all others
        source = np.concatenate([lattice.source, ends])
        target = np.concatenate([lattice.target, np.full(len(ends), n, np.int32)])
        word = np.concatenate([lattice.word, np.zeros(len(ends), np.int32)])
        log = -scale * np.concatenate([lattice.cost, lattice.final[ends]])
        forward = np.append(forward, arc_posteriors(lattice, scale=scale)[1])
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(np.exp(forward[source] + log - forward[target]))
        vocabulary, local = np.unique(word[word > 0], return_inverse=True)
        numbered = np.zeros(len(word), dtype=np.int64)
        numbered[word > 0] = local + 1
        frames = np.append(lattice.frames(), 0)
        frames[n] = frames[:n].max(initial=0)
        order = np.lexsort((source, target))
        return cls(
            lattice, source[order], target[order], numbered[order], share[order],
            frames.astype(np.int32), tuple(vocabulary.tolist()), n + 1,
        )  # fmt: skip

    def ids(self, words: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Number words; those that the lattice lacks get a number above all others."""
        local = {self.lattice.words[word]: i + 1 for i, word in enumerate(self.vocabulary)}
        unknown = len(self.vocabulary) + 1
        return np.array([local.get(word, unknown) for word in words], dtype=np.int64)

    def best_words(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the words of the best path, and the frames behind them."""
        best = best_hypothesis(self.lattice)
        if best is None:
            return self.ids(()), np.zeros(0)
        return self.ids(best.words), np.array([*best.word_frames[1:], len(best.labels)], float)

    def compare(self, slots: npt.NDArray[np.int64], ends: Floats) -> tuple[Floats, Floats, float]:
        """Return word posteriors of each slot, mean first and last frames, expected errors.

        `ends` are the frames behind the words; they matter in long lattices only.
        """
        low, width = self._band(len(slots), ends)
        gamma, begin, end, errors = _recursion(
            self.source, self.target, self.word, self.share, self.frames, slots,
            len(self.vocabulary) + 1, low, width,
        )  # fmt: skip
        heard = np.maximum(gamma[:, 1:].sum(axis=1), 1e-300)
        return gamma, np.stack([begin / heard, end / heard], axis=1), float(errors)

    def _band(self, n_slots: int, ends: Floats) -> tuple[Ints, int]:
        """Return how many slots lie before each state at least, and of how many it is open."""
        if self.n_states * (n_slots + 1) <= _MAX_CELLS:
            return np.zeros(self.n_states, dtype=np.int32), n_slots + 1
        reach = _REACH / self.lattice.frame_shift
        # frames behind 0, 1, 2 ... slots: a gap, a word, a gap ...
        behind = np.concatenate([[0.0, 0.0], np.repeat(ends, 2)])[: n_slots + 1]
        low = np.searchsorted(behind, self.frames - reach)
        high = np.searchsorted(behind, self.frames + reach, side="right")
        low[0], high[-1] = 0, n_slots + 1
        low[-1] = min(low[-1], n_slots)
        width = max(int((high - low).max()), 2)
        return low.astype(np.int32), width

    def result(
        self,
        slots: npt.NDArray[np.int64],
        gamma: Floats,
        spans: Floats,
        errors: float,
        min_posterior: float,
    ) -> Consensus:
        names = ["", *(self.lattice.words[word] for word in self.vocabulary)]
        times = self.lattice.frame_times()
        boundaries = np.arange(len(times))
        words, bins = [], []
        for place, slot in enumerate(slots.tolist()):
            start, end = np.interp(spans[place], boundaries, times).tolist()
            ranked = np.argsort(-gamma[place], kind="stable")
            kept = [(names[i], float(gamma[place, i])) for i in ranked.tolist()
                    if gamma[place, i] >= min_posterior]  # fmt: skip
            if any(name for name, _ in kept):
                bins.append(Bin(tuple(kept), start, end))
            if slot:
                words.append(Word(names[slot], start, end, min(1.0, float(gamma[place, slot]))))
        return Consensus(tuple(words), tuple(bins), errors)


@numba.njit(cache=True, nogil=True)
def _recursion(
    source: Ints,
    target: Ints,
    word: npt.NDArray[np.int64],
    share: Floats,
    frames: Ints,
    slots: npt.NDArray[np.int64],
    n_words: int,
    low: Ints,
    width: int,
) -> Any:
    """Edit distance of `slots` to all paths, forward, and what meets what, backward.

    At state s, between ``low[s]`` and ``low[s] + width - 1`` slots have been taken; what lies
    outside counts as out of reach.
    """
    n_slots, n_states, n_arcs = len(slots), len(low), len(source)
    distance = np.zeros((n_states, width))
    for k in range(width - 1):
        q = low[0] + k
        if q < n_slots:
            distance[0, k + 1] = distance[0, k] + (slots[q] != 0)
    choice = np.zeros((n_arcs, width), dtype=np.int8)
    here = np.empty(width)
    for arc in range(n_arcs):
        s, t, w, p = source[arc], target[arc], word[arc], share[arc]
        insertion = 1.0 + _DELTA if w else 0.0
        shift = low[t] - low[s]
        for k in range(width):
            q = low[t] + k
            if q > n_slots:
                break
            at = k + shift  # where the source has q
            meet, insert, delete = _FAR, _FAR, _FAR
            if q > 0 and 0 < at <= width:
                meet = distance[s, at - 1] + (w != slots[q - 1])
            if 0 <= at < width:
                insert = distance[s, at] + insertion
            if q > 0 and k > 0:
                delete = here[k - 1] + (slots[q - 1] != 0)
            if q > 0 and meet <= insert and meet <= delete:
                here[k] = meet
                choice[arc, k] = 1
            elif q == 0 or insert <= delete:
                here[k] = insert
                choice[arc, k] = 2
            else:
                here[k] = delete
                choice[arc, k] = 3
            distance[t, k] += p * here[k]
    last = n_slots - low[n_states - 1]
    weight = np.zeros((n_states, width))
    weight[n_states - 1, last] = 1.0
    gamma = np.zeros((n_slots, n_words))
    begin = np.zeros(n_slots)
    end = np.zeros(n_slots)
    flow = np.empty(width)
    for arc in range(n_arcs - 1, -1, -1):
        s, t, w, p = source[arc], target[arc], word[arc], share[arc]
        flow[:] = p * weight[t]
        shift = low[t] - low[s]
        for k in range(width - 1, -1, -1):
            if flow[k] == 0.0:
                continue
            q = low[t] + k
            at = k + shift
            if choice[arc, k] == 1:
                if 0 < at <= width:
                    weight[s, at - 1] += flow[k]
                    gamma[q - 1, w] += flow[k]
                    if w:
                        begin[q - 1] += flow[k] * frames[s]
                        end[q - 1] += flow[k] * frames[t]
            elif choice[arc, k] == 2:
                if 0 <= at < width:
                    weight[s, at] += flow[k]
            elif k > 0:
                flow[k - 1] += flow[k]
                gamma[q - 1, 0] += flow[k]
    for k in range(width - 1, 0, -1):
        q = low[0] + k
        if q <= n_slots:
            gamma[q - 1, 0] += weight[0, k]
            weight[0, k - 1] += weight[0, k]
    return gamma, begin, end, distance[n_states - 1, last]
