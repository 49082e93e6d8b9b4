"""One utterance's result in the forms that people read.

In: an `Outcome`. Out: words, phones and states with times of its recording; lines and subtitles.

Public names: `ctm_of`, `end_of`, `n_best_lines`, `recordings_named`, `shifted`, `subtitles_text`, `tiers_of`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.formats.ctm import ctm_text
from wfst_hmm.formats.subtitles import SubtitleOptions, cues_of, srt_text, vtt_text
from wfst_hmm.search.result import Decoded, Word

__all__ = [
    "ctm_of", "end_of", "n_best_lines", "recordings_named", "shifted", "subtitles_text", "tiers_of",
]  # fmt: skip

#: A recording: its path and channel.
Recording = tuple[Path, int | None]


def n_best_lines(outcome: Outcome) -> str:
    """Return a line for each alternative: id, rank, probability, cost, words."""
    return "".join(
        f"{outcome.utterance.id}\t{rank}\t{other.probability:.4f}\t"
        f"{other.decoded.total_cost:.4f}\t{other.decoded.text}\n"
        for rank, other in enumerate(outcome.alternatives, start=1)
    )


def subtitles_text(words: Sequence[Word], form: str, options: SubtitleOptions | None) -> str:
    """Return the words of a recording as ``srt`` or ``vtt``."""
    cues = cues_of(words, options)
    return srt_text(cues) if form == "srt" else vtt_text(cues)


def recordings_named(
    parts: Mapping[Recording, Sequence[tuple[str, Sequence[Word]]]],
) -> dict[str, list[Word]]:
    """Return the words of each recording in order of time, by a name for its file.

    Parameters
    ----------
    parts : mapping
        Of each recording: ids and words of its utterances.
    """
    named: dict[str, list[Word]] = {}
    for (audio, _), utterances in parts.items():
        name = utterances[0][0] if len(utterances) == 1 else audio.stem
        while name in named:
            name += "-2"
        words = [word for _, some in utterances for word in some]
        named[name] = sorted(words, key=lambda word: word.start)
    return named


def ctm_of(outcome: Outcome, tier: str) -> tuple[str, str]:
    """Return an utterance's lines of CTM, and what they are sorted by in a file.

    The first column is the recording, the second its channel, from 1: sclite looks for both.
    """
    utterance = outcome.utterance
    name, channel = utterance.recording_name, str((utterance.channel or 0) + 1)
    text = ctm_text({name: shifted(outcome, tier)}, channel=channel)
    return text, f"{name} {channel} {utterance.start or 0.0:012.3f} {utterance.id}"


def end_of(outcome: Outcome) -> float:
    """Return where the utterance ends, seconds from the beginning of the recording."""
    decoded = outcome.decoded
    length = float(decoded.frame_times()[-1]) if decoded else 0.0
    return (outcome.utterance.start or 0.0) + length


def tiers_of(outcome: Outcome, tiers: Sequence[str]) -> dict[str, list[Word]]:
    """Return each tier's intervals by the tier's name."""
    return {tier: shifted(outcome, tier) for tier in tiers}


def shifted(outcome: Outcome, tier: str) -> list[Word]:
    """Return words, phones or states with times from the beginning of the recording."""
    decoded: Decoded | None = outcome.decoded
    start = outcome.utterance.start or 0.0
    if decoded is None:
        return []
    if tier == "words":
        return [
            dataclasses.replace(word, start=start + word.start, end=start + word.end)
            for word in decoded.words
        ]
    if tier == "phones":
        return [
            Word(phone.text, start + phone.start, start + phone.end, phone.confidence)
            for phone in decoded.phones
        ]
    return [Word(name, start + begin, start + end) for name, begin, end in _states(decoded)]


def _states(decoded: Decoded) -> Iterable[tuple[str, float, float]]:
    """Yield each stretch of frames in one state: its name, start and end in seconds."""
    times, end = decoded.frame_times(), 0
    for phone in decoded.phones:
        for state, frames in itertools.groupby(phone.states):
            begin, end = end, end + len(list(frames))
            yield f"{phone.text}.{state}", float(times[begin]), float(times[end])
