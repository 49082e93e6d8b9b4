"""Phonetic decision trees: which tied state a phone's HMM state has among its neighbours.

In: questions and the nodes that ask them, from training. Out: tied states by context, a
`ContextMap` for graphs, rows for people and pictures.

Each HMM state of each phone has a tree of its own. An inner node asks whether the phone before,
the phone behind or the place in the word is one of a set; a leaf is a tied state (score column).
The utterance's edge counts as a neighbour of its own.

Public names: `PLACES`, `Question`, `Tree`, `TreeItem`, `answers_of`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap, PhysicalHmm
from wfst_hmm.models.topology import Topology

__all__ = ["PLACES", "Question", "Tree", "TreeItem", "answers_of"]

#: What a question may be about, in the order of a context's columns.
PLACES = ("left", "right", "position")
_NODE_ARRAYS = ("question", "yes", "no", "leaf", "occupancy", "gain")


@dataclasses.dataclass(frozen=True)
class Question:
    """Whether the phone on one side, or the place in the word, is one of a set.

    Attributes
    ----------
    place : {"left", "right", "position"}
    members : tuple of str
        Phones (``<edge>`` is the utterance's edge) or `WORD_POSITIONS`.
    """

    place: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        name = {"left": "before", "right": "behind", "position": "place"}[self.place]
        return f"{name}: {' '.join(self.members)}?"


@dataclasses.dataclass(frozen=True)
class TreeItem:
    """One node of a tree as people and pictures want it.

    Attributes
    ----------
    number : int
        Of the node, within all trees.
    phone : str
    state : int
        HMM state whose tree it belongs to.
    depth : int
        0 for the root.
    question : Question or None
        None for a leaf.
    yes, no : int
        Numbers of the nodes that the answers lead to; -1 for a leaf.
    leaf : int
        Tied state, -1 for an inner node.
    occupancy : float
        Training frames that came here.
    gain : float
        Log-likelihood that the question gained, in nats; 0 for a leaf.
    """

    number: int
    phone: str
    state: int
    depth: int
    question: Question | None
    yes: int
    no: int
    leaf: int
    occupancy: float
    gain: float


@dataclasses.dataclass(frozen=True, eq=False)
class Tree:
    """The trees of all HMM states, immutable.

    Attributes
    ----------
    phones : tuple of str, length P
    n_positions : int
        4 when places in the word are told apart (`WORD_POSITIONS`), else 1.
    questions : tuple of Question
    roots : tuple of tuples of int
        ``roots[phone][state]``: node.
    question, yes, no, leaf : ndarrays of int32, shape (N,)
        Of each node: index of its question and the nodes behind the answers, or its tied state;
        -1 where it has none.
    occupancy, gain : ndarrays of float64, shape (N,)

    Raises
    ------
    ModelError
        A node is neither a leaf nor asks a question, or names a node that is not behind it.
    """

    phones: tuple[str, ...]
    n_positions: int
    questions: tuple[Question, ...]
    roots: tuple[tuple[int, ...], ...]
    question: npt.NDArray[np.int32]
    yes: npt.NDArray[np.int32]
    no: npt.NDArray[np.int32]
    leaf: npt.NDArray[np.int32]
    occupancy: npt.NDArray[np.float64]
    gain: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.leaf)
        if {len(getattr(self, name)) for name in _NODE_ARRAYS} != {n} or not n:
            raise ModelError("node arrays of unlike lengths")
        if self.n_positions not in (1, len(WORD_POSITIONS)):
            raise ModelError("a tree has one position or four", got=self.n_positions)
        inner = self.leaf < 0
        here = np.arange(n)
        ahead = (self.yes > here) & (self.no > here) & (np.maximum(self.yes, self.no) < n)
        if not (ahead & (self.question >= 0) & (self.question < len(self.questions)))[inner].all():
            raise ModelError("an inner node of a tree lacks a question, or its answers lead back")
        if len(self.roots) != len(self.phones) or any(
            not 0 <= root < n for row in self.roots for root in row
        ):
            raise ModelError("the roots of a tree do not fit its phones or nodes")

    @property
    def n_leaves(self) -> int:
        """Number of tied states S."""
        return int(self.leaf.max()) + 1

    def __repr__(self) -> str:
        return (f"Tree({len(self.phones)} phones, {self.n_leaves} leaves, "
                f"{len(self.questions)} questions)")  # fmt: skip

    @property
    def leaf_occupancy(self) -> npt.NDArray[np.float64]:
        """Training frames of each tied state, shape (S,)."""
        own = self.leaf >= 0
        counts = np.bincount(self.leaf[own], self.occupancy[own], self.n_leaves)
        return counts.astype(np.float64)

    def answers(self) -> npt.NDArray[np.bool_]:
        """Return who is in which question, shape (Q, 3, max(P + 1, 4)).

        The second axis is that of `PLACES`; ``[q, i, x]`` is whether phone x (P: the edge; for
        the position: its number) is a member; all False for the places it does not ask about.
        """
        return answers_of(self.questions, self.phones)

    def grid(self, phone: int, state: int, position: int = 0) -> npt.NDArray[np.int32]:
        """Return the tied state for all pairs of neighbours, shape (P + 1, P + 1).

        Row: the phone before, column: the phone behind, the last of each is the edge.
        """
        n = len(self.phones) + 1
        out = np.full((n, n), -1, dtype=np.int32)
        answers = self.answers()
        agenda = [(self.roots[phone][state], np.ones(n, bool), np.ones(n, bool))]
        while agenda:
            node, left, right = agenda.pop()
            if self.leaf[node] >= 0:
                out[np.ix_(left, right)] = self.leaf[node]
                continue
            asked = int(self.question[node])
            member = answers[asked, :, :n]
            place = self.questions[asked].place
            if place == "position":
                way = self.yes if answers[asked, 2, position] else self.no
                agenda.append((int(way[node]), left, right))
            elif place == "left":
                agenda.append((int(self.yes[node]), left & member[0], right))
                agenda.append((int(self.no[node]), left & ~member[0], right))
            else:
                agenda.append((int(self.yes[node]), left, right & member[1]))
                agenda.append((int(self.no[node]), left, right & ~member[1]))
        return out

    def context_map(self, topologies: Sequence[Topology]) -> ContextMap:
        """Return the map from phones in context to HMMs; one topology a phone."""
        hmms: list[PhysicalHmm] = []
        grids: dict[tuple[int, int], npt.NDArray[np.int32]] = {}
        for phone in range(len(self.phones)):
            known: dict[tuple[int, ...], int] = {}
            for position in range(self.n_positions):
                leaves = np.stack(
                    [self.grid(phone, s, position) for s in range(len(self.roots[phone]))], axis=-1
                )
                flat = leaves.reshape(-1, leaves.shape[-1])
                rows, place = np.unique(flat, axis=0, return_inverse=True)
                numbers = []
                for row in rows.tolist():
                    key = tuple(row)
                    if key not in known:
                        known[key] = len(hmms)
                        hmms.append(PhysicalHmm(phone, phone, key))
                    numbers.append(known[key])
                table = np.array(numbers, dtype=np.int32)[place.ravel()]
                grids[phone, position] = table.reshape(leaves.shape[:2])
        return ContextMap.build(self.phones, topologies, hmms, lambda c, p: grids[c, p],
                                n_positions=self.n_positions)  # fmt: skip

    def items(self) -> Iterator[TreeItem]:
        """Yield every node, tree by tree, parents before their children, "yes" first."""
        for phone, row in zip(self.phones, self.roots, strict=True):
            for state, root in enumerate(row):
                agenda = [(root, 0)]
                while agenda:
                    node, depth = agenda.pop()
                    asked = int(self.question[node])
                    is_leaf = self.leaf[node] >= 0
                    yield TreeItem(
                        node, phone, state, depth, None if is_leaf else self.questions[asked],
                        int(self.yes[node]), int(self.no[node]), int(self.leaf[node]),
                        float(self.occupancy[node]), float(self.gain[node]),
                    )  # fmt: skip
                    if not is_leaf:
                        agenda.append((int(self.no[node]), depth + 1))
                        agenda.append((int(self.yes[node]), depth + 1))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything as arrays for an ``.npz`` file."""
        members = [member for question in self.questions for member in question.members]
        return {
            "phones": np.array(self.phones, dtype=np.str_),
            "n_positions": np.array(self.n_positions),
            "question_place": np.array([PLACES.index(q.place) for q in self.questions], np.int32),
            "question_size": np.array([len(q.members) for q in self.questions], dtype=np.int32),
            "question_members": np.array(members, dtype=np.str_),
            "n_states": np.array([len(row) for row in self.roots], dtype=np.int32),
            "roots": np.array([root for row in self.roots for root in row], dtype=np.int32),
            **{name: getattr(self, name) for name in _NODE_ARRAYS},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Tree:
        """Return the tree that `to_arrays` described; a `ModelError` when arrays disagree."""
        try:
            bounds = np.cumsum([0, *arrays["question_size"].tolist()])
            members = [str(member) for member in arrays["question_members"]]
            questions = tuple(
                Question(PLACES[int(place)], tuple(members[a:b]))
                for place, a, b in zip(
                    arrays["question_place"], bounds[:-1], bounds[1:], strict=True
                )
            )
            cuts = np.cumsum([0, *arrays["n_states"].tolist()])
            roots = arrays["roots"].tolist()
            rows = tuple(tuple(roots[a:b]) for a, b in itertools.pairwise(cuts))
            phones = tuple(str(phone) for phone in arrays["phones"])
            nodes = {name: arrays[name] for name in _NODE_ARRAYS}
            return cls(phones, int(arrays["n_positions"]), questions, rows, **nodes)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ModelError(f"arrays of a tree disagree ({error})") from None


def answers_of(questions: Sequence[Question], phones: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return the table of `Tree.answers` for any questions."""
    number = {phone: index for index, phone in enumerate(phones)}
    number["<edge>"] = len(phones)
    width = max(len(phones) + 1, len(WORD_POSITIONS))
    table = np.zeros((len(questions), len(PLACES), width), dtype=bool)
    for row, question in enumerate(questions):
        place = PLACES.index(question.place)
        for member in question.members:
            if question.place == "position":
                table[row, place, WORD_POSITIONS.index(member)] = True
            else:
                table[row, place, number[member]] = True
    return table
