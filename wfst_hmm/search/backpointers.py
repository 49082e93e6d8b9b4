"""How the searches remember their paths: a pool of backpointers, cleared as the search goes on.

In: for each entry of the pool, the entry before it and the arc between; the entries of the
active tokens. Out: paths, and a pool with room again.

What all active tokens have in common is decided: `settle` hands it out and forgets it, so that
memory does not grow with the length of the input.

Public names: `collect`, `cut`, `live_entries`, `settle`, `squeeze`, `trace`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["collect", "cut", "live_entries", "settle", "squeeze", "trace"]

Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def trace(prev: Ints, arc: Ints, last: int) -> Ints:
    """Return the arcs that lead to an entry, in order; entries without an arc (-1) are skipped."""
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
            path[n] = arc[at]
        at = prev[at]
    return path


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
def collect(prev: Ints, arc: Ints, n_pool: int, history: Ints, n: int) -> tuple[int, Ints, Ints]:
    """Drop the backpointers that no active token leads to; renumber the rest, in place."""
    number, kept = live_entries(prev, n_pool, history[:n])
    squeeze(prev, number, True)
    squeeze(arc, number, False)
    for token in range(n):
        history[token] = number[history[token]]
    return kept, prev, arc


@numba.njit(cache=True, nogil=True)
def cut(prev: Ints, n_pool: int, roots: Ints) -> int:
    """Return the last entry that the paths of all roots share, -1 for none.

    Roots are numbers of entries, -1 for none.
    """
    first = -1
    for root in roots:
        first = max(first, root)
    if first < 0:
        return -1
    place = np.full(n_pool, -1, dtype=np.int32)  # on the first root's path: from its start
    length = 0
    at = first
    while at >= 0:
        length += 1
        at = prev[at]
    chain = np.empty(length, dtype=np.int32)
    at = first
    for position in range(length - 1, -1, -1):
        chain[position] = at
        place[at] = position
        at = prev[at]
    common = length - 1
    for root in roots:
        if root < 0:
            continue
        at = root
        while place[at] < 0:
            at = prev[at]
        meets = place[at]
        common = min(common, meets)
        at = root
        while place[at] < 0:  # whoever comes this way later is spared the rest
            place[at] = meets
            at = prev[at]
    return int(chain[common])


@numba.njit(cache=True, nogil=True)
def settle(prev: Ints, arc: Ints, n_pool: int, history: Ints, n: int) -> tuple[Ints, int]:
    """Cut off what the paths of all `n` active tokens have in common; return its arcs.

    The last common entry becomes the first of every path. The entries before it are dropped,
    with everything else that no token leads to. Returns the arcs and the size of the pool.
    """
    common = cut(prev, n_pool, history[:n])
    path = trace(prev, arc, common)
    prev[common] = -1
    arc[common] = -1
    n_pool, _, _ = collect(prev, arc, n_pool, history, n)
    return path, n_pool
