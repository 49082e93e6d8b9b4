"""Who spoke when in one recording.

In: a recording or its features, perhaps where speech is. Out: `Diarization`: turns, mixtures,
and how it came about; files by `run_job`.

Public names: `Diarization`, `diarize_audio`, `diarize_frames`, `run_job`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.diarization.agglomeration import Clustering, Merger, agglomerate
from wfst_hmm.apps.diarization.clusters import Material
from wfst_hmm.apps.diarization.options import DiarizerOptions, Job, diarizer_features
from wfst_hmm.apps.diarization.regions import read_regions
from wfst_hmm.apps.diarization.resegmentation import viterbi_speakers
from wfst_hmm.errors import DataError
from wfst_hmm.formats.rttm import Turn, write_rttm
from wfst_hmm.models.bank import Bank
from wfst_hmm.models.checks import as_frames
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.storage import save_arrays
from wfst_hmm.models.threads import map_threads
from wfst_hmm.signal.audio import Audio, read_audio
from wfst_hmm.signal.features import frame_times
from wfst_hmm.signal.htk_files import read_htk_features
from wfst_hmm.signal.silero import silero_regions
from wfst_hmm.signal.speech import SpeechOptions, bounds_of, frames_of, speech_regions, stretches

__all__ = ["Diarization", "diarize_audio", "diarize_frames", "run_job"]

Regions = npt.NDArray[np.float64]
Tell = Callable[[int, float], None]

_FRAME_SHIFT, _FRAME_OFFSET = 0.01, 0.0075  # of `diarizer_features`
_BLOCK = 5  # frames decided together in the final search: 50 ms
_SNAP = 0.5  # seconds from a pause within which a change of speakers belongs into it
_LEAST = 1.0  # seconds of speech that anybody can be told from
_CHUNK = 30.0  # seconds of audio whose features are computed at a time


@dataclasses.dataclass(frozen=True, eq=False)
class Diarization:
    """The result for one recording.

    Attributes
    ----------
    turns : tuple of Turn
        In order of time; speakers are called ``spk0``, ``spk1``, ... as they first speak.
    speakers : tuple of str
    mixtures : MixtureSet
        One state a speaker, in that order.
    mergers : tuple of Merger
        The rounds of the clustering.
    seconds : float
        Of speech.
    """

    turns: tuple[Turn, ...]
    speakers: tuple[str, ...]
    mixtures: MixtureSet
    mergers: tuple[Merger, ...]
    seconds: float


def diarize_audio(
    audio: Audio,
    options: DiarizerOptions | None = None,
    *,
    regions: Regions | None = None,
    speech: SpeechOptions | None = None,
    tell: Tell | None = None,
) -> Diarization:
    """Tell who speaks when in a recording.

    Parameters
    ----------
    audio : Audio
        At 16 kHz.
    regions : ndarray, shape (R, 2), optional
        Where speech is, in seconds; by default found by energy.

    Raises
    ------
    DataError
        No speech, or less than one voting window of it.
    """
    options = options or DiarizerOptions()
    speech = speech or SpeechOptions(min_pause=0.3, pad=0.1)
    bridge = 0.0  # pauses that somebody has marked are pauses
    if regions is None:
        regions, bridge = speech_regions(audio, speech), options.bridge
    return diarize_frames(features_of(audio, options.threads), regions, options, bridge=bridge,
                          seconds=audio.seconds, tell=tell)  # fmt: skip


def features_of(audio: Audio, n_threads: int = 1) -> npt.NDArray[np.float32]:
    """Return cepstra 1 to 19 of a recording, shape (T, 19); long ones in parallel pieces."""
    features = diarizer_features()
    step = round(_CHUNK * audio.rate)
    shift, length = features.n_samples_per_shift, features.n_samples_per_frame
    starts = [at for at in range(0, len(audio.samples), step)
              if at == 0 or len(audio.samples) - at >= length]  # fmt: skip

    def work(at: int) -> npt.NDArray[np.float32]:
        # The last frame of a piece reaches beyond it, as far as a frame is longer than a shift.
        piece = Audio(audio.samples[at : at + step + length - shift], audio.rate)
        return features.cepstra(piece)[: step // shift, 1:]

    return np.concatenate(map_threads(work, starts, n_threads))


def diarize_frames(
    frames: npt.ArrayLike,
    regions: Regions | None,
    options: DiarizerOptions | None = None,
    *,
    frame_shift: float = _FRAME_SHIFT,
    frame_offset: float = _FRAME_OFFSET,
    seconds: float | None = None,
    bridge: float = 0.0,
    tell: Tell | None = None,
) -> Diarization:
    """Tell who speaks when from features.

    Parameters
    ----------
    frames : array_like, shape (T, D)
    regions : ndarray, shape (R, 2), optional
        Where speech is, in seconds; None: everywhere.
    frame_shift, frame_offset : float
        Seconds; by default of windows of 25 ms every 10 ms.
    seconds : float, optional
        Duration of the recording.
    bridge : float
        Seconds; a shorter gap in `regions` between turns of one speaker becomes theirs.
    """
    options = options or DiarizerOptions()
    x = as_frames(frames, name="features", dtype=np.float32)
    mask = np.ones(len(x), dtype=bool)
    times = frame_times(len(x), frame_shift, frame_offset, seconds)
    if regions is not None:
        mask = frames_of(regions, len(x), frame_shift=frame_shift)
        # where speech begins and ends is known better than to a frame
        times[bounds_of(regions, len(x), frame_shift=frame_shift)] = np.minimum(regions, times[-1])
    n = int(mask.sum())
    least = min(options.seg_length, round(_LEAST / frame_shift))
    if n < least:
        raise DataError("too little speech", got=f"{n} frames ({n * frame_shift:.2f} s)",
                        expected=f"{least} frames or more",
                        fix="Give a longer recording.")  # fmt: skip
    if n < options.seg_length:  # not one voting window: somebody speaks, and nobody else is heard
        options = dataclasses.replace(options, initial_clusters=1)
    material = Material(x[mask], options.threads)
    lengths = np.diff(stretches(mask), axis=1).ravel()
    clustering = agglomerate(material, options, stretches=lengths, tell=tell)
    labels, banks = _settled(material, clustering, options, frame_shift)
    labels = snapped(labels, np.cumsum(lengths)[:-1], round(_SNAP / frame_shift))
    order = list(dict.fromkeys(labels.tolist()))  # as they first speak
    whole = np.full(len(x), -1, dtype=np.intp)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    whole[mask] = rank[labels]
    names = tuple(f"spk{k}" for k in range(len(order)))
    states = [(banks[k].weights[0], banks[k].means[0], banks[k].covars[0]) for k in order]
    return Diarization(
        _turns(whole, names, times, bridge),
        names, MixtureSet.from_states(states), clustering.mergers, n * frame_shift,
    )  # fmt: skip


def _settled(
    material: Material, clustering: Clustering, options: DiarizerOptions, frame_shift: float
) -> tuple[npt.NDArray[np.intp], list[Bank]]:
    """Search and train in turn; whoever is left without a frame is dropped."""
    labels, banks = clustering.labels, list(clustering.banks)
    for _ in range(options.viterbi_iterations):
        labels = viterbi_speakers(
            material.scores(banks), min_frames=max(1, round(options.min_duration / frame_shift)),
            switch_cost=options.switch_cost, block=_BLOCK,
        )  # fmt: skip
        present = np.unique(labels)
        banks = [
            material.train(banks[k], material.blocks(labels == k), options.em_iterations)
            for k in present
        ]
        labels = np.searchsorted(present, labels)
    return labels, banks


def snapped(
    labels: npt.NDArray[np.intp], pauses: npt.NDArray[np.intp], reach: int
) -> npt.NDArray[np.intp]:
    """Move changes of speakers into pauses nearby.

    Parameters
    ----------
    labels : ndarray of int, shape (N,)
    pauses : ndarray of int
        Frames before which a pause lies, rising.
    reach : int
        Frames that a change moves at most; never across another change.
    """
    out: npt.NDArray[np.intp] = labels.copy()
    changes = np.flatnonzero(np.diff(labels)) + 1
    if not len(pauses):
        return out
    borders = [0, *changes.tolist(), len(labels)]
    for i, change in enumerate(changes.tolist(), start=1):
        target = int(pauses[np.abs(pauses - change).argmin()])
        if abs(target - change) > reach or not borders[i - 1] < target < borders[i + 1]:
            continue
        low, high = sorted((change, target))
        out[low:high] = labels[change] if target < change else labels[change - 1]
        borders[i] = target
    return out


def _turns(
    labels: npt.NDArray[np.intp],
    names: tuple[str, ...],
    times: npt.NDArray[np.float64],
    bridge: float,
) -> tuple[Turn, ...]:
    """Turn labels of frames (-1: nobody) into turns; short pauses of one speaker are closed."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    starts = np.concatenate([[0], edges])
    ends = np.append(edges, len(labels))
    turns: list[Turn] = []
    for start, end in zip(starts, ends, strict=True):
        who = int(labels[start])
        if who < 0:
            continue
        turn = Turn(float(times[start]), float(times[end]), names[who])
        same = turns and turns[-1].speaker == turn.speaker
        if same and turn.start - turns[-1].end < bridge:
            turns[-1] = Turn(turns[-1].start, turn.end, turn.speaker)
        else:
            turns.append(turn)
    return tuple(turns)


