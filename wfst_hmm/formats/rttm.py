"""Who spoke when, as the lines of NIST's RTTM files.

In: ``SPEAKER file channel start duration <NA> <NA> name <NA> <NA>`` lines. Out: `Turn` values by
file; and back. Also UEM files, which say what part of a recording is to be scored.

Public names: `Turn`, `read_rttm`, `read_uem`, `rttm_lines`, `write_rttm`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines

__all__ = ["Turn", "read_rttm", "read_uem", "rttm_lines", "write_rttm"]

#: Types of lines that the format knows and that say nothing about speakers' turns.
_OTHER_TYPES = frozenset(
    ("NOSCORE", "NO_RT_METADATA", "SEGMENT", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT",
     "SU", "CB", "A/P", "SPKR-INFO", "IP")
)  # fmt: skip


@dataclasses.dataclass(frozen=True, order=True)
class Turn:
    """A stretch in which one person speaks, in seconds."""

    start: float
    end: float
    speaker: str

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.end - self.start


def read_rttm(path: str | Path) -> dict[str, list[Turn]]:
    """Read the turns of every recording that an RTTM file names, each in order of time.

    The format is that of the NIST Rich Transcription evaluations (RT-09 plan, appendix A).
    Lines of other types and comments (``;``) are skipped; turns of no length are dropped.

    Raises
    ------
    FormatError
        A line cannot be understood (message: ``file:line``), or there is no turn at all.
    """
    turns: dict[str, list[Turn]] = {}
    for number, line in read_lines(path):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] in _OTHER_TYPES:
            continue
        where = f"{path}:{number}"
        if fields[0] != "SPEAKER" or len(fields) < 8:
            raise FormatError("no line of an RTTM file", where=where, got=repr(line[:60]),
                              expected="SPEAKER file channel start duration <NA> <NA> name")  # fmt: skip
        start = _seconds(fields[3], "start", where)
        duration = _seconds(fields[4], "duration", where)
        found = turns.setdefault(fields[1], [])
        if duration > 0:
            found.append(Turn(start, start + duration, fields[7]))
    if not turns:
        raise FormatError("no SPEAKER lines", where=str(path), expected="an RTTM file")
    return {name: sorted(found) for name, found in turns.items()}


def read_uem(path: str | Path) -> dict[str, list[tuple[float, float]]]:
    """Read ``file channel start end`` lines: the regions of each recording that are scored.

    Raises
    ------
    FormatError
        A line cannot be understood, or there is none.
    """
    regions: dict[str, list[tuple[float, float]]] = {}
    for number, line in read_lines(path):
        fields = line.split()
        if not fields or fields[0].startswith(";"):
            continue
        where = f"{path}:{number}"
        if len(fields) != 4:
            raise FormatError("no line of a UEM file", where=where, got=repr(line[:60]),
                              expected="file channel start end")  # fmt: skip
        start, end = _seconds(fields[2], "start", where), _seconds(fields[3], "end", where)
        if end <= start:
            raise FormatError("a region that is none", where=where, got=f"{start:g} to {end:g} s")
        regions.setdefault(fields[0], []).append((start, end))
    if not regions:
        raise FormatError("no regions", where=str(path), expected="a UEM file")
    return regions


def _seconds(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FormatError(f"{name} is no time", where=where, got=repr(text),
                          expected="seconds, 0 or more")  # fmt: skip
    return value


def rttm_lines(recording: str, turns: Iterable[Turn], *, channel: str = "1") -> list[str]:
    """Return one line a turn, in order of time, milliseconds exact.

    Raises
    ------
    DataError
        A name is empty or holds white space, or a turn has no length or starts before 0.
    """
    lines = []
    for turn in sorted(turns):
        for part in (recording, channel, turn.speaker):
            if part.split() != [part]:
                raise DataError("an RTTM field that is empty or holds white space",
                                where=recording, got=repr(part))  # fmt: skip
        if not 0 <= turn.start < turn.end:
            raise DataError("a turn that is none", where=recording,
                            got=f"{turn.start} to {turn.end} s")  # fmt: skip
        start, end = round(turn.start, 3), round(turn.end, 3)
        lines.append(
            f"SPEAKER {recording} {channel} {start:.3f} {end - start:.3f} <NA> <NA> "
            f"{turn.speaker} <NA> <NA>\n"
        )
    return lines


def write_rttm(
    path: str | Path, turns: Mapping[str, Iterable[Turn]], *, channel: str = "1"
) -> None:
    """Write turns by recording, atomically; a `DataError` as from `rttm_lines`."""
    lines = [line for name, found in turns.items()
             for line in rttm_lines(name, found, channel=channel)]  # fmt: skip
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
