"""The front end of HTK: samples to what HCopy writes.

In: `Audio` and `HtkOptions` (a configuration file's values). Out: cepstra, then features with
slopes over time in HTK's order: statics, C0, energy, their slopes, the slopes' slopes.

It differs from Kaldi's in these: filters sum magnitudes, C0 lies behind the other cepstra,
slopes of slopes repeat the first and last *slope* beyond the edges, the mean is taken from the
statics after slopes were made.

Public names: `HtkOptions`.

Notes
-----
Definitions: Young et al., The HTK Book (3.5), chapter 5; where it is silent, what HTK's tools do:
the FFT is a power of two; the first bin (0 Hz) has no say; energies of filters and frames are of
samples of 16-bit size, and filters below 1 count as 1.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.options import check, option
from wfst_hmm.signal.audio import INT16_SCALE, Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd, register
from wfst_hmm.signal.htk_files import HtkFeatures

__all__ = ["HtkOptions"]

Array = npt.NDArray[np.float64]
_BASES = ("MFCC", "FBANK", "MELSPEC")  # that can be computed
_STORED = ("PLP", "LPC", "LPREFC", "LPCEPSTRA", "LPDELCEP", "USER")
_ORDER = "0EDATNZ"  # of qualifiers in names
_TICKS = 1e7  # HTK counts time in units of 100 ns
_LOG_ZERO = -1e10  # log energy of a frame of zeros
_CHUNK = 4096  # frames at a time: bounds the memory of a long recording


@register
@dataclasses.dataclass(frozen=True)
class HtkOptions(FrontEnd):
    """The settings of HTK that change features, with HTK's names and defaults.

    Each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible, or the kind cannot be made; the message names it.

    Examples
    --------
    >>> HtkOptions(targetkind="MFCC_0_D_N_Z").n_dims
    25
    """

    kind: ClassVar[str] = "htk"
    can_warp: ClassVar[bool] = True

    targetkind: str = option("MFCC_0_D_A", "Base kind and qualifiers _E _0 _N _D _A _T _Z.")
    rate: int = option(16000, "Samples per second.", least=100, most=1e06)
    targetrate: float = option(
        100000.0, "From one frame to the next, in units of 100 ns.", least=1, most=1e07
    )
    windowsize: float = option(
        256000.0, "Length of a frame, in units of 100 ns.", least=1, most=1e07
    )
    zmeansource: bool = option(False, "Subtract every frame's mean.")
    usehamming: bool = option(True, "Hamming window.")
    preemcoef: float = option(
        0.97, "Share of the previous sample that is subtracted.", least=0, most=1
    )
    usepower: bool = option(False, "Filters sum powers instead of magnitudes.")
    numchans: int = option(20, "Number of mel filters.", least=2, most=1000)
    lofreq: float = option(
        -1.0, "Lower edge of the filters in Hz; below 0: none.", least=-1, most=1e06
    )
    hifreq: float = option(-1.0, "Upper edge in Hz; below 0: none.", least=-1, most=1e06)
    doublefft: bool = option(False, "Twice the points of the FFT.")
    ceplifter: int = option(22, "Liftering constant; 0: none.", least=0, most=1000)
    numceps: int = option(12, "Number of cepstra, without C0.", least=1, most=1000)
    cepscale: float = option(1.0, "Factor of all cepstra.", least=1e-06, most=1e06)
    rawenergy: bool = option(True, "Energy before window and pre-emphasis.")
    enormalise: bool = option(True, "Energy relative to the utterance's loudest frame.")
    escale: float = option(0.1, "Factor of the normalized energy.", least=0, most=1e06)
    silfloor: float = option(
        50.0, "dB below the loudest frame that energy may go.", least=0, most=1000
    )
    deltawindow: int = option(
        2, "Frames on each side that a slope is fitted to.", least=1, most=100
    )
    accwindow: int = option(2, "The same for slopes of slopes.", least=1, most=100)
    thirdwindow: int = option(2, "The same for their slopes.", least=1, most=100)
    simplediffs: bool = option(False, "Differences in place of fitted slopes.")
    warpfreq: float = option(1.0, "Stretch of the frequency axis.", least=0.5, most=2)
    warplcutoff: float = option(0.0, "Lower bend of the stretch in Hz.", least=0, most=1e06)
    warpucutoff: float = option(0.0, "Upper bend in Hz; 0: 5/6 of the band.", least=0, most=1e06)

    def __post_init__(self) -> None:
        def require(right: bool, name: str, got: object, expected: str) -> None:
            if not right:
                raise UsageError(f"HTK's {name}", got=got, expected=expected)

        check(self, "HTK's {NAME}")
        base, *marks = self.targetkind.upper().split("_")
        require(
            base in _BASES + _STORED, "TARGETKIND", self.targetkind, " or ".join(_BASES + _STORED)
        )
        require(set(marks) <= set(_ORDER), "TARGETKIND", self.targetkind, "_E _0 _N _D _A _T _Z")
        marks = sorted(set(marks), key=_ORDER.index)
        object.__setattr__(self, "targetkind", "_".join([base, *marks]))
        require("0" not in marks or base in ("MFCC", "PLP", "USER"), "TARGETKIND", self.targetkind,
                "_0 with MFCC or PLP")  # fmt: skip
        for mark, needed in (("A", "D"), ("T", "A"), ("N", "D")):
            require(mark not in marks or needed in marks, "TARGETKIND", self.targetkind,
                    f"_{mark} with _{needed}")  # fmt: skip
        both = {"0", "E"} <= set(marks)
        require("N" not in marks or (not both and {"0", "E"} & set(marks) != set()), "TARGETKIND",
                self.targetkind, "_N with either _0 or _E")  # fmt: skip
        require(not both or "D" not in marks, "TARGETKIND", self.targetkind,
                "_0 and _E together without _D")  # fmt: skip
        require(base != "MFCC" or self.numceps <= self.numchans, "NUMCEPS", self.numceps,
                f"at most NUMCHANS, {self.numchans}")  # fmt: skip
        require(self.shift >= 1, "TARGETRATE", self.targetrate, "a sample or more")
        require(self.frame_size >= 2, "WINDOWSIZE", self.windowsize, "two samples or more")
        low, high = self._band
        require(0 <= low < high <= self.rate / 2, "LOFREQ and HIFREQ", f"{low:g} to {high:g} Hz",
                f"within 0 to {self.rate / 2:g} Hz")  # fmt: skip
        cut = self.warpucutoff or high
        require(low <= (self.warplcutoff or low) < cut <= high, "WARPLCUTOFF and WARPUCUTOFF",
                f"{self.warplcutoff:g} to {self.warpucutoff:g} Hz", f"in {low:g} to {high:g} Hz")  # fmt: skip

    @property
    def _marks(self) -> frozenset[str]:
        return frozenset(self.targetkind.split("_")[1:])

    @property
    def _base(self) -> str:
        return self.targetkind.partition("_")[0]

    @property
    def _band(self) -> tuple[float, float]:
        """Edges of the filters in Hz."""
        return (max(self.lofreq, 0.0), self.rate / 2 if self.hifreq < 0 else self.hifreq)

    @property
    def _windows(self) -> list[int]:
        """The reach of each order of slopes."""
        all_ = {"D": self.deltawindow, "A": self.accwindow, "T": self.thirdwindow}
        return [n for mark, n in all_.items() if mark in self._marks]

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return int(self.targetrate * self.rate / _TICKS + 1e-6)

    @property
    def frame_size(self) -> int:
        """Samples in a frame."""
        return int(self.windowsize * self.rate / _TICKS + 1e-6)

    @property
    def n_fft(self) -> int:
        """Points of the FFT."""
        return (1 << max(self.frame_size - 1, 1).bit_length()) * (2 if self.doublefft else 1)

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.shift / self.rate

    @property
    def frame_length(self) -> float:
        """Seconds of a window."""
        return self.frame_size / self.rate

    @property
    def n_ceps(self) -> int:
        """Static values of a frame: cepstra or filters, C0, energy."""
        n = self.numchans if self._base in ("FBANK", "MELSPEC") else self.numceps
        return n + ("0" in self._marks) + ("E" in self._marks)

    @property
    def n_dims(self) -> int:
        """Dimension D of a finished frame."""
        return self.n_ceps * (1 + len(self._windows)) - ("N" in self._marks)

    @property
    def reach(self) -> int:
        """Frames on either side that a finished frame depends on, normalization aside."""
        return sum(self._windows)

    @property
    def normalization(self) -> str:
        """``utterance`` with _Z, else ``none``."""
        return "utterance" if "Z" in self._marks else "none"

    @property
    def n_normalized(self) -> int:
        """All but the energy."""
        return self.n_ceps - ("E" in self._marks)

    @property
    def loudness_columns(self) -> slice:
        """C0, or log filters, or log energy where it is not relative to the loudest frame."""
        if self._base == "FBANK":
            return slice(0, self.numchans)
        at = self.n_ceps - ("E" in self._marks) - 1
        if self._base == "MFCC" and "0" in self._marks:
            return slice(at, at + 1)
        if self._base != "MELSPEC" and "E" in self._marks and not self.enormalise:
            return slice(at + 1, at + 2)
        return slice(0, 0)

    def counted(self, cepstra: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Tell which frames have a say in the mean, as far as what is left of them tells."""
        if cepstra.shape[1] != self.n_ceps or self._base not in _BASES:
            return np.ones(len(cepstra), dtype=bool)
        return super().counted(cepstra)

    def _cepstra(self, audio: Audio, warp: float = 1.0) -> npt.NDArray[np.float32]:
        """Return the statics of a recording, shape (T, n_ceps), as HCopy makes them.

        Raises
        ------
        DataError
            Another rate, too short for one frame, or a kind that only HTK computes.
        """
        self._require_computable()
        n_samples, size = len(audio.samples), self.frame_size
        if n_samples < size:
            raise DataError("too short for one frame",
                            got=f"{n_samples} samples ({n_samples / self.rate:.4f} s)",
                            expected=f"{size} or more",
                            fix="Leave the utterance out, or correct its times.")  # fmt: skip
        values = self._statics(audio.samples, warp)
        if "E" in self._marks and self.enormalise:
            values[:, -1] = self._relative(values[:, -1], values[:, -1].max())
        return values.astype(np.float32)

    def _require_computable(self) -> None:
        if self._base not in _BASES:
            raise DataError("features of this kind cannot be computed here", got=self.targetkind,
                            expected=" or ".join(_BASES),
                            fix="Decode feature files that HTK has made.")  # fmt: skip

    def _statics(self, samples: npt.NDArray[np.floating], warp: float = 1.0) -> Array:
        """Return the statics of all whole frames, energy not normalized."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.frame_size)[:: self.shift]
        parts = [
            self._frames(windows[at : at + _CHUNK].astype(np.float64) * INT16_SCALE, warp)
            for at in range(0, len(windows), _CHUNK)
        ]
        return np.concatenate(parts)

    def _frames(self, frames: Array, warp: float) -> Array:
        """Frames of samples of 16-bit size (T, N) to statics."""
        if self.zmeansource:
            frames = frames - frames.mean(axis=1, keepdims=True)
        energy = np.einsum("tn,tn->t", frames, frames)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        frames = frames - self.preemcoef * before
        if self.usehamming:
            n = np.arange(self.frame_size)
            frames = frames * (0.54 - 0.46 * np.cos(2 * np.pi * n / (self.frame_size - 1)))
        if not self.rawenergy:
            energy = np.einsum("tn,tn->t", frames, frames)
        spectrum = np.fft.rfft(frames, self.n_fft, axis=1)[:, : self.n_fft // 2]
        sizes = spectrum.real**2 + spectrum.imag**2
        mel = (sizes if self.usepower else np.sqrt(sizes)) @ _filters(self, warp)
        columns = [mel]
        if self._base != "MELSPEC":
            columns = [logs := np.log(np.maximum(mel, 1.0))]
        if self._base == "MFCC":
            columns = [self.cepscale * (logs @ _cosines(self))]
        if "E" in self._marks:
            with np.errstate(divide="ignore"):
                columns.append(np.where(energy > 0, np.log(energy), _LOG_ZERO)[:, None])
        return np.hstack(columns)

    def _relative(self, energy: Array, loudest: float | Array) -> Array:
        """Log energies relative to the loudest, which becomes 1."""
        floor = loudest - self.silfloor * np.log(10.0) / 10.0
        return np.asarray(1.0 - (loudest - np.maximum(energy, floor)) * self.escale)

    def stored(self, file: HtkFeatures, where: str = "") -> npt.NDArray[np.float32]:
        """Return what a feature file holds of these features, for `finish`.

        Parameters
        ----------
        file : HtkFeatures
            Of the same base kind; it may have slopes already, or all that `targetkind` asks for.
        where : str
            The file's name, for messages.

        Returns
        -------
        ndarray of float32
            Statics (T, n_ceps), statics with all slopes, or finished frames (T, n_dims).

        Raises
        ------
        DataError
            The file's kind lacks something, or its frames come at another rate.
        """
        base, *marks = file.kind.split("_")
        own, energies = set(marks), {"0", "E"}
        if abs(file.frame_shift - self.frame_shift) > 0.01 * self.frame_shift:
            raise DataError("another frame shift", where=where or None,
                            got=f"{file.frame_shift:g} s", expected=f"{self.frame_shift:g} s")  # fmt: skip
        fits = base == self._base and own & energies == self._marks & energies
        fits &= "Z" in self._marks or "Z" not in own
        if "N" in own:  # what is suppressed cannot be brought back: nothing may be missing
            fits &= own - {"Z"} == self._marks - {"Z"}
        if not fits:
            raise DataError("features of another kind", where=where or None, got=file.kind,
                            expected=self.targetkind,
                            fix="Make them with HCopy, or name the recording.")  # fmt: skip
        n_blocks = 1 + len(own & set("DAT"))
        width = self.n_ceps * n_blocks - ("N" in own)
        if file.array.shape[1] != width:
            raise DataError("features of another width", where=where or None,
                            got=f"{file.array.shape[1]} values a frame", expected=width)  # fmt: skip
        if "N" in own:
            return file.array
        wanted = self.n_ceps * (len(self._windows) + 1)
        return file.array[:, : wanted if width >= wanted else self.n_ceps]

    def finish(self, cepstra: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Append slopes, subtract the mean of cepstra and C0, leave out what _N suppresses.

        What a feature file holds already (`stored`) is not done again.
        """
        frames = np.asarray(cepstra, dtype=np.float32)
        n, n_blocks = self.n_ceps, 1 + len(self._windows)
        if frames.ndim != 2 or frames.shape[1] not in (n, n * n_blocks, self.n_dims):
            raise DataError("no statics for this front end", got=f"shape {frames.shape}",
                            expected=f"(T, {n})")  # fmt: skip
        suppressed = "N" in self._marks and frames.shape[1] == self.n_dims
        n -= suppressed
        blocks = [frames[:, :n].astype(np.float64)]
        if frames.shape[1] > n:
            blocks.append(frames[:, n:].astype(np.float64))
        else:
            for window in self._windows:
                blocks.append(_slopes(blocks[-1], window, simple=self.simplediffs))
        if "Z" in self._marks:
            mean = self.known_stats(frames[:, :n], stats).mean[:n].copy()
            mean[self.n_normalized :] = 0.0
            blocks[0] = blocks[0] - mean
        if "N" in self._marks and not suppressed:
            blocks[0] = blocks[0][:, :-1]
        return Features(np.hstack(blocks).astype(np.float32), self.frame_shift)

    def _stream(self, block_frames: int = 10) -> _Stream:
        """Begin to take audio in pieces.

        Energy is relative to the loudest frame *so far*: a stream does not know what comes.
        """
        self._require_computable()
        return _Stream(self)


