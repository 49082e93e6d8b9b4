"""The best that a lattice could do: its word sequence with the fewest errors.

In: a `Lattice` and the words that were said. Out: `Oracle`.

Public names: `Oracle`, `oracle`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.lattice.lattice import Floats, Ints, Lattice
from wfst_hmm.lattice.nbest import Hypothesis, hypothesis_of_arcs

__all__ = ["Oracle", "oracle"]

_FAR = 1 << 30


@dataclasses.dataclass(frozen=True, eq=False)
class Oracle:
    """The path of a lattice that is nearest to a reference.

    Attributes
    ----------
    hypothesis : Hypothesis
        Among the paths with the fewest errors, the cheapest.
    n_errors : int
        Substitutions, deletions and insertions.
    n_words : int
        Of the reference.
    """

    hypothesis: Hypothesis
    n_errors: int
    n_words: int


def oracle(lattice: Lattice, reference: Sequence[str]) -> Oracle | None:
    """Return the path with the fewest errors, None when the lattice has no path.

    Parameters
    ----------
    lattice : Lattice
        Raw or deterministic.
    reference : sequence of str
        Words that the lattice lacks count as errors.

    Notes
    -----
    Dynamic programming over pairs of a state and a number of reference words, as
    ``lattice-oracle`` of Kaldi does by composition.
    """
    known = {lattice.words[int(word)]: int(word) for word in np.unique(lattice.word) if word}
    wanted = np.array([known.get(word, -1) for word in reference], dtype=np.int64)
    if not lattice.n_states:
        return None
    n_errors, arcs = _nearest(
        lattice.first_arcs(), lattice.target, lattice.word, lattice.cost, lattice.final, wanted
    )
    if n_errors >= _FAR:
        return None
    return Oracle(hypothesis_of_arcs(lattice, arcs.tolist()), int(n_errors), len(wanted))


@numba.njit(cache=True, nogil=True)
def _nearest(
    first_arc: npt.NDArray[np.int64],
    target: Ints,
    word: Ints,
    cost: Floats,
    final: Floats,
    wanted: npt.NDArray[np.int64],
) -> Any:
    """Return the fewest errors and the arcs of the cheapest path that has them."""
    n_states, n = len(final), len(wanted)
    errors = np.full((n_states, n + 1), _FAR, dtype=np.int32)
    spent = np.full((n_states, n + 1), np.inf)
    into = np.full((n_states, n + 1), -1, dtype=np.int32)  # arc; -1: a deletion, or the start
    before = np.full((n_states, n + 1), -1, dtype=np.int32)  # state of the arc
    errors[0, 0] = 0
    spent[0, 0] = 0.0
    back = np.zeros((n_states, n + 1), dtype=np.int8)  # reference words that the step took
    for state in range(n_states):
        for j in range(1, n + 1):
            e, c = errors[state, j - 1] + 1, spent[state, j - 1]
            if e < errors[state, j] or (e == errors[state, j] and c < spent[state, j]):
                errors[state, j] = e
                spent[state, j] = c
                into[state, j] = -1
                before[state, j] = state
                back[state, j] = 1
        for arc in range(first_arc[state], first_arc[state + 1]):
            to, w = target[arc], word[arc]
            for j in range(n + 1):
                if errors[state, j] >= _FAR:
                    continue
                c = spent[state, j] + cost[arc]
                for took in range(2 if w and j < n else 1):
                    e = errors[state, j]
                    if took:
                        e += w != wanted[j]
                    elif w:
                        e += 1
                    k = j + took
                    if e < errors[to, k] or (e == errors[to, k] and c < spent[to, k]):
                        errors[to, k] = e
                        spent[to, k] = c
                        into[to, k] = arc
                        before[to, k] = state
                        back[to, k] = took
    fewest, least, last = _FAR, np.inf, -1
    for state in range(n_states):
        c = spent[state, n] + final[state]
        if c < np.inf and (errors[state, n] < fewest or (errors[state, n] == fewest and c < least)):
            fewest, least, last = errors[state, n], c, state
    path = np.empty(n_states + n, dtype=np.int32)
    count, state, j = 0, last, n
    while state > 0 or j > 0:
        if state < 0:
            break
        if into[state, j] >= 0:
            path[count] = into[state, j]
            count += 1
        state, j = before[state, j], j - back[state, j]
    return fewest, path[:count][::-1].copy()
