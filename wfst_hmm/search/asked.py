"""Which score columns a frame may ask for: those of the states that active ones lead to.

In: the tokens of a search. Out: the columns, marked.

Public names: `mark_of_arcs`, `mark_of_units`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.hmm_table import HmmTable

__all__ = ["mark_of_arcs", "mark_of_units"]

Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def mark_of_arcs(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    columns: Ints,
    state: Ints,
    n: int,
    asked: npt.NDArray[np.bool_],
) -> None:
    """Mark the columns of the arcs that leave the first `n` of the states in `state`."""
    for token in range(n):
        row = states[state[token]]
        for arc in range(row.pos + row.n_input_eps, row.pos + row.n_arcs):
            asked[columns[arcs[arc].ilabel - 1]] = True


@numba.njit(cache=True, nogil=True)
def mark_of_units(
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    unit: npt.NDArray[np.uint32],
    n_items: int,
    state: Ints,
    n: int,
    asked: npt.NDArray[np.bool_],
) -> None:
    """Mark the columns of all states of active units, and of the ways into those that follow.

    All states: what looks for the states within a unit afterwards (`unit_states`) may look at
    those that are too far off for the search.
    """
    for number in range(n_items):
        for column in hmms.column[unit[number]]:
            asked[column] = True
    for token in range(n):
        row = states[state[token]]
        for arc in range(row.pos + row.n_input_eps, row.pos + row.n_arcs):
            follower = arcs[arc].ilabel - 1
            for way in range(hmms.enter_start[follower], hmms.enter_start[follower + 1]):
                asked[hmms.enter_column[way]] = True
