"""Confusion matrices: which class was taken for which.

In: counts. Out: an SVG, rows what was said, columns what was understood.

Public names: `confusion_svg`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import GREY, INK, PAPER
from wfst_hmm.draw.svg import Svg, text_width

__all__ = ["confusion_svg"]

_CELL, _SIZE = 34.0, 12.0
_RIGHT, _WRONG = (31, 111, 159), (194, 65, 12)  # the palette's blue and orange


def confusion_svg(counts: npt.NDArray[np.integer], names: Sequence[str], *, title: str = "") -> str:
    """Return a confusion matrix as a picture.

    Parameters
    ----------
    counts : ndarray of int, shape (W, W)
        ``counts[i, j]``: how often i was said and j understood.
    names : sequence of str, length W
    title : str

    Returns
    -------
    str
        SVG. Cells are shaded by their share of the row: blue on the diagonal, orange off it.
    """
    n = len(names)
    labels = [shown(name, 16) for name in names]
    margin = max([text_width(label, _SIZE) for label in labels] + [60.0]) + 30.0
    side = n * _CELL
    width, height = margin + side + 24.0, 40.0 + margin + side + 24.0
    top = 40.0 + margin
    svg = Svg(width, height)
    svg.title(shown(title or "confusion matrix", 200))
    svg.rectangle(0, 0, width, height, fill=PAPER)
    svg.text(16, 24, shown(title, 90), size=13, anchor="start", bold=True)
    svg.text(16, top + side + 18, "rows: said, columns: understood", size=10, fill=GREY,
             anchor="start")  # fmt: skip
    totals = np.maximum(counts.sum(axis=1), 1)
    for i, label in enumerate(labels):
        svg.text(margin - 8, top + (i + 0.5) * _CELL + 4, label, size=_SIZE, anchor="end")
        _upright(svg, margin + (i + 0.5) * _CELL, top - 8, label)
        for j in range(n):
            count = int(counts[i, j])
            x, y = margin + j * _CELL, top + i * _CELL
            share = count / totals[i]
            with svg.group(f"{names[i]} understood as {names[j]}: {count} of {totals[i]}"):
                fill = _shade(_RIGHT if i == j else _WRONG, share, always=count > 0)
                svg.rectangle(x + 1, y + 1, _CELL - 2, _CELL - 2, fill=fill, radius=3)
                if count:
                    ink = PAPER if share > 0.55 else INK
                    svg.text(x + _CELL / 2, y + _CELL / 2 + 4, str(count), size=11, fill=ink)
    return svg.done()


def _shade(colour: tuple[int, int, int], share: float, *, always: bool) -> str:
    strength = (0.15 + 0.85 * share) if always else 0.0
    base = 244.0  # an empty cell is nearly white
    mixed = [round(base + (c - base) * strength) for c in colour]
    return f"#{mixed[0]:02x}{mixed[1]:02x}{mixed[2]:02x}"


def _upright(svg: Svg, x: float, y: float, label: str) -> None:
    """Write a column's name letter under letter, ending at (x, y): our SVG knows no rotation."""
    for index, letter in enumerate(reversed(label)):
        svg.text(x, y - index * 11.0, letter, size=10)
