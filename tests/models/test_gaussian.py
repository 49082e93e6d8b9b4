"""Gaussian kernels against densities written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import ModelError
from wfst_hmm.models.gaussian import (
    NEVER,
    DiagonalGaussians,
    FullGaussians,
    fast_exp,
    log_sum_exp_segments,
    posteriors_in_place,
    soft_max,
)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 4e-16), (np.float32, 2e-7)])
def test_fast_exp_is_exp(dtype: type, tolerance: float) -> None:
    lowest = 700.0 if dtype is np.float64 else 85.0
    x = -np.concatenate([np.linspace(0, lowest, 10001), np.geomspace(1e-12, 1, 100)]).astype(dtype)
    out = np.empty_like(x)
    fast_exp(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=tolerance)
    tiny = np.array([-np.inf, -1e30, -800.0], dtype=dtype)
    fast_exp(tiny, tiny_out := np.ones_like(tiny))
    assert (tiny_out < 1e-37).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1e6))
def test_densities_equal_the_formula(seed: int, n: int, d: int, far: float) -> None:
    rng = np.random.default_rng(seed)
    logs, means = np.log(rng.random(n)), rng.normal(size=(n, d)) + far
    x = rng.normal(size=(7, d)) * 2 + far
    roots = rng.normal(size=(n, d, d)) + 2 * np.eye(d)
    full = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)
    variances = rng.random((n, d)) + 0.1
    for gaussians, covariances in (
        (DiagonalGaussians(logs, means, variances), [np.diag(v) for v in variances]),
        (FullGaussians(logs, means, full), full),
    ):
        scores = gaussians.score(gaussians.expand(x))
        for g in range(n):
            for t in range(7):
                away = x[t] - means[g]
                slow = logs[g] - 0.5 * (
                    away @ np.linalg.solve(covariances[g], away)
                    + np.linalg.slogdet(2 * np.pi * covariances[g])[1]
                )
                assert scores[g, t] == pytest.approx(slow, rel=1e-8, abs=1e-8)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31))
def test_segment_sums_and_posteriors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 3)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    joint = rng.normal(size=(offsets[-1], 5)) * 50
    joint[rng.random(joint.shape) < 0.3] = NEVER
    totals = np.empty((3, 5))
    log_sum_exp_segments(joint, offsets, totals)
    weights = rng.random((3, 5))
    weights[np.isneginf(totals)] = 0.0
    posteriors = joint.copy()
    posteriors_in_place(posteriors, offsets, totals, weights)
    for s in range(3):
        rows = joint[offsets[s] : offsets[s + 1]]
        slow = np.logaddexp.reduce(np.where(rows == NEVER, -np.inf, rows), axis=0)
        np.testing.assert_allclose(totals[s], slow, rtol=1e-12)
        np.testing.assert_allclose(
            posteriors[offsets[s] : offsets[s + 1]].sum(axis=0), weights[s], rtol=1e-12, atol=1e-300
        )
    shares, sums = joint[: sizes[0]].copy(), np.empty(5)
    soft_max(shares, sums)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    seen = np.isfinite(totals[0])
    np.testing.assert_allclose(sums[seen], totals[0][seen])


def test_a_bad_covariance_is_named() -> None:
    with pytest.raises(ModelError, match="component 1 is not positive definite"):
        FullGaussians(np.zeros(2), np.zeros((2, 2)), np.array([np.eye(2), np.ones((2, 2)) * -1]))
