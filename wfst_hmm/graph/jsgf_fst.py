"""Rules of a grammar as an acceptor.

In: expansions by name, without loose ends. Out: an `Fst` over words.

A rule is expanded where it is referred to. Where a rule refers to itself, directly or through
others, only at the end of its expansions, the reference becomes an arc back to the rule's start;
any other recursion describes no finite machine and is refused.

Public names: `expansion_to_fst`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.jsgf_parser import (
    Choice,
    Expansion,
    Optional,
    Place,
    Reference,
    Repeat,
    Word,
)
from wfst_hmm.graph.jsgf_parser import Sequence as Phrase
from wfst_hmm.graph.jsgf_recursion import check_recursion

__all__ = ["expansion_to_fst"]

MAX_ARCS = 3_000_000  # before epsilons are removed; a real grammar of this size is an n-gram model
_HALF = math.log(2.0)


def expansion_to_fst(
    rules: Mapping[str, Expansion], chosen: Sequence[str], words: Symbols, where: str
) -> Fst:
    """Build the acceptor of the union of the rules `chosen`.

    Parameters
    ----------
    rules : mapping of str to Expansion
        References are keys of it, ``NULL`` or ``VOID``.
    chosen : sequence of str
    words : Symbols
        Must hold every word.
    where : str
        The grammar's name, for messages.

    Raises
    ------
    FormatError
        A rule is recursive other than at its end, or begins with itself.
    GraphError
        There is no sentence, more than `MAX_ARCS` arcs, or a word is missing from `words`.
    """
    component = check_recursion(rules)
    machine = _Machine(rules, component, words, where)
    start, end = machine.state(), machine.state()
    for name in chosen:
        reference = Reference(name, Place(where, 1, 1))
        machine.tasks.append(_Task(reference, start, end, math.log(len(chosen)), None))
    machine.run()
    fst = machine.without_epsilons(start, end) or machine.with_epsilons(start, end)
    if not fst.n_states:
        raise GraphError("the grammar has no sentence", where=where,
                         got=" ".join(f"<{name}>" for name in chosen))  # fmt: skip
    return fst


class _Task(NamedTuple):
    """Lay `item` between two states; entering it costs `cost`.

    `loop` holds the start states of the recursive rules that we are inside of, all of which end
    in `target`.
    """

    item: Expansion
    source: int
    target: int
    cost: float
    loop: dict[str, int] | None


class _Machine:
    """A growing machine with epsilons, and what is still to be laid out in it."""

    def __init__(
        self, rules: Mapping[str, Expansion], component: Mapping[str, int], words: Symbols,
        where: str,
    ) -> None:  # fmt: skip
        self.rules, self.component, self.words, self.where = rules, component, words, where
        self.n_states = 0
        self.arcs: list[tuple[int, int, float, int]] = []
        self.tasks: list[_Task] = []

    def state(self) -> int:
        self.n_states += 1
        return self.n_states - 1

    def epsilon(self, source: int, target: int, cost: float) -> None:
        if source != target:  # an epsilon loop of cost >= 0 is never of use
            self.arcs.append((source, 0, cost, target))

    def run(self) -> None:
        while self.tasks:
            if len(self.arcs) + len(self.tasks) > MAX_ARCS or self.n_states > 2 * MAX_ARCS:
                raise GraphError(
                    f"the grammar needs more than {MAX_ARCS} arcs", where=self.where,
                    fix="Rules are copied where they are used: use large ones less often.",
                )  # fmt: skip
            self._lay(*self.tasks.pop())

    def _lay(
        self, item: Expansion, source: int, target: int, cost: float, loop: dict[str, int] | None
    ) -> None:
        tasks = self.tasks
        if isinstance(item, Word):
            if item.text not in self.words:
                raise GraphError(f"the word {item.text!r} is not in the given table",
                                 where=self.where)  # fmt: skip
            self.arcs.append((source, self.words.id(item.text), cost, target))
        elif isinstance(item, Reference):
            self._refer(item, source, target, cost, loop)
        elif isinstance(item, Phrase):
            states = [source, *(self.state() for _ in item.items[1:]), target]
            last = len(item.items) - 1
            if last < 0:
                self.epsilon(source, target, cost)
            for i, part in enumerate(item.items):
                tasks.append(_Task(part, states[i], states[i + 1], 0.0 if i else cost,
                                   loop if i == last else None))  # fmt: skip
        elif isinstance(item, Choice):
            weights = item.weights or (1.0,) * len(item.items)
            for part, weight in zip(item.items, weights, strict=True):
                if weight > 0:  # a weight of zero: never spoken
                    share = (
                        -math.log(weight / sum(weights)) if item.weights else math.log(len(weights))
                    )
                    tasks.append(_Task(part, source, target, cost + share, loop))
        elif isinstance(item, Optional):
            tasks.append(_Task(item.item, source, target, cost + _HALF, loop))
            self.epsilon(source, target, cost + _HALF)
        elif isinstance(item, Repeat):
            before, after = self.state(), self.state()
            self.epsilon(source, before, cost + (0.0 if item.at_least else _HALF))
            tasks.append(_Task(item.item, before, after, 0.0, None))
            self.epsilon(after, before, _HALF)
            self.epsilon(after, target, _HALF)
            if not item.at_least:
                self.epsilon(source, target, cost + _HALF)
        else:
            tasks.append(_Task(item.item, source, target, cost, loop))

    def _refer(
        self, item: Reference, source: int, target: int, cost: float, loop: dict[str, int] | None
    ) -> None:
        if item.name == "NULL":
            self.epsilon(source, target, cost)
        elif item.name in self.component:  # recursive
            inside = loop if loop is not None and self._together(item.name, loop) else {}
            if item.name not in inside:
                inside[item.name] = self.state()
                self.tasks.append(
                    _Task(self.rules[item.name], inside[item.name], target, 0.0, inside)
                )
            self.epsilon(source, inside[item.name], cost)
        elif item.name != "VOID":
            self.tasks.append(_Task(self.rules[item.name], source, target, cost, loop))

    def _together(self, name: str, loop: dict[str, int]) -> bool:
        return self.component[name] == self.component[next(iter(loop))]

    def with_epsilons(self, start: int, end: int) -> Fst:
        final = np.full(self.n_states, np.inf)
        final[end] = 0.0
        return self._fst(start, self.arcs, final)

    def without_epsilons(self, start: int, end: int) -> Fst | None:
        """Return the same machine with word arcs only, or None when that takes far more arcs."""
        plain: list[list[tuple[int, float, int]]] = [[] for _ in range(self.n_states)]
        silent: list[list[tuple[float, int]]] = [[] for _ in range(self.n_states)]
        for source, label, cost, target in self.arcs:
            if label:
                plain[source].append((label, cost, target))
            else:
                silent[source].append((cost, target))
        budget = 4 * len(self.arcs) + 100_000
        arcs: list[tuple[int, int, float, int]] = []
        final = np.full(self.n_states, np.inf)
        reached, waiting = {start}, [start]
        while waiting:
            state = waiting.pop()
            for near, passed in _closure(state, silent).items():
                budget -= 1 + len(plain[near])
                if budget < 0:
                    return None
                if near == end:
                    final[state] = passed
                for label, cost, target in plain[near]:
                    arcs.append((state, label, passed + cost, target))
                    if target not in reached:
                        reached.add(target)
                        waiting.append(target)
        return self._fst(start, arcs, final)

    def _fst(self, start: int, arcs: list[tuple[int, int, float, int]], final: np.ndarray) -> Fst:
        from wfst_hmm.fst.ops import connect  # OpenFst takes a moment to load

        source, label, cost, target = zip(*arcs, strict=True) if arcs else ((), (), (), ())
        fst = Fst.from_arcs(start, source, label, label, cost, target, final,
                            self.words, self.words)  # fmt: skip
        return connect(fst)


def _closure(state: int, silent: Sequence[Sequence[tuple[float, int]]]) -> dict[int, float]:
    """Return the cheapest cost of each state that `state` reaches by epsilons, itself included."""
    if not silent[state]:
        return {state: 0.0}
    done: dict[int, float] = {}
    heap = [(0.0, state)]
    while heap:
        cost, at = heapq.heappop(heap)
        if at not in done:
            done[at] = cost
            for more, target in silent[at]:
                if target not in done:
                    heapq.heappush(heap, (cost + more, target))
    return done
