"""Diarization: joined recordings, meetings, and time taken.

In: recordings by speaker, meetings with RTTM. Out: rows of error rates and speeds.

Public names: `bench_diarize`, `bench_joined`, `bench_meetings`, `bench_speed`, `random_mix`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wfst_hmm.apps.diarization.diarize import diarize_audio, features_of
from wfst_hmm.apps.diarization.mixes import Mix, make_mix
from wfst_hmm.apps.diarization.options import DiarizerOptions
from wfst_hmm.apps.diarization.regions import united
from wfst_hmm.apps.diarization.scoring import DiarizationErrors, score_turns
from wfst_hmm.apps.speaker_frames import find_speakers
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import DataError
from wfst_hmm.formats.rttm import Turn, read_rttm
from wfst_hmm.signal.audio import Audio, read_audio

__all__ = ["bench_diarize", "bench_joined", "bench_meetings", "bench_speed", "random_mix"]

_JOINED, _COUNTED, _MEETINGS = 8.0, 80.0, 35.0  # per cent
_SPEED = 100.0  # times real time, 20 minutes


def _recordings(folders: Sequence[str | Path]) -> dict[str, list[Path]]:
    return {
        name: [u.audio for u in own]
        for folder in folders
        for name, own in find_speakers(folder).speakers().items()
    }


def random_mix(recordings: Mapping[str, Sequence[Path]], seed: int) -> Mix:
    """Return a conversation of 2 to 6 speakers and 5 to 20 minutes, as recordings allow."""
    rng = np.random.default_rng(seed)
    n_speakers = int(rng.integers(2, 7))
    return make_mix(recordings, n_speakers, 60 * float(rng.uniform(5, 20)), seed=seed)


def bench_diarize(
    folders: Sequence[str | Path],
    meetings: str | Path | None = None,
    *,
    n_mixes: int = 20,
    minutes: Sequence[float] = (),
    n_threads: int = 2,
) -> list[Row]:
    """Measure all that there is material for.

    Parameters
    ----------
    folders : sequence of path
        Each with one sub-folder a speaker: for `bench_joined` and `bench_speed`.
    meetings : path, optional
        For `bench_meetings`.
    n_mixes : int
        Joined recordings; 0: none.
    minutes : sequence of float
        Lengths to time.
    n_threads : int
    """
    options = DiarizerOptions(threads=n_threads)
    rows = bench_joined(folders, options, n_mixes=n_mixes) if n_mixes else []
    rows += bench_meetings(meetings, options) if meetings else []
    rows += bench_speed(folders, options, minutes=minutes) if minutes else []
    return rows


def bench_joined(
    folders: Sequence[str | Path],
    options: DiarizerOptions | None = None,
    *,
    n_mixes: int = 20,
    first_seed: int = 0,
) -> list[Row]:
    """Diarize conversations joined from recordings of single speakers, speech found by energy.

    Parameters
    ----------
    folders : sequence of path
        Each with one sub-folder a speaker.
    """
    options = options or DiarizerOptions()
    recordings = _recordings(folders)
    errors, seconds, spent = [], 0.0, 0.0
    for seed in range(first_seed, first_seed + n_mixes):
        mix = random_mix(recordings, seed)
        begin = time.perf_counter()
        found = diarize_audio(mix.audio, options)
        spent += time.perf_counter() - begin
        seconds += mix.audio.seconds
        errors.append(score_turns(mix.turns, found.turns))
    right = sum(e.n_reference == e.n_hypothesis for e in errors)
    pooled = DiarizationErrors.pooled(errors)
    return [
        Row(f"{n_mixes} joined recordings, collar 0.25 s", "% DER", 100 * pooled.rate,
            target=_JOINED, less_is_better=True, note=_parts(pooled)),
        Row("worst of them", "% DER", 100 * max(e.rate for e in errors), less_is_better=True),
        Row("number of speakers right", "%", 100 * right / n_mixes, target=_COUNTED,
            note=f"{right} of {n_mixes}"),
        Row("speed, features included", "x real time", seconds / spent,
            note=f"{seconds / 60:.0f} minutes, {options.threads} threads"),
    ]  # fmt: skip


def _parts(errors: DiarizationErrors) -> str:
    total = errors.total or 1.0
    return (f"missed {100 * errors.missed / total:.2f}, false alarm "
            f"{100 * errors.false_alarm / total:.2f}, confusion "
            f"{100 * errors.confusion / total:.2f}")  # fmt: skip


def bench_meetings(folder: str | Path, options: DiarizerOptions | None = None) -> list[Row]:
    """Diarize meeting excerpts whose speech regions are known; one speaker for all beside it.

    Parameters
    ----------
    folder : path
        ``.wav`` files, and ``.rttm`` files that name them. An excerpt with too little speech
        for an answer counts as missed whole.
    """
    options = options or DiarizerOptions()
    folder = Path(folder)
    turns = {name: found for path in sorted(folder.glob("*.rttm"))
             for name, found in read_rttm(path).items()
             if (folder / f"{name}.wav").exists()}  # fmt: skip
    if not turns:
        raise DataError("no recordings with RTTM", where=str(folder))
    rows = []
    alone = dataclasses.replace(options, initial_clusters=1)
    ours = {name: _meeting(folder, name, found, options) for name, found in turns.items()}
    theirs = {name: _meeting(folder, name, found, alone) for name, found in turns.items()}
    for collar, overlap in ((0.25, True), (0.0, True), (0.25, False)):
        pooled = [
            DiarizationErrors.pooled(
                score_turns(turns[n], answer[n], collar=collar, overlap=overlap) for n in turns
            )
            for answer in (ours, theirs)
        ]
        what = "" if overlap else ", overlaps left out"
        rows.append(
            Row(f"{len(turns)} meeting excerpts, collar {collar:g} s{what}", "% DER",
                100 * pooled[0].rate, target=_MEETINGS, less_is_better=True,
                note=f"{_parts(pooled[0])}; one speaker for all: {100 * pooled[1].rate:.2f}")
        )  # fmt: skip
    return rows


def _meeting(
    folder: Path, name: str, turns: Sequence[Turn], options: DiarizerOptions
) -> tuple[Turn, ...]:
    regions = united((turn.start, turn.end) for turn in turns)
    audio = read_audio(folder / f"{name}.wav")
    try:
        return diarize_audio(audio, options, regions=regions).turns
    except DataError:  # less than one voting window
        return ()


def bench_speed(
    folders: Sequence[str | Path],
    options: DiarizerOptions | None = None,
    *,
    minutes: Sequence[float] = (5.0, 20.0, 60.0),
    repeat: int = 1,
) -> list[Row]:
    """Time one recording cut or repeated to several lengths, features included.

    Notes
    -----
    The recording of six speakers is joined once; longer ones repeat it, so that all lengths hold
    the same speakers.
    """
    options = options or DiarizerOptions(threads=2)
    mix = make_mix(_recordings(folders), 6, 60 * max(minutes), seed=1)
    rows = []
    for length in minutes:
        n = round(60 * length * mix.audio.rate)
        audio = Audio(np.resize(mix.audio.samples, n), mix.audio.rate)
        best, cpu, of_features = float("inf"), 0.0, 0.0
        for _ in range(repeat):
            begin, used = time.perf_counter(), time.process_time()
            features_of(audio, options.threads)
            of_features = time.perf_counter() - begin
            begin, used = time.perf_counter(), time.process_time()
            found = diarize_audio(audio, options)
            spent = time.perf_counter() - begin
            if spent < best:
                best, cpu = spent, time.process_time() - used
        rows.append(
            Row(f"{length:g} minutes, {options.initial_clusters} clusters of {options.m_mfcc}, "
                f"{options.threads} threads", "x real time", 60 * length / best,
                target=_SPEED if length == 20 else None,
                note=f"{best:.1f} s, of which features {of_features:.1f} s; {cpu:.1f} s of processor "
                f"time; {len(found.speakers)} speakers")
        )  # fmt: skip
    return rows
