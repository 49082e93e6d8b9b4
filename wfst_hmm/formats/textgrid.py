"""Alignments as Praat TextGrids.

In: tiers of timed labels (words, phones). Out: a ``.TextGrid`` file in Praat's long text form.

Public names: `Timed`, `textgrid_text`, `write_textgrid`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from wfst_hmm.errors import DataError
from wfst_hmm.files import atomic_file

__all__ = ["Timed", "textgrid_text", "write_textgrid"]

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
