"""From state labels to phones and words with times.

In: the state label of every frame and the words of a path. Out: phone and word segments; and how
well each phone of an alignment fits its frames, beside all other phones.

Public names: `goodness_of`, `phone_segments`, `split_into_words`, `with_confidences`, `word_segments`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.result import Decoded, Phone, Word

__all__ = ["goodness_of", "phone_segments", "split_into_words", "with_confidences", "word_segments"]


def phone_segments(
    labels: npt.NDArray[np.int32],
    table: StateLabels,
    phones: Sequence[str],
    times: npt.NDArray[np.float64],
) -> tuple[tuple[Phone, ...], npt.NDArray[np.int64]]:
    """Cut a sequence of state labels into phones.

    Parameters
    ----------
    labels : ndarray of int32, shape (T,)
        State label of each frame, from 1.
    table : StateLabels
    phones : sequence of str
        Names of the phones that `table` numbers.
    times : ndarray of float64, shape (T + 1,)
        When each frame begins, and the end (`signal.features.frame_times`).

    Returns
    -------
    segments : tuple of Phone
    borders : ndarray of int64, shape (n + 1,)
        First frame of each phone, and T.
    """
    if not len(labels):
        return (), np.zeros(1, dtype=np.int64)
    rows = np.asarray(labels) - 1
    phone = table.phone[rows]
    starts = table.is_entry[rows].copy()
    starts[0] = True
    starts[1:] |= phone[1:] != phone[:-1]
    borders = np.append(np.flatnonzero(starts), len(rows))
    segments = tuple(
        Phone(
            phones[int(phone[first])],
            float(times[first]),
            float(times[end]),
            tuple(table.state[rows[first:end]].tolist()),
        )
        for first, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
    )
    return segments, borders


def split_into_words(
    phones: Sequence[str],
    words: Sequence[str],
    pronunciations: Callable[[str], Iterable[Sequence[str]]],
    silence: Collection[str],
    unprinted: Iterable[Sequence[str]] = (),
    near: Sequence[int] | None = None,
) -> list[tuple[int, int]] | None:
    """Find which run of phones each word is made of.

    Parameters
    ----------
    phones : sequence of str
        Phones of the whole utterance.
    words : sequence of str
    pronunciations : callable
        Word to its pronunciations, each a sequence of phones.
    silence : collection of str
        Phones that may stand between words.
    unprinted : iterable of sequence of str
        Pronunciations of what is spoken and not printed, which may stand between words, too: the
        "one" of a "twenty one" that is printed as 21. What follows a word without a pause belongs
        to it.
    near : sequence of int, optional
        A phone about which each word begins, to tell the words of several splits apart.

    Returns
    -------
    list of (first, end) phone positions, or None
        None when the words cannot be spoken with these phones. Where several splits are
        possible, silence goes between words rather than into them.

    Examples
    --------
    >>> split_into_words(["SIL", "N", "OW", "Y", "EH", "S"], ["no", "yes"],
    ...                  {"no": [["N", "OW"]], "yes": [["Y", "EH", "S"]]}.get, {"SIL"})
    [(1, 3), (3, 6)]
    """
    fillers = [*((phone,) for phone in silence), *map(tuple, unprinted)]
    # for each word: where it may end -> minus how far the words so far are from where they should
    # be, where it then starts, and where the word before ended; the greatest is the best
    after: list[dict[int, tuple[int, int, int]]] = []
    ends = {0: (0, 0, 0)}
    for number, word in enumerate(words):
        found: dict[int, tuple[int, int, int]] = {}
        wanted = [tuple(phones_of) for phones_of in pronunciations(word)]
        for end in ends:
            for first in _behind(phones, end, fillers):
                for pronunciation in wanted:
                    stop = first + len(pronunciation)
                    if tuple(phones[first:stop]) == pronunciation:
                        off = abs(first - near[number]) if near is not None else 0
                        way = (ends[end][0] - off, first, end)
                        found[stop] = max(found.get(stop, way), way)
        if not found:
            return None
        after.append(found)
        ends = dict(sorted(found.items()))
    last = [end for end in ends if len(phones) in _behind(phones, end, fillers)]
    if not last:
        return None
    split: list[tuple[int, int]] = []
    end, behind = max(last, key=lambda at: (ends[at][0], -at)), len(phones)
    for reached in reversed(after):
        stop = end
        while stop < behind and phones[stop] not in silence:
            stop += 1  # what is not printed
        _, behind, end_before = reached[end]
        split.append((behind, stop))
        end = end_before
    return split[::-1]


def _behind(phones: Sequence[str], start: int, fillers: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the positions that are reached from `start` over fillers, none included."""
    positions = [start]
    for position in positions:  # grows while it is walked
        for filler in fillers:
            stop = position + len(filler)
            if tuple(phones[position:stop]) == filler and stop not in positions:
                positions.append(stop)
    return sorted(positions)


