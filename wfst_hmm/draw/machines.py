"""Everything that is a machine, as an `Fst` with names that people can read.

In: a graph, compact graph, grammar, L, lattice, HMM or transducer, pynini's own too. Out: `Machine`: its arcs as an `Fst`, and
what its states are called where their numbers say little.

Public names: `Drawable`, `Machine`, `lattice_machine`, `machine_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon_fst import LexiconFst
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm

__all__ = ["Drawable", "Machine", "lattice_machine", "machine_of"]

Drawable = (
    Fst | Graph | CompactGraph | Grammar | LexiconFst | Lattice | Chain | DiscreteHmm | GmmHmm
)


@dataclasses.dataclass(frozen=True, eq=False)
class Machine:
    """A machine to be drawn.

    Attributes
    ----------
    fst : Fst
    names : sequence of str, optional
        Of its states; by default their numbers.
    kind : str
        What it was, in a word or two.
    """

    fst: Fst
    names: Sequence[str] | None = None
    kind: str = "FST"


def machine_of(value: Drawable) -> Machine:
    """Return the machine behind `value`.

    Raises
    ------
    UsageError
        It is none.
    """
    if isinstance(value, Fst):
        return Machine(value)
    if isinstance(value, Grammar):
        return Machine(value.fst, kind="grammar")
    if isinstance(value, LexiconFst):
        return Machine(value.fst, kind="lexicon")
    if hasattr(value, "write_to_string"):
        return Machine(Fst.from_pynini(value))
    if isinstance(value, Graph):
        return Machine(value.fst, kind="decoding graph")
    if isinstance(value, CompactGraph):
        fst = value.fst.with_symbols(unit_names(value), value.words)
        return Machine(fst, kind="compact graph")
    if isinstance(value, Lattice):
        return lattice_machine(value)
    if isinstance(value, Chain | DiscreteHmm | GmmHmm):
        chain = value if isinstance(value, Chain) else value.chain
        return Machine(chain.to_fst(), kind="HMM")
    raise UsageError("this is no machine", got=type(value).__name__,
                     expected="an Fst, Graph, CompactGraph, Grammar, Lattice or HMM, or pynini's Fst")  # fmt: skip


def unit_names(graph: CompactGraph) -> Symbols:
    """Return names for the units of a graph: the phone, and a number where phones have several."""
    enter = graph.units.enter
    of_phone: dict[int, int] = {}
    names = []
    for label in enter.label[enter.start[:-1]].tolist():
        phone = int(graph.labels.phone[label - 1])
        of_phone[phone] = of_phone.get(phone, 0) + 1
        names.append(f"{graph.phones[phone]}/{of_phone[phone]}")
    if all(count == 1 for count in of_phone.values()):
        names = [name.rpartition("/")[0] for name in names]
    return Symbols(names)


def lattice_machine(lattice: Lattice, *, posteriors: bool = False) -> Machine:
    """Return a lattice as a machine over its words; states are named by their time.

    Parameters
    ----------
    lattice : Lattice
    posteriors : bool
        Let an arc cost minus the logarithm of its posterior instead of its graph and acoustic
        cost together, which in a picture are only large numbers.
    """
    cost: npt.NDArray[np.float64] = lattice.cost
    final = lattice.final
    if posteriors:
        share, _ = arc_posteriors(lattice)
        with np.errstate(divide="ignore"):
            cost = -np.log(np.clip(share, 0.0, 1.0)) + 0.0
        final = np.where(np.isfinite(final), 0.0, np.inf)
    fst = Fst.from_arcs(
        0 if lattice.n_states else -1, lattice.source, lattice.word, lattice.word, cost,
        lattice.target, final, lattice.words, lattice.words,
    )  # fmt: skip
    times = lattice.frame_times()
    texts = [f"{times[t]:.2f} s" if t >= 0 else "?" for t in lattice.frames()]
    return Machine(fst, texts, "lattice")
