"""What language models and grammars say of word sequences, word by word.

In: an n-gram model, or any grammar transducer. Out: `WordScorer`s that rescoring follows from
state to state.

Public names: `GrammarScorer`, `NgramScorer`, `WordScorer`.

Notes
-----
The two differ in what backing off means. `NgramScorer` is the model itself: a listed n-gram is
never passed by. `GrammarScorer` is the transducer as a decoding graph has it, where ``#0`` became
an epsilon and the cheapest way counts; to take out what a graph put in, use this one.
"""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.ngram import NgramModel, is_reserved
from wfst_hmm.graph.word_machine import WordMachine, ngram_machine

__all__ = ["GrammarScorer", "NgramScorer", "WordScorer"]


class WordScorer(Protocol):
    """A deterministic machine over the words of one table, its states numbered as they come.

    Attributes
    ----------
    start : int
    words : Symbols
        What the words are numbered by.
    """

    start: int
    words: Symbols

    def step(self, state: int, word: int) -> tuple[float, int]:
        """Return the cost of a word in nats (+inf: not accepted) and the next state."""

    def end(self, state: int) -> float:
        """Return the cost of ending."""


class NgramScorer:
    """An n-gram model: ``-log p(word | history)``, and that of ``</s>`` at the end.

    Parameters
    ----------
    model : NgramModel
    words : Symbols
        Of the lattice. Those that the model lacks count as its ``<unk>`` where it has one.
    unknown_cost : float
        Nats for a word that the model lacks, when it has no ``<unk>`` either.

    Attributes
    ----------
    unknown : tuple of str
        Words of the table that the model lacks.

    Raises
    ------
    GraphError
        The model has no ``</s>``.
    """

    def __init__(
        self, model: NgramModel, words: Symbols, *, unknown_cost: float = float("inf")
    ) -> None:
        self._machine: WordMachine = ngram_machine(model, words, unknown_cost=unknown_cost)
        self._known: dict[tuple[int, int], tuple[float, int]] = {}
        self.words = words
        self.start = self._machine.start
        self.unknown = tuple(word for word in self._machine.unknown if not is_reserved(word))

    def step(self, state: int, word: int) -> tuple[float, int]:
        """Return ``-log p(word | history)`` and the next history."""
        found = self._known.get((state, word))
        if found is None:
            found = self._known[state, word] = self._machine.step(state, word)
        return found

    def end(self, state: int) -> float:
        """Return ``-log p(</s> | history)``."""
        return float(self._machine.final[state])


class GrammarScorer:
    """A grammar transducer, determinized over words as far as the words lead.

    Parameters
    ----------
    grammar : Fst
        Its input labels are words; ``<eps>`` and ``#0``, ``#1`` ... are free to take. Without
        symbols they are numbers of `words`.
    words : Symbols
        Of the lattice.

    Raises
    ------
    GraphError
        An epsilon cycle of negative cost.

    Notes
    -----
    Mohri (1997), "Finite-state transducers in language and speech processing": weighted subset
    construction on demand. States that are reached no cheaper than by epsilons from others are
    left out of the subsets, so that with backoff there is mostly one history in each.
    """

    def __init__(self, grammar: Fst, words: Symbols) -> None:
        self.words = words
        table = grammar.isymbols
        self._label = [
            (table.id(word) if word in table else -1) if table is not None else number
            for number, word in enumerate(words)
        ]
        silent = [i for i, symbol in enumerate(table or ()) if is_reserved(symbol)] or [0]
        self._silent = frozenset(silent)
        self._grammar = grammar
        self._arcs: dict[int, tuple[list[tuple[float, int]], dict[int, list[tuple[float, int]]]]]
        self._arcs = {}
        self._number: dict[tuple[tuple[int, float], ...], int] = {}
        self._subsets: list[dict[int, float]] = []
        self._known: dict[tuple[int, int], tuple[float, int]] = {}
        # what epsilons at the start cost less than nothing is charged at the end
        self._begin, self.start = self._subset({grammar.start: 0.0} if grammar.n_states else {})

    def step(self, state: int, word: int) -> tuple[float, int]:
        """Return the cheapest way on from all that the words so far may have led to."""
        found = self._known.get((state, word))
        if found is None:
            label = self._label[word]
            reached: dict[int, float] = {}
            for at, cost in self._subsets[state].items() if label >= 0 else ():
                for weight, target in self._leaving(at)[1].get(label, ()):
                    reached[target] = min(reached.get(target, np.inf), cost + weight)
            found = self._known[state, word] = self._subset(reached)
        return found

    def end(self, state: int) -> float:
        """Return the cheapest final cost; +inf where no sentence ends."""
        final = self._grammar.states["final"]
        ways = (cost + float(final[at]) for at, cost in self._subsets[state].items())
        return self._begin + min(ways, default=np.inf)

    def _leaving(
        self, state: int
    ) -> tuple[list[tuple[float, int]], dict[int, list[tuple[float, int]]]]:
        """Return the epsilons of a state, and its other arcs by label."""
        found = self._arcs.get(state)
        if found is None:
            silent: list[tuple[float, int]] = []
            spoken: dict[int, list[tuple[float, int]]] = {}
            for label, _, weight, target in self._grammar.arcs_of(state).tolist():
                if label in self._silent:
                    silent.append((weight, target))
                else:
                    spoken.setdefault(label, []).append((weight, target))
            found = self._arcs[state] = silent, spoken
        return found

    def _subset(self, reached: dict[int, float]) -> tuple[float, int]:
        """Close over epsilons; return the least cost and the number of what is beyond it."""
        closed = self._closed(reached)
        best = min(closed.values(), default=np.inf)
        if best == np.inf:
            return np.inf, self._numbered((), {})
        kernel = tuple(sorted(
            (state, round(cost - best, 6)) for state, cost in reached.items()
            if cost <= closed[state]
        ))  # fmt: skip
        return best, self._numbered(kernel, {s: cost - best for s, cost in closed.items()})

    def _numbered(self, kernel: tuple[tuple[int, float], ...], closed: dict[int, float]) -> int:
        if kernel not in self._number:
            self._number[kernel] = len(self._subsets)
            self._subsets.append(closed)
        return self._number[kernel]

    def _closed(self, reached: dict[int, float]) -> dict[int, float]:
        """Follow epsilons; costs may be negative, so that a state may be left again."""
        closed = dict(reached)
        queue = [(cost, state) for state, cost in reached.items()]
        heapq.heapify(queue)
        n_left = 0
        while queue:
            cost, state = heapq.heappop(queue)
            if cost > closed[state]:
                continue
            n_left += 1
            if n_left > 100 * (len(closed) + 100):
                raise GraphError("an epsilon cycle of negative cost in the grammar",
                                 got=f"through state {state}")  # fmt: skip
            for weight, target in self._leaving(state)[0]:
                if cost + weight < closed.get(target, np.inf):
                    closed[target] = cost + weight
                    heapq.heappush(queue, (cost + weight, target))
        return closed
