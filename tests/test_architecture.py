"""The house rules that a machine can check: imports run one way, rooms stay small."""

import ast
from pathlib import Path

import pytest

import wfst_hmm

PACKAGE = Path(wfst_hmm.__file__).parent
#: audio -> features -> scores -> graphs -> search -> lattice -> answers -> pictures
ORDER = [
    "errors", "remote", "claims", "files", "signal", "fst", "models", "graph", "search", "lattice", "formats",
    "training", "draw", "apps", "cluster", "service", "bench", "cli", "__main__",
]  # fmt: skip
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append((node.lineno, "(relative import)"))
                continue
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "wfst_hmm" and len(parts) > 1:
                found.append((node.lineno, parts[1]))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_flow_one_way(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return  # the package's face may name any room
    assert room in ORDER, f"{path}: give the room {room!r} a place in the order"
    backwards = [
        f"{path.name}:{line} imports {other}"
        for line, other in imported_rooms(path)
        if other != "__version__" and (other not in ORDER or ORDER.index(other) > ORDER.index(room))
    ]
    assert not backwards


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_opens_with_its_purpose_and_public_names(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module opens with what comes in and what goes out"
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if path.name not in ("__init__.py", "__main__.py"):
        assert "__all__" in names


def test_only_one_module_calls_openfst() -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if name.split(".")[0] in ("pywrapfst", "pynini")
    }
    assert callers <= {"fst/ops.py"}
