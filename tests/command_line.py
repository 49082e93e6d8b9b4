"""Running ``wfst-hmm`` inside the test process, and what its complaints must look like."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wfst_hmm.cli import main


@dataclass(frozen=True)
class Finished:
    """Exit code and output of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class CommandLine:
    """Calls the entry point and catches what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Finished:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        caught = self._capsys.readouterr()
        return Finished(code, caught.out, caught.err)

    def fails(self, *arguments: object, code: int | tuple[int, ...] = (1, 2)) -> str:
        """Run a command that must fail with one line on stderr; return that line."""
        done = self(*arguments)
        assert done.code in (code if isinstance(code, tuple) else (code,)), done
        lines = done.err.splitlines()
        assert len(lines) == 1, done.err
        assert lines[0].startswith("wfst-hmm: ")
        assert "Traceback" not in done.err
        return lines[0]


def contents(path: Path) -> dict[str, bytes]:
    """Return every file below `path`, to see that nothing has changed."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {
        str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()
    }
