"""Samples to features: MFCCs, their normalization and their slopes over time.

In: `Audio`. Out: `Features`, T x D float32. Raw MFCCs come from kaldi-native-fbank (or, with a
warped frequency axis, from `wfst_hmm.signal.warp`), so they equal Kaldi's; speaker normalization
needs the raw MFCCs of several utterances first, hence two steps, `mfcc` and `finish_features`.

Public names: `FeatureOptions` (of `wfst_hmm.signal.options`), `Features`, `add_deltas`,
`finish_features`, `mfcc`, `mfcc_computer`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.options import INT16_SCALE, FeatureOptions, too_many_filters

__all__ = ["FeatureOptions", "Features", "add_deltas", "finish_features", "mfcc", "mfcc_computer"]


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """Finished features of one utterance.

    Attributes
    ----------
    array : ndarray of float32, shape (T, D), read-only
    frame_shift : float
        Seconds from one frame to the next.

    Raises
    ------
    DataError
        Not two-dimensional, or an entry is not finite (frame and dimension are named).
    """

    array: npt.NDArray[np.float32]
    frame_shift: float = 0.01

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(self.array, dtype=np.float32)
        if array.ndim != 2:
            raise DataError("features must be a T x D array", got=f"shape {array.shape}")
        if not np.isfinite(array).all():
            frame, dim = (int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise DataError(
                f"feature {dim} of frame {frame} is {array[frame, dim]}",
                expected="finite features",
                fix="Look at the audio there.",
            )
        array = array.view()
        array.flags.writeable = False
        object.__setattr__(self, "array", array)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return int(self.array.shape[0])

    @property
    def n_dims(self) -> int:
        """Dimension D."""
        return int(self.array.shape[1])


def mfcc(
    audio: Audio, options: FeatureOptions, *, vtln_warp: float = 1.0
) -> npt.NDArray[np.float32]:
    """Mel-frequency cepstra (Davis & Mermelstein 1980) with Kaldi's definitions, without dither.

    Parameters
    ----------
    audio : Audio
        At the options' rate.
    options : FeatureOptions
    vtln_warp : float
        Stretch of the frequency axis for one speaker, 0.5 to 2; 1 changes nothing. A filter
        looks at its frequency divided by the factor: below 1 suits short vocal tracts.

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)
        C0 or energy first; neither normalized nor with deltas.

    Raises
    ------
    DataError
        The rate is another one, or the audio is too short for one frame.
    UsageError
        `vtln_warp` is out of range.
    """
    if audio.rate != options.rate:
        raise DataError(
            "wrong sampling rate",
            got=f"{audio.rate} Hz",
            expected=f"{options.rate} Hz",
            fix="Resample the recording.",
        )
    if not 0.5 <= vtln_warp <= 2.0:
        raise UsageError("vtln_warp", got=vtln_warp, expected="0.5 to 2")
    _require_one_frame(audio, options)
    if vtln_warp != 1.0:
        from wfst_hmm.signal.warp import warped_mfcc

        return warped_mfcc(audio, options, vtln_warp)
    computer = mfcc_computer(options)
    computer.accept_waveform(options.rate, audio.samples * np.float32(INT16_SCALE))
    computer.input_finished()
    n_frames = computer.num_frames_ready
    raw = np.empty((n_frames, options.n_ceps), dtype=np.float32)
    for frame in range(n_frames):
        raw[frame] = computer.get_frame(frame)
    return raw


def mfcc_computer(options: FeatureOptions) -> Any:
    """Return kaldi-native-fbank's ``OnlineMfcc``, which takes samples of 16-bit size."""
    import kaldi_native_fbank as knf

    try:
        return knf.OnlineMfcc(_knf_options(options))
    except ValueError:
        raise too_many_filters(options) from None


def _require_one_frame(audio: Audio, options: FeatureOptions) -> None:
    n_samples = len(audio.samples)
    if options.snip_edges:
        needed = options.n_samples_per_frame
    else:
        needed = (options.n_samples_per_shift + 1) // 2
    if n_samples < needed:
        raise DataError(
            "too short for one frame",
            got=f"{n_samples} samples ({n_samples / options.rate:.4f} s)",
            expected=f"{needed} or more",
            fix="Leave the utterance out, or correct its times.",
        )


def _knf_options(options: FeatureOptions) -> Any:
    """Translate to kaldi-native-fbank's own options."""
    import kaldi_native_fbank as knf

    out = knf.MfccOptions()
    frames, mels = out.frame_opts, out.mel_opts
    frames.samp_freq = options.rate
    frames.frame_length_ms = 1000.0 * options.frame_length
    frames.frame_shift_ms = 1000.0 * options.frame_shift
    frames.dither = 0.0  # the same audio must give the same features
    frames.preemph_coeff = options.preemphasis
    frames.remove_dc_offset = options.remove_dc
    frames.window_type = options.window
    frames.snip_edges = options.snip_edges
    mels.num_bins = options.n_mels
    mels.low_freq = options.low_freq
    mels.high_freq = options.high_freq
    mels.vtln_low = options.vtln_low
    mels.vtln_high = options.vtln_high
    out.num_ceps = options.n_ceps
    out.use_energy = options.use_energy
    out.cepstral_lifter = options.lifter
    return out


def add_deltas(
    features: npt.NDArray[np.floating], *, order: int = 2, window: int = 2
) -> npt.NDArray[np.float32]:
    """Append the regression slopes of every dimension, and the slopes' slopes.

    Order n convolves the frames with the n-fold convolution of ``w[j] = j / sum(k^2)``,
    j = -window .. window, the first and last frame repeated beyond the edges: the HTK Book
    (Young et al. 2006), equation 5.16, taken to higher orders as in Kaldi's ``add-deltas``.

    Parameters
    ----------
    features : ndarray, shape (T, D)
    order : int
        0 leaves the features as they are.
    window : int
        Frames on each side, at least 1.

    Returns
    -------
    ndarray of float32, shape (T, D * (order + 1))
    """
    x = np.asarray(features, dtype=np.float32)
    n_frames, n_dims = x.shape
    out = np.empty((n_frames, n_dims * (order + 1)), dtype=np.float32)
    out[:, :n_dims] = x
    if n_frames == 0:
        return out
    steps = np.arange(-window, window + 1, dtype=np.float64)
    slope = steps / (steps @ steps)
    weights = np.ones(1)
    for n in range(1, order + 1):
        weights = np.convolve(weights, slope)
        reach = n * window
        padded = x[np.clip(np.arange(-reach, n_frames + reach), 0, n_frames - 1)]
        block = np.zeros((n_frames, n_dims))
        for j, weight in enumerate(weights):
            if weight:
                block += weight * padded[j : j + n_frames]
        out[:, n * n_dims : (n + 1) * n_dims] = block
    return out


def finish_features(
    raw: npt.NDArray[np.floating], options: FeatureOptions, stats: CmvnStats | None = None
) -> Features:
    """Normalize raw MFCCs and append deltas.

    Parameters
    ----------
    raw : ndarray, shape (T, n_ceps)
        From `mfcc`.
    options : FeatureOptions
    stats : CmvnStats, optional
        Of the speaker. Without them an utterance is normalized by itself: right for
        ``cmvn="utterance"``, and for a speaker of whom nothing else is known.

    Returns
    -------
    Features
        Shape (T, n_dims).
    """
    if options.cmvn != "none":
        if stats is None:
            stats = CmvnStats.of(raw)
        raw = stats.apply(raw, variance=options.cmvn_variance)
    array = add_deltas(raw, order=options.delta_order, window=options.delta_window)
    return Features(array, options.frame_shift)
