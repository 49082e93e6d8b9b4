"""The HMMs of a compact graph as the search reads them: dense, small, shared by all who can.

In: `Units`, their state labels. Out: `HmmTable`, arrays for compiled loops.

Public names: `HmmTable`, `UnitFacts`, `facts_of`.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.units import Units

__all__ = ["HmmTable", "UnitFacts", "facts_of"]

_FEWEST_SLOTS = 3  # so that HMMs of up to three states share one unrolled loop


class HmmTable(NamedTuple):
    """HMMs of U units with room for S states each; K of them differ in their transitions.

    Attributes
    ----------
    simple : bool
        S is 3 and no state leads back to an earlier one.
    most_ways : int
        Ways into a unit, at most.
    dearest_leave : float
        Highest finite cost in `leave`.
    topology : ndarray of uint32, shape (U,)
        Row of `step` and `leave`.
    step : ndarray of float32, shape (K, S, S)
        ``step[k, i, j]``: cost of state j in the frame after state i, +inf where there is none.
    leave : ndarray of float32, shape (K, S)
        Cost of leaving the unit after each state.
    column : ndarray of uint32, shape (U, S)
        Score column of each state in a later frame than the unit's first.
    enter_start : ndarray of uint32, shape (U + 1,)
        The ways into unit u are rows ``enter_start[u]`` to ``enter_start[u + 1]`` of:
    enter_state, enter_column : ndarray of uint32
    enter_cost : ndarray of float32
    """

    simple: bool
    most_ways: int
    dearest_leave: float
    topology: npt.NDArray[np.uint32]
    step: npt.NDArray[np.float32]
    leave: npt.NDArray[np.float32]
    column: npt.NDArray[np.uint32]
    enter_start: npt.NDArray[np.uint32]
    enter_state: npt.NDArray[np.uint32]
    enter_column: npt.NDArray[np.uint32]
    enter_cost: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class UnitFacts:
    """What searches must know of the units of a graph.

    Attributes
    ----------
    table : HmmTable
    label, enter_label : ndarray of int32, shapes (U, S) and (n_ways,)
        State labels, where `table` has columns.
    fewest : ndarray of int32, shape (U + 1,)
        Frames that a unit takes at least, by input label; 0 for epsilon.
    n_columns : int
        Score columns that the units refer to, at least.
    """

    table: HmmTable
    label: npt.NDArray[np.int32]
    enter_label: npt.NDArray[np.int32]
    fewest: npt.NDArray[np.int32]
    n_columns: int

    def check_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Raise a `DataError` when the scores lack a column that some unit needs."""
        if scores.ndim != 2 or scores.shape[1] < self.n_columns:
            raise DataError(
                "scores with too few columns for the graph's labels", got=scores.shape[-1],
                expected=self.n_columns,
                fix="Graph and scores do not belong together: use the graph's own model.",
            )  # fmt: skip


_FACTS: weakref.WeakKeyDictionary[CompactGraph, UnitFacts] = weakref.WeakKeyDictionary()


def facts_of(graph: CompactGraph) -> UnitFacts:
    """Return the facts of a graph's units, worked out on the first call."""
    facts = _FACTS.get(graph)
    if facts is None:
        facts = _FACTS[graph] = _make(graph.units, graph.labels.column)
    return facts


def _make(units: Units, columns: npt.NDArray[np.int32]) -> UnitFacts:
    n = len(units)
    slots = max(_FEWEST_SLOTS, int(units.n_states.max(initial=1)))
    of_step, of_leave = (np.repeat(np.arange(n), moves.counts) for moves in (units.step,
                                                                           units.leave))  # fmt: skip
    step = np.full((n, slots, slots), np.inf, dtype=np.float32)
    step[of_step, units.step.source, units.step.target] = units.step.cost
    leave = np.full((n, slots), np.inf, dtype=np.float32)
    leave[of_leave, units.leave.source] = units.leave.cost
    label = np.zeros((n, slots), dtype=np.int32)
    label[of_step, units.step.target] = units.step.label
    if (label[of_step, units.step.target] != units.step.label).any():
        raise GraphError(
            "a state of a unit has several state labels after the unit's first frame",
            fix="Expand the graph (CompactGraph.expanded) and search that.",
        )
    rows = np.concatenate([step.reshape(n, -1), leave], axis=1)
    kinds, topology = np.unique(rows, axis=0, return_inverse=True)
    step = np.ascontiguousarray(kinds[:, : slots * slots]).reshape(-1, slots, slots)
    back = np.tril_indices(slots, -1)
    column = np.where(label > 0, columns[np.maximum(label - 1, 0)], 0).astype(np.uint32)
    enter_column = columns[units.enter.label - 1].astype(np.uint32)
    table = HmmTable(
        bool(slots == _FEWEST_SLOTS and np.isinf(step[:, back[0], back[1]]).all()),
        int(units.enter.counts.max(initial=0)), float(units.leave.cost.max(initial=0.0)),
        topology.reshape(-1).astype(np.uint32), step,
        np.ascontiguousarray(kinds[:, slots * slots :]), column,
        units.enter.start.astype(np.uint32), units.enter.target.astype(np.uint32), enter_column,
        units.enter.cost.astype(np.float32),
    )  # fmt: skip
    used = np.concatenate([columns[units.step.label - 1], enter_column])
    return UnitFacts(table, label, units.enter.label, _fewest_frames(units, slots),
                     int(used.max(initial=-1)) + 1)  # fmt: skip


def _fewest_frames(units: Units, slots: int) -> npt.NDArray[np.int32]:
    """Return the frames of each unit's shortest path by input label; a large number for none."""
    n = len(units)
    far = np.int32(1 << 20)
    frames = np.full((n, slots), far, dtype=np.int32)
    of_enter, of_step, of_leave = (
        np.repeat(np.arange(n), moves.counts) for moves in (units.enter, units.step, units.leave)
    )
    frames[of_enter, units.enter.target] = 1
    for _ in range(slots):
        np.minimum.at(frames, (of_step, units.step.target),
                      frames[of_step, units.step.source] + 1)  # fmt: skip
    fewest = np.full(n + 1, far, dtype=np.int32)
    fewest[0] = 0
    np.minimum.at(fewest, of_leave + 1, frames[of_leave, units.leave.source])
    return fewest
