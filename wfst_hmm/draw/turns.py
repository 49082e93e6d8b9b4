"""Who spoke when, on a time axis: one row a speaker.

In: turns of one or more lists (a reference, a hypothesis). Out: an SVG.

Public names: `turns_svg`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE_GREY, PAPER
from wfst_hmm.draw.svg import Svg
from wfst_hmm.formats.rttm import Turn

__all__ = ["turns_svg"]

_LEFT, _RIGHT, _ROW, _BAR = 110.0, 16.0, 20.0, 13.0
_COLOURS = (BLUE, ORANGE, GREEN, "#7b4fa3", "#9a6b00", "#a3325c", INK, "#3f7f7f")
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between ticks


def turns_svg(
    lists: Mapping[str, Sequence[Turn]],
    *,
    partners: Mapping[str, str] | None = None,
    title: str = "",
    width: float = 1000.0,
) -> str:
    """Return a picture of lists of turns under each other.

    Parameters
    ----------
    lists : mapping of str to sequence of Turn
        By heading, for example ``{"reference": ..., "found": ...}``.
    partners : mapping of str to str, optional
        Speaker of a later list to speaker of the first: partners share a colour and an order.
    title : str
    width : float
        Pixels.
    """
    partners = partners or {}
    end = max((turn.end for turns in lists.values() for turn in turns), default=1.0)
    rows = {name: _speakers(turns, partners) for name, turns in lists.items()}
    colours: dict[str, str] = {}
    for speakers in rows.values():
        for speaker in speakers:
            key = partners.get(speaker, speaker)
            colours.setdefault(key, _COLOURS[len(colours) % len(_COLOURS)])
    height = 62.0 + sum(24.0 + _ROW * max(len(s), 1) for s in rows.values())
    svg = Svg(width, height)
    svg.title(shown(title or "who spoke when", 200))
    svg.rectangle(0, 0, width, height, fill=PAPER)
    svg.text(16, 20, shown(title, 110), size=13, anchor="start", bold=True)
    scale = (width - _LEFT - _RIGHT) / max(end, 1e-3)
    y = 34.0
    _ticks(svg, end, scale, y, height - 28.0)
    for name, turns in lists.items():
        svg.text(16, y + 13, shown(name, 40), size=12, fill=INK, anchor="start")
        y += 20
        for speaker in rows[name]:
            colour = colours[partners.get(speaker, speaker)]
            svg.text(_LEFT - 8, y + 14, shown(speaker, 14), size=11, fill=colour, anchor="end")
            svg.rectangle(_LEFT, y + _ROW / 2 - 0.5, width - _LEFT - _RIGHT, 1, fill=PALE_GREY)
            for turn in turns:
                if turn.speaker == speaker:
                    with svg.group(f"{speaker}, {turn.start:.2f} to {turn.end:.2f} s"):
                        svg.rectangle(_LEFT + scale * turn.start, y + (_ROW - _BAR) / 2,
                                      max(scale * turn.seconds, 0.5), _BAR, fill=colour)  # fmt: skip
            y += _ROW
        y += 4 + (0 if rows[name] else _ROW)
    return svg.done()


def _speakers(turns: Sequence[Turn], partners: Mapping[str, str]) -> list[str]:
    """Return speakers in the order of their partners' names."""
    found = {turn.speaker for turn in turns}
    return sorted(found, key=lambda s: (s not in partners, partners.get(s, s), s))


def _ticks(svg: Svg, end: float, scale: float, top: float, bottom: float) -> None:
    step = next((s for s in _STEPS if s * scale >= 60), _STEPS[-1])
    for i in range(math.floor(end / step) + 1):
        x = _LEFT + scale * step * i
        svg.line(x, top + 16, x, bottom, stroke=PALE_GREY)
        minutes, seconds = divmod(step * i, 60)
        svg.text(x, bottom + 14, f"{minutes:d}:{seconds:02d}", size=10, fill=GREY)
