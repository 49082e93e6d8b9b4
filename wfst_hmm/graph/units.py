"""The HMMs behind the phones of a graph, as flat arrays that whole graphs are expanded from.

In: topologies and state labels. Out: `Units`, one table of moves (enter, step, leave) for all
phones, or for all context-dependent units once there are some.

Public names: `AnyModel`, `PhoneModel`, `PhonesInContext`, `Moves`, `Units`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = ["AnyModel", "Moves", "PhoneModel", "PhonesInContext", "Units"]


class AnyModel(Protocol):
    """What graphs need to know of any acoustic model."""

    @property
    def phones(self) -> tuple[str, ...]:
        """Names of the phones."""

    @property
    def silence_phones(self) -> tuple[str, ...]:
        """Those that stand for silence; the first is the optional silence between words."""

    @property
    def hash(self) -> str:
        """Identifies the parameters."""

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""

    @property
    def frame_offset(self) -> float:
        """Seconds that the boundary before frame t lies behind ``t * frame_shift``."""

    def state_labels(self) -> StateLabels:
        """Number the HMM states."""


class PhoneModel(AnyModel, Protocol):
    """A model of phones without context, such as `models.acoustic.AcousticModel`."""

    @property
    def topologies(self) -> Sequence[Topology]:
        """One HMM for each phone."""


class PhonesInContext(AnyModel, Protocol):
    """A model of phones in context, such as `models.context_model.ContextModel`."""

    @property
    def context(self) -> ContextMap:
        """From phones and their neighbours to HMMs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Moves:
    """Moves of one kind of all units; those of unit u are rows ``start[u]`` to ``start[u+1]``.

    Attributes
    ----------
    start : int64, shape (U + 1,)
    source, target : int32, shape (M,)
        HMM states within the unit; -1 for the outside of it.
    label : int32, shape (M,)
        State label that the move consumes a frame with, 0 for leaving.
    cost : float64, shape (M,)
        Minus the logarithm of the transition probability; forbidden moves are absent.
    """

    start: npt.NDArray[np.int64]
    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    label: npt.NDArray[np.int32]
    cost: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of moves of each unit, shape (U,)."""
        return np.diff(self.start)


@dataclasses.dataclass(frozen=True, eq=False)
class Units:
    """All units' HMMs.

    Attributes
    ----------
    n_states : int64, shape (U,)
        Emitting states of each unit.
    enter, step, leave : Moves
        From outside into a state, from state to state, and from a state to the outside.
    """

    n_states: npt.NDArray[np.int64]
    enter: Moves
    step: Moves
    leave: Moves

    def __len__(self) -> int:
        return len(self.n_states)

    @property
    def n_moves(self) -> int:
        """Number of moves of the three kinds together."""
        return len(self.enter) + len(self.step) + len(self.leave)

    @property
    def move_costs(self) -> npt.NDArray[np.float64]:
        """Cost of every move, numbered from 1: all that enter, then step, then leave.

        Shape (n_moves + 1,); number 0 is "no move" and costs nothing.
        """
        return np.concatenate([[0.0], self.enter.cost, self.step.cost, self.leave.cost])

    def scaled(self, factor: float) -> Units:
        """Return the units with all costs of moves times `factor`."""
        if factor == 1.0:
            return self
        moves = (dataclasses.replace(m, cost=m.cost * factor + 0.0)
                 for m in (self.enter, self.step, self.leave))  # fmt: skip
        return Units(self.n_states, *moves)

    @classmethod
    def of_phones(cls, topologies: Sequence[Topology], labels: StateLabels) -> Units:
        """Return one unit for each phone, in order."""
        plain = [np.zeros(topology.n_states, np.int32) for topology in topologies]
        entry = [np.zeros(topology.n_states, np.int32) for topology in topologies]
        for row, (phone, state) in enumerate(zip(labels.phone, labels.state, strict=True)):
            (entry if labels.is_entry[row] else plain)[phone][state] = row + 1
        return cls.build(topologies, plain, entry)

    @classmethod
    def of_map(cls, context: ContextMap, labels: StateLabels) -> Units:
        """Return one unit for each physical HMM of a map, in order."""
        entry, plain = context.hmm_labels(labels)
        topologies = [context.topologies[hmm.topology] for hmm in context.hmms]
        return cls.build(topologies, plain, entry)

    @classmethod
    def build(
        cls,
        topologies: Sequence[Topology],
        plain: Sequence[npt.NDArray[np.int32]],
        entry: Sequence[npt.NDArray[np.int32]],
    ) -> Units:
        """Return units from their topologies and state labels.

        Parameters
        ----------
        topologies : sequence of Topology, length U
        plain, entry : sequences of int arrays, shapes (S_u,)
            Label of each state for later frames and for a phone's first frame.
        """
        rows: dict[str, list[list[tuple[int, int, int, float]]]] = {
            "enter": [], "step": [], "leave": [],
        }  # fmt: skip
        for topology, later, first in zip(topologies, plain, entry, strict=True):
            entered = np.flatnonzero(topology.initial > 0)
            if not (later > 0).all() or not (first[entered] > 0).all():
                raise ModelError("state labels and topologies do not fit together")
            with np.errstate(divide="ignore"):
                initial, moves, final = (
                    -np.log(p) for p in (topology.initial, topology.transitions, topology.final)
                )
            rows["enter"].append([(-1, int(s), int(first[s]), initial[s]) for s in entered])
            rows["step"].append([(int(i), int(j), int(later[j]), moves[i, j])
                                 for i, j in np.argwhere(topology.transitions > 0)])  # fmt: skip
            rows["leave"].append([(int(s), -1, 0, final[s])
                                  for s in np.flatnonzero(topology.final > 0)])  # fmt: skip
        sizes = np.array([topology.n_states for topology in topologies], dtype=np.int64)
        return cls(sizes, *(_moves(rows[kind]) for kind in ("enter", "step", "leave")))


def _moves(units: list[list[tuple[int, int, int, float]]]) -> Moves:
    start = np.cumsum([0, *map(len, units)], dtype=np.int64)
    flat = [move for unit in units for move in unit]
    integers = np.array([move[:3] for move in flat], dtype=np.int32).reshape(-1, 3)
    # -log(1) is -0.0, which would print and compare badly
    cost = np.array([move[3] for move in flat], dtype=np.float64) + 0.0
    return Moves(start, integers[:, 0], integers[:, 1], integers[:, 2], cost)
