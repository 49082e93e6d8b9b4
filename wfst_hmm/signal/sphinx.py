"""The front end of CMU Sphinx: samples to the features that its acoustic models expect.

In: samples and `SphinxOptions` (a model's ``feat.params``). Out: cepstra, then features with
mean normalization, slopes over time and a linear transform.

It differs from Kaldi's in every constant: one padded frame at the end, filters placed on DFT
bins, noise removal in the mel domain, slopes over two frames instead of regressions.

Public names: `SphinxOptions`, `NoiseTracker`, `sphinx_cepstra`, `finish_cepstra`, `sphinx_features`, `stream_slices`.

Notes
-----
Follows what PocketSphinx 5 computes, in its number formats (float64 spectra, float32 filters
and cepstra), without its dither. Noise removal after Kim & Stern, *Power-normalized cepstral
coefficients* (2016), section III.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, Literal

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import INT16_SCALE, Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd, register

__all__ = [
    "NoiseTracker",
    "SphinxOptions",
    "finish_cepstra",
    "sphinx_cepstra",
    "sphinx_features",
    "stream_slices",
]

Array = npt.NDArray[Any]
_LOG_FLOOR = 1e-4  # added to filter energies before the logarithm
_TRANSFORMS = ("legacy", "dct", "htk")
#: Reach of the slopes in frames on either side, by kind of feature vector.
_KINDS = {
    "1s_c": 0, "1s_c_d": 2, "1s_c_d_dd": 3, "1s_c_d_ld_dd": 4, "s2_4x": 4, "s3_1x39": 3,
    "1s_12c_12d_3p_12dd": 3,
}  # fmt: skip


@register
@dataclasses.dataclass(frozen=True)
class SphinxOptions(FrontEnd):
    """The keys of a ``feat.params`` file that change features, with Sphinx's defaults.

    Attributes
    ----------
    samprate : float
        Samples per second.
    frate, wlen : float
        Frames per second and length of a frame in seconds.
    nfft : int
        Points of the DFT; 0: the next power of two.
    nfilt, lowerf, upperf : int, float, float
        Mel filters and their edges in Hz.
    unit_area, round_filters, remove_dc, remove_noise : bool
    transform : str
        ``legacy``, ``dct`` or ``htk``: how log energies become cepstra.
    ncep, lifter, alpha : int, int, float
        Number of cepstra, lifter length (0: none), pre-emphasis.
    feat : str
        Kind of feature vector: ``1s_c_d_dd``, ``s2_4x`` ...
    svspec : str
        Dimensions of each stream, such as ``0-12/13-25/26-38``; empty: as `feat` has them.
    cmn : str
        ``batch``, ``speaker`` (the mean of all of a speaker's utterances) or ``none``; ``live``
        is taken for ``batch``, since utterances are whole.
    varnorm : bool
    ldadim : int
        Dimensions kept by a feature transform; 0: all.

    Raises
    ------
    UsageError
        A value is impossible; the message names it.
    """

    kind: ClassVar[str] = "sphinx"

    samprate: float = 16000.0
    frate: float = 100.0
    wlen: float = 0.025625
    nfft: int = 0
    nfilt: int = 40
    lowerf: float = 133.33334
    upperf: float = 6855.4976
    unit_area: bool = True
    round_filters: bool = True
    remove_dc: bool = False
    remove_noise: bool = False
    transform: Literal["legacy", "dct", "htk"] = "legacy"
    ncep: int = 13
    lifter: int = 0
    alpha: float = 0.97
    feat: str = "1s_c_d_dd"
    svspec: str = ""
    cmn: str = "batch"
    varnorm: bool = False
    ldadim: int = 0

    def __post_init__(self) -> None:
        def require(right: bool, name: str, expected: str) -> None:
            if not right:
                raise UsageError(f"impossible value of {name}", got=getattr(self, name),
                                 expected=expected)  # fmt: skip

        require(1000 <= self.samprate <= 1e6, "samprate", "1000 to 1000000")
        require(1 <= self.frate <= self.samprate / 2, "frate", "1 to half of samprate")
        require(2 <= self.wlen * self.samprate <= 1 << 16, "wlen", "2 to 65536 samples")
        require(self.nfft == 0 or self.frame_size <= self.nfft <= 1 << 16, "nfft",
                "0, or at least the frame's length")  # fmt: skip
        require(1 <= self.ncep <= self.nfilt <= 1000, "nfilt", "ncep to 1000")
        require(0 <= self.lowerf < self.upperf <= self.samprate / 2 * (1 + 1e-6), "upperf",
                "lowerf to half of samprate")  # fmt: skip
        require(self.transform in _TRANSFORMS, "transform", ", ".join(_TRANSFORMS))
        require(self.feat in _KINDS, "feat", ", ".join(_KINDS))
        require(self.feat in ("1s_c", "1s_c_d", "1s_c_d_dd", "1s_c_d_ld_dd") or self.ncep == 13,
                "ncep", "13 with this kind of feature vector")  # fmt: skip
        require(self.cmn in ("batch", "live", "speaker", "none"), "cmn",
                "batch, live, speaker or none")  # fmt: skip
        require(0 <= self.alpha < 1 and 0 <= self.lifter <= 1000, "lifter", "0 to 1000")
        require(self.ldadim >= 0, "ldadim", "0 or more")
        stream_slices(self)

    @property
    def rate(self) -> int:
        """Samples per second, a whole number."""
        return round(self.samprate)

    @property
    def frame_length(self) -> float:
        """Seconds of a window."""
        return self.frame_size / self.samprate

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.shift / self.samprate

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.samprate / self.frate + 0.5)

    @property
    def frame_size(self) -> int:
        """Samples in a frame."""
        return int(self.wlen * self.samprate + 0.5)

    @property
    def n_fft(self) -> int:
        """Points of the DFT."""
        return self.nfft or 1 << max(self.frame_size - 1, 1).bit_length()

    @property
    def reach(self) -> int:
        """Frames on either side that a feature vector depends on, normalization aside."""
        return _KINDS[self.feat]

    @property
    def n_dims(self) -> int:
        """Dimension of the feature vector before any transform."""
        n = self.ncep
        sizes = {"1s_c": n, "1s_c_d": 2 * n, "1s_c_d_dd": 3 * n, "1s_c_d_ld_dd": 4 * n, "s2_4x": 51}
        return sizes.get(self.feat, 39)

    @property
    def n_ceps(self) -> int:
        """Raw cepstra of a frame: `ncep`."""
        return self.ncep

    @property
    def normalization(self) -> str:
        """Whose mean is subtracted: what `cmn` says."""
        return self.cmn if self.cmn in ("speaker", "none") else "utterance"

    @property
    def scales_variance(self) -> bool:
        """Whether cepstra are also scaled to variance 1: `varnorm`."""
        return self.varnorm

    def _cepstra(self, audio: Audio, warp: float = 1.0) -> npt.NDArray[np.float32]:
        """Return cepstra (T, ncep) of one utterance; see `sphinx_cepstra`."""
        self.require_warp(warp)
        return sphinx_cepstra(audio.samples, self)

    def finish(self, cepstra: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Normalize cepstra and append slopes; see `finish_cepstra`."""
        return Features(finish_cepstra(cepstra, self, None, stats), self.frame_shift)

    def at_rate(self, rate: int) -> SphinxOptions:
        """Return the same front end for another number of samples per second."""
        return dataclasses.replace(self, samprate=float(rate))

    def counted(self, cepstra: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Tell which frames have a say in the mean: no digital silence, and c0 >= 0, shape (T,)."""
        return np.asarray((cepstra[:, 0] >= 0) & super().counted(cepstra))

    def usual_stats(self, cmninit: str = "") -> CmvnStats | None:
        """Return the mean that Sphinx starts from, by default what its programs do.

        Parameters
        ----------
        cmninit : str
            The value of a ``feat.params`` file: the first cepstra of the mean, commas between.
        """
        if self.varnorm:
            return None  # the variance is told nowhere
        given = cmninit or ("8" if self.transform == "legacy" else "40,3,-1")
        mean = np.zeros(self.ncep)
        values = [float(value) for value in given.split(",")][: self.ncep]
        mean[: len(values)] = values
        return CmvnStats(500.0, 500 * mean, 500 * mean**2)

    def _stream(self, block_frames: int = 10, noise: NoiseTracker | None = None) -> _Stream:
        """Begin to take audio in pieces; `noise` carries noise removal on from earlier audio."""
        return _Stream(self, block_frames, noise)


def stream_slices(options: SphinxOptions) -> tuple[Array, ...]:
    """Return the dimensions of each stream of the feature vector, int64 arrays."""
    n_dims = options.ldadim or options.n_dims
    if not options.svspec:
        if options.feat == "s2_4x":
            return tuple(np.split(np.arange(51), [12, 36, 39]))
        return (np.arange(n_dims),)
    streams = []
    for part in options.svspec.split("/"):
        chosen: list[int] = []
        for item in part.split(","):
            first, _, last = item.partition("-")
            if not (first.isdigit() and (last or first).isdigit() and len(first + last) < 9):
                raise UsageError("svspec is not understood", got=repr(options.svspec[:60]),
                                 expected="such as 0-12/13-25/26-38")  # fmt: skip
            if not int(first) <= int(last or first) < n_dims:
                raise UsageError("svspec names dimensions that there are not", got=repr(item),
                                 expected=f"0 to {n_dims - 1}")  # fmt: skip
            chosen += range(int(first), int(last or first) + 1)
        streams.append(np.array(chosen))
    if len({d for stream in streams for d in stream.tolist()}) != sum(map(len, streams)):
        raise UsageError("svspec names a dimension twice", got=repr(options.svspec[:60]))
    return tuple(streams)


class NoiseTracker:
    """What noise removal remembers from frame to frame, and PocketSphinx between utterances.

    A new one stands for the start of a stream. PocketSphinx keeps its own through all
    utterances of a decoder, so that a second pass over the same audio sees other features;
    pass the same tracker again to get those.
    """

    def __init__(self, n_filters: int) -> None:
        self.started = False
        #: Rows: smoothed power, noise, floor, peak.
        self.state = np.zeros((4, n_filters))


@numba.njit(cache=True, nogil=True)
def _remove_noise(mel, state, started):  # type: ignore[no-untyped-def]
    """Scale filter energies (T, F) in place by a smoothed Wiener-like gain; moves `state` on."""
    n_frames, n_filters = mel.shape
    power, noise, floor, peak = state[0], state[1], state[2], state[3]
    gain = np.empty(n_filters)
    for t in range(n_frames):
        row = mel[t]
        if not started and t == 0:
            for i in range(n_filters):
                power[i] = row[i]
                noise[i] = row[i] / 20.0
                floor[i] = row[i] / 20.0
                peak[i] = 0.0
        for i in range(n_filters):
            power[i] = 0.7 * power[i] + (1.0 - 0.7) * row[i]
            rate = 0.995 if power[i] >= noise[i] else 0.5
            noise[i] = rate * noise[i] + (1.0 - rate) * power[i]
            signal = max(power[i] - noise[i], 1.0)
            rate = 0.995 if signal >= floor[i] else 0.5
            floor[i] = rate * floor[i] + (1.0 - rate) * signal
            current = signal
            peak[i] *= 0.85
            if signal < 0.85 * peak[i]:
                signal = peak[i] * 0.2
            if current > peak[i]:
                peak[i] = current
            signal = max(signal, floor[i])
            gain[i] = signal / power[i] if signal < 20.0 * power[i] else 20.0
            gain[i] = max(gain[i], 1.0 / 20.0)
        for i in range(n_filters):
            first, last = max(i - 4, 0), min(i + 4, n_filters - 1)
            total = 0.0
            for j in range(first, last + 1):
                total += gain[j]
            row[i] *= total / (last - first + 1)


@functools.lru_cache(maxsize=8)
def _filters(options: SphinxOptions) -> Array:
    """Return triangular filters over the DFT bins 0 .. n_fft/2 - 1; float32, (n_fft/2, nfilt)."""
    single = np.float32

    def mel(hertz: float) -> Any:
        return single(2595.0 * np.log10(1.0 + hertz / 700.0))

    low, high = mel(single(options.lowerf)), mel(single(options.upperf))
    width = single((high - low) / single(options.nfilt + 1))
    points = np.arange(options.nfilt + 2).astype(single) * width + low
    edges = (700.0 * (10.0 ** (points.astype(np.float64) / 2595.0) - 1.0)).astype(single)
    spacing = single(options.samprate) / single(options.n_fft)
    if options.round_filters:
        edges = (edges / spacing + 0.5).astype(np.int64).astype(single) * spacing
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    if np.any(centre <= left) or np.any(right <= centre):
        raise UsageError("too many mel filters for the DFT", got=options.nfilt,
                         expected="fewer, or a larger nfft")  # fmt: skip
    hertz = (np.arange(options.n_fft // 2).astype(single) * spacing)[:, None]
    rising = (hertz - left) / (centre - left)
    falling = (right - hertz) / (right - centre)
    if options.unit_area:
        scale = single(2) / (right - left)
        rising, falling = rising * scale, falling * scale
    inside = (hertz >= left) & (hertz <= right)
    return np.asarray(np.where(inside, np.minimum(rising, falling), single(0)), dtype=single)


@functools.lru_cache(maxsize=8)
def _cosines(n_ceps: int, n_filters: int) -> Array:
    step = np.pi / n_filters * np.arange(n_ceps)[:, None]
    return np.asarray(np.cos(step * (np.arange(n_filters) + 0.5)), dtype=np.float32)


def _emphasized(samples: Array, options: SphinxOptions, before: float = 0.0) -> Array:
    """Pre-emphasize samples of 16-bit size, float64; `before` is the sample in front of them."""
    earlier = np.concatenate([[before], samples[:-1]])
    return np.asarray(samples - earlier * np.float64(np.float32(options.alpha)))


def _n_whole_frames(n_samples: int, options: SphinxOptions) -> int:
    """Return how many frames fit into so many samples; one padded frame follows them."""
    size, shift = options.frame_size, options.shift
    return 1 + (n_samples - size) // shift if n_samples >= size else 0


def _cepstra_of(signal: Array, n_frames: int, options: SphinxOptions, noise: NoiseTracker) -> Array:
    """Return the cepstra of so many frames of an _emphasized signal, zeros behind its end."""
    size, shift = options.frame_size, options.shift
    padded = np.zeros((n_frames - 1) * shift + size)
    padded[: len(signal)] = signal[: len(padded)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::shift].copy()
    if options.remove_dc:
        frames -= frames.mean(axis=1, keepdims=True)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
    spectrum = np.fft.rfft(frames * hamming, options.n_fft)[:, : options.n_fft // 2]
    mel = (spectrum.real**2 + spectrum.imag**2) @ _filters(options).astype(np.float64)
    if options.remove_noise:
        _remove_noise(mel, noise.state, noise.started)
        noise.started = True
    return _to_cepstra(np.log(mel + _LOG_FLOOR), options)


def sphinx_cepstra(
    samples: npt.ArrayLike, options: SphinxOptions, noise: NoiseTracker | None = None
) -> npt.NDArray[np.float32]:
    """Return cepstra (T, ncep) of one utterance.

    Parameters
    ----------
    samples : array_like, shape (N,)
        At ``options.samprate``, between -1 and 1.
    noise : NoiseTracker, optional
        Carries noise removal on from earlier audio; a new one by default.

    Raises
    ------
    DataError
        No samples, more than one channel, or a sample that is not finite.
    """
    signal = np.asarray(samples, dtype=np.float64)
    if signal.ndim != 1 or not len(signal):
        raise DataError("no samples of one channel", got=f"shape {signal.shape}", expected="(N,)")
    if not np.isfinite(signal).all():
        raise DataError("a sample is not finite", got=signal[~np.isfinite(signal)][0])
    signal = _emphasized(np.round(signal * INT16_SCALE), options)
    n_frames = _n_whole_frames(len(signal), options) + 1
    tracker = NoiseTracker(options.nfilt) if noise is None else noise
    return _cepstra_of(signal, n_frames, options, tracker)


def _to_cepstra(logs: Array, options: SphinxOptions) -> npt.NDArray[np.float32]:
    """Return cosine transforms of log energies; sums are rounded to float32 term by term."""
    n = options.nfilt
    cosines = _cosines(options.ncep, n).astype(np.float64)
    if options.transform == "legacy":
        logs = logs * np.where(np.arange(n) == 0, 1.0, 2.0)
    ceps = np.zeros((len(logs), options.ncep), dtype=np.float32)
    for j in range(n):
        ceps = (ceps + logs[:, j : j + 1] * cosines[:, j]).astype(np.float32)
    if options.transform == "legacy":
        ceps = (ceps / np.float64(2 * n)).astype(np.float32)
    else:
        scale = np.full(options.ncep, np.float32(np.sqrt(2.0 / n)))
        scale[0] = np.float32(np.sqrt((2.0 if options.transform == "htk" else 1.0) / n))
        ceps *= scale
    if options.lifter:
        index = np.arange(options.ncep)
        bend = 1 + (options.lifter // 2) * np.sin(index * np.pi / options.lifter)
        ceps *= bend.astype(np.float32)
    return ceps


def finish_cepstra(
    cepstra: npt.ArrayLike,
    options: SphinxOptions,
    transform: Array | None = None,
    stats: CmvnStats | None = None,
) -> npt.NDArray[np.float32]:
    """Normalize the mean, add slopes and apply a transform.

    Parameters
    ----------
    cepstra : array_like, shape (T, ncep)
    transform : ndarray, shape (m, n), optional
        A model's ``feature_transform``; rows are eigenvectors.
    stats : CmvnStats, optional
        Sums of the speaker's cepstra (`SphinxOptions.stats`); by default the utterance's own.

    Returns
    -------
    ndarray of float32, shape (T, D)

    Notes
    -----
    The mean is taken over frames with c0 >= 0 only, and without digital silence.
    """
    ceps = np.array(cepstra, dtype=np.float32)
    if ceps.ndim != 2 or ceps.shape[1] != options.ncep or not len(ceps):
        raise DataError("no cepstra for this front end", got=f"shape {ceps.shape}",
                        expected=f"(T, {options.ncep})")  # fmt: skip
    if options.cmn != "none":
        loud = options.counted(ceps)
        if stats is not None or not loud.any():
            ceps = options.known_stats(ceps, stats).apply(ceps, variance=options.varnorm)
        else:
            ceps -= ceps[loud].mean(axis=0, dtype=np.float64).astype(np.float32)
            if options.varnorm:
                deviation = np.sqrt((ceps[loud].astype(np.float64) ** 2).mean(axis=0))
                ceps /= np.maximum(deviation, 1e-10).astype(np.float32)
    features = _with_slopes(ceps, options.feat)
    if transform is None:
        return features
    n_out = min(options.ldadim, len(transform)) if options.ldadim else len(transform)
    if transform.shape[1] != features.shape[1]:
        raise DataError("the feature transform does not fit", got=f"{transform.shape[1]} columns",
                        expected=f"{features.shape[1]}")  # fmt: skip
    return np.asarray(features @ transform[:n_out].T, dtype=np.float32)


def _with_slopes(c: npt.NDArray[np.float32], kind: str) -> npt.NDArray[np.float32]:
    """Return feature vectors of a kind; frames at the edges are repeated outwards."""
    reach = _KINDS[kind]
    padded = np.concatenate([np.repeat(c[:1], reach, axis=0), c, np.repeat(c[-1:], reach, axis=0)])

    def at(offset: int) -> npt.NDArray[np.float32]:
        return padded[reach + offset : reach + offset + len(c)]

    if kind == "1s_c":
        return c
    d = at(2) - at(-2)
    if kind == "1s_c_d":
        return np.hstack([c, d])
    dd = (at(3) - at(-1)) - (at(1) - at(-3))
    if kind == "1s_c_d_dd":
        return np.hstack([c, d, dd])
    first = np.column_stack([c[:, 0], d[:, 0], dd[:, 0]])
    if kind in ("s3_1x39", "1s_12c_12d_3p_12dd"):
        return np.hstack([c[:, 1:], d[:, 1:], first, dd[:, 1:]])
    long = at(4) - at(-4)
    if kind == "1s_c_d_ld_dd":
        return np.hstack([c, d, long, dd])
    return np.hstack([c[:, 1:], d[:, 1:], long[:, 1:], first, dd[:, 1:]])


def sphinx_features(
    samples: npt.ArrayLike,
    options: SphinxOptions,
    *,
    transform: Array | None = None,
    noise: NoiseTracker | None = None,
) -> npt.NDArray[np.float32]:
    """Return the features (T, D) of one utterance: `sphinx_cepstra`, then `finish_cepstra`."""
    return finish_cepstra(sphinx_cepstra(samples, options, noise), options, transform)


class _Stream:
    """Sphinx's front end, `block` frames at a time."""

    def __init__(self, options: SphinxOptions, block: int, noise: NoiseTracker | None) -> None:
        self._options = options
        self._noise = NoiseTracker(options.nfilt) if noise is None else noise
        self._block = block
        self._signal = np.zeros(0)  # _emphasized, from the next frame's first sample on
        self._pieces: list[npt.NDArray[np.float64]] = []
        self._n_waiting = 0
        self._last_sample = 0.0

    def accept(self, samples: Array) -> Array:
        if len(samples):
            scaled = np.round(samples.astype(np.float64) * INT16_SCALE)
            self._pieces.append(_emphasized(scaled, self._options, self._last_sample))
            self._n_waiting += len(samples)
            self._last_sample = float(scaled[-1])
        if _n_whole_frames(len(self._signal) + self._n_waiting, self._options) < self._block:
            return np.zeros((0, self._options.ncep), dtype=np.float32)
        self._join()
        done = []
        while _n_whole_frames(len(self._signal), self._options) >= self._block:
            done.append(_cepstra_of(self._signal, self._block, self._options, self._noise))
            self._signal = self._signal[self._block * self._options.shift :]
        return np.concatenate(done)

    def finish(self) -> Array:
        self._join()
        if not len(self._signal):
            return np.zeros((0, self._options.ncep), dtype=np.float32)
        n_frames = _n_whole_frames(len(self._signal), self._options) + 1
        return np.asarray(_cepstra_of(self._signal, n_frames, self._options, self._noise))

    def _join(self) -> None:
        self._signal = np.concatenate([self._signal, *self._pieces])
        self._pieces, self._n_waiting = [], 0
