"""Tokens of a search over a compact graph, and where they came from.

In: tokens. Out: tokens without the backpointers that nothing needs; the best one.

Public names: `Tokens`, `best_token`, `collect_units`, `settle_units`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.backpointers import cut, live_entries, squeeze, trace
from wfst_hmm.search.instances import Instances

__all__ = ["Tokens", "best_token", "collect_units", "settle_units"]


class Tokens(NamedTuple):
    """All that a search carries from frame to frame."""

    items: Instances
    n_items: int
    lowest: float  # cost of the best HMM state
    n_active: int  # HMM states within the beam
    state: npt.NDArray[np.int32]  # tokens in states of the graph
    cost: npt.NDArray[np.float32]
    history: npt.NDArray[np.int32]
    n: int
    prev: npt.NDArray[np.int32]  # backpointers
    pool_arc: npt.NDArray[np.int32]
    pool_frame: npt.NDArray[np.int32]
    n_pool: int
    collect_at: int
    numbers: npt.NDArray[np.int32]  # with links: numbers of the HMM states


@numba.njit(cache=True, nogil=True)
def _roots(items: Instances, n_items: int, names: npt.NDArray[np.int32], n: int) -> Any:
    """Return what instances and the first `n` tokens name; a token may name none (below 0)."""
    cost, back = items.cost[:n_items].ravel(), items.back[:n_items].ravel()
    roots = np.full(len(cost) + n, -1, dtype=np.int32)
    for number in range(len(cost)):
        if cost[number] < np.inf:
            roots[number] = back[number] >> 32
    for token in range(n):
        roots[len(cost) + token] = max(names[token], -1)
    return roots


@numba.njit(cache=True, nogil=True)
def collect_units(
    prev: npt.NDArray[np.int32],
    pool_arc: npt.NDArray[np.int32],
    pool_frame: npt.NDArray[np.int32],
    n_pool: int,
    items: Instances,
    n_items: int,
    names: npt.NDArray[np.int32],
    n: int,
) -> int:
    """Drop the backpointers that neither instances nor tokens lead to; return how many stay.

    What instances and tokens name is renumbered.
    """
    number_of, kept = live_entries(prev, n_pool, _roots(items, n_items, names, n))
    squeeze(prev, number_of, True)
    squeeze(pool_arc, number_of, False)
    squeeze(pool_frame, number_of, False)
    slots = items.cost.shape[1]
    for number in range(n_items):
        for slot in range(slots):
            if items.cost[number, slot] < np.inf:
                back = items.back[number, slot]
                moved = np.int64(number_of[back >> 32])
                items.back[number, slot] = (moved << 32) | (back & 0x7FFFFFFF)
    for token in range(n):
        if names[token] >= 0:
            names[token] = number_of[names[token]]
    return int(kept)


@numba.njit(cache=True, nogil=True)
def settle_units(tokens: Tokens) -> Any:
    """Cut off what all paths have in common; return its arcs, their ends, and the tokens."""
    prev, pool_arc, pool_frame = tokens.prev, tokens.pool_arc, tokens.pool_frame
    common = cut(
        prev, tokens.n_pool, _roots(tokens.items, tokens.n_items, tokens.history, tokens.n)
    )
    arcs = trace(prev, pool_arc, common)
    ends = trace(prev, pool_frame, common)
    n_pool = tokens.n_pool
    if common >= 0:
        prev[common] = -1
        pool_arc[common] = -1
        pool_frame[common] = -1
        n_pool = collect_units(
            prev, pool_arc, pool_frame, n_pool, tokens.items, tokens.n_items, tokens.history,
            tokens.n,
        )  # fmt: skip
    return arcs, ends, Tokens(
        tokens.items, tokens.n_items, tokens.lowest, tokens.n_active, tokens.state, tokens.cost,
        tokens.history, tokens.n, prev, pool_arc, pool_frame, n_pool, tokens.collect_at,
        tokens.numbers,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def best_token(states: npt.NDArray[Any], tokens: Tokens, final: bool) -> tuple[float, int, int]:
    """Return the cost of the best token, and either its number or, with -1, its `back`."""
    best = np.inf
    found = -1
    back = np.int64(-1)
    for token in range(tokens.n):
        total = float(tokens.cost[token])
        if final:
            total += states[tokens.state[token]].final
        if total < best:
            best = total
            found = token
    if not final:
        slots = tokens.items.cost.shape[1]
        cost = tokens.items.cost[: tokens.n_items].ravel()
        for number in range(len(cost)):
            if cost[number] < best:
                best = float(cost[number])
                found = -1
                back = tokens.items.back[number // slots, number % slots]
    return best, found, back
