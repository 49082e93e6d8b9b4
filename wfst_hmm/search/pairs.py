"""A graph and word machines at once: composition while searching.

In: states of the graph and of the word machines. Out: a number for each pair of both that the
search meets; with these numbers in the place of the graph's states, searches do with word
machines what they do without.

Of graph ∘ machines, which is never built, only the pairs exist that some token stands in. Where
HMMs are written out in the graph, pairs live for one frame and are numbered like its tokens; where
they are expanded on the way, a unit holds on to its pair for many frames, and pairs are numbered
anew only when many are of no use any more.

Public names: `MaybePairs`, `Pairs`, `check_words`, `clear_pairs`, `find_pair`, `new_pairs`, `number_of`,
`pairs_with_room`, `renumber_pairs`.

Notes
-----
Hori, Hori, Minami & Nakamura (2007), *Efficient WFST-based one-pass decoding with on-the-fly
hypothesis rescoring in extremely large vocabulary continuous speech recognition*.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.search.prepare import plan_of

__all__ = [
    "MaybePairs", "Pairs", "check_words", "clear_pairs", "find_pair", "new_pairs", "number_of", "pairs_with_room",
    "place_of", "renumber_pairs",
]  # fmt: skip

Ints = npt.NDArray[np.int32]

_FEWEST = 256  # entries of a hash table


class Pairs(NamedTuple):
    """Pairs by number.

    Attributes
    ----------
    state : ndarray of int32, shape (n,)
        States of the graph.
    word_state : ndarray of int64, shape (n,)
        States of the word machines.
    token : ndarray of int32, shape (n,)
        Token of each pair, where there is one: as in `wfst_hmm.search.tokens.recombine`.
    table : ndarray of int32, shape (2**k,)
        A hash table of the numbers, -1 where there is none.
    counts : ndarray of uint64, shape (2,)
        How many pairs there are; one less than the entries of the table that are in use.
    """

    state: Ints
    word_state: npt.NDArray[np.int64]
    token: Ints
    table: Ints
    counts: npt.NDArray[np.uint64]


#: `Pairs`, or None where no costs of words are added: numba drops what is done with None before it
#: infers types, which mypy cannot know.
MaybePairs: TypeAlias = Any


def check_words(fst: Fst) -> None:
    """Raise a `GraphError` where words could go round an epsilon cycle."""
    on_epsilons = (fst.arcs["ilabel"] == 0) & (fst.arcs["olabel"] > 0)
    if plan_of(fst).cyclic and bool(on_epsilons.any()):
        raise GraphError(
            "words on epsilon arcs, and an epsilon cycle: they cannot be given costs",
            fix="Remove the graph's epsilons first (fst.ops.remove_epsilons).",
        )


@numba.njit(cache=True, nogil=True)
def new_pairs(room: int) -> Pairs:
    """Return room for so many pairs, a power of two."""
    return Pairs(
        np.empty(room, np.int32), np.empty(room, np.int64), np.zeros(room, np.int32),
        np.full(2 * room, -1, dtype=np.int32), np.array([0, 2 * room - 1], dtype=np.uint64),
    )  # fmt: skip


@numba.njit(nogil=True, inline="always")
def place_of(
    table: Ints,
    mask: int,
    pair_state: Ints,
    pair_word_state: npt.NDArray[np.int64],
    state: int,
    word_state: int,
) -> Any:
    """Return where in the table a pair stands, or the free place where it belongs.

    For inner loops, which have the arrays of `Pairs` at hand: written out where it is called, since
    numba counts references to every array that a call passes on.
    """
    # both halves are multiplied by odd numbers with well-mixed bits, then folded (xxHash's way)
    key = np.uint64(state) * np.uint64(0x9E3779B97F4A7C15)
    key ^= np.uint64(word_state) * np.uint64(0xC2B2AE3D27D4EB4F)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0x165667B19E3779F9)
    at = (key >> np.uint64(32)) & mask
    number = table[at]
    while number >= 0 and not (
        pair_state[number] == state and pair_word_state[number] == word_state
    ):
        at = (at + np.uint64(1)) & mask
        number = table[at]
    return at


@numba.njit(cache=True, nogil=True)
def find_pair(pairs: Pairs, state: int, word_state: int) -> Any:
    """Return the number of a pair, -1 where it has none."""
    at = place_of(pairs.table, pairs.counts[1], pairs.state, pairs.word_state, state, word_state)
    return np.int64(pairs.table[at])


@numba.njit(cache=True, nogil=True)
def number_of(pairs: Pairs, state: int, word_state: int) -> Any:
    """Return the number of a pair, a new one where it has none; there must be room for that."""
    at = place_of(pairs.table, pairs.counts[1], pairs.state, pairs.word_state, state, word_state)
    number = np.int64(pairs.table[at])
    if number < 0:
        number = np.int64(pairs.counts[0])
        pairs.table[at] = number
        pairs.state[number] = state
        pairs.word_state[number] = word_state
        pairs.counts[0] += np.uint64(1)
    return number


@numba.njit(cache=True, nogil=True)
def clear_pairs(pairs: Pairs, n_expected: int) -> Any:
    """Forget all pairs; return room for so many, of the table no more in use than they need."""
    if n_expected > len(pairs.state):
        room = len(pairs.state)
        while room < n_expected:
            room *= 2
        pairs = new_pairs(room)
    size = _FEWEST
    while size < 2 * n_expected:
        size *= 2
    size = min(size, len(pairs.table))
    pairs.table[:size] = -1
    pairs.counts[0] = 0
    pairs.counts[1] = size - 1
    return pairs


@numba.njit(cache=True, nogil=True)
def pairs_with_room(pairs: Pairs, n_more: int) -> Any:
    """Return the pairs with room for so many more, their hash table at most half full."""
    n = np.int64(pairs.counts[0])
    wanted = n + n_more
    if 2 * wanted <= np.int64(pairs.counts[1]) + 1 and wanted <= len(pairs.state):
        return pairs
    room = len(pairs.state)
    while room < wanted:
        room *= 2
    more = new_pairs(room)
    more.token[:n] = pairs.token[:n]
    for number in range(n):
        number_of(more, pairs.state[number], pairs.word_state[number])
    return more


@numba.njit(cache=True, nogil=True)
def renumber_pairs(
    pairs: Pairs, dest: npt.NDArray[np.uint32], n_items: int, state: Ints, n: int
) -> Any:
    """Drop the pairs that no one stands in; renumber the others where they are named, in place.

    `dest` names the pairs of the first `n_items` instances, `state` those of the first `n` tokens.
    """
    fresh = np.full(np.int64(pairs.counts[0]), -1, dtype=np.int32)
    left = new_pairs(len(pairs.state))
    for i in range(n_items):
        old = dest[i]
        if fresh[old] < 0:
            fresh[old] = number_of(left, pairs.state[old], pairs.word_state[old])
        dest[i] = fresh[old]
    for token in range(n):
        pair = state[token]
        if fresh[pair] < 0:
            fresh[pair] = number_of(left, pairs.state[pair], pairs.word_state[pair])
        state[token] = fresh[pair]
    return left
