"""The API reference has a place for every room, and its sources are made from the modules."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from test_architecture import ORDER

import wfst_hmm

_BUILD = Path(__file__).resolve().parents[1] / ".docs" / "build.py"
_NOT_FOR_IMPORT = {"bench", "cli", "__main__"}  # programs; their functions are nobody's interface


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_build", _BUILD)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_room_has_a_page(build: ModuleType, tmp_path: Path) -> None:
    assert [room for room in ORDER if room not in _NOT_FOR_IMPORT] == [*build.ROOMS]
    build.write_sources(tmp_path)
    listed = re.findall(r"^   (room-\w+)$", (tmp_path / "index.rst").read_text(), re.MULTILINE)
    assert listed == [f"room-{room}" for room in build.ROOMS]
    page = (tmp_path / "room-draw.rst").read_text()
    assert ".. automodule:: wfst_hmm.draw.film\n" in page
    face = (tmp_path / "face.rst").read_text()
    for name in wfst_hmm.__all__:
        assert name == "__version__" or f":py:obj:`{name} <wfst_hmm." in face
    assert "conf.py" in {path.name for path in tmp_path.iterdir()}


def test_it_refuses_to_write_into_the_repository(
    build: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main([]) == 2
    assert build.main([str(_BUILD.parent / "out")]) == 2
    assert "outside the repository" in capsys.readouterr().err


def test_the_cheat_sheet_names_commands_and_things_that_exist() -> None:
    from wfst_hmm.cli.app import COMMANDS

    text = (_BUILD.parent / "cheat-sheet.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"``wfst-hmm (\w+)", text))
    assert named
    assert named <= set(COMMANDS)
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (_BUILD.parents[1] / "wfst_hmm").rglob("*.py")
    )
    for name in set(re.findall(r"(?<!`)`(\w+)(?:\.\w+)?`(?!`)", text)):
        assert re.search(rf"(class|def) {name}\b", source) or name == "wfst_hmm", name
