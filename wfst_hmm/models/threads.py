"""A share of the work for each thread, results in order.

In: a function and its items. Out: the results. The kernels and matrix products under the models
let go of the interpreter's lock, so threads run at the same time.

Public names: `map_threads`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from wfst_hmm.errors import UsageError

__all__ = ["map_threads"]

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
