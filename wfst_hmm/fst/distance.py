"""Sums over all paths of a machine, however many cycles it has.

In: an `Fst`. Out: for every state, minus the logarithm of the summed probabilities of all ways to
it, or from it to the end.

Public names: `log_distance`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.cycles import components

__all__ = ["log_distance"]

Array = npt.NDArray[np.float64]

#: Costs are float32: probabilities around a cycle that sum to one but for this sum to one.
_ROUNDING = 1e-7
_SUSPICIOUS = 1e5  # sums so many times their largest path are looked at twice


def log_distance(fst: Fst, best: Array, *, reverse: bool) -> Array:
    """Return the cost of all ways together, from the start to each state or from it to the end.

    Parameters
    ----------
    fst : Fst
    best : ndarray, shape (n_states,)
        Cost of the cheapest way alone (+inf: none): it keeps all numbers near one.
    reverse : bool
        From each state to the end, final costs included.

    Returns
    -------
    ndarray of float64, shape (n_states,)
        +inf where there is no way.

    Raises
    ------
    GraphError
        A cycle makes the sum diverge; a state of it is named.

    Notes
    -----
    States are taken by strongly connected components, in an order in which everything that a
    component's sums rest on is known (Mohri 2002, "Semiring frameworks and algorithms for
    shortest-distance problems", section 4). One state is a sum, times 1/(1 - p) where it has a
    loop of probability p. Within any other component the sums x solve ``x = A' x + b``, a sparse system, exactly; ``A`` has the
    probabilities of its arcs, ``b`` what comes from elsewhere. Costs are first measured from
    `best`, so that the likeliest way has probability one everywhere.
    """
    component, order = components(fst.states, fst.arcs)
    bounds = np.flatnonzero(np.diff(component[order], prepend=-1, append=-2))
    if not reverse:  # components are numbered against the arcs
        order, bounds = order[::-1].copy(), len(order) - bounds[::-1]
    if reverse:
        total = fst.states["final"].astype(np.float64)
    else:
        total = np.full(fst.n_states, np.inf)
        total[fst.start] = 0.0
    number = np.full(fst.n_states, -1)  # of the states of one component, within it
    at, n = 0, len(bounds) - 1
    while at < n:
        at, diverges = _sum_up(fst.states, fst.arcs, order, bounds, at, total, reverse)
        if diverges:
            raise _diverges(int(order[bounds[at]]))
        if at < n:
            members = order[bounds[at] : bounds[at + 1]]
            if reverse:
                _take_over(fst.states, fst.arcs, component, members, total)
            _solve(fst, members[np.isfinite(best[members])], number, best, total, reverse)
            if not reverse:
                _hand_on(fst.states, fst.arcs, component, members, total)
            at += 1
    return total


def _diverges(state: int) -> GraphError:
    return GraphError(
        "the probabilities around a cycle do not die out: their sum diverges",
        got=f"a cycle through state {state}",
        fix="Costs around every cycle must be positive and sum over all cycles to less than one.",
    )


@numba.njit(cache=True, nogil=True)
def _plus(a, b):  # type: ignore[no-untyped-def]
    """Return the cost of two ways together."""
    low, high = min(a, b), max(a, b)
    return low if high == np.inf else low - np.log1p(np.exp(low - high))


@numba.njit(cache=True, nogil=True)
def _sum_up(states, arcs, order, bounds, at, total, reverse):  # type: ignore[no-untyped-def]
    """Go through components of one state; return the first that is more, and whether a sum
    diverges there.
    """
    while at < len(bounds) - 1 and bounds[at + 1] - bounds[at] == 1:
        state = order[bounds[at]]
        row = states[state]
        again = 0.0  # the probability of a loop
        for a in range(row.pos, row.pos + row.n_arcs):
            following, weight = arcs[a].nextstate, arcs[a].weight
            if following == state:
                again += np.exp(-np.float64(weight))
            elif reverse:
                total[state] = _plus(total[state], weight + total[following])
        if total[state] < np.inf and again > 0:
            if not again < 1.0 - _ROUNDING:
                return at, True
            total[state] += np.log1p(-again)  # 1 + p + p^2 + ...
        if not reverse:
            for a in range(row.pos, row.pos + row.n_arcs):
                following = arcs[a].nextstate
                if following != state:
                    total[following] = _plus(total[following], total[state] + arcs[a].weight)
        at += 1
    return at, False


@numba.njit(cache=True, nogil=True)
def _take_over(states, arcs, component, members, total):  # type: ignore[no-untyped-def]
    """Add to a component's states what stands behind their arcs out of it."""
    for state in members:
        row = states[state]
        for a in range(row.pos, row.pos + row.n_arcs):
            following = arcs[a].nextstate
            if component[following] != component[state]:
                total[state] = _plus(total[state], arcs[a].weight + total[following])


@numba.njit(cache=True, nogil=True)
def _hand_on(states, arcs, component, members, total):  # type: ignore[no-untyped-def]
    """Add a solved component's sums to the states behind it."""
    for state in members:
        row = states[state]
        for a in range(row.pos, row.pos + row.n_arcs):
            following = arcs[a].nextstate
            if component[following] != component[state]:
                total[following] = _plus(total[following], total[state] + arcs[a].weight)


def _solve(
    fst: Fst,
    members: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    best: Array,
    total: Array,
    reverse: bool,
) -> None:
    """Turn what enters the states of one component into the sums of these states."""
    import scipy.sparse

    if not len(members):
        return
    number[members] = np.arange(len(members))
    rows = fst.states[members]
    counts = rows["n_arcs"].astype(np.int64)
    source = np.repeat(members, counts)
    first = np.repeat(rows["pos"].astype(np.int64) - np.cumsum(counts) + counts, counts)
    arcs = fst.arcs[first + np.arange(len(source))]
    inside = (number[arcs["nextstate"]] >= 0) & np.isfinite(arcs["weight"])
    source, target = source[inside], arcs["nextstate"][inside]
    if reverse:
        source, target = target, source
    probability = np.exp(best[target] - best[source] - arcs["weight"][inside].astype(np.float64))
    n = len(members)
    moves = scipy.sparse.csc_matrix((probability, (number[target], number[source])), shape=(n, n))
    share = best[members] - total[members]  # logarithms; -inf where nothing enters
    scale = float(share.max())
    given = np.exp(share - scale)
    found = _solution(moves, given)
    # Where it would diverge if costs were a rounding smaller, nothing is known of the sum.
    suspicious = found is not None and found.max() > _SUSPICIOUS
    if found is None or (suspicious and _solution(moves * (1.0 + _ROUNDING), given) is None):
        raise _diverges(int(members.min()))
    with np.errstate(divide="ignore"):
        total[members] = best[members] - scale - np.log(found)
    number[members] = -1


def _solution(moves: Any, given: Array) -> Array | None:
    """Return x >= 0 with ``x = moves x + given``, None where the sum over all paths diverges.

    Notes
    -----
    With A >= 0 irreducible and b >= 0, not 0, ``(1 - rho(A)) y'x = y'b > 0`` for the positive
    left eigenvector y: a solution without negative entries exists only if rho(A) < 1, that is
    where the sum converges (Perron-Frobenius).
    """
    import scipy.sparse.linalg

    system = scipy.sparse.identity(len(given), format="csc") - moves
    try:
        found = np.asarray(scipy.sparse.linalg.splu(system).solve(given))
    except RuntimeError:  # singular: rho(A) is one
        return None
    if not np.isfinite(found).all() or found.min() < -_ROUNDING * max(1.0, found.max()):
        return None
    return np.asarray(np.maximum(found, 0.0))
