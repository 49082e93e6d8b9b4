"""Writing SVG: the few shapes that our pictures need, every text escaped.

In: shapes and texts. Out: one SVG document as text, without scripts, links or outside fonts.
Specification: W3C SVG 1.1 (second edition).

Public names: `Svg`, `text_width`.
"""

from __future__ import annotations

import contextlib
import math
import unicodedata
from collections.abc import Iterator, Sequence

from wfst_hmm.draw.labels import xml_text
from wfst_hmm.draw.palette import INK
from wfst_hmm.draw.png import data_url

__all__ = ["Svg", "text_width"]

_FONT = "Verdana, 'DejaVu Sans', sans-serif"  # of one width on all systems


def text_width(text: str, size: float) -> float:
    """Return about how wide `text` is at `size`, in the same unit."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return size * (0.62 * (len(text) - wide) + 1.1 * wide)


class Svg:
    """A drawing under construction; `done` returns it as text.

    Parameters
    ----------
    width, height : float
        Size in pixels.
    left, top : float
        Coordinates of the upper left corner.
    """

    def __init__(self, width: float, height: float, *, left: float = 0.0, top: float = 0.0) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" '
            f'font-family="{xml_text(_FONT)}" role="img">'
        ]

    def done(self) -> str:
        """Return the whole document."""
        return "\n".join([*self._parts, "</svg>", ""])

    @contextlib.contextmanager
    def group(self, hint: str = "") -> Iterator[None]:
        """Group shapes under a text that appears when the pointer rests on them."""
        self._parts.append("<g>" + (f"<title>{xml_text(hint)}</title>" if hint else ""))
        yield
        self._parts.append("</g>")

    def title(self, text: str) -> None:
        """Name the whole drawing, for screen readers."""
        self._parts.append(f"<title>{xml_text(text)}</title>")

    def rectangle(
        self, x: float, y: float, width: float, height: float, *, fill: str,
        stroke: str = "none", radius: float = 0.0,
    ) -> None:  # fmt: skip
        """Add a rectangle with its upper left corner at (x, y)."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius:.1f}" fill="{fill}" stroke="{stroke}"/>'
        )

    def circle(
        self, x: float, y: float, radius: float, *, fill: str, stroke: str, width: float = 1.0
    ) -> None:
        """Add a circle."""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{width:.1f}"/>'
        )

    def line(
        self, x0: float, y0: float, x1: float, y1: float, *, stroke: str, width: float = 1.0,
        dash: str = "",
    ) -> None:  # fmt: skip
        """Add a straight line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{stroke}" '
            f'stroke-width="{width:.1f}"{dashes}/>'
        )

    def path(
        self, data: str, *, stroke: str, width: float = 1.0, dash: str = "", fill: str = "none"
    ) -> None:
        """Add a path; `data` is in SVG's path language."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<path d="{data}" fill="{fill}" stroke="{stroke}" stroke-width="{width:.1f}"{dashes}/>'
        )

    def polyline(self, points: Sequence[tuple[float, float]], *, stroke: str, width: float) -> None:
        """Add straight lines from point to point."""
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{where}" fill="none" stroke="{stroke}" stroke-width="{width:.1f}"/>'
        )

    def arrowhead(
        self, tip: tuple[float, float], direction: tuple[float, float], *, fill: str
    ) -> None:
        """Add the head of an arrow that ends at `tip`, flying in `direction`."""
        length = math.hypot(*direction) or 1.0
        dx, dy = 7.0 * direction[0] / length, 7.0 * direction[1] / length
        corners = (tip, (tip[0] - dx - dy / 2, tip[1] - dy + dx / 2),
                   (tip[0] - dx + dy / 2, tip[1] - dy - dx / 2))  # fmt: skip
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self._parts.append(f'<polygon points="{where}" fill="{fill}"/>')

    def text(
        self, x: float, y: float, text: str, *, size: float = 11.0, fill: str = INK,
        anchor: str = "middle", bold: bool = False, halo: str = "",
    ) -> None:  # fmt: skip
        """Add one line of text whose baseline is at (x, y); `halo` keeps it clear of lines."""
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight}'
        if halo:  # written twice: not every viewer knows paint-order
            self._parts.append(
                f'<text {place} fill="{halo}" stroke="{halo}" stroke-width="3" '
                f'aria-hidden="true">{xml_text(text)}</text>'
            )
        self._parts.append(f'<text {place} fill="{fill}">{xml_text(text)}</text>')

    def image(self, x: float, y: float, width: float, height: float, png: bytes) -> None:
        """Add a PNG, stretched to the given size, carried inside the document."""
        self._parts.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'preserveAspectRatio="none" href="{data_url(png)}"/>'
        )
