import dataclasses
from pathlib import Path

import numpy as np
import pytest
from graph_models import SmallModel, lexicons, models, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import DataError, GraphError, ModelError, UsageError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.hmm_fst import hmm_fst
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import lexicon_fst
from wfst_hmm.graph.phrases import Grammar, fixed_length, phrase_list, word_list, word_loop
from wfst_hmm.graph.units import Units
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode_exact
from wfst_hmm.search.result import Decoded

LEXICON = Lexicon(
    [
        Entry("two", ("A", "B")),
        Entry("too", ("A", "B")),
        Entry("toot", ("A", "B", "A")),
        Entry("a", ("A",)),
        Entry("a", ("C",), 0.5),
    ]
)


def plainly(model: SmallModel, lexicon: Lexicon, grammar: Grammar, options: GraphOptions) -> Fst:
    """H ∘ (L ∘ G) by OpenFst's composition, nothing optimized, no disambiguation."""
    l_fst = lexicon_fst(lexicon.restricted(grammar.words), model, options.lexicon,
                        disambiguate=False, unspoken=())  # fmt: skip
    words = {
        grammar.isymbols.id(word): l_fst.words.id(word) for word in grammar.words
    }  # fmt: skip
    g_fst = ops.relabel(grammar.fst.with_symbols(None, None), words)
    labels = model.state_labels()
    units = Units.of_phones(model.topologies, labels)
    h = hmm_fst(units, labels.symbols, l_fst.phones)
    return ops.compose(h, ops.compose(l_fst.fst, g_fst.with_symbols(l_fst.words, grammar.osymbols)))


def by_name(fst: Fst, length: int) -> dict[object, float]:
    assert fst.osymbols is not None
    return {
        (inputs, tuple(fst.osymbols.strings(outputs))): cost
        for (inputs, outputs), cost in relation(fst, length).items()
    }


@st.composite
def grammars(draw: st.DrawFn, words: tuple[str, ...]) -> Grammar:
    kind = draw(st.sampled_from(["loop", "words", "length", "phrases"]))
    if kind == "loop":
        return word_loop(words)
    if kind == "words":
        return word_list(words, {words[0]: 0.25})
    if kind == "length":
        return fixed_length(words, 1, 2)
    phrase = st.tuples(
        st.lists(st.sampled_from(words), min_size=1, max_size=3), st.sampled_from([0.0, 0.5, 2.0])
    )
    return phrase_list(draw(st.lists(phrase, min_size=1, max_size=4)))


