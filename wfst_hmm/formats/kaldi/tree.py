"""Kaldi's phonetic decision trees: the file ``tree`` beside a ``final.mdl``.

In: a file. Out: `DecisionTree`, which answers in which score column (pdf-id) an HMM state of a
phone in its context is found, for whole arrays of contexts at once.

Public names: `DecisionTree`, `Node`.

Notes
-----
Formats: Kaldi's ``tree/context-dep.cc`` and ``tree/event-map.cc``. A tree is stored as nested
nodes, children behind their parent; here it is a flat tuple in the same order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.files import atomic_file, read_bytes
from wfst_hmm.formats.kaldi.stream import KaldiReader, KaldiWriter

__all__ = ["PDF_CLASS", "DecisionTree", "Node"]

PDF_CLASS = -1  # the key under which an event holds the PDF class; 0, 1 ... are window places
_MAX_WINDOW = 16


@dataclasses.dataclass(frozen=True)
class Node:
    """One node of a decision tree.

    Attributes
    ----------
    kind : str
        ``NULL`` (no answer), ``CE`` (leaf), ``TE`` (one child a value), ``SE`` (yes or no).
    value : int
        A leaf's answer; else the key that is asked: `PDF_CLASS` or a place in the window.
    yes : tuple of int
        Values that go to the first child of an ``SE``.
    children : tuple of int
        Indices of nodes.
    """

    kind: str
    value: int = -1
    yes: tuple[int, ...] = ()
    children: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class DecisionTree:
    """A context window and the tree that maps what stands in it to a score column.

    Attributes
    ----------
    width : int
        Phones in the window: 1 for monophones, 3 for triphones.
    centre : int
        Place of the phone itself, from 0.
    nodes : tuple of `Node`
        The root is number 0; every child stands behind its parent.
    """

    width: int
    centre: int
    nodes: tuple[Node, ...]

    @property
    def n_leaves(self) -> int:
        """Number of different answers."""
        return len({node.value for node in self.nodes if node.kind == "CE"})

    def answer(self, event: Mapping[int, npt.ArrayLike]) -> npt.NDArray[np.int32]:
        """Return the score columns of many events; -1 where the tree has no answer.

        Parameters
        ----------
        event : mapping from int to array_like of int
            By key (`PDF_CLASS`, 0 ... width - 1): values of like shape, or single numbers. A
            place without a phone (before the first, behind the last) has the value 0.
        """
        values = {key: np.asarray(value) for key, value in event.items()}
        values_list = np.broadcast_arrays(*values.values())
        shape = values_list[0].shape
        flat = {key: v.ravel() for key, v in zip(values, values_list, strict=True)}
        out = np.full(int(np.prod(shape)), -1, dtype=np.int32)
        waiting: list[tuple[int, npt.NDArray[np.intp]]] = [(0, np.arange(out.size))]
        while waiting:
            number, rows = waiting.pop()
            node = self.nodes[number]
            if not len(rows) or node.kind == "NULL":
                continue
            if node.kind == "CE":
                out[rows] = node.value
            elif node.value in flat:
                asked = flat[node.value][rows]
                if node.kind == "SE":
                    is_yes = np.isin(asked, node.yes)
                    waiting.append((node.children[0], rows[is_yes]))
                    waiting.append((node.children[1], rows[~is_yes]))
                else:
                    for value in np.unique(asked):
                        if 0 <= value < len(node.children):
                            waiting.append((node.children[value], rows[asked == value]))
        return out.reshape(shape)

    def write(self, path: str | Path, *, binary: bool = True) -> None:
        """Write the file; what `read` read comes back byte for byte when binary."""
        writer = KaldiWriter(binary=binary)
        writer.token("ContextDependency")
        writer.integer(self.width)
        writer.integer(self.centre)
        writer.token("ToPdf")
        for item in self._preorder():
            if isinstance(item, str):
                writer.token(item)
                writer.newline()
                continue
            writer.token(item.kind)
            if item.kind == "CE":
                writer.integer(item.value)
            elif item.kind == "TE":
                writer.integer(item.value)
                writer.integer(len(item.children), unsigned=True)
                writer.token("(")
            elif item.kind == "SE":
                writer.integer(item.value)
                writer.integers(item.yes)
                writer.token("{")
        writer.token("EndContextDependency")
        writer.newline()
        with atomic_file(path) as temporary:
            temporary.write_bytes(writer.getvalue())

    def _preorder(self) -> list[Node | str]:
        """Return the nodes in the file's order, with the brackets that close their lists."""
        order: list[Node | str] = []
        waiting: list[int | str] = [0]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                order.append(item)
                continue
            node = self.nodes[item]
            order.append(node)
            if node.children or node.kind == "TE":
                waiting.append(")" if node.kind == "TE" else "}")
                waiting.extend(reversed(node.children))
        return order

    @classmethod
    def read(cls, path: str | Path) -> DecisionTree:
        """Read a ``tree``, text or binary.

        Raises
        ------
        FormatError
            The file is damaged, asks for a place outside its window or never ends.
        """
        reader = KaldiReader(read_bytes(path), str(path))
        reader.expect("ContextDependency")
        width = reader.integer("width of the window", low=1, high=_MAX_WINDOW)
        centre = reader.integer("place of the phone", low=0, high=width - 1)
        reader.expect("ToPdf")
        nodes = _read_nodes(reader, width)
        reader.expect("EndContextDependency")
        reader.skip_blanks()
        reader.finish()
        return cls(width, centre, nodes)


def _read_nodes(reader: KaldiReader, width: int) -> tuple[Node, ...]:
    """Read nested nodes with a stack of our own: depth costs memory, not the C stack."""
    nodes: list[tuple[Node, list[int]]] = []
    open_nodes: list[tuple[int, int]] = []  # index and number of children that it wants
    while True:
        while open_nodes and len(nodes[open_nodes[-1][0]][1]) == open_nodes[-1][1]:
            index, _ = open_nodes.pop()
            reader.expect(")" if nodes[index][0].kind == "TE" else "}")
        if nodes and not open_nodes:
            return tuple(dataclasses.replace(node, children=tuple(kids)) for node, kids in nodes)
        node, n_children = _read_node(reader, width)
        if open_nodes:
            nodes[open_nodes[-1][0]][1].append(len(nodes))
        if n_children >= 0:
            open_nodes.append((len(nodes), n_children))
        nodes.append((node, []))


def _read_node(reader: KaldiReader, width: int) -> tuple[Node, int]:
    """Return one node and how many children follow, -1 when it is a leaf."""
    kind = reader.expect("NULL", "CE", "TE", "SE")
    if kind == "NULL":
        return Node(kind), -1
    if kind == "CE":
        return Node(kind, reader.integer("leaf", low=0)), -1
    key = reader.integer("key of a question", low=PDF_CLASS, high=width - 1)
    if kind == "TE":
        n_children = reader.size("children of a table", each=3)
        reader.expect("(")
        return Node(kind, key), n_children
    yes = reader.integers("values of a question")
    if np.any(np.diff(yes) <= 0):
        raise reader.error("values of a question are not in rising order")
    reader.expect("{")
    return Node(kind, key, tuple(yes.tolist())), 2
