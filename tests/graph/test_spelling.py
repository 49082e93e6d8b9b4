import dataclasses

import numpy as np
import pytest
from graph_models import SmallModel, lexicons, models, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.minimize import merge_states
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.trim import trim
from wfst_hmm.graph.items import Items, grammar_items
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst, optional_silence
from wfst_hmm.graph.phrases import Grammar, word_loop
from wfst_hmm.graph.spelling import Pauses, phone_labels, spell_grammar


def items_of(grammar: Grammar, lexicon: Lexicon) -> Items:
    items = grammar_items(grammar, lexicon, max_states=1000)
    return dataclasses.replace(items, acceptor=trim(items.acceptor))


def pauses_of(model: SmallModel, probability: float, items: Items) -> Pauses:
    silence = optional_silence(model, LexiconOptions(probability))
    return Pauses.alike(silence, len(items.lexicon))


def by_openfst(model: SmallModel, items: Items, probability: float) -> Fst:
    """L∘G with disambiguation symbols, determinized by OpenFst, the symbols then removed."""
    l_fst = lexicon_fst(items.lexicon, model, LexiconOptions(probability), words=items.symbols,
                        unspoken=items.unspoken)  # fmt: skip
    made = ops.determinize(ops.compose(l_fst.fst, items.acceptor))
    arcs = made.arcs.copy()
    arcs["ilabel"][arcs["ilabel"] > l_fst.n_phones] = 0
    arcs["olabel"] = items.word_of[arcs["olabel"]]
    return Fst.from_runs(made.start, made.states["n_arcs"], arcs, made.states["final"])


@given(models(), lexicons(), st.data(), st.sampled_from([0.0, 0.25]), st.booleans())
@settings(deadline=None, max_examples=120)
def test_equals_determinized_composition(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject, silence: float, minimize: bool
) -> None:
    words = [*lexicon.words, "#0"]
    fst = data.draw(machines(max_states=3, n_labels=len(words), acceptor=True, epsilons=False))
    fst = fst.with_symbols(Symbols(words), Symbols(words))
    arcs = fst.arcs.copy()
    backs_off = arcs["ilabel"] == len(words)
    keep = ~(backs_off & (arcs["nextstate"] <= fst.sources()))  # no loops of backing off
    arcs["olabel"][backs_off] = 0
    try:
        grammar = Grammar(Fst.from_arcs(
            0, fst.sources()[keep], arcs["ilabel"][keep], arcs["olabel"][keep],
            arcs["weight"][keep], arcs["nextstate"][keep], fst.states["final"],
            fst.isymbols, fst.osymbols,
        ))  # fmt: skip
        items = items_of(grammar, lexicon)
    except GraphError:
        return  # it accepts nothing, or cannot be determinized
    made = spell_grammar(items, model.phones, pauses_of(model, silence, items),
                         minimize=minimize, max_states=10_000)  # fmt: skip
    made.validate()
    assert trim(made).n_states == made.n_states
    slow = by_openfst(model, items, silence)
    assert same_relation(relation(made, 4), relation(slow, 4))
    assert not minimize or made.n_states <= slow.n_states + 1


@given(lexicons())
@settings(deadline=None, max_examples=60)
def test_is_minimal(lexicon: Lexicon) -> None:
    model = small_model()
    items = items_of(word_loop(lexicon.words), lexicon)
    made = spell_grammar(items, model.phones, pauses_of(model, 0.5, items), max_states=1000)
    assert merge_states(made).n_states == made.n_states


def test_words_and_costs_stand_early() -> None:
    lexicon = Lexicon([Entry("x", ("A", "B", "C"), 0.5), Entry("y", ("A", "C", "C"), 0.25)])
    items = items_of(word_loop(["x", "y"]), lexicon)
    model = small_model()
    made = spell_grammar(items, model.phones, pauses_of(model, 0.0, items), max_states=100)
    assert made.n_states == 3  # one root; after A; after AB and AC
    first = made.arcs_of(made.start)[0]
    assert first.tolist()[:2] == (1, 0)
    assert first["weight"] == pytest.approx(-np.log(0.5) + np.log(2))  # x is likelier
    rows = made.arcs_of(first["nextstate"])
    assert [tuple(row.tolist()[:2]) for row in rows] == [(2, 1), (3, 2)]
    np.testing.assert_allclose(rows["weight"], [0.0, np.log(2)], atol=1e-6)


def test_places_in_words() -> None:
    assert phone_labels((2,), 5, 4) == [1 + 2 + 15]
    assert phone_labels((2, 0, 1), 5, 4) == [1 + 2 + 5, 1 + 0, 1 + 1 + 10]
    assert phone_labels((2, 0, 1), 5, 1) == [3, 1, 2]


def test_the_budget_is_kept_before_anything_is_made() -> None:
    lexicon = Lexicon([Entry("x", ("A", "B", "C")), Entry("y", ("C", "B", "A"))])
    items = items_of(word_loop(["x", "y"]), lexicon)
    model = small_model()
    with pytest.raises(GraphError, match=r"exceeds the budget of states.*up to 9.*at most 5"):
        spell_grammar(items, model.phones, pauses_of(model, 0.5, items), max_states=5)


def test_pauses_may_depend_on_the_word_before() -> None:
    lexicon = Lexicon([Entry("x", ("A",)), Entry("y", ("B",))])
    items = items_of(word_loop(["x", "y"]), lexicon)
    model = small_model()
    pauses = Pauses(3, np.array([2.0, 0.25]), np.array([1.0, 0.5]), np.array([0, 1]))
    made = spell_grammar(items, model.phones, pauses, max_states=100)
    found = relation(made, 4)
    word = np.log(2)
    assert found[(1,), (1,)] == pytest.approx(1.0 + word + 1.0)
    assert found[(1, 4), (1,)] == pytest.approx(1.0 + word + 2.0)
    assert found[(2,), (2,)] == pytest.approx(1.0 + word + 0.5)
    assert found[(4, 2, 4, 1), (2, 1)] == pytest.approx(2.0 + word + 0.25 + word + 1.0)
