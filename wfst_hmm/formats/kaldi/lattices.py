"""Kaldi's lattices: reading, writing and best paths.

In: an archive of lattices, text or binary, compact or not, plain or gzip. Out: by utterance a
`KaldiLattice`, whose arcs carry a word, a graph cost, an acoustic cost and the transition-ids
of the frames that they pass.

Public names: `ARC`, `FINAL`, `KaldiLattice`, `LatticePath`, `read_lattices`, `write_lattices`.

Notes
-----
Format: Kaldi's ``lat/kaldi-lattice.cc`` over OpenFst's vector FST (``lattice4`` and
``compactlattice44``). Povey et al. (2012), *Generating exact lattices in the WFST framework*.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.files import atomic_file, read_bytes
from wfst_hmm.formats.cursor import Cursor
from wfst_hmm.formats.kaldi.archives import archive_objects
from wfst_hmm.formats.kaldi.stream import KaldiReader

__all__ = ["ARC", "FINAL", "KaldiLattice", "LatticePath", "read_lattices", "write_lattices"]

#: ``ids_from`` and ``ids_to`` delimit the arc's transition-ids in `KaldiLattice.ids`.
ARC = np.dtype(
    [
        ("source", "<i4"), ("target", "<i4"), ("ilabel", "<i4"), ("olabel", "<i4"),
        ("graph", "<f4"), ("acoustic", "<f4"), ("ids_from", "<i8"), ("ids_to", "<i8"),
    ]
)  # fmt: skip
#: A final state: the same costs and ids, charged at the end.
FINAL = np.dtype(
    [("state", "<i4"), ("graph", "<f4"), ("acoustic", "<f4"), ("ids_from", "<i8"), ("ids_to", "<i8")]
)  # fmt: skip
_MAGIC = 2125659606
_TYPES = {b"lattice4": False, b"compactlattice44": True}
_PROPERTIES = 0x3  # expanded and mutable; nothing else is claimed


@dataclasses.dataclass(frozen=True)
class LatticePath:
    """One way through a lattice: words and transition-ids by number, costs in nats."""

    words: tuple[int, ...]
    ids: npt.NDArray[np.int32]
    graph_cost: float
    acoustic_cost: float


@dataclasses.dataclass(frozen=True, eq=False)
class KaldiLattice:
    """A lattice as Kaldi stores it.

    Attributes
    ----------
    compact : bool
        Arcs carry whole strings of transition-ids (else one each, as ``ilabel``).
    start, n_states : int
    arcs : ndarray of `ARC`
        State by state. In compact lattices ``ilabel`` equals ``olabel``: the word.
    finals : ndarray of `FINAL`
    ids : ndarray of int32
        Transition-ids of all arcs and final states behind each other.
    """

    compact: bool
    start: int
    n_states: int
    arcs: npt.NDArray[Any]
    finals: npt.NDArray[Any]
    ids: npt.NDArray[np.int32]

    def best_path(self, *, graph_scale: float = 1.0, acoustic_scale: float = 1.0) -> LatticePath:
        """Return the cheapest path under scaled costs; its own costs are unscaled.

        Kaldi's LM weight w is ``acoustic_scale=1/w``.

        Raises
        ------
        GraphError
            The lattice has a cycle, or no path to a final state.
        """
        order = self.topological_order()
        cost = np.full(self.n_states, np.inf)
        cost[self.start] = 0.0
        back = np.full(self.n_states, -1, dtype=np.int64)
        weights = graph_scale * self.arcs["graph"].astype(np.float64)
        weights += acoustic_scale * self.arcs["acoustic"].astype(np.float64)
        first = np.searchsorted(self.arcs["source"], np.arange(self.n_states + 1))
        for state in order:
            for arc in range(first[state], first[state + 1]):
                target = self.arcs["target"][arc]
                if cost[state] + weights[arc] < cost[target]:
                    cost[target] = cost[state] + weights[arc]
                    back[target] = arc
        ends = cost[self.finals["state"]] + graph_scale * self.finals["graph"].astype(np.float64)
        ends = ends + acoustic_scale * self.finals["acoustic"].astype(np.float64)
        if not len(ends) or not np.isfinite(ends.min()):
            raise GraphError("the lattice has no path to a final state")
        return self._follow(int(ends.argmin()), back)

    def _follow(self, end: int, back: npt.NDArray[np.int64]) -> LatticePath:
        final = self.finals[end]
        arcs = []
        state = int(final["state"])
        while state != self.start or back[state] >= 0:
            arcs.append(int(back[state]))
            state = int(self.arcs["source"][arcs[-1]])
        path = self.arcs[arcs[::-1]]
        spans = [*zip(path["ids_from"], path["ids_to"], strict=True)]
        spans.append((final["ids_from"], final["ids_to"]))
        ids = np.concatenate([self.ids[a:b] for a, b in spans])
        words = tuple(int(w) for w in path["olabel"] if w)
        graph = float(path["graph"].sum(dtype=np.float64) + final["graph"])
        acoustic = float(path["acoustic"].sum(dtype=np.float64) + final["acoustic"])
        return LatticePath(words, ids, graph, acoustic)

    def topological_order(self) -> list[int]:
        """Return the states so that every arc leads onward; a `GraphError` where none can be."""
        degree = np.bincount(self.arcs["target"], minlength=self.n_states)
        first = np.searchsorted(self.arcs["source"], np.arange(self.n_states + 1))
        ready = [int(s) for s in np.flatnonzero(degree == 0)]
        order = []
        while ready:
            state = ready.pop()
            order.append(state)
            for target in self.arcs["target"][first[state] : first[state + 1]]:
                degree[target] -= 1
                if degree[target] == 0:
                    ready.append(int(target))
        if len(order) != self.n_states:
            raise GraphError("the lattice has a cycle")
        return order

    def _span(self, row: Any) -> npt.NDArray[np.int32]:
        return self.ids[row["ids_from"] : row["ids_to"]]

    def to_bytes(self) -> bytes:
        """Return the lattice as an OpenFst vector FST."""
        name = b"compactlattice44" if self.compact else b"lattice4"
        out = [struct.pack("<ii6si", _MAGIC, 6, b"vector", len(name)), name]
        out.append(struct.pack("<iiQqqq", 2, 0, _PROPERTIES, self.start, self.n_states,
                               len(self.arcs)))  # fmt: skip
        finals = {int(row["state"]): row for row in self.finals}
        first = np.searchsorted(self.arcs["source"], np.arange(self.n_states + 1))
        for state in range(self.n_states):
            out.append(self._weight(finals.get(state)))
            out.append(struct.pack("<q", first[state + 1] - first[state]))
            for arc in self.arcs[first[state] : first[state + 1]]:
                out.append(struct.pack("<ii", arc["ilabel"], arc["olabel"]))
                out.append(self._weight(arc))
                out.append(struct.pack("<i", arc["target"]))
        return b"".join(out)

    def _weight(self, row: Any) -> bytes:
        if row is None:
            return struct.pack("<ff", np.inf, np.inf) + (struct.pack("<i", 0) if self.compact else b"")  # fmt: skip
        costs = struct.pack("<ff", row["graph"], row["acoustic"])
        if not self.compact:
            return costs
        ids = self._span(row)
        return costs + struct.pack("<i", len(ids)) + ids.astype("<i4").tobytes()

    def to_text(self) -> str:
        """Return the lattice in Kaldi's text form, closed by an empty line."""
        lines = []
        finals = {int(row["state"]): row for row in self.finals}
        first = np.searchsorted(self.arcs["source"], np.arange(self.n_states + 1))
        others = [s for s in range(self.n_states) if s != self.start]
        for state in [self.start, *others]:
            for arc in self.arcs[first[state] : first[state + 1]]:
                labels = f"{arc['olabel']}" if self.compact else f"{arc['ilabel']}\t{arc['olabel']}"
                lines.append(f"{state}\t{arc['target']}\t{labels}\t{self._text_weight(arc)}")
            if state in finals:
                lines.append(f"{state}\t{self._text_weight(finals[state])}")
        return "\n".join(lines) + "\n\n"

    def _text_weight(self, row: Any) -> str:
        costs = f"{row['graph']},{row['acoustic']}"
        return f"{costs},{'_'.join(map(str, self._span(row)))}" if self.compact else costs


