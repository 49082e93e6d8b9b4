"""Discrete HMMs: plain against logarithms against the list of all paths."""

from pathlib import Path

import numpy as np
import pytest
from hmm_paths import all_paths, counts_of, reestimated
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.hmm import DiscreteHmm

RABINER = DiscreteHmm([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])


@st.composite
def models(draw: st.DrawFn, *, normalized: bool = True) -> tuple[DiscreteHmm, list[list[int]]]:
    """A small model, zeros among its transitions, and sequences that it can explain."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n, m = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    a = rng.random((n, n)) * (rng.random((n, n)) < 0.7) + np.eye(n) * 0.1
    pi = rng.random(n) + 0.05
    b = rng.random((n, m)) + 0.01
    if normalized:
        b /= b.sum(axis=1, keepdims=True)
    else:
        b *= 3.0
    hmm = DiscreteHmm(pi / pi.sum(), a / a.sum(axis=1, keepdims=True), b)
    sequences = [rng.integers(0, m, rng.integers(1, 6)).tolist() for _ in range(rng.integers(1, 4))]
    return hmm, sequences


@settings(deadline=None, max_examples=60)
@given(st.booleans().flatmap(lambda normalized: models(normalized=normalized)))
def test_both_forms_equal_the_list_of_paths(case: tuple[DiscreteHmm, list[list[int]]]) -> None:
    hmm, (o, *_) = case
    total, gamma, xi = counts_of(hmm.pi, hmm.a, hmm.emissions(o))
    assert hmm.probability(o) == pytest.approx(total)
    assert hmm.log_probability(o) == pytest.approx(np.log(total))
    for found in (hmm.gamma(o), hmm.posteriors(o)):
        np.testing.assert_allclose(found, gamma, atol=1e-10)
    for found in (hmm.xi(o), hmm.transition_posteriors(o)):
        np.testing.assert_allclose(found, xi, atol=1e-10)
    np.testing.assert_allclose(np.exp(hmm.log_forward(o)), hmm.forward(o), rtol=1e-9)
    np.testing.assert_allclose(np.exp(hmm.log_backward(o)), hmm.backward(o), rtol=1e-9)
    paths = dict(all_paths(hmm.pi, hmm.a, hmm.emissions(o)))
    best = max(paths.values())
    p, path = hmm.viterbi(o)
    assert p == pytest.approx(best)
    assert paths[tuple(path.tolist())] == pytest.approx(best)
    decoded = hmm.decode(o)
    assert decoded.log_probability == pytest.approx(np.log(best))
    assert paths[tuple(decoded.states.tolist())] == pytest.approx(best)


@settings(deadline=None, max_examples=40)
@given(models())
def test_one_iteration_is_joint_over_all_sequences(
    case: tuple[DiscreteHmm, list[list[int]]],
) -> None:
    hmm, sequences = case
    pi, a, b, total = reestimated(hmm.pi, hmm.a, hmm.b, sequences)
    for plain in (True, False):
        model = DiscreteHmm(hmm.pi, hmm.a, hmm.b)
        history = model.train(sequences, 1, plain=plain)
        assert history == pytest.approx([total])
        np.testing.assert_allclose(model.pi, pi, atol=1e-9)
        np.testing.assert_allclose(model.a, a, atol=1e-9)
        np.testing.assert_allclose(model.b, b, atol=1e-9)


def test_one_after_another_would_be_something_else() -> None:
    sequences = [[0, 0, 1, 2], [2, 2, 2, 1, 0], [1, 0, 2]]
    joint = DiscreteHmm(RABINER.pi, RABINER.a, RABINER.b)
    joint.train(sequences, 1)
    serial = DiscreteHmm(RABINER.pi, RABINER.a, RABINER.b)
    for sequence in sequences:
        serial.train([sequence], 1)
    assert np.abs(joint.b - serial.b).max() > 0.01


def test_the_last_frame_is_in_no_denominator() -> None:
    # Rows of the re-estimated a sum to one of themselves: counts over t < T on both sides.
    o = [0, 2, 1, 1]
    _, gamma, xi = counts_of(RABINER.pi, RABINER.a, RABINER.emissions(o))
    model = DiscreteHmm(RABINER.pi, RABINER.a, RABINER.b)
    model.train([o], 1)
    np.testing.assert_allclose(model.a, xi.sum(0) / gamma[:-1].sum(0)[:, None], atol=1e-10)
    np.testing.assert_allclose(model.a.sum(axis=1), 1.0)


@settings(deadline=None, max_examples=20)
@given(models(), st.integers(2, 15))
def test_training_climbs_and_zeros_stay(
    case: tuple[DiscreteHmm, list[list[int]]], n_iterations: int
) -> None:
    hmm, sequences = case
    forbidden = hmm.a == 0
    history = hmm.train(sequences, n_iterations)
    assert (np.diff(history) >= -1e-9 * (1 + np.abs(history[1:]))).all()
    assert (hmm.a[forbidden] == 0).all()
    assert np.isfinite(hmm.a).all()


def test_a_hundred_thousand_frames() -> None:
    symbols, _ = RABINER.sample(100_000, seed=4)
    assert RABINER.probability(symbols) == 0.0  # the plain form cannot
    assert -120_000 < RABINER.log_probability(symbols) < -80_000
    gamma = RABINER.posteriors(symbols)
    np.testing.assert_allclose(gamma.sum(axis=1), 1.0)
    with pytest.raises(DataError, match="Use posteriors"):
        RABINER.gamma(symbols)
    learned = DiscreteHmm([0.5, 0.5], [[0.6, 0.4], [0.4, 0.6]], RABINER.b)
    learned.train([symbols], 30)
    np.testing.assert_allclose(learned.a, RABINER.a, atol=0.05)


def test_tiny_likelihoods_train() -> None:
    b = np.full((2, 2), 1e-300)
    b[0, 0] = 1.0
    hmm = DiscreteHmm([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]], b)
    assert np.isfinite(hmm.log_probability([1] * 50))
    history = hmm.train([[1] * 50, [0, 1, 1]], 5, update_b=False)
    assert np.isfinite(history).all()


def test_per_frame_decisions_differ_where_they_should() -> None:
    o = [2, 0, 2, 2]
    np.testing.assert_array_equal(RABINER.best_observation(o), [0, 1, 0, 0])
    np.testing.assert_array_equal(RABINER.best_forward(o), RABINER.forward(o).argmax(1))
    np.testing.assert_array_equal(RABINER.best_backward(o), RABINER.backward(o).argmax(1))
    np.testing.assert_array_equal(RABINER.best_gamma(o), RABINER.gamma(o).argmax(1))
    # The best states one by one need not be a possible path.
    model = DiscreteHmm([0.5, 0.25, 0.25], [[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]], np.ones((3, 1)))
    assert model.best_gamma([0, 0])[0] == 0
    assert model.decode([0, 0]).log_probability == pytest.approx(np.log(0.25))


def test_sampling_has_the_models_frequencies() -> None:
    symbols, states = RABINER.sample(50_000, seed=2)
    moves = np.zeros((2, 2))
    np.add.at(moves, (states[:-1], states[1:]), 1)
    np.testing.assert_allclose(moves / moves.sum(1, keepdims=True), RABINER.a, atol=0.02)
    for state in range(2):
        shares = np.bincount(symbols[states == state], minlength=3) / (states == state).sum()
        np.testing.assert_allclose(shares, RABINER.b[state], atol=0.02)


def test_save_and_load(tmp_path: Path) -> None:
    RABINER.save(tmp_path / "h.npz")
    np.testing.assert_array_equal(DiscreteHmm.load(tmp_path / "h.npz").b, RABINER.b)


@pytest.mark.parametrize(
    ("pi", "a", "b", "message"),
    [
        ([0.5, 0.6], np.eye(2), np.ones((2, 1)), "initial does not sum to 1; got 1.1"),
        ([0.5, 0.5], [[1, 0], [0.5, 0.4]], np.ones((2, 1)), "row 1 of transitions .* got 0.9"),
        ([0.5, 0.5], [[1.5, -0.5], [0, 1]], np.ones((2, 1)), "no probability"),
        ([1, 0], np.eye(2), np.ones((2, 1)), "no path reaches state 1"),
        ([0.5, 0.5], np.eye(3), np.ones((2, 1)), "transitions has the wrong shape"),
        ([0.5, 0.5], np.eye(2), np.ones((3, 1)), "b has the wrong shape"),
        ([0.5, 0.5], np.eye(2), [[1], [0]], "row 1 of b is zero"),
        ([0.5, 0.5], np.eye(2), [[1], [np.nan]], "no probability"),
        ([], np.zeros((0, 0)), np.zeros((0, 1)), "initial is empty"),
    ],
)
def test_bad_models_are_named(pi: list, a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        DiscreteHmm(pi, a, b)


def test_bad_observations_are_named_and_change_nothing() -> None:
    model = DiscreteHmm([1.0, 0.0], [[0.5, 0.5], [0, 1]], [[1, 0, 0], [0, 0.5, 0.5]])
    before = model.a
    for bad, message in (
        ([[0], []], r"sequences\[1\] must be a row"),
        ([[0], [3]], r"sequences\[1\]\[0\] is no symbol; got 3, expected 0 to 2"),
        ([[0], [-1]], "no symbol"),
        ([[0.5]], "integers"),
        ([[0], [1, 1]], r"no path explains sequences\[1\]"),
        ([], "a list"),
        ([0, 1], "a list"),
    ):
        with pytest.raises(DataError, match=message):
            model.train(bad, 3)
    assert model.a is before
    with pytest.raises(DataError, match="no path explains"):
        model.decode([1])
    with pytest.raises(ModelError, match="update_b=False"):
        DiscreteHmm([1.0], [[1.0]], [[2.0]]).train([[0]], 1)
    with pytest.raises(ModelError, match="cannot be sampled"):
        DiscreteHmm([1.0], [[1.0]], [[2.0]]).sample(1)


def test_chains() -> None:
    assert Chain.left_to_right(3).is_left_to_right
    assert Chain.bakis(4, skip=0.5).transitions[0, 2] == pytest.approx(0.25)
    assert not Chain.ergodic(3, self_loop=0.8).is_left_to_right
    np.testing.assert_allclose(Chain.ergodic(3, self_loop=0.8).transitions.sum(1), 1)
    assert Chain.ergodic(1).transitions.tolist() == [[1.0]]
    with pytest.raises(ModelError, match="skip out of range"):
        Chain.bakis(3, skip=1.0)
    with pytest.raises(ModelError, match="at least one state"):
        Chain.left_to_right(0)


def test_impossible_observations_have_one_manner() -> None:
    model = DiscreteHmm([1.0, 0.0], [[0.5, 0.5], [0, 1]],
                        [[1, 0, 0, 0], [0, 0.5, 0.5, 0]])  # fmt: skip
    for impossible in ([1, 0], [0, 1, 0], [0, 3, 1], [3]):  # no start, no way back, no emission
        assert model.probability(impossible) == 0.0
        assert model.log_probability(impossible) == -np.inf
        assert model.forward(impossible)[-1].sum() == 0.0
        assert (model.log_forward(impossible)[-1] == -np.inf).all()
        for method in ("gamma", "xi", "viterbi", "posteriors", "transition_posteriors", "decode",
                       "best_gamma", "best_forward"):  # fmt: skip
            with pytest.raises(DataError, match=r"^no path explains the observations"):
                getattr(model, method)(impossible)
        for plain in (False, True):
            with pytest.raises(DataError, match=r"^no path explains sequences\[1\]"):
                model.train([[0, 1], impossible], plain=plain)
    for method in ("best_observation", "best_backward"):  # a frame without a possible state
        with pytest.raises(DataError, match=r"^no path explains the observations"):
            getattr(model, method)([0, 3, 1])
    for method in ("gamma", "xi", "viterbi", "transition_posteriors"):  # a generator is read once
        np.testing.assert_array_equal(np.asarray(getattr(model, method)([0, 1])[-1]),
                                      np.asarray(getattr(model, method)(iter([0, 1]))[-1]))  # fmt: skip


def test_too_small_for_plain_probabilities_is_not_impossible() -> None:
    model = DiscreteHmm([1.0], [[1.0]], [[1e-30, 1 - 1e-30]])
    long = [0] * 20
    assert model.log_probability(long) == pytest.approx(20 * np.log(1e-30))
    for call in (model.gamma, model.viterbi, lambda o: model.train([o], plain=True)):
        with pytest.raises(DataError, match="too small for plain probabilities"):
            call(long)
