"""Plots with numbers on their axes: what all of them share.

In: a matplotlib figure. Out: `Plot`, which notebooks show and `save` writes. matplotlib is needed
(``pip install wfst_hmm[plots]``); no global state of it is touched.

Public names: `COLOURS`, `PLAIN`, `Plot`, `finished`, `new_figure`.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import warnings
from pathlib import Path
from typing import Any

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import BLUE, GREEN, INK, ORANGE, PALE_GREY
from wfst_hmm.errors import UsageError
from wfst_hmm.files import atomic_file

__all__ = ["COLOURS", "PLAIN", "Plot", "finished", "new_figure"]

#: Of curves, in turn.
COLOURS = (BLUE, ORANGE, GREEN, INK, "#7b4fa3", "#9a6b00", "#a3325c")
#: Options of every text from outside: a dollar sign in a label is a dollar sign, not mathematics.
PLAIN = {"parse_math": False}


@dataclasses.dataclass(frozen=True, eq=False)
class Plot:
    """A finished matplotlib figure.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        To be changed at will.
    """

    figure: Any

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"Plot({width:g} x {height:g} inches, {len(self.figure.axes)} axes)"

    def _repr_png_(self) -> bytes:
        return self._rendered("png")

    def _rendered(self, form: str) -> bytes:
        stream = io.BytesIO()
        with warnings.catch_warnings():  # a script that no font has is shown as boxes
            warnings.simplefilter("ignore")
            self.figure.savefig(stream, format=form, dpi=110)
        return stream.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write ``.png``, ``.svg`` or ``.pdf``; a `UsageError` for anything else."""
        path = Path(path)
        form = path.suffix.lower().lstrip(".")
        if form not in ("png", "svg", "pdf"):
            raise UsageError("no such format of a plot", where=str(path), got=form or "no ending",
                             expected=".png, .svg or .pdf")  # fmt: skip
        data = self._rendered(form)
        with atomic_file(path) as temporary:
            temporary.write_bytes(data)
        return path


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of so many inches; a `UsageError` when matplotlib is missing."""
    try:
        module = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise UsageError("plots need matplotlib", where="plot",
                         fix="Run pip install 'wfst_hmm[plots]'.") from None  # fmt: skip
    return module.Figure(figsize=(width, height), layout="constrained")


def finished(axis: Any, xlabel: str, ylabel: str, title: str, *, legend: bool) -> None:
    """Give an axis its names, a title, a grid and, if wanted, a legend."""
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_title(shown(title, 100), **PLAIN)
    axis.grid(color=PALE_GREY)
    if legend:
        for text in axis.legend(fontsize=9).get_texts():
            text.set_parse_math(False)
