"""What a picture of a machine shows, before anyone decides where on the page it goes.

In: an `Fst` of any size, a topology, a path. Out: a `Picture`: a bounded number of nodes and
edges with safe texts, and a note about everything that was left out.

Public names: `DrawOptions`, `Edge`, `Node`, `Picture`, `fst_picture`, `nearest_states`,
`sources_of`, `topology_picture`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown, symbol_of, weight_text
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.models.topology import Topology
from wfst_hmm.options import check, option

__all__ = [
    "DrawOptions",
    "Edge",
    "Node",
    "Picture",
    "fst_picture",
    "nearest_states",
    "sources_of",
    "topology_picture",
]

_HINT_LENGTH = 200  # characters of a symbol in the text that appears under the pointer
_LINES = 6  # labels written on one edge; parallel arcs beyond that are counted

Kind = Literal["plain", "epsilon", "loop", "stub"]


_LEAST: dict[str, Any] = {"least": 1, "expected": "at least 1"}


@dataclasses.dataclass(frozen=True)
class DrawOptions:
    """How to draw; each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value that nothing can be drawn with.
    """

    weights: str = option(
        "nats",
        "How costs are written: nats, probabilities or none.",
        choices=("nats", "probabilities", "none"),
        what="no such way to write weights",
    )
    max_states: int = option(
        100, "Draw at most this many states; a note says what is left out.", **_LEAST
    )
    max_arcs: int = option(300, "Draw at most this many arcs.", **_LEAST)
    label_length: int = option(
        24, "Cut longer symbols; the whole symbol appears under the pointer.", **_LEAST
    )
    legend: bool = option(True, "Explain colours and dashes under the picture.")
    title: str = option("", "First line under the picture.")

    def __post_init__(self) -> None:
        check(self, "too small to draw anything", where=True)


@dataclasses.dataclass(frozen=True)
class Node:
    """A state as drawn; a negative key is a stub that stands for arcs not drawn.

    A node with a text too long for a circle is drawn as a box (`is_box`).
    """

    key: int
    text: str
    hint: str = ""
    is_start: bool = False
    is_final: bool = False
    is_stub: bool = False
    is_marked: bool = False
    is_box: bool = False


@dataclasses.dataclass(frozen=True)
class Edge:
    """All parallel arcs of one kind between two states, one line of text each."""

    source: int
    target: int
    lines: tuple[str, ...] = ()
    hint: str = ""
    kind: Kind = "plain"
    is_marked: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """Nodes, edges and the lines of text under them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    captions: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """All captions as one line."""
        return " · ".join(self.captions)


def fst_picture(
    fst: Fst,
    options: DrawOptions | None = None,
    *,
    path: Sequence[int] = (),
    states: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
) -> Picture:
    """Return the picture of `fst`, or of the part of it that fits.

    Parameters
    ----------
    fst : Fst
    options : DrawOptions, optional
    path : sequence of int
        Numbers of arcs (indices into ``fst.arcs``) to highlight.
    states : sequence of int, optional
        Draw these states; by default those nearest to the start, breadth first, the path's
        own states before all others.
    names : sequence of str, optional
        Of all states; default: their numbers.
    """
    options = options or DrawOptions()
    if names is not None and len(names) != fst.n_states:
        raise UsageError("one name a state is needed", where="names", got=len(names),
                         expected=fst.n_states)  # fmt: skip
    marked = _checked_path(fst, path)
    chosen = (
        list(states)
        if states is not None
        else nearest_states(fst, options.max_states, marked.tolist())
    )
    inside = set(chosen)
    on_path = set(marked.tolist())
    path_states = {*sources_of(fst, marked).tolist(), *fst.arcs["nextstate"][marked].tolist()}
    nodes, edges, n_shown, room = [], [], 0, options.max_arcs
    for state in chosen:
        name = "" if names is None else shown(str(names[state]), options.label_length)
        nodes.append(_node(fst, state, options, state in path_states, name))
        kept, hidden = _arcs_to_show(fst, state, inside, on_path, room)
        room = max(0, room - len(kept))
        n_shown += len(kept)
        edges.extend(_edges(fst, state, kept, on_path, options))
        if hidden:
            nodes.append(Node(-1 - state, f"+{hidden:,}", f"{hidden:,} more arcs of state {state}",
                              is_stub=True))  # fmt: skip
            edges.append(Edge(state, -1 - state, kind="stub"))
    captions = [shown(options.title, 200)] if options.title else []
    captions += _notes(fst, len(chosen), n_shown)
    if options.legend:
        captions += _legend(edges, options)
    return Picture(tuple(nodes), tuple(edges), tuple(captions))


