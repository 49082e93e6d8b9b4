"""The links of a lattice over a compact graph, recorded frame by frame.

In: instances and tokens before and after a frame. Out: links between HMM states and states of
the graph, in a `LinkStore`, each with a *code* that tells what it stands for.

The tokens of a frame are numbered from its first one on: first the HMM states that have a cost,
instance by instance, then the tokens in states of the graph. A code is

- not below 0: an arc of the graph, plus the number of arcs times the number of the way into its
  unit, where that has several;
- below 0: a move within a unit or out of it, ``-1 - code`` counting through (unit, from, to) and
  then through (unit, from).

Public names: `LinkMeanings`, `meanings`, `number_states`, `record_unit_links`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.search.hmm_table import HmmTable, facts_of
from wfst_hmm.search.instances import FREE, Instances, home, mask_for, rehash
from wfst_hmm.search.links import LinkStore
from wfst_hmm.search.tokens import grown

__all__ = ["LinkMeanings", "meanings", "number_states", "record_unit_links"]

Ints = npt.NDArray[np.int32]
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


def meanings(graph: CompactGraph, code: Ints) -> LinkMeanings:
    """Return what the codes of links stand for."""
    facts = facts_of(graph)
    table = facts.table
    n_units, slots = table.column.shape
    label = np.zeros(len(code), dtype=np.int32)
    word = np.zeros(len(code), dtype=np.int32)
    cost = np.zeros(len(code))
    arc = np.full(len(code), -1, dtype=np.int32)
    on_arc = code >= 0
    arc[on_arc] = code[on_arc] % graph.fst.n_arcs
    rows = graph.fst.arcs[arc[on_arc]]
    word[on_arc] = rows["olabel"]
    cost[on_arc] = rows["weight"]
    enters = np.flatnonzero(on_arc)[rows["ilabel"] > 0]
    unit = graph.fst.arcs["ilabel"][arc[enters]] - 1
    way = table.enter_start[unit].astype(np.int64) + code[enters] // graph.fst.n_arcs
    label[enters] = facts.enter_label[way]
    cost[enters] += table.enter_cost[way]
    move = -1 - code
    steps = np.flatnonzero(~on_arc & (move < n_units * slots * slots))
    unit, rest = np.divmod(move[steps], slots * slots)
    label[steps] = facts.label[unit, rest % slots]
    cost[steps] = table.step[table.topology[unit], rest // slots, rest % slots]
    leaves = ~on_arc & (move >= n_units * slots * slots)
    unit, state = np.divmod(move[leaves] - n_units * slots * slots, slots)
    cost[leaves] = table.leave[table.topology[unit], state]
    return LinkMeanings(label, word, cost, arc)


@numba.njit(cache=True, nogil=True)
def number_states(items: Instances, n_items: int, index: Ints) -> tuple[Ints, int]:
    """Number the HMM states that have a cost; -1 for the others. Shape (n_items, S), flat."""
    cost = items.cost
    slots = cost.shape[1]
    index = grown(index, 0, n_items * slots)
    n = 0
    for number in range(n_items):
        for slot in range(slots):
            if cost[number, slot] < np.inf:
                index[number * slots + slot] = n
                n += 1
            else:
                index[number * slots + slot] = -1
    return index, n


@numba.njit(cache=True, nogil=True)
def _with_room(store: LinkStore, n_links: int, most: int) -> Any:
    """Return source, target, arc, excess and acoustic cost with room for `most` links."""
    return (
        grown(store.source, n_links, most), grown(store.target, n_links, most),
        grown(store.arc, n_links, most), grown(store.excess, n_links, most),
        grown(store.acoustic, n_links, most),
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def record_unit_links(
    store: LinkStore,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    has_epsilon: npt.NDArray[np.uint8],
    hmms: HmmTable,
    lattice_beam: float,
    limit: float,
    base: float,
    row: Floats,
    scale: float,
    old_cost: Floats,
    old_index: Ints,
    origin: Ints,
    n_moved: int,
    sources: Any,
    items: Instances,
    n_items: int,
    index: Ints,
    n_states: int,
    slot: Ints,
    n: int,
    state: Ints,
    cost: Floats,
) -> LinkStore:
    """Begin a frame: number its tokens and keep the links into them.

    Parameters
    ----------
    limit : float
        Highest cost that the search let pass in this frame.
    base : float
        What was taken off all costs in this frame.
    old_cost, old_index : ndarray, shape (n_old * S,)
        Costs and numbers of the HMM states before the frame.
    origin : ndarray of int32
        For each of the first `n_moved` instances, its row in `old_cost`.
    sources : tuple
        Of the tokens in states of the graph before the frame: cost less `base`, number, first
        and last arc, how many.
    index, n_states
        From `number_states`.
    n, state, cost
        Tokens in states of the graph after the frame.
    """
    g_cost, g_number, first_arc, end_arc, n_before = sources
    unit, dest, held = items.unit, items.dest, items.cost
    table = items.table
    step, leave, topology, column = hmms.step, hmms.leave, hmms.topology, hmms.column
    ways, way_cost, way_column, way_state = (
        hmms.enter_start, hmms.enter_cost, hmms.enter_column, hmms.enter_state
    )  # fmt: skip
    slots = held.shape[1]
    n_units = len(topology)
    scale32, base32, high = np.float32(scale), np.float32(base), np.float32(limit)
    n_links, first, frame = store.counts[0], store.counts[1], store.counts[2]
    begin = store.first_token[frame - 1] if frame else 0
    first_link, first_epsilon, first_token, extra = (
        store.first_link, store.first_epsilon, store.first_token, store.extra
    )  # fmt: skip
    if frame + 2 > len(first_link):
        first_link = grown(first_link, frame, frame + 2)
        first_epsilon = grown(first_epsilon, frame, frame + 2)
        first_token = grown(first_token, frame, frame + 2)
    n_tokens = n_states + n
    if first + n_tokens > len(extra):
        extra = grown(extra, first, first + n_tokens)
    extra[first : first + n_tokens] = 0.0
    first_link[frame] = n_links
    first_token[frame] = first
    n_arcs = 0
    for token in range(n_before):
        n_arcs += end_arc[token] - first_arc[token]
    most = n_links + n_moved * slots * slots + n_arcs * hmms.most_ways + n_items * slots
    for token in range(n):
        most += states[state[token]].n_input_eps
    source, target, code, excess, spoken = _with_room(store, n_links, most)
    for number in range(n_moved):
        u = unit[number]
        kind = topology[u]
        old = origin[number] * slots
        for j in range(slots):
            to = index[number * slots + j]
            if to < 0:
                continue
            heard = scale32 * row[column[u, j]]
            for i in range(slots):
                if old_index[old + i] < 0 or step[kind, i, j] == np.inf:
                    continue
                above = old_cost[old + i] + step[kind, i, j] - (base32 + heard) - held[number, j]
                if above <= lattice_beam:
                    source[n_links] = begin + old_index[old + i]
                    target[n_links] = first + to
                    code[n_links] = -1 - ((u * slots + i) * slots + j)
                    excess[n_links] = max(above, np.float32(0))
                    spoken[n_links] = -heard
                    n_links += 1
    mask = mask_for(n_items)
    rehash(items, n_items, mask)
    for token in range(n_before):
        for arc in range(first_arc[token], end_arc[token]):
            u = np.uint32(arcs[arc].ilabel - 1)
            d = np.uint32(arcs[arc].nextstate)
            before = g_cost[token] + arcs[arc].weight
            for way in range(ways[u], ways[u + 1]):
                heard = scale32 * row[way_column[way]]
                new = before + way_cost[way] - heard
                if new > high or new == np.inf:
                    continue
                at = home(u, d, mask)
                number = table[at]
                while number != FREE and not (unit[number] == u and dest[number] == d):
                    at = np.uint32(at + 1) & np.uint32(mask)
                    number = table[at]
                if number == FREE:
                    continue
                above = new - held[number, way_state[way]]
                if above <= lattice_beam:
                    source[n_links] = begin + g_number[token]
                    target[n_links] = first + index[number * slots + way_state[way]]
                    code[n_links] = np.int64(arc) + len(arcs) * (np.int64(way) - np.int64(ways[u]))
                    excess[n_links] = max(above, np.float32(0))
                    spoken[n_links] = -heard
                    n_links += 1
    first_epsilon[frame] = n_links
    for number in range(n_items):
        kind = topology[unit[number]]
        for j in range(slots):
            if held[number, j] > high or leave[kind, j] == np.inf or held[number, j] == np.inf:
                continue
            token = slot[dest[number]]
            above = held[number, j] + leave[kind, j] - cost[token]
            if above <= lattice_beam:
                source[n_links] = first + index[number * slots + j]
                target[n_links] = first + n_states + token
                code[n_links] = -1 - (n_units * slots * slots + unit[number] * slots + j)
                excess[n_links] = max(above, np.float32(0))
                spoken[n_links] = 0.0
                n_links += 1
    for token in range(n):
        number = state[token]
        if not has_epsilon[number >> 3] & (1 << (number & 7)):
            continue
        for arc in range(states[number].pos, states[number].pos + states[number].n_input_eps):
            new = cost[token] + arcs[arc].weight
            other = slot[arcs[arc].nextstate]
            if new > high or not (0 <= other < n and state[other] == arcs[arc].nextstate):
                continue
            above = new - cost[other]
            if above <= lattice_beam and other != token:
                source[n_links] = first + n_states + token
                target[n_links] = first + n_states + other
                code[n_links] = arc
                excess[n_links] = max(above, np.float32(0))
                spoken[n_links] = 0.0
                n_links += 1
    store.counts[0] = n_links
    store.counts[1] = first + n_tokens
    store.counts[2] = frame + 1
    first_link[frame + 1] = n_links
    first_token[frame + 1] = first + n_tokens
    return LinkStore(source, target, code, excess, spoken, extra,
                     first_link, first_epsilon, first_token, store.counts)  # fmt: skip
