"""C: which HMM stands for a phone between its neighbours, as a table and as a transducer; C∘LG.

In: a rule that names the HMM of a phone among so many phones before and behind it, and a
machine over phones. Out: the machine over HMMs, words where they were.

C reads phones and writes each phone's HMM as soon as it is known: with one phone of right
context, when the next phone has been read. A state of C is what it must remember. States that
do not differ in what they will write are one, which finds the classes of neighbours that a
model tells apart; a phone whose HMM is the same before all phones (silence, and every phone of a
monophone model) is written at once. Contexts run across words on both sides.

Public names: `ContextRule`, `MapRule`, `ContextTable`, `context_table`, `context_fst`,
`compose_context`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError, ModelError
from wfst_hmm.fst.arrays import ARC, Fst
from wfst_hmm.fst.kernels import grown, sort_arcs
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap

__all__ = [
    "ContextRule",
    "ContextTable",
    "MapRule",
    "compose_context",
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
    return Fst.from_arcs(0, columns[0], columns[1], columns[2], np.zeros(columns.shape[1]),
                         columns[3], final)  # fmt: skip


def compose_context(table: ContextTable, fst: Fst, *, max_states: int) -> Fst:
    """Return C ∘ `fst`: HMMs in (number + 1), the outputs of `fst` out.

    Parameters
    ----------
    table : ContextTable
    fst : Fst
        Phones in (number + 1), epsilons where nothing is read.
    max_states : int
        Budget.

    Returns
    -------
    Fst
        With one phone of right context, words stand on the HMM before their first one's. Where
        several phones go on from a state under one and the same HMM, that HMM has one arc, and
        epsilons lead on from behind it.

    Raises
    ------
    ModelError
        The model has no HMM for a phone in a context that occurs; it is named.
    GraphError
        The budget is spent.
    """
    if not fst.n_states:
        return fst
    made = _compose(fst.states, fst.arcs, fst.start, table.following, table.hmm, table.at_once,
                    table.is_final, max_states, np.empty(1024, dtype=ARC))  # fmt: skip
    counts, final, arcs, missing = made
    if missing >= 0:
        raise ModelError(f"the model has no HMM for a phone in context such as {table.example[missing]}",
                         fix="Give the model's map an HMM for it.")  # fmt: skip
    if len(counts) > max_states:
        raise GraphError("the graph in context exceeds the budget of states",
                         expected=f"at most {max_states}", fix="Raise max_states.")  # fmt: skip
    return Fst.from_runs(0, counts, arcs, final, None, fst.osymbols)


@numba.njit(cache=True, nogil=True)
def _slot_of(table, keys, key):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(table) - 1)
    x = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = (x ^ (x >> np.uint64(29))) & mask
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@numba.njit(cache=True, nogil=True)
def _compose(  # type: ignore[no-untyped-def]
    states, fst_arcs, start, following, hmm, at_once, is_final, max_states, arcs
):  # fmt: skip
    """Return arcs per state, final costs, arcs, and a state of C that lacks an HMM (or -1).

    A pair of states is one number; the pair (state of C, n_fst) has read the end. States
    that follow a grouped HMM have no pair; their arcs wait in a list.
    """
    n_fst = len(states)
    n_columns = following.shape[1]
    end = n_columns - 1
    table = np.full(1 << 16, -1, dtype=np.int32)
    keys = np.empty(1 << 15, dtype=np.int64)  # pair of each state, or ~(its place in waiting)
    counts = np.empty(1 << 15, dtype=np.int64)
    final = np.empty(1 << 15, dtype=np.float32)
    waiting = np.empty(1024, dtype=arcs.dtype)  # arcs of grouped states
    waits = np.zeros(1024, dtype=np.int64)  # where each grouped state's arcs begin
    n_waiting = 0
    n_grouped = 0
    row = np.empty(1024, dtype=arcs.dtype)  # arcs of the state at hand
    key_row = np.empty(1024, dtype=np.int64)
    keys[0] = start
    table[_slot_of(table, keys, np.int64(start))] = 0
    n_pairs = 1
    n_states = 1
    n_arcs = 0
    at = 0
    while at < n_states:
        if n_states > max_states:
            break
        final[at] = np.inf
        n_row = 0
        if keys[at] < 0:
            group = ~keys[at]
            n_row = waits[group + 1] - waits[group]
            if n_row > len(row):
                row, key_row = grown(row, n_row), grown(key_row, n_row)
            for i in range(n_row):
                row[i] = waiting[waits[group] + i]
            grouped = True
        else:
            grouped = False
            own = keys[at] // (n_fst + 1)
            state = keys[at] % (n_fst + 1)
            if at_once[own, 1] >= 0:
                if at_once[own, 0] < 0:
                    return counts[:0], final[:0], arcs[:0], own
                row[0].ilabel, row[0].olabel = at_once[own, 0], 0
                row[0].weight = 0.0
                key_row[0] = np.int64(at_once[own, 1]) * (n_fst + 1) + state
                n_row = 1
            else:
                most = 1
                if state < n_fst:
                    most += states[state].n_arcs
                if most > len(row):
                    row, key_row = grown(row, most), grown(key_row, most)
                ends = state == n_fst or states[state].final < np.inf
                cost = np.float32(0.0) if state == n_fst else states[state].final
                if ends and is_final[own]:
                    final[at] = cost
                elif ends:
                    if hmm[own, end] < 0 or following[own, end] < 0:
                        return counts[:0], final[:0], arcs[:0], own
                    row[0].ilabel, row[0].olabel, row[0].weight = hmm[own, end], 0, cost
                    key_row[0] = np.int64(following[own, end]) * (n_fst + 1) + n_fst
                    n_row = 1
                first, last = 0, 0
                if state < n_fst:
                    first = states[state].pos
                    last = first + states[state].n_arcs
                for arc in range(first, last):
                    label = fst_arcs[arc].ilabel
                    context, written = own, 0
                    if label > 0:
                        context, written = following[own, label - 1], hmm[own, label - 1]
                        if written < 0:
                            return counts[:0], final[:0], arcs[:0], own
                        if written == 0 and at_once[context, 1] >= 0:
                            if at_once[context, 0] < 0:
                                return counts[:0], final[:0], arcs[:0], context
                            written, context = at_once[context, 0], at_once[context, 1]
                    row[n_row].ilabel, row[n_row].olabel = written, fst_arcs[arc].olabel
                    row[n_row].weight = fst_arcs[arc].weight
                    key_row[n_row] = np.int64(context) * (n_fst + 1) + fst_arcs[arc].nextstate
                    n_row += 1
        # destinations get their numbers in the order of the arcs
        if not grouped:
            if n_pairs + n_row > len(table) // 2:
                size = len(table)
                while n_pairs + n_row > size // 2:
                    size *= 4
                table = np.full(size, -1, dtype=np.int32)
                for other in range(n_states):
                    if keys[other] >= 0:
                        table[_slot_of(table, keys, keys[other])] = other
            if n_states + 2 * n_row > len(keys):
                more = n_states + 2 * n_row
                keys, counts, final = grown(keys, more), grown(counts, more), grown(final, more)
            for i in range(n_row):
                slot = _slot_of(table, keys, key_row[i])
                if table[slot] < 0:
                    table[slot] = n_states
                    keys[n_states] = key_row[i]
                    n_states += 1
                    n_pairs += 1
                row[i].nextstate = table[slot]
        sort_arcs(row, 0, n_row)
        if n_arcs + n_row > len(arcs):
            arcs = grown(arcs, n_arcs + n_row)
        begin = n_arcs
        i = 0
        while i < n_row:
            j = i + 1
            while j < n_row and row[j].ilabel == row[i].ilabel:
                j += 1
            if grouped or j == i + 1 or row[i].ilabel == 0:
                for k in range(i, j):
                    arcs[n_arcs] = row[k]
                    n_arcs += 1
            else:
                if n_waiting + j - i > len(waiting):
                    waiting = grown(waiting, n_waiting + j - i)
                if n_grouped + 2 > len(waits):
                    waits = grown(waits, n_grouped + 2)
                least = row[i].weight
                for k in range(i, j):
                    least = min(least, row[k].weight)
                for k in range(i, j):
                    waiting[n_waiting] = row[k]
                    waiting[n_waiting].ilabel = 0
                    waiting[n_waiting].weight = row[k].weight - least
                    n_waiting += 1
                waits[n_grouped + 1] = n_waiting
                keys[n_states] = ~np.int64(n_grouped)
                arcs[n_arcs] = row[i]
                arcs[n_arcs].olabel = 0
                arcs[n_arcs].weight = least
                arcs[n_arcs].nextstate = n_states
                n_arcs += 1
                n_grouped += 1
                n_states += 1
            i = j
        counts[at] = n_arcs - begin
        at += 1
    return counts[:n_states], final[:n_states], arcs[:n_arcs], -1
