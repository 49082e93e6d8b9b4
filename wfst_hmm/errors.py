"""The errors that users see.

In: nothing. Out: one base class and a few children, each message one line:
*where: what; got …, expected …. What to do.*

Public names: `WfstHmmError`, `FormatError`, `DataError`, `ModelError`, `GraphError`, `UsageError`,
`ClusterError`; and `WfstHmmWarning`,
`warnings_told`.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "ClusterError",
    "DataError",
    "FormatError",
    "GraphError",
    "ModelError",
    "UsageError",
    "WfstHmmError",
    "WfstHmmWarning",
    "warnings_told",
]

_MAX_LENGTH = 4000  # characters; enough for a list of missing words with their neighbours


class WfstHmmError(Exception):
    """Base class of every error that this package raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, in one clause without a final full stop.
    where : str, optional
        The place: ``path:line``, an utterance id, an argument's name.
    got, expected : object, optional
        What was found and what was wanted; shown with `str`.
    fix : str, optional
        What the user can do about it, as a sentence.

    Examples
    --------
    >>> print(WfstHmmError("no pronunciation", where="lexicon.txt:3", got="'YES'",
    ...                    expected="a word and its phones", fix="Add the phones."))
    lexicon.txt:3: no pronunciation; got 'YES', expected a word and its phones. Add the phones.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = None,
        expected: object = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.fix = fix
        super().__init__(self._message())

    def _message(self) -> str:
        parts = []
        if self.got is not None:
            parts.append(f"got {self.got}")
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        text = f"{self.where}: {self.what}" if self.where else self.what
        if parts:
            text += "; " + ", ".join(parts)
        if self.fix:
            ended = text.endswith(("...", "…", "?", "!"))  # these stay, and need no full stop
            text = f"{text} {self.fix}" if ended else f"{text.rstrip('.')}. {self.fix}"
        text = " ".join(text.split())
        if len(text) > _MAX_LENGTH:  # a damaged file may quote a word of a megabyte
            text = f"{text[: _MAX_LENGTH - 500]} ... {text[-400:]}"
        return text


class FormatError(WfstHmmError):
    """A file is not what it claims to be: lexicon, grammar, model, graph, list."""


class DataError(WfstHmmError):
    """A corpus, a recording or an array of numbers cannot be used."""


class ModelError(WfstHmmError):
    """Model parameters contradict each other, or a model does not fit its use."""


class GraphError(WfstHmmError):
    """A transducer or decoding graph cannot be built or used."""


class UsageError(WfstHmmError):
    """An option or argument has a value that no run could accept."""

    exit_code = 2


class ClusterError(WfstHmmError):
    """Workers of a cluster cannot be used, or failed too often."""


class WfstHmmWarning(UserWarning):
    """Something was not as it should be, and was read all the same; one line says what."""


@contextlib.contextmanager
def warnings_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Have every `WfstHmmWarning` told once, as a line; other warnings go Python's way."""
    seen: set[str] = set()
    with warnings.catch_warnings():
        show = warnings.showwarning
        warnings.simplefilter("always", WfstHmmWarning)

        def shown(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if not issubclass(category, WfstHmmWarning):
                show(message, category, *rest, **more)
            elif str(message) not in seen:
                seen.add(str(message))
                tell(str(message))

        warnings.showwarning = shown
        yield