def nearest_states(fst: Fst, limit: int, first: Sequence[int] = ()) -> list[int]:
    """Return up to `limit` states: those of the arcs `first`, then breadth first, then any.

    Only the states returned are looked at, so that the size of the machine does not matter.
    """
    found: dict[int, None] = {}
    for source, arc in zip(sources_of(fst, first).tolist(), first, strict=True):
        found.setdefault(source)
        found.setdefault(int(fst.arcs[arc]["nextstate"]))
    queue = list(found)[:limit]
    if fst.start >= 0 and fst.start not in found:
        queue.insert(0, fst.start)
    seen = dict.fromkeys(queue[:limit])
    for state in queue:  # grows while it is walked
        if len(seen) >= limit:
            break
        targets, order = np.unique(fst.arcs_of(state)["nextstate"], return_index=True)
        for target in targets[np.argsort(order)].tolist():
            if len(seen) >= limit:
                break
            if target not in seen:
                seen[target] = None
                queue.append(target)
    for state in range(fst.n_states):  # unreachable states are worth seeing too
        if len(seen) >= limit:
            break
        seen.setdefault(state)
    return list(seen)


def _checked_path(fst: Fst, path: Sequence[int]) -> npt.NDArray[np.int64]:
    arcs = np.asarray(path, dtype=np.int64)
    if len(arcs) and (arcs.min() < 0 or arcs.max() >= fst.n_arcs):
        raise UsageError("the path names an arc that does not exist", where="path",
                         got=int(arcs.max()), expected=f"0 to {fst.n_arcs - 1}")  # fmt: skip
    return arcs


