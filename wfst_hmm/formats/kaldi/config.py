"""Kaldi's options of features: ``conf/mfcc.conf`` and the notes in model directories.

In: files of ``--name=value`` lines. Out: `FeatureOptions`; and back.

Public names: `read_feature_options`, `transform_file`, `write_feature_options`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = ["read_feature_options", "transform_file", "write_feature_options"]


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


#: Which of our options stand in which file beside a model; all others in ``conf/mfcc.conf``.
_BESIDE = {"cmvn_variance": "cmvn_opts", "delta_order": "delta_opts", "delta_window": "delta_opts"}
#: Kaldi cannot say in a file whose means are taken: a remark for `read_feature_options`.
_WHOSE = re.compile(r"^\s*# means of each: (\w+)", re.M)
_CONFIGS = ("conf/mfcc.conf", "mfcc.conf")


class ReadOptions(NamedTuple):
    """Features of a Kaldi model, and in words what was assumed about them."""

    features: FeatureOptions
    assumed: tuple[str, ...]


def transform_file(model: Path) -> Path | None:
    """Return a model directory's LDA and MLLT: ``final.mat``, or ``lda.mat`` as others call it."""
    return next((model / n for n in ("final.mat", "lda.mat") if (model / n).is_file()), None)


def read_feature_options(
    config: str | Path | None, model: str | Path, *, rate: int | None = None
) -> ReadOptions:
    """Return how the features of a Kaldi model were made.

    Parameters
    ----------
    config : path, optional
        The recipe's ``conf/mfcc.conf``; by default the one in the model directory, else what most
        recipes have: Kaldi's defaults, but no energy.
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
    assumed = []
    if config is None:
        found = next((model / name for name in _CONFIGS if (model / name).is_file()), None)
        if found is not None:
            config = found
            assumed.append(f"features as {found} says")
        else:
            hertz = 16000 if rate is None else rate
            assumed.append(f"features: Kaldi's defaults without energy, {hertz} Hz "
                           "(a recipe's conf/mfcc.conf says it: --mfcc)")  # fmt: skip
    values: dict[str, Any] = {"use_energy": config is not None, "resample": False}
    if rate is not None:
        values["rate"] = rate
    values["delta_order"] = 2 if transform_file(model) is None else 0
    if config is not None:
        values |= _read(Path(config))
        whose = _WHOSE.search(Path(config).read_text(encoding="utf-8", errors="replace"))
        if whose is not None:
            values["cmvn"] = whose[1]
    for name in ("cmvn_opts", "delta_opts"):
        if (model / name).is_file():
            values |= _read(model / name)
    if not values.pop("norm_means", True):
        values["cmvn"] = "none"
    try:
        return ReadOptions(FeatureOptions(**values), tuple(assumed))
    except UsageError as error:
        where = str(config) if config is not None else str(model)
        raise FormatError(error.what, where=where, got=error.got,
                          expected=error.expected) from None  # fmt: skip


def write_feature_options(features: FeatureOptions, folder: Path) -> None:
    """Write ``conf/mfcc.conf``, ``cmvn_opts`` and ``delta_opts`` into a model directory."""
    lines: dict[str, list[str]] = {"conf/mfcc.conf": [], "cmvn_opts": [], "delta_opts": []}
    for name, (ours, read) in _OPTIONS.items():
        value = getattr(features, ours)
        if isinstance(value, bool):
            value = str(value).lower()
        elif read is _seconds:
            value = f"{1000 * value:.12g}"
        lines[_BESIDE.get(ours, "conf/mfcc.conf")].append(f"--{name}={value}")
    lines["conf/mfcc.conf"].append(f"# means of each: {features.cmvn}")
    lines["cmvn_opts"].append(f"--norm-means={str(features.cmvn != 'none').lower()}")
    (folder / "conf").mkdir(exist_ok=True)
    for name, options in lines.items():
        text = "\n".join(options) if name == "conf/mfcc.conf" else " ".join(options)
        (folder / name).write_text(text + "\n", encoding="utf-8")


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
