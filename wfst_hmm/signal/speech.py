"""Where somebody speaks: an energy detector whose threshold follows the recording.

In: `Audio`. Out: a mask with one entry a frame, or stretches in seconds.

Frames are told apart by their energy in decibels: within each window the 10th percentile is
taken as quiet and the 95th as loud, and the threshold lies at a fixed share between the two.

Public names: `SpeechOptions`, `bounds_of`, `frame_levels`, `frames_of`, `fill_pauses`, `speech_frames`,
`speech_regions`, `stretches`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError
from wfst_hmm.options import check, option
from wfst_hmm.signal.audio import Audio

__all__ = [
    "SpeechOptions",
    "bounds_of",
    "fill_pauses",
    "frame_levels",
    "frames_of",
    "speech_frames",
    "speech_regions",
    "stretches",
]

Mask = npt.NDArray[np.bool_]

_QUIET, _LOUD = 10, 95  # percentiles
_SILENCE = 1e-10  # power of full scale 1 that stands for nothing: -100 dB
_SMOOTH = 5  # frames that a level is averaged over


@dataclasses.dataclass(frozen=True)
class SpeechOptions:
    """How speech is told from silence. Each field's metadata holds its ``help``."""

    window: float = option(
        30.0,
        "Seconds within which loud and quiet are told apart.",
        above=0,
        expected="more than 0 s",
    )
    share: float = option(
        0.35, "Where the threshold lies from quiet (0) to loud (1), in dB.", above=0, below=1
    )
    min_range: float = option(
        10.0, "Decibels from quiet to loud; with less there is no speech.", least=0
    )
    min_level: float = option(-75.0, "Level of loud frames below which all is silence, in dB.")
    min_pause: float = option(
        0.5, "Seconds; a shorter pause belongs to the speech around it.", least=0
    )
    min_speech: float = option(0.2, "Seconds; shorter noises are no speech.", least=0)
    pad: float = option(0.05, "Seconds of margin on both sides of speech.", least=0)

    def __post_init__(self) -> None:
        check(self, "{name}")


