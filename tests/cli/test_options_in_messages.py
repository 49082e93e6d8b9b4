"""Every option that a message names is one: of that very command, where a command's module says it."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import wfst_hmm
from wfst_hmm.cli.app import COMMANDS, assemble

PACKAGE = Path(wfst_hmm.__file__).parent
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z0-9-]*[a-z0-9](?!\w)")
#: Options of Kaldi's programs, and what files of its hold.
FOREIGN = {"--norm-means", "--left-context", "--right-context"}


def options_of(command: object) -> Iterator[str]:
    """Yield all options of a command and of those below it."""
    for parameter in command.params:  # type: ignore[attr-defined]
        yield from parameter.opts
        yield from parameter.secondary_opts
    yield "--help"
    for other in getattr(command, "commands", {}).values():
        yield from options_of(other)


def commands() -> dict[str, object]:
    return typer.main.get_command(assemble()).commands  # type: ignore[attr-defined]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def wanting(path: Path, known: set[str]) -> list[str]:
    return [
        f"{path.relative_to(PACKAGE)}:{line}: {option} in {text[:80]!r}"
        for line, text in texts_of(path)
        for option in OPTION.findall(text)
        if option not in known | FOREIGN
    ]


def test_options_in_messages_exist_in_some_command() -> None:
    known = {*options_of(typer.main.get_command(assemble()))}
    missing = [
        line
        for path in sorted(PACKAGE.rglob("*.py"))
        if "bench" not in path.parts
        for line in wanting(path, known)
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("module", sorted({module for module, _ in COMMANDS.values()}))
def test_options_in_a_command_s_messages_are_its_own(module: str) -> None:
    """Where a message says "wfst-hmm other --option", that of the other command."""
    all_commands = commands()
    own = [name for name, (where, _) in COMMANDS.items() if where == module]
    known = {option for name in own for option in options_of(all_commands[name])}
    file = importlib.import_module(module).__file__
    assert file is not None
    missing = []
    for line, text in texts_of(Path(file)):
        named = {name for name in re.findall(r"wfst-hmm ([a-z]+)", text) if name in all_commands}
        others = {option for name in named for option in options_of(all_commands[name])}
        missing += [
            f"{module}:{line}: {option}"
            for option in OPTION.findall(text)
            if option not in known | others | FOREIGN
        ]
    assert not missing, "\n".join(missing)
