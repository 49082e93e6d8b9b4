"""The house rules that a machine can check: imports run one way, rooms stay small."""

import ast
import functools
import graphlib
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

import wfst_hmm

PACKAGE = Path(wfst_hmm.__file__).parent
#: audio -> features -> scores -> graphs -> search -> lattice -> answers -> pictures
ORDER = [
    "errors", "options", "orthography", "arrays", "remote", "claims", "files", "kinds", "signal", "fst", "models", "graph", "search", "lattice", "formats",
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


#: imports at run time that close a circle of files; there shall be no more of them
LATE = {
    ("fst.arrays", "fst.binary"), ("fst.arrays", "fst.tables"), ("fst.arrays", "fst.text"),
    ("signal.kaldi", "signal.warp"), ("cluster.engines", "cluster.dask"),
}  # fmt: skip


def imported_modules(path: Path) -> set[str]:
    """Return the package's files that a file imports, wherever in it, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wfst_hmm"):
            module = (node.module or "").partition(".")[2]
            found |= {module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)}
    return found


def test_no_circle_of_files() -> None:
    names = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in MODULES}
    graph = {
        name: {
            other for other in imported_modules(path)
            if other in names and other != name and (name, other) not in LATE
        }
        for name, path in names.items() if name != "__init__"
    }  # fmt: skip
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError shows the circle


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


def imported_packages(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the first parts of the names that `nodes` import."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_only_one_module_calls_openfst() -> None:
    callers = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if imported_packages(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        & {"pywrapfst", "pynini"}
    }
    assert callers == {"fst/ops.py"}


#: what a room may import when it is opened, beyond the packages that everybody has
EXTRAS = {"cluster": "cluster", "service": "serve"}


@functools.cache
def packages_of(extra: str | None) -> set[str]:
    """Return the import names that a bare installation, or one with `extra`, brings along."""
    modules = packages_distributions()
    found = {"llvmlite", "distributed"}  # numba's own; that of dask[distributed]
    for text in requires("wfst_hmm") or []:
        name, _, condition = text.partition(";")
        wanted = condition.partition("extra ==")[2].strip(" '\"") or None
        if wanted in (None, extra):
            distribution = re.split(r"[^A-Za-z0-9_.-]", name.strip())[0]
            found |= {m for m, owners in modules.items() if owned(distribution, owners)}
    return found


def owned(distribution: str, owners: Iterable[str]) -> bool:
    wanted = re.sub("[-_.]+", "-", distribution).lower()
    return wanted in {re.sub("[-_.]+", "-", owner).lower() for owner in owners}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_a_module_imports_when_it_is_opened_is_installed_with_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = imported_packages(tree.body) - set(sys.stdlib_module_names) - {"wfst_hmm"}
    assert foreign <= packages_of(EXTRAS.get(room_of(path)))
