"""C: which HMM stands for a phone between its neighbours, as a table and as a transducer.

In: a rule that names the HMM of a phone among so many phones before and behind it. Out: C, as
the table that `graph.context_composition` composes with, or as an `Fst`.

C reads phones and writes each phone's HMM as soon as it is known: with one phone of right
context, when the next phone has been read. A state of C is what it must remember. States that
do not differ in what they will write are one, which finds the classes of neighbours that a
model tells apart; a phone whose HMM is the same before all phones (silence, and every phone of a
monophone model) is written at once. Contexts run across words on both sides.

Public names: `ContextRule`, `MapRule`, `ContextTable`, `context_table`, `context_fst`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.trim import trim
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap

__all__ = [
    "ContextRule",
    "ContextTable",
    "MapRule",
    "context_fst",
    "context_table",
]

#: States of C before merging: beyond it the context is too wide to be tabulated.
_MAX_WINDOWS = 2_000_000


class ContextRule(Protocol):
    """Tells the HMM of a phone in its context, `n_left` phones before and `n_right` behind it.

    Phones are numbered from 0 to ``n_labels - 1``; `n_labels` stands for the utterance's edge.
    With places in the word, a number is ``phone + n_phones * position``.
    """

    @property
    def n_labels(self) -> int:
        """Number of phones, times that of places in the word."""

    @property
    def n_left(self) -> int:
        """Phones before that matter."""

    @property
    def n_right(self) -> int:
        """Phones behind that matter."""

    def neighbour(self, label: int) -> int:
        """Return the smallest number that is the same neighbour as `label`."""

    def hmms(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return HMM numbers (-1: none) for each last phone behind, shape (n_labels + 1,).

        `left` has `n_left` neighbours, the nearest last; `right` all but the last of those
        behind. With ``n_right == 0`` the HMM stands in every element.
        """

    def name(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> str:
        """Return the phone in its context as people write it."""


@dataclasses.dataclass(frozen=True, eq=False)
class MapRule:
    """The rule of a `ContextMap`: one phone on each side, or fewer where they do not matter."""

    context: ContextMap

    @property
    def n_labels(self) -> int:
        """Number of phones, times that of places in the word."""
        return len(self.context.phones) * self.context.n_positions

    @property
    def n_left(self) -> int:
        """Phones before that matter."""
        return int(self.context.left_class.any())

    @property
    def n_right(self) -> int:
        """Phones behind that matter."""
        return int(self.context.right_class.any())

    def neighbour(self, label: int) -> int:
        """Return the base phone, or the edge."""
        return label if label == self.n_labels else label % len(self.context.phones)

    def hmms(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return HMM numbers for each phone behind, shape (n_labels + 1,)."""
        context, n_phones = self.context, len(self.context.phones)
        position, phone = divmod(centre, n_phones)
        table = context.tables[phone][position]
        row = 0
        if left:
            before = n_phones if left[-1] == self.n_labels else left[-1] % n_phones
            row = int(context.left_class[phone, position, before])
        classes = context.right_class[phone, position]
        if not self.n_right:
            return np.full(self.n_labels + 1, table[row, 0])
        behind = np.concatenate([np.tile(classes[:n_phones], context.n_positions), classes[-1:]])
        return np.asarray(table[row, behind])

    def name(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> str:
        """Return for example ``S-AH+T (internal)``."""
        n_phones = len(self.context.phones)

        def phone(label: int) -> str:
            return "edge" if label == self.n_labels else self.context.phones[label % n_phones]

        text = "".join(f"{phone(x)}-" for x in left) + phone(centre)
        text += "".join(f"+{phone(x)}" for x in right)
        place = WORD_POSITIONS[centre // n_phones]
        return text + (f" ({place})" if self.context.n_positions > 1 else "")


@dataclasses.dataclass(frozen=True, eq=False)
class ContextTable:
    """C, deterministic over phones. State 0 starts.

    Attributes
    ----------
    n_labels : int
        Phones are inputs 0 to ``n_labels - 1``, the utterance's end is input `n_labels`.
    following : int32, shape (n_states, n_labels + 1)
        Next state; -1 where no phone can be read.
    hmm : int32, shape (n_states, n_labels + 1)
        What is written: HMM number + 1; 0 for nothing yet; -1 where the model has no HMM.
    at_once : int32, shape (n_states, 2)
        A state that is left before anything is read: what is written, and the state behind;
        (0, -1) for all others.
    is_final : bool, shape (n_states,)
        Whether nothing is owed. A state that is not final must read the end first.
    example : list of str
        A phone in context that each state writes next, for messages.
    """

    n_labels: int
    following: npt.NDArray[np.int32]
    hmm: npt.NDArray[np.int32]
    at_once: npt.NDArray[np.int32]
    is_final: npt.NDArray[np.bool_]
    example: list[str]

    def __len__(self) -> int:
        return len(self.following)


_Window = tuple[tuple[int, ...], tuple[int, ...]]  # neighbours written, phones owed


class _Windows:
    """Numbers the windows of C as they turn up."""

    def __init__(self, rule: ContextRule) -> None:
        self.rule = rule
        self.edge = rule.n_labels
        self.agenda: list[_Window] = [((self.edge,) * rule.n_left, ())]
        self.number: dict[_Window, int] = {self.agenda[0]: 0}
        self.neighbours = [rule.neighbour(label) for label in range(self.edge + 1)]
        n_windows = len(set(self.neighbours)) ** rule.n_left * self.edge**rule.n_right
        if n_windows > _MAX_WINDOWS:
            raise GraphError(
                "a context too wide to be tabulated",
                got=f"{self.edge} phones, {rule.n_left} before and {rule.n_right} behind: "
                f"{n_windows} windows", expected=f"at most {_MAX_WINDOWS}",
            )  # fmt: skip

    def id(self, window: _Window) -> int:
        found = self.number.setdefault(window, len(self.agenda))
        if found == len(self.agenda):
            self.agenda.append(window)
        return found

    def after(self, left: tuple[int, ...], centre: int) -> tuple[int, ...]:
        """Return the neighbours before the next phone, once `centre` is written."""
        return (*left, self.neighbours[centre])[1:] if left else ()

    def emitted(self, left: tuple[int, ...], owed: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return what a full window writes on each next input (HMM + 1, or -1)."""
        centre, right = owed[0], tuple(self.neighbours[x] for x in owed[1:])
        hmms = np.asarray(self.rule.hmms(left, centre, right))
        return np.where(hmms < 0, -1, hmms + 1).astype(np.int32)


def context_table(rule: ContextRule) -> ContextTable:
    """Return C for any width of context, with as few states as it needs.

    Raises
    ------
    GraphError
        The context is too wide: more than two million windows of phones.
    """
    windows = _Windows(rule)
    edge, n_right = windows.edge, rule.n_right
    inputs = list(range(edge + 1))
    following, hmms, at_once, is_final, example = [], [], [], [], []
    done = 0
    while done < len(windows.agenda):
        left, owed = windows.agenda[done]
        done += 1
        next_row = np.full(edge + 1, -1, dtype=np.int32)
        hmm_row = np.zeros(edge + 1, dtype=np.int32)
        forced = (0, -1)
        name = ""
        if (n_right and len(owed) == n_right) or (owed and not n_right):
            hmm_row = windows.emitted(left, owed)
            name = rule.name(left, owed[0], owed[1:])
            same = bool((hmm_row == hmm_row[0]).all()) and hmm_row[0] > 0
            if not n_right or (same and edge not in owed[1:]):
                forced = (int(hmm_row[0]), windows.id((windows.after(left, owed[0]), owed[1:])))
        if forced[1] < 0:
            for label in inputs:
                if label == edge and not owed:
                    continue  # nothing is owed: the utterance ends here
                if edge in owed and label != edge:
                    continue  # nothing comes behind the end
                window = (left, (*owed, label))
                if len(owed) == n_right and n_right:
                    rest = window[1][1:]
                    if rest[0] == edge:
                        rest = ()
                    window = (windows.after(left, owed[0]), rest)
                next_row[label] = windows.id(window)
        following.append(next_row)
        hmms.append(hmm_row)
        at_once.append(forced)
        is_final.append(not owed)
        example.append(name)
    return _merged(
        ContextTable(
            edge, np.array(following), np.array(hmms), np.array(at_once, dtype=np.int32),
            np.array(is_final), example,
        )
    )  # fmt: skip


def _merged(table: ContextTable) -> ContextTable:
    """Make states with the same answers one; of each class the first stays."""
    used = table.following >= 0
    hmm = np.where(used | (table.at_once[:, 1:] >= 0), table.hmm, 0)
    hmm[table.at_once[:, 1] >= 0] = 0
    fixed = np.column_stack([hmm, table.at_once[:, 0], table.is_final])
    block = np.unique(fixed, axis=0, return_inverse=True)[1].ravel()
    n_blocks = 0
    while n_blocks != block.max() + 1:
        n_blocks = block.max() + 1
        both = np.column_stack([table.following, table.at_once[:, 1]])
        ahead = np.where(both >= 0, block[both], -1)
        rows = np.column_stack([block, ahead])
        block = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    first = np.unique(block, return_index=True)[1]
    order = np.argsort(first)  # states keep the order of their first members, the start is 0
    number = np.empty(n_blocks, dtype=np.int32)
    number[order] = np.arange(n_blocks)
    number = number[block]
    first = first[order]
    following = np.where(used[first], number[table.following[first]], -1).astype(np.int32)
    at_once = table.at_once[first]
    at_once[:, 1] = np.where(at_once[:, 1] >= 0, number[at_once[:, 1]], -1)
    return ContextTable(table.n_labels, following, hmm[first], at_once, table.is_final[first],
                        [table.example[i] for i in first])  # fmt: skip


def context_fst(table: ContextTable) -> Fst:
    """Return C as a transducer from HMMs to phones (labels from 1), to look at and to test.

    The label ``n_labels + 1`` marks the utterance's end on the output side, once.
    """
    rows = []
    n_states = len(table)
    for state in range(n_states):
        written, behind = table.at_once[state]
        if behind >= 0:
            rows.append((state, written, 0, behind))
            continue
        for label in range(table.n_labels + 1):
            following, hmm = table.following[state, label], table.hmm[state, label]
            if following >= 0 and hmm >= 0 and label < table.n_labels:
                rows.append((state, hmm, label + 1, following))
    # reading the end: a copy of the states, from which only the end is read further
    for state in range(n_states):
        if table.is_final[state]:
            rows.append((state, 0, table.n_labels + 1, n_states + state))
            continue
        following, hmm = table.following[state, -1], table.hmm[state, -1]
        if following >= 0 and hmm >= 0:
            rows.append((state, hmm, table.n_labels + 1, n_states + following))
            rows.append((n_states + state, hmm, 0, n_states + following))
    final = np.where(table.is_final, 0.0, np.inf)
    final = np.concatenate([np.full(n_states, np.inf), final])
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    # many copies lead nowhere: where the end may not be read
    return trim(Fst.from_arcs(0, columns[0], columns[1], columns[2], np.zeros(columns.shape[1]),
                              columns[3], final))  # fmt: skip
