"""A decoding graph with whole HMMs on its arcs: C∘L∘G, H left to be expanded during search.

In: what the compiler built, or a directory that it saved. Out: `CompactGraph`, which expands
to a `Graph`.

Public names: `AnyGraph`, `CompactGraph`, `is_compact`, `load_graph`.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_directory, read_arrays
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.expansion import expand_units
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.stages import Stages
from wfst_hmm.graph.units import Moves, Units
from wfst_hmm.models.topology import StateLabels

__all__ = ["AnyGraph", "CompactGraph", "is_compact", "load_graph"]

_KINDS = ("enter", "step", "leave")
_UNITS = "units.npz"
_GRAPH = "graph"


@dataclasses.dataclass(frozen=True, eq=False)
class CompactGraph:
    """A decoding graph: units (phones, or phones in context) in, words out.

    Attributes
    ----------
    fst : Fst
        Input label u + 1 is unit u, 0 is epsilon; output labels are `words`; costs in nats hold
        grammar, pronunciation and silence, not the HMMs' transitions.
    units : Units
        The HMMs; their moves carry the state labels.
    labels : StateLabels
    words, phones, silence_phones, lexicon, model_hash, frame_shift, info, acoustic_scale, frame_offset
        As for `Graph`.
    """

    fst: Fst
    units: Units
    labels: StateLabels
    words: Symbols
    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    lexicon: Lexicon
    model_hash: str
    frame_shift: float = 0.01
    info: dict[str, Any] = dataclasses.field(default_factory=dict)
    acoustic_scale: float = 1.0
    frame_offset: float = 0.0

    def __repr__(self) -> str:
        return (f"CompactGraph({self.fst.n_states} states, {self.fst.n_arcs} arcs, "
                f"{len(self.words) - 1} words, {len(self.units)} units)")  # fmt: skip

    def expanded(self, *, max_memory_mb: float | None = None) -> Graph:
        """Return the graph with the states of its HMMs; the best paths are the same.

        A `GraphError` tells that the process would hold more than `max_memory_mb`; the states
        and arcs are counted first.
        """
        stages, name = (
            Stages(self.info.get("stages", ()), max_megabytes=max_memory_mb),
            "H expanded",
        )
        afford = None if max_memory_mb is None else functools.partial(stages.afford, name)
        fst = expand_units(self.fst, self.units, self.labels.symbols, afford=afford)
        fst = stages.done(name, fst.with_symbols(self.labels.symbols, self.words))
        return self._graph(fst, {**self.info, "stages": stages.rows})

    def unit_symbols(self) -> Symbols:
        """Return names of the units: ``AH#17`` is HMM 17, one of phone AH's."""
        entry = self.units.enter.label[self.units.enter.start[:-1]]
        phones = self.labels.phone[entry - 1]
        return Symbols(f"{self.phones[phone]}#{unit}" for unit, phone in enumerate(phones.tolist()))

    def check_model(self, model_hash: str) -> None:
        """Raise a `ModelError` unless the graph was built for the model with this hash."""
        self._graph(self.fst, self.info).check_model(model_hash)

    def _graph(self, fst: Fst, info: dict[str, Any]) -> Graph:
        return Graph(fst, self.labels, self.words, self.phones, self.silence_phones, self.lexicon,
                     self.model_hash, self.frame_shift, info, self.acoustic_scale,
                     self.frame_offset)  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the graph as a directory; an older one is replaced as a whole, or not at all."""
        with atomic_directory(path) as folder:
            self._graph(self.fst, self.info).save(folder / _GRAPH)
            arrays = {
                f"{kind}_{field.name}": getattr(getattr(self.units, kind), field.name)
                for kind in _KINDS
                for field in dataclasses.fields(Moves)
            }
            np.savez(folder / _UNITS, n_states=self.units.n_states, **arrays)

    @classmethod
    def load(cls, path: str | Path, *, verify: bool = False) -> CompactGraph:
        """Load what `save` wrote; the arcs are mapped into memory, not read.

        Raises
        ------
        FormatError
            A file is missing or damaged, or this is another kind of directory.
        """
        folder = Path(path)
        if not (folder / _UNITS).is_file():
            raise FormatError("not a compact graph: it has no units.npz", where=str(folder))
        graph = Graph.load(folder / _GRAPH, verify=verify)
        stored = read_arrays(folder / _UNITS)
        try:
            moves = [
                Moves(*(stored[f"{kind}_{field.name}"] for field in dataclasses.fields(Moves)))
                for kind in _KINDS
            ]
            units = Units(stored["n_states"], moves[0], moves[1], moves[2])
            if any(len(move.start) != len(units) + 1 or move.start[-1] != len(move.source)
                   or move.label.max(initial=0) > len(graph.labels) for move in moves):  # fmt: skip
                raise ValueError("units and their moves do not fit together")
            if graph.fst.n_arcs and int(graph.fst.arcs["ilabel"].max()) > len(units):
                raise ValueError("an arc names a unit that does not exist")
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(f"a damaged table of units ({error})", where=str(folder / _UNITS),
                              fix="Build the graph again.") from None  # fmt: skip
        return cls(
            graph.fst.with_symbols(None, graph.words), units, graph.labels, graph.words,
            graph.phones, graph.silence_phones, graph.lexicon, graph.model_hash,
            graph.frame_shift, graph.info, graph.acoustic_scale, graph.frame_offset,
        )  # fmt: skip


#: Decoding graphs of either kind.
AnyGraph: TypeAlias = Graph | CompactGraph


def is_compact(path: str | Path) -> bool:
    """Tell whether `path` is the directory of a compact graph."""
    return (Path(path) / _UNITS).is_file()


def load_graph(path: str | Path, *, verify: bool = False) -> AnyGraph:
    """Load a graph directory of either kind; errors are those of `Graph.load`."""
    return (CompactGraph if is_compact(path) else Graph).load(path, verify=verify)
