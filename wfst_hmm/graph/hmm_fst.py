"""H: the units' HMMs as a transducer.

In: `Units`. Out: H as an `Fst`; `graph.expansion` composes with it without making it.

Public names: `hmm_fst`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.units import Moves, Units

__all__ = ["hmm_fst"]


def hmm_fst(units: Units, states: Symbols, symbols: Symbols) -> Fst:
    """Return H, the transducer from HMM states to units.

    Parameters
    ----------
    units : Units
    states : Symbols
        Names of the state labels.
    symbols : Symbols
        Names of the units (label = unit number + 1), then the disambiguation symbols: these
        pass through H, as input labels after those of the states.

    Returns
    -------
    Fst
        State 0 is between units, start and final. A unit's label stands on the arc that enters
        it; transition probabilities are the costs, forbidden moves have no arc.
    """
    first = 1 + np.cumsum(units.n_states) - units.n_states  # H's number of a unit's state 0

    def columns(moves: Moves) -> tuple[npt.NDArray[Any], ...]:
        unit = np.repeat(np.arange(len(units)), moves.counts)
        inside = [
            np.where(column < 0, 0, first[unit] + column) for column in (moves.source, moves.target)
        ]
        output = np.where(moves.source < 0, unit + 1, 0)
        return inside[0], moves.label, output, moves.cost, inside[1]

    passing = list(symbols)[len(units) + 1 :]
    marks = np.arange(len(passing))
    nowhere = np.zeros(len(passing), dtype=np.int64)
    rows = [columns(moves) for moves in (units.enter, units.step, units.leave)]
    rows.append((nowhere, marks + len(states), marks + len(units) + 1, nowhere, nowhere))
    source, ilabel, olabel, weight, target = map(np.concatenate, zip(*rows, strict=True))
    final = np.full(1 + int(units.n_states.sum()), np.inf)
    final[0] = 0.0
    return Fst.from_arcs(0, source, ilabel, olabel, weight, target, final,
                         states.extended(passing), symbols)  # fmt: skip
