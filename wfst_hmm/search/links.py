"""What a lattice is made from: the links between tokens, kept while the beam search runs.

In: the tokens and candidates, or units, of each frame. Out: links within the lattice beam,
pruned from time to time so that memory follows the lattice and not the search.

A link remembers by how many nats it is worse than the best way into its token (its *excess*).
The *extra cost* of a token is how much worse than the best path from there on the best complete
path through it is: the least sum of excesses on the way to the last frame. Links and tokens
with more than the lattice beam can go.

Of a hundred links into tokens, a few are left a dozen frames later. So a frame only notes them, as
they are (`RawLinks`); then a walk back finds those that matter, and they alone are numbered and
stored (`LinkStore`).

Where HMMs are expanded on the way, the tokens of a frame are numbered: first the HMM states that
have a cost, instance by instance, then the tokens in states of the graph. The *code* of a link
tells what it stands for (`meanings`):

- not below 0: an arc of the graph, plus the number of arcs times the number of the entry into its
  unit, where that has several;
- below 0: a move within a unit or out of it, ``-1 - code`` counting through (unit, from, to) and
  then through (unit, from).

Public names: `LinkMeanings`, `LinkStore`, `RawLinks`, `begin_links`, `fill_acoustic`, `meanings`,
`new_links`, `new_raw_links`, `note_candidates`, `note_epsilons`, `note_units`, `number_states`,
`prune_links`, `settle_links`.

Notes
-----
Povey et al. (2012), "Generating exact lattices in the WFST framework", section 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.word_costs import MachineArrays, take_word
from wfst_hmm.search.hmm_table import HmmTable, UnitFacts
from wfst_hmm.search.instances import FREE, Entries, Instances
from wfst_hmm.search.pairs import MaybePairs, find_pair
from wfst_hmm.search.tokens import grown

__all__ = [
    "LinkMeanings", "LinkStore", "RawLinks", "begin_links", "fill_acoustic", "meanings",
    "new_links", "new_raw_links", "note_candidates", "note_epsilons", "note_units",
    "number_states", "prune_links", "settle_links",
]  # fmt: skip

Ints = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.uint32]  # unsigned: numba need not ask whether an index is negative
Floats = npt.NDArray[np.float32]


class LinkMeanings(NamedTuple):
    """What links stand for, an entry for each.

    Attributes
    ----------
    label : ndarray of int32
        State label, 0 where no frame is consumed.
    word : ndarray of int32
        Output label of the graph, 0 for none.
    cost : ndarray of float64
        Cost of the graph and its HMMs, nats.
    arc : ndarray of int32
        Arc of the graph, -1 for moves within units.
    """

    label: Ints
    word: Ints
    cost: npt.NDArray[np.float64]
    arc: Ints


def meanings(fst: Fst, units: UnitFacts | None, code: Ints) -> LinkMeanings:
    """Return what the codes of links stand for; without `units` they are arcs."""
    if units is None:
        rows = fst.arcs[code]
        return LinkMeanings(rows["ilabel"], rows["olabel"], rows["weight"], code)
    table = units.table
    n_units, slots = table.column.shape
    label = np.zeros(len(code), dtype=np.int32)
    word = np.zeros(len(code), dtype=np.int32)
    cost = np.zeros(len(code))
    arc = np.full(len(code), -1, dtype=np.int32)
    on_arc = code >= 0
    arc[on_arc] = code[on_arc] % fst.n_arcs
    rows = fst.arcs[arc[on_arc]]
    word[on_arc] = rows["olabel"]
    cost[on_arc] = rows["weight"]
    enters = np.flatnonzero(on_arc)[rows["ilabel"] > 0]
    unit = fst.arcs["ilabel"][arc[enters]] - 1
    entry = table.enter_start[unit].astype(np.int64) + code[enters] // fst.n_arcs
    label[enters] = units.enter_label[entry]
    cost[enters] += table.enter_cost[entry]
    move = -1 - code
    steps = np.flatnonzero(~on_arc & (move < n_units * slots * slots))
    unit, rest = np.divmod(move[steps], slots * slots)
    label[steps] = units.label[unit, rest % slots]
    cost[steps] = table.step[table.topology[unit], rest // slots, rest % slots]
    leaves = ~on_arc & (move >= n_units * slots * slots)
    unit, state = np.divmod(move[leaves] - n_units * slots * slots, slots)
    cost[leaves] = table.leave[table.topology[unit], state]
    return LinkMeanings(label, word, cost, arc)


class LinkStore(NamedTuple):
    """Links by the frame that they lead to, tokens numbered through all frames.

    Attributes
    ----------
    source, target : ndarray of int32
        Token numbers.
    arc : ndarray of int32
        Arc of the graph, or code.
    excess : ndarray of float32
        Nats above the best link into the target.
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