class _Parts:
    """Collects arcs and final states while a lattice is read."""

    def __init__(self, compact: bool) -> None:
        self.compact = compact
        self.arcs: list[tuple[int, int, int, int, float, float, int, int]] = []
        self.finals: list[tuple[int, float, float, int, int]] = []
        self.ids: list[npt.NDArray[np.int32]] = []
        self.n_ids = 0

    def add_ids(self, ids: npt.NDArray[np.int32]) -> tuple[int, int]:
        self.ids.append(ids)
        self.n_ids += len(ids)
        return self.n_ids - len(ids), self.n_ids

    def lattice(self, start: int, n_states: int, cursor: Cursor) -> KaldiLattice:
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below
            arcs = np.array(self.arcs, dtype=ARC)
            finals = np.array(self.finals, dtype=FINAL)
        ids = np.concatenate(self.ids) if self.ids else np.zeros(0, np.int32)
        if n_states == 0 or not 0 <= start < n_states:
            raise cursor.error("a lattice without a start state", got=start)
        for name in ("source", "target", "ilabel", "olabel"):
            limit = n_states if name in ("source", "target") else 1 << 31
            if len(arcs) and not 0 <= arcs[name].min() <= arcs[name].max() < limit:
                raise cursor.error(f"an arc's {name} is out of range",
                                   got=(int(arcs[name].min()), int(arcs[name].max())))  # fmt: skip
        if len(ids) and ids.min() < 1:
            raise cursor.error("a transition-id below 1", got=int(ids.min()))
        for rows in (arcs, finals):
            if not (np.isfinite(rows["graph"]).all() and np.isfinite(rows["acoustic"]).all()):
                raise cursor.error("a cost that is not finite")
        return KaldiLattice(self.compact, start, n_states, arcs, finals, ids)


