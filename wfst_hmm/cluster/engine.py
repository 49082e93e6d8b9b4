"""What a kind of worker has to be able to do.

In: functions of this package and plain values. Out: futures. `wfst_hmm.cluster.engines` and
`wfst_hmm.cluster.dask` hold the kinds.

Public names: `Engine`, `Future`, `Tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Engine", "Future", "Tell"]

#: Hears one line about what is going on.
Tell = Callable[[str], None]


class Future(Protocol):
    """What both `concurrent.futures` and Dask return."""

    def result(self, timeout: float | None = None) -> Any:
        """Return the result, or raise what went wrong."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> Any:
        """Call `fn` when the work ends in whatever way."""

    def cancel(self) -> Any:
        """Give up, where that is still possible."""


class Engine(Protocol):
    """Workers of one kind."""

    def slots(self) -> int:
        """Return how many tasks are worked on at a time, now."""

    def submit(
        self, function: Callable[..., bytes], *arguments: Any, again: bool = False
    ) -> Future:
        """Have a function of a module called elsewhere.

        Parameters
        ----------
        function : callable
            Found on the other side by its name.
        arguments : plain values
        again : bool
            The same call is under way already, too slowly: take another worker for this one.
        """

    def recover(self, error: BaseException) -> bool:
        """Repair what can be repaired after a failure; False: to try again is of no use."""

    def bring(self, files: Sequence[Path]) -> None:
        """Make sure that all workers find files and directories of this machine."""
