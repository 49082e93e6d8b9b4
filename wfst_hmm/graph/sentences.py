"""Shortest sentences of a grammar, and how far a lexicon transducer follows them.

In: a grammar's `Fst`, a lexicon's `Fst`. Out: words.

Public names: `shortest_sentence`, `n_spelled`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

import numpy as np

from wfst_hmm.fst.arrays import Fst

__all__ = ["n_spelled", "shortest_sentence"]


def shortest_sentence(
    fst: Fst, *, through: Collection[int] = (), silent: Collection[int] = (0,)
) -> list[int] | None:
    """Return the input labels of a path with the fewest words, those of `silent` included.

    Parameters
    ----------
    fst : Fst
    through : collection of int
        Labels of which the sentence must hold at least one; with none, any sentence will do.
    silent : collection of int
        Labels that are no words: epsilon, ``#0``. Epsilons are left out of the result.

    Returns
    -------
    list of int or None
        None when there is no such sentence.
    """
    if fst.start < 0:
        return None
    wanted = np.asarray(sorted(through))
    first = (fst.start, not through)
    length = {first: 0}
    ways: dict[tuple[int, bool], tuple[tuple[int, bool], int]] = {}
    queue = deque([(first, 0)])
    while queue:
        at, n_words = queue.popleft()
        if length[at] < n_words:
            continue
        if at[1] and np.isfinite(fst.states["final"][at[0]]):
            return _labels_to(at, ways)
        arcs = fst.arcs_of(at[0])
        passed = np.isin(arcs["ilabel"], wanted) | at[1]
        for label, target, done in zip(
            arcs["ilabel"].tolist(), arcs["nextstate"].tolist(), passed.tolist(), strict=True
        ):
            following = (target, done)
            more = n_words + (label not in silent)
            if more < length.get(following, more + 1):
                length[following], ways[following] = more, (at, label)
                (queue.append if more > n_words else queue.appendleft)((following, more))
    return None


def _labels_to(
    at: tuple[int, bool], ways: dict[tuple[int, bool], tuple[tuple[int, bool], int]]
) -> list[int]:
    labels = []
    while at in ways:
        at, label = ways[at]
        if label:
            labels.append(label)
    return labels[::-1]


def n_spelled(lexicon: Fst, labels: Sequence[int]) -> int:
    """Return how many of `labels` some path of `lexicon` from its start writes, one by one.

    Returns ``len(labels) + 1`` when such a path also ends in a final state.
    """
    here = _silently(lexicon, {lexicon.start} if lexicon.n_states else set())
    for number, label in enumerate(labels):
        following: set[int] = set()
        for state in here:
            arcs = lexicon.arcs_of(state)
            following.update(arcs["nextstate"][arcs["olabel"] == label].tolist())
        if not following:
            return number
        here = _silently(lexicon, following)
    ends = any(np.isfinite(lexicon.states["final"][state]) for state in here)
    return len(labels) + ends


def _silently(fst: Fst, states: set[int]) -> set[int]:
    reached, waiting = set(states), list(states)
    while waiting:
        arcs = fst.arcs_of(waiting.pop())
        for target in arcs["nextstate"][arcs["olabel"] == 0].tolist():
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached
