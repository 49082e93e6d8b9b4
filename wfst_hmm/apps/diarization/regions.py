"""Where speech is, as others have found it.

In: a file. Out: regions in seconds.

Public names: `read_regions`, `united`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.rttm import read_rttm

__all__ = ["read_regions", "united"]

_SPEECH = frozenset(("speech", "sp", "1"))
_OTHER = frozenset(("nonspeech", "nonsp", "non-speech", "silence", "sil", "noise", "music", "0"))


def united(spans: Iterable[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Return regions that do not overlap, in order, shape (R, 2)."""
    out: list[list[float]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1][1] = max(out[-1][1], end)
        else:
            out.append([start, end])
    return np.array(out, dtype=np.float64).reshape(-1, 2)


def read_regions(path: str | Path) -> npt.NDArray[np.float64]:
    """Read regions of speech: an RTTM of one recording, or lines ``start end [kind]``.

    Times are seconds. `kind` is ``speech`` (the default) or something else such as ``nonspeech``,
    ``sil``, ``noise``, which is left out.

    Returns
    -------
    ndarray, shape (R, 2)

    Raises
    ------
    FormatError
        A line cannot be understood, an RTTM holds several recordings, or there is no speech.
    """
    spans: list[tuple[float, float]] = []
    for number, line in read_lines(path):
        fields = line.split()
        if not fields or fields[0].startswith((";", "#")):
            continue
        if fields[0] == "SPEAKER":
            return _of_rttm(path)
        span = _span(fields, f"{path}:{number}")
        if span is not None:
            spans.append(span)
    if not spans:
        raise FormatError("no regions of speech", where=str(path), expected="start end [speech]")
    return united(spans)


def _span(fields: list[str], where: str) -> tuple[float, float] | None:
    try:
        start, end = float(fields[0]), float(fields[1])
    except (ValueError, IndexError):
        start = end = math.nan
    kind = fields[2].lower() if len(fields) > 2 else "speech"
    if not 0 <= start < end < math.inf or len(fields) > 3 or kind not in _SPEECH | _OTHER:
        raise FormatError("no region of speech", where=where, got=repr(" ".join(fields)[:60]),
                          expected="start end [speech|nonspeech], in seconds")  # fmt: skip
    return (start, end) if kind in _SPEECH else None


def _of_rttm(path: str | Path) -> npt.NDArray[np.float64]:
    turns = read_rttm(path)
    if len(turns) > 1:
        raise FormatError("regions of several recordings", where=str(path),
                          got=", ".join(sorted(turns)[:5]), expected="one recording")  # fmt: skip
    (found,) = turns.values()
    return united((turn.start, turn.end) for turn in found)
