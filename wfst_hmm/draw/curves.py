"""Curves over numbers: likelihood by pass, occupancy by state.

In: lines of points. Out: an SVG text that stands alone or inside a page.

Public names: `Curve`, `curves_svg`.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence

from wfst_hmm.draw.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE_GREY, PAPER
from wfst_hmm.errors import DataError

__all__ = ["Curve", "curves_svg"]

_COLOURS = (BLUE, ORANGE, GREEN, INK)
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 40


@dataclasses.dataclass(frozen=True)
class Curve:
    """One line.

    Attributes
    ----------
    name : str
    points : tuple of (float, float)
    """

    name: str
    points: tuple[tuple[float, float], ...]


def curves_svg(
    curves: Sequence[Curve],
    *,
    title: str = "",
    x: str = "",
    y: str = "",
    log: bool = False,
    size: tuple[int, int] = (460, 260),
) -> str:
    """Return curves over common axes.

    Parameters
    ----------
    curves : sequence of Curve
        Points that are not finite (with `log`: not positive, too) are left out.
    title, x, y : str
        Of the picture and of its axes.
    log : bool
        A logarithmic vertical axis.
    size : tuple of int
        Width and height in pixels.

    Raises
    ------
    DataError
        There is no point to draw.
    """
    usable = [
        Curve(c.name, tuple(p for p in c.points if _finite(p) and (p[1] > 0 or not log)))
        for c in curves
    ]
    usable = [curve for curve in usable if curve.points]
    if not usable:
        raise DataError("no points to draw", got=title or None)
    width, height = size
    xs = [p[0] for c in usable for p in c.points]
    ys = [math.log10(p[1]) if log else p[1] for c in usable for p in c.points]
    to_x = _Scale(min(xs), max(xs), _LEFT, width - _RIGHT)
    to_y = _Scale(min(ys), max(ys), height - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11" role="img">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<text x="{_LEFT}" y="16" fill="{INK}" font-weight="bold">{html.escape(title)}</text>',
    ]
    for value in _ticks(min(ys), max(ys)):
        at = to_y(value)
        label = f"{10**value:,.3g}" if log else f"{value:,.6g}"
        parts.append(f'<line x1="{_LEFT}" y1="{at:.1f}" x2="{width - _RIGHT}" y2="{at:.1f}" '
                     f'stroke="{PALE_GREY}"/><text x="{_LEFT - 6}" y="{at + 4:.1f}" '
                     f'text-anchor="end" fill="{INK}">{label}</text>')  # fmt: skip
    for value in _ticks(min(xs), max(xs)):
        parts.append(f'<text x="{to_x(value):.1f}" y="{height - _BOTTOM + 16}" '
                     f'text-anchor="middle" fill="{INK}">{value:,.6g}</text>')  # fmt: skip
    parts.append(f'<text x="{(_LEFT + width - _RIGHT) / 2:.0f}" y="{height - 6}" '
                 f'text-anchor="middle" fill="{GREY}">{html.escape(x)}</text>')  # fmt: skip
    middle = (height - _BOTTOM + _TOP) / 2
    parts.append(f'<text transform="translate(12 {middle:.0f}) rotate(-90)" text-anchor="middle" '
                 f'fill="{GREY}">{html.escape(y)}</text>')  # fmt: skip
    for index, curve in enumerate(usable):
        colour = _COLOURS[index % len(_COLOURS)]
        line = " ".join(f"{to_x(a):.1f},{to_y(math.log10(b) if log else b):.1f}"
                        for a, b in curve.points)  # fmt: skip
        if len(curve.points) == 1:
            a, b = line.split(",")
            parts.append(f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>')
        else:
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" '
                         'stroke-width="2"/>')  # fmt: skip
        if len(usable) > 1:
            at = _LEFT + 8 + 74 * index
            parts.append(f'<rect x="{at}" y="{_TOP - 6}" width="10" height="4" fill="{colour}"/>'
                         f'<text x="{at + 14}" y="{_TOP}" fill="{INK}">{html.escape(curve.name)}'
                         "</text>")  # fmt: skip
    return "".join(parts) + "</svg>"


def _finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


class _Scale:
    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self.low, self.begin = low, begin
        self.step = (end - begin) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return self.begin + (value - self.low) * self.step


def _ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers within a range."""
    if high <= low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    for factor in (1, 2, 5, 10):
        if (high - low) / (step * factor) <= 6:
            step *= factor
            break
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]
