"""Phones in context: which HMM stands for a phone between its neighbours.

In: the answers of a decision tree or a list of triphones, by phone. Out: `ContextMap`, the
explicit map from logical phones (phone, left, right, place in the word) to physical HMMs (a
topology and a score column for each state), compressed so that the context transducer can be
built from classes of neighbours instead of from neighbours.

Public names: `EDGE`, `WORD_POSITIONS`, `ContextMap`, `PhysicalHmm`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import ModelError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = ["EDGE", "WORD_POSITIONS", "ContextMap", "PhysicalHmm"]

#: The name of "no neighbour": before the first phone of an utterance and behind the last.
EDGE = None
#: Places of a phone in its word, in the order of a map's positions when it has four.
WORD_POSITIONS = ("internal", "begin", "end", "single")


@dataclasses.dataclass(frozen=True)
class PhysicalHmm:
    """One HMM that several logical phones may share.

    Attributes
    ----------
    phone : int
        Index of the base phone.
    topology : int
        Index into the map's topologies.
    columns : tuple of int
        Score column of each state.
    """

    phone: int
    topology: int
    columns: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ContextMap:
    """Logical phones to physical HMMs.

    Attributes
    ----------
    phones : tuple of str
        The P base phones.
    n_positions : int
        4 when the place in the word matters (`WORD_POSITIONS`), else 1.
    topologies : tuple of `Topology`
    hmms : tuple of `PhysicalHmm`
    left_class, right_class : ndarrays of int32, shape (P, n_positions, P + 1)
        Class of each left and right neighbour of a centre phone; the last one is the utterance's
        edge. Neighbours of one class lead to the same HMMs.
    tables : tuple of tuples of ndarray of int32, shape (n left classes, n right classes)
        ``tables[centre][position][left class, right class]``: index of the physical HMM, or -1
        where the model has none.
    """

    __repr__ = brief

    phones: tuple[str, ...]
    n_positions: int
    topologies: tuple[Topology, ...]
    hmms: tuple[PhysicalHmm, ...]
    left_class: npt.NDArray[np.int32]
    right_class: npt.NDArray[np.int32]
    tables: tuple[tuple[npt.NDArray[np.int32], ...], ...]

    def __post_init__(self) -> None:
        n_phones = len(self.phones)
        if self.n_positions not in (1, len(WORD_POSITIONS)):
            raise ModelError("a map has one position or four", got=self.n_positions)
        shape = (n_phones, self.n_positions, n_phones + 1)
        if self.left_class.shape != shape or self.right_class.shape != shape:
            raise ModelError("classes of neighbours have the wrong shape",
                             got=(self.left_class.shape, self.right_class.shape), expected=shape)  # fmt: skip
        for index, hmm in enumerate(self.hmms):
            if not 0 <= hmm.topology < len(self.topologies) or not 0 <= hmm.phone < n_phones:
                raise ModelError(f"HMM {index} names a topology or phone that does not exist")
            n_states = self.topologies[hmm.topology].n_states
            if len(hmm.columns) != n_states or min(hmm.columns) < 0:
                raise ModelError(f"HMM {index} needs a score column for each state",
                                 got=hmm.columns, expected=f"{n_states} columns")  # fmt: skip
        if not self.hmms:
            raise ModelError("a model without any HMM")
        for centre, row in enumerate(self.tables):
            self._check_tables(centre, row)

    def _check_tables(self, centre: int, row: tuple[npt.NDArray[np.int32], ...]) -> None:
        for position, table in enumerate(row):
            left, right = self.left_class[centre, position], self.right_class[centre, position]
            shape = (int(left.max()) + 1, int(right.max()) + 1)
            if table.shape != shape or min(left.min(), right.min()) < 0:
                raise ModelError(f"table of phone {self.phones[centre]} does not fit its classes",
                                 got=table.shape, expected=shape)  # fmt: skip
            if not -1 <= table.min() <= table.max() < len(self.hmms):
                raise ModelError(f"table of phone {self.phones[centre]} names an HMM that does not exist")  # fmt: skip

    @property
    def n_columns(self) -> int:
        """Number of score columns S that the HMMs use (the highest one, plus 1)."""
        return 1 + max(max(hmm.columns) for hmm in self.hmms)

    def dense(self) -> npt.NDArray[np.int32]:
        """Return the HMM index of every context, shape (P, n_positions, P + 1, P + 1).

        Axes: phone, place in the word, left and right neighbour (the last: edge); -1 for none.
        """
        n = len(self.phones)
        out = np.empty((n, self.n_positions, n + 1, n + 1), dtype=np.int32)
        for centre, row in enumerate(self.tables):
            for position, table in enumerate(row):
                left = self.left_class[centre, position]
                out[centre, position] = table[left[:, None], self.right_class[centre, position]]
        return out

    def hmm_index(
        self, phone: str, left: str | None = EDGE, right: str | None = EDGE,
        position: str = "internal",
    ) -> int:  # fmt: skip
        """Return the index of the physical HMM of one phone in its context.

        Parameters
        ----------
        phone : str
        left, right : str or None
            Neighbours; None is the edge of the utterance.
        position : str
            One of `WORD_POSITIONS`; without effect in a map of one position.

        Raises
        ------
        ModelError
            A phone is unknown, or the model has no HMM for this context.
        """
        if position not in WORD_POSITIONS:
            raise ModelError("no such place in a word", got=position, expected=WORD_POSITIONS)
        place = WORD_POSITIONS.index(position) if self.n_positions > 1 else 0
        centre = self._phone(phone)
        left_id = len(self.phones) if left is None else self._phone(left)
        right_id = len(self.phones) if right is None else self._phone(right)
        row = self.left_class[centre, place, left_id]
        found = int(self.tables[centre][place][row, self.right_class[centre, place, right_id]])
        if found < 0:
            raise ModelError(f"no HMM for {left or 'edge'}-{phone}+{right or 'edge'} ({position})")
        return found

    def _phone(self, name: str) -> int:
        try:
            return self.phones.index(name)
        except ValueError:
            raise ModelError(f"the model has no phone {name!r}") from None

    def topology_of(self, hmm: int) -> Topology:
        """Return the topology of a physical HMM."""
        return self.topologies[self.hmms[hmm].topology]

    def state_labels(self) -> StateLabels:
        """Return the labels of every (phone, state, column) that occurs; entry labels first.

        Names are ``AH.0/513`` and ``^AH.0/513``: phone, state, score column.
        """
        entries: dict[tuple[int, int, int], bool] = {}
        for hmm in self.hmms:
            initial = self.topologies[hmm.topology].initial
            for state, column in enumerate(hmm.columns):
                key = (hmm.phone, state, column)
                entries[key] = entries.get(key, False) or bool(initial[state] > 0)
        rows = [
            (*key, entry)
            for key in sorted(entries)
            for entry in ((True, False) if entries[key] else (False,))
        ]
        names = [f"{'^' if e else ''}{self.phones[p]}.{s}/{c}" for p, s, c, e in rows]
        table = np.array(rows, dtype=np.int32).reshape(-1, 4)
        return StateLabels(table[:, 0], table[:, 1], table[:, 2], table[:, 3] > 0, Symbols(names))

    def hmm_labels(
        self, labels: StateLabels
    ) -> tuple[list[npt.NDArray[np.int32]], list[npt.NDArray[np.int32]]]:
        """Return by physical HMM the entry labels and the other labels of its states.

        Returns
        -------
        entry, other : lists of ndarrays of int32, shape (n_states,)
            ``entry`` holds 0 for states in which the phone cannot be entered.
        """
        number = {
            (int(p), int(s), int(c), bool(e)): i + 1
            for i, (p, s, c, e) in enumerate(
                zip(labels.phone, labels.state, labels.column, labels.is_entry, strict=True)
            )
        }
        found: tuple[list[npt.NDArray[np.int32]], ...] = ([], [])
        for hmm in self.hmms:
            for is_entry, rows in zip((True, False), found, strict=True):
                keys = [(hmm.phone, s, c, is_entry) for s, c in enumerate(hmm.columns)]
                rows.append(np.array([number.get(key, 0) for key in keys], dtype=np.int32))
        return found[0], found[1]

    @classmethod
    def build(
        cls,
        phones: Sequence[str],
        topologies: Sequence[Topology],
        hmms: Sequence[PhysicalHmm],
        grid: Callable[[int, int], npt.NDArray[np.int32]],
        *,
        n_positions: int = 1,
    ) -> ContextMap:
        """Compress full tables of neighbours.

        Parameters
        ----------
        phones, topologies, hmms : sequences
        grid : callable
            ``grid(centre, position)``: ndarray of shape (P + 1, P + 1), or smaller where an axis
            of length 1 stands for all neighbours; HMM index by left and right neighbour.
        """
        n_phones = len(phones)
        classes = np.zeros((2, n_phones, n_positions, n_phones + 1), dtype=np.int32)
        tables = []
        for centre in range(n_phones):
            row = []
            for position in range(n_positions):
                table = np.asarray(grid(centre, position), dtype=np.int32)
                table, left = np.unique(table, axis=0, return_inverse=True)
                table, right = np.unique(table, axis=1, return_inverse=True)
                classes[0, centre, position] = left.ravel()
                classes[1, centre, position] = right.ravel()
                row.append(np.ascontiguousarray(table))
            tables.append(tuple(row))
        return cls(tuple(phones), n_positions, tuple(topologies), tuple(hmms), classes[0],
                   classes[1], tuple(tables))  # fmt: skip

    @classmethod
    def monophones(
        cls,
        phones: Sequence[str],
        topologies: Sequence[Topology],
        columns: Sequence[Sequence[int] | npt.NDArray[np.int32]],
    ) -> ContextMap:
        """Return the map in which neighbours do not matter; one topology a phone."""
        hmms = [PhysicalHmm(i, i, tuple(int(c) for c in row)) for i, row in enumerate(columns)]
        return cls.build(phones, topologies, hmms, lambda centre, _: np.array([[centre]], np.int32))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything as arrays for an ``.npz`` file."""
        flat = [table for row in self.tables for table in row]
        probabilities = [np.concatenate([t.initial, t.transitions.ravel(), t.final]) for t in self.topologies]  # fmt: skip
        return {
            "phones": np.array(self.phones, dtype=np.str_),
            "n_positions": np.array(self.n_positions),
            "topology_states": np.array([t.n_states for t in self.topologies], dtype=np.int32),
            "topology_values": np.concatenate(probabilities),
            "hmm_phone": np.array([h.phone for h in self.hmms], dtype=np.int32),
            "hmm_topology": np.array([h.topology for h in self.hmms], dtype=np.int32),
            "hmm_columns": np.array([c for h in self.hmms for c in h.columns], dtype=np.int32),
            "left_class": self.left_class,
            "right_class": self.right_class,
            "table_values": np.concatenate([table.ravel() for table in flat]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ContextMap:
        """Return the map that `to_arrays` described; a `ModelError` when arrays disagree."""
        try:
            return cls._from_arrays(arrays)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ModelError(f"arrays of a context map disagree ({error})") from None

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ContextMap:
        topologies, at = [], 0
        for n in arrays["topology_states"].tolist():
            part = arrays["topology_values"][at : at + n * (n + 2)]
            topologies.append(Topology(part[:n], part[n : n + n * n].reshape(n, n), part[n + n * n :]))  # fmt: skip
            at += n * (n + 2)
        hmms, at = [], 0
        for phone, topology in zip(arrays["hmm_phone"].tolist(), arrays["hmm_topology"].tolist(), strict=True):  # fmt: skip
            n = topologies[topology].n_states
            columns = arrays["hmm_columns"][at : at + n]
            hmms.append(PhysicalHmm(phone, topology, tuple(columns.tolist())))
            at += n
        left, right = arrays["left_class"], arrays["right_class"]
        tables, at = [], 0
        for centre in range(left.shape[0]):
            row = []
            for position in range(left.shape[1]):
                shape = (int(left[centre, position].max()) + 1, int(right[centre, position].max()) + 1)  # fmt: skip
                size = shape[0] * shape[1]
                row.append(arrays["table_values"][at : at + size].reshape(shape))
                at += size
            tables.append(tuple(row))
        phones = tuple(str(phone) for phone in arrays["phones"])
        return cls(phones, int(arrays["n_positions"]), tuple(topologies), tuple(hmms), left, right,
                   tuple(tables))  # fmt: skip