def _read_binary(cursor: Cursor) -> KaldiLattice:
    if cursor.number("i", "magic number") != _MAGIC:
        raise cursor.error("no OpenFst machine here")
    names = []
    for _ in range(2):
        names.append(cursor.take(cursor.count("length of a name"), "name"))
    if names[0] != b"vector" or names[1] not in _TYPES:
        raise cursor.error("another kind of FST", got=names,
                           expected="vector over lattice4 or compactlattice44")  # fmt: skip
    version, flags = cursor.number("i", "version"), cursor.number("i", "flags")
    cursor.number("Q", "properties")
    start, n_states, _ = (cursor.number("q", "header") for _ in range(3))
    if version not in (1, 2) or flags:
        raise cursor.error(
            "symbol tables inside a lattice", got=f"version {version}, flags {flags}"
        )
    parts = _Parts(_TYPES[names[1]])
    if not 0 <= n_states <= cursor.left // 16:
        raise cursor.error("more states than the file can hold", got=n_states)
    for state in range(n_states):
        graph, acoustic, span = _read_weight(cursor, parts)
        if graph != np.inf or acoustic != np.inf:
            parts.finals.append((state, graph, acoustic, *span))
        n_arcs = cursor.number("q", "number of arcs")
        if not 0 <= n_arcs <= cursor.left // 20:
            raise cursor.error("more arcs than the file can hold", got=n_arcs)
        for _ in range(n_arcs):
            ilabel, olabel = cursor.number("i", "label"), cursor.number("i", "label")
            graph, acoustic, span = _read_weight(cursor, parts)
            if not parts.compact:
                span = parts.add_ids(np.array([ilabel] if ilabel else [], dtype=np.int32))
            target = cursor.number("i", "next state")
            parts.arcs.append((state, target, ilabel, olabel, graph, acoustic, *span))
    return parts.lattice(start, n_states, cursor)


def _read_weight(cursor: Cursor, parts: _Parts) -> tuple[float, float, tuple[int, int]]:
    graph, acoustic = cursor.number("f", "cost"), cursor.number("f", "cost")
    if not parts.compact:
        return graph, acoustic, (0, 0)
    n_ids = cursor.count("number of transition-ids", each=4)
    return graph, acoustic, parts.add_ids(cursor.array("i4", n_ids, "transition-ids"))


