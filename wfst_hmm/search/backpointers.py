"""How the searches remember their paths: a pool of backpointers, cleared as the search goes on.

In: for each entry of the pool, the entry before it, the arc between, and, where arcs are units
whose length is open, the frames emitted when that has ended; the entries that active tokens and
instances name. Out: paths, and a pool with room again.

What all active tokens have in common is decided: `settle` hands it out and forgets it, so that
memory does not grow with the length of the input.

Public names: `GraphPath`, `collect`, `cut`, `settle`, `trace`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.instances import MaybeInstances

__all__ = ["GraphPath", "collect", "cut", "settle", "trace"]

Ints = npt.NDArray[np.int32]


class GraphPath(NamedTuple):
    """A path through a graph, as a search has found it.

    Attributes
    ----------
    cost : float
        Nats; +inf with no arcs when there is no such path.
    arcs : ndarray of int32, shape (n,)
        From the start state on, epsilons included, less those that were settled.
    ends : ndarray of int32, shape (n,)
        Frames emitted when each arc has ended, counted from the first frame searched.
    complete : bool
        Whether the last unit has been left; always so where HMMs are written out.
    """

    cost: float
    arcs: Ints
    ends: Ints
    complete: bool


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
def _live_entries(prev: Ints, n_pool: int, roots: Ints) -> tuple[Ints, int]:
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
def _squeeze(values: Ints, number: Ints, references: bool) -> None:
    """Move the entries that stay to the front, in place; renumber them if they are `references`."""
    for at in range(len(number)):
        if number[at] >= 0:
            value = values[at]
            # an entry moves to the front only: nothing unread is overwritten
            values[number[at]] = number[value] if references and value >= 0 else value


@numba.njit(cache=True, nogil=True)
def _roots(items: MaybeInstances, n_items: int, names: Ints, n: int) -> Ints:
    """Return what instances and the first `n` tokens name; a token may name none (below 0)."""
    n_held = 0 if items is None else n_items * items.cost.shape[1]
    roots = np.full(n_held + n, -1, dtype=np.int32)
    if items is not None:
        cost, back = items.cost[:n_items].ravel(), items.back[:n_items].ravel()
        for number in range(n_held):
            if cost[number] < np.inf:
                roots[number] = back[number] >> 32
    for token in range(n):
        roots[n_held + token] = max(names[token], -1)
    return roots


@numba.njit(cache=True, nogil=True)
def collect(
    prev: Ints,
    arc: Ints,
    frame: Ints | None,
    n_pool: int,
    items: MaybeInstances,
    n_items: int,
    names: Ints,
    n: int,
) -> int:
    """Drop the entries that neither instances nor tokens lead to; return how many stay.

    What instances and tokens name is renumbered in place.
    """
    number_of, kept = _live_entries(prev, n_pool, _roots(items, n_items, names, n))
    _squeeze(prev, number_of, True)
    _squeeze(arc, number_of, False)
    if frame is not None:
        _squeeze(frame, number_of, False)
    if items is not None:
        for number in range(n_items):
            for slot in range(items.cost.shape[1]):
                if items.cost[number, slot] < np.inf:
                    back = items.back[number, slot]
                    moved = np.int64(number_of[back >> 32])
                    items.back[number, slot] = (moved << 32) | (back & 0x7FFFFFFF)
    for token in range(n):
        if names[token] >= 0:
            names[token] = number_of[names[token]]
    return int(kept)


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
def settle(
    prev: Ints,
    arc: Ints,
    frame: Ints | None,
    n_pool: int,
    items: MaybeInstances,
    n_items: int,
    names: Ints,
    n: int,
) -> tuple[Ints, Ints, int]:
    """Cut off what all paths have in common; return its arcs, their ends, the size of the pool.

    The last common entry becomes the first of every path. The entries before it are dropped,
    with everything else that nothing active leads to. Without frames there are no ends.
    """
    common = cut(prev, n_pool, _roots(items, n_items, names, n))
    arcs = trace(prev, arc, common)
    ends = arcs[:0] if frame is None else trace(prev, frame, common)
    if common >= 0:
        prev[common] = -1
        arc[common] = -1
        if frame is not None:
            frame[common] = -1
        n_pool = collect(prev, arc, frame, n_pool, items, n_items, names, n)
    return arcs, ends, n_pool
