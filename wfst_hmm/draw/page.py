"""Whole web pages that need nothing else: our scripts, styles and the data in one file.

In: a view's name and its data. Out: HTML that opens from a disk, without a network. The page's
own policy forbids it to load or send anything; the data stand in it as JSON that no browser can
take for markup.

Public names: `VIEWS`, `html_page`, `module_text`, `save_page`, `style_text`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from wfst_hmm.draw.labels import shown, xml_text
from wfst_hmm.errors import UsageError
from wfst_hmm.files import atomic_file

__all__ = ["VIEWS", "html_page", "module_text", "save_page", "style_text"]

#: view -> the script that draws it, and the function that does
VIEWS = {
    "graph": ("graph.js", "renderGraph"),
    "film": ("film.js", "renderFilm"),
    "trellis": ("trellis.js", "renderTrellis"),
}
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; media-src data:"
)


def _read(name: str) -> str:
    return (resources.files("wfst_hmm.draw") / "web" / name).read_text(encoding="utf-8")


def style_text() -> str:
    """Return the style sheet of all views."""
    return _read("style.css")


def module_text(view: str) -> str:
    """Return the script of one view as an ES module for anywidget."""
    name, function = VIEWS[view]
    export = f"export default {{ render: ({{ model, el }}) => {function}(liveHost(model), el) }};"
    return "\n".join([_read("common.js"), _read(name), export, ""])


def html_page(view: str, data: Mapping[str, Any], *, title: str = "") -> str:
    """Return a page that shows one view.

    Parameters
    ----------
    view : {"graph", "film", "trellis"}
    data : mapping
        What the view draws, JSON-ready.
    title : str

    Raises
    ------
    UsageError
        There is no such view.
    """
    if view not in VIEWS:
        raise UsageError("no such view", got=view, expected=", ".join(VIEWS))
    name, function = VIEWS[view]
    heading = xml_text(shown(title or view, 200))
    # Between script tags only "<" could end or open anything; JSON may write it as an escape.
    inside = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    inside = (
        inside.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
    start = (f'const data = JSON.parse(document.getElementById("data").textContent);\n'
             f'{function}(stillHost(data), document.getElementById("root"));')  # fmt: skip
    return "\n".join([
        "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">', f"<title>{heading}</title>",
        "<style>", style_text(),
        "html { color-scheme: light dark; } body { margin: 0; padding: 12px; "
        "background: light-dark(#ffffff, #0d1116); } "
        # the whole window, less the bar above and the status below
        ".wfst .stage { height: max(420px, 100vh - 130px); } "
        ".wfst .details { max-height: max(420px, 100vh - 130px); }", "</style>",
        "</head>", "<body>", f'<main aria-label="{heading}" id="root"></main>',
        f'<script type="application/json" id="data">{inside}</script>',
        "<script type=\"module\">", _read("common.js"), _read(name), start, "</script>",
        "</body>", "</html>", "",
    ])  # fmt: skip


def save_page(text: str, path: str | Path) -> Path:
    """Write a page to `path`, whole or not at all."""
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError("a page must end in .html", where=str(path))
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"cannot write the page ({error.strerror})", where=str(path)) from None
    return path
