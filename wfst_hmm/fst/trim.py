"""Removal of states that lie on no path from the start to an end.

In: `Fst`. Out: `Fst`. The same as `ops.connect` without leaving numpy: for machines of tens of
millions of arcs.

Public names: `predecessors`, `trim`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst

__all__ = ["predecessors", "trim"]


def trim(fst: Fst) -> Fst:
    """Return the machine without useless states; arcs of infinite cost go as well.

    States keep their order. A machine that is trim already is returned as it is; one that
    accepts nothing becomes the machine without states.
    """
    if not fst.n_states:
        return fst
    start, source = predecessors(fst.states, fst.arcs)
    useful = _useful(fst.states, fst.arcs, fst.start, start, source)
    if not useful[fst.start]:
        return Fst.from_arcs(-1, [], [], [], [], [], [], fst.isymbols, fst.osymbols)
    arcs, sources = fst.arcs, fst.sources()
    kept = useful[sources] & useful[arcs["nextstate"]] & ~np.isposinf(arcs["weight"])
    if useful.all() and kept.all():
        return fst
    number = np.cumsum(useful, dtype=np.int32) - 1
    counts = np.bincount(sources[kept], minlength=fst.n_states)[useful]
    arcs = arcs[kept]
    arcs["nextstate"] = number[arcs["nextstate"]]
    return Fst.from_runs(int(number[fst.start]), counts, arcs, fst.states["final"][useful],
                         fst.isymbols, fst.osymbols)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def predecessors(
    states: npt.NDArray[Any], arcs: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the sources of the arcs into each state: those of s are ``[start[s]:start[s+1]]``."""
    start = np.zeros(len(states) + 2, dtype=np.int64)
    for arc in range(len(arcs)):
        start[arcs[arc].nextstate + 2] += 1
    for state in range(len(states)):
        start[state + 2] += start[state + 1]
    source = np.empty(len(arcs), dtype=np.int32)
    for state in range(len(states)):
        for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
            following = arcs[arc].nextstate
            source[start[following + 1]] = state
            start[following + 1] += 1
    return start[:-1], source


@numba.njit(cache=True, nogil=True)
def _useful(  # type: ignore[no-untyped-def]
    states, arcs, first, start, source
):  # fmt: skip
    n_states = len(states)
    reached = np.zeros(n_states, dtype=np.bool_)
    stack = np.empty(n_states, dtype=np.int32)
    stack[0] = first
    reached[first] = True
    n = 1
    while n:
        n -= 1
        state = stack[n]
        for arc in range(states[state].pos, states[state].pos + states[state].n_arcs):
            following = arcs[arc].nextstate
            if not reached[following] and arcs[arc].weight < np.inf:
                reached[following] = True
                stack[n] = following
                n += 1
    useful = np.zeros(n_states, dtype=np.bool_)
    for state in range(n_states):
        if reached[state] and states[state].final < np.inf:
            useful[state] = True
            stack[n] = state
            n += 1
    while n:
        n -= 1
        state = stack[n]
        for at in range(start[state], start[state + 1]):
            before = source[at]
            if reached[before] and not useful[before]:
                # an arc of infinite cost may stand here; look at the real ones
                arc = states[before].pos
                last = arc + states[before].n_arcs
                while arc < last and not (
                    arcs[arc].nextstate == state and arcs[arc].weight < np.inf
                ):
                    arc += 1
                if arc < last:
                    useful[before] = True
                    stack[n] = before
                    n += 1
    return useful
