"""How audio becomes features, as a value that is saved with every model.

In: numbers and names, from Python, a command line or a model's JSON. Out: `FeatureOptions`,
checked.

Public names: `FeatureOptions`, `INT16_SCALE`, `too_many_filters`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from wfst_hmm.errors import FormatError, UsageError

__all__ = ["INT16_SCALE", "FeatureOptions", "too_many_filters"]

INT16_SCALE = 32768.0  # Kaldi computes on samples of 16-bit size
WINDOWS = ("povey", "hamming", "hanning", "hann", "sine", "rectangular", "blackman")
CMVN = ("speaker", "utterance", "none")


def _option(default: Any, help_text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text})


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
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

    rate: int = _option(16000, "Samples per second that the model hears.")
    resample: bool = _option(False, "Resample recordings of another rate instead of refusing them.")
    frame_length: float = _option(0.025, "Seconds of audio in a frame.")
    frame_shift: float = _option(0.010, "Seconds from one frame to the next.")
    snip_edges: bool = _option(
        True, "Only frames that fit wholly; otherwise one per shift, mirrored at the edges."
    )
    window: str = _option("povey", f"Shape of the window: {', '.join(WINDOWS)}.")
    preemphasis: float = _option(0.97, "Share of the previous sample that is subtracted.")
    remove_dc: bool = _option(True, "Subtract every frame's mean.")
    n_mels: int = _option(23, "Number of mel filters.")
    n_ceps: int = _option(13, "Number of cepstra, C0 or energy included.")
    low_freq: float = _option(20.0, "Lower edge of the mel filters in Hz.")
    high_freq: float = _option(
        0.0, "Upper edge in Hz; 0 is half the rate, negative so much below that."
    )
    use_energy: bool = _option(False, "Log energy of the frame in place of C0.")
    lifter: float = _option(22.0, "Cepstral liftering constant; 0 is none.")
    vtln_low: float = _option(100.0, "Lower bend of the frequency warp in Hz.")
    vtln_high: float = _option(-500.0, "Upper bend in Hz; negative so much below half the rate.")
    cmvn: str = _option("speaker", "Whose mean is subtracted: speaker, utterance or none.")
    cmvn_variance: bool = _option(False, "Also scale every cepstrum to variance 1.")
    delta_order: int = _option(2, "Order of the slopes added: 0 none, 1 deltas, 2 also theirs.")
    delta_window: int = _option(2, "Frames on each side that a slope is fitted to.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _typed(field, getattr(self, field.name)))
        half = self.rate / 2
        top = self.high_freq if self.high_freq > 0 else half + self.high_freq
        _require(100 <= self.rate <= 1_000_000, "rate", self.rate, "100 to 1000000 Hz")
        _require(0 < self.frame_shift <= 1, "frame_shift", self.frame_shift, "0 to 1 s")
        _require(0.001 <= self.frame_length <= 1, "frame_length", self.frame_length, "0.001 to 1 s")
        samples = self.rate * min(self.frame_length, self.frame_shift)
        _require(samples >= 2, "frame_length and frame_shift", f"{samples:g} samples", "2 or more")
        _require(self.window in WINDOWS, "window", self.window, "one of " + ", ".join(WINDOWS))
        _require(0 <= self.preemphasis <= 1, "preemphasis", self.preemphasis, "0 to 1")
        _require(3 < self.n_mels <= 256, "n_mels", self.n_mels, "4 to 256")
        _require(0 < self.n_ceps <= self.n_mels, "n_ceps", self.n_ceps, f"1 to {self.n_mels}")
        _require(0 <= self.low_freq < half, "low_freq", self.low_freq, f"0 to {half:g} Hz")
        _require(self.low_freq < top <= half, "high_freq", self.high_freq, f"up to {half:g} Hz")
        _require(self.lifter >= 0, "lifter", self.lifter, "0 or more")
        _require(self.cmvn in CMVN, "cmvn", self.cmvn, "one of " + ", ".join(CMVN))
        _require(0 <= self.delta_order <= 4, "delta_order", self.delta_order, "0 to 4")
        _require(1 <= self.delta_window <= 20, "delta_window", self.delta_window, "1 to 20")

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

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, where: str = "feature options") -> FeatureOptions:
        """Build options from what `to_dict` gave; options left out take their defaults.

        Raises
        ------
        FormatError
            An option is unknown or has an impossible value; the message starts with `where`.
        """
        if not isinstance(values, dict):
            raise FormatError("no options", where=where, got=type(values).__name__, expected="dict")
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise FormatError(
                f"unknown feature option {unknown[0]!r}",
                where=where,
                fix="A newer version of the package may know it.",
            )
        try:
            return cls(**values)
        except UsageError as error:
            raise FormatError(
                error.what, where=where, got=error.got, expected=error.expected
            ) from None


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


def too_many_filters(options: FeatureOptions) -> UsageError:
    """Make the error of mel filters that fall between two lines of the spectrum."""
    return UsageError(
        "a mel filter narrower than the resolution of the spectrum",
        got=f"n_mels {options.n_mels} at {options.rate} Hz",
        fix="Take fewer filters or longer frames.",
    )
