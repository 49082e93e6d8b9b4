"""LDA, MLLT and fMLLR against their definitions and against numeric optimization."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.fmllr import estimate_fmllr, fmllr_objective
from wfst_hmm.models.lda import LdaStats
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.mllt import estimate_mllt, mllt_objective, mllt_scatters
from wfst_hmm.models.transform_statistics import TransformStats

seeds = st.integers(0, 2**32 - 1)


def problem(seed: int, n_dims: int = 3, n: int = 200) -> tuple[MixtureSet, np.ndarray, np.ndarray]:
    """Return mixtures of three states, frames of theirs under a random map, and the states."""
    rng = np.random.default_rng(seed)
    sizes = [1, 2, 3]
    states = [
        (rng.dirichlet(np.full(m, 3.0)), 2 * rng.normal(size=(m, n_dims)),
         rng.uniform(0.3, 1.5, size=(m, n_dims)))
        for m in sizes
    ]  # fmt: skip
    path = rng.integers(0, 3, n)
    turn = np.eye(n_dims) + 0.25 * rng.normal(size=(n_dims, n_dims))
    frames = np.empty((n, n_dims))
    for t, s in enumerate(path):
        weights, means, variances = states[s]
        g = rng.choice(len(weights), p=weights)
        frames[t] = turn @ (means[g] + np.sqrt(variances[g]) * rng.normal(size=n_dims)) + 0.3
    path[:5] = -1
    return MixtureSet.from_states(states), frames.astype(np.float32), path.astype(np.int64)


def joint(mixtures: MixtureSet, frames: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Return posteriors (T, G) of the components of each frame's state, one by one."""
    out = np.zeros((len(frames), mixtures.n_components))
    for t, state in enumerate(path):
        if state < 0:
            continue
        own = mixtures.state(int(state))
        away = frames[t].astype(np.float64) - mixtures.means[own]
        logs = mixtures.log_weights[own] - 0.5 * (
            np.log(2 * np.pi * mixtures.variances[own]) + away**2 / mixtures.variances[own]
        ).sum(axis=1)
        shares = np.exp(logs - logs.max())
        out[t, own] = shares / shares.sum()
    return out


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_statistics_are_sums_over_frames_and_components(seed: int) -> None:
    mixtures, frames, path = problem(seed, n=40)
    stats = TransformStats.empty(3)
    half = TransformStats.empty(3)
    half.accumulate(mixtures, frames[:17], path[:17])
    stats.accumulate(mixtures, frames[17:], path[17:])
    stats.add(half)
    gamma = joint(mixtures, frames, path)
    extended = np.column_stack([frames, np.ones(len(frames))]).astype(np.float64)
    for d in range(3):
        weight = gamma / mixtures.variances[:, d]
        wanted = np.einsum("tg,ti,tj->ij", weight, extended, extended)
        np.testing.assert_allclose(stats.quadratic[d], wanted, rtol=1e-4, atol=1e-4)
        pulled = np.einsum("tg,ti->i", weight * mixtures.means[:, d], extended)
        np.testing.assert_allclose(stats.linear[d], pulled, rtol=1e-4, atol=1e-4)
    assert stats.count == (path >= 0).sum()


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_lda_solves_the_generalized_eigenproblem(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 4, 300)
    turn, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    mix = turn * rng.uniform(0.2, 5.0, 5)  # a singular one would leave no digits to compare
    frames = (rng.normal(size=(4, 5))[classes] + 0.7 * rng.normal(size=(300, 5))) @ mix
    classes[:3] = -1
    stats = LdaStats(4, 5)
    stats.add(frames[:100], classes[:100])
    stats.add(frames[100:], classes[100:])
    used, own = frames[3:], classes[3:]
    within = sum(np.cov(used[own == c].T, bias=True) * (own == c).mean() for c in range(4))
    between = np.cov(used.T, bias=True) - within
    found = stats.scatters()
    np.testing.assert_allclose(found[0], within, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[1], between, rtol=1e-6, atol=1e-8)
    matrix = stats.estimate(3)
    np.testing.assert_allclose(matrix @ within @ matrix.T, np.eye(3), atol=1e-6)
    values = scipy.linalg.eigh(between, within, eigvals_only=True)[::-1]
    np.testing.assert_allclose(np.diag(matrix @ between @ matrix.T), values[:3], atol=1e-6)


