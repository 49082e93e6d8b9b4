"""Slots: places of a grammar whose words are filled in later, without building the rest again.

In: a grammar in which a word such as ``$contacts`` stands for words or phrases yet to come; in
JSGF that may be a rule that is nowhere defined (``read_jsgf(path, slots=["contacts"])``). Out: a
`SlotGraph`, which gives a whole `Graph` for any words of its slots in the time of copying it.

The grammar is compiled once with a phone of its own for each slot, which takes no frame and costs
nothing. Filling makes the graph of the slot's words alone and leads each of these places through
a copy of it.

Public names: `SlotGraph`, `build_slots`, `slot_names`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import Grammar, phrase_list
from wfst_hmm.graph.units import PhoneModel
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.orthography import fields

__all__ = ["SlotGraph", "build_slots", "slot_names"]

_SLOT = re.compile(r"^\$\w[\w-]*$")
#: Words or phrases of a slot (or one alone), all equally probable, or each with its cost in nats.
Words = str | Iterable[str] | Mapping[str, float]


def slot_names(grammar: Grammar) -> tuple[str, ...]:
    """Return the slots of a grammar, ``$`` included, in the order of its words.

    Examples
    --------
    >>> from wfst_hmm.graph.phrases import phrase_list
    >>> slot_names(phrase_list([(("call", "$contacts"), 0.0), (("stop",), 0.0)]))
    ('$contacts',)
    """
    return tuple(word for word in grammar.words if _SLOT.match(word))


@dataclasses.dataclass(frozen=True, eq=False)
class SlotGraph:
    """A decoding graph with places for words.

    Attributes
    ----------
    frame : Graph
        The graph of all but the slots; nothing gets past a slot.
    model : PhoneModel
    options : GraphOptions
    slots : tuple of str
    places : mapping of str to int arrays, shape (n, 2)
        For each slot, (arc of `frame` that enters it, state behind it). The arc reads nothing
        and leads to the state behind, until it is led elsewhere.
    """

    frame: Graph
    model: PhoneModel
    options: GraphOptions
    slots: tuple[str, ...]
    places: Mapping[str, npt.NDArray[np.int64]]

    def fill(self, lexicon: Lexicon, words: Mapping[str, Words]) -> Graph:
        """Return the graph with these words in its slots.

        Parameters
        ----------
        lexicon : Lexicon
            Holds every word of the slots.
        words : mapping of slot to words
            For each slot, with or without its ``$``, words or phrases ("anna smith"), or these
            with costs in nats; without costs all are equally probable. None at all: the slot
            cannot be passed.

        Returns
        -------
        Graph
            As if built from the grammar with the words in place of the slot. States and arcs of
            the frame keep their numbers; the slots' come after.

        Raises
        ------
        UsageError
            A slot is not named, or one is that the grammar lacks.
        DataError, ModelError
            See `build_graph`: a word or a phone is missing.
        GraphError
            A phrase is empty.
        """
        given = {name if name.startswith("$") else f"${name}": w for name, w in words.items()}
        for name in {*given} ^ {*self.slots}:
            raise UsageError("a slot without words" if name in self.slots else "no such slot",
                             got=name, expected=", ".join(self.slots))  # fmt: skip
        parts = {
            name: self._part(lexicon, name, given[name])
            for name in self.slots
            if len(self.places[name])
        }
        used = Lexicon(e for part in parts.values() if part for e in part.lexicon)
        symbols = self.frame.words.extended(w for p in parts.values() if p for w in p.words)
        fst = _Joined(self.frame.fst)
        for name, part in parts.items():
            fst.lead(self.places[name], None if part is None else _renamed(part, symbols))
        info = {**self.frame.info, "slots": {name: len(part.words) - 1 if part else 0
                                             for name, part in parts.items()}}  # fmt: skip
        return dataclasses.replace(
            self.frame,
            fst=fst.made().with_symbols(self.frame.labels.symbols, symbols),
            words=symbols,
            lexicon=Lexicon.later(lambda: [*self.frame.lexicon, *used]),
            info=info,
        )

    def _part(self, lexicon: Lexicon, name: str, words: Words) -> Graph | None:
        listed = list(dict.fromkeys([words] if isinstance(words, str) else words))
        if not listed:
            return None
        costs = (
            words if isinstance(words, Mapping) else dict.fromkeys(listed, math.log(len(listed)))
        )
        grammar = phrase_list([(fields(p), costs[p]) for p in listed], name, early=True)
        # silence before the slot is the frame's, silence after its words the part's
        behind = dataclasses.replace(self.options, initial_silence=False)
        return build_graph(self.model, lexicon, grammar, behind)


def build_slots(
    model: PhoneModel, lexicon: Lexicon, grammar: Grammar, options: GraphOptions | None = None
) -> SlotGraph:
    """Build the graph of a grammar with slots, to be filled later.

    Parameters
    ----------
    model : PhoneModel
        Without context: phones at the edges of a slot would depend on its words.
    lexicon : Lexicon
        Of all words but the slots'.
    grammar : Grammar
        Words such as ``$contacts`` are slots.
    options : GraphOptions, optional

    Raises
    ------
    UsageError
        The grammar has no slot, or the model's phones depend on their neighbours.
    DataError, ModelError, GraphError
        See `build_graph`.
    """
    options = options or GraphOptions()
    slots = slot_names(grammar)
    if not slots:
        raise UsageError("the grammar has no slot", where=grammar.source or None,
                         expected="a word such as $contacts")  # fmt: skip
    if getattr(model, "context", None) is not None:
        raise UsageError("slots need a model of phones without context")
    if taken := [slot for slot in slots if slot in model.phones or slot in lexicon]:
        raise UsageError("the name of a slot is taken by a word or phone", got=taken[0])
    with_slots = _WithSlots.of(model, slots)
    entries = [
        *lexicon.restricted(grammar.words),
        *(Entry(slot, (slot,), silence=0.0) for slot in slots),
    ]
    graph = build_graph(with_slots, Lexicon(entries), grammar, options)
    labels = model.state_labels()
    fst, places = _opened(graph, len(labels), slots)
    frame = dataclasses.replace(
        graph, fst=fst.with_symbols(labels.symbols, graph.words), labels=labels,
        phones=tuple(model.phones), lexicon=Lexicon(e for e in graph.lexicon if e.word not in slots),
    )  # fmt: skip
    return SlotGraph(frame, model, options, slots, places)


@dataclasses.dataclass(frozen=True, eq=False)
class _WithSlots:
    """A model that has one more phone for each slot: one state, one frame, no cost."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    topologies: tuple[Topology, ...]
    labels: StateLabels
    hash: str
    frame_shift: float
    acoustic_scale: float
    frame_offset: float

    @classmethod
    def of(cls, model: PhoneModel, slots: tuple[str, ...]) -> _WithSlots:
        point = Topology.left_to_right(1, self_loop=0.0)
        phones = (*model.phones, *slots)
        topologies = (*model.topologies, *(point for _ in slots))
        known = model.state_labels()
        columns = []
        for number, topology in enumerate(topologies):
            column = np.zeros(topology.n_states, dtype=np.int32)
            here = known.phone == number
            column[known.state[here]] = known.column[here]
            columns.append(column)
        labels = StateLabels.build(phones, topologies, columns)
        return cls(phones, tuple(model.silence_phones), topologies, labels, model.hash,
                   model.frame_shift, getattr(model, "acoustic_scale", 1.0),
                   model.frame_offset)  # fmt: skip

    def state_labels(self) -> StateLabels:
        return self.labels


