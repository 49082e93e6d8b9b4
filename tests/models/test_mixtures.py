"""Tied mixtures against sums written out in Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.mixtures import MixtureSet


def random_mixtures(rng: np.random.Generator, n_states: int, n_dims: int) -> MixtureSet:
    states = []
    for size in rng.integers(1, 5, n_states):
        weights = rng.random(size) + 0.1
        states.append((weights / weights.sum(), rng.normal(size=(size, n_dims)) * 2,
                       rng.random((size, n_dims)) + 0.2))  # fmt: skip
    return MixtureSet.from_states(states)


def slow_joint(mixtures: MixtureSet, x: np.ndarray, state: int) -> np.ndarray:
    """log(w_g N(x_t; g)) of the components of one state, (T, M), one density at a time."""
    own = mixtures.state(state)
    rows = []
    for frame in np.asarray(x, dtype=np.float64):
        row = []
        for w, m, v in zip(mixtures.log_weights[own], mixtures.means[own],
                           mixtures.variances[own], strict=True):  # fmt: skip
            row.append(w - 0.5 * np.sum(np.log(2 * np.pi * v) + (frame - m) ** 2 / v))
        rows.append(row)
    return np.array(rows)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 5), st.integers(0, 70))
def test_scores_equal_the_sums_written_out(seed: int, n_states: int, n_dims: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    mixtures = random_mixtures(rng, n_states, n_dims)
    x = rng.normal(size=(n, n_dims)).astype(np.float32) * 3
    scores = mixtures.log_likelihoods(x)
    assert scores.shape == (n, n_states)
    assert scores.dtype == np.float32
    for state in range(n_states):
        if n:
            slow = np.logaddexp.reduce(slow_joint(mixtures, x, state), axis=1)
            np.testing.assert_allclose(scores[:, state], slow, rtol=2e-5, atol=2e-4)
    chosen = rng.integers(0, n_states, 3)
    some = mixtures.log_likelihoods(x, chosen)
    np.testing.assert_allclose(some, scores[:, chosen], rtol=1e-5, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_statistics_equal_the_sums_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mixtures = random_mixtures(rng, 3, 2)
    x = rng.normal(size=(25, 2))
    path = rng.integers(-1, 3, 25)
    stats = mixtures.empty_stats()
    half = mixtures.empty_stats()
    mixtures.accumulate(x[:10], path[:10], stats)
    mixtures.accumulate(x[10:], path[10:], half)
    stats.add(half)
    occupancy = np.zeros(mixtures.n_components)
    first = np.zeros(mixtures.means.shape)
    total = 0.0
    for frame, state in zip(x, path, strict=True):
        if state < 0:
            continue
        joint = slow_joint(mixtures, frame[None], state)[0]
        total += np.logaddexp.reduce(joint)
        shares = np.exp(joint - np.logaddexp.reduce(joint))
        own = mixtures.state(state)
        occupancy[own] += shares
        first[own] += shares[:, None] * frame
    np.testing.assert_allclose(stats.occupancy, occupancy, atol=1e-9)
    moments = stats.first + occupancy[:, None] * mixtures.means
    np.testing.assert_allclose(moments, first, atol=1e-8)
    assert stats.log_likelihood == pytest.approx(total)
    assert stats.n_frames == (path >= 0).sum()


def test_likelihood_grows_and_floors_hold() -> None:
    rng = np.random.default_rng(3)
    mixtures = random_mixtures(rng, 4, 3)
    x = rng.normal(size=(2000, 3)) * 2 + rng.integers(0, 2, (2000, 1)) * 5
    path = rng.integers(0, 4, 2000)
    last = -np.inf
    for _ in range(8):
        stats = mixtures.empty_stats()
        mixtures.accumulate(x, path, stats)
        assert stats.log_likelihood >= last - 1e-6 * abs(stats.log_likelihood)
        last = stats.log_likelihood
        mixtures, _ = mixtures.reestimated(stats, min_occupancy=0.0, min_weight=0.0)
    stats = mixtures.empty_stats()
    mixtures.accumulate(x, path, stats)
    floored, update = mixtures.reestimated(stats, variance_floor=np.full(3, 50.0))
    assert update.n_floored == floored.variances.size
    assert floored.variances.min() >= 50.0


def test_poor_components_go_and_unseen_states_stay() -> None:
    mixtures = MixtureSet.from_states([
        ([0.5, 0.5], [[0.0], [100.0]], [[1.0], [1.0]]),
        ([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]]),
    ])  # fmt: skip
    stats = mixtures.empty_stats()
    mixtures.accumulate(np.random.default_rng(0).normal(size=(50, 1)), np.zeros(50, int), stats)
    updated, update = mixtures.reestimated(stats)
    assert (update.n_removed, update.unseen) == (1, (1,))
    assert list(updated.offsets) == [0, 1, 3]
    np.testing.assert_array_equal(updated.means[1:], mixtures.means[2:])


def test_splitting_follows_the_occupancy_and_merging_undoes_it() -> None:
    mixtures = MixtureSet.from_gaussians(np.zeros((3, 2)), np.ones((3, 2)))
    occupancy = [10.0, 100.0, 10000.0]
    split = mixtures.split(20, occupancy, power=0.5, rng=1)
    sizes = np.diff(split.offsets)
    assert list(sizes) == sorted(sizes)
    assert sizes[0] == 1
    assert split.n_components == 20
    again = mixtures.split(20, occupancy, power=0.5, rng=1)
    np.testing.assert_array_equal(split.means, again.means)
    merged = split.merge(3)
    assert merged.n_components == 3
    np.testing.assert_allclose(merged.means, 0.0, atol=0.2)
    means, weights = split.means, np.exp(split.log_weights)
    for state in range(3):
        own = split.state(state)
        np.testing.assert_allclose(merged.means[state], weights[own] @ means[own], atol=1e-12)


def test_one_frame_of_the_impossible_is_minus_infinity() -> None:
    mixtures = MixtureSet.from_states([([1.0, 0.0], [[0.0], [5.0]], [[1.0], [1.0]])])
    scores = mixtures.log_likelihoods([[5.0]])
    assert scores[0, 0] == pytest.approx(-12.5 - 0.5 * np.log(2 * np.pi), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variances": [[1.0], [0.0]]}, "component 1, dimension 0"),
        ({"offsets": [0, 0, 2]}, "state 0 has no component"),
        ({"log_weights": [0.0, -1.0]}, "weights of state 1"),
        ({"means": [[np.nan], [0.0]]}, "component 0, dimension 0"),
    ],
)
def test_bad_parameters_are_named(change: dict[str, list[float]], message: str) -> None:
    good = {"log_weights": [0.0, 0.0], "means": [[0.0], [1.0]], "variances": [[1.0], [1.0]],
            "offsets": [0, 1, 2]}  # fmt: skip
    with pytest.raises(ModelError, match=message):
        MixtureSet(**{**good, **change})


def test_bad_data_are_named_and_nothing_is_added() -> None:
    mixtures = MixtureSet.from_gaussians([[0.0]], [[1.0]])
    stats = mixtures.empty_stats()
    with pytest.raises(DataError, match="frame 1, dimension 0"):
        mixtures.accumulate([[0.0], [np.inf]], [0, 0], stats)
    with pytest.raises(DataError, match="got 1, expected below 1"):
        mixtures.accumulate([[0.0]], [1], stats)
    assert stats.n_frames == 0
    with pytest.raises(DataError, match="expected D = 1"):
        mixtures.log_likelihoods([[0.0, 1.0]])