class RawLinks(NamedTuple):
    """Links by the frame that they lead to, tokens numbered within their frames.

    Attributes
    ----------
    source, target : ndarray of uint32
        Tokens: of the frame before and of the frame; epsilon links are within the frame.
    arc : ndarray of int32
        Arc of the graph, or code.
    excess : ndarray of float32
        Nats above the best link into the target.
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
def begin_links(raw: RawLinks, n_tokens: int) -> Any:
    """Begin a frame of so many tokens."""
    frame = raw.counts[1]
    first_link, first_epsilon, first_token = raw.first_link, raw.first_epsilon, raw.first_token
    if frame + 2 > len(first_link):
        first_link = grown(first_link, frame + 1, frame + 2)
        first_epsilon = grown(first_epsilon, frame + 1, frame + 2)
        first_token = grown(first_token, frame + 1, frame + 2)
    first_link[frame] = first_epsilon[frame] = raw.counts[0]
    first_token[frame + 1] = first_token[frame] + n_tokens
    raw.counts[1] = frame + 1
    return RawLinks(raw.source, raw.target, raw.arc, raw.excess, first_link, first_epsilon,
                    first_token, raw.counts)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _with_room(raw: RawLinks, n_links: int) -> Any:
    """Return the links with room for so many more, and one."""
    at = raw.counts[0]
    most = at + n_links + 1
    return RawLinks(
        grown(raw.source, at, most), grown(raw.target, at, most), grown(raw.arc, at, most),
        grown(raw.excess, at, most), raw.first_link, raw.first_epsilon, raw.first_token, raw.counts,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def note_candidates(
    raw: RawLinks,
    cost: Floats,
    n_candidates: int,
    c_cost: Floats,
    c_target: Ints,
    c_arc: Ints,
    c_token: Ints,
    place: Ints,
) -> Any:
    """Note the links into tokens with these costs that consumed the frame, HMMs written out.

    `c_target` is the token that each candidate reached, `c_token` the one that it left, and
    `place` the number of that within the frame before.
    """
    raw = _with_room(raw, n_candidates)
    source, target, arc, excess = raw.source, raw.target, raw.arc, raw.excess
    at = np.uint64(raw.counts[0])
    zero = np.float32(0)
    for candidate in range(np.uint64(n_candidates)):
        token = np.uint32(c_target[candidate])
        source[at] = place[np.uint32(c_token[candidate])]
        target[at] = token
        arc[at] = c_arc[candidate]
        excess[at] = max(c_cost[candidate] - cost[token], zero)
        at += np.uint64(1)
    raw.first_epsilon[raw.counts[1] - 1] = at
    raw.counts[0] = at
    return raw


@numba.njit(cache=True, nogil=True)
def number_states(
    items: Instances, n_items: int, limit: float, index: Ints, flat: Numbers
) -> tuple[Ints, Numbers, int]:
    """Number the HMM states up to the limit; the others are given up.

    Returns the number of each (-1 for those given up), shape (n_items, S), flat; where in it
    each number stands; and how many there are.
    """
    slots = items.cost.shape[1]
    index = grown(index, 0, n_items * slots)
    flat = grown(flat, 0, n_items * slots + 1)
    high, never = np.float32(limit), np.float32(np.inf)
    n = np.uint32(0)
    for number in range(np.uint32(n_items)):
        for slot in range(slots):
            so_far = items.cost[number, slot]
            within = so_far <= high and so_far < never
            at = number * slots + slot
            items.cost[number, slot] = so_far if within else never
            index[at] = np.int32(n) if within else np.int32(-1)
            flat[n] = at
            n += np.uint32(within)
    return index, flat, np.int64(n)


@numba.njit(cache=True, nogil=True)
def note_units(
    raw: RawLinks,
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    machines: MachineArrays | None,
    limit: float,
    base: float,
    row: Floats,
    scale: float,
    states_before: Any,
    tokens_before: Any,
    entries: Entries,
    n_entries: int,
    left: Any,
    items: Instances,
    index: Ints,
    flat: Numbers,
    n_states: int,
    cost: Floats,
) -> Any:
    """Note the links into HMM states, and those out of units.

    Parameters
    ----------
    limit : float
        Highest cost that the search let pass in this frame.
    base : float
        What was taken off all costs in this frame.
    states_before : tuple
        Of the HMM states before the frame: costs and numbers, flat; the row among them of each
        instance that was moved, and how many were.
    tokens_before : tuple
        Of the tokens in states of the graph before the frame: cost less `base`, number.
    entries, n_entries
        What `enter` has noted.
    left : tuple
        What `leave` has noted.
    index, flat, n_states
        From `number_states`.
    cost : ndarray of float32
        Of the tokens in states of the graph after the frame.
    """
    old_cost, old_index, origin, n_moved = states_before
    g_cost, g_number = tokens_before
    out_item, out_token, n_out = left
    unit, held = items.unit, items.cost
    step, leave, topology, column = hmms.step, hmms.leave, hmms.topology, hmms.column
    starts, start_cost, start_column, start_state = (
        hmms.enter_start, hmms.enter_cost, hmms.enter_column, hmms.enter_state
    )  # fmt: skip
    slots = np.uint32(held.shape[1])
    n_units = np.uint32(len(topology))
    scale32, base32, high = np.float32(scale), np.float32(base), np.float32(limit)
    zero, never = np.float32(0), np.float32(np.inf)
    raw = _with_room(raw, n_states * slots + n_entries * hmms.most_ways + n_out * slots)
    source, target, code, excess = raw.source, raw.target, raw.arc, raw.excess
    at = np.uint64(raw.counts[0])
    # moves within units, into each state from all states that it may follow
    for to in range(np.uint32(n_states)):
        number = flat[to] // slots
        if number >= n_moved:
            break
        j = flat[to] - number * slots
        u = unit[number]
        kind = topology[u]
        old = np.uint32(origin[number]) * slots
        added = base32 + scale32 * row[column[u, j]] + held[number, j]
        for i in range(j + np.uint32(1) if hmms.simple else slots):
            # written first, counted if there is such a move: no branch, which nobody could predict
            above = old_cost[old + i] + step[kind, i, j] - added
            source[at] = old_index[old + i]
            target[at] = to
            code[at] = -1 - np.int64((u * slots + np.uint32(i)) * slots + j)
            excess[at] = max(above, zero)
            at += np.uint64((old_index[old + i] >= 0) & (above < never))
    # entries from states of the graph
    for which in range(np.uint32(n_entries)):
        number = entries.item[which]
        if number == FREE:
            continue
        arc, token = entries.arc[which], entries.token[which]
        u = np.uint32(arcs[arc].ilabel - 1)
        before = g_cost[token] + arcs[arc].weight
        if machines is not None:
            before = np.float32(before + entries.added[which])
        for way in range(starts[u], starts[u + 1]):
            new = before + start_cost[way] - scale32 * row[start_column[way]]
            reached = number * slots + start_state[way]
            if new > high or new == np.inf or index[reached] < 0:
                continue
            source[at] = g_number[token]
            target[at] = index[reached]
            code[at] = np.int64(arc) + len(arcs) * (np.int64(way) - np.int64(starts[u]))
            excess[at] = max(new - held[number, start_state[way]], zero)
            at += np.uint64(1)
    raw.first_epsilon[raw.counts[1] - 1] = at
    # out of units, within the frame
    for noted in range(np.uint32(n_out)):
        number, token = out_item[noted], out_token[noted]
        kind = topology[unit[number]]
        for j in range(slots):
            new = held[number, j] + leave[kind, j]
            source[at] = index[number * slots + j]
            target[at] = n_states + token
            code[at] = -1 - np.int64((n_units * slots + unit[number]) * slots + np.uint32(j))
            excess[at] = max(new - cost[token], zero)
            at += np.uint64(new < never)
    raw.counts[0] = at
    return raw


@numba.njit(cache=True, nogil=True)
def note_epsilons(
    raw: RawLinks,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    machines: MachineArrays | None,
    pairs: MaybePairs,
    expanded: Floats,
    limit: float,
    slot: Ints,
    n_states: int,
    n: int,
    state: Ints,
    cost: Floats,
) -> Any:
    """Note the epsilon links among the `n` tokens of a frame, and end the frame.

    `expanded` is finite for tokens that have epsilon arcs, as `wfst_hmm.search.tokens.close`
    leaves it; `n_states` is how many HMM states are numbered before the tokens.
    """
    most = 0
    for token in range(np.uint32(n)):
        if expanded[token] < np.inf:
            most += states[
                state[token] if machines is None else pairs.state[state[token]]
            ].n_input_eps
    raw = _with_room(raw, most)
    source, target, code, excess = raw.source, raw.target, raw.arc, raw.excess
    at = np.uint64(raw.counts[0])
    high, zero = np.float32(limit), np.float32(0)
    for token in range(np.uint32(n)):
        if expanded[token] == np.inf:
            continue
        row = states[state[token] if machines is None else pairs.state[state[token]]]
        for arc in range(row.pos, row.pos + row.n_input_eps):
            new = cost[token] + arcs[arc].weight
            if machines is None:
                reached = arcs[arc].nextstate
                other = slot[reached]
            else:
                word_state = pairs.word_state[state[token]]
                if arcs[arc].olabel:
                    added, word_state = take_word(machines, word_state, arcs[arc].olabel)
                    new = np.float32(new + added)
                reached = find_pair(pairs, arcs[arc].nextstate, word_state)
                other = -1 if reached < 0 else pairs.token[reached]
            if new > high or not (0 <= other < n and state[other] == reached) or other == token:
                continue
            source[at] = n_states + token
            target[at] = n_states + other
            code[at] = arc
            excess[at] = max(new - cost[other], zero)
            at += np.uint64(1)
    raw.first_link[raw.counts[1]] = at
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
def fill_acoustic(
    store: LinkStore,
    arcs: npt.NDArray[Any],
    hmms: Any,
    scores: Floats,
    columns: Any,
    scale: float,
    n_frames: int,
) -> None:
    """Fill in the acoustic costs of the last frames' links; `scores` ends with the last of them."""
    scale32 = np.float32(scale)
    begun = store.counts[2] - n_frames
    for frame in range(begun, store.counts[2]):
        row = scores[len(scores) - n_frames + frame - begun]
        for link in range(store.first_link[frame], store.first_epsilon[frame]):
            code = np.int64(store.arc[link])
            if columns is not None:
                store.acoustic[link] = -scale * row[columns[arcs[code].ilabel - 1]]
            if hmms is not None:
                slots = hmms.step.shape[1]
                if code < 0:
                    move = -1 - code
                    column = hmms.column[move // (slots * slots), move % slots]
                else:
                    unit = arcs[code % len(arcs)].ilabel - 1
                    column = hmms.enter_column[hmms.enter_start[unit] + code // len(arcs)]
                store.acoustic[link] = -scale32 * row[column]


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
