"""How Sphinx builds the reference; `build.py` makes its sources."""

import re
from typing import Any

from wfst_hmm import __version__

project = "wfst_hmm"
author = "The wfst_hmm developers"
copyright = "the wfst_hmm developers"  # noqa: A001 - Sphinx wants this name
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Speech decoding with weighted finite-state transducers",
    "page_width": "1060px",
}
html_show_sourcelink = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_type_aliases = {"Drawable": "Drawable", "AnyGraph": "AnyGraph", "AnyModel": "AnyModel"}
napoleon_google_docstring = False
napoleon_use_ivar = True  # attributes of dataclasses are described once
napoleon_use_rtype = False
default_role = "code"  # `name` in a docstring is a name, not a link that must resolve
nitpicky = False
suppress_warnings = ["ref.python"]  # annotations name classes briefly; several rooms have a `Job`


def setup(app: Any) -> None:
    """Let docstrings write `Take`s where reStructuredText wants a separator before the s."""

    def plurals(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
        lines[:] = [re.sub(r"(?<!`)`([\w.]+)`(?=s\b)", r"`\1`\\ ", line) for line in lines]

    app.connect("autodoc-process-docstring", plurals)
