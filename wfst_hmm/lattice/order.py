"""The order that lattices are in: states by frame and behind their epsilons, arcs by source.

In: links between tokens. Out: new numbers for the tokens, and the order of the links.

Public names: `in_order`.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["in_order"]

Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def in_order(
    source: Ints,
    target: Ints,
    emits: npt.NDArray[np.bool_],
    first_token: npt.NDArray[np.int64],
    n_tokens: int,
) -> tuple[Ints, npt.NDArray[np.int64]]:
    """Return the new number of each token, and the links in the order of their sources.

    Parameters
    ----------
    source, target : ndarray of int32, shape (L,)
        Tokens, numbered frame by frame.
    emits : ndarray of bool, shape (L,)
        Whether a link leads into the next frame. Those that do not form no cycles.
    first_token : ndarray of int64, shape (T + 2,)
        First token of each frame, and the number of tokens.
    n_tokens : int
    """
    depth = np.zeros(n_tokens, dtype=np.int32)  # links within the frame on the way to a token
    changed = True
    deepest = 0
    while changed:
        changed = False
        for link in range(len(source)):
            if not emits[link] and depth[target[link]] <= depth[source[link]]:
                depth[target[link]] = depth[source[link]] + 1
                deepest = max(deepest, depth[target[link]])
                changed = True
    number = np.empty(n_tokens, dtype=np.int32)
    at = np.zeros(deepest + 2, dtype=np.int64)
    for frame in range(len(first_token) - 1):
        begin, end = first_token[frame], first_token[frame + 1]
        at[:] = 0
        for token in range(begin, end):
            at[depth[token] + 1] += 1
        for level in range(deepest + 1):
            at[level + 1] += at[level]
        for token in range(begin, end):
            number[token] = begin + at[depth[token]]
            at[depth[token]] += 1
    place = np.zeros(n_tokens + 1, dtype=np.int64)
    for link in range(len(source)):
        place[number[source[link]] + 1] += 1
    for token in range(n_tokens):
        place[token + 1] += place[token]
    order = np.empty(len(source), dtype=np.int64)
    for link in range(len(source)):
        token = number[source[link]]
        order[place[token]] = link
        place[token] += 1
    return number, order
