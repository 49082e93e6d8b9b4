"""The compiler of decoding graphs: H∘C∘L∘G, determinized, minimized, ready to be searched.

In: an acoustic model, a lexicon and a grammar. Out: a `Graph`, or a `CompactGraph` in which H
is left to be expanded during search.

Public names: `GraphOptions`, `build_compact`, `build_graph`.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from pathlib import Path
from typing import Any, cast

from wfst_hmm.errors import GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.minimize import merge_states
from wfst_hmm.fst.trim import trim
from wfst_hmm.graph.cache import StageCache, context_key, spelling_key
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.context import ContextTable, MapRule, context_table
from wfst_hmm.graph.context_composition import compose_context
from wfst_hmm.graph.epsilons import join_epsilons
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.items import Items, grammar_items, printed_words, sounds_of
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import (
    LexiconOptions,
    lexicon_fst,
    optional_silence,
    phone_numbers,
    spoken_lexicon,
)
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.spelling import Pauses, phone_labels, spell_grammar
from wfst_hmm.graph.spotting import with_garbage
from wfst_hmm.graph.stages import OnStage, Stages
from wfst_hmm.graph.units import AnyModel, PhoneModel, PhonesInContext, Units
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.options import check, option

__all__ = ["GraphOptions", "build_compact", "build_graph"]


@dataclasses.dataclass(frozen=True)
class GraphOptions:
    """How a decoding graph is built."""

    silence_probability: float = option(
        0.5, "Probability of silence between words, below 1; 0: none."
    )
    silence_phone: str | None = option(
        None, "The phone of that silence; by default the first of the model's silence phones."
    )
    determinize: bool = option(True, "The best path is the same without, the graph is larger.")
    minimize: bool = option(True, "The best path is the same without, the graph is larger.")
    max_states: int = option(
        50_000_000,
        "Stop when a stage (the determinized grammar, L∘G, C∘L∘G) needs more states.",
        least=1,
    )
    max_memory_mb: float | None = option(
        None,
        "Stop when the process needs more memory (MB of 2^20 bytes): seen after every stage, and before H is "
        "expanded.",
        above=0,
    )
    initial_silence: bool = option(
        True, "Whether that silence may be heard before the first word, too."
    )
    transition_scale: float = option(
        1.0,
        "Factor on the costs of the HMMs' transitions. At 1 they are weighed like the grammar; at "
        "the acoustic scale of the search like the scores of the frames, as in Sphinx.",
        least=0,
        finite=True,
        what="{name} must be finite, and not negative",
    )

    def __post_init__(self) -> None:
        check(self, "{name} must be positive", expected=False)

    @property
    def lexicon(self) -> LexiconOptions:
        """The part that concerns L."""
        return LexiconOptions(self.silence_probability, self.silence_phone, self.initial_silence)


def build_graph(
    model: PhoneModel | PhonesInContext,
    lexicon: Lexicon,
    grammar: Grammar,
    options: GraphOptions | None = None,
    *,
    cache: str | Path | None = None,
    on_stage: OnStage | None = None,
) -> Graph:
    """Build the decoding graph of a grammar, HMM states on its arcs.

    Parameters
    ----------
    model : PhoneModel or PhonesInContext
        An `AcousticModel` or a `ContextModel`: its phones, HMMs and state labels are used.
    lexicon : Lexicon
    grammar : Grammar
    options : GraphOptions, optional
    cache : path, optional
        A folder where L∘G and C∘L∘G are kept and found again (`graph.cache`).
    on_stage : callable, optional
        Called with the row of each stage (see below) when it is done.

    Returns
    -------
    Graph
        Its ``info["stages"]`` lists name, states, arcs, seconds and the process's peak memory
        (MB) of every step, and which were read from the cache; ``info["cache_notes"]`` entries
        of the cache that were damaged.

    Raises
    ------
    DataError
        The lexicon lacks words of the grammar (all are listed).
    ModelError
        The model lacks a phone of the lexicon (word, line and phone are named), or an HMM for
        a phone in context.
    GraphError
        The grammar cannot be determinized, or the budget of states or memory is
        spent; the stage is named.

    Notes
    -----
    Mohri, Pereira & Riley (2002, 2008). Costs stay where composition and determinization put
    them: determinization already moves them as early as sharing allows, and pushing beyond
    that can make beam search worse. Transition probabilities are included at scale 1.
    The same input gives the same bytes of ``graph.fst``.
    """
    options = options or GraphOptions()
    compact = build_compact(model, lexicon, grammar, options, cache=cache, on_stage=on_stage)
    return compact.expanded(max_memory_mb=options.max_memory_mb)


def build_compact(
    model: PhoneModel | PhonesInContext,
    lexicon: Lexicon,
    grammar: Grammar,
    options: GraphOptions | None = None,
    *,
    cache: str | Path | None = None,
    on_stage: OnStage | None = None,
) -> CompactGraph:
    """Build C∘L∘G: whole HMMs on the arcs, to be expanded during search.

    Parameters, errors and notes are those of `build_graph`.
    """
    grammar = grammar.at_scale(getattr(model, "acoustic_scale", 1.0))
    build = _Build(model, lexicon, grammar, options or GraphOptions(),
                   None if cache is None else StageCache(cache), on_stage)  # fmt: skip
    labels = model.state_labels()
    if build.context is None:
        units = Units.of_phones(cast(PhoneModel, model).topologies, labels)
        fst = build.spelled()
    else:
        units = _prepared(build.context).units(labels)
        fst = build.in_context()
    units = units.scaled(build.options.transition_scale)
    words = printed_words(grammar)
    return CompactGraph(
        fst.with_symbols(None, words), units, labels, words, tuple(model.phones),
        tuple(model.silence_phones), sounds_of(grammar, build.lexicon), model.hash,
        model.frame_shift, build.info(), getattr(model, "acoustic_scale", 1.0),
        model.frame_offset,
    )  # fmt: skip


class _Build:
    """One compilation: what goes in, and the stages that it takes or finds in a cache."""

    def __init__(
        self, model: AnyModel, lexicon: Lexicon, grammar: Grammar, options: GraphOptions,
        cache: StageCache | None, on_stage: OnStage | None,
    ) -> None:  # fmt: skip
        self.model, self.grammar = model, grammar
        self.lexicon = with_garbage(spoken_lexicon(model, lexicon), grammar, model)
        self.options, self.cache = options, cache
        self.context: ContextMap | None = getattr(model, "context", None)
        self.n_positions = 1 if self.context is None else self.context.n_positions
        self.stages = Stages(max_megabytes=options.max_memory_mb, on_stage=on_stage)
        self.key = "" if cache is None else spelling_key(
            model, self.lexicon, grammar, options, self.n_positions)  # fmt: skip

    def spelled(self) -> Fst:
        """Return L∘G."""
        if self.cache is None:
            return self._spell()
        return self.cache.stage(self.key, "L∘G", self.stages, self._spell)

    def in_context(self) -> Fst:
        """Return C∘L∘G."""
        if self.cache is None:
            return self._put_in_context()
        key = context_key(self.key, self.model)
        return self.cache.stage(key, "C∘L∘G", self.stages, self._put_in_context)

    def info(self) -> dict[str, Any]:
        """Return what is told of the compilation."""
        notes = self.cache.notes if self.cache is not None else []
        options = dataclasses.asdict(self.options)
        if options["silence_probability"] and options["silence_phone"] is None:
            options["silence_phone"] = next(iter(self.model.silence_phones), None)
        return {
            "stages": self.stages.rows,
            "grammar": self.grammar.source,
            "options": options,
            **({"cache_notes": notes} if notes else {}),
            **({"tags": self.grammar.meaning} if self.grammar.meaning else {}),
        }

    def _spell(self) -> Fst:
        options, stages = self.options, self.stages
        items = grammar_items(self.grammar, self.lexicon, max_states=options.max_states)
        items = dataclasses.replace(items, acceptor=trim(items.acceptor))
        if not items.acceptor.n_states:
            raise _no_sentence(self.grammar)
        stages.done("G", items.acceptor)
        make = _spelled if options.determinize else _composed
        fst = make(self.model, items, options, self.n_positions, stages)
        if not fst.n_states:
            raise _no_sentence(self.grammar)
        return fst

    def _put_in_context(self) -> Fst:
        fst = self.spelled()
        table = _prepared(cast(ContextMap, self.context)).table
        fst = compose_context(table, fst, max_states=self.options.max_states)
        self.stages.done("C∘L∘G", fst)
        if self.options.minimize:
            fst = self.stages.done("C∘L∘G minimized", merge_states(fst))
        return fst


class _Prepared:
    """What all graphs of one context map have in common: it takes longer than small graphs do."""

    def __init__(self, context: ContextMap) -> None:
        self._map = weakref.ref(context)
        self._units: Units | None = None

    @functools.cached_property
    def table(self) -> ContextTable:
        return context_table(MapRule(cast(ContextMap, self._map())))

    def units(self, labels: StateLabels) -> Units:
        if self._units is None:
            self._units = Units.of_map(cast(ContextMap, self._map()), labels)
        return self._units


_PREPARED: weakref.WeakKeyDictionary[ContextMap, _Prepared] = weakref.WeakKeyDictionary()


def _prepared(context: ContextMap) -> _Prepared:
    return _PREPARED.setdefault(context, _Prepared(context))


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
    pauses = Pauses.after(silence, items.lexicon.entries, initial=options.initial_silence)
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
    frame_offset: float
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
    proxy = _Positioned(names, (), model.hash, model.frame_shift, model.frame_offset,
                        model.state_labels())  # fmt: skip
    return proxy, dataclasses.replace(items, lexicon=Lexicon(entries)), options
