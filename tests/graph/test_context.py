"""Contexts against the definition, and against explicit composition by OpenFst."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from graph_models import SmallContextModel, context_models, lexicons, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import FormatError, GraphError, ModelError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.compiler import GraphOptions, build_compact, build_graph
from wfst_hmm.graph.context import MapRule, context_fst, context_table
from wfst_hmm.graph.context_composition import compose_context
from wfst_hmm.graph.hmm_fst import hmm_fst
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.graph.phrases import Grammar, phrase_list, word_loop
from wfst_hmm.graph.spelling import phone_labels
from wfst_hmm.graph.units import Units
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap, PhysicalHmm
from wfst_hmm.models.topology import Topology


@dataclasses.dataclass(frozen=True)
class RandomRule:
    """HMMs drawn for every context of any width."""

    n_labels: int
    n_left: int
    n_right: int
    seed: int
    n_hmms: int = 3

    def neighbour(self, label: int) -> int:
        return label if label == self.n_labels else label // 2 * 2  # pairs of like neighbours

    def hmm(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> int:
        key = [self.seed, *left, 1000 + centre, *right]
        return int(np.random.default_rng(key).integers(self.n_hmms)) + centre * self.n_hmms

    def hmms(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> Any:
        lasts = [self.neighbour(x) for x in range(self.n_labels + 1)]
        if not self.n_right:
            return np.full(self.n_labels + 1, self.hmm(left, centre, ()))
        return np.array([self.hmm(left, centre, (*right, last)) for last in lasts])

    def name(self, left: tuple[int, ...], centre: int, right: tuple[int, ...]) -> str:
        return str((left, centre, right))


def by_definition(rule: RandomRule, phones: tuple[int, ...]) -> tuple[int, ...]:
    edge = rule.n_labels
    same = [rule.neighbour(x) for x in phones]
    padded = [edge] * rule.n_left + same + [edge] * rule.n_right
    return tuple(
        rule.hmm(tuple(padded[i : i + rule.n_left]), phone,
                 tuple(padded[i + rule.n_left + 1 :][: rule.n_right]))
        for i, phone in enumerate(phones)
    )  # fmt: skip


rules = st.builds(RandomRule, st.integers(1, 3), st.integers(0, 2), st.integers(0, 2),
                  st.integers(0, 99), st.integers(1, 3))  # fmt: skip


@given(rules)
@settings(deadline=None, max_examples=40)
def test_any_width_by_the_definition(rule: RandomRule) -> None:
    made = context_fst(context_table(rule))
    found = relation(made, 5)
    expected = {
        (tuple(h + 1 for h in by_definition(rule, phones)),
         (*(p + 1 for p in phones), rule.n_labels + 1))
        for n in range(5)
        for phones in itertools.product(range(rule.n_labels), repeat=n)
    }  # fmt: skip
    assert set(found) == expected


@given(rules, machines(max_states=5, n_labels=3, acyclic=True))
@settings(deadline=None, max_examples=60)
def test_composition_is_that_of_openfst(rule: RandomRule, fst: Fst) -> None:
    rule = dataclasses.replace(rule, n_labels=3)
    table = context_table(rule)
    fst = ops.connect(fst)
    made = compose_context(table, fst, max_states=100_000)
    made.validate()
    # the mark of the end on the machine's side
    ended = Fst.from_arcs(
        fst.start, [*fst.sources(), *range(fst.n_states)],
        [*fst.arcs["ilabel"], *[4] * fst.n_states], [*fst.arcs["olabel"], *[0] * fst.n_states],
        [*fst.arcs["weight"], *fst.states["final"]],
        [*fst.arcs["nextstate"], *[fst.n_states] * fst.n_states],
        [*[np.inf] * fst.n_states, 0.0],
    ) if fst.n_states else fst  # fmt: skip
    slow = ops.compose(context_fst(table), ops.connect(ended))
    assert same_relation(relation(made, 5), relation(slow, 5))


def plain_context(model: SmallContextModel) -> Fst:
    """C as books draw it: a state is (the phone before, the phone that comes)."""
    context, n = model.context, len(model.phones)
    labels = [(phone, place) for place in range(context.n_positions) for phone in range(n)]
    end = len(labels)
    number = {(left, at): 1 + i for i, (left, at) in
              enumerate(itertools.product(range(n + 1), range(end + 1)))}  # fmt: skip
    rows = [(0, 0, 0, number[n, at]) for at in range(end + 1)]
    for left in range(n + 1):
        for at, (phone, place) in enumerate(labels):
            for then in range(end + 1):
                right = None if then == end else model.phones[labels[then][0]]
                hmm = context.hmm_index(
                    model.phones[phone], None if left == n else model.phones[left], right,
                    WORD_POSITIONS[place],
                )  # fmt: skip
                rows.append((number[left, at], hmm + 1, at + 1, number[phone, then]))
    final = np.full(1 + len(number), np.inf)
    final[[number[left, end] for left in range(n + 1)]] = 0.0
    source, ilabel, olabel, target = np.array(rows).T
    return Fst.from_arcs(0, source, ilabel, olabel, np.zeros(len(rows)), target, final)


def plainly(
    model: SmallContextModel, lexicon: Lexicon, grammar: Grammar, silence: float
) -> tuple[Fst, Fst]:
    """C ∘ L ∘ G and H ∘ C ∘ L ∘ G by OpenFst, nothing optimized."""
    context, phones = model.context, model.phones
    places = WORD_POSITIONS[: context.n_positions]
    names = tuple(f"{phone}.{place}" for place in places for phone in phones)
    entries = [
        dataclasses.replace(entry, phones=tuple(
            names[label - 1] for label in phone_labels(
                tuple(phones.index(p) for p in entry.phones), len(phones), len(places))
        ))
        for entry in lexicon.restricted(grammar.words).entries
    ]  # fmt: skip
    proxy = dataclasses.replace(small_model(), phones=names, silence_phones=())
    quiet = names[phone_labels((phones.index("SIL"),), len(phones), len(places))[0] - 1]
    l_fst = lexicon_fst(Lexicon(entries), proxy, LexiconOptions(silence, quiet),
                        disambiguate=False, unspoken=())  # fmt: skip
    words = {grammar.isymbols.id(word): l_fst.words.id(word) for word in grammar.words}
    g_fst = ops.relabel(grammar.fst.with_symbols(None, None), words)
    g_fst = g_fst.with_symbols(l_fst.words, grammar.osymbols)
    lg = ops.compose(l_fst.fst, g_fst).with_symbols(None, grammar.osymbols)
    clg = ops.compose(plain_context(model), lg)
    labels = model.state_labels()
    units = Units.of_map(context, labels)
    hmms = Symbols([f"hmm{i}" for i in range(len(units))])
    h = hmm_fst(units, labels.symbols, hmms).with_symbols(labels.symbols, None)
    return clg, ops.compose(h, clg)


def by_name(fst: Fst, length: int) -> dict[object, float]:
    assert fst.osymbols is not None
    return {
        (inputs, tuple(fst.osymbols.strings(outputs))): cost
        for (inputs, outputs), cost in relation(fst, length).items()
    }


@given(context_models(), lexicons(), st.data(), st.sampled_from([0.0, 0.5]), st.booleans(),
       st.booleans())  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_graphs_equal_plain_composition(
    model: SmallContextModel,
    lexicon: Lexicon,
    data: st.DataObject,
    silence: float,
    determinize: bool,
    minimize: bool,
) -> None:
    words = lexicon.words
    phrase = st.tuples(st.lists(st.sampled_from(words), min_size=1, max_size=3),
                       st.sampled_from([0.0, 0.5]))  # fmt: skip
    grammar = data.draw(
        st.one_of(st.just(word_loop(words)),
                  st.lists(phrase, min_size=1, max_size=3).map(phrase_list))
    )  # fmt: skip
    options = GraphOptions(silence, determinize=determinize, minimize=minimize)
    compact = build_compact(model, lexicon, grammar, options)
    compact.fst.validate()
    clg, hclg = plainly(model, lexicon, grammar, silence)
    assert same_relation(by_name(compact.fst, 4), by_name(clg, 4))
    assert same_relation(by_name(compact.expanded().fst, 3), by_name(hclg, 3))


def test_words_see_their_neighbours_on_both_sides() -> None:
    """In a grammar as in a loop: the last phone of x differs before y and before z."""
    names, shape = ("A", "B", "C", "SIL"), Topology.left_to_right(1)
    hmms = [PhysicalHmm(phone, 0, (10 * phone + i,)) for phone in range(4) for i in range(25)]

    def grid(centre: int, _: int) -> Any:
        return 25 * centre + np.arange(25).reshape(5, 5)  # one HMM for each pair of neighbours

    model = SmallContextModel(ContextMap.build(names, [shape], hmms, grid))
    lexicon = Lexicon([Entry("x", ("A",)), Entry("y", ("B",)), Entry("z", ("C",))])
    grammar = phrase_list([(("x", "y"), 0.0), (("x", "z"), 0.0)])
    found = by_name(build_compact(model, lexicon, grammar, GraphOptions(0.0)).fst, 2)
    context = model.context
    assert {(inputs, outputs) for inputs, outputs in found} == {
        ((1 + context.hmm_index("A", None, after), 1 + context.hmm_index(after, "A", None)),
         ("x", word))
        for after, word in (("B", "y"), ("C", "z"))
    }  # fmt: skip


def test_contexts_that_do_not_matter_cost_nothing() -> None:
    """Monophones through the context machinery give the graph without it."""
    plain = small_model()
    rows = [np.arange(t.n_states) + 10 * i for i, t in enumerate(plain.topologies)]
    model = SmallContextModel(ContextMap.monophones(plain.phones, plain.topologies, rows))
    assert (context_table(MapRule(model.context)).at_once[1:, 1] == 0).all()
    lexicon = Lexicon([Entry("x", ("A", "B")), Entry("y", ("B",)), Entry("y", ("A", "C"))])
    grammar = word_loop(["x", "y"])
    graphs = [build_graph(m, lexicon, grammar) for m in (model, plain)]
    sizes = [(graph.fst.n_states, graph.fst.n_arcs) for graph in graphs]
    assert sizes[0] == sizes[1]


def test_one_silence_serves_all_words_behind_it() -> None:
    """Silence has one HMM before whatever follows, so it is written before that is known."""
    names, shape = ("A", "B", "C", "SIL"), Topology.left_to_right(1)
    hmms = [PhysicalHmm(p, 0, (10 * p + i,)) for p in range(4) for i in range(5)]

    def grid(centre: int, _: int) -> Any:
        return np.array([[15]]) if centre == 3 else 5 * centre + np.arange(5)[:, None]

    model = SmallContextModel(ContextMap.build(names, [shape], hmms, grid))
    lexicon = Lexicon([Entry("x", ("A",)), Entry("y", ("B",)), Entry("z", ("C",))])
    compact = build_compact(model, lexicon, phrase_list([(("x",), 0.0), (("y",), 0.0)]))
    start = compact.fst.arcs_of(compact.fst.start)
    assert (start["ilabel"] == 16).sum() == 1


def test_a_missing_hmm_is_named() -> None:
    names, shape = ("A", "B", "SIL"), Topology.left_to_right(1)
    hmms = [PhysicalHmm(p, 0, (p,)) for p in range(3)]

    def grid(centre: int, _: int) -> Any:
        table = np.full((4, 4), centre)
        if centre == 0:
            table[1] = -1  # A behind B
        return table

    model = SmallContextModel(ContextMap.build(names, [shape], hmms, grid))
    lexicon = Lexicon([Entry("x", ("A", "B")), Entry("y", ("B", "A"))])
    build_compact(model, lexicon, phrase_list([(("x",), 0.0)]))
    with pytest.raises(ModelError, match=r"no HMM for a phone in context such as B-A"):
        build_compact(model, lexicon, phrase_list([(("y",), 0.0)]))


def test_the_budget_holds() -> None:
    rule = RandomRule(3, 1, 1, 0)
    loop = Fst.from_arcs(0, [0] * 3, [1, 2, 3], [1, 2, 3], [0.0] * 3, [0] * 3, [0.0])
    with pytest.raises(GraphError, match=r"in context exceeds the budget of states.*at most 3"):
        compose_context(context_table(rule), loop, max_states=3)
    with pytest.raises(GraphError, match="too wide"):
        context_table(RandomRule(4000, 2, 1, 0, 1))


@given(context_models(n_phones=2))
@settings(deadline=None, max_examples=5)
def test_saved_compact_graphs_come_back(
    tmp_path_factory: pytest.TempPathFactory, model: SmallContextModel
) -> None:
    lexicon = Lexicon([Entry("x", ("A", "B")), Entry("y", ("B",))])
    compact = build_compact(model, lexicon, word_loop(["x", "y"]))
    path = tmp_path_factory.mktemp("graph") / "g"
    compact.save(path)
    found = CompactGraph.load(path, verify=True)
    assert found.fst.to_bytes() == compact.fst.to_bytes()
    assert found.expanded().fst.to_bytes() == compact.expanded().fst.to_bytes()
    (path / "units.npz").write_bytes((path / "units.npz").read_bytes()[:-30])
    with pytest.raises(FormatError, match=r"units\.npz: a damaged file of arrays"):
        CompactGraph.load(path)