def sources_of(fst: Fst, arcs: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the states that the given arcs leave; one search, however large the machine."""
    numbers = np.asarray(arcs, dtype=np.uint32)  # as stored: no copy in another type
    return np.searchsorted(fst.states["pos"], numbers, side="right").astype(np.int64) - 1


def _arcs_to_show(
    fst: Fst, state: int, inside: set[int], marked: set[int], room: int
) -> tuple[list[int], int]:
    """Return the numbers of the arcs of `state` to draw, and how many are left out."""
    first, n_arcs = int(fst.states[state]["pos"]), int(fst.states[state]["n_arcs"])
    targets = fst.arcs_of(state)["nextstate"]
    within = np.flatnonzero(np.isin(targets, list(inside)))
    kept = [first + int(offset) for offset in within[:room]]
    kept += [arc for arc in sorted(marked) if first <= arc < first + n_arcs and arc not in kept]
    return kept, n_arcs - len(kept)


def _node(fst: Fst, state: int, options: DrawOptions, on_path: bool, name: str) -> Node:
    final = float(fst.states[state]["final"])
    is_final = not np.isinf(final)
    cost = weight_text(final, options.weights) if is_final else ""
    hint = f"state {state}, {int(fst.states[state]['n_arcs']):,} arcs"
    if state == fst.start:
        hint += ", start"
    if is_final:
        hint += f", final at cost {final:.6g}"
    text = f"{name or state}\n{cost}" if cost else name or str(state)
    return Node(state, text, hint, state == fst.start, is_final, False, on_path)


def _edges(
    fst: Fst, state: int, arcs: list[int], marked: set[int], options: DrawOptions
) -> list[Edge]:
    """Return the edges of one state: parallel arcs of one kind share an edge."""
    groups: dict[tuple[int, Kind, bool], list[int]] = {}
    for arc in arcs:
        row = fst.arcs[arc]
        target = int(row["nextstate"])
        kind: Kind = "plain"
        if target == state:
            kind = "loop"
        elif row["ilabel"] == 0 and row["olabel"] == 0:
            kind = "epsilon"
        groups.setdefault((target, kind, arc in marked), []).append(arc)
    edges = []
    for (target, kind, is_marked), members in groups.items():
        lines = [_arc_text(fst, arc, options) for arc in members[:_LINES]]
        if len(members) > _LINES:
            lines.append(f"+{len(members) - _LINES:,} more")
        hint = "\n".join(_arc_hint(fst, arc) for arc in members[:_LINES])
        edges.append(Edge(state, target, tuple(lines), hint, kind, is_marked))
    return edges


def _labels(fst: Fst, arc: int, length: int) -> tuple[str, str]:
    row = fst.arcs[arc]
    return (
        symbol_of(int(row["ilabel"]), fst.isymbols, length),
        symbol_of(int(row["olabel"]), fst.osymbols, length),
    )


def _arc_text(fst: Fst, arc: int, options: DrawOptions) -> str:
    before, after = _labels(fst, arc, options.label_length)
    text = before if before == after else f"{before}:{after}"
    cost = weight_text(float(fst.arcs[arc]["weight"]), options.weights)
    return f"{text}/{cost}" if cost else text


def _arc_hint(fst: Fst, arc: int) -> str:
    before, after = _labels(fst, arc, _HINT_LENGTH)
    cost = float(fst.arcs[arc]["weight"])
    return f"{before} → {after}, cost {cost:.6g}, probability {weight_text(cost, 'probabilities') or 1}"  # fmt: skip


def _notes(fst: Fst, n_states: int, n_arcs: int) -> list[str]:
    notes = []
    if not fst.n_states:
        notes.append("An empty machine: no states, accepts nothing.")
    if n_states < fst.n_states or n_arcs < fst.n_arcs:
        notes.append(f"{n_states:,} of {fst.n_states:,} states and {n_arcs:,} of {fst.n_arcs:,} "
                     f"arcs are drawn; {fst.n_states - n_states:,} states and "
                     f"{fst.n_arcs - n_arcs:,} arcs are left out (+n).")  # fmt: skip
    if fst.n_arcs and fst.isymbols is None and fst.osymbols is None:
        notes.append("No symbol tables: labels are numbers.")
    return notes


def _legend(edges: list[Edge], options: DrawOptions) -> list[str]:
    parts = []
    if any(edge.is_marked for edge in edges):
        parts.append("orange: the highlighted path")
    if any(edge.kind == "loop" for edge in edges):
        parts.append("blue: self-loop")
    if any(edge.kind == "epsilon" for edge in edges):
        parts.append("dashed: ε, consumes and emits nothing")
    if any(":" in line for edge in edges for line in edge.lines):
        parts.append("in:out")
    if options.weights != "none" and any("/" in line for edge in edges for line in edge.lines):
        parts.append({"nats": "/cost in nats", "probabilities": "/probability"}[options.weights])
    return ["   ".join(parts)] if parts else []


def topology_picture(topology: Topology, options: DrawOptions | None = None) -> Picture:
    """Return the picture of one phone's HMM: entry, states, exit, and their probabilities."""
    options = options or DrawOptions(weights="probabilities")
    entry, leave = topology.n_states, topology.n_states + 1
    nodes = [Node(entry, "in", "entry, emits nothing", is_start=True)]
    nodes += [Node(s, str(s), f"emitting state {s}") for s in range(topology.n_states)]
    nodes.append(Node(leave, "out", "exit, emits nothing", is_final=True))
    moves = [(entry, s, p) for s, p in enumerate(topology.initial)]
    for state in range(topology.n_states):
        moves += [(state, s, p) for s, p in enumerate(topology.transitions[state])]
        moves.append((state, leave, topology.final[state]))
    edges = []
    for source, target, probability in moves:
        if probability > 0.0:  # a zero is a forbidden move, not a rare one
            unit = options.weights
            number = f"{probability:.3g}" if unit == "probabilities" else ""
            text = number or weight_text(-float(np.log(probability)), unit)
            kind: Kind = "loop" if source == target else "plain"
            edges.append(Edge(source, target, (text,) if text else (), f"probability {probability:.6g}", kind))  # fmt: skip
    captions = (shown(options.title, 200),) if options.title else ()
    return Picture(tuple(nodes), tuple(edges), captions)