@given(models(), lexicons(), st.data(), st.sampled_from([0.0, 0.5]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_equals_plain_composition(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject, silence: float, optimized: bool
) -> None:
    grammar = data.draw(grammars(lexicon.words))
    options = GraphOptions(silence, determinize=optimized, minimize=optimized)
    graph = build_graph(model, lexicon, grammar, options)
    graph.fst.validate()
    length = 4
    assert same_relation(
        by_name(graph.fst, length), by_name(plainly(model, lexicon, grammar, options), length)
    )


@given(models(), lexicons(silence=True), machines(max_states=3, n_labels=2, acyclic=True))
@settings(deadline=None, max_examples=40)
def test_transducer_grammars(model: SmallModel, lexicon: Lexicon, fst: Fst) -> None:
    """Any acyclic transducer compiles: outputs of its own, epsilons, ambiguity."""
    words = [*lexicon.words, *lexicon.words][:2]
    lexicon = Lexicon([*lexicon.entries, Entry("other", ("A",))])
    words = [words[0], "other"]
    fst = fst.with_symbols(Symbols(words), Symbols(["X", "Y"]))
    try:
        grammar = Grammar(fst)
    except GraphError:
        return  # it accepts nothing
    graph = build_graph(model, lexicon, grammar)
    slow = plainly(model, lexicon, grammar, GraphOptions())
    assert same_relation(by_name(graph.fst, 4), by_name(slow, 4))


def test_same_bytes_every_time() -> None:
    made = [build_graph(small_model(), LEXICON, word_loop(LEXICON.words)) for _ in range(2)]
    assert made[0].fst.to_bytes() == made[1].fst.to_bytes()


def test_stages_are_told() -> None:
    graph = build_graph(small_model(), LEXICON, word_loop(LEXICON.words))
    names = [row["name"] for row in graph.info["stages"]]
    assert names == ["G", "G minimized", "L∘G determinized and minimized", "H expanded"]
    assert graph.info["stages"][-1]["arcs"] == graph.fst.n_arcs
    plain = build_graph(small_model(), LEXICON, word_loop(LEXICON.words),
                        GraphOptions(determinize=False))  # fmt: skip
    names = [row["name"] for row in plain.info["stages"]]
    assert names == ["G", "L", "L∘G", "epsilons joined", "L∘G minimized", "H expanded"]
    assert graph.words == Symbols(["two", "too", "toot", "a"])


def test_backoff_arcs_read_nothing() -> None:
    """A small bigram: after "two" only "a" is listed, "too" only by backing off."""
    symbols = Symbols(["two", "too", "a", "#0"])
    fst = Fst.from_arcs(
        0, [0, 0, 0, 1, 1], [1, 2, 3, 3, 4], [1, 2, 3, 3, 0],
        [1.0, 1.0, 1.0, 0.5, 2.0], [1, 0, 0, 0, 0], [0.0, 0.25], symbols, symbols,
    )  # fmt: skip
    graph = build_graph(small_model(n_states=1), LEXICON, Grammar(fst), GraphOptions(0.0))
    assert graph.words == Symbols(["two", "too", "a"])
    found = by_name(graph.fst, 4)
    best = {}
    for (_, words), cost in found.items():
        best[words] = min(cost, best.get(words, np.inf))
    leave = -np.log(0.75)
    assert best["two", "a"] == pytest.approx(1.0 + 0.5 + 3 * leave)
    assert best["two", "too"] == pytest.approx(1.0 + 2.0 + 1.0 + 4 * leave)


def test_missing_words_are_listed() -> None:
    with pytest.raises(DataError, match=r"lacks 2 words of the grammar: tow \(nearest: .*; q"):
        build_graph(small_model(), LEXICON, phrase_list([(("tow", "a"), 0.0), (("q",), 0.0)]))


def test_missing_phone_is_located() -> None:
    lexicon = Lexicon([Entry("x", ("A", "Q"), where="lexicon.txt:7")])
    with pytest.raises(ModelError, match=r"lexicon.txt:7: the model lacks phone 'Q' of word 'x'"):
        build_graph(small_model(), lexicon, word_loop(["x"]))


def test_grammar_that_cannot_be_determinized() -> None:
    symbols = Symbols(["a", "two"])
    fst = Fst.from_arcs(
        0, [0, 0, 1, 2, 1, 2], [1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 2, 2],
        [0.0, 0.0, 1.0, 2.0, 0.0, 0.0], [1, 2, 1, 2, 3, 3], [np.inf] * 3 + [0.0], symbols, symbols,
    )  # fmt: skip
    with pytest.raises(GraphError, match=r"the grammar cannot be determinized .*at most 1000"):
        build_graph(small_model(), LEXICON, Grammar(fst), GraphOptions(max_states=1000))


def test_saved_graphs_come_back(tmp_path: Path) -> None:
    graph = build_graph(small_model(), LEXICON, word_loop(LEXICON.words))
    graph.save(tmp_path / "g")
    found = Graph.load(tmp_path / "g", verify=True)
    assert found.fst.to_bytes() == graph.fst.to_bytes()
    assert found.words == graph.words
    assert found.lexicon.entries[1].phones == ("A", "B")
    assert found.info == graph.info
    assert found.columns.tolist() == graph.columns.tolist()


@given(models(), lexicons(), st.data())
@settings(deadline=None, max_examples=30)
def test_silence_probabilities_of_words(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject
) -> None:
    chances = st.sampled_from([None, 0.0, 0.125, 0.5, 0.75])
    lexicon = Lexicon(dataclasses.replace(e, silence=data.draw(chances)) for e in lexicon)
    grammar = data.draw(grammars(lexicon.words))
    options = GraphOptions(0.25, determinize=data.draw(st.booleans()),
                           initial_silence=data.draw(st.booleans()))  # fmt: skip
    graph = build_graph(model, lexicon, grammar, options)
    slow = plainly(model, lexicon, grammar, options)
    assert same_relation(by_name(graph.fst, 4), by_name(slow, 4))


def test_word_penalties_and_transition_scales_are_what_they_say() -> None:
    model = small_model()
    grammar = phrase_list([(("two", "a", "two"), 0.25)])
    silent = np.zeros((30, 20), dtype=np.float32)

    def cost(penalty: float, scale: float) -> float:
        stages: list[str] = []
        options = GraphOptions(silence_probability=0.0, transition_scale=scale)
        graph = build_graph(model, LEXICON, grammar.penalized(penalty), options,
                            on_stage=lambda row: stages.append(row["name"]))  # fmt: skip
        assert stages == [row["name"] for row in graph.info["stages"]][: len(stages)] != []
        found = decode_exact(graph, Scores(silent))
        assert isinstance(found, Decoded)
        return found.total_cost

    moves = cost(0.0, 1.0) - 0.25
    assert moves > 1
    for penalty, scale in ((0.0, 0.0), (1.5, 1.0), (-0.5, 0.25), (2.0, 3.0)):
        expected = 0.25 + 3 * penalty + scale * moves
        assert cost(penalty, scale) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(UsageError, match="finite"):
        grammar.penalized(float("nan"))
    with pytest.raises(UsageError, match="transition_scale"):
        GraphOptions(transition_scale=-1)


def test_penalties_spare_backing_off() -> None:
    rows = Fst.from_arcs(0, [0, 0, 1], [1, 2, 1], [1, 0, 1], [1.0, 2.0, 3.0], [0, 1, 1], [0.0, 0.0],
                         Symbols(["a", "#0"]), Symbols(["a"]))  # fmt: skip
    found = Grammar(rows).penalized(0.5)
    assert found.has_backoff
    assert found.fst.arcs["weight"].tolist() == [1.5, 2.0, 3.5]
