"""The compiler of decoding graphs: H∘L∘G, determinized, minimized, ready to be searched.

In: an acoustic model, a lexicon and a grammar. Out: a `Graph`.

Public names: `GraphOptions`, `build_graph`.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.epsilons import join_epsilons
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.hmm_fst import expand_units
from wfst_hmm.graph.items import grammar_items
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.units import PhoneModel, Units

__all__ = ["GraphOptions", "build_graph"]


@dataclasses.dataclass(frozen=True)
class GraphOptions:
    """How a decoding graph is built.

    Attributes
    ----------
    silence_probability : float
        Probability of silence before the first word and after every word, in [0, 1); 0 for no
        silence.
    silence_phone : str, optional
        The phone of that silence; by default the first of the model's silence phones.
    determinize, minimize : bool
        Whether to take these steps; the best path is the same without, the graph is larger.
    max_states : int
        Budget of states of the determinized grammar and of L∘G; beyond it the build stops.
    """

    silence_probability: float = 0.5
    silence_phone: str | None = None
    determinize: bool = True
    minimize: bool = True
    max_states: int = 50_000_000

    def __post_init__(self) -> None:
        if self.max_states < 1:
            raise UsageError("max_states must be positive", got=self.max_states)

    @property
    def lexicon(self) -> LexiconOptions:
        """The part that concerns L."""
        return LexiconOptions(self.silence_probability, self.silence_phone)


class _Stages:
    """Times each step and counts what it made."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._since = time.perf_counter()

    def done(self, name: str, fst: Fst) -> Fst:
        now = time.perf_counter()
        self.rows.append({"name": name, "states": fst.n_states, "arcs": fst.n_arcs,
                          "seconds": round(now - self._since, 4)})  # fmt: skip
        self._since = now
        return fst


def build_graph(
    model: PhoneModel, lexicon: Lexicon, grammar: Grammar, options: GraphOptions | None = None
) -> Graph:
    """Build the decoding graph of a grammar.

    Parameters
    ----------
    model : PhoneModel
        An `AcousticModel`: its phones, HMMs and state labels are used.
    lexicon : Lexicon
    grammar : Grammar
    options : GraphOptions, optional

    Returns
    -------
    Graph
        Its ``info["stages"]`` lists name, states, arcs and seconds of every step.

    Raises
    ------
    DataError
        The lexicon lacks words of the grammar (all are listed).
    ModelError
        The model lacks a phone of the lexicon (word, line and phone are named).
    GraphError
        The grammar cannot be determinized, or the budget of states is spent.

    Notes
    -----
    Mohri, Pereira & Riley (2002, 2008). Costs stay where composition and determinization put
    them: determinization already moves them as early as sharing allows, and pushing beyond
    that can make beam search worse. Transition probabilities are included at scale 1.
    The same input gives the same bytes of ``graph.fst``.
    """
    options = options or GraphOptions()
    stages = _Stages()
    items = grammar_items(grammar, lexicon, max_states=options.max_states)
    stages.done("G", items.acceptor)
    l_fst = lexicon_fst(items.lexicon, model, options.lexicon, words=items.symbols,
                        unspoken=items.unspoken)  # fmt: skip
    stages.done("L", l_fst.fst)
    fst = stages.done("L∘G", ops.compose(l_fst.fst, items.acceptor))
    if not fst.n_states:
        raise GraphError("no sentence of the grammar can be spoken with this lexicon",
                         where=grammar.source or None)  # fmt: skip
    if options.determinize:
        fst = ops.determinize(fst, max_states=options.max_states)
        stages.done("determinized", fst)
    if options.minimize:
        fst = stages.done("minimized", ops.minimize(fst))
    fst = _without_marks(fst, l_fst.n_phones, items.word_of)
    fst = stages.done("epsilons joined", join_epsilons(fst))
    labels = model.state_labels()
    units = Units.of_phones(model.topologies, labels)
    fst = expand_units(fst, units, labels.symbols).with_symbols(labels.symbols, items.words)
    stages.done("H∘L∘G", fst)
    info = {
        "stages": stages.rows,
        "grammar": grammar.source,
        "options": dataclasses.asdict(options),
    }
    return Graph(
        fst, labels, items.words, tuple(model.phones), tuple(model.silence_phones),
        lexicon.restricted(grammar.words), model.hash, model.frame_shift, info,
    )  # fmt: skip


def _without_marks(fst: Fst, n_phones: int, word_of: Any) -> Fst:
    """Make disambiguation symbols epsilons, and items what they print."""
    ilabel = np.where(fst.arcs["ilabel"] > n_phones, 0, fst.arcs["ilabel"])
    return Fst.from_arcs(
        fst.start, fst.sources(), ilabel, word_of[fst.arcs["olabel"]], fst.arcs["weight"],
        fst.arcs["nextstate"], fst.states["final"],
    )  # fmt: skip
