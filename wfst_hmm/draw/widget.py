"""Views in notebooks: an anywidget around each, so that Python answers what is clicked.

In: a machine, a film or a trellis. Out: an ``anywidget.AnyWidget`` for JupyterLab, Notebook and
VS Code; its script comes with this package, nothing is loaded from elsewhere.

Public names: `explore`, `widget_of`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.machines import Drawable
from wfst_hmm.draw.page import module_text, style_text
from wfst_hmm.draw.picture import DrawOptions
from wfst_hmm.errors import UsageError

__all__ = ["explore", "widget_of"]


@functools.cache
def _widget_class(view: str, trait: str) -> Any:
    """Return the widget class of a view; `trait` is the name under which it gets its data."""
    try:
        anywidget = importlib.import_module("anywidget")
        traitlets = importlib.import_module("traitlets")
    except ImportError:
        raise UsageError("interactive views need anywidget", where="notebook",
                         fix="Run pip install 'wfst_hmm[notebooks]', or save a page: "
                         ".save('x.html').") from None  # fmt: skip
    body = {
        "_esm": module_text(view),
        "_css": style_text(),
        trait: traitlets.Dict().tag(sync=True),
    }
    return type(f"{view.capitalize()}Widget", (anywidget.AnyWidget,), body)


def widget_of(view: str, trait: str, data: dict[str, Any]) -> Any:
    """Return a widget that shows `data`.

    Raises
    ------
    UsageError
        anywidget is not installed.
    """
    return _widget_class(view, trait)(**{trait: data})


def explore(
    value: Drawable,
    *,
    options: DrawOptions | None = None,
    states: Sequence[int] | None = None,
    path: Sequence[int] = (),
    first: int = 24,
) -> Any:
    """Return a widget to walk about in a machine.

    Click a state to bring its neighbours into view; hover for symbols and weights; search for a
    symbol or a state; follow arcs one by one, or the cheapest path of given words. The keyboard
    does the same: arrow keys, Enter, Delete, ``+``, ``-``, ``0``, ``/``.

    Parameters
    ----------
    value : Fst, Graph, CompactGraph, Lattice, Chain, DiscreteHmm or GmmHmm
    options : DrawOptions, optional
    states, path, first
        What is in view at first, as for `Explorer`.

    Returns
    -------
    anywidget.AnyWidget
        With the `Explorer` behind it as ``explorer``.

    Raises
    ------
    UsageError
        anywidget is not installed, or `value` is no machine.
    """
    explorer = Explorer(value, options, states=states, path=path, first=first)
    widget = widget_of("graph", "scene", explorer.scene())
    widget.explorer = explorer

    def react(sender: Any, message: Any, buffers: Any) -> None:
        answer = explorer.answer(message)
        if "scene" in answer:
            widget.scene = answer["scene"]  # what a second view of this widget starts with
        widget.send(answer)

    widget.on_msg(react)
    return widget
