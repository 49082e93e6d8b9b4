"""Recordings as users have them, made fit for a recognizer: channels, rates, lengths.

In: a `Corpus` as the command line names it. Out: the same with a channel for recordings of
several, and with long recordings cut at their pauses; notes about what was done.

Public names: `LONGEST`, `prepared_corpus`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.signal.audio import AudioInfo
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.speech import frame_levels

__all__ = ["LONGEST", "prepared_corpus"]

#: Seconds; a longer recording is cut at pauses, so that memory does not grow with its length.
LONGEST = 120.0
_WANTED, _SHORTEST = 30.0, 5.0  # seconds of the pieces: about, and at least
_LEVEL_RATE = 8000  # enough to find pauses
_SMOOTH = 20  # frames of 10 ms that a pause should last


def prepared_corpus(
    corpus: Corpus, rate: int, note: Callable[[str], None] = lambda text: None
) -> Corpus:
    """Return the corpus as it can be decoded.

    Parameters
    ----------
    corpus : Corpus
    rate : int
        Samples per second that the model hears.
    note : callable, optional
        Told of every recording of another rate, with several channels or cut into pieces.
    """
    seen: dict[Path, AudioInfo | None] = {}
    utterances: list[Utterance] = []
    for utterance in corpus:
        path = utterance.audio
        if path not in seen:
            seen[path] = _header(utterance, rate, note)
        header = seen[path]
        if header is not None:
            if header.n_channels > 1 and utterance.channel is None:
                utterance = dataclasses.replace(utterance, channel=0)
            utterances += _pieces(utterance, header, note)
        else:
            utterances.append(utterance)  # what is wrong with it will be said in its place
    return Corpus(tuple(utterances), corpus.where)


def _header(utterance: Utterance, rate: int, note: Callable[[str], None]) -> AudioInfo | None:
    path = utterance.audio
    try:
        header = utterance.header()
    except WfstHmmError:
        return None
    if header.n_channels > 1 and utterance.channel is None:
        note(f"{path}: {header.n_channels} channels, of which the first is transcribed")
    if header.rate < rate:
        note(f"{path}: {header.rate} Hz; the model hears {rate} Hz and will miss what is above "
             f"{header.rate // 2} Hz: expect more errors")  # fmt: skip
    elif header.rate > rate:
        note(f"{path}: converted from {header.rate} to {rate} Hz")
    return header


def _pieces(
    utterance: Utterance, header: AudioInfo, note: Callable[[str], None]
) -> list[Utterance]:
    start = utterance.start or 0.0
    end = header.n_samples / header.rate if utterance.end is None else utterance.end
    if end - start <= LONGEST:
        return [utterance]
    try:
        audio = utterance.read(_LEVEL_RATE)
    except (WfstHmmError, UsageError):
        return [utterance]
    borders = [start, *(start + cut for cut in _cuts(frame_levels(audio))), end]
    note(f"{utterance.audio}: {(end - start) / 60:.1f} minutes, cut at pauses into "
         f"{len(borders) - 1} pieces")  # fmt: skip
    n_digits = max(4, len(str(len(borders))))
    return [
        dataclasses.replace(utterance, id=f"{utterance.id}-{number:0{n_digits}}", words=None,
                            start=first, end=last, recording=utterance.recording_name)
        for number, (first, last) in enumerate(itertools.pairwise(borders), start=1)
    ]  # fmt: skip


def _cuts(levels: npt.NDArray[np.float64]) -> Iterator[float]:
    """Yield seconds at which to cut: the quietest places about every half minute."""
    smooth = np.convolve(levels, np.full(_SMOOTH, 1.0 / _SMOOTH), mode="same")
    shift = 0.01
    at, n = 0, len(smooth)
    while (n - at) * shift > LONGEST / 2:
        first = at + round(_SHORTEST / shift)
        last = min(at + round(2 * _WANTED / shift), n - round(_SHORTEST / shift))
        window = smooth[first:last]
        # of equally quiet places the one nearest to the wanted length
        distance = np.abs(np.arange(first, last) - at - _WANTED / shift) / len(window)
        at = first + int(np.argmin(window + 3.0 * distance))
        yield at * shift
