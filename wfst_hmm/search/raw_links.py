"""The links of the last frames of a lattice, before the first pruning.

In: the tokens and candidates of each frame. Out: the links that are still within the lattice
beam some frames later, in a `LinkStore`.

Of a hundred ways into tokens, a few are left a dozen frames later. So a frame only notes them, as
they are; then a walk back finds those that matter, and they alone are numbered and stored.

Public names: `RawLinks`, `hear`, `new_raw_links`, `note_links`, `settle_links`, `with_frame`.

Notes
-----
Povey et al. (2012), "Generating exact lattices in the WFST framework", section 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.search.links import LinkStore, prune_links
from wfst_hmm.search.tokens import grown

__all__ = ["RawLinks", "hear", "new_raw_links", "note_links", "settle_links", "with_frame"]

Ints = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.uint32]  # unsigned: numba need not ask whether an index is negative
Floats = npt.NDArray[np.float32]


class RawLinks(NamedTuple):
    """Links by the frame that they lead to, tokens numbered within their frames.

    Attributes
    ----------
    source, target : ndarray of uint32
        Tokens: of the frame before and of the frame; epsilon links are within the frame.
    arc : ndarray of int32
        Arc of the graph.
    excess : ndarray of float32
        Nats above the best way into the target.
    first_link, first_epsilon, first_token : ndarray of int64
        Where the links into each frame begin, where the epsilon links among them, and how many
        tokens the frames before have.
    counts : ndarray of int64, shape (2,)
        Links, frames.
    """

    source: Numbers
    target: Numbers
    arc: Ints
    excess: Floats
    first_link: npt.NDArray[np.int64]
    first_epsilon: npt.NDArray[np.int64]
    first_token: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def new_raw_links() -> RawLinks:
    """Return room without links."""
    room = 1024
    return RawLinks(
        np.empty(room, np.uint32), np.empty(room, np.uint32), np.empty(room, np.int32),
        np.empty(room, np.float32), np.zeros(room, np.int64), np.zeros(room, np.int64),
        np.zeros(room, np.int64), np.zeros(2, np.int64),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def with_frame(raw: RawLinks, n_tokens: int, n_links: int) -> Any:
    """Begin a frame of so many tokens, with room for so many links and one more."""
    at, frame = raw.counts[0], raw.counts[1]
    most = at + n_links + 1
    first_link, first_epsilon, first_token = raw.first_link, raw.first_epsilon, raw.first_token
    if frame + 2 > len(first_link):
        first_link = grown(first_link, frame + 1, frame + 2)
        first_epsilon = grown(first_epsilon, frame + 1, frame + 2)
        first_token = grown(first_token, frame + 1, frame + 2)
    first_link[frame] = at
    first_token[frame + 1] = first_token[frame] + n_tokens
    raw.counts[1] = frame + 1
    return RawLinks(
        grown(raw.source, at, most), grown(raw.target, at, most), grown(raw.arc, at, most),
        grown(raw.excess, at, most), first_link, first_epsilon, first_token, raw.counts,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def note_links(
    raw: RawLinks,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    expanded: Floats,
    limit: float,
    slot: Ints,
    n: int,
    state: Ints,
    cost: Floats,
    n_candidates: int,
    c_cost: Floats,
    c_target: Ints,
    c_arc: Ints,
    c_token: Ints,
    place: Ints,
) -> Any:
    """Note the links into the `n` tokens of a frame.

    `expanded` is finite for tokens that have epsilon arcs, as `wfst_hmm.search.tokens.close`
    leaves it; `c_target` is the token that each candidate reached, `c_token` the one that it
    left, and `place` its number within the frame before.
    """
    n_silent = 0
    for token in range(np.uint32(n)):
        if expanded[token] < np.inf:
            n_silent += states[state[token]].n_input_eps
    raw = with_frame(raw, n, n_candidates + n_silent)
    source, target, arc, excess = raw.source, raw.target, raw.arc, raw.excess
    frame = raw.counts[1] - 1
    at = np.uint64(raw.counts[0])
    zero = np.float32(0)
    for candidate in range(np.uint64(n_candidates)):
        token = np.uint32(c_target[candidate])
        source[at] = place[np.uint32(c_token[candidate])]
        target[at] = token
        arc[at] = c_arc[candidate]
        excess[at] = max(c_cost[candidate] - cost[token], zero)
        at += np.uint64(1)
    raw.first_epsilon[frame] = at
    for token in range(np.uint32(n)):
        if expanded[token] == np.inf:
            continue
        row = states[state[token]]
        for which in range(row.pos, row.pos + row.n_input_eps):
            new = cost[token] + arcs[which].weight
            reached = arcs[which].nextstate
            other = slot[reached]
            if new > limit or not (0 <= other < n and state[other] == reached) or other == token:
                continue
            source[at] = token
            target[at] = other
            arc[at] = which
            excess[at] = max(new - cost[other], zero)
            at += np.uint64(1)
    raw.first_link[frame + 1] = at
    raw.counts[0] = at
    return raw


@numba.njit(cache=True, nogil=True)
def settle_links(store: LinkStore, raw: RawLinks, lattice_beam: float) -> Any:
    """Move the links within the lattice beam to the store, which is pruned; `raw` is empty then.

    All tokens of the last frame count as the best of it.
    """
    source, target, excess = raw.source, raw.target, raw.excess
    n_frames = raw.counts[1]
    beam = np.float32(lattice_beam)
    last = store.counts[2] - 1
    first = store.first_token[last] if last >= 0 else 0
    n_before = store.counts[1] - first
    n_tokens = raw.first_token[n_frames]
    extra = np.full(n_before + n_tokens, np.inf, dtype=np.float32)  # the store's last frame first
    extra[n_before + raw.first_token[n_frames - 1] :] = 0.0
    alive = np.empty(raw.counts[0] + 1, dtype=np.uint32)
    borders = np.empty((n_frames, 3), dtype=np.int64)
    m = np.uint64(0)
    for frame in range(n_frames - 1, -1, -1):
        here = np.uint64(n_before + raw.first_token[frame])
        there = np.uint64(n_before + raw.first_token[frame - 1] if frame else 0)
        begin, silent = np.uint64(raw.first_link[frame]), np.uint64(raw.first_epsilon[frame])
        end = np.uint64(raw.first_link[frame + 1])
        changed = end > silent
        while changed:  # epsilon links: back and forth until nothing changes
            changed = False
            for back in range(end - silent):
                link = end - np.uint64(1) - back
                through = extra[here + target[link]] + excess[link]
                if through <= beam and through < extra[here + source[link]]:
                    extra[here + source[link]] = through
                    changed = True
        borders[frame, 0] = m
        for link in range(begin, silent):
            through = extra[here + target[link]] + excess[link]
            if through <= beam:
                alive[m] = link
                m += np.uint64(1)
                if through < extra[there + source[link]]:
                    extra[there + source[link]] = through
        borders[frame, 1] = m
        for link in range(silent, end):
            alive[m] = link
            m += np.uint64(extra[here + target[link]] + excess[link] <= beam)
        borders[frame, 2] = m
    number = np.arange(first, first + n_before + n_tokens).astype(np.int32)
    if last >= 0:
        store.extra[first : first + n_before] = extra[:n_before]
        prune_links(store, lattice_beam, number[:n_before], n_before, False)
    return _stored(store, raw, beam, extra, number, n_before, alive, borders, m)


@numba.njit(cache=True, nogil=True)
def _stored(
    store: LinkStore,
    raw: RawLinks,
    beam: float,
    extra: Floats,
    number: Ints,
    n_before: int,
    alive: Numbers,
    borders: npt.NDArray[np.int64],
    n_alive: int,
) -> LinkStore:
    """Append what is alive, and renumber its tokens."""
    n_frames = raw.counts[1]
    at, kept, begun = store.counts[0], store.counts[1], store.counts[2]
    source, target = grown(store.source, at, at + n_alive), grown(store.target, at, at + n_alive)
    arc, excess = grown(store.arc, at, at + n_alive), grown(store.excess, at, at + n_alive)
    acoustic = grown(store.acoustic, at, at + n_alive)
    lasting = grown(store.extra, kept, kept + raw.first_token[n_frames] + 1)
    first_link = grown(store.first_link, begun + 1, begun + n_frames + 1)
    first_epsilon = grown(store.first_epsilon, begun + 1, begun + n_frames + 1)
    first_token = grown(store.first_token, begun + 1, begun + n_frames + 1)
    for frame in range(n_frames):
        here = n_before + raw.first_token[frame]
        there = n_before + raw.first_token[frame - 1] if frame else 0
        first_token[begun + frame] = kept
        for token in range(here, n_before + raw.first_token[frame + 1]):
            number[token] = kept
            lasting[kept] = extra[token]
            kept += extra[token] <= beam
        for part in range(2):
            (first_epsilon if part else first_link)[begun + frame] = at
            for which in range(borders[frame, part], borders[frame, part + 1]):
                link = alive[which]
                source[at] = number[(here if part else there) + raw.source[link]]
                target[at] = number[here + raw.target[link]]
                arc[at] = raw.arc[link]
                excess[at] = raw.excess[link]
                acoustic[at] = 0.0
                at += 1
    first_link[begun + n_frames] = at
    first_token[begun + n_frames] = kept
    store.counts[0], store.counts[1], store.counts[2] = at, kept, begun + n_frames
    store.counts[3] = begun + n_frames - 1
    raw.counts[:] = 0
    return LinkStore(source, target, arc, excess, acoustic, lasting,
                     first_link, first_epsilon, first_token, store.counts)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def hear(
    store: LinkStore,
    arcs: npt.NDArray[Any],
    scores: Floats,
    columns: Ints,
    scale: float,
    n_frames: int,
) -> None:
    """Fill in the acoustic costs of the last frames' links; `scores` ends with the last of them."""
    begun = store.counts[2] - n_frames
    for frame in range(begun, store.counts[2]):
        row = scores[len(scores) - n_frames + frame - begun]
        for link in range(store.first_link[frame], store.first_epsilon[frame]):
            column = columns[arcs[store.arc[link]].ilabel - 1]
            store.acoustic[link] = -scale * row[column]
