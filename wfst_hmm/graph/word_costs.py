"""Costs that are added to a graph's words while it is searched: several word machines as one.

In: `WordMachine`s with factors. Out: `WordCosts`, their product, whose states are made on
demand: a state is one number, the states of the machines as its digits, so that nothing has to
be remembered of states that were seen before.

A language model in place of another: the new one with factor 1, the old one with factor -1.

Public names: `MachineArrays`, `WordCosts`, `final_cost`, `take_word`.

Notes
-----
Hori, Hori, Minami & Nakamura (2007), *Efficient WFST-based one-pass decoding with on-the-fly
hypothesis rescoring in extremely large vocabulary continuous speech recognition*; Hall et al.
(2015), *Composition-based on-the-fly rescoring for salient n-gram biasing*.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.word_machine import WordMachine

__all__ = ["MachineArrays", "WordCosts", "final_cost", "take_word"]

_MOST_STATES = 1 << 62


#: One machine: its factor, its first state, the number of its states, the weight of its digit.
MACHINE = np.dtype([("factor", "<f8"), ("base", "<i8"), ("size", "<i8"), ("stride", "<i8")])
#: One state: its arcs, its failure arc (-1 at a root), the cost of ending.
STATE = np.dtype(
    [
        ("first_arc", "<i8"),
        ("end_arc", "<i8"),
        ("fail", "<i4"),
        ("fail_cost", "<f4"),
        ("final", "<f4"),
    ]
)
#: One arc; the arcs of a root have no label but their place.
ARC = np.dtype([("label", "<i4"), ("cost", "<f4"), ("next", "<i4")])


class MachineArrays(NamedTuple):
    """K machines in few arrays, for kernels; states and labels are numbered through.

    Attributes
    ----------
    machines : ndarray of `MACHINE`, shape (K,)
    label : ndarray of int32, shape (K, n_words)
        Label of each word, by machine.
    states : ndarray of `STATE`, shape (n_states,)
    arcs : ndarray of `ARC`, shape (n_arcs,)
        Of each state but the roots, sorted by label.
    root : ndarray of `ARC`, shape (n_labels,)
        The roots' arcs by label.
    least : ndarray of float32, shape (n_words,)
        No state takes a word for less (`WordCosts.least`): what is too dear at that cost need not be
        looked up.
    """

    machines: npt.NDArray[Any]
    label: npt.NDArray[np.int32]
    states: npt.NDArray[Any]
    arcs: npt.NDArray[Any]
    root: npt.NDArray[Any]
    least: npt.NDArray[np.float32]


class WordCosts:
    """The weighted product of word machines, deterministic and made on demand.

    Parameters
    ----------
    words : Symbols
        The graph's words.
    machines : sequence of (factor, WordMachine)
        All made for `words`.

    Attributes
    ----------
    start : int
    arrays : MachineArrays

    Raises
    ------
    UsageError
        There is no machine, or a factor is not finite.
    DataError
        A machine was made for another table of words; or the machines have too many states
        together.
    """

    def __init__(self, words: Symbols, machines: Sequence[tuple[float, WordMachine]]) -> None:
        if not machines:
            raise UsageError("no word machine to take costs from")
        for factor, machine in machines:
            if not math.isfinite(factor):
                raise UsageError("the factor of a word machine must be finite", got=factor)
            if len(machine.label) != len(words):
                raise DataError("a word machine for other words than the graph's",
                                got=len(machine.label), expected=len(words))  # fmt: skip
        self.words = words
        sizes = [machine.n_states for _, machine in machines]
        if math.prod(sizes) >= _MOST_STATES:
            raise DataError("word machines with too many states together",
                            got=" x ".join(map(str, sizes)), expected="below 2^62")  # fmt: skip
        self.arrays = _joined([f for f, _ in machines], [m for _, m in machines])
        # a hundredth of a nat for what float32 rounds
        self.arrays = self.arrays._replace(least=(self.least()[0] - 0.01).astype(np.float32))
        strides = self.arrays.machines["stride"].tolist()
        self.start = sum(
            m.start * stride for (_, m), stride in zip(machines, strides, strict=True)
        )  # fmt: skip

    def step(self, state: int, word: int) -> tuple[float, int]:
        """Return the cost of a word (its number in the graph) and the state behind it."""
        cost, following = take_word(self.arrays, state, word)
        return float(cost), int(following)

    def final(self, state: int) -> float:
        """Return the cost of ending in a state."""
        return float(final_cost(self.arrays, state))

    def cost(self, words: Sequence[int], *, complete: bool = True) -> float:
        """Return the cost of a sequence of words, and of its end if it is complete."""
        state, total = self.start, 0.0
        for word in words:
            cost, state = self.step(state, int(word))
            total += cost
        return total + (self.final(state) if complete else 0.0)

    @property
    def n_states(self) -> int:
        """States of the product, at most."""
        return math.prod(self.arrays.machines["size"].tolist())

    def least(self) -> tuple[npt.NDArray[np.float64], float]:
        """Return costs from below: of each word from any state, shape (n_words,), and of the end.

        Each machine is looked at by itself, and each word behind all failures that may come before
        it: states of the product that cannot be reached count, too. +inf: never possible.
        """
        words, end = np.zeros(len(self.words)), 0.0
        for k, machine in enumerate(self.arrays.machines):
            base, size, factor = (machine[name].item() for name in ("base", "size", "factor"))
            states = self.arrays.states[base : base + size]
            lower: Any = np.minimum if factor >= 0 else np.maximum  # -1 times the most is the least
            worst = math.inf if factor >= 0 else -math.inf
            fails = states["fail"] >= 0
            behind, before = np.zeros(size), None  # of failures on the way to each state
            while before is None or (behind != before).any():
                before = behind.copy()
                added = before[fails] + states["fail_cost"][fails]
                lower.at(behind, states["fail"][fails] - base, added)
            owner = np.repeat(np.arange(size), states["end_arc"] - states["first_arc"])
            first = int(states["first_arc"][0])
            own = self.arrays.arcs[first : first + len(owner)]
            by_label = np.full(len(self.arrays.root), worst)
            root = self.arrays.root["cost"] + lower.reduce(behind[~fails])
            possible = np.isfinite(root)
            by_label[possible] = root[possible]
            possible = np.isfinite(own["cost"])
            lower.at(by_label, own["label"][possible], (own["cost"] + behind[owner])[possible])
            words += factor * by_label[self.arrays.label[k]] if factor else 0.0
            final = states["final"][np.isfinite(states["final"])]
            end += factor * float(lower.reduce(final, initial=worst)) if factor else 0.0
        words[0] = 0.0
        return words, end

    def to_fst(self, *, max_states: int = 100_000) -> Fst:
        """Return the whole product as an acceptor over the words: small ones, for comparison.

        Raises
        ------
        GraphError
            More than `max_states` states can be reached.
        """
        number = {self.start: 0}
        queue = collections.deque([self.start])
        rows: list[tuple[int, int, float, int]] = []
        final: list[float] = []
        while queue:
            state = queue.popleft()
            final.append(self.final(state))
            for word in range(1, len(self.words)):
                cost, following = self.step(state, word)
                if cost == math.inf:
                    continue
                if following not in number:
                    number[following] = len(number)
                    queue.append(following)
                    if len(number) > max_states:
                        raise GraphError("the word machines have too many states together",
                                         expected=f"at most {max_states}")  # fmt: skip
                rows.append((number[state], word, cost, number[following]))
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        label = table[:, 1].astype(np.int32)
        return Fst.from_arcs(0, table[:, 0].astype(np.int64), label, label, table[:, 2],
                             table[:, 3].astype(np.int32), final, self.words, self.words)  # fmt: skip


def _joined(factors: Sequence[float], machines: Sequence[WordMachine]) -> MachineArrays:
    sizes, labels, arcs = (
        np.array([len(getattr(m, name)) for m in machines], dtype=np.int64)
        for name in ("fail", "root_next", "arc_label")
    )
    before_state, before_label, before_arc = (np.cumsum(n) - n for n in (sizes, labels, arcs))
    made = MachineArrays(
        np.zeros(len(machines), MACHINE), np.array([m.label for m in machines], dtype=np.int32),
        np.zeros(sizes.sum(), STATE), np.zeros(arcs.sum(), ARC), np.zeros(labels.sum(), ARC),
        np.zeros(0, np.float32),
    )  # fmt: skip
    made.machines["factor"], made.machines["base"] = factors, before_state
    made.machines["size"] = sizes
    made.machines["stride"] = np.concatenate([[1], np.cumprod(sizes[:-1])])
    for k, m in enumerate(machines):
        state, label, arc = int(before_state[k]), int(before_label[k]), int(before_arc[k])
        made.label[k] += label
        states = made.states[state : state + sizes[k]]
        states["first_arc"], states["end_arc"] = m.first_arc[:-1] + arc, m.first_arc[1:] + arc
        states["fail"] = np.where(m.fail >= 0, m.fail + state, -1)
        states["fail_cost"], states["final"] = m.fail_cost, m.final
        own = made.arcs[arc : arc + arcs[k]]
        own["label"], own["cost"], own["next"] = m.arc_label + label, m.arc_cost, m.arc_next + state
        root = made.root[label : label + labels[k]]
        root["cost"], root["next"] = m.root_cost, m.root_next + state
    return made


@numba.njit(cache=True, nogil=True)
def take_word(arrays: MachineArrays, state: int, word: int) -> tuple[float, int]:
    """Take one word from one state of the product; return the cost and the next state.

    What is impossible for any machine is impossible, whatever its factor. The walk is that of
    `word_machine.step`, written out: numba counts references to every array that it passes on.
    """
    machines, label, states, arcs, root, _ = arrays
    total = 0.0
    following = 0
    for k in range(len(machines)):
        base, stride = machines[k].base, machines[k].stride
        at = (state // stride) % machines[k].size + base
        wanted = label[k, word]
        cost = 0.0
        found = False
        reached = np.int64(0)
        while not found and states[at].fail >= 0:
            low, high = states[at].first_arc, states[at].end_arc
            while low < high:
                middle = (low + high) // 2
                if arcs[middle].label < wanted:
                    low = middle + 1
                else:
                    high = middle
            if low < states[at].end_arc and arcs[low].label == wanted:
                found = True
                cost += arcs[low].cost
                reached = np.int64(arcs[low].next)
            else:
                cost += states[at].fail_cost
                at = np.int64(states[at].fail)
        if not found:
            cost += root[wanted].cost
            reached = np.int64(root[wanted].next)
        if cost == np.inf:
            return np.inf, 0
        total += machines[k].factor * cost
        following += (reached - base) * stride
    return total, following


@numba.njit(cache=True, nogil=True)
def final_cost(arrays: MachineArrays, state: int) -> float:
    """Return the cost of ending in a state of the product."""
    machines, states = arrays.machines, arrays.states
    total = 0.0
    for k in range(len(machines)):
        at = (state // machines[k].stride) % machines[k].size + machines[k].base
        if states[at].final == np.inf:
            return np.inf
        total += machines[k].factor * states[at].final
    return total
