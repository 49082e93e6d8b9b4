"""The front end of Kaldi: MFCCs, their normalization and their slopes over time.

In: `Audio`. Out: `Features`, T x D float32. Raw MFCCs come from kaldi-native-fbank (or, with a
warped frequency axis, from `wfst_hmm.signal.warp`), so they equal Kaldi's.

Public names: `FeatureOptions`, `too_many_filters`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.options import check, option
from wfst_hmm.signal.audio import INT16_SCALE, Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features, add_deltas
from wfst_hmm.signal.front_end import NORMALIZATIONS, FrontEnd, register

__all__ = ["FeatureOptions", "too_many_filters"]

WINDOWS = ("povey", "hamming", "hanning", "hann", "sine", "rectangular", "blackman")


@register
@dataclasses.dataclass(frozen=True)
class FeatureOptions(FrontEnd):
    """How audio becomes features; part of every model. Each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible; the message names the option.

    Examples
    --------
    >>> FeatureOptions(rate=8000).n_dims
    39
    """

    kind: ClassVar[str] = "kaldi"
    can_warp: ClassVar[bool] = True

    rate: int = option(
        16000,
        "Samples per second that the model hears.",
        least=100,
        most=1e6,
        expected="100 to 1000000 Hz",
    )
    resample: bool = option(False, "Resample recordings of another rate instead of refusing them.")
    frame_length: float = option(
        0.025, "Seconds of audio in a frame.", least=0.001, most=1, expected="0.001 to 1 s"
    )
    frame_shift: float = option(
        0.010, "Seconds from one frame to the next.", above=0, most=1, expected="0 to 1 s"
    )
    snip_edges: bool = option(
        True, "Only frames that fit wholly; otherwise one per shift, mirrored at the edges."
    )
    window: str = option(
        "povey",
        f"Shape of the window: {', '.join(WINDOWS)}.",
        choices=WINDOWS,
        expected="one of " + ", ".join(WINDOWS),
    )
    preemphasis: float = option(
        0.97, "Share of the previous sample that is subtracted.", least=0, most=1
    )
    remove_dc: bool = option(True, "Subtract every frame's mean.")
    n_mels: int = option(23, "Number of mel filters.", least=4, most=256)
    n_ceps: int = option(13, "Number of cepstra, C0 or energy included.")
    low_freq: float = option(20.0, "Lower edge of the mel filters in Hz.")
    high_freq: float = option(
        0.0, "Upper edge in Hz; 0 is half the rate, negative so much below that."
    )
    use_energy: bool = option(False, "Log energy of the frame in place of C0.")
    lifter: float = option(22.0, "Cepstral liftering constant; 0 is none.", least=0)
    vtln_low: float = option(100.0, "Lower bend of the frequency warp in Hz.")
    vtln_high: float = option(-500.0, "Upper bend in Hz; negative so much below half the rate.")
    cmvn: str = option(
        "speaker",
        "Whose mean is subtracted: speaker, utterance or none.",
        choices=tuple(NORMALIZATIONS),
        expected="one of " + ", ".join(NORMALIZATIONS),
    )
    cmvn_variance: bool = option(False, "Also scale every cepstrum to variance 1.")
    delta_order: int = option(
        2, "Order of the slopes added: 0 none, 1 deltas, 2 also theirs.", least=0, most=4
    )
    delta_window: int = option(
        2, "Frames on each side that a slope is fitted to.", least=1, most=20
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(field, getattr(self, field.name)))
        check(self, "feature option {name}")
        half = self.rate / 2
        top = self.high_freq if self.high_freq > 0 else half + self.high_freq
        samples = self.rate * min(self.frame_length, self.frame_shift)
        _require(samples >= 2, "frame_length and frame_shift", f"{samples:g} samples", "2 or more")
        _require(0 < self.n_ceps <= self.n_mels, "n_ceps", self.n_ceps, f"1 to {self.n_mels}")
        _require(0 <= self.low_freq < half, "low_freq", self.low_freq, f"0 to {half:g} Hz")
        _require(self.low_freq < top <= half, "high_freq", self.high_freq, f"up to {half:g} Hz")

    @property
    def n_dims(self) -> int:
        """Dimension D of the finished features."""
        return self.n_ceps * (self.delta_order + 1)

    @property
    def n_samples_per_frame(self) -> int:
        """Samples in a frame."""
        return int(self.rate * 0.001 * (1000.0 * self.frame_length))

    @property
    def n_samples_per_shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.rate * 0.001 * (1000.0 * self.frame_shift))

    @property
    def reach(self) -> int:
        """Frames on either side that a finished feature depends on, normalization aside."""
        return self.delta_order * self.delta_window

    @property
    def normalization(self) -> str:
        """Whose mean is subtracted: `cmvn`."""
        return self.cmvn

    @property
    def scales_variance(self) -> bool:
        """Whether cepstra are also scaled to variance 1: `cmvn_variance`."""
        return self.cmvn_variance

    @property
    def centre(self) -> float:
        """Seconds to the middle of the first window; without `snip_edges` half a shift."""
        return (self.frame_length if self.snip_edges else self.frame_shift) / 2

    def _cepstra(self, audio: Audio, warp: float = 1.0) -> npt.NDArray[np.float32]:
        """Mel-frequency cepstra (Davis & Mermelstein 1980) with Kaldi's definitions, no dither.

        Parameters
        ----------
        audio : Audio
            At the options' rate.
        warp : float
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
            `warp` is out of range.
        """
        if not 0.5 <= warp <= 2.0:
            raise UsageError("vtln_warp", got=warp, expected="0.5 to 2")
        _require_one_frame(audio, self)
        if warp != 1.0:
            from wfst_hmm.signal.warp import warped_mfcc

            return warped_mfcc(audio, self, warp)
        stream = self._stream()
        return np.concatenate([stream.accept(audio.samples), stream.finish()])

    def finish(self, cepstra: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Normalize raw MFCCs and append deltas; shape (T, n_dims).

        Without `stats` an utterance is normalized by itself: right for ``cmvn="utterance"``, and
        for a speaker of whom nothing else is known.
        """
        if self.cmvn != "none":
            cepstra = self.known_stats(cepstra, stats).apply(cepstra, variance=self.cmvn_variance)
        return Features(self.slopes(cepstra), self.frame_shift)

    def plain(self) -> FeatureOptions:
        """Return the options with ``delta_order=0``."""
        return dataclasses.replace(self, delta_order=0)

    def slopes(self, frames: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Append deltas to frames of `plain`."""
        return add_deltas(frames, order=self.delta_order, window=self.delta_window)

    def _stream(self, block_frames: int = 10) -> _Stream:
        """Begin to take audio in pieces; frames come as soon as they are there."""
        return _Stream(self)


def _typed(field: dataclasses.Field[Any], value: object) -> object:
    """Give a whole number the type that its option has; refuse other types."""
    kind = {"int": int, "float": float, "bool": bool, "str": str}[str(field.type)]
    if isinstance(value, np.generic):
        value = value.item()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    _require(right and value == value, field.name, repr(value), kind.__name__)
    return value


def _require(right: bool, name: str, got: object, expected: str) -> None:
    if not right:
        raise UsageError(f"feature option {name}", got=got, expected=expected)


def _computer(options: FeatureOptions) -> Any:
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


#: More than the frames that share a sample with the next one, for every front end.
_KEPT_FRAMES = 16


class _Stream:
    """kaldi-native-fbank's own stream, emptied as it goes; it can be pickled."""

    def __init__(self, options: FeatureOptions) -> None:
        self._options = options
        self._computer = _computer(options)
        self._n_done = 0
        # What a copy is made again from: a frame depends on the samples of its window alone.
        self._n_skipped = 0  # frames before the first sample kept
        self._n_gone = 0  # frames that this computer has never seen
        self._kept: npt.NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def accept(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if len(samples):
            scaled = samples * np.float32(INT16_SCALE)
            self._computer.accept_waveform(self._options.rate, scaled)
            self._kept = np.concatenate([self._kept, samples])
        raw = self._ready()
        surplus = self._n_done - _KEPT_FRAMES - self._n_skipped
        if surplus > 0:
            self._kept = self._kept[surplus * self._options.n_samples_per_shift :]
            self._n_skipped += surplus
        return raw

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_computer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        n_done, n_skipped, kept = state["_n_done"], state["_n_skipped"], state["_kept"]
        self.__init__(state["_options"])  # type: ignore[misc]
        if len(kept):
            scaled = kept * np.float32(INT16_SCALE)
            self._computer.accept_waveform(self._options.rate, scaled)
        self._computer.pop(n_done - n_skipped)
        self._kept, self._n_skipped, self._n_done = kept, n_skipped, n_done
        self._n_gone = n_skipped

    def finish(self) -> npt.NDArray[np.float32]:
        self._computer.input_finished()
        return self._ready()

    def _ready(self) -> npt.NDArray[np.float32]:
        n_ready = self._computer.num_frames_ready + self._n_gone
        raw = np.empty((n_ready - self._n_done, self._options.n_ceps), dtype=np.float32)
        for i in range(len(raw)):
            raw[i] = self._computer.get_frame(self._n_done + i - self._n_gone)
        self._computer.pop(len(raw))
        self._n_done = n_ready
        return raw


def too_many_filters(options: FeatureOptions) -> UsageError:
    """Make the error of mel filters that fall between two lines of the spectrum."""
    return UsageError(
        "a mel filter narrower than the resolution of the spectrum",
        got=f"n_mels {options.n_mels} at {options.rate} Hz",
        fix="Take fewer filters or longer frames.",
    )