def run_job(job: Job, *, tell: Tell | None = None) -> Diarization:
    """Read what a job names, diarize, and write its RTTM and mixtures.

    Raises
    ------
    WfstHmmError
        Something cannot be read or used; then nothing is written.
    """
    regions = None if job.spnsp_file is None else read_regions(job.spnsp_file)
    try:
        result = _diarized(job, regions, tell)
    except DataError as error:
        raise DataError(error.what, where=error.where or str(job.source), got=error.got,
                        expected=error.expected, fix=error.fix) from None  # fmt: skip
    if job.gmm_output is not None:
        info = {"speakers": list(result.speakers), "basename": job.basename}
        save_arrays(job.gmm_output, "speaker mixtures", result.mixtures.to_arrays(), info)
    if job.output_cluster is not None:
        write_rttm(job.output_cluster, {job.basename: result.turns})
    return result


def _diarized(job: Job, regions: Regions | None, tell: Tell | None) -> Diarization:
    if job.audio is not None:
        features = diarizer_features()
        audio = read_audio(job.audio, rate=features.rate, channel=job.channel, raw=job.raw)
        if regions is None and job.detector == "silero":
            return diarize_frames(
                features_of(audio, job.options.threads), silero_regions(audio, job.speech),
                job.options, bridge=job.options.bridge, seconds=audio.seconds, tell=tell,
            )  # fmt: skip
        return diarize_audio(audio, job.options, regions=regions, speech=job.speech, tell=tell)
    found = read_htk_features(job.source)
    return diarize_frames(found.array, regions, job.options, frame_shift=found.frame_shift,
                          tell=tell)  # fmt: skip
