import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.consensus import confidences, consensus
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows

WORDS = Symbols(["a", "b", "c"])
NONE = np.zeros(0, dtype=np.int32)


def tree(sentences: dict[str, float]) -> Lattice:
    """Return the deterministic lattice of sentences with the given probabilities."""
    nodes: dict[tuple[str, ...], int] = {(): 0}
    for sentence in sorted(sentences):
        words = tuple(sentence.split())
        for n in range(1, len(words) + 1):
            nodes.setdefault(words[:n], len(nodes))
    rows = [
        (nodes[prefix[:-1]], number, WORDS.ids([prefix[-1]])[0], 0.0, 0.0, NONE)
        for prefix, number in nodes.items()
        if prefix
    ]
    final = np.full(len(nodes), np.inf)
    for sentence, probability in sentences.items():
        final[nodes[tuple(sentence.split())]] = -np.log(probability)
    return lattice_from_rows(rows, final, WORDS, is_deterministic=True)


def edit_distance(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        row, above = [i], row
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def test_the_risk_of_the_whole_may_beat_the_best_path() -> None:
    # the best sentence is "c a", but every word of "b b" is more probable in its place
    lattice = tree({"c a": 0.4, "b b": 0.3, "b c": 0.15, "a b": 0.15})
    found = consensus(lattice)
    assert [word.text for word in found.words] == ["b", "b"]
    assert [word.confidence for word in found.words] == pytest.approx([0.45, 0.45])
    assert found.expected_errors == pytest.approx(1.1, abs=1e-3)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(
    st.lists(st.sampled_from("abc"), max_size=3).map(" ".join), st.floats(0.05, 1.0),
    min_size=1, max_size=5,
))  # fmt: skip
def test_expected_errors_on_trees_equal_enumeration(sentences: dict[str, float]) -> None:
    total = sum(sentences.values())
    shares = {tuple(s.split()): p / total for s, p in sentences.items()}
    found = consensus(tree(sentences))
    said = tuple(word.text for word in found.words)
    risk = sum(p * edit_distance(said, words) for words, p in shares.items())
    # in a tree each state has one history, so that the recursion is exact
    assert found.expected_errors == pytest.approx(risk, abs=1e-3)
    best = max(shares, key=lambda words: shares[words])
    assert risk <= sum(p * edit_distance(best, w) for w, p in shares.items()) + 1e-6
    for network_bin in found.bins:
        assert sum(p for _, p in network_bin.words) <= 1 + 1e-6


def test_confidence_of_given_words() -> None:
    lattice = tree({"a b": 0.75, "a c": 0.25})
    assert confidences(lattice, ("a", "b")) == pytest.approx([1.0, 0.75])
    assert confidences(lattice, ("a", "c")) == pytest.approx([1.0, 0.25])
    assert confidences(lattice, ("nowhere", "b")) == pytest.approx([0.0, 0.75])
    assert confidences(lattice, ()) == []
    flatter = confidences(lattice, ("a", "b"), scale=0.5)
    assert flatter[1] == pytest.approx(np.sqrt(3) / (np.sqrt(3) + 1))


def test_times_are_means_over_the_paths() -> None:
    frames = [np.full(n, 1, dtype=np.int32) for n in (4, 6, 3)]
    rows = [(0, 1, 1, 0.0, 0.0, frames[0]), (0, 2, 1, 0.0, 0.0, frames[1]),
            (1, 3, 2, 0.0, 0.0, frames[1]), (2, 3, 2, 0.0, 0.0, frames[0])]  # fmt: skip
    lattice = lattice_from_rows(rows, [np.inf] * 3 + [0.0], WORDS, is_deterministic=True)
    first, second = consensus(lattice).words
    assert (first.start, first.end, second.start, second.end) == pytest.approx(
        (0.0, 0.05, 0.05, 0.10)
    )


def test_no_words_at_all() -> None:
    lattice = tree({"": 1.0})
    assert consensus(lattice).words == ()
    assert list(itertools.chain(consensus(lattice).bins)) == []


def chain(n_places: int, seed: int) -> Lattice:
    """Return a long lattice: at each place one of two words, or two words, or none."""
    rng = np.random.default_rng(seed)
    rows, state = [], 0
    for _ in range(n_places):
        costs = rng.exponential(1.0, 4)
        frames = np.ones(int(rng.integers(20, 60)), dtype=np.int32)
        first, second = rng.permutation(3)[:2] + 1
        rows += [
            (state, state + 2, int(first), costs[0], 0.0, frames),
            (state, state + 2, int(second), costs[1], 0.0, frames),
            (state, state + 1, int(6 - first - second), costs[2], 0.0, frames[:10]),
            (state + 1, state + 2, int(first), costs[3], 0.0, frames[10:]),
        ]
        state += 2
    final = np.full(state + 1, np.inf)
    final[-1] = 0.0
    return lattice_from_rows(rows, final, WORDS, is_deterministic=True)


@pytest.mark.parametrize("seed", range(4))
def test_long_lattices_are_compared_within_a_few_seconds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice = chain(120, seed)
    whole = consensus(lattice)
    texts = tuple(word.text for word in whole.words)
    sure = confidences(lattice, texts)
    monkeypatch.setattr("wfst_hmm.lattice.consensus._MAX_CELLS", 1)
    band = consensus(lattice)
    assert [word.text for word in band.words] == list(texts)
    assert band.expected_errors == pytest.approx(whole.expected_errors, abs=0.05)
    np.testing.assert_allclose(
        [word.confidence for word in band.words], [word.confidence for word in whole.words], atol=0.01
    )  # fmt: skip
    np.testing.assert_allclose(confidences(lattice, texts), sure, atol=0.01)
    ends = [word.end for word in whole.words]
    np.testing.assert_allclose(confidences(lattice, texts, ends=ends), sure, atol=0.01)
    for few in ((), texts[:1], ("unheard", *texts, "unheard")):
        shares = confidences(lattice, few)
        assert len(shares) == len(few)
        assert all(0 <= share <= 1 + 1e-6 for share in shares)


def test_an_hour_of_words_takes_little_memory() -> None:
    lattice = chain(5000, 0)
    found = consensus(lattice)
    assert 4000 < len(found.words) < 10_000
    assert all(0.2 < word.confidence <= 1 for word in found.words)  # type: ignore[operator]
