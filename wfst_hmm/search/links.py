"""What a lattice is made from: the links between tokens, kept while the beam search runs.

In: the tokens and candidates of each frame. Out: links within the lattice beam, pruned from
time to time so that memory follows the lattice and not the search.

A link remembers by how many nats it is worse than the best way into its token (its *excess*).
The *extra cost* of a token is how much worse than the best path from there on the best complete
path through it is: the least sum of excesses on the way to the last frame. Links and tokens
with more than the lattice beam can go.

Public names: `LinkStore`, `new_links`, `prune_links`.

Notes
-----
Povey et al. (2012), "Generating exact lattices in the WFST framework", section 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["LinkStore", "new_links", "prune_links"]


class LinkStore(NamedTuple):
    """Links by the frame that they lead to, tokens numbered through all frames.

    Attributes
    ----------
    source, target : ndarray of int32
        Token numbers.
    arc : ndarray of int32
        Arc of the graph.
    excess : ndarray of float32
        Nats above the best way into the target.
    acoustic : ndarray of float32
        Acoustic cost of the arc in its frame; 0 on epsilons.
    extra : ndarray of float32
        Extra cost of every token, as of the last pruning.
    first_link, first_epsilon, first_token : ndarray of int64
        Where the links into each frame begin, where the epsilon links among them, and the
        number of the frame's first token.
    counts : ndarray of int64, shape (4,)
        Links, tokens, frames begun, last frame that was pruned.
    """

    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    arc: npt.NDArray[np.int32]
    excess: npt.NDArray[np.float32]
    acoustic: npt.NDArray[np.float32]
    extra: npt.NDArray[np.float32]
    first_link: npt.NDArray[np.int64]
    first_epsilon: npt.NDArray[np.int64]
    first_token: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def new_links() -> LinkStore:
    """Return an empty store."""
    room = 1024
    return LinkStore(
        np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32),
        np.empty(room, np.float32), np.empty(room, np.float32), np.empty(room, np.float32),
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64),
        np.zeros(4, np.int64),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def prune_links(
    store: LinkStore, lattice_beam: float, history: npt.NDArray[np.int32], n: int, everything: bool
) -> None:
    """Drop tokens and links beyond the lattice beam, and renumber what stays.

    The extra costs of the last frame's tokens are the caller's; `history` (its tokens' numbers)
    is renumbered, -1 for those that went. Unless `everything` is set, frames whose
    extra costs stay as they were end the walk back.
    """
    # unsigned: numba need not ask whether an index is negative
    source, target = store.source.view(np.uint32), store.target.view(np.uint32)
    excess, extra = store.excess, store.extra
    first_link, first_epsilon, first_token = (
        store.first_link, store.first_epsilon, store.first_token
    )  # fmt: skip
    beam = np.float32(lattice_beam)
    last = store.counts[2] - 1
    pruned_before = store.counts[3]
    tolerance = 0.0 if everything else 0.05 * lattice_beam
    before = np.empty(0, dtype=np.float32)
    frame = last
    while True:
        changed = True
        while changed:  # epsilon links: back and forth until nothing changes
            changed = False
            for link in range(first_link[frame + 1] - 1, first_epsilon[frame] - 1, -1):
                through = extra[target[link]] + excess[link]
                if through <= beam and through < extra[source[link]]:
                    extra[source[link]] = through
                    changed = True
        if frame < last and not everything and frame <= pruned_before:
            moved = np.float32(0.0)
            for token in range(first_token[frame], first_token[frame + 1]):
                old = before[token - first_token[frame]]
                if extra[token] != old:
                    moved = max(moved, abs(extra[token] - old))
            if moved <= tolerance:
                break
        if frame == 0:
            break
        begin = first_token[frame - 1]
        before = extra[begin : first_token[frame]].copy()
        extra[begin : first_token[frame]] = np.inf
        for link in range(np.uint64(first_link[frame]), np.uint64(first_epsilon[frame])):
            through = extra[target[link]] + excess[link]
            if through <= beam and through < extra[source[link]]:
                extra[source[link]] = through
        frame -= 1
    _compact(store, lattice_beam, frame, last, history, n)
    store.counts[3] = last


@numba.njit(cache=True, nogil=True)
def _compact(
    store: LinkStore,
    lattice_beam: float,
    frame: int,
    last: int,
    history: npt.NDArray[np.int32],
    n: int,
) -> None:
    """Close the gaps from `frame` on; its own tokens keep their numbers unless it is the first."""
    source, target, arc = store.source.view(np.uint32), store.target.view(np.uint32), store.arc
    excess, spoken, extra = store.excess, store.acoustic, store.extra
    first_link, first_epsilon, first_token = (
        store.first_link, store.first_epsilon, store.first_token
    )  # fmt: skip
    start_frame = 0 if frame == 0 else frame + 1
    known = np.uint32(first_token[frame])  # the tokens of `frame` itself are sources
    begin = first_token[start_frame]
    n_tokens = store.counts[1]
    number = np.empty(n_tokens - known, dtype=np.int32)
    for token in range(known, begin):
        number[token - known] = token
    beam = np.float32(lattice_beam)
    kept = begin
    link_at = np.uint64(first_link[start_frame])
    for f in range(start_frame, last + 1):
        old_begin, old_end = first_token[f], first_token[f + 1]
        new_begin = kept
        for token in range(old_begin, old_end):
            lives = extra[token] <= beam
            number[token - known] = kept if lives else -1
            extra[kept] = extra[token]
            kept += lives
        first_token[f] = new_begin
        borders = (first_link[f], first_epsilon[f], first_link[f + 1])
        first_link[f] = link_at
        for part in range(2):
            if part:
                first_epsilon[f] = link_at
            for link in range(np.uint64(borders[part]), np.uint64(borders[part + 1])):
                # moved first, counted if it stays: no branch, which nobody could predict
                to, whence = number[target[link] - known], number[source[link] - known]
                above = excess[link]
                source[link_at] = whence
                target[link_at] = to
                arc[link_at] = arc[link]
                excess[link_at] = above
                spoken[link_at] = spoken[link]
                link_at += np.uint64(
                    (to >= 0) & (whence >= 0) & (extra[max(to, 0)] + above <= beam)
                )
        # the borders of the next frame are still the old ones; they are set in its turn
        if f == last:
            first_link[f + 1] = link_at
            first_token[f + 1] = kept
    for token in range(n):
        history[token] = (
            number[history[token] - known] if history[token] >= known else history[token]
        )
    store.counts[0] = link_at
    store.counts[1] = kept
