"""What a diarization can be told, from Python, a command line or an INI file.

In: numbers, or a file with a section ``[Diarizer]``. Out: `DiarizerOptions`, `Job`.

Public names: `DiarizerOptions`, `Job`, `diarizer_features`, `read_ini`.
"""

from __future__ import annotations

import configparser
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.options import check, option
from wfst_hmm.orthography import did_you_mean
from wfst_hmm.signal.audio import RawFormat
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.speech import SpeechOptions

__all__ = ["DiarizerOptions", "Job", "diarizer_features", "read_ini"]

_SECTION = "Diarizer"


@dataclasses.dataclass(frozen=True)
class DiarizerOptions:
    """How speakers are clustered. Each field's metadata holds its ``help``."""

    initial_clusters: int = option(
        16,
        "Clusters to start from, more than there are speakers; at most one for 3 s of speech.",
        least=1,
    )
    m_mfcc: int = option(
        5, "Gaussians of a cluster at the start; at most one for 1.5 s of its speech.", least=1
    )
    em_iterations: int = option(3, "Passes of EM whenever a mixture is trained.", least=1)
    kl_ntop: int = option(
        0, "Try to merge only so many pairs, the nearest by KL divergence; 0: all pairs.", least=0
    )
    num_seg_iters_init: int = option(2, "Re-segmentations before the first merger.", least=1)
    num_seg_iters: int = option(3, "Re-segmentations after every merger.", least=1)
    seg_length: int = option(
        250,
        "Frames that vote together in a re-segmentation; at most a 60th of all speech.",
        least=10,
    )
    viterbi_iterations: int = option(3, "Final Viterbi re-segmentations; 0: none.", least=0)
    min_duration: float = option(1.0, "Seconds that a speaker holds the floor at least.", least=0)
    switch_cost: float = option(
        20.0, "Nats that a change of speakers costs in the search.", least=0
    )
    bridge: float = option(
        1.5, "Seconds; a shorter pause found here between turns of one speaker is theirs.", least=0
    )
    threads: int = option(1, "Threads.", least=1)
    seed: int = option(0, "Of the first mixtures.")

    def __post_init__(self) -> None:
        check(self, "{name} is too small")


def diarizer_features() -> FeatureOptions:
    """Return the features that clustering works on: cepstra 1 to 19, not normalized."""
    return FeatureOptions(resample=True, n_mels=26, n_ceps=20, cmvn="none", delta_order=0)


@dataclasses.dataclass(frozen=True)
class Job:
    """One diarization: what to read, how, and where to write.

    Attributes
    ----------
    basename : str
        Name of the recording in the RTTM.
    audio, mfcc_feats : Path, optional
        A recording, or an HTK file of its features: exactly one of them.
    spnsp_file : Path, optional
        Where speech is: RTTM, or lines ``start end [speech|nonspeech]`` in seconds.
    output_cluster : Path, optional
        The RTTM to write.
    gmm_output : Path, optional
        The mixtures to write.
    options : DiarizerOptions
    speech : SpeechOptions
    channel : int, optional
        Of a recording that has several.
    raw : RawFormat, optional
        Of a recording without a header.
    detector : "energy" or "silero"
        How speech is found where nobody says.
    """

    basename: str
    audio: Path | None = None
    mfcc_feats: Path | None = None
    spnsp_file: Path | None = None
    output_cluster: Path | None = None
    gmm_output: Path | None = None
    options: DiarizerOptions = dataclasses.field(default_factory=DiarizerOptions)
    speech: SpeechOptions = dataclasses.field(
        default_factory=lambda: SpeechOptions(min_pause=0.3, pad=0.1)
    )
    channel: int | None = None
    raw: RawFormat | None = None
    detector: str = "energy"

    def __post_init__(self) -> None:
        if self.detector not in ("energy", "silero"):
            raise UsageError("no such detector of speech", got=self.detector,
                             expected="energy or silero")  # fmt: skip
        if (self.audio is None) == (self.mfcc_feats is None):
            raise UsageError("give a recording or a feature file", expected="one of the two",
                             got="both" if self.audio else "neither")  # fmt: skip
        if self.basename.split() != [self.basename]:
            raise UsageError("basename is empty or holds white space", got=repr(self.basename))

    @property
    def source(self) -> Path:
        """What is read: the recording or the features."""
        return Path(self.audio or self.mfcc_feats or "")


_PATHS = ("audio", "mfcc_feats", "spnsp_file", "output_cluster", "gmm_output")
_REQUIRED = ("basename", "output_cluster", "gmm_output", "initial_clusters", "m_mfcc")


def read_ini(path: str | Path) -> dict[str, Any]:
    """Read the settings of a file's ``[Diarizer]`` section, typed; names in any case.

    Paths are relative to the file.

    Returns
    -------
    dict
        By name of `Job`'s and `DiarizerOptions`' fields.

    Raises
    ------
    FormatError
        The file is no INI file, has no such section, lacks a required setting, or sets one that
        is unknown (the nearest is named) or no number.
    """
    path = Path(path)
    parser = configparser.ConfigParser(
        interpolation=None, strict=True, inline_comment_prefixes=("#", ";")
    )
    try:
        parser.read_string("\n".join(line for _, line in read_lines(path)), source=str(path))
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or (getattr(error, "errors", None) or [(1, "")])[0][0]
        raise FormatError("no INI file", where=f"{path}:{line}", got=str(error).splitlines()[0],
                          expected="[Diarizer] and lines name = value") from None  # fmt: skip
    if _SECTION not in parser:
        raise FormatError(f"no section [{_SECTION}]", where=str(path),
                          got=", ".join(parser.sections()) or "no section")  # fmt: skip
    given = dict(parser[_SECTION])
    settings = {name: _typed(name, text, path) for name, text in given.items()}
    _check_required(settings, path)
    return settings


def _typed(name: str, text: str, path: Path) -> Any:
    kinds = {field.name: str(field.type) for field in dataclasses.fields(DiarizerOptions)}
    where = f"{path}: {name}"
    if name == "basename":
        return text
    if name in _PATHS:
        if not text:
            raise FormatError("an empty path", where=where)
        return path.parent / text
    if name not in kinds:
        raise FormatError(f"unknown setting {name!r}", where=str(path),
                          fix=did_you_mean(name, [*kinds, *_PATHS, "basename"]))  # fmt: skip
    try:
        return {"int": int, "float": float}[kinds[name]](text)
    except ValueError:
        raise FormatError("no number", where=where, got=repr(text), expected=kinds[name]) from None


def _check_required(settings: Mapping[str, Any], path: Path) -> None:
    for name in _REQUIRED:
        if name not in settings:
            raise FormatError(f"the setting {name!r} is missing", where=str(path),
                              fix=f"Add a line {name} = ... to [{_SECTION}].")  # fmt: skip
    if ("audio" in settings) == ("mfcc_feats" in settings):
        raise FormatError("one of audio and mfcc_feats is needed", where=str(path),
                          got="both" if "audio" in settings else "neither")  # fmt: skip
