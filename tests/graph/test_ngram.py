"""n-gram models: lookup, scores of texts, cuts; against a dictionary that backs off word by word."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from ngram_strategies import backoff_models

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.ngram import NgramModel, NgramRows

Listed = dict[tuple[str, ...], tuple[float, float]]
LOG10 = math.log(10)


def make_model(listed: Listed) -> NgramModel:
    """Build a model of n-grams given by their base-10 logarithms."""
    words = Symbols(text[0] for text in listed if len(text) == 1)
    rows = []
    for k in range(1, max(map(len, listed)) + 1):
        texts = [text for text in listed if len(text) == k]
        values = np.array([listed[text] for text in texts]).reshape(-1, 2) * LOG10
        ids = np.array([words.ids(text) for text in texts], dtype=np.int32).reshape(-1, k)
        rows.append(NgramRows(ids, values[:, 0], values[:, 1]))
    return NgramModel.from_rows(words, rows)


def reachable(listed: Listed) -> Listed:
    """Leave out, as Kaldi does, n-grams whose first words are none."""
    kept: Listed = {}
    for text in sorted(listed, key=len):
        if len(text) == 1 or text[:-1] in kept:
            kept[text] = listed[text]
    return kept


def backed_off(listed: Listed, word: str, history: tuple[str, ...]) -> float:
    """Natural log probability by the definition."""
    if (*history, word) in listed:
        return listed[(*history, word)][0] * LOG10
    if not history:
        return -math.inf
    return listed.get(history, (0.0, 0.0))[1] * LOG10 + backed_off(listed, word, history[1:])


@given(backoff_models())
@settings(deadline=None, max_examples=60)
def test_probability_of_every_short_history(listed: Listed):
    model = make_model(listed)
    kept = reachable(listed)
    assert model.info["skipped"] == len(listed) - len(kept)
    assert sum(model.counts) == len(kept)
    spoken = [text[0] for text in listed if len(text) == 1]
    for n in range(3):
        for history in itertools.product(spoken, repeat=n):
            if "</s>" in history or "<s>" in history[1:]:
                continue
            for word in spoken:
                expected = backed_off(kept, word, history)
                if word == "<s>" and history:
                    continue
                assert model.log_prob(word, history) == pytest.approx(expected, abs=1e-12)


@given(backoff_models())
@settings(deadline=None, max_examples=40)
def test_text_at_once_is_sentence_by_sentence(listed: Listed):
    model = make_model(listed)
    kept = reachable(listed)
    text = [["a"], [], ["a", "a", "a", "a", "a"], ["a", "zebra", "a"]]
    result = model.perplexity(text)
    total = 0.0
    for sentence in text:
        path = ["<s>", *sentence, "</s>"]
        for i in range(1, len(path)):
            if path[i] != "zebra":
                start = path.index("zebra") + 1 if "zebra" in path[:i] else 0
                total += backed_off(kept, path[i], tuple(path[start:i]))
    assert (result.n_sentences, result.n_words, result.n_unknown) == (4, 9, 1)
    assert (result.n_predicted, result.n_impossible) == (12, 0)
    assert result.log_prob == pytest.approx(total, abs=1e-9)
    assert result.perplexity == pytest.approx(math.exp(-total / 12))
    whole = sum(model.sentence_log_prob(sentence) for sentence in text[:3])
    assert model.perplexity(text[:3]).log_prob == pytest.approx(whole)


@given(backoff_models())
@settings(deadline=None, max_examples=40)
def test_restriction_and_truncation_keep_the_rest(listed: Listed):
    model = make_model(listed)
    small = model.restricted_to(["a"])
    kept = {
        text: value
        for text, value in reachable(listed).items()
        if set(text) <= {"a", "<s>", "</s>"}
    }
    assert sum(small.counts) == len(kept)
    for table_order in range(1, small.order + 1):
        rows = [tuple(small.words.strings(row)) for row in small.rows(table_order)]
        for row, log_prob in zip(rows, small.tables[table_order - 1].log_prob, strict=True):
            assert kept[row][0] * LOG10 == pytest.approx(log_prob)
    assert model.truncated(1).counts == model.counts[:1]
    with pytest.raises(UsageError):
        model.truncated(model.order + 1)


def test_unknown_words():
    listed = {("<unk>",): (-1.0, 0.0), ("a",): (-0.5, 0.0), ("</s>",): (-0.5, 0.0)}
    model = make_model(listed)
    assert model.log_prob("zebra") == pytest.approx(-LOG10)
    assert model.perplexity([["zebra"]]).n_predicted == 2
    without = make_model({("a",): (-0.5, 0.0), ("</s>",): (-0.5, 0.0)})
    assert without.log_prob("zebra") == -math.inf
    assert without.perplexity([["zebra"]]).n_predicted == 1
    assert math.isnan(without.perplexity([]).perplexity)


def test_an_ngram_given_twice():
    words = Symbols(["a", "b"])
    rows = NgramRows(np.array([[1], [2], [1]], dtype=np.int32), np.full(3, -1.0), np.zeros(3))
    with pytest.raises(FormatError, match="1:2: n-gram 'a' occurs twice; got first at 1:0"):
        NgramModel.from_rows(words, [rows], place=lambda order, row: f"{order}:{row}")
