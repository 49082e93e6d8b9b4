"""Kaldi's options of features: ``conf/mfcc.conf`` and the notes in model directories.

In: files of ``--name=value`` lines. Out: `FeatureOptions`.

Public names: `read_feature_options`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = ["read_feature_options"]


def _flag(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise ValueError(text)


def _seconds(text: str) -> float:
    return float(text) / 1000.0


#: Kaldi's name -> ours, and how its value is read.
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "sample-frequency": ("rate", lambda text: round(float(text))),
    "frame-length": ("frame_length", _seconds),
    "frame-shift": ("frame_shift", _seconds),
    "preemphasis-coefficient": ("preemphasis", float),
    "remove-dc-offset": ("remove_dc", _flag),
    "window-type": ("window", str),
    "snip-edges": ("snip_edges", _flag),
    "num-mel-bins": ("n_mels", int),
    "num-ceps": ("n_ceps", int),
    "low-freq": ("low_freq", float),
    "high-freq": ("high_freq", float),
    "use-energy": ("use_energy", _flag),
    "cepstral-lifter": ("lifter", float),
    "vtln-low": ("vtln_low", float),
    "vtln-high": ("vtln_high", float),
    "norm-vars": ("cmvn_variance", _flag),
    "delta-order": ("delta_order", int),
    "delta-window": ("delta_window", int),
}
#: Names that change nothing here, with the values that they may have (None: any).
_HARMLESS: dict[str, tuple[str, ...] | None] = {
    "dither": None, "debug-mel": None, "verbose": None, "allow-downsample": None,
    "allow-upsample": None, "round-to-power-of-two": ("true",), "htk-compat": ("false",),
    "raw-energy": None, "energy-floor": None, "channel": None, "max-feature-vectors": None,
    "subtract-mean": ("false",), "vtln-warp": ("1", "1.0"), "truncate": ("0",),
}  # fmt: skip


def read_feature_options(
    config: str | Path | None, model: str | Path, *, rate: int | None = None
) -> FeatureOptions:
    """Return how the features of a Kaldi model were made.

    Parameters
    ----------
    config : path, optional
        The recipe's ``conf/mfcc.conf``; by default what most recipes have: Kaldi's defaults,
        but no energy.
    model : path
        The model directory: ``cmvn_opts`` and ``delta_opts`` are looked for. Deltas are only
        added where there is no ``final.mat``.
    rate : int, optional
        Samples per second, where the file does not say.

    Raises
    ------
    FormatError
        An option is unknown, or cannot be done: features would be others than the model's.
    """
    model = Path(model)
    values: dict[str, Any] = {"use_energy": config is not None, "resample": False}
    if rate is not None:
        values["rate"] = rate
    values["delta_order"] = 0 if (model / "final.mat").is_file() else 2
    if config is not None:
        values |= _read(Path(config))
    for name in ("cmvn_opts", "delta_opts"):
        if (model / name).is_file():
            values |= _read(model / name)
    if not values.pop("norm_means", True):
        values["cmvn"] = "none"
    try:
        return FeatureOptions(**values)
    except UsageError as error:
        where = str(config) if config is not None else str(model)
        raise FormatError(error.what, where=where, got=error.got,
                          expected=error.expected) from None  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, line in read_lines(path):
        for word in line.partition("#")[0].split():
            where = f"{path}:{number}"
            name, _, value = word.removeprefix("--").partition("=")
            if not word.startswith("--") or not name:
                raise FormatError("not an option", where=where, got=repr(word[:60]),
                                  expected="--name=value")  # fmt: skip
            value = value or "true"
            try:
                if name == "norm-means":
                    found["norm_means"] = _flag(value)
                elif name in _OPTIONS:
                    ours, read = _OPTIONS[name]
                    found[ours] = read(value)
                elif name not in _HARMLESS or value not in (_HARMLESS[name] or (value,)):
                    raise FormatError("an option that is not supported", where=where,
                                      got=repr(word[:60]))  # fmt: skip
            except ValueError:
                raise FormatError(f"no value for --{name}", where=where,
                                  got=repr(value[:40])) from None  # fmt: skip
    return found
