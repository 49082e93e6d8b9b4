"""What a lattice is made from: the links between tokens, kept while the beam search runs.

In: the tokens and candidates of each frame. Out: links within the lattice beam, pruned from
time to time so that memory follows the lattice and not the search.

A link remembers by how many nats it is worse than the best way into its token (its *excess*).
The *extra cost* of a token is how much worse than the best path from there on the best complete
path through it is: the least sum of excesses on the way to the last frame. Links and tokens
with more than the lattice beam can go.

Public names: `LinkStore`, `new_links`, `record_links`, `prune_links`.

Notes
-----
Povey et al. (2012), "Generating exact lattices in the WFST framework", section 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.tokens import grown

__all__ = ["LinkStore", "new_links", "prune_links", "record_links"]


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
def record_links(
    store: LinkStore,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    lattice_beam: float,
    limit: float,
    slot: npt.NDArray[np.int32],
    n: int,
    state: npt.NDArray[np.int32],
    cost: npt.NDArray[np.float32],
    n_candidates: int,
    c_cost: npt.NDArray[np.float32],
    c_target: npt.NDArray[np.int32],
    c_arc: npt.NDArray[np.int32],
    c_token: npt.NDArray[np.int32],
    history: npt.NDArray[np.int32],
    acoustic: npt.NDArray[np.float32],
) -> LinkStore:
    """Begin a frame: number its `n` tokens and keep the links into them.

    `c_target` is the token that each candidate reached, -1 for none; `history` the numbers of
    the tokens of the frame before.
    """
    source, target, arc = store.source, store.target, store.arc
    excess, spoken, extra = store.excess, store.acoustic, store.extra
    first_link, first_epsilon, first_token = (
        store.first_link, store.first_epsilon, store.first_token
    )  # fmt: skip
    n_links, base, frame = store.counts[0], store.counts[1], store.counts[2]
    if frame + 2 > len(first_link):
        first_link = grown(first_link, frame, frame + 2)
        first_epsilon = grown(first_epsilon, frame, frame + 2)
        first_token = grown(first_token, frame, frame + 2)
    if base + n > len(extra):
        extra = grown(extra, base, base + n)
    extra[base : base + n] = 0.0
    first_link[frame] = n_links
    first_token[frame] = base
    if n_links + n_candidates > len(source):
        most = n_links + n_candidates
        source = grown(source, n_links, most)
        target = grown(target, n_links, most)
        arc = grown(arc, n_links, most)
        excess = grown(excess, n_links, most)
        spoken = grown(spoken, n_links, most)
    for candidate in range(n_candidates):
        token = c_target[candidate]
        if token < 0:
            continue
        above = c_cost[candidate] - cost[token]
        if above <= lattice_beam:
            source[n_links] = history[c_token[candidate]]
            target[n_links] = base + token
            arc[n_links] = c_arc[candidate]
            excess[n_links] = max(above, np.float32(0))
            spoken[n_links] = acoustic[arcs[c_arc[candidate]].ilabel]
            n_links += 1
    first_epsilon[frame] = n_links
    for token in range(n):
        number = state[token]
        if not has_epsilon[number >> 3] & (1 << (number & 7)):
            continue
        first = states[number].pos
        most = n_links + states[number].n_input_eps
        if most > len(source):
            source = grown(source, n_links, most)
            target = grown(target, n_links, most)
            arc = grown(arc, n_links, most)
            excess = grown(excess, n_links, most)
            spoken = grown(spoken, n_links, most)
        for which in range(first, first + states[number].n_input_eps):
            new = cost[token] + arcs[which].weight
            other = slot[arcs[which].nextstate]
            if new > limit or not (0 <= other < n and state[other] == arcs[which].nextstate):
                continue
            above = new - cost[other]
            if above <= lattice_beam and other != token:
                source[n_links] = base + token
                target[n_links] = base + other
                arc[n_links] = which
                excess[n_links] = max(above, np.float32(0))
                spoken[n_links] = 0.0
                n_links += 1
    store.counts[0] = n_links
    store.counts[1] = base + n
    store.counts[2] = frame + 1
    first_link[frame + 1] = n_links
    first_token[frame + 1] = base + n
    return LinkStore(source, target, arc, excess, spoken, extra,
                     first_link, first_epsilon, first_token, store.counts)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def prune_links(
    store: LinkStore, lattice_beam: float, history: npt.NDArray[np.int32], n: int, everything: bool
) -> None:
    """Drop tokens and links beyond the lattice beam, and renumber what stays.

    The extra costs of the last frame's tokens are the caller's (0 while the search runs);
    `history` (its tokens' numbers) is renumbered. Unless `everything` is set, frames whose
    extra costs stay as they were end the walk back.
    """
    source, target, excess, extra = store.source, store.target, store.excess, store.extra
    first_link, first_epsilon, first_token = (
        store.first_link, store.first_epsilon, store.first_token
    )  # fmt: skip
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
                if through <= lattice_beam and through < extra[source[link]]:
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
        for link in range(first_link[frame], first_epsilon[frame]):
            through = extra[target[link]] + excess[link]
            if through <= lattice_beam and through < extra[source[link]]:
                extra[source[link]] = through
        frame -= 1
    _compact(store, lattice_beam, frame, last, history, n, everything)
    store.counts[3] = last


@numba.njit(cache=True, nogil=True)
def _compact(
    store: LinkStore,
    lattice_beam: float,
    frame: int,
    last: int,
    history: npt.NDArray[np.int32],
    n: int,
    everything: bool,
) -> None:
    """Close the gaps from `frame` on; its own tokens keep their numbers unless it is the first."""
    source, target, arc = store.source, store.target, store.arc
    excess, spoken, extra = store.excess, store.acoustic, store.extra
    first_link, first_epsilon, first_token = (
        store.first_link, store.first_epsilon, store.first_token
    )  # fmt: skip
    begin = first_token[frame] if frame == 0 else first_token[frame + 1]
    start_frame = 0 if frame == 0 else frame + 1
    n_tokens = store.counts[1]
    number = np.empty(n_tokens - begin, dtype=np.int32)
    kept = begin
    link_at = first_link[start_frame]
    for f in range(start_frame, last + 1):
        old_begin, old_end = first_token[f], first_token[f + 1]
        new_begin = kept
        for token in range(old_begin, old_end):
            # all tokens of the last frame stay while the search goes on
            if extra[token] <= lattice_beam or (f == last and not everything):
                number[token - begin] = kept
                extra[kept] = extra[token]
                kept += 1
            else:
                number[token - begin] = -1
        first_token[f] = new_begin
        links_from, links_to = first_link[f], first_link[f + 1]
        epsilons_from = first_epsilon[f]
        first_link[f] = link_at
        for link in range(links_from, links_to):
            if link == epsilons_from:
                first_epsilon[f] = link_at
            to = number[target[link] - begin]
            whence = source[link]
            if whence >= begin:
                whence = number[whence - begin]
            if to < 0 or whence < 0:
                continue
            if extra[to] + excess[link] <= lattice_beam:
                source[link_at] = whence
                target[link_at] = to
                arc[link_at] = arc[link]
                excess[link_at] = excess[link]
                spoken[link_at] = spoken[link]
                link_at += 1
        if epsilons_from == links_to:
            first_epsilon[f] = link_at
        # the borders of the next frame are still the old ones; they are set in its turn
        if f == last:
            first_link[f + 1] = link_at
            first_token[f + 1] = kept
    for token in range(n):
        history[token] = (
            number[history[token] - begin] if history[token] >= begin else history[token]
        )
    store.counts[0] = link_at
    store.counts[1] = kept
