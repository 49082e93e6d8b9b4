"""Kaldi's HMM topologies: the file ``topo`` and the head of every ``final.mdl``.

In: a `KaldiReader`. Out: `HmmTopologies`: states, PDF classes and default probabilities by phone.

Both styles are read and written: one PDF class a state (``<PdfClass>``), and separate ones for
the frame that enters and for the self-loop (the topologies of chain models).

Public names: `HmmState`, `HmmTopologies`, `read_topologies`.

Notes
-----
Format: Kaldi's ``hmm/hmm-topology.cc``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from wfst_hmm.files import read_bytes
from wfst_hmm.formats.kaldi.stream import KaldiReader, KaldiWriter

__all__ = ["HmmState", "HmmTopologies", "read_topologies"]

_NO_PDF = -1
_MAX_CLASS = 1 << 20


@dataclasses.dataclass(frozen=True)
class HmmState:
    """One state of a topology.

    Attributes
    ----------
    forward_class, self_loop_class : int
        PDF classes of the frame that enters and of those that stay; -1: emits nothing.
    transitions : tuple of (int, float)
        Destinations and their default probabilities.
    """

    forward_class: int
    self_loop_class: int
    transitions: tuple[tuple[int, float], ...]


@dataclasses.dataclass(frozen=True)
class HmmTopologies:
    """Topologies by phone.

    Attributes
    ----------
    entries : tuple of tuples of `HmmState`
        The last state of each is the exit and emits nothing.
    entry_of : dict
        Phone number -> index into `entries`; in the file's order.
    """

    entries: tuple[tuple[HmmState, ...], ...]
    entry_of: dict[int, int]

    def of(self, phone: int) -> tuple[HmmState, ...]:
        """Return the states of `phone`."""
        return self.entries[self.entry_of[phone]]

    @property
    def plain(self) -> bool:
        """Whether every state has one PDF class for both (``<Triples>``)."""
        return all(s.forward_class == s.self_loop_class for e in self.entries for s in e)

    def n_classes(self, phone: int) -> int:
        """Return the number of PDF classes of `phone`."""
        return 1 + max(max(s.forward_class, s.self_loop_class) for s in self.of(phone))

    @classmethod
    def read(cls, reader: KaldiReader) -> HmmTopologies:
        """Read from ``<Topology>`` to ``</Topology>``."""
        reader.expect("<Topology>")
        found = _read_binary(reader) if reader.binary else _read_text(reader)
        if reader.binary:
            reader.expect("</Topology>")
        return found

    def write(self, writer: KaldiWriter) -> None:
        """Write from ``<Topology>`` to ``</Topology>``."""
        writer.token("<Topology>")
        writer.newline()
        (self._write_binary if writer.binary else self._write_text)(writer)
        writer.token("</Topology>")
        writer.newline()

    def _write_binary(self, writer: KaldiWriter) -> None:
        writer.integers(sorted(self.entry_of))
        table = np.full(1 + max(self.entry_of), -1, dtype=np.int32)
        for phone, entry in self.entry_of.items():
            table[phone] = entry
        writer.integers(table)
        if not self.plain:
            writer.integer(-1)
        writer.integer(len(self.entries))
        for entry_states in self.entries:
            writer.integer(len(entry_states))
            for state in entry_states:
                writer.integer(state.forward_class)
                if not self.plain:
                    writer.integer(state.self_loop_class)
                writer.integer(len(state.transitions))
                for destination, probability in state.transitions:
                    writer.integer(destination)
                    writer.real(probability)

    def _write_text(self, writer: KaldiWriter) -> None:
        for index, states in enumerate(self.entries):
            writer.token("<TopologyEntry>")
            writer.newline()
            writer.token("<ForPhones>")
            writer.newline()
            for phone in (p for p, e in sorted(self.entry_of.items()) if e == index):
                writer.integer(phone)
            writer.newline()
            writer.token("</ForPhones>")
            writer.newline()
            for number, state in enumerate(states):
                self._write_text_state(writer, number, state)
            writer.token("</TopologyEntry>")
            writer.newline()

    def _write_text_state(self, writer: KaldiWriter, number: int, state: HmmState) -> None:
        writer.token("<State>")
        writer.integer(number)
        if state.forward_class != _NO_PDF:
            if self.plain:
                writer.token("<PdfClass>")
                writer.integer(state.forward_class)
            else:
                writer.token("<ForwardPdfClass>")
                writer.integer(state.forward_class)
                writer.token("<SelfLoopPdfClass>")
                writer.integer(state.self_loop_class)
        for destination, probability in state.transitions:
            writer.token("<Transition>")
            writer.integer(destination)
            writer.real(probability)
        writer.token("</State>")
        writer.newline()


def _read_binary(reader: KaldiReader) -> HmmTopologies:
    phones = reader.integers("phones of the topologies")
    table = reader.integers("topologies by phone")
    n_entries = reader.integer("number of topologies")
    plain = n_entries != -1
    if not plain:
        n_entries = reader.integer("number of topologies")
    if not 1 <= n_entries * 5 <= reader.left:
        raise reader.error("impossible number of topologies", got=n_entries)
    entries = []
    for _ in range(n_entries):
        states = []
        for _ in range(reader.size("states of a topology", each=10, low=2)):
            forward = reader.integer("PDF class", low=_NO_PDF, high=_MAX_CLASS)
            loop = forward
            if not plain:
                loop = reader.integer("PDF class", low=_NO_PDF, high=_MAX_CLASS)
            moves = [
                (reader.integer("destination"), reader.real("probability"))
                for _ in range(reader.size("transitions of a state", each=10))
            ]
            states.append(HmmState(forward, loop, tuple(moves)))
        entries.append(tuple(states))
    entry_of = {}
    for phone in phones.tolist():
        if not (0 < phone < len(table) and 0 <= table[phone] < n_entries) or phone in entry_of:
            raise reader.error("a phone without a topology, or listed twice", got=phone)
        entry_of[phone] = int(table[phone])
    if np.count_nonzero(table >= 0) != len(phones):
        raise reader.error("the two lists of phones of the topologies disagree")
    return _checked(HmmTopologies(tuple(entries), entry_of), reader)


def _read_text(reader: KaldiReader) -> HmmTopologies:
    entries: list[tuple[HmmState, ...]] = []
    entry_of: dict[int, int] = {}
    while reader.expect("<TopologyEntry>", "</Topology>") == "<TopologyEntry>":
        reader.expect("<ForPhones>")
        while reader.peek() != "</ForPhones>":
            phone = reader.integer("phone", low=1)
            if phone in entry_of:
                raise reader.error("a phone has two topologies", got=phone)
            entry_of[phone] = len(entries)
        reader.expect("</ForPhones>")
        states: list[HmmState] = []
        while reader.expect("<State>", "</TopologyEntry>") == "<State>":
            reader.integer("state number", low=len(states), high=len(states))
            states.append(_read_text_state(reader))
        entries.append(tuple(states))
    return _checked(HmmTopologies(tuple(entries), entry_of), reader)


def _read_text_state(reader: KaldiReader) -> HmmState:
    forward = loop = _NO_PDF
    moves: list[tuple[int, float]] = []
    while True:
        tag = reader.expect("<PdfClass>", "<ForwardPdfClass>", "<Transition>", "</State>")
        if tag == "</State>":
            return HmmState(forward, loop, tuple(moves))
        if tag == "<Transition>":
            destination, probability = reader.integer("destination"), reader.real("probability")
            # in float32, as the binary form stores it; a huge one is refused later
            moves.append((destination, float(np.float32(min(probability, 2.0)))))
            continue
        forward = loop = reader.integer("PDF class", low=0, high=_MAX_CLASS)
        if tag == "<ForwardPdfClass>":
            reader.expect("<SelfLoopPdfClass>")
            loop = reader.integer("PDF class", low=0, high=_MAX_CLASS)


def _checked(found: HmmTopologies, reader: KaldiReader) -> HmmTopologies:
    if not found.entries or not found.entry_of:
        raise reader.error("no topology")
    for index, states in enumerate(found.entries):
        name = f"topology {index}"
        if len(states) < 2:
            raise reader.error(f"{name} has no emitting state and exit")
        if states[-1].transitions or states[-1].forward_class != _NO_PDF:
            raise reader.error(f"the last state of {name} is no exit")
        for number, state in enumerate(states[:-1]):
            here = f"state {number} of {name}"
            goals = [goal for goal, _ in state.transitions]
            if len(set(goals)) != len(goals) or not all(0 <= g < len(states) for g in goals):
                raise reader.error(f"{here} has impossible destinations", got=goals[:8])
            total = sum(p for _, p in state.transitions)
            # not (a <= b) is also true of NaN
            if not all(p >= 0 for _, p in state.transitions) or not abs(total - 1) <= 0.01:
                raise reader.error(f"probabilities out of {here} are wrong", got=total, expected=1)
            if (state.forward_class < 0) != (state.self_loop_class < 0):
                raise reader.error(f"{here} emits only half of the time")
    return found


def read_topologies(path: str | Path) -> HmmTopologies:
    """Read a ``topo`` file."""
    return HmmTopologies.read(KaldiReader(read_bytes(path), str(path)))
