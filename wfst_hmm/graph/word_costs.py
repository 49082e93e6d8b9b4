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
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.word_machine import WordMachine, step

__all__ = ["MachineArrays", "WordCosts", "final_cost", "take_word"]

_MOST_STATES = 1 << 62


class MachineArrays(NamedTuple):
    """K machines in one set of arrays, for kernels; states and labels are numbered through.

    Attributes
    ----------
    factor : ndarray of float64, shape (K,)
    base, size, stride : ndarray of int64, shape (K,)
        Number of each machine's first state, its number of states, and the weight of its digit.
    label : ndarray of int32, shape (K, n_words)
        The other fields are those of `WordMachine`.
    """

    factor: npt.NDArray[np.float64]
    base: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    stride: npt.NDArray[np.int64]
    label: npt.NDArray[np.int32]
    first_arc: npt.NDArray[np.int64]
    arc_label: npt.NDArray[np.int32]
    arc_cost: npt.NDArray[np.float32]
    arc_next: npt.NDArray[np.int32]
    fail: npt.NDArray[np.int32]
    fail_cost: npt.NDArray[np.float32]
    final: npt.NDArray[np.float32]
    root_next: npt.NDArray[np.int32]
    root_cost: npt.NDArray[np.float32]


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
        strides = self.arrays.stride.tolist()
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
    sizes = np.array([m.n_states for m in machines], dtype=np.int64)
    base = np.cumsum(sizes) - sizes
    labels = np.array([len(m.root_next) for m in machines], dtype=np.int64)
    first_label = np.cumsum(labels) - labels
    n_arcs = np.array([len(m.arc_label) for m in machines], dtype=np.int64)
    stride = np.concatenate([[1], np.cumprod(sizes[:-1])]).astype(np.int64)

    def moved(name: str, shifts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        parts = [getattr(m, name) + int(s) for m, s in zip(machines, shifts, strict=True)]
        return np.concatenate(parts).astype(np.int32)

    def plain(name: str) -> npt.NDArray[np.float32]:
        return np.concatenate([getattr(m, name) for m in machines]).astype(np.float32)

    arcs_before = np.cumsum(n_arcs) - n_arcs
    first_arc = [m.first_arc[:-1] + int(s) for m, s in zip(machines, arcs_before, strict=True)]
    fail = [np.where(m.fail >= 0, m.fail + int(b), -1) for m, b in zip(machines, base, strict=True)]
    label = [m.label + int(s) for m, s in zip(machines, first_label, strict=True)]
    return MachineArrays(
        np.array(factors, dtype=np.float64), base, sizes, stride,
        np.ascontiguousarray(label, dtype=np.int32),
        np.concatenate([*first_arc, [n_arcs.sum()]]).astype(np.int64),
        moved("arc_label", first_label), plain("arc_cost"), moved("arc_next", base),
        np.concatenate(fail).astype(np.int32), plain("fail_cost"), plain("final"),
        moved("root_next", base), plain("root_cost"),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def take_word(machines: MachineArrays, state: int, word: int) -> tuple[float, int]:
    """Take one word from one state of the product; return the cost and the next state.

    What is impossible for any machine is impossible, whatever its factor.
    """
    total = 0.0
    following = 0
    for k in range(len(machines.factor)):
        at = (state // machines.stride[k]) % machines.size[k] + machines.base[k]
        cost, reached = step(
            at, machines.label[k, word], machines.first_arc, machines.arc_label,
            machines.arc_cost, machines.arc_next, machines.fail, machines.fail_cost,
            machines.root_next, machines.root_cost,
        )  # fmt: skip
        if cost == np.inf:
            return np.inf, 0
        total += machines.factor[k] * cost
        following += (reached - machines.base[k]) * machines.stride[k]
    return total, following


@numba.njit(cache=True, nogil=True)
def final_cost(machines: MachineArrays, state: int) -> float:
    """Return the cost of ending in a state of the product."""
    total = 0.0
    for k in range(len(machines.factor)):
        at = (state // machines.stride[k]) % machines.size[k] + machines.base[k]
        if machines.final[at] == np.inf:
            return np.inf
        total += machines.factor[k] * machines.final[at]
    return total