def _slopes(x: Array, window: int, *, simple: bool) -> Array:
    """Slopes over frames t - window to t + window; the first and last frame are repeated."""
    padded = np.concatenate(
        [np.repeat(x[:1], window, axis=0), x, np.repeat(x[-1:], window, axis=0)]
    )
    n = len(x)
    if simple:
        return np.asarray((padded[2 * window :] - padded[:n]) / (2 * window))
    total = np.zeros_like(x)
    for j in range(1, window + 1):
        total += j * (padded[window + j : window + j + n] - padded[window - j : window - j + n])
    return np.asarray(total / (2 * sum(j * j for j in range(1, window + 1))))


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)


@functools.lru_cache(maxsize=32)
def _filters(options: HtkOptions, warp: float) -> Array:
    """Return triangular filters over the FFT's bins 0 .. n_fft/2 - 1; (n_fft/2, numchans).

    Filter c rises from centre c - 1 to centre c and falls to centre c + 1, centres being evenly
    spaced in mel between the edges, then stretched.
    """
    low, high = options._band
    centres = np.linspace(_mel(low), _mel(high), options.numchans + 2)
    factor = options.warpfreq * warp
    if factor != 1.0:
        centres[1:] = _mel(_warped(700.0 * np.expm1(centres[1:] / 1127.0), options, factor))
    # HTK truncates the sample period to whole units of 100 ns here.
    spacing = _TICKS / (int(_TICKS / options.rate) * options.n_fft)
    bins = np.arange(options.n_fft // 2)
    per_hertz = options.n_fft / options.rate
    first = max(int(low * per_hertz + 1.5), 1) if options.lofreq >= 0 else 1
    last = options.n_fft // 2 - 1
    if options.hifreq >= 0:
        last = min(int(high * per_hertz - 0.5), last)
    mel = _mel(bins * spacing)[:, None]
    left, middle, right = centres[:-2], centres[1:-1], centres[2:]
    weights = np.minimum((mel - left) / (middle - left), (right - mel) / (right - middle))
    weights = np.maximum(weights, 0.0)
    weights[(bins < first) | (bins > last)] = 0.0
    return np.asarray(weights)


def _warped(hertz: Array, options: HtkOptions, factor: float) -> Array:
    """Move frequencies to f / factor between the bends, linearly to the edges beyond them."""
    low, high = options._band
    if not 0.5 <= factor <= 2.0:
        raise UsageError("stretch of the frequency axis", got=factor, expected="0.5 to 2")
    scale = 1.0 / factor
    bends = [2.0 / (1.0 + scale) * cut for cut in
             (options.warplcutoff, options.warpucutoff or low + (high - low) * 5 / 6)]  # fmt: skip
    points = [(low, low)] if options.warplcutoff > low else []
    points += [(bend, scale * bend) for bend in bends] + [(high, high)]
    xs, ys = zip(*points, strict=True)
    if list(xs) != sorted(xs) or list(ys) != sorted(ys):
        raise UsageError("the frequency warp leaves the band of the mel filters",
                         got=f"bends at {bends[0]:g} and {bends[1]:g} Hz, factor {factor:g}",
                         expected=f"within {low:g} to {high:g} Hz",
                         fix="Set WARPLCUTOFF and WARPUCUTOFF.")  # fmt: skip
    return np.asarray(np.interp(hertz, xs, ys))


@functools.lru_cache(maxsize=32)
def _cosines(options: HtkOptions) -> Array:
    """Cosine transform with liftering, C0 last; (numchans, numceps [+ 1])."""
    n = np.arange(1, options.numceps + 1)
    matrix = np.cos(np.pi / options.numchans * np.outer(np.arange(options.numchans) + 0.5, n))
    if options.ceplifter:
        matrix *= 1.0 + options.ceplifter / 2.0 * np.sin(np.pi * n / options.ceplifter)
    if "0" in options._marks:
        matrix = np.hstack([matrix, np.ones((options.numchans, 1))])
    return np.asarray(np.sqrt(2.0 / options.numchans) * matrix)


class _Stream:
    """Statics of whole frames as soon as their last sample is there."""

    def __init__(self, options: HtkOptions) -> None:
        self._options = options
        self._held = np.zeros(0, dtype=np.float32)  # from the next frame's first sample on
        self._loudest = -np.inf

    def accept(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        options = self._options
        self._held = np.concatenate([self._held, samples])
        if len(self._held) < options.frame_size:
            return np.zeros((0, options.n_ceps), dtype=np.float32)
        values = options._statics(self._held)
        self._held = self._held[len(values) * options.shift :]
        if "E" in options._marks and options.enormalise:
            loudest = np.maximum.accumulate(np.concatenate([[self._loudest], values[:, -1]]))[1:]
            self._loudest = loudest[-1]
            values[:, -1] = options._relative(values[:, -1], loudest)
        return np.asarray(values, dtype=np.float32)

    def finish(self) -> npt.NDArray[np.float32]:
        return np.zeros((0, self._options.n_ceps), dtype=np.float32)
