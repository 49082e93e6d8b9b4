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
from wfst_hmm.search.instances import FREE, Instances
from wfst_hmm.search.links import LinkStore
from wfst_hmm.search.raw_links import RawLinks, with_frame
from wfst_hmm.search.tokens import grown

__all__ = ["LinkMeanings", "hear_units", "meanings", "note_unit_links", "number_states"]

Ints = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.uint32]
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
    units_before: Any,
    tokens_before: Any,
    ways_in: Any,
    ways_out: Any,
    items: Instances,
    index: Ints,
    flat: Numbers,
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
    units_before : tuple
        Of the HMM states before the frame: costs and numbers, flat; the row among them of each
        instance that was moved, and how many were.
    tokens_before : tuple
        Of the tokens in states of the graph before the frame: cost less `base`, number.
    ways_in, ways_out : tuple
        What `enter` and `leave` have noted.
    index, flat, n_states
        From `number_states`.
    n, state, cost
        Tokens in states of the graph after the frame.
    """
    old_cost, old_index, origin, n_moved = units_before
    g_cost, g_number = tokens_before
    way_arc, way_token, way_item, n_in = ways_in
    out_item, out_token, n_out = ways_out
    unit, held = items.unit, items.cost
    step, leave, topology, column = hmms.step, hmms.leave, hmms.topology, hmms.column
    ways, way_cost, way_column, way_state = (
        hmms.enter_start, hmms.enter_cost, hmms.enter_column, hmms.enter_state
    )  # fmt: skip
    slots = np.uint32(held.shape[1])
    n_units = np.uint32(len(topology))
    scale32, base32, high = np.float32(scale), np.float32(base), np.float32(limit)
    zero, never = np.float32(0), np.float32(np.inf)
    most = n_states * slots + n_in * hmms.most_ways + n_out * slots
    for token in range(np.uint32(n)):
        if expanded[token] < np.inf:
            most += states[state[token]].n_input_eps
    raw = with_frame(raw, n_states + n, most)
    source, target, code, excess = raw.source, raw.target, raw.arc, raw.excess
    frame = raw.counts[1] - 1
    at = np.uint64(raw.counts[0])
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
            # written first, counted if there is such a way: no branch, which nobody could predict
            above = old_cost[old + i] + step[kind, i, j] - added
            source[at] = old_index[old + i]
            target[at] = to
            code[at] = -1 - np.int64((u * slots + np.uint32(i)) * slots + j)
            excess[at] = max(above, zero)
            at += np.uint64((old_index[old + i] >= 0) & (above < never))
    for which in range(np.uint32(n_in)):
        number = way_item[which]
        if number == FREE:
            continue
        arc, token = way_arc[which], way_token[which]
        u = np.uint32(arcs[arc].ilabel - 1)
        before = g_cost[token] + arcs[arc].weight
        for way in range(ways[u], ways[u + 1]):
            new = before + way_cost[way] - scale32 * row[way_column[way]]
            reached = number * slots + way_state[way]
            if new > high or new == np.inf or index[reached] < 0:
                continue
            source[at] = g_number[token]
            target[at] = index[reached]
            code[at] = np.int64(arc) + len(arcs) * (np.int64(way) - np.int64(ways[u]))
            excess[at] = max(new - held[number, way_state[way]], zero)
            at += np.uint64(1)
    raw.first_epsilon[frame] = at
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
            source[at] = n_states + token
            target[at] = n_states + other
            code[at] = arc
            excess[at] = max(new - cost[other], zero)
            at += np.uint64(1)
    raw.first_link[frame + 1] = at
    raw.counts[0] = at
    return raw
