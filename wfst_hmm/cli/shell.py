"""What all commands share: one line for an error, the exit code, JSON, tables, progress.

In: what assembles a Typer application, and its arguments. Out: an exit code: 0 fine, 1 failed, 2 bad usage,
130 interrupted.

Public names: `counted`, `Advance`, `console`, `fail`, `print_json`, `progress`, `run`, `say`, `warn`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import typer

from wfst_hmm.errors import WfstHmmError, warnings_told

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Advance", "console", "counted", "fail", "print_json", "progress", "run", "say", "warn"]

PROGRAM = "wfst-hmm"
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
# Typer carries click inside or imports it, by version: its public class leads to the bases.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
_CLICK_ERROR: type[Exception] = _USAGE_ERROR.__bases__[0]


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        """Say what has been done so far and, when known, how much there is."""


class _Terminated(BaseException):
    """SIGTERM: unwinds like Ctrl-C, so that unfinished files are removed."""


def run(assemble: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Run an application; return the exit code. Errors of users take one line on stderr.

    Parameters
    ----------
    assemble : callable
        Makes the application; interrupting its imports is no drama either.
    arguments : sequence of str
    """
    with _termination_unwinds(), warnings_told(warn):
        try:
            command = typer.main.get_command(assemble())
            given = list(arguments) or ["--help"]
            code = command.main(args=given, prog_name=PROGRAM, standalone_mode=False)
            sys.stdout.flush()
            return _finished(int(code) if isinstance(code, int) else 0)
        except WfstHmmError as error:
            return _say(str(error), error.exit_code)
        except _CLICK_ERROR as error:
            return _say(_usage(error), int(getattr(error, "exit_code", 2)))
        except typer.Exit as done:
            return _finished(int(done.exit_code))
        except (KeyboardInterrupt, typer.Abort):
            return _finished(INTERRUPTED)
        except _Terminated:
            return _say("terminated; unfinished output was removed", 128 + signal.SIGTERM)
        except BrokenPipeError:  # the reader of our output has left: nothing to complain about
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except MemoryError:
            return _say("out of memory; try a smaller beam, grammar or batch", 1)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            return _say(f"{where}{error.strerror or error}", 1)


def _finished(code: int) -> int:
    if code == INTERRUPTED:  # some versions of Typer turn Ctrl-C into this code, silently
        _say("interrupted; unfinished output was removed", code)
    return code


@contextlib.contextmanager
def _termination_unwinds() -> Iterator[None]:
    def unwind(number: int, frame: object) -> None:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, unwind)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _usage(error: Exception) -> str:
    message = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{' '.join(str(message).split())} See {path} --help."


def _say(message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"{PROGRAM}: {_harmless(' '.join(message.split()))}", file=sys.stderr)
    return code


def _harmless(text: str) -> str:
    """Write control characters and direction marks out: a file must not steer a terminal."""
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in text
    )


def counted(n: int, noun: str) -> str:
    """Return "1 speaker", "2 speakers"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def say(text: str) -> None:
    """Print a line of results; as it is into a pipe or file, harmless on a terminal."""
    shown = text
    if sys.stdout.isatty():
        shown = "\n".join(_harmless(line) for line in text.split("\n"))
    print(shown)


def warn(message: str) -> None:
    """Write one line to stderr: something was skipped or looks wrong, work goes on."""
    _say(message, 0)


def fail(message: str) -> typer.Exit:
    """Say why and return what to raise, when results came out but the answer is *failed*."""
    return typer.Exit(_say(message, 1))


def print_json(value: Any) -> None:
    """Print `value` as JSON; infinite and undefined numbers become null."""
    json.dump(_finite(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def console() -> Console:
    """Return the console for tables; as wide as they need when stdout is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=False)


@contextlib.contextmanager
def progress(text: str) -> Iterator[Advance]:
    """Show a progress bar on stderr when it is a terminal, nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda done, total=None, text="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)

        def advance(done: int, total: int | None = None, text: str = "") -> None:
            bar.update(task, completed=done, total=total, description=text or None)

        yield advance