def test_lda_says_what_it_lacks() -> None:
    stats = LdaStats(2, 3)
    with pytest.raises(DataError, match="no frames"):
        stats.estimate(2)
    stats.add(np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2)
    with pytest.raises(DataError, match="more dimensions"):
        stats.estimate(4)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_mllt_climbs_to_where_numeric_search_ends(seed: int) -> None:
    mixtures, frames, path = problem(seed)
    stats, moments = TransformStats.empty(3), mixtures.empty_stats()
    stats.accumulate(mixtures, frames, path)
    mixtures.accumulate(frames, path, moments)
    scatters = mllt_scatters(stats, mixtures, moments)
    gamma = joint(mixtures, frames, path)
    means = (gamma.T @ frames) / gamma.sum(axis=0)[:, None]
    for d in range(3):  # the twin: frame by frame, component by component
        away = frames[:, None].astype(np.float64) - means
        wanted = np.einsum("tg,tgi,tgj->ij", gamma / mixtures.variances[:, d], away, away)
        np.testing.assert_allclose(scatters[d], wanted, rtol=1e-3, atol=1e-2)
    values = [mllt_objective(np.eye(3), scatters, stats.count)]
    for n in (1, 2, 5, 5000):  # rows one by one linger at saddles
        matrix = estimate_mllt(scatters, stats.count, n_iterations=n)
        values.append(mllt_objective(matrix, scatters, stats.count))
    assert (np.diff(values) > -1e-6 * stats.count).all()

    def loss(flat: np.ndarray) -> float:
        return -mllt_objective(flat.reshape(3, 3), scatters, stats.count) / stats.count

    # there are several maxima: numeric search must find nothing better around the one found
    best = scipy.optimize.minimize(loss, matrix.ravel(), method="BFGS")
    assert values[-1] / stats.count >= -best.fun - 1e-4


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_fmllr_climbs_to_where_numeric_search_ends(seed: int) -> None:
    mixtures, frames, path = problem(seed)
    stats = TransformStats.empty(3)
    stats.accumulate(mixtures, frames, path)
    identity = np.eye(3, 4)
    values = [fmllr_objective(identity, stats)]
    for n in (1, 2, 4, 100):
        made = estimate_fmllr(stats, n_iterations=n, kind="full")
        values.append(fmllr_objective(made.matrix, stats))
    assert (np.diff(values) > -1e-6 * stats.count).all()
    assert made.gain == pytest.approx((values[-1] - values[0]) / stats.count)

    def loss(flat: np.ndarray) -> float:
        return -fmllr_objective(flat.reshape(3, 4), stats) / stats.count

    best = scipy.optimize.minimize(loss, made.matrix.ravel(), method="BFGS")
    assert values[-1] / stats.count >= -best.fun - 1e-4
    # smaller kinds are the best of their kind
    diagonal, offset = (estimate_fmllr(stats, kind=kind) for kind in ("diagonal", "offset"))
    assert values[0] - 1e-6 <= fmllr_objective(offset.matrix, stats)
    assert fmllr_objective(offset.matrix, stats) <= fmllr_objective(diagonal.matrix, stats) + 1e-6
    assert fmllr_objective(diagonal.matrix, stats) <= values[-1] + 1e-3

    def loss_of_diagonal(flat: np.ndarray) -> float:
        matrix = np.column_stack([np.diag(flat[:3]), flat[3:]])
        return -fmllr_objective(matrix, stats) / stats.count

    best = scipy.optimize.minimize(loss_of_diagonal, np.array([1.0] * 3 + [0.0] * 3), method="BFGS")
    assert fmllr_objective(diagonal.matrix, stats) / stats.count >= -best.fun - 1e-4


def test_fmllr_gains_the_likelihood_that_it_says() -> None:
    """With one Gaussian a state, the objective is the likelihood, but for a constant."""
    rng = np.random.default_rng(4)
    mixtures = MixtureSet.from_gaussians(rng.normal(size=(3, 2)), rng.uniform(0.5, 1, (3, 2)))
    path = rng.integers(0, 3, 300)
    frames = (1.4 * (mixtures.means[path] + rng.normal(size=(300, 2))) - 1.0).astype(np.float32)
    stats = TransformStats.empty(2)
    stats.accumulate(mixtures, frames, path)
    made = estimate_fmllr(stats)

    def likelihood(matrix: np.ndarray) -> float:
        mapped = frames @ matrix[:, :2].T + matrix[:, 2]
        scores = mixtures.log_likelihoods(mapped)[np.arange(300), path]
        return float(scores.mean() + np.linalg.slogdet(matrix[:, :2])[1])

    gained = likelihood(made.matrix) - likelihood(np.eye(2, 3))
    assert made.kind == "full"
    assert made.note is None
    assert gained == pytest.approx(made.gain, abs=1e-3)
    assert gained > 0.1


@pytest.mark.parametrize(
    ("n", "kind"),
    [(400, "full"), (12, "diagonal"), (4, "offset"), (2, "identity"), (0, "identity")],
)
def test_little_speech_gets_a_smaller_transform(n: int, kind: str) -> None:
    mixtures, frames, path = problem(1, n=405)
    stats = TransformStats.empty(3)
    stats.accumulate(mixtures, frames[5 : 5 + n], path[5 : 5 + n])
    made = estimate_fmllr(stats)
    assert made.kind == kind
    assert (made.note is None) == (kind == "full")
    assert made.gain >= 0
    assert np.isfinite(made.matrix).all()


def test_frames_that_never_move_lead_to_no_adaptation() -> None:
    mixtures, _, path = problem(1)
    frames = np.zeros((len(path), 3), dtype=np.float32)
    stats = TransformStats.empty(3)
    stats.accumulate(mixtures, frames, path)
    made = estimate_fmllr(stats)
    assert np.isfinite(made.matrix).all()
    assert abs(np.linalg.det(made.matrix[:, :3])) > 0
    with pytest.raises(ModelError, match="too few frames"):
        estimate_mllt(np.zeros((3, 3, 3)), 5.0)
