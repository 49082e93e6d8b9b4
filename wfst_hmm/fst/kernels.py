"""Small steps that compiled loops over machines share.

In and out: numpy arrays; for use inside functions compiled by numba.

Public names: `grown`, `sort_arcs`, `scramble`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["grown", "scramble", "sort_arcs"]

_FEW = 48


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
def sort_arcs(arcs: npt.NDArray[Any], begin: int, end: int) -> None:
    """Sort ``arcs[begin:end]`` by input label in place; equal ones keep their order."""
    if end - begin > _FEW:
        labels = np.empty(end - begin, dtype=np.int64)
        for i in range(end - begin):
            labels[i] = arcs[begin + i].ilabel
        order = np.argsort(labels, kind="mergesort")
        old = arcs[begin:end].copy()
        for i in range(end - begin):
            arcs[begin + i] = old[order[i]]
        return
    for i in range(begin + 1, end):
        ilabel, olabel = arcs[i].ilabel, arcs[i].olabel
        weight, nextstate = arcs[i].weight, arcs[i].nextstate
        j = i
        while j > begin and arcs[j - 1].ilabel > ilabel:
            arcs[j] = arcs[j - 1]
            j -= 1
        arcs[j].ilabel, arcs[j].olabel = ilabel, olabel
        arcs[j].weight, arcs[j].nextstate = weight, nextstate