def frame_levels(audio: Audio, frame_shift: float = 0.01) -> npt.NDArray[np.float64]:
    """Return the level of every frame in decibels of full scale, shape (T,).

    Frames are blocks of `frame_shift` seconds; the last may be shorter. Levels are averaged
    (as powers) over five frames.
    """
    step = max(1, round(frame_shift * audio.rate))
    n_frames = -(-len(audio.samples) // step)
    power = np.zeros(n_frames * step, dtype=np.float32)
    np.square(audio.samples, out=power[: len(audio.samples)])
    blocks = power.reshape(n_frames, step).mean(axis=1, dtype=np.float64)
    if n_frames:
        padded = np.pad(blocks, _SMOOTH // 2, mode="edge")
        blocks = np.convolve(padded, np.full(_SMOOTH, 1.0 / _SMOOTH), mode="valid")
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(blocks, _SILENCE))
    return levels


def speech_frames(
    audio: Audio, options: SpeechOptions | None = None, *, frame_shift: float = 0.01
) -> Mask:
    """Tell for every frame whether it is loud enough for speech; pauses are not filled.

    Returns
    -------
    ndarray of bool, shape (T,)
        Frames of `frame_levels`. All False when the recording is too even or too quiet.
    """
    options = options or SpeechOptions()
    levels = frame_levels(audio, frame_shift)
    if not len(levels):
        return np.zeros(0, dtype=bool)
    quiet, loud = np.percentile(levels, [_QUIET, _LOUD])
    if loud - quiet < options.min_range or loud < options.min_level:
        return np.zeros(len(levels), dtype=bool)
    overall = quiet + options.share * (loud - quiet)
    return levels > _thresholds(levels, overall, max(1, int(options.window / frame_shift)), options)


def _thresholds(
    levels: npt.NDArray[np.float64], overall: float, window: int, options: SpeechOptions
) -> npt.NDArray[np.float64]:
    """Interpolate thresholds between half-overlapping windows; `overall` where one is even."""
    n = len(levels)
    if n <= window:
        return np.full(n, overall)
    centres = np.arange(window // 2, n, max(1, window // 2))
    values = np.empty(len(centres))
    for i, centre in enumerate(centres):
        start = min(max(0, centre - window // 2), n - window)
        quiet, loud = np.percentile(levels[start : start + window], [_QUIET, _LOUD])
        enough = loud - quiet >= options.min_range
        values[i] = quiet + options.share * (loud - quiet) if enough else overall
    # A window of silence alone has its own noises: what counts as loud stays in sight.
    values = np.maximum(values, overall - options.min_range)
    return np.interp(np.arange(n), centres, values)


def fill_pauses(mask: Mask, options: SpeechOptions, *, frame_shift: float = 0.01) -> Mask:
    """Drop short noises, pad speech and close short pauses."""
    spans = stretches(mask)
    n_least = round(options.min_speech / frame_shift)
    n_pad = round(options.pad / frame_shift)
    n_gap = round(options.min_pause / frame_shift)
    # Syllables a breath apart are one stretch: only what stands alone can be too short.
    spans = _closed(spans, n_gap)
    spans = spans[spans[:, 1] - spans[:, 0] >= n_least]
    out = np.zeros(len(mask), dtype=bool)
    for first, last in spans:
        out[max(0, first - n_pad) : last + n_pad] = True
    return out


def _closed(spans: npt.NDArray[np.intp], n_gap: int) -> npt.NDArray[np.intp]:
    """Join spans that are less than `n_gap` frames apart."""
    if len(spans) < 2:
        return spans
    far = spans[1:, 0] - spans[:-1, 1] >= n_gap
    first = spans[np.concatenate([[True], far]), 0]
    last = spans[np.concatenate([far, [True]]), 1]
    return np.stack([first, last], axis=1)


def speech_regions(
    audio: Audio, options: SpeechOptions | None = None, *, frame_shift: float = 0.01
) -> npt.NDArray[np.float64]:
    """Return where speech is, in seconds, shape (R, 2); pauses filled, short noises dropped.

    Raises
    ------
    DataError
        There is none.
    """
    options = options or SpeechOptions()
    mask = fill_pauses(
        speech_frames(audio, options, frame_shift=frame_shift), options, frame_shift=frame_shift
    )
    if not mask.any():
        levels = frame_levels(audio, frame_shift)
        low, high = np.percentile(levels, [_QUIET, _LOUD]) if len(levels) else (-100.0, -100.0)
        raise DataError("no speech in the recording", got=f"levels of {low:.0f} to {high:.0f} dB",
                        expected=f"speech at least {options.min_range:g} dB above the noise")  # fmt: skip
    seconds: npt.NDArray[np.float64] = np.minimum(stretches(mask) * frame_shift, audio.seconds)
    return seconds


def stretches(mask: Mask) -> npt.NDArray[np.intp]:
    """Return runs of True as half-open ranges of frames, shape (R, 2)."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask, dtype=np.int8), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def frames_of(
    regions: npt.NDArray[np.float64], n_frames: int, *, frame_shift: float = 0.01
) -> Mask:
    """Return the mask of frames whose centre lies in one of `regions` (R, 2), in seconds."""
    mask = np.zeros(n_frames, dtype=bool)
    for first, last in bounds_of(regions, n_frames, frame_shift=frame_shift):
        mask[first:last] = True
    return mask


def bounds_of(
    regions: npt.NDArray[np.float64], n_frames: int, *, frame_shift: float = 0.01
) -> npt.NDArray[np.intp]:
    """Return the first frame of each of `regions` (R, 2), and the one behind it, shape (R, 2)."""
    bounds = np.clip(np.round(np.asarray(regions) / frame_shift), 0, n_frames)
    return bounds.astype(np.intp).reshape(-1, 2)
