"""The package's face: every public name is there, and importing the package imports little."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import wfst_hmm


@pytest.mark.parametrize("name", wfst_hmm.__all__)
def test_public_name_comes_from_its_module(name: str):
    found = getattr(wfst_hmm, name)
    if name != "__version__":
        module = importlib.import_module(wfst_hmm._HOME[name])
        assert found is getattr(module, name)
        assert found.__doc__ is not None
        assert len(found.__doc__) > 40
        assert name in dir(wfst_hmm)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(wfst_hmm.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wfst_hmm")
        for alias in node.names
    }
    assert seen == wfst_hmm._HOME
    assert set(wfst_hmm.__all__) == {*wfst_hmm._HOME, "__version__"}


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        wfst_hmm.nonsense  # noqa: B018


@pytest.mark.parametrize("statement", ["import wfst_hmm", "import wfst_hmm.cli"])
def test_import_is_light(statement: str):
    heavy = ["numpy", "numba", "pywrapfst", "soundfile", "scipy", "sklearn", "matplotlib"]
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
