"""Word machines against what they stand for: occurrences counted, sentences scored."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ngram_strategies import arpa_text, backoff_models

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.arpa import read_arpa
from wfst_hmm.graph.word_machine import Phrase, ngram_machine, phrase_machine

WORDS = Symbols(["a", "b", "c"])
Listed = dict[tuple[str, ...], tuple[float, float]]


def boosts_in(sentence: tuple[str, ...], phrases: list[Phrase]) -> float:
    """Count every occurrence of every phrase, the obvious way."""
    return sum(
        phrase.boost
        for phrase in phrases
        for at in range(len(sentence) - len(phrase.words) + 1)
        if sentence[at : at + len(phrase.words)] == phrase.words
    )


phrase_lists = st.lists(
    st.builds(
        Phrase,
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple),
        st.integers(-8, 16).map(lambda n: n / 4),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=200)
@given(phrase_lists, st.lists(st.sampled_from("abc"), max_size=8).map(tuple))
def test_a_sentence_costs_minus_the_boosts_of_all_occurrences(
    phrases: list[Phrase], sentence: tuple[str, ...]
) -> None:
    machine = phrase_machine(phrases, WORDS)
    cost = machine.cost(WORDS.ids(sentence))
    assert cost == pytest.approx(-boosts_in(sentence, phrases), abs=1e-5)


def test_an_unfinished_phrase_is_lent_its_boost_and_gives_it_back() -> None:
    machine = phrase_machine([Phrase(("a", "b", "c"), 3.0)], WORDS)
    cost, state = machine.step(machine.start, 1)
    assert cost == pytest.approx(-1.0)
    cost, state = machine.step(state, 2)
    assert cost == pytest.approx(-1.0)
    assert machine.final[state] == pytest.approx(2.0)
    cost, state = machine.step(state, 1)  # breaks off, and begins anew
    assert cost == pytest.approx(2.0 - 1.0)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(listed=backoff_models())
def test_an_ngram_machine_gives_the_models_costs(listed: Listed, tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    model = read_arpa(path)
    spoken = [text[0] for text in listed if len(text) == 1 and text[0][0] != "<"]
    words = Symbols(["other", *reversed(spoken)])  # the graph numbers words its own way
    machine = ngram_machine(model, words)
    assert machine.unknown == ("other",)
    for n in range(4):
        for sentence in itertools.product(spoken, repeat=n):
            expected = -model.sentence_log_prob(sentence)
            assert machine.cost(words.ids(sentence)) == pytest.approx(expected, abs=1e-4)


def small_model(tmp_path: Path, *, unknown: bool):  # type: ignore[no-untyped-def]
    listed: Listed = {("<s>",): (-1, -0.5), ("</s>",): (-1, 0), ("a",): (-1, -0.25),
                      ("<s>", "a"): (-0.1, 0)}  # fmt: skip
    if unknown:
        listed = {("<unk>",): (-2, 0), **listed}
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    return read_arpa(path)


def test_unknown_words(tmp_path: Path) -> None:
    words = Symbols(["a", "new"])
    without = small_model(tmp_path, unknown=False)
    assert math.isinf(ngram_machine(without, words).cost([2]))
    priced = ngram_machine(without, words, unknown_cost=9.0)
    assert priced.unknown == ("new",)
    back = 0.5 * math.log(10)  # out of <s>
    assert priced.cost([2]) == pytest.approx(back + 9 + math.log(10))
    listed = ngram_machine(small_model(tmp_path, unknown=True), words)
    assert listed.cost([2]) == pytest.approx(back + 3 * math.log(10))
    assert np.isfinite(listed.final).all()


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lacks the word 'x'"):
        phrase_machine([Phrase(("x",), 1.0)], WORDS)
    with pytest.raises(DataError, match="lacks the word '<eps>'"):
        phrase_machine([Phrase(("<eps>",), 1.0)], WORDS)
    with pytest.raises(UsageError, match="without words"):
        Phrase((), 1.0)
    with pytest.raises(UsageError, match="finite"):
        Phrase(("a",), math.nan)
    with pytest.raises(UsageError, match="unknown word"):
        ngram_machine(small_model(tmp_path, unknown=False), WORDS, unknown_cost=-1.0)
