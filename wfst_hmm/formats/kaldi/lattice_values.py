"""Kaldi's lattices and ours: the same paths, words and costs.

In: a `KaldiLattice` and its table of words. Out: a `Lattice`; and back.

Public names: `kaldi_from_lattice`, `lattice_from_kaldi`.
"""

from __future__ import annotations

import numpy as np

from wfst_hmm.errors import FormatError
from wfst_hmm.formats.kaldi.lattices import ARC, FINAL, KaldiLattice
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.lattice import Ints, Lattice, lattice_from_rows

__all__ = ["kaldi_from_lattice", "lattice_from_kaldi"]


def lattice_from_kaldi(
    lattice: KaldiLattice, words: Symbols, *, frame_shift: float = 0.01, where: str = ""
) -> Lattice:
    """Return a lattice with the same paths; its state labels are Kaldi's transition-ids.

    Final states that carry an acoustic cost or transition-ids lead to one more state.

    Raises
    ------
    FormatError
        A word is not in the table, or the lattice has a cycle.
    """
    highest = int(lattice.arcs["olabel"].max(initial=0))
    if highest >= len(words):
        raise FormatError("a word number that the table lacks", where=where, got=highest,
                          expected=f"below {len(words)}", fix="Name the words.txt of its graph.")  # fmt: skip
    order = {state: place for place, state in enumerate(_from_start(lattice))}
    rows: list[tuple[int, int, int, float, float, Ints]] = []
    for arc in lattice.arcs:
        if int(arc["source"]) in order:
            ids = lattice.ids[arc["ids_from"] : arc["ids_to"]]
            rows.append((order[int(arc["source"])], order[int(arc["target"])], int(arc["olabel"]),
                         float(arc["graph"]), float(arc["acoustic"]), ids))  # fmt: skip
    end = len(order)
    final = np.full(end + 1, np.inf)
    for row in lattice.finals:
        state = order.get(int(row["state"]))
        ids = lattice.ids[row["ids_from"] : row["ids_to"]]
        if state is None:
            continue
        if row["acoustic"] == 0 and not len(ids):
            final[state] = float(row["graph"])
        else:
            rows.append((state, end, 0, float(row["graph"]), float(row["acoustic"]), ids))
            final[end] = 0.0
    made = lattice_from_rows(rows, final, words, frame_shift=frame_shift)
    return made.select(np.ones(made.n_arcs, dtype=bool))


def _from_start(lattice: KaldiLattice) -> list[int]:
    """Return the states behind the start, in a topological order that begins with it."""
    order = lattice.topological_order()
    reached = {lattice.start}
    first = np.searchsorted(lattice.arcs["source"], np.arange(lattice.n_states + 1))
    for state in order:
        if state in reached:
            reached.update(lattice.arcs["target"][first[state] : first[state + 1]].tolist())
    return [state for state in order if state in reached]


def kaldi_from_lattice(lattice: Lattice, words: Symbols | None = None) -> KaldiLattice:
    """Return a compact lattice, its transition-ids being our state labels.

    Parameters
    ----------
    lattice : Lattice
    words : Symbols, optional
        Table to number words by; by default the lattice's own.

    Raises
    ------
    DataError
        `words` lacks a word.
    """
    table = words or lattice.words
    used = np.unique(lattice.word)
    number = np.zeros(int(used.max(initial=0)) + 1, dtype=np.int32)
    number[used] = [table.id(lattice.words[int(word)]) for word in used]
    arcs = np.zeros(lattice.n_arcs, dtype=ARC)
    arcs["source"], arcs["target"] = lattice.source, lattice.target
    arcs["ilabel"] = arcs["olabel"] = number[lattice.word]
    arcs["graph"], arcs["acoustic"] = lattice.graph_cost, lattice.acoustic_cost
    arcs["ids_from"], arcs["ids_to"] = lattice.label_start[:-1], lattice.label_start[1:]
    ends = np.flatnonzero(lattice.final < np.inf)
    finals = np.zeros(len(ends), dtype=FINAL)
    finals["state"], finals["graph"] = ends, lattice.final[ends]
    return KaldiLattice(True, 0, lattice.n_states, arcs, finals, lattice.labels)