def _opened(
    graph: Graph, n_labels: int, slots: tuple[str, ...]
) -> tuple[Fst, dict[str, npt.NDArray[np.int64]]]:
    """Make the slots' arcs epsilons and say where they are; their names are not printed."""
    fst = graph.fst
    arcs, source = fst.arcs.copy(), fst.sources()
    names = [graph.words.id(slot) for slot in slots if slot in graph.words]
    arcs["olabel"][np.isin(arcs["olabel"], names)] = 0
    slot_of = np.where(arcs["ilabel"] > n_labels, graph.labels.phone[arcs["ilabel"] - 1], -1)
    arcs["ilabel"][slot_of >= 0] = 0
    order = np.lexsort((arcs["ilabel"], source))
    arcs, slot_of = arcs[order], slot_of[order]
    opened = Fst.from_runs(fst.start, fst.states["n_arcs"], arcs, fst.states["final"])
    first = len(graph.phones) - len(slots)
    places = {}
    for number, slot in enumerate(slots):
        at = np.flatnonzero(slot_of == first + number)
        places[slot] = np.stack([at, arcs["nextstate"][at]], axis=1).astype(np.int64)
    return opened, places


def _renamed(part: Graph, symbols: Any) -> Fst:
    """Return a slot's machine with its words numbered by `symbols`."""
    label = np.array([0, *(symbols.id(word) for word in list(part.words)[1:])], dtype=np.int32)
    arcs = part.fst.arcs.copy()
    arcs["olabel"] = label[arcs["olabel"]]
    return Fst.from_runs(part.fst.start, part.fst.states["n_arcs"], arcs, part.fst.states["final"])


class _Joined:
    """A frame, and the copies of slots' machines that its places are led through."""

    def __init__(self, frame: Fst) -> None:
        self._start = frame.start
        self._arcs = [frame.arcs.copy()]
        self._counts = [frame.states["n_arcs"]]
        self._finals = [frame.states["final"]]
        self._n_states = frame.n_states

    def lead(self, places: npt.NDArray[np.int64], part: Fst | None) -> None:
        """Lead every place through a copy of `part`, one for each state behind; None: nowhere."""
        if part is None:
            dead = np.full(1, np.inf, dtype=np.float32)
            empty = self._arcs[0][:0]
            self._arcs[0]["nextstate"][places[:, 0]] = self._add(
                np.zeros(1, np.uint32), empty, dead
            )
            return
        ends = np.flatnonzero(np.isfinite(part.states["final"]))
        counts = part.states["n_arcs"].copy()
        counts[ends] += 1
        at = part.states["pos"][ends].astype(np.int64)  # an epsilon goes before all others
        leave = np.zeros(len(ends), dtype=part.arcs.dtype)
        leave["weight"] = part.states["final"][ends]
        arcs = np.insert(part.arcs, at, leave)
        leaving = at + np.arange(len(ends))
        final = np.full(part.n_states, np.inf, dtype=np.float32)
        for behind in np.unique(places[:, 1]).tolist():
            copy = arcs.copy()
            copy["nextstate"] += self._n_states
            copy["nextstate"][leaving] = behind
            first = self._add(counts, copy, final)
            into = places[places[:, 1] == behind, 0]
            self._arcs[0]["nextstate"][into] = first + part.start

    def _add(
        self, counts: npt.NDArray[Any], arcs: npt.NDArray[Any], final: npt.NDArray[Any]
    ) -> int:
        self._counts.append(counts)
        self._arcs.append(arcs)
        self._finals.append(final)
        first = self._n_states
        self._n_states += len(final)
        return first

    def made(self) -> Fst:
        return Fst.from_runs(self._start, np.concatenate(self._counts),
                             np.concatenate(self._arcs), np.concatenate(self._finals))  # fmt: skip
