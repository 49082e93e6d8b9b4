"""Epsilon arcs that cost states and buy nothing.

In: a machine from which disambiguation symbols were removed. Out: the same relation with fewer
states and arcs, never more.

Public names: `join_epsilons`.
"""

from __future__ import annotations

import numpy as np

from wfst_hmm.fst.arrays import Fst

__all__ = ["join_epsilons"]


def join_epsilons(fst: Fst) -> Fst:
    """Return the machine without the states that only pass on to another one.

    Such a state is neither start nor final, and its one arc is epsilon on both sides: what led
    to it leads to the next state instead, at the sum of the costs.

    Notes
    -----
    Removing *all* epsilons would copy the arcs behind every backoff arc; this never adds any.
    """
    n_states = fst.n_states
    passes = (fst.states["n_arcs"] == 1) & np.isinf(fst.states["final"])
    if n_states:
        passes[fst.start] = False
    only = np.flatnonzero(passes)
    arc = fst.arcs[fst.states["pos"][only]]
    silent = (arc["ilabel"] == 0) & (arc["olabel"] == 0) & (arc["nextstate"] != only)
    only, arc = only[silent], arc[silent]
    if not len(only):
        return fst
    target = np.arange(n_states)
    cost = np.zeros(n_states)
    target[only], cost[only] = arc["nextstate"], arc["weight"]
    for _ in range(n_states.bit_length()):  # follow chains, doubling the step
        cost += cost[target]
        target = target[target]
    passing = np.zeros(n_states, dtype=bool)
    passing[only] = True
    if passing[target].any():
        return fst  # a ring of such states; it leads nowhere and is not worth a rule
    kept = ~passing
    number = np.cumsum(kept) - 1
    source = fst.sources()
    stays = kept[source]
    arcs = fst.arcs[stays]
    following = arcs["nextstate"]
    return Fst.from_arcs(
        int(number[fst.start]), number[source[stays]], arcs["ilabel"], arcs["olabel"],
        arcs["weight"] + cost[following], number[target[following]], fst.states["final"][kept],
        fst.isymbols, fst.osymbols,
    )  # fmt: skip
