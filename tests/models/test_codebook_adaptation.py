"""Codebooks of a speaker: statistics against sums, transforms against the likelihood they raise."""

import numpy as np
import pytest
from codebook_strategies import codebook_sets
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.codebook_adaptation import CodebookStats, adapted_means


def heard(model, seed, n_frames=200):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_frames, model.n_dims)).astype(np.float32) * 1.5 + 0.5
    return x, rng.integers(-1, model.n_states, size=n_frames)


def stats_of(model, x, states):
    stats = CodebookStats.empty(model)
    stats.accumulate(model, x, states)
    return stats


@settings(deadline=None, max_examples=30)
@given(codebook_sets(), st.integers(0, 100))
def test_statistics_are_the_sums_that_define_them(model, seed):
    x, states = heard(model, seed, 30)
    stats = stats_of(model, x, states)
    for f, dims in enumerate(model.streams):
        occupancy, first = np.zeros(stats.occupancy[f].shape), np.zeros(stats.first[f].shape)
        for frame, state in zip(x.astype(np.float64), states, strict=True):
            if state < 0:
                continue
            book = model.codebook[state]
            mean, variance = model.means[f][book], model.variances[f][book]
            logs = -0.5 * ((frame[dims] - mean) ** 2 / variance + np.log(variance)).sum(axis=1)
            shares = model.weights[f, state] * np.exp(logs - logs.max())
            shares = shares / shares.sum() if shares.sum() else np.full(len(logs), 1 / len(logs))
            occupancy[book] += shares
            first[book] += np.outer(shares, frame[dims])
        np.testing.assert_allclose(stats.occupancy[f], occupancy, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(stats.first[f], first, rtol=1e-3, atol=1e-3)
    assert stats.n_frames == np.sum(states >= 0)


def auxiliary(model, means, stats):
    """What the transforms maximize: expected log-likelihood, as far as means matter."""
    total = 0.0
    for f, m in enumerate(means):
        occupancy, first = stats.occupancy[f][..., None], stats.first[f]
        total += float(((m * first - 0.5 * occupancy * m**2) / model.variances[f]).sum())
    return total


@settings(deadline=None, max_examples=30)
@given(codebook_sets(), st.integers(0, 100))
def test_no_other_transform_does_better(model, seed):
    x, states = heard(model, seed)
    stats = stats_of(model, x, states)
    rng = np.random.default_rng(seed)
    classes = rng.integers(2, size=model.n_codebooks)
    moved = adapted_means(model, stats, classes, min_class=1.0, min_codebook=np.inf)
    best = auxiliary(model, moved.means, stats)
    assert best >= auxiliary(model, model.means, stats) - 1e-6
    for _ in range(5):
        other = [m.copy() for m in moved.means]
        for means in other:
            n = means.shape[2]
            for group in (0, 1):
                own = classes == group
                bend = np.eye(n) + 0.03 * rng.normal(size=(n, n))
                means[own] = means[own] @ bend + 0.03 * rng.normal(size=n)
        assert auxiliary(model, other, stats) <= best + 1e-3 * max(1.0, abs(best))
    further = adapted_means(model, stats, classes, min_class=1.0, min_codebook=1.0)
    assert auxiliary(model, further.means, stats) >= best - 1e-6


@settings(deadline=None, max_examples=20)
@given(codebook_sets())
def test_what_was_not_heard_stays(model):
    stats = CodebookStats.empty(model)
    same = adapted_means(model, stats)
    for a, b in zip(same.means, model.means, strict=True):
        np.testing.assert_array_equal(a, b)
    x = np.zeros((2, model.n_dims), dtype=np.float32)
    np.testing.assert_array_equal(same.log_likelihoods(x), model.log_likelihoods(x))


@given(codebook_sets())
@settings(deadline=None, max_examples=5)
def test_bad_input(model):
    stats = CodebookStats.empty(model)
    with pytest.raises(DataError, match="one state a frame"):
        stats.accumulate(model, np.zeros((3, model.n_dims)), [0, 0])
    with pytest.raises(DataError, match="no such state"):
        stats.accumulate(model, np.zeros((1, model.n_dims)), [model.n_states])
    with pytest.raises(ModelError, match="one class a codebook"):
        adapted_means(model, stats, [0] * (model.n_codebooks + 1))
