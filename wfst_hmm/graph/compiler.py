"""The compiler of decoding graphs: H∘C∘L∘G, determinized, minimized, ready to be searched.

In: an acoustic model, a lexicon and a grammar. Out: a `Graph`, or a `CompactGraph` in which H
is left to be expanded during search.

Public names: `GraphOptions`, `build_compact`, `build_graph`.
"""

from __future__ import annotations

import dataclasses
from typing import cast

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.minimize import merge_states
from wfst_hmm.fst.trim import trim
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.context import MapRule, context_table
from wfst_hmm.graph.context_composition import compose_context
from wfst_hmm.graph.epsilons import join_epsilons
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.items import Items, grammar_items
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst, optional_silence, phone_numbers
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.spelling import Pauses, phone_labels, spell_grammar
from wfst_hmm.graph.stages import Stages
from wfst_hmm.graph.units import AnyModel, PhoneModel, PhonesInContext, Units
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap
from wfst_hmm.models.topology import StateLabels

__all__ = ["GraphOptions", "build_compact", "build_graph"]


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
        Budget of states of the determinized grammar, of L∘G and of C∘L∘G; beyond it the build
        stops.
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


def build_graph(
    model: PhoneModel | PhonesInContext,
    lexicon: Lexicon,
    grammar: Grammar,
    options: GraphOptions | None = None,
) -> Graph:
    """Build the decoding graph of a grammar, HMM states on its arcs.

    Parameters
    ----------
    model : PhoneModel or PhonesInContext
        An `AcousticModel` or a `ContextModel`: its phones, HMMs and state labels are used.
    lexicon : Lexicon
    grammar : Grammar
    options : GraphOptions, optional

    Returns
    -------
    Graph
        Its ``info["stages"]`` lists name, states, arcs, seconds and the process's peak memory
        (MB) of every step.

    Raises
    ------
    DataError
        The lexicon lacks words of the grammar (all are listed).
    ModelError
        The model lacks a phone of the lexicon (word, line and phone are named), or an HMM for
        a phone in context.
    GraphError
        The grammar cannot be determinized, or the budget of states is spent.

    Notes
    -----
    Mohri, Pereira & Riley (2002, 2008). Costs stay where composition and determinization put
    them: determinization already moves them as early as sharing allows, and pushing beyond
    that can make beam search worse. Transition probabilities are included at scale 1.
    The same input gives the same bytes of ``graph.fst``.
    """
    return build_compact(model, lexicon, grammar, options).expanded()


def build_compact(
    model: PhoneModel | PhonesInContext,
    lexicon: Lexicon,
    grammar: Grammar,
    options: GraphOptions | None = None,
) -> CompactGraph:
    """Build C∘L∘G: whole HMMs on the arcs, to be expanded during search.

    Parameters, errors and notes are those of `build_graph`.
    """
    options = options or GraphOptions()
    stages = Stages()
    items = grammar_items(grammar, lexicon, max_states=options.max_states)
    items = dataclasses.replace(items, acceptor=trim(items.acceptor))
    if not items.acceptor.n_states:
        raise _no_sentence(grammar)
    stages.done("G", items.acceptor)
    labels = model.state_labels()
    context: ContextMap | None = getattr(model, "context", None)
    n_positions = 1 if context is None else context.n_positions
    if options.determinize:
        fst = _spelled(model, items, options, n_positions, stages)
    else:
        fst = _composed(model, items, options, n_positions, stages)
    if not fst.n_states:
        raise _no_sentence(grammar)
    if context is None:
        units = Units.of_phones(cast(PhoneModel, model).topologies, labels)
    else:
        units = Units.of_map(context, labels)
        table = context_table(MapRule(context))
        fst = compose_context(table, fst, max_states=options.max_states)
        stages.done("C∘L∘G", fst)
        if options.minimize:
            fst = stages.done("C∘L∘G minimized", merge_states(fst))
    info = {
        "stages": stages.rows,
        "grammar": grammar.source,
        "options": dataclasses.asdict(options),
    }
    return CompactGraph(
        fst.with_symbols(None, items.words), units, labels, items.words, tuple(model.phones),
        tuple(model.silence_phones), lexicon.restricted(grammar.words), model.hash,
        model.frame_shift, info,
    )  # fmt: skip


def _no_sentence(grammar: Grammar) -> GraphError:
    return GraphError("no sentence of the grammar can be spoken with this lexicon",
                      where=grammar.source or None)  # fmt: skip


def _spelled(
    model: AnyModel, items: Items, options: GraphOptions, n_positions: int, stages: Stages
) -> Fst:
    """Return L∘G, determinized, made without composing."""
    if options.minimize:
        merged = merge_states(items.acceptor)
        items = dataclasses.replace(items, acceptor=stages.done("G minimized", merged))
    silence = optional_silence(model, options.lexicon)
    pauses = Pauses.after(silence, items.lexicon.entries)
    fst = spell_grammar(items, tuple(model.phones), pauses, n_positions=n_positions,
                        minimize=options.minimize, max_states=options.max_states)  # fmt: skip
    name = "L∘G determinized and minimized" if options.minimize else "L∘G determinized"
    return stages.done(name, fst)


def _composed(
    model: AnyModel, items: Items, options: GraphOptions, n_positions: int, stages: Stages
) -> Fst:
    """Return L∘G as composition makes it."""
    if n_positions > 1:
        model, items, options = _positioned(model, items, options)
    l_fst = lexicon_fst(items.lexicon, model, options.lexicon, words=items.symbols,
                        unspoken=items.unspoken)  # fmt: skip
    stages.done("L", l_fst.fst)
    fst = stages.done("L∘G", ops.compose(l_fst.fst, items.acceptor))
    arcs = fst.arcs.copy()
    arcs["ilabel"][arcs["ilabel"] > l_fst.n_phones] = 0  # disambiguation symbols
    arcs["olabel"] = items.word_of[arcs["olabel"]]
    fst = Fst.from_runs(fst.start, fst.states["n_arcs"], arcs, fst.states["final"])
    fst = stages.done("epsilons joined", join_epsilons(fst))
    return stages.done("L∘G minimized", merge_states(fst)) if options.minimize else fst


@dataclasses.dataclass(frozen=True)
class _Positioned:
    """A model whose phones are told apart by their place in the word."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    hash: str
    frame_shift: float
    labels: StateLabels

    def state_labels(self) -> StateLabels:
        return self.labels


def _positioned(
    model: AnyModel, items: Items, options: GraphOptions
) -> tuple[AnyModel, Items, GraphOptions]:
    """Return the three with a phone for each place in a word, in the order of `phone_labels`."""
    plain = tuple(model.phones)
    names = tuple(f"{phone}/{place}" for place in WORD_POSITIONS for phone in plain)
    number = {phone: index for index, phone in enumerate(plain)}

    def placed(phones: tuple[str, ...]) -> tuple[str, ...]:
        numbers = tuple(number[phone] for phone in phones)
        return tuple(names[i - 1] for i in phone_labels(numbers, len(plain), len(WORD_POSITIONS)))

    phone_numbers(plain, items.lexicon)  # says which phone is unknown
    entries = [dataclasses.replace(e, phones=placed(e.phones)) for e in items.lexicon.entries]
    silence = optional_silence(model, options.lexicon)
    if silence is not None:
        phone = placed((plain[silence[0]],))[0]
        options = dataclasses.replace(options, silence_phone=phone)
    proxy = _Positioned(names, (), model.hash, model.frame_shift, model.state_labels())
    return proxy, dataclasses.replace(items, lexicon=Lexicon(entries)), options
