"""Sound for a film: the waveform's outline, the spectrogram, and the samples to be heard.

In: `Audio`. Out: JSON-ready data.

Public names: `audio_data`.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import soundfile

from wfst_hmm.draw.png import data_url, veil_png
from wfst_hmm.draw.timeline import spectrum
from wfst_hmm.signal.audio import Audio

__all__ = ["audio_data"]

_BINS = 600  # points of the outline
_MAX_SECONDS = 60.0  # of sound carried along


def audio_data(audio: Audio, seconds: float) -> dict[str, Any]:
    """Return outline, spectrogram and a WAV file of `audio`.

    Parameters
    ----------
    audio : Audio
    seconds : float
        Length of the film, at least that of the audio.
    """
    n = max(1, min(_BINS, len(audio.samples)))
    edges = np.linspace(0, max(len(audio.samples), 1), n + 1).astype(np.intp)[:-1]
    samples = audio.samples if len(audio.samples) else np.zeros(1, np.float32)
    loudest = max(float(np.abs(samples).max()), 1e-3)
    image = veil_png(spectrum(audio, min(900, 4 * n)), low=5)
    wav = None
    if audio.seconds <= _MAX_SECONDS:
        stream = io.BytesIO()
        soundfile.write(stream, audio.samples, audio.rate, format="WAV", subtype="PCM_16")
        wav = data_url(stream.getvalue(), "audio/wav")
    return {
        "share": round(min(audio.seconds / seconds, 1.0), 5),
        "top": np.round(np.maximum.reduceat(samples, edges) / loudest, 3).tolist(),
        "low": np.round(np.minimum.reduceat(samples, edges) / loudest, 3).tolist(),
        "spectrum": data_url(image), "khz": round(audio.rate / 2000, 2), "wav": wav,
    }  # fmt: skip
