"""From state labels to phones and words with times.

In: the state label of every frame and the words of a path. Out: phone and word segments.

Public names: `phone_segments`, `split_into_words`, `word_segments`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.result import Phone, Word

__all__ = ["phone_segments", "split_into_words", "word_segments"]


def phone_segments(
    labels: npt.NDArray[np.int32],
    table: StateLabels,
    phones: Sequence[str],
    frame_shift: float,
) -> tuple[tuple[Phone, ...], npt.NDArray[np.int64]]:
    """Cut a sequence of state labels into phones.

    Parameters
    ----------
    labels : ndarray of int32, shape (T,)
        State label of each frame, from 1.
    table : StateLabels
    phones : sequence of str
        Names of the phones that `table` numbers.
    frame_shift : float
        Seconds per frame.

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
            float(first * frame_shift),
            float(end * frame_shift),
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
    after: list[dict[int, int]] = []  # for each word: where it may end -> where it then starts
    ends = [0]
    for word in words:
        found: dict[int, int] = {}
        wanted = [tuple(phones_of) for phones_of in pronunciations(word)]
        for end in ends:
            for first in _behind_silence(phones, end, silence):
                for pronunciation in wanted:
                    stop = first + len(pronunciation)
                    if tuple(phones[first:stop]) == pronunciation and found.get(stop, -1) < first:
                        found[stop] = first
        if not found:
            return None
        after.append(found)
        ends = sorted(found)
    last = [end for end in ends if len(phones) in _behind_silence(phones, end, silence)]
    if not last:
        return None
    return _walk_back(phones, after, last[0], silence)


def _walk_back(
    phones: Sequence[str], after: list[dict[int, int]], end: int, silence: Collection[str]
) -> list[tuple[int, int]] | None:
    split: list[tuple[int, int]] = []
    for number in range(len(after) - 1, -1, -1):
        first = after[number][end]
        split.append((first, end))
        if number:
            # the nearest end before `first` with nothing but silence between
            end = first
            while end not in after[number - 1]:
                end -= 1
    return split[::-1]


def _behind_silence(phones: Sequence[str], start: int, silence: Collection[str]) -> list[int]:
    """Return the positions reached from `start` by skipping silence phones, none included."""
    positions = [start]
    while start < len(phones) and phones[start] in silence:
        start += 1
        positions.append(start)
    return positions


def word_segments(
    words: Sequence[str],
    word_frames: Sequence[int],
    phones: Sequence[Phone],
    borders: npt.NDArray[np.int64],
    pronunciations: Callable[[str], Iterable[Sequence[str]]],
    silence: Collection[str],
    frame_shift: float,
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
    pronunciations, silence
        As for `split_into_words`.
    frame_shift : float

    Returns
    -------
    words : tuple of Word
    exact : bool
        Whether the pronunciations gave the times; otherwise a word lasts from where the graph
        put it out to where it put out the next one.
    """
    split = split_into_words([phone.text for phone in phones], words, pronunciations, silence)
    if split is not None:
        return tuple(
            Word(word, float(borders[first] * frame_shift), float(borders[end] * frame_shift))
            for word, (first, end) in zip(words, split, strict=True)
        ), True
    frames = [*word_frames, int(borders[-1])]
    return tuple(
        Word(word, frames[i] * frame_shift, frames[i + 1] * frame_shift)
        for i, word in enumerate(words)
    ), False
