"""The links of a lattice over a compact graph, recorded frame by frame.

In: instances and tokens before and after a frame. Out: links between HMM states and states of
the graph, in `RawLinks`, each with a *code* that tells what it stands for.

The tokens of a frame are numbered: first the HMM states that have a cost,
instance by instance, then the tokens in states of the graph. A code is

- not below 0: an arc of the graph, plus the number of arcs times the number of the way into its
  unit, where that has several;
- below 0: a move within a unit or out of it, ``-1 - code`` counting through (unit, from, to) and
  then through (unit, from).

Public names: `LinkMeanings`, `hear_units`, `meanings`, `note_unit_links`, `number_states`.
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
from wfst_hmm.search.raw_links import RawLinks, with_frame
from wfst_hmm.search.tokens import grown

__all__ = ["LinkMeanings", "hear_units", "meanings", "note_unit_links", "number_states"]

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
def hear_units(
    store: LinkStore,
    arcs: npt.NDArray[Any],
    hmms: HmmTable,
    scores: Floats,
    scale: float,
    n_frames: int,
) -> None:
    """Fill in the acoustic costs of the last frames' links; `scores` ends with the last of them."""
    slots = hmms.step.shape[1]
    scale32 = np.float32(scale)
    begun = store.counts[2] - n_frames
    for frame in range(begun, store.counts[2]):
        row = scores[len(scores) - n_frames + frame - begun]
        for link in range(store.first_link[frame], store.first_epsilon[frame]):
            code = np.int64(store.arc[link])
            if code < 0:
                move = -1 - code
                column = hmms.column[move // (slots * slots), move % slots]
            else:
                unit = arcs[code % len(arcs)].ilabel - 1
                column = hmms.enter_column[hmms.enter_start[unit] + code // len(arcs)]
            store.acoustic[link] = -scale32 * row[column]


@numba.njit(cache=True, nogil=True)
def note_unit_links(
    raw: RawLinks,
    states: npt.NDArray[Any],
    arcs: npt.NDArray[Any],
    expanded: Floats,
    hmms: HmmTable,
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
) -> Any:
    """Note the links into the tokens of a frame.

    Parameters
    ----------
    expanded : ndarray of float32
        Finite for tokens that have epsilon arcs, as `wfst_hmm.search.tokens.close` leaves it.
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
    zero, never = np.float32(0), np.float32(np.inf)
    n_arcs = 0
    for token in range(n_before):
        n_arcs += end_arc[token] - first_arc[token]
    most = n_moved * slots * slots + n_arcs * hmms.most_ways + n_items * slots
    for token in range(n):
        if expanded[token] < np.inf:
            most += states[state[token]].n_input_eps
    raw = with_frame(raw, n_states + n, most)
    source, target, code, excess = raw.source, raw.target, raw.arc, raw.excess
    frame = raw.counts[1] - 1
    at_link = np.uint64(raw.counts[0])
    for number in range(np.uint32(n_moved)):
        u = unit[number]
        kind = topology[u]
        old = np.uint32(origin[number]) * np.uint32(slots)
        for j in range(slots):
            to = index[number * slots + j]
            if to < 0:
                continue
            heard = scale32 * row[column[u, j]]
            for i in range(j + 1 if hmms.simple else slots):
                # written first, counted if there is such a way: no branch
                above = old_cost[old + i] + step[kind, i, j] - (base32 + heard) - held[number, j]
                source[at_link] = old_index[old + i]
                target[at_link] = to
                code[at_link] = -1 - ((u * slots + i) * slots + j)
                excess[at_link] = max(above, zero)
                at_link += np.uint64((old_index[old + i] >= 0) & (above < never))
    mask = mask_for(n_items)
    rehash(items, n_items, mask)
    for token in range(n_before):
        for arc in range(first_arc[token], end_arc[token]):
            u = np.uint32(arcs[arc].ilabel - 1)
            before = g_cost[token] + arcs[arc].weight
            for way in range(ways[u], ways[u + 1]):
                new = before + way_cost[way] - scale32 * row[way_column[way]]
                if new > high or new == np.inf:
                    continue
                d = np.uint32(arcs[arc].nextstate)
                at = home(u, d, mask)
                number = table[at]
                while number != FREE and not (unit[number] == u and dest[number] == d):
                    at = np.uint32(at + 1) & np.uint32(mask)
                    number = table[at]
                if number == FREE or index[number * slots + way_state[way]] < 0:
                    continue
                source[at_link] = g_number[token]
                target[at_link] = index[number * slots + way_state[way]]
                code[at_link] = np.int64(arc) + len(arcs) * (np.int64(way) - np.int64(ways[u]))
                excess[at_link] = max(new - held[number, way_state[way]], zero)
                at_link += np.uint64(1)
    raw.first_epsilon[frame] = at_link
    for number in range(np.uint32(n_items)):
        kind = topology[unit[number]]
        for j in range(slots):
            if index[number * slots + j] < 0 or held[number, j] > high or leave[kind, j] == np.inf:
                continue
            token = slot[dest[number]]
            source[at_link] = index[number * slots + j]
            target[at_link] = n_states + token
            code[at_link] = -1 - (n_units * slots * slots + unit[number] * slots + j)
            excess[at_link] = max(held[number, j] + leave[kind, j] - cost[token], zero)
            at_link += np.uint64(1)
    for token in range(np.uint32(n)):
        if expanded[token] == np.inf:
            continue
        own = states[state[token]]
        for arc in range(own.pos, own.pos + own.n_input_eps):
            new = cost[token] + arcs[arc].weight
            reached = arcs[arc].nextstate
            other = slot[reached]
            if new > high or not (0 <= other < n and state[other] == reached) or other == token:
                continue
            source[at_link] = n_states + token
            target[at_link] = n_states + other
            code[at_link] = arc
            excess[at_link] = max(new - cost[other], zero)
            at_link += np.uint64(1)
    raw.first_link[frame + 1] = at_link
    raw.counts[0] = at_link
    return raw
