"""MFCCs with a warped frequency axis (vocal tract length normalization), in numpy.

In: `Audio`, `FeatureOptions` and one speaker's warp factor. Out: raw MFCCs like those of
`wfst_hmm.signal.kaldi`, whose extractor cannot warp: its mel filters can.

Steps and definitions are Kaldi's (Povey et al. 2011, feature extraction); the warp is its
piecewise linear one (after Lee & Rose 1998), with slope 1/warp between the bends.

Public names: `warped_mfcc`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.signal.audio import INT16_SCALE, Audio
from wfst_hmm.signal.kaldi import FeatureOptions, too_many_filters

__all__ = ["warped_mfcc"]

_FLOOR = float(np.finfo(np.float32).eps)  # energies below it are taken as it before the logarithm
_CHUNK = 4096  # frames at a time: bounds the memory of a long recording


def warped_mfcc(audio: Audio, options: FeatureOptions, vtln_warp: float) -> npt.NDArray[np.float32]:
    """Compute raw MFCCs through mel filters warped by `vtln_warp`.

    Parameters
    ----------
    audio : Audio
        At the options' rate and long enough for a frame.
    options : FeatureOptions
        ``vtln_low`` and ``vtln_high`` bound the range that is stretched.
    vtln_warp : float
        1 changes nothing.

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)

    Raises
    ------
    UsageError
        The bends do not lie within the band of the mel filters, the factor pushes one of them
        out of it, or a filter would be narrower than the resolution of the spectrum.
    """
    computer = _Computer(options, vtln_warp)
    frames = _frames(audio.samples, options)
    parts = [
        computer.cepstra(frames[at : at + _CHUNK].astype(np.float64) * INT16_SCALE)
        for at in range(0, len(frames), _CHUNK)
    ]
    return np.concatenate(parts).astype(np.float32)


class _Computer:
    """The matrices that do not depend on the audio: window, mel filters, cosine transform."""

    def __init__(self, options: FeatureOptions, vtln_warp: float) -> None:
        self.options = options
        self.n_fft = 1 << (options.n_samples_per_frame - 1).bit_length()
        self.window = _window(options.window, options.n_samples_per_frame)
        self.mel = _mel_filters(options, vtln_warp)
        self.transform = _cosines(options.n_ceps, options.n_mels) * _lifter(options)[:, None]

    def cepstra(self, frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Frames of samples, shape (T, N), to cepstra, shape (T, n_ceps)."""
        options = self.options
        if options.remove_dc:
            frames = frames - frames.mean(axis=1, keepdims=True)
        energy = np.einsum("tn,tn->t", frames, frames)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        windowed = (frames - options.preemphasis * before) * self.window
        spectrum = np.fft.rfft(windowed, n=self.n_fft, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        cepstra = np.log(np.maximum(power @ self.mel.T, _FLOOR)) @ self.transform.T
        if options.use_energy:
            cepstra[:, 0] = np.log(np.maximum(energy, _FLOOR))
        return np.asarray(cepstra)


def _frames(samples: npt.NDArray[np.float32], options: FeatureOptions) -> npt.NDArray[np.float32]:
    """View the samples as overlapping frames, shape (T, samples per frame)."""
    length = options.n_samples_per_frame
    shift = options.n_samples_per_shift
    if options.snip_edges:
        n_frames = 1 + (len(samples) - length) // shift
    else:
        n_frames = (len(samples) + shift // 2) // shift
        # Frame t is centred on (t + 1/2) shifts; what lies beyond an edge is its mirror image.
        first = shift // 2 - length // 2
        index = first + np.arange((n_frames - 1) * shift + length)
        period = 2 * len(samples)
        index = index % period
        samples = samples[np.where(index < len(samples), index, period - 1 - index)]
    windows = np.lib.stride_tricks.sliding_window_view(samples, length)
    return windows[: (n_frames - 1) * shift + 1 : shift]


def _window(name: str, n: int) -> npt.NDArray[np.float64]:
    i = np.arange(n)
    angle = 2 * np.pi * i / (n - 1)
    raised = 0.5 - 0.5 * np.cos(angle)
    shapes = {
        "povey": raised**0.85,
        "hanning": raised,
        "hann": 0.5 - 0.5 * np.cos(2 * np.pi * i / n),
        "hamming": 0.54 - 0.46 * np.cos(angle),
        "sine": np.sin(0.5 * angle),
        "rectangular": np.ones(n),
        "blackman": 0.42 - 0.5 * np.cos(angle) + 0.08 * np.cos(2 * angle),
    }
    return shapes[name]


def _mel_filters(options: FeatureOptions, vtln_warp: float) -> npt.NDArray[np.float64]:
    """Weights of the warped mel filters, shape (n_mels, n_fft / 2 + 1)."""
    import kaldi_native_fbank as knf

    half = options.rate / 2
    top = options.high_freq if options.high_freq > 0 else half + options.high_freq
    bend = options.vtln_high if options.vtln_high > 0 else half + options.vtln_high
    # The low bend moves when the factor is above 1, the high one when it is below.
    low = options.vtln_low * max(1.0, vtln_warp)
    high = bend * min(1.0, vtln_warp)
    if not options.low_freq < options.vtln_low <= low < high <= bend < top:
        raise UsageError(
            "the frequency warp leaves the band of the mel filters",
            got=f"bends at {low:g} and {high:g} Hz",
            expected=f"within {options.low_freq:g} to {top:g} Hz",
            fix="Set vtln_low and vtln_high.",
        )
    frames = knf.FrameExtractionOptions(
        samp_freq=options.rate, frame_length_ms=1000.0 * options.frame_length
    )
    mels: Any = knf.MelBanksOptions(
        num_bins=options.n_mels,
        low_freq=options.low_freq,
        high_freq=options.high_freq,
        vtln_low=options.vtln_low,
        vtln_high=options.vtln_high,
    )
    try:
        matrix = knf.MelBanks(mels, frames, vtln_warp).get_matrix()
    except ValueError:
        raise too_many_filters(options) from None
    return np.asarray(matrix, dtype=np.float64)


def _cosines(n_ceps: int, n_mels: int) -> npt.NDArray[np.float64]:
    """First rows of the orthonormal DCT-II, shape (n_ceps, n_mels)."""
    rows = np.arange(n_ceps)[:, None] * (np.arange(n_mels) + 0.5)
    matrix = np.sqrt(2.0 / n_mels) * np.cos(np.pi / n_mels * rows)
    matrix[0] = np.sqrt(1.0 / n_mels)
    return np.asarray(matrix)


def _lifter(options: FeatureOptions) -> npt.NDArray[np.float64]:
    """Weights that bring the high cepstra to the size of the low ones (HTK Book, eq. 5.11)."""
    if options.lifter == 0:
        return np.ones(options.n_ceps)
    n = np.arange(options.n_ceps)
    return np.asarray(1.0 + 0.5 * options.lifter * np.sin(np.pi * n / options.lifter))