def _read_text(reader: KaldiReader) -> KaldiLattice:
    """Read lines up to the first empty one; the first line's state is the start."""
    if reader.data[reader.at : reader.at + 1] == b"\n":  # the end of the key's own line
        reader.at += 1
    stop = reader.data.find(b"\n\n", reader.at, reader.end)
    stop = reader.end if stop < 0 else stop + 1
    begin = reader.at
    rows = [
        line.decode("utf-8", "replace").split() for line in reader.data[begin:stop].splitlines()
    ]
    if not rows or not all(rows):
        raise reader.error("an empty line where a lattice should be")
    # Only weights have commas: "graph,acoustic,id_id" in compact lattices, else "graph,acoustic".
    commas = {row[-1].count(",") for row in rows}
    parts = _Parts(2 in commas or (1 not in commas and any(len(row) == 3 for row in rows)))
    highest = 0
    for row in rows:
        highest = max(highest, *_read_text_row(reader, row, parts))
        reader.at = reader.data.find(b"\n", reader.at, stop) + 1 or stop
    reader.at = min(stop + 1, reader.end)
    parts.arcs.sort(key=lambda arc: arc[0])
    if highest > 2 * (len(parts.arcs) + len(parts.finals)) + 1:
        raise reader.error("state numbers with large gaps", got=highest)
    return parts.lattice(int(rows[0][0]), highest + 1, reader)


def _read_text_row(reader: KaldiReader, row: list[str], parts: _Parts) -> tuple[int, ...]:
    """Add an arc or a final state to `parts` and return the states that it names."""
    weight = row.pop() if "," in row[-1] else ""
    numbers = [_whole(reader, text) for text in row]
    graph, acoustic, span = _text_costs(reader, weight, parts)
    if len(numbers) == 1:
        if any(final[0] == numbers[0] for final in parts.finals):
            raise reader.error("a state is final twice", got=numbers[0])
        parts.finals.append((numbers[0], graph, acoustic, *span))
        return (numbers[0],)
    if len(numbers) != (3 if parts.compact else 4):
        raise reader.error("no arc of a lattice", got=" ".join(row[:6]))
    source, target, ilabel = numbers[:3]
    if not parts.compact:
        span = parts.add_ids(np.array([ilabel] if ilabel else [], dtype=np.int32))
    parts.arcs.append((source, target, ilabel, numbers[-1], graph, acoustic, *span))
    return source, target


def _text_costs(
    reader: KaldiReader, text: str, parts: _Parts
) -> tuple[float, float, tuple[int, int]]:
    if not text:
        return 0.0, 0.0, parts.add_ids(np.zeros(0, np.int32))
    fields = text.split(",")
    if len(fields) != (3 if parts.compact else 2):
        raise reader.error("no weight of a lattice", got=repr(text[:40]))
    try:
        graph, acoustic = float(fields[0]), float(fields[1])
    except ValueError:
        raise reader.error("no costs of a lattice", got=repr(text[:40])) from None
    ids = [_whole(reader, t) for t in fields[2].split("_")] if len(fields) > 2 and fields[2] else []
    return graph, acoustic, parts.add_ids(np.array(ids, dtype=np.int32))


def _whole(reader: KaldiReader, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise reader.error("no whole number in a lattice", got=repr(text[:20]))
    return int(text)


def read_lattices(path: str | Path) -> dict[str, KaldiLattice]:
    """Read an archive of lattices (``lat.*.gz``).

    Raises
    ------
    FormatError
        Names file and byte (or line).
    """
    data, where = read_bytes(path), str(path)
    found = {}
    for key, reader in archive_objects(data, where):
        if data[reader.at : reader.at + 4] == struct.pack("<i", _MAGIC):
            cursor = Cursor(data, where, reader.at)
            found[key] = _read_binary(cursor)
            reader.at = cursor.at
        else:
            found[key] = _read_text(reader)
    return found


def write_lattices(
    path: str | Path, lattices: Mapping[str, KaldiLattice], *, binary: bool = True
) -> None:
    """Write an archive of lattices, as `read_lattices` reads it."""
    with atomic_file(path) as temporary, open(temporary, "wb") as stream:
        for key, lattice in lattices.items():
            if not key or key.split() != [key]:
                raise FormatError("a key is empty or holds white space", got=repr(key))
            body = lattice.to_bytes() if binary else b"\n" + lattice.to_text().encode()
            stream.write(key.encode() + b" " + body)
