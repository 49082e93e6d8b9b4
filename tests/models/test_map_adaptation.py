import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import ModelError, UsageError
from wfst_hmm.models.map_adaptation import map_adapted
from wfst_hmm.models.mixtures import MixtureSet


def problem(seed: int) -> tuple[MixtureSet, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    states = [
        (rng.dirichlet(np.ones(m)), rng.normal(size=(m, 2)), rng.uniform(0.5, 2, (m, 2)))
        for m in (1, 2)
    ]
    return MixtureSet.from_states(states), rng.normal(size=(30, 2)) + 2, rng.integers(0, 2, 30)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 50))
@settings(deadline=None, max_examples=25)
def test_closed_form(seed: int, tau: float) -> None:
    mixtures, frames, path = problem(seed)
    stats = mixtures.empty_stats()
    mixtures.accumulate(frames, path, stats)
    made = map_adapted(mixtures, stats, tau=tau, weights=True)
    for state in range(2):
        own = mixtures.state(state)
        x = frames[path == state]
        logs = mixtures.log_weights[own] - 0.5 * (
            np.log(2 * np.pi * mixtures.variances[own])
            + (x[:, None] - mixtures.means[own]) ** 2 / mixtures.variances[own]
        ).sum(axis=2)
        gamma = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        count = gamma.sum(axis=0)
        wanted = (tau * mixtures.means[own] + gamma.T @ x) / (tau + count)[:, None]
        np.testing.assert_allclose(made.means[own], wanted, rtol=1e-8)
        share = tau * np.exp(mixtures.log_weights[own]) + count
        np.testing.assert_allclose(np.exp(made.log_weights[own]), share / share.sum(), rtol=1e-8)
    np.testing.assert_array_equal(made.variances, mixtures.variances)


def test_limits_and_errors() -> None:
    mixtures, frames, path = problem(0)
    stats = mixtures.empty_stats()
    np.testing.assert_array_equal(map_adapted(mixtures, stats).means, mixtures.means)
    mixtures.accumulate(frames, path, stats)
    firm = map_adapted(mixtures, stats, tau=1e12)
    np.testing.assert_allclose(firm.means, mixtures.means, atol=1e-8)
    loose = map_adapted(mixtures, stats, tau=1e-9)
    seen = stats.occupancy > 1e-3
    likeliest, _ = mixtures.reestimated(stats, min_occupancy=1e-3)
    np.testing.assert_allclose(loose.means[seen], likeliest.means[seen], atol=1e-4)
    with pytest.raises(UsageError, match="tau"):
        map_adapted(mixtures, stats, tau=0.0)
    other = MixtureSet.from_gaussians(np.zeros((1, 2)), np.ones((1, 2)))
    with pytest.raises(ModelError, match="another mixture set"):
        map_adapted(other, stats)
