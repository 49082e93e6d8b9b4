"""Speaker identification and verification on LibriSpeech.

In: folders with one sub-folder a speaker. Out: rows of accuracy and equal error rates.

Public names: `bench_speaker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.speaker_frames import SpeakerOptions, corpus_frames, find_speakers
from wfst_hmm.apps.speaker_trials import evaluate_speakers, split_recordings
from wfst_hmm.apps.speakers import enroll
from wfst_hmm.bench.report import Row

__all__ = ["bench_speaker"]

_HELD_OUT = 0.3
_IDENTIFIED, _EQUAL_ERROR = 97.0, 5.0  # per cent, for pieces of 5 s


def bench_speaker(
    folder: str | Path,
    strangers: str | Path | None = None,
    *,
    seconds: Sequence[float] = (5.0, 2.0, 1.0),
    n_threads: int = 1,
) -> list[Row]:
    """Enrol the first 70 % of each speaker's recordings, judge pieces of the rest.

    Parameters
    ----------
    folder : path
        Speakers who are enrolled.
    strangers : path, optional
        Speakers who are not: their pieces make false claims too.
    seconds : sequence of float
        Lengths of pieces, in seconds of speech.
    """
    options = SpeakerOptions()
    frames = corpus_frames(find_speakers(folder), options, n_workers=n_threads)
    others = None
    if strangers is not None:
        others = corpus_frames(find_speakers(strangers), options, n_workers=n_threads)
    enrolled, held = split_recordings(frames, _HELD_OUT)
    models = enroll(enrolled, options, n_threads=n_threads)
    rows = []
    for length in seconds:
        test = evaluate_speakers(models, held, length, strangers=others)
        wanted = length >= 5.0
        n = len(models.speakers)
        found = test.detection
        rows += [
            Row(f"identify {length:g} s among {n}", "% right", 100 * test.accuracy,
                target=_IDENTIFIED if wanted else None,
                note=f"{test.n_right} of {test.n_pieces} pieces"),
            Row(f"verify {length:g} s", "% equal error", 100 * found.equal_error_rate,
                target=_EQUAL_ERROR if wanted else None, less_is_better=True,
                note=f"{found.n_true:,} true, {found.n_false:,} false claims"),
        ]  # fmt: skip
    return rows
