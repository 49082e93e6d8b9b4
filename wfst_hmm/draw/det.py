"""Detection error trade-offs as a picture: both axes stretched so that normal scores fall on lines.

In: error rates of one or more systems. Out: an SVG. Martin, Doddington, Kamm, Ordowski &
Przybocki (1997), "The DET curve in assessment of detection task performance".

Public names: `det_svg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE_GREY, PAPER
from wfst_hmm.draw.svg import Svg

__all__ = ["det_svg"]

_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
_LOW, _HIGH = 0.0005, 0.5
_COLOURS = (BLUE, ORANGE, GREEN, INK)
_LEFT, _TOP, _SIZE, _BOTTOM, _ROW = 64.0, 56.0, 420.0, 62.0, 18.0
_NORMAL = NormalDist()

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def det_svg(curves: Mapping[str, Curve], *, title: str = "") -> str:
    """Return a picture of the curves.

    Parameters
    ----------
    curves : mapping of str to (false_accepts, false_rejects)
        By name, each shares from 0 to 1, ordered by threshold.
    title : str
    """
    width, height = _LEFT + _SIZE + 24, _TOP + _SIZE + _BOTTOM + _ROW * len(curves)
    svg = Svg(width, height)
    svg.title(shown(title or "detection error trade-off", 200))
    svg.rectangle(0, 0, width, height, fill=PAPER)
    svg.text(_LEFT, 22, shown(title, 70), size=13, anchor="start", bold=True)
    for tick in _TICKS:
        x, y = _place(tick, tick)
        name = f"{100 * tick:g}"
        svg.line(x, _TOP, x, _TOP + _SIZE, stroke=PALE_GREY)
        svg.line(_LEFT, y, _LEFT + _SIZE, y, stroke=PALE_GREY)
        svg.text(x, _TOP + _SIZE + 16, name, size=10, fill=GREY)
        svg.text(_LEFT - 8, y + 4, name, size=10, fill=GREY, anchor="end")
    svg.line(*_place(_LOW, _LOW), *_place(_HIGH, _HIGH), stroke=GREY, dash="4 4")
    svg.rectangle(_LEFT, _TOP, _SIZE, _SIZE, fill="none", stroke=GREY)
    svg.text(_LEFT + _SIZE / 2, _TOP + _SIZE + 36, "false claims accepted, %", size=11, fill=GREY)
    svg.text(8, _TOP - 8, "true claims refused, %", size=11, fill=GREY, anchor="start")
    for i, (name, (accepts, rejects)) in enumerate(curves.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        points = [_place(a, r) for a, r in zip(accepts, rejects, strict=True)]
        svg.polyline(_thinned(points), stroke=colour, width=1.8)
        y = _TOP + _SIZE + _BOTTOM + _ROW * i  # below: inside, a curve may run anywhere
        svg.line(_LEFT, y - 4, _LEFT + 16, y - 4, stroke=colour, width=2.5)
        svg.text(_LEFT + 24, y, shown(name, 50), size=11, fill=colour, anchor="start")
    return svg.done()


def _place(accept: float, reject: float) -> tuple[float, float]:
    """Return pixels of an error pair; what lies beyond the edges is drawn on them."""
    return _LEFT + _SIZE * _stretched(accept), _TOP + _SIZE * (1.0 - _stretched(reject))


def _stretched(share: float) -> float:
    low, high = _NORMAL.inv_cdf(_LOW), _NORMAL.inv_cdf(_HIGH)
    at = _NORMAL.inv_cdf(min(max(float(share), _LOW), _HIGH))
    return (at - low) / (high - low)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out points that fall on the one before at the picture's resolution."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= 0.3:
            kept.append(point)
    return kept if len(kept) > 1 else points[:1] * 2
