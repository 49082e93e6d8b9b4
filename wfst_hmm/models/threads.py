"""A share of the work for each thread, results in order.

In: a function and its items. Out: the results. The kernels and matrix products under the models
let go of the interpreter's lock, so threads run at the same time.

Public names: `map_threads`, `single_blas`.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from wfst_hmm.errors import UsageError

__all__ = ["map_threads", "single_blas"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_threads(
    function: Callable[[Item], Result], items: Sequence[Item], n_threads: int
) -> list[Result]:
    """Return ``[function(item) for item in items]``, computed by `n_threads` threads."""
    if n_threads < 1:
        raise UsageError("n_threads must be positive", got=n_threads)
    if n_threads == 1 or len(items) < 2:
        return [function(item) for item in items]
    # Each thread's matrix products stay in that thread: BLAS threads on top would only queue up.
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class _Nested:
    """How many are inside, and what puts the old limits back when the last one leaves."""

    lock = threading.Lock()
    depth = 0
    restore: Callable[[], None] | None = None


@contextlib.contextmanager
def single_blas() -> Iterator[None]:
    """Keep matrix products in their thread while inside: for many small ones, on busy machines.

    Threads may be inside at the same time; the process's limits come back behind the last one.
    """
    with _Nested.lock:
        if not _Nested.depth:
            _Nested.restore = _blas().limit(limits=1, user_api="blas").restore_original_limits
        _Nested.depth += 1
    try:
        yield
    finally:
        with _Nested.lock:
            _Nested.depth -= 1
            if not _Nested.depth and _Nested.restore is not None:
                _Nested.restore()
