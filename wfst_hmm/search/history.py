"""Backpointers: where every token came from, without those that nothing needs any more.

In: a pool of entries, each naming the one before it, and the entries that tokens name. Out: the
pool without what no token leads to; the arcs on the way to an entry.

Public names: `live_entries`, `squeeze`, `trace`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["live_entries", "squeeze", "trace"]

Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def live_entries(prev: Ints, n_pool: int, roots: Ints) -> tuple[Ints, int]:
    """Return the new number of each entry that some root leads to (-1: of no use), and how many.

    Roots are numbers of entries, -1 for none.
    """
    number = np.zeros(n_pool, dtype=np.int32)
    for root in roots:
        at = root
        while at >= 0 and number[at] == 0:
            number[at] = 1
            at = prev[at]
    kept = 0
    for at in range(n_pool):
        if number[at]:
            number[at] = kept
            kept += 1
        else:
            number[at] = -1
    return number, kept


@numba.njit(cache=True, nogil=True)
def squeeze(values: Ints, number: Ints, references: bool) -> None:
    """Move the entries that stay to the front, in place; renumber them if they are `references`."""
    for at in range(len(number)):
        if number[at] >= 0:
            value = values[at]
            # an entry moves to the front only: nothing unread is overwritten
            values[number[at]] = number[value] if references and value >= 0 else value


@numba.njit(cache=True, nogil=True)
def trace(prev: Ints, arc: Ints, last: int) -> Ints:
    """Return the entries with an arc on the way to entry `last`, in their order."""
    n = 0
    at = last
    while at >= 0:
        n += arc[at] >= 0
        at = prev[at]
    path = np.empty(n, dtype=np.int32)
    at = last
    while at >= 0:
        if arc[at] >= 0:
            n -= 1
            path[n] = at
        at = prev[at]
    return path
