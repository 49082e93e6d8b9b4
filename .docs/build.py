"""Build the API reference: ``python .docs/build.py OUT``; any warning is an error.

The sources of the pages are made in a temporary folder from the package's modules, so that a new
module is documented as soon as it exists.
"""

from __future__ import annotations

import ast
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "wfst_hmm"
#: Rooms in the order of the data, with what they are about.
ROOMS = {
    "errors": "Errors",
    "options": "Options",
    "orthography": "Fields and words",
    "arrays": "Arrays from callers",
    "remote": "Files on other machines",
    "claims": "Temporary names",
    "files": "Files",
    "kinds": "Kinds of files",
    "signal": "Audio and features",
    "fst": "Transducers",
    "models": "Acoustic models",
    "graph": "Lexicons, grammars, decoding graphs",
    "search": "Search",
    "lattice": "Lattices and answers",
    "formats": "Other people's files",
    "training": "Training",
    "draw": "Pictures",
    "apps": "Applications",
    "cluster": "Clusters",
    "service": "Service",
}


def modules_of(room: str) -> list[str]:
    """Return the dotted names of a room's modules that have public names."""
    base = PACKAGE / room
    paths = [base.with_suffix(".py")] if base.with_suffix(".py").is_file() else []
    paths += sorted(base.rglob("*.py")) if base.is_dir() else []
    names = []
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.name != "__init__.py" and "__all__" in ast.dump(tree):
            names.append(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    return names


def face_names() -> dict[str, str]:
    """Return the public names of the package and the modules that they live in."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise LookupError("the package says not where its names live")


def summary_of(module: str, name: str) -> str:
    """Return the first line of the docstring of a class or function."""
    path = PACKAGE.parent / (module.replace(".", "/") + ".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    raise LookupError(f"{module} has no {name}")


def title(text: str, line: str = "=") -> list[str]:
    """Return a heading as lines of reStructuredText."""
    return [text, line * len(text), ""]


def write_sources(folder: Path) -> None:
    """Write a page for each room, one for the package's face, and the index."""
    pages = []
    for room, heading in ROOMS.items():
        modules = modules_of(room)
        if not modules:
            continue
        lines = title(heading)
        for module in modules:
            lines += [
                *title(module.removeprefix("wfst_hmm."), "-"),
                f".. automodule:: {module}",
                "",
            ]
        # "search" alone would be the name of Sphinx's own page
        (folder / f"room-{room}.rst").write_text("\n".join(lines), encoding="utf-8")
        pages.append(f"   room-{room}")
    face = [*title("The package's face"), ".. automodule:: wfst_hmm", "   :no-members:", ""]
    for name, home in sorted(face_names().items()):
        face += [f":py:obj:`{name} <{home}.{name}>`", f"   {summary_of(home, name)}", ""]
    (folder / "face.rst").write_text("\n".join(face), encoding="utf-8")
    index = (HERE / "index.rst").read_text(encoding="utf-8").replace("ROOMS", "\n".join(pages))
    (folder / "index.rst").write_text(index, encoding="utf-8")
    for name in ("conf.py", "cheat-sheet.rst"):
        shutil.copy(HERE / name, folder / name)


def main(arguments: list[str]) -> int:
    """Build into the folder that is named, which must lie outside the repository."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(arguments[0]).resolve()
    if out == HERE.parent or HERE.parent in out.parents:
        print(f"{out}: choose a folder outside the repository", file=sys.stderr)
        return 2
    from sphinx.cmd.build import main as sphinx

    with tempfile.TemporaryDirectory() as name:
        write_sources(Path(name))
        return sphinx(
            ["-W", "--keep-going", "-q", "-b", "html", "-d", f"{name}/.trees", name, str(out)]
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