def word_segments(
    words: Sequence[str],
    word_frames: Sequence[int],
    phones: Sequence[Phone],
    borders: npt.NDArray[np.int64],
    pronunciations: Callable[[str], Iterable[Sequence[str]]],
    silence: Collection[str],
    times: npt.NDArray[np.float64],
    unprinted: Iterable[Sequence[str]] = (),
) -> tuple[tuple[Word, ...], bool]:
    """Give words their times.

    Parameters
    ----------
    words : sequence of str
    word_frames : sequence of int
        Frame before which the graph put out each word; used only where the pronunciations do
        not explain the phones.
    phones, borders
        As `phone_segments` returns them.
    pronunciations, silence, unprinted
        As for `split_into_words`.
    times
        As for `phone_segments`.

    Returns
    -------
    words : tuple of Word
    exact : bool
        Whether the pronunciations gave the times; otherwise a word lasts from where the graph
        put it out to where it put out the next one, but for silence at either end.
    """
    texts = [phone.text for phone in phones]
    unprinted = list(unprinted)
    near = None
    if unprinted:
        near = (np.searchsorted(borders, word_frames, side="right") - 1).tolist()
    split = split_into_words(texts, words, pronunciations, silence, unprinted, near)
    if split is not None:
        return tuple(
            Word(word, float(times[borders[first]]), float(times[borders[end]]))
            for word, (first, end) in zip(words, split, strict=True)
        ), True
    frames = [*word_frames, int(borders[-1])]
    sounds = np.repeat([text not in silence for text in texts], np.diff(borders))
    rough = []
    for word, begin, end in zip(words, frames, frames[1:], strict=False):
        inside = begin + np.flatnonzero(sounds[begin:end])
        first, stop = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (begin, end)
        rough.append(Word(word, float(times[first]), float(times[stop])))
    return tuple(rough), False


def goodness_of(decoded: Decoded, scores: Scores, labels: StateLabels) -> npt.NDArray[np.float64]:
    """Return how far each frame's phone lies behind the best phone, nats, 0 at best, shape (T,).

    The phone of a frame is as good as its best state: where exactly its states follow each other
    says little about the phone.

    Notes
    -----
    Witt & Young (2000), "Phone-level pronunciation scoring and assessment for interactive
    language learning": the goodness of pronunciation, with the best phone of each frame in place
    of a free phone loop.
    """
    n_phones = int(labels.phone.max()) + 1
    best = np.full((scores.n_frames, n_phones), -np.inf)
    for phone in range(n_phones):
        columns = np.unique(labels.column[labels.phone == phone])
        if len(columns):
            best[:, phone] = scores.array[:, columns].max(axis=1)
    own = best[np.arange(scores.n_frames), labels.phone[decoded.labels - 1]]
    return np.asarray(own - best.max(axis=1))


def with_confidences(
    decoded: Decoded, scores: Scores, labels: StateLabels, *, scale: float = 0.1
) -> Decoded:
    """Return the alignment with confidences.

    Parameters
    ----------
    decoded : Decoded
        An alignment.
    scores : Scores
        Those that were aligned.
    labels : StateLabels
        Of the graph.
    scale : float
        On the mean goodness of a phone's frames before its exponential is taken: frames are far
        from independent, so that likelihoods claim too much.
    """
    goodness = goodness_of(decoded, scores, labels)
    phones, end = [], 0
    for phone in decoded.phones:
        begin, end = end, end + len(phone.states)
        mean = float(goodness[begin:end].mean()) if end > begin else 0.0
        phones.append(dataclasses.replace(phone, confidence=float(np.exp(scale * mean))))
    words = []
    for word in decoded.words:
        inside = [
            phone.confidence
            for phone in phones
            if phone.confidence is not None
            and word.start < (phone.start + phone.end) / 2 < word.end
        ]
        words.append(dataclasses.replace(word, confidence=min(inside, default=None)))
    return dataclasses.replace(decoded, phones=tuple(phones), words=tuple(words))
