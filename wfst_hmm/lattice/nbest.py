"""The cheapest hypotheses of a lattice, in order.

In: a `Lattice`. Out: `Hypothesis` values with words, split costs and state labels.

Public names: `Hypothesis`, `n_best`, `best_hypothesis`, `hypothesis_of_arcs`.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from wfst_hmm.errors import UsageError
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Ints, Lattice

__all__ = ["Hypothesis", "best_hypothesis", "hypothesis_of_arcs", "n_best"]


@dataclasses.dataclass(frozen=True, eq=False)
class Hypothesis:
    """One path through a lattice.

    Attributes
    ----------
    words : tuple of str
    graph_cost, acoustic_cost : float
        Nats.
    labels : ndarray of int32, shape (T,)
        State label of each frame.
    word_frames : tuple of int
        For each word, the number of frames before the arc that carries it.
    """

    words: tuple[str, ...]
    graph_cost: float
    acoustic_cost: float
    labels: Ints
    word_frames: tuple[int, ...]

    @property
    def total_cost(self) -> float:
        """Graph and acoustic cost together, nats."""
        return self.graph_cost + self.acoustic_cost


def n_best(lattice: Lattice, n: int) -> list[Hypothesis]:
    """Return the `n` cheapest distinct word sequences, cheapest first; fewer if there are fewer.

    A raw lattice is determinized first, so that no word sequence comes twice.
    """
    if n < 1:
        raise UsageError("the number of hypotheses must be positive", where="n", got=n)
    if not lattice.is_deterministic:
        lattice = determinize_lattice(lattice)
    return list(islice(_in_order(lattice), n))


def best_hypothesis(lattice: Lattice) -> Hypothesis | None:
    """Return the cheapest path of any lattice, None when it has none."""
    return next(_in_order(lattice), None)


def _in_order(lattice: Lattice) -> Iterator[Hypothesis]:
    """Search by the cost so far plus the exact cost of the rest: each pop is on a best path.

    A* (Hart, Nilsson & Raphael 1968) with a perfect heuristic, the backward costs.
    """
    backward, cost, first = lattice.backward(), lattice.cost, lattice.first_arcs()
    if not lattice.n_states or backward[0] == np.inf:
        return
    # arcs of the path as linked pairs (arc, rest); -1 stands for "ends here"
    queue: list[tuple[float, int, float, int, tuple[int, object] | None]] = []
    ticket = 0
    heapq.heappush(queue, (float(backward[0]), ticket, 0.0, 0, None))
    while queue:
        _, _, so_far, state, path = heapq.heappop(queue)
        if state < 0:
            yield _hypothesis(lattice, path)
            continue
        if lattice.final[state] < np.inf:
            ticket += 1
            total = so_far + float(lattice.final[state])
            heapq.heappush(queue, (total, ticket, total, -1, path))
        for arc in range(first[state], first[state + 1]):
            target = int(lattice.target[arc])
            rest = float(backward[target])
            if rest < np.inf:
                ticket += 1
                reached = so_far + float(cost[arc])
                heapq.heappush(queue, (reached + rest, ticket, reached, target, (arc, path)))


def _hypothesis(lattice: Lattice, path: tuple[int, object] | None) -> Hypothesis:
    arcs: list[int] = []
    while path is not None:
        arc, path = path  # type: ignore[assignment]
        arcs.append(arc)
    arcs.reverse()
    return hypothesis_of_arcs(lattice, arcs)


def hypothesis_of_arcs(lattice: Lattice, arcs: Sequence[int]) -> Hypothesis:
    """Return what a path from the start to a final state says and costs."""
    last = int(lattice.target[arcs[-1]]) if arcs else 0
    words, word_frames, n_frames = [], [], 0
    for arc in arcs:
        if lattice.word[arc]:
            words.append(lattice.words[int(lattice.word[arc])])
            word_frames.append(n_frames)
        n_frames += len(lattice.labels_of(arc))
    rows = np.array(arcs, dtype=np.int64)
    return Hypothesis(
        tuple(words),
        float(lattice.graph_cost[rows].sum() + lattice.final[last]),
        float(lattice.acoustic_cost[rows].sum()),
        np.concatenate([np.zeros(0, np.int32), *(lattice.labels_of(arc) for arc in arcs)]),
        tuple(word_frames),
    )
