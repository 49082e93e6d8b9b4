"""Every notebook runs from top to bottom, its own checks included, and is checked in clean."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
_NOTEBOOKS = sorted(_FOLDER.glob("*.ipynb"))
_SECONDS = 240  # of one cell, on a busy machine; a whole notebook takes less than 30 alone
_LONGEST = 100_000  # bytes of a notebook file
#: What a notebook cannot do without, beside the extra.
_NEEDS = {"08-models-from-elsewhere": "pocketsphinx"}

by_name = pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)


def _read(path: Path) -> Any:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat (notebooks extra)")
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks() -> None:
    assert len(_NOTEBOOKS) >= 3


@by_name
def test_form(path: Path) -> None:
    notebook = _read(path)
    importlib.import_module("nbformat").validate(notebook)
    identifiers = [cell.id for cell in notebook.cells]
    assert len(set(identifiers)) == len(identifiers)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert path.stat().st_size < _LONGEST, "clear the outputs before you commit"


@by_name
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("nbclient", "ipykernel", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module} (notebooks extra)")
    if path.stem in _NEEDS and importlib.util.find_spec(_NEEDS[path.stem]) is None:
        pytest.skip(f"needs {_NEEDS[path.stem]}")
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = _read(path)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    try:
        client = NotebookClient(
            notebook, timeout=_SECONDS, resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute()
    except CellExecutionError as error:
        pytest.fail(f"{path.name}: {error}", pytrace=False)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/svg+xml" in out.get("data", {}) for out in outputs), "no machine was drawn"
