"""Alignments as Praat TextGrids.

In: tiers of timed labels (words, phones). Out: a ``.TextGrid`` file in Praat's long text form; and
back, from the long and the short form.

Public names: `Label`, `Timed`, `read_textgrid`, `textgrid_text`, `write_textgrid`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines

__all__ = ["Label", "Timed", "read_textgrid", "textgrid_text", "write_textgrid"]

_SAME = 1e-6  # seconds: times closer than this are one boundary


class Timed(Protocol):
    """Anything with a text, a start and an end: `Word`, `Phone`."""

    @property
    def text(self) -> str:
        """The label."""

    @property
    def start(self) -> float:
        """Seconds from the beginning of the recording."""

    @property
    def end(self) -> float:
        """Seconds from the beginning of the recording."""


@dataclasses.dataclass(frozen=True)
class Label:
    """An interval's label."""

    text: str
    start: float
    end: float


def read_textgrid(path: str | Path) -> dict[str, list[Label]]:
    """Read the interval tiers of a TextGrid, long or short, by their names.

    Intervals without a label are left out; of tiers with one name the later ones are called
    ``name_2`` and so on.

    Raises
    ------
    FormatError
        The file is missing or is no TextGrid.
    """
    from praatio.utilities import errors, textgrid_io  # here: few commands read TextGrids

    text = "\n".join(line for _, line in read_lines(path))
    try:
        parsed = textgrid_io.parseTextgridStr(text + "\n", includeEmptyIntervals=False)
        tiers: dict[str, list[Label]] = {}
        for tier in parsed["tiers"]:
            if tier["class"] != "IntervalTier":
                continue
            name, number = tier["name"], 1
            while name in tiers:
                number += 1
                name = f"{tier['name']}_{number}"
            tiers[name] = [Label(str(text), float(start), float(end))
                           for start, end, text in tier["entries"]]  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError, errors.PraatioException) as error:
        raise FormatError(f"a damaged TextGrid ({error})", where=str(path),
                          expected="interval tiers in Praat's long or short text form") from None  # fmt: skip
    return tiers


def write_textgrid(
    path: str | Path, tiers: Mapping[str, Sequence[Timed]], *, duration: float
) -> None:
    """Write what `textgrid_text` returns, atomically."""
    text = textgrid_text(tiers, duration=duration, where=str(path))
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def textgrid_text(
    tiers: Mapping[str, Sequence[Timed]], *, duration: float, where: str = "TextGrid"
) -> str:
    """Return interval tiers from 0 to `duration`; gaps become empty intervals.

    The form is that of the Praat manual, "TextGrid file formats" (Boersma & Weenink).

    Parameters
    ----------
    tiers : mapping of str to sequence of Timed
        By the tier's name, each in order of time. A last interval that ends behind `duration`
        by rounding (frames are longer than their shift) is cut there.
    duration : float
        Seconds of the whole recording.
    where : str
        Named in messages.

    Raises
    ------
    DataError
        There is no tier, the duration is not positive, or labels overlap or lie outside it.
    """
    if not tiers or not duration > 0:
        raise DataError(
            "an empty TextGrid",
            where=where,
            got=f"{len(tiers)} tiers, {duration} s",
            expected="a tier and a duration",
        )
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_seconds(duration)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, labels) in enumerate(tiers.items(), start=1):
        intervals = _filled(f"{where}: tier {name}", labels, duration)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {_seconds(duration)}",
            f"        intervals: size = {len(intervals)}",
        ]
        for i, (start, end, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{i}]:",
                f"            xmin = {_seconds(start)}",
                f"            xmax = {_seconds(end)}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def _filled(where: str, labels: Sequence[Timed], duration: float) -> list[tuple[float, float, str]]:
    """Put empty intervals into the gaps: a tier covers the recording without holes."""
    intervals: list[tuple[float, float, str]] = []
    at = 0.0
    for label in labels:
        # A frame is longer than its shift, so a last label may seem to outlast the recording.
        start, end = label.start, min(label.end, duration)
        if start < at - _SAME or end <= start:
            raise DataError(
                f"interval {label.text!r} overlaps or lies outside",
                where=where,
                got=f"{label.start} to {label.end} s",
                expected=f"within {at:g} to {duration:g} s",
            )
        if start > at + _SAME:
            intervals.append((at, start, ""))
        else:
            start = at
        intervals.append((start, end, label.text))
        at = end
    if at < duration - _SAME:
        intervals.append((at, duration, ""))
    elif intervals:
        intervals[-1] = (intervals[-1][0], duration, intervals[-1][2])
    return intervals


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
