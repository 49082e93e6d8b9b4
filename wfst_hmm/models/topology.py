"""The shape of one phone's HMM: which states there are and what may follow what.

In: probabilities. Out: `Topology` (one phone) and `StateLabels` (the input labels of every
decoding graph, numbered over all phones).

Public names: `Topology`, `StateLabels`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import ModelError
from wfst_hmm.fst.symbols import Symbols

__all__ = ["StateLabels", "Topology"]

_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Topology(Frozen):
    """Emitting states of one phone and their probabilities; zeros are forbidden moves.

    Attributes
    ----------
    initial : ndarray of float64, shape (S,)
        Probability of entering the phone in each state; sums to 1.
    transitions : ndarray of float64, shape (S, S)
        ``transitions[i, j]``: probability of state j in the next frame after state i.
    final : ndarray of float64, shape (S,)
        Probability of leaving the phone after state i; each row of ``transitions`` and its
        entry of ``final`` sum to 1.

    Raises
    ------
    ModelError
        Wrong shapes, negative entries, sums other than 1 (row and sum are named), a state that
        cannot be reached, or one from which the phone cannot be left.

    Notes
    -----
    Rabiner (1989), section IV; the non-emitting entry and exit are those of HTK and Kaldi.
    """

    initial: npt.NDArray[np.float64]
    transitions: npt.NDArray[np.float64]
    final: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("initial", "transitions", "final"):
            array = np.array(as_numbers(getattr(self, name), name=name, error=ModelError))
            object.__setattr__(self, name, read_only(array))
        n = self.n_states
        shapes = (self.initial.shape, self.transitions.shape, self.final.shape)
        if n < 1 or shapes != ((n,), (n, n), (n,)):
            raise ModelError("topology arrays of unlike shapes", got=shapes,
                             expected="(S,), (S, S), (S,)")  # fmt: skip
        rows = np.concatenate([[self.initial.sum()], self.transitions.sum(axis=1) + self.final])
        everything = np.concatenate([self.initial, self.transitions.ravel(), self.final])
        if not np.isfinite(everything).all() or everything.min() < 0:
            raise ModelError("a transition probability is negative or not finite")
        for row, total in enumerate(rows):
            if abs(total - 1.0) > _TOLERANCE:
                name = "entry" if row == 0 else f"state {row - 1}"
                raise ModelError(f"probabilities out of the {name} do not sum to 1", got=total)
        self._check_connected()

    def _check_connected(self) -> None:
        step = (self.transitions > 0) | np.eye(self.n_states, dtype=bool)
        closure = np.linalg.matrix_power(step.astype(np.float64), self.n_states) > 0
        reached = np.logical_or.reduce(closure[self.initial > 0], axis=0)
        leaves = np.logical_or.reduce(closure[:, self.final > 0], axis=1)
        for state in range(self.n_states):
            if not reached[state]:
                raise ModelError(f"no path reaches state {state} of the topology")
            if not leaves[state]:
                raise ModelError(f"no path leaves state {state} of the topology")

    @property
    def n_states(self) -> int:
        """Number of emitting states."""
        return len(self.initial)

    @property
    def min_frames(self) -> int:
        """Length of the shortest path through the phone, in frames."""
        reached = self.initial > 0
        frames = 1
        while not (reached & (self.final > 0)).any():
            reached = (reached @ (self.transitions > 0)) > 0
            frames += 1
        return frames

    @classmethod
    def left_to_right(
        cls, n_states: int = 3, *, self_loop: float = 0.5, skip: float = 0.0
    ) -> Topology:
        """Return a chain of `n_states` states with self-loops.

        Parameters
        ----------
        n_states : int
        self_loop : float
            Probability of staying, in [0, 1).
        skip : float
            Share of the moves onward that jump over one state (a Bakis model), in [0, 1).
            From the last state but one, the jump leaves the phone.
        """
        if n_states < 1:
            raise ModelError("a phone needs at least one state", got=n_states)
        for name, value in (("self_loop", self_loop), ("skip", skip)):
            if not 0.0 <= value < 1.0:
                raise ModelError(f"{name} out of range", got=value, expected="0 <= value < 1")
        moves = np.zeros((n_states, n_states + 2))
        for state in range(n_states):
            moves[state, state] = self_loop
            last = state == n_states - 1
            moves[state, state + 1] = (1 - self_loop) * (1.0 if last else 1 - skip)
            if not last:
                moves[state, state + 2] += (1 - self_loop) * skip
        initial = np.zeros(n_states)
        initial[0] = 1.0
        return cls(initial, moves[:, :n_states], moves[:, n_states] + moves[:, n_states + 1])

    @classmethod
    def skipping(cls, n_states: int = 3, *, self_loop: float = 0.5, skip: float = 0.1) -> Topology:
        """Return a chain that may be jumped through and left early.

        Such a phone may be as short as one frame: speech that was cut off in its midst, or that
        is faster than a frame a state, still has a path.

        Parameters
        ----------
        n_states : int
        self_loop : float
            Probability of staying, in [0, 1).
        skip : float
            A move over k states is `skip` to the k times as likely as one to the next state, in
            [0, 1). Leaving counts as a move. The phone is entered in its first state, as Kaldi's
            topologies are.
        """
        if n_states < 1:
            raise ModelError("a phone needs at least one state", got=n_states)
        for name, value in (("self_loop", self_loop), ("skip", skip)):
            if not 0.0 <= value < 1.0:
                raise ModelError(f"{name} out of range", got=value, expected="0 <= value < 1")
        likely = skip ** np.arange(n_states)
        moves = np.zeros((n_states, n_states + 1))
        for state in range(n_states):
            onward = likely[: n_states - state]
            moves[state, state + 1 :] = (1 - self_loop) * onward / onward.sum()
            moves[state, state] = self_loop
        initial = np.zeros(n_states)
        initial[0] = 1.0
        return cls(initial, moves[:, :n_states], moves[:, n_states])

    @classmethod
    def ergodic(cls, n_states: int, *, leave: float = 0.1) -> Topology:
        """Return states that may all follow each other, entered and left anywhere."""
        if not 0.0 < leave <= 1.0:
            raise ModelError("leave out of range", got=leave, expected="0 < leave <= 1")
        return cls(
            np.full(n_states, 1.0 / n_states),
            np.full((n_states, n_states), (1.0 - leave) / n_states),
            np.full(n_states, leave),
        )

    @classmethod
    def silence(cls, n_states: int = 5) -> Topology:
        """Return the usual silence model: first and last state fixed, the middle ergodic.

        Povey's Kaldi recipes use it with five states. With one or two states it is a chain.
        """
        if n_states < 3:
            return cls.left_to_right(n_states)
        transitions = np.zeros((n_states, n_states))
        transitions[0, : n_states - 1] = 1.0 / (n_states - 1)
        transitions[1 : n_states - 1, 1:] = 1.0 / (n_states - 1)
        transitions[-1, -1] = 0.75
        initial = np.zeros(n_states)
        initial[0] = 1.0
        final = np.zeros(n_states)
        final[-1] = 0.25
        return cls(initial, transitions, final)

    def to_dict(self) -> dict[str, Any]:
        """Return the probabilities as JSON-ready lists (floats survive exactly)."""
        return {
            "initial": self.initial.tolist(),
            "transitions": self.transitions.tolist(),
            "final": self.final.tolist(),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Topology:
        """Return the topology that `to_dict` described."""
        return cls(
            np.asarray(value["initial"]),
            np.asarray(value["transitions"]),
            np.asarray(value["final"]),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class StateLabels:
    """What the input labels of a decoding graph mean; row ``i`` describes label ``i + 1``.

    Every HMM state of every phone has one label, and every state in which a phone can be
    entered has a second one, carried by the first frame of the phone only. So a sequence of
    labels tells where each phone begins, even when one phone follows itself. (Kaldi's
    transition-ids serve the same end.)

    Attributes
    ----------
    phone : ndarray of int32, shape (n_labels,)
        Index into the model's phones, from 0.
    state : ndarray of int32, shape (n_labels,)
        HMM state within the phone, from 0.
    column : ndarray of int32, shape (n_labels,)
        Column of the score matrix (tied state), from 0.
    is_entry : ndarray of bool, shape (n_labels,)
        The label of a phone's first frame.
    symbols : Symbols
        Names such as ``^AH.0`` (entry) and ``AH.0``; number 0 is ``<eps>``.
    """

    phone: npt.NDArray[np.int32]
    state: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    is_entry: npt.NDArray[np.bool_]
    symbols: Symbols

    def __len__(self) -> int:
        return len(self.phone)

    @classmethod
    def build(
        cls,
        phones: Sequence[str],
        topologies: Sequence[Topology],
        columns: Sequence[npt.NDArray[np.int32]],
    ) -> StateLabels:
        """Number the labels of `phones`: phone by phone, state by state, entry label first.

        Parameters
        ----------
        phones, topologies : sequences of length P
        columns : sequence of int arrays
            ``columns[p][s]``: score column of state ``s`` of phone ``p``.
        """
        rows: list[tuple[int, int, int, bool]] = []
        names: list[str] = []
        for index, (phone, topology, column) in enumerate(
            zip(phones, topologies, columns, strict=True)
        ):
            if len(column) != topology.n_states:
                raise ModelError(f"phone {phone}: a column for each state is needed",
                                 got=len(column), expected=topology.n_states)  # fmt: skip
            for state in range(topology.n_states):
                for entry in (True, False) if topology.initial[state] > 0 else (False,):
                    rows.append((index, state, int(column[state]), entry))
                    names.append(f"{'^' if entry else ''}{phone}.{state}")
        table = np.array(rows, dtype=np.int32).reshape(-1, 4)
        return cls(table[:, 0], table[:, 1], table[:, 2], table[:, 3] > 0, Symbols(names))

    def label(self, phone: int, state: int, *, entry: bool = False) -> int:
        """Return the label of one HMM state."""
        found = (self.phone == phone) & (self.state == state) & (self.is_entry == entry)
        rows = np.flatnonzero(found)
        if not len(rows):
            raise ModelError("no such state label", got=(phone, state, entry))
        return int(rows[0]) + 1
