"""Rescoring: another language model's costs in a lattice, or a grammar's words only.

In: a `Lattice` and what its word sequences should cost. Out: a `Lattice`.

Public names: `rescored`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.scorers import WordScorer

__all__ = ["rescored"]

_MAX_STATES = 2_000_000


def rescored(
    lattice: Lattice,
    new: WordScorer | None,
    *,
    old: WordScorer | None = None,
    scale: float = 1.0,
    max_states: int = _MAX_STATES,
) -> Lattice:
    """Return the lattice in which every word sequence has another cost.

    To its graph cost ``scale * new`` is added, and `old` is taken from it: exactly, for each
    sequence, as both depend on the words alone. States are split by history. Sequences that
    `new` does not accept are gone: with a grammar, this is the intersection.

    Parameters
    ----------
    lattice : Lattice
        Raw lattices are determinized first.
    new : WordScorer or None
        `NgramScorer` or `GrammarScorer`, over ``lattice.words``; None: nothing is added.
    old : WordScorer, optional
        What the graph had in it: `GrammarScorer` of its grammar.
    scale : float
        Factor on the costs of `new`.
    max_states : int

    Returns
    -------
    Lattice
        Deterministic; ``beam`` is +inf, as nothing is known of what the search left out.

    Raises
    ------
    GraphError
        `old` does not accept a word sequence of the lattice, so the graph was made with another
        one; or there would be more than `max_states` states.
    UsageError
        A scorer is for another table of words, or the scale is not finite.
    """
    for scorer in (new, old):
        if scorer is not None and scorer.words != lattice.words:
            raise UsageError("a scorer for another table of words", got=repr(scorer.words),
                             expected=repr(lattice.words))  # fmt: skip
    if not np.isfinite(scale):
        raise UsageError("the scale must be finite", where="scale", got=scale)
    if not lattice.is_deterministic:
        lattice = determinize_lattice(lattice)
    return _Expansion(lattice, new, old, scale, max_states).run()


class _Expansion:
    """States of the lattice paired with histories of both models."""

    def __init__(
        self,
        lattice: Lattice,
        new: WordScorer | None,
        old: WordScorer | None,
        scale: float,
        max_states: int,
    ) -> None:
        self.lattice, self.new, self.old = lattice, new, old
        self.scale, self.max_states = scale, max_states
        self.n_states = 0

    def run(self) -> Lattice:
        lattice = self.lattice
        first, word, target = lattice.first_arcs().tolist(), lattice.word, lattice.target
        starts = (self.new.start if self.new else 0, self.old.start if self.old else 0)
        waiting: list[dict[tuple[int, int], int]] = [{} for _ in range(lattice.n_states)]
        waiting[0][starts] = 0
        number: list[int] = []  # of each provisional number, the topological one
        arc_of: list[int] = []
        ends: list[tuple[int, int]] = []
        change: list[float] = []
        final: list[float] = []
        self.n_states = 1
        for state in range(lattice.n_states):
            for pair, here in waiting[state].items():
                number += [0] * (self.n_states - len(number))
                number[here] = len(final)
                final.append(self._end(state, pair))
                for arc in range(first[state], first[state + 1]):
                    cost, after = self._step(pair, int(word[arc]))
                    if cost == np.inf:
                        continue
                    known = waiting[target[arc]]
                    if after not in known:
                        known[after] = self._count()
                    arc_of.append(arc)
                    ends.append((here, known[after]))
                    change.append(cost)
            waiting[state] = {}
        place = np.array(number + [0] * (self.n_states - len(number)), dtype=np.int32)
        pairs = place[np.array(ends, dtype=np.int64).reshape(-1, 2)]
        return _rebuilt(lattice, np.array(arc_of, dtype=np.int64), pairs,
                        np.array(change, dtype=np.float64), np.array(final))  # fmt: skip

    def _count(self) -> int:
        if self.n_states >= self.max_states:
            raise GraphError("rescoring would make too many states",
                             got=f"{self.n_states} and more",
                             fix="Prune the lattice first, or allow more.")  # fmt: skip
        self.n_states += 1
        return self.n_states - 1

    def _step(self, pair: tuple[int, int], word: int) -> tuple[float, tuple[int, int]]:
        """Return what an arc costs more, and the histories behind it."""
        if not word:
            return 0.0, pair
        new, old = pair
        cost = 0.0
        if self.new is not None:
            added, new = self.new.step(new, word)
            if added == np.inf:
                return np.inf, pair
            cost += self.scale * added
        if self.old is not None:
            taken, old = self.old.step(old, word)
            if taken == np.inf:
                raise self._foreign(f"no way on to {self.lattice.words[word]!r}")
            cost -= taken
        return cost, (new, old)

    def _end(self, state: int, pair: tuple[int, int]) -> float:
        cost = float(self.lattice.final[state])
        if cost == np.inf:
            return cost
        if self.new is not None:
            cost += self.scale * self.new.end(pair[0])
        if self.old is not None:
            taken = self.old.end(pair[1])
            if taken == np.inf:
                raise self._foreign("no end where the lattice has one")
            cost -= taken
        return cost

    def _foreign(self, what: str) -> GraphError:
        return GraphError(f"the old language model is not the one of the graph: it has {what}",
                          fix="Name the grammar that the graph was built with.")  # fmt: skip


def _rebuilt(
    lattice: Lattice,
    arc: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int32],
    change: npt.NDArray[np.float64],
    final: npt.NDArray[np.float64],
) -> Lattice:
    """Copy arcs of the lattice, each to its new place and with its new cost."""
    order = np.lexsort((lattice.word[arc], ends[:, 1], ends[:, 0]))
    arc, ends, change = arc[order], ends[order], change[order]
    first, last = lattice.label_start[arc], lattice.label_start[arc + 1]
    starts = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int64)
    pieces: npt.NDArray[Any] = np.arange(starts[-1]) + np.repeat(first - starts[:-1], last - first)
    made = Lattice(
        ends[:, 0].copy(), ends[:, 1].copy(), lattice.word[arc], lattice.graph_cost[arc] + change,
        lattice.acoustic_cost[arc], lattice.labels[pieces], starts, final, lattice.words,
        **lattice.timing, is_deterministic=True,
    )  # fmt: skip
    return made.select(np.ones(made.n_arcs, dtype=bool))
