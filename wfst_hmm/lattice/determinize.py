"""Determinization on words: each word sequence keeps its best path and nothing else.

In: a raw `Lattice`. Out: a deterministic one, costs still split, state labels still exact.

Public names: `determinize_lattice`.

Notes
-----
Povey et al. (2012), section 4: determinization over weights that are a cost and the string of
labels of the path that has it. Here the arcs without words are removed first, so that the
subset construction runs over words only; final states become one, reached without a word.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.lattice.lattice import Floats, Ints, Lattice, lattice_from_rows

__all__ = ["determinize_lattice"]

_END = -1  # the "word" behind which a path ends
_MAX_STATES = 100_000
_NARROWEST = 1e-2  # nats
# What one attempt may take, so that lattices of many equal paths end in seconds, not hours:
_MAX_VISITS = 50_000_000  # arcs looked at on silent stretches, and labels copied
_MAX_STEPS = 300_000  # ways from an element of a subset over a word
_MAX_BYTES = 200_000_000  # labels held


class _WordArc(NamedTuple):
    """One word, or the end, and the silent stretch of lattice before it."""

    word: int
    target: int
    cost: float
    graph: float
    labels: bytes  # int32, so that they can be a key


class _Element(NamedTuple):
    """A state within a subset: what its best path has beyond that of the subset."""

    cost: float
    graph: float
    labels: bytes


def determinize_lattice(
    lattice: Lattice, *, beam: float | None = None, max_states: int = _MAX_STATES
) -> Lattice:
    """Return the lattice in which each word sequence has exactly its best path.

    Parameters
    ----------
    lattice : Lattice
    beam : float, optional
        Word sequences whose best path costs more than the best of all by more than this many
        nats may be left out; by default the lattice's own beam.
    max_states : int
        Where more states would be made, or more work or memory be spent than is reasonable, the
        beam is halved and the work begun again; the result's ``beam`` tells. When even the
        narrowest beam leaves too much (many paths of equal cost), the best path alone is kept,
        with ``beam`` 0.

    Raises
    ------
    UsageError
        The beam is negative or NaN, or there is no room for a single state.
    """
    beam = lattice.beam if beam is None else beam
    if not beam >= 0:
        raise UsageError("a beam must not be negative", where="beam", got=beam)
    if max_states < 1:
        raise UsageError("at least one state is needed", where="max_states", got=max_states)
    made = _determinize(lattice, beam, max_states)
    narrowest = None if made else _determinize(lattice, min(beam, _NARROWEST), max_states)
    if narrowest is None:  # where paths of equal cost are too many, no beam helps
        return made or _best_path(lattice)
    while beam > 2 * _NARROWEST:
        beam = 0.5 * (beam if np.isfinite(beam) else 64.0)
        made = _determinize(lattice, beam, max_states)
        if made is not None:
            return made
    return narrowest


def _best_path(lattice: Lattice) -> Lattice:
    """Return the lattice of the cheapest path alone."""
    path = lattice.best_arcs()
    keep = np.zeros(lattice.n_arcs, dtype=bool)
    keep[path] = True
    last = int(lattice.target[path[-1]]) if len(path) else 0
    final = np.full(lattice.n_states, np.inf)
    final[last] = lattice.final[last]
    alone = lattice.select(keep, final=final, beam=0.0)
    made = _determinize(alone, 0.0, alone.n_states + 1)
    return alone if made is None else made


def _determinize(lattice: Lattice, beam: float, max_states: int) -> Lattice | None:
    backward = lattice.backward()
    best = float(backward[0])
    if best == np.inf:
        return lattice_from_rows([], [np.inf], lattice.words, **lattice.timing,
                                 is_deterministic=True, beam=beam)  # fmt: skip
    limit = best + beam + 1e-6 * max(1.0, abs(best))
    arcs = _word_arcs(lattice, limit)
    if arcs is None:
        return None
    n_steps = n_bytes = 0
    end = lattice.n_states  # the one final state, after all others
    remaining = np.append(backward, 0.0)
    start = {0: _Element(0.0, 0.0, b"")}
    number: dict[Any, int] = {_key(start): 0}
    subsets = [start]
    forward = [0.0]
    queue = [(0, 0)]  # by lowest lattice state: a topological order of the subsets
    rows: list[tuple[int, int, int, float, float, bytes]] = []
    order: list[int] = []
    while queue:
        _, index = heapq.heappop(queue)
        order.append(index)
        n_steps += sum(len(arcs.get(state, ())) for state in subsets[index])
        if n_steps > _MAX_STEPS or n_bytes > _MAX_BYTES:
            return None
        for word, reached in _reached_by_word(subsets[index], arcs).items():
            kept = {
                state: element
                for state, element in reached.items()
                if forward[index] + element.cost + remaining[state] <= limit
            }
            if not kept:
                continue
            first, subset = _normalized(kept)
            key = _key(subset)
            if key not in number:
                if len(subsets) >= max_states:
                    return None
                number[key] = len(subsets)
                subsets.append(subset)
                n_bytes += sum(len(element.labels) for element in subset.values())
                forward.append(np.inf)
                heapq.heappush(queue, (min(subset), number[key]))
            target = number[key]
            forward[target] = min(forward[target], forward[index] + first.cost)
            rows.append((index, target, max(word, 0), first.graph,
                         first.cost - first.graph, first.labels))  # fmt: skip
    place = np.empty(len(subsets), dtype=np.int64)
    place[order] = np.arange(len(order))
    final = np.array([0.0 if end in subsets[index] else np.inf for index in order])
    made = lattice_from_rows(
        [(int(place[source]), int(place[target]), word, graph, acoustic,
          np.frombuffer(labels, dtype=np.int32))
         for source, target, word, graph, acoustic, labels in rows],
        final, lattice.words, **lattice.timing, is_deterministic=True, beam=beam,
    )  # fmt: skip
    return made.select(np.ones(made.n_arcs, dtype=bool))


def _reached_by_word(
    subset: dict[int, _Element], arcs: dict[int, list[_WordArc]]
) -> dict[int, dict[int, _Element]]:
    """Follow all word arcs of a subset; the cheapest way to each (word, state) stays."""
    found: dict[int, dict[int, _Element]] = {}
    for state, element in subset.items():
        for arc in arcs.get(state, ()):
            cost = element.cost + arc.cost
            reached = found.setdefault(arc.word, {})
            old = reached.get(arc.target)
            if old is None or cost < old.cost:
                reached[arc.target] = _Element(
                    cost, element.graph + arc.graph, element.labels + arc.labels
                )
    return found


def _normalized(reached: dict[int, _Element]) -> tuple[_Element, dict[int, _Element]]:
    """Split off what all elements share: the least cost and the common first labels."""
    best = min(reached.values(), key=lambda element: (element.cost, element.graph))
    n_shared = min(_n_shared(best.labels, element.labels) for element in reached.values())
    first = _Element(best.cost, best.graph, best.labels[:n_shared])
    return first, {
        state: _Element(
            element.cost - best.cost, element.graph - best.graph, element.labels[n_shared:]
        )
        for state, element in reached.items()
    }


def _n_shared(first: bytes, second: bytes) -> int:
    """Return the length in bytes of the common beginning, in whole labels."""
    n = min(len(first), len(second))
    if first[:n] == second[:n]:
        return n
    differs = np.frombuffer(first[:n], np.int32) != np.frombuffer(second[:n], np.int32)
    return 4 * int(np.argmax(differs))


def _key(subset: dict[int, _Element]) -> Any:
    return tuple(
        (state, round(element.cost, 5), round(element.graph, 5), element.labels)
        for state, element in sorted(subset.items())
    )


def _word_arcs(lattice: Lattice, limit: float) -> dict[int, list[_WordArc]] | None:
    """Return the word arcs of the start and of every state behind a word; None: too many."""
    anchors = np.unique(np.append(lattice.target[lattice.word > 0], 0)).astype(np.int32)
    source, target, word, graph, acoustic, labels, label_start = _collapse(
        lattice.first_arcs(), lattice.target, lattice.word, lattice.graph_cost,
        lattice.acoustic_cost, lattice.labels, lattice.label_start, lattice.final, anchors,
        lattice.forward(), lattice.backward(), limit, _MAX_VISITS,
    )  # fmt: skip
    if len(label_start) != len(source) + 1:
        return None
    arcs: dict[int, list[_WordArc]] = {}
    raw = labels.tobytes()
    for at in range(len(source)):
        arcs.setdefault(int(source[at]), []).append(
            _WordArc(int(word[at]), int(target[at]), float(graph[at] + acoustic[at]),
                     float(graph[at]), raw[4 * label_start[at] : 4 * label_start[at + 1]])
        )  # fmt: skip
    return arcs


@numba.njit(cache=True, nogil=True)
def _collapse(
    first_arc: npt.NDArray[np.int64],
    target: Ints,
    word: Ints,
    graph: Floats,
    acoustic: Floats,
    labels: Ints,
    label_start: npt.NDArray[np.int64],
    final: Floats,
    anchors: Ints,
    forward: Floats,
    backward: Floats,
    limit: float,
    most: int,
) -> Any:
    """Join each word with the best silent path from an anchor to it, or to an end.

    After `most` arcs looked at and labels copied it gives up; there is no last `label_start` then.
    """
    n_states = len(final)
    g = np.empty(n_states)
    a = np.empty(n_states)
    into = np.empty(n_states, dtype=np.int64)
    before = np.empty(n_states, dtype=np.int32)
    owner = np.full(n_states, -1, dtype=np.int32)
    room, n = 1024, 0
    out_source = np.empty(room, dtype=np.int32)
    out_target = np.empty(room, dtype=np.int32)
    out_word = np.empty(room, dtype=np.int32)
    out_graph = np.empty(room)
    out_acoustic = np.empty(room)
    out_start = np.zeros(room + 1, dtype=np.int64)
    out_labels = np.empty(room, dtype=np.int32)
    for anchor in anchors:
        owner[anchor] = anchor
        g[anchor] = 0.0
        a[anchor] = 0.0
        into[anchor] = -1
        last = anchor
        state = anchor
        while state <= last and most >= 0:
            if owner[state] != anchor:
                state += 1
                continue
            # one round more than there are arcs: the last one is the end, where there is one
            for arc in range(first_arc[state], first_arc[state + 1] + 1):
                most -= 1
                ends = arc == first_arc[state + 1]
                if ends:
                    if final[state] == np.inf:
                        continue
                    to, new_g, new_a, rest = n_states, g[state] + final[state], a[state], 0.0
                else:
                    to = target[arc]
                    new_g, new_a = g[state] + graph[arc], a[state] + acoustic[arc]
                    rest = backward[to]
                if forward[anchor] + new_g + new_a + rest > limit:
                    continue
                if not ends and word[arc] == 0:
                    if owner[to] != anchor or new_g + new_a < g[to] + a[to]:
                        owner[to] = anchor
                        g[to] = new_g
                        a[to] = new_a
                        into[to] = arc
                        before[to] = state
                        last = max(last, to)
                    continue
                length = 0 if ends else label_start[arc + 1] - label_start[arc]
                at = state
                while into[at] >= 0:
                    length += label_start[into[at] + 1] - label_start[into[at]]
                    at = before[at]
                most -= length
                if n == room:
                    room *= 2
                    out_source = np.concatenate((out_source, out_source))
                    out_target = np.concatenate((out_target, out_target))
                    out_word = np.concatenate((out_word, out_word))
                    out_graph = np.concatenate((out_graph, out_graph))
                    out_acoustic = np.concatenate((out_acoustic, out_acoustic))
                    out_start = np.concatenate((out_start, out_start))
                end = out_start[n] + length
                if end > len(out_labels):
                    more = np.empty(2 * end, dtype=np.int32)
                    more[: out_start[n]] = out_labels[: out_start[n]]
                    out_labels = more
                out_source[n] = anchor
                out_target[n] = to
                out_word[n] = -1 if ends else word[arc]
                out_graph[n] = new_g
                out_acoustic[n] = new_a
                out_start[n + 1] = end
                if not ends:
                    for label in range(label_start[arc + 1] - 1, label_start[arc] - 1, -1):
                        end -= 1
                        out_labels[end] = labels[label]
                at = state
                while into[at] >= 0:
                    for label in range(
                        label_start[into[at] + 1] - 1, label_start[into[at]] - 1, -1
                    ):
                        end -= 1
                        out_labels[end] = labels[label]
                    at = before[at]
                n += 1
            state += 1
    return (
        out_source[:n], out_target[:n], out_word[:n], out_graph[:n], out_acoustic[:n],
        out_labels[: out_start[n]], out_start[: n + (most >= 0)],
    )  # fmt: skip
