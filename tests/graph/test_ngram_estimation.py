"""Smoothing and pruning: probabilities sum to one, and a slow twin counts the same."""

import collections
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.graph.arpa import read_arpa, write_arpa
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_estimation import estimate_ngrams, read_sentences
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.ngram_pruning import prune_ngrams

METHODS = ["kneser-ney", "witten-bell"]
texts = st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=8)


def predicted(model: NgramModel) -> list[str]:
    return [word for word in model.words if word not in ("<eps>", "<s>")]


def some_histories(model: NgramModel) -> list[tuple[str, ...]]:
    spoken = [*"abc", "<unk>"]
    plain = [h for n in range(3) for h in itertools.product(spoken, repeat=n)]
    return [*plain, *(("<s>", *history) for history in plain if len(history) < 2)]


@pytest.mark.parametrize("method", METHODS)
@given(text=texts, order=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_probabilities_sum_to_one(method: str, text: list[list[str]], order: int):
    model = estimate_ngrams(text, order, method=method, vocabulary=list("abcd"))
    assert model.order == order
    for pruned in (model, prune_ngrams(model, 0.01), prune_ngrams(model, 10.0)):
        for history in some_histories(pruned):
            total = sum(math.exp(pruned.log_prob(word, history)) for word in predicted(pruned))
            assert total == pytest.approx(1.0, abs=1e-9)


class SlowModel:
    """The same two methods, by recursion over counts kept in dictionaries."""

    def __init__(self, text: list[list[str]], order: int, method: str, vocabulary: str) -> None:
        self.method, self.order = method, order
        self.n_words = len(vocabulary) + 2  # </s> and <unk>
        paths = [["<s>", *sentence, "</s>"] for sentence in text]
        self.counts = {
            k: collections.Counter(
                tuple(path[i : i + k]) for path in paths for i in range(len(path) - k + 1)
            )
            for k in range(1, order + 1)
        }
        self.numbers = {k: self.number(k) for k in self.counts}

    def number(self, k: int) -> dict[tuple[str, ...], int]:
        result = {}
        for gram, count in self.counts[k].items():
            if gram == ("<s>",):
                continue
            if self.method == "kneser-ney" and k < self.order and gram[0] != "<s>":
                count = sum(longer[1:] == gram for longer in self.counts[k + 1])
            result[gram] = count
        return result

    def discount(self, k: int, count: int) -> float:
        n = collections.Counter(self.numbers[k].values())
        fallback = (0.5, 1.0, 1.5)
        try:
            y = n[1] / (n[1] + 2 * n[2])
            d = (1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
            if not (0 < d[0] < 1 and 0 < d[1] < 2 and 0 < d[2] < 3):
                d = fallback
        except ZeroDivisionError:
            d = fallback
        return d[min(count, 3) - 1]

    def probability(self, word: str, history: tuple[str, ...]) -> float:
        history = history[max(0, len(history) - self.order + 1) :]
        k = len(history) + 1
        lower = self.probability(word, history[1:]) if history else 1 / self.n_words
        followers = {g: n for g, n in self.numbers[k].items() if g[:-1] == history}
        if not followers:
            return lower
        total = sum(followers.values())
        own = followers.get((*history, word), 0)
        if self.method == "witten-bell":
            return (own + len(followers) * lower) / (total + len(followers))
        left = sum(self.discount(k, n) for n in followers.values())
        return ((own - self.discount(k, own) if own else 0) + left * lower) / total


@pytest.mark.parametrize("method", METHODS)
@given(text=texts, order=st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_the_slow_twin_agrees(method: str, text: list[list[str]], order: int):
    model = estimate_ngrams(text, order, method=method, vocabulary=list("abcd"))
    twin = SlowModel(text, order, method, "abcd")
    for history in some_histories(model):
        for word in predicted(model):
            expected = twin.probability(word, history)
            assert math.exp(model.log_prob(word, history)) == pytest.approx(expected)


def removed(model: NgramModel, order: int, entry: int) -> float:
    """Relative entropy of a model without one n-gram, with its history's weight, by summing."""
    table = model.tables[order - 1]
    gram = tuple(model.words.strings(model.rows(order)[entry]))
    history, word = gram[:-1], gram[-1]
    words = predicted(model)
    before = {w: math.exp(model.log_prob(w, history)) for w in words}
    siblings = {
        model.words[int(w)]
        for c, w in zip(table.context, table.word, strict=True)
        if c == table.context[entry]
    } - {word}
    lower = {w: math.exp(model.log_prob(w, history[1:])) for w in words}
    free = 1 - sum(before[w] for w in siblings)
    weight = free / (1 - sum(lower[w] for w in siblings))
    after = {w: before[w] if w in siblings else weight * lower[w] for w in words}
    assert sum(after.values()) == pytest.approx(1.0)
    seen = 0.0
    for i, w in enumerate(history):
        seen += 0.0 if w == "<s>" else model.log_prob(w, history[:i])
    return math.exp(seen) * sum(p * math.log(p / after[w]) for w, p in before.items())


@pytest.mark.parametrize("method", METHODS)
@given(text=texts, order=st.integers(2, 3))
@settings(deadline=None, max_examples=20)
def test_pruning_removes_what_costs_least(method: str, text: list[list[str]], order: int):
    model = estimate_ngrams(text, order, method=method)
    losses = [removed(model, order, i) for i in range(model.counts[-1])]
    assume(losses)  # an empty sentence has no n-grams of the higher orders
    threshold = math.expm1(sorted(losses)[len(losses) // 2]) * 1.0001 + 1e-12
    pruned = prune_ngrams(model, threshold)
    kept = {
        tuple(pruned.words.strings(row)) for row in pruned.rows(order)
    } if pruned.order == order else set()  # fmt: skip
    for i, loss in enumerate(losses):
        gram = tuple(model.words.strings(model.rows(order)[i]))
        if abs(math.expm1(loss) - threshold) > 1e-9:
            assert (gram in kept) == (math.expm1(loss) >= threshold)


def digits() -> list[list[str]]:
    rng = np.random.default_rng(3)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return [[names[min(9, int(rng.exponential(3)))] for _ in range(rng.integers(1, 9))]
            for _ in range(400)]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_written_and_read_by_others(method: str, tmp_path: Path):
    text = digits()
    model = estimate_ngrams(text, 3, method=method)
    path = tmp_path / "lm.arpa"
    write_arpa(model, path)
    again = read_arpa(path)
    assert again.counts == model.counts
    assert again.perplexity(text).perplexity == pytest.approx(model.perplexity(text).perplexity)
    assert ngram_to_fst(again).n_arcs == ngram_to_fst(model).n_arcs
    pytest.importorskip("kaldilm")
    code = (
        "import sys, kaldilm; sys.stderr.write(kaldilm.arpa2fst(sys.argv[1], disambig_symbol='#0'))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"skipped" not in done.stdout + done.stderr


def test_more_text_and_context_help():
    text = digits()
    for method in METHODS:
        small = estimate_ngrams(text[:20], 2, method=method).perplexity(text[300:]).perplexity
        large = estimate_ngrams(text[:300], 2, method=method).perplexity(text[300:]).perplexity
        assert large < small < 11
    model = estimate_ngrams(text, 3)
    sizes = [sum(prune_ngrams(model, t).counts) for t in (0.0, 1e-5, 1e-3, 1.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == sum(model.counts)
    assert prune_ngrams(model, 1.0).order == 1


def test_input_is_checked(tmp_path: Path):
    with pytest.raises(DataError, match="no sentence"):
        estimate_ngrams([])
    for word in ("<s>", "</s>", "#0", "a b", ""):
        with pytest.raises(DataError, match="a model cannot hold"):
            estimate_ngrams([[word]])
    with pytest.raises(UsageError):
        estimate_ngrams([["a"]], 0)
    with pytest.raises(UsageError):
        estimate_ngrams([["a"]], method="good-turing")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        prune_ngrams(estimate_ngrams([["a"]]), math.nan)
    path = tmp_path / "text"
    path.write_text("a b\n\n  c\n")
    assert read_sentences(path) == [["a", "b"], ["c"]]
    with pytest.raises(FormatError):
        read_sentences(tmp_path / "none")
    model = estimate_ngrams([["a", "b"]], 2, vocabulary=["a"])
    assert list(model.words) == ["<eps>", "<s>", "</s>", "<unk>", "a"]
    assert model.log_prob("b", ["a"]) == model.log_prob("<unk>", ["a"])
