"""Conversations made of recordings of single speakers: the truth is known to the frame.

In: recordings by speaker. Out: one long recording and its turns.

Public names: `Mix`, `make_mix`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.rttm import Turn
from wfst_hmm.signal.audio import Audio, read_audio
from wfst_hmm.signal.speech import frame_levels

__all__ = ["Mix", "make_mix"]

_NOISE = 3e-4  # standard deviation of what is heard in pauses, full scale 1
_GAP = (0.3, 1.5)  # seconds between turns
_RANGE = 35.0  # decibels below the loud frames of a recording where its speech begins and ends
_FRAME = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Mix:
    """A conversation.

    Attributes
    ----------
    audio : Audio
    turns : tuple of Turn
        Each from the first to the last sound of one recording, pauses in between included.
    """

    audio: Audio
    turns: tuple[Turn, ...]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who takes part, sorted."""
        return tuple(sorted({turn.speaker for turn in self.turns}))


def make_mix(
    recordings: Mapping[str, Sequence[Path]],
    n_speakers: int,
    seconds: float,
    *,
    rate: int = 16000,
    seed: int = 0,
) -> Mix:
    """Join recordings of randomly chosen speakers, no two of one speaker in a row.

    Parameters
    ----------
    recordings : mapping of str to sequence of Path
        Of each speaker; each is used at most once, in order.
    n_speakers : int
    seconds : float
        Wanted length; less when the recordings run out. Everybody speaks at least once.
    rate : int
    seed : int

    Raises
    ------
    UsageError
        There are fewer speakers.
    """
    if not 1 <= n_speakers <= len(recordings):
        raise UsageError("n_speakers", got=n_speakers, expected=f"1 to {len(recordings)}")
    rng = np.random.default_rng(seed)
    names = sorted(recordings)
    chosen = [names[i] for i in sorted(rng.choice(len(names), n_speakers, replace=False))]
    left = {name: list(recordings[name]) for name in chosen}
    parts, turns, at = [_pause(rng, rate)], [], 0
    at = len(parts[0])
    order = [chosen[i] for i in rng.permutation(n_speakers)]  # everybody speaks once first
    last = ""
    while at < seconds * rate:
        able = [name for name in chosen if left[name] and (name != last or n_speakers == 1)]
        if not able:
            break
        name = order.pop(0) if order else able[int(rng.integers(len(able)))]
        audio = read_audio(left[name].pop(0), rate=rate)
        first, end = _sounding(audio)
        turns.append(Turn((at + first) / rate, (at + end) / rate, name))
        parts += [audio.samples, _pause(rng, rate)]
        at += len(parts[-1]) + len(parts[-2])
        last = name
    return Mix(Audio(np.concatenate(parts), rate), tuple(turns))


def _pause(rng: np.random.Generator, rate: int) -> npt.NDArray[np.float32]:
    n = round(rng.uniform(*_GAP) * rate)
    return (_NOISE * rng.standard_normal(n)).astype(np.float32)


def _sounding(audio: Audio) -> tuple[int, int]:
    """Return the samples from the first to the last loud frame."""
    levels = frame_levels(audio, _FRAME)
    loud = np.flatnonzero(levels > np.percentile(levels, 95) - _RANGE)
    if not len(loud):
        raise DataError("a recording without sound")
    step = round(_FRAME * audio.rate)
    return int(loud[0]) * step, min((int(loud[-1]) + 1) * step, len(audio.samples))
