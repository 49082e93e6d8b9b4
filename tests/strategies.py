"""Random small machines for property tests, and the obvious way to say what one does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.fst.arrays import Fst


@st.composite
def machines(
    draw: st.DrawFn,
    *,
    max_states: int = 5,
    n_labels: int = 3,
    acyclic: bool = False,
    acceptor: bool = False,
    epsilons: bool = True,
) -> Fst:
    """Draw a small machine with costs in quarters of a nat (sums are exact), maybe empty."""
    n_states = draw(st.integers(1, max_states))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_arcs = int(rng.integers(0, 3 * n_states + 1))
    source, target = rng.integers(0, n_states, (2, n_arcs))
    if acyclic:
        source, target = np.minimum(source, target), np.maximum(source, target)
        source, target = source[source != target], target[source != target]
    low = 0 if epsilons else 1
    ilabel, olabel = rng.integers(low, n_labels + 1, (2, len(source)))
    final = np.where(rng.random(n_states) < 0.5, rng.integers(0, 8, n_states) / 4, np.inf)
    weight = rng.integers(0, 12, len(source)) / 4
    return Fst.from_arcs(0, source, ilabel, ilabel if acceptor else olabel, weight, target, final)


def relation(fst: Fst, max_length: int = 6) -> dict[tuple[tuple[int, ...], tuple[int, ...]], float]:
    """Return the cheapest cost of every (inputs, outputs) with at most `max_length` of each.

    The obvious way: walk all paths, going on only where something became cheaper.
    """
    if fst.start < 0:
        return {}
    best = {(fst.start, (), ()): 0.0}
    agenda = list(best)
    while agenda:
        key = agenda.pop()
        state, inputs, outputs = key
        for arc in fst.arcs_of(state):
            ins = (*inputs, int(arc["ilabel"])) if arc["ilabel"] else inputs
            outs = (*outputs, int(arc["olabel"])) if arc["olabel"] else outputs
            cost = best[key] + float(arc["weight"])
            following = (int(arc["nextstate"]), ins, outs)
            fits = len(ins) <= max_length and len(outs) <= max_length
            if fits and cost < best.get(following, np.inf) - 1e-9:
                best[following] = cost
                agenda.append(following)
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for (state, ins, outs), cost in best.items():
        total = cost + float(fst.states["final"][state])
        if total < found.get((ins, outs), np.inf):
            found[ins, outs] = total
    return found


def same_relation(first: dict[Any, float], second: dict[Any, float]) -> bool:
    """Tell whether two relations hold the same pairs at the same costs (to 1e-4)."""
    return first.keys() == second.keys() and all(
        abs(first[pair] - second[pair]) < 1e-4 for pair in first
    )
