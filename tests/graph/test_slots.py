"""Filled slots beside the same grammar built from scratch."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from graph_models import SmallModel, lexicons, models, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import relation, same_relation

from wfst_hmm.errors import DataError, FormatError, GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.jsgf import jsgf_from_text, read_jsgf
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import Grammar, phrase_list, word_loop
from wfst_hmm.graph.slots import build_slots, slot_names

LEXICON = Lexicon([Entry("call", ("A", "B")), Entry("ann", ("A",)), Entry("bob", ("B", "C")),
                   Entry("ban", ("B", "C")), Entry("cy", ("C",), 0.5)])  # fmt: skip


def by_name(fst: Fst, length: int) -> dict[object, float]:
    assert fst.osymbols is not None
    return {(inputs, tuple(fst.osymbols.strings(outputs))): cost
            for (inputs, outputs), cost in relation(fst, length).items()}  # fmt: skip


def from_scratch(grammar: Grammar, slots: dict[str, dict[str, float]]) -> Grammar:
    """Put paths of all words and phrases in place of every arc of a slot."""
    table = grammar.isymbols.extended(w for words in slots.values() for p in words
                                      for w in p.split())  # fmt: skip
    rows, final = [], grammar.fst.states["final"].tolist()
    for source, arc in zip(grammar.fst.sources(), grammar.fst.arcs, strict=True):
        word = table[int(arc["ilabel"])]
        for phrase, cost in slots.get(word, {word: 0.0}).items():
            before, weight = source, arc["weight"] + cost
            first = phrase.split()[:-1]
            for name in first:
                rows.append((before, table.id(name), weight, len(final)))
                before, weight = len(final), 0.0
                final.append(math.inf)
            rows.append((before, table.id(phrase.split()[-1]), weight, arc["nextstate"]))
    source, label, weight, target = zip(*rows, strict=True)
    return Grammar(Fst.from_arcs(grammar.fst.start, source, label, label, weight, target,
                                 final, table, table))  # fmt: skip


@given(models(), lexicons(), st.data(), st.sampled_from([0.0, 0.5]))
@settings(deadline=None, max_examples=40)
def test_filled_slots_equal_a_build_from_scratch(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject, silence: float
) -> None:
    chances = st.sampled_from([None, 0.0, 0.125, 0.75])
    lexicon = Lexicon(dataclasses.replace(e, silence=data.draw(chances)) for e in lexicon)
    words = st.sampled_from([*lexicon.words, "$x", "$y"])
    phrase = st.tuples(st.lists(words, min_size=1, max_size=3), st.sampled_from([0.0, 0.5, 2.0]))
    grammar = phrase_list([(["$x"], 1.0), *data.draw(st.lists(phrase, max_size=3))])
    options = GraphOptions(silence)
    frame = build_slots(model, lexicon, grammar, options)
    for _ in range(2):
        fillers = st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=3).map(" ".join)
        costs = st.dictionaries(fillers, st.sampled_from([0.0, 1.0, 1.5]), min_size=1, max_size=4)
        slots = {name: data.draw(costs) for name in slot_names(grammar)}
        filled = frame.fill(lexicon, slots)
        filled.fst.validate()
        slow = build_graph(model, lexicon, from_scratch(grammar, slots), options)
        assert same_relation(by_name(filled.fst, 4), by_name(slow.fst, 4))
        assert {*filled.words} - {*slow.words} <= {*slots}
        kept = frame.frame.fst.n_states
        assert filled.fst.states[:kept].tobytes() == frame.frame.fst.states.tobytes()


def test_slots_in_loops_and_homophones_in_them() -> None:
    model = small_model(n_states=1)
    grammar = word_loop(["call", "$who"])
    frame = build_slots(model, LEXICON, grammar)
    costs = {"bob": 0.5, "ban": 0.25}
    filled = frame.fill(LEXICON, {"who": costs})
    slow = build_graph(model, LEXICON, from_scratch(grammar, {"$who": costs}))
    assert same_relation(by_name(filled.fst, 5), by_name(slow.fst, 5))
    assert set(filled.lexicon.words) == {"call", "bob", "ban"}
    assert filled.info["slots"] == {"$who": 2}


def test_words_without_costs_are_equally_probable_and_none_close_the_slot() -> None:
    model = small_model(n_states=1)
    frame = build_slots(model, LEXICON, phrase_list([(("call", "$who"), 0.0), (("call",), 0.0)]),
                        GraphOptions(0.0))  # fmt: skip
    found = by_name(frame.fill(LEXICON, {"$who": ["ann", "cy"]}).fst, 4)
    cost: dict[object, float] = {}
    for (_, words), c in found.items():
        cost[words] = min(c, cost.get(words, math.inf))
    leave = -math.log(0.75)
    assert cost["call", "ann"] == pytest.approx(math.log(2) + 3 * leave)
    assert {words for _, words in found} == {("call",), ("call", "ann"), ("call", "cy")}
    closed = frame.fill(LEXICON, {"$who": []})
    assert {words for _, words in by_name(closed.fst, 4)} == {("call",)}


def test_a_slot_in_jsgf() -> None:
    grammar = Grammar(jsgf_from_text("#JSGF V1.0; grammar g; public <s> = call [$who];").to_fst())
    assert slot_names(grammar) == ("$who",)
    filled = build_slots(small_model(n_states=1), LEXICON, grammar).fill(LEXICON, {"who": ["ann"]})
    assert ("call", "ann") in {words for _, words in by_name(filled.fst, 4)}


def test_phrases_fill_a_rule_that_is_nowhere_defined(tmp_path: Path) -> None:
    """``<who>`` in the grammar itself and in one that it imports."""
    (tmp_path / "main.gram").write_text(
        "#JSGF V1.0; grammar main; import <other.end>; public <s> = call <who> [<end>];"
    )
    (tmp_path / "other.gram").write_text("#JSGF V1.0; grammar other; public <end> = cy <who>;")
    model = small_model(n_states=1)
    with pytest.raises(FormatError, match="no rule <who>"):
        read_jsgf(tmp_path / "main.gram")
    for name in ("who", "$who", "<who>"):
        grammar = Grammar(read_jsgf(tmp_path / "main.gram", slots=[name]).to_fst())
        assert slot_names(grammar) == ("$who",)
    costs = {"ann": 0.5, "ann cy": 0.25}
    filled = build_slots(model, LEXICON, grammar).fill(LEXICON, {"who": costs})
    slow = build_graph(model, LEXICON, from_scratch(grammar, {"$who": costs}))
    found = by_name(filled.fst, 6)
    assert same_relation(found, by_name(slow.fst, 6))
    assert ("call", "ann", "cy", "cy", "ann") in {words for _, words in found}


def test_slots_that_a_jsgf_grammar_does_not_have() -> None:
    text = "#JSGF V1.0; grammar g; public <s> = call <who>; <who> = ann;"
    with pytest.raises(UsageError, match=r"a slot that a rule defines; got <who>"):
        jsgf_from_text(text, slots=["who"])
    with pytest.raises(UsageError, match=r"a slot that no rule refers to; got <what>"):
        jsgf_from_text(text, slots=["what"])
    with pytest.raises(UsageError, match=r"not the name of a slot; got 'a b'"):
        jsgf_from_text(text, slots=["a b"])


def test_costs_of_phrases_are_charged_early() -> None:
    phrases = [(("ann", "bob"), 2.0), (("ann", "cy"), 3.0), (("ann",), 4.5), (("bob",), 0.5)]
    late, early = phrase_list(phrases), phrase_list(phrases, early=True)
    assert same_relation(by_name(late.fst, 3), by_name(early.fst, 3))
    assert early.fst.arcs_of(0)["weight"].tolist() == [2.0, 0.5]
    assert sorted(early.fst.arcs_of(1)["weight"].tolist()) == [0.0, 1.0]


def test_mistakes() -> None:
    model = small_model()
    with pytest.raises(UsageError, match="the grammar has no slot"):
        build_slots(model, LEXICON, word_loop(["call"]))
    frame = build_slots(model, LEXICON, word_loop(["call", "$who"]))
    with pytest.raises(UsageError, match=r"a slot without words; got \$who"):
        frame.fill(LEXICON, {})
    with pytest.raises(UsageError, match=r"no such slot; got \$what, expected \$who"):
        frame.fill(LEXICON, {"who": ["ann"], "what": ["cy"]})
    with pytest.raises(DataError, match=r"\$who: the lexicon lacks 1 word of the grammar: zoe"):
        frame.fill(LEXICON, {"who": ["ann zoe"]})
    with pytest.raises(GraphError, match=r"\$who: an empty phrase"):
        frame.fill(LEXICON, {"who": [" "]})
    taken = Lexicon([*LEXICON, Entry("$who", ("A",))])
    with pytest.raises(UsageError, match="taken by a word or phone"):
        build_slots(model, taken, word_loop(["call", "$who"]))


def test_symbols_of_a_graph_stay_where_they_are() -> None:
    frame = build_slots(small_model(), LEXICON, word_loop(["call", "$who"]))
    filled = frame.fill(LEXICON, {"who": ["ann", "call"]})
    assert list(filled.words)[: len(frame.frame.words)] == list(frame.frame.words)
    assert isinstance(filled.words, Symbols)
    assert np.array_equal(filled.labels.column, small_model().state_labels().column)
