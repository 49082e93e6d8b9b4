"""Threads that share a list of tasks, with results in the order of the tasks.

In: a function and its arguments. Out: results, one by one, in order, so that sums over them do
not depend on the number of threads.

Matrix products are kept to one thread each meanwhile: their last bits depend on how many they
use, and many small products run faster without.

Public names: `Workers`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["Workers"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class Summable(Protocol):
    """What can be added up."""

    def add(self, other: Any, /) -> None:
        """Add another one to this."""


_Sum = TypeVar("_Sum", bound=Summable)


class Workers:
    """A pool of threads, as a context.

    Parameters
    ----------
    n : int
        Number of threads; with 1, tasks run in the caller's own.

    Examples
    --------
    >>> with Workers(2) as workers:
    ...     list(workers.map(abs, [-3, 1, -2]))
    [3, 1, 2]
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._stack = contextlib.ExitStack()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        self._stack.enter_context(threadpool_limits(1, user_api="blas"))
        if self.n > 1:
            self._pool = ThreadPoolExecutor(self.n)
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def map(
        self, function: Callable[[_Task], _Result], tasks: Sequence[_Task]
    ) -> Iterator[_Result]:
        """Yield ``function(task)`` in the order of `tasks`; few results wait at any time."""
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[Any]] = deque()
        for task in tasks:
            waiting.append(self._pool.submit(function, task))
            if len(waiting) > 2 * self.n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def summed(
        self,
        function: Callable[[_Task], _Sum],
        groups: Sequence[Sequence[_Task]],
        done: Callable[[_Task], None] = lambda task: None,
    ) -> Iterator[_Sum]:
        """Yield for each group, in order, the sum of its tasks' results, added up in order.

        Parameters
        ----------
        function : callable
            Its results have a method ``add``.
        groups : sequence of sequences of tasks
        done : callable
            Hears of every task that is done.
        """
        results = self.map(function, [task for group in groups for task in group])
        for group in groups:
            total: _Sum | None = None
            for task in group:
                found = next(results)
                if total is None:
                    total = found
                else:
                    total.add(found)
                done(task)
            if total is not None:
                yield total
