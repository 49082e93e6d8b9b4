"""Small steps that compiled loops over machines share.

In and out: numpy arrays; for use inside functions compiled by numba.

Public names: `grown`, `put_arc`, `scramble`, `sort_arcs`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["grown", "put_arc", "scramble", "sort_arcs"]


@numba.njit(cache=True, nogil=True)
def grown(array: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Return a copy with room for at least `n` items, half as much again as before."""
    more = np.empty(max(n, len(array) + len(array) // 2), dtype=array.dtype)
    more[: len(array)] = array
    return more


@numba.njit(cache=True, nogil=True)
def scramble(x):  # type: ignore[no-untyped-def]
    """Mix 64 bits so that each bit of the answer depends on all (SplitMix64's finalizer)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def put_arc(arcs, at, ilabel, olabel, weight, nextstate):  # type: ignore[no-untyped-def]
    """Write one arc; a function so that it is compiled once."""
    arcs[at].ilabel = ilabel
    arcs[at].olabel = olabel
    arcs[at].weight = weight
    arcs[at].nextstate = nextstate


@numba.njit(cache=True, nogil=True)
def sort_arcs(arcs, begin, end):  # type: ignore[no-untyped-def]
    """Sort ``arcs[begin:end]`` by input label in place (Shell, 1959; gaps of Knuth)."""
    gap = 1
    while gap < (end - begin) // 3:
        gap = 3 * gap + 1
    while gap:
        for i in range(begin + gap, end):
            ilabel, olabel = arcs[i].ilabel, arcs[i].olabel
            weight, nextstate = arcs[i].weight, arcs[i].nextstate
            j = i
            while j >= begin + gap and arcs[j - gap].ilabel > ilabel:
                arcs[j] = arcs[j - gap]
                j -= gap
            if j < i:
                put_arc(arcs, j, ilabel, olabel, weight, nextstate)
        gap //= 3
