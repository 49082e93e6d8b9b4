"""Continuous HMMs: one iteration against loops, and training on anything."""

from pathlib import Path

import numpy as np
import pytest
from hmm_paths import counts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, ModelError, UsageError
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm

KINDS = ("diag", "full")
CHAINS = {"left": Chain.left_to_right, "bakis": Chain.bakis, "ergodic": Chain.ergodic}


def words(rng: np.random.Generator, n: int = 12, n_dims: int = 2) -> list[np.ndarray]:
    centres = np.array([[0.0], [4.0], [-3.0]])
    return [
        np.concatenate([rng.normal(size=(rng.integers(2, 7), n_dims)) + c for c in centres])
        for _ in range(n)
    ]


def random_model(rng: np.random.Generator, kind: str, n: int, n_mixtures: int, d: int) -> GmmHmm:
    weights = rng.random((n, n_mixtures)) + 0.2
    covars = rng.random((n, n_mixtures, d)) + 0.5
    if kind == "full":
        roots = rng.normal(size=(n, n_mixtures, d, d)) * 0.5 + np.eye(d)
        covars = roots @ np.swapaxes(roots, -1, -2) + 0.2 * np.eye(d)
    return GmmHmm(n, n_mixtures, kind, chain=Chain.ergodic(n, self_loop=0.6), floor=1e-9,
                  weights=weights / weights.sum(1, keepdims=True),
                  means=rng.normal(size=(n, n_mixtures, d)) * 2, covars=covars)  # fmt: skip


def component_densities(hmm: GmmHmm, x: np.ndarray) -> np.ndarray:
    """c_jl N(o_t; mu_jl, C_jl), shape (T, N, L), one at a time."""
    out = np.empty((len(x), hmm.n_states, hmm.n_mixtures))
    for j in range(hmm.n_states):
        for k in range(hmm.n_mixtures):
            c = hmm.covars[j, k] if hmm.cvtype == "full" else np.diag(hmm.covars[j, k])
            for t, frame in enumerate(x):
                away = frame - hmm.means[j, k]
                out[t, j, k] = hmm.weights[j, k] * np.exp(
                    -0.5 * (away @ np.linalg.solve(c, away) + np.linalg.slogdet(2 * np.pi * c)[1])
                )
    return out


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31))
def test_one_iteration_is_the_formula_over_all_paths(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, n_mixtures, d = 2, 2, 2
    hmm = random_model(rng, kind, n, n_mixtures, d)
    sequences = [rng.normal(size=(t, d)) * 2 for t in rng.integers(1, 7, 4)]
    a, pi = hmm.chain.transitions, hmm.chain.initial
    starts, moves = np.zeros(n), np.zeros((n, n))
    shares, total = [], 0.0
    for x in sequences:
        parts = component_densities(hmm, x)
        table = parts.sum(axis=2)
        p, gamma, xi = counts_of(pi, a, table)
        assert hmm.score(x) == pytest.approx(np.log(p))
        score, found = hmm.score_samples(x)
        assert score == pytest.approx(np.log(p))
        np.testing.assert_allclose(found, gamma, atol=1e-9)
        total += np.log(p)
        starts += gamma[0]
        moves += xi.sum(axis=0)
        shares.append(gamma[:, :, None] * parts / table[:, :, None])
    share, x = np.concatenate(shares), np.concatenate(sequences)
    report = hmm.fit(sequences, 1)
    assert report.log_likelihoods == pytest.approx([total])
    np.testing.assert_allclose(hmm.chain.initial, starts / len(sequences), atol=1e-9)
    np.testing.assert_allclose(
        hmm.chain.transitions, moves / moves.sum(1, keepdims=True), atol=1e-9
    )
    counts = share.sum(axis=0)
    np.testing.assert_allclose(hmm.weights, counts / counts.sum(1, keepdims=True), atol=1e-9)
    for j in range(n):
        for k in range(n_mixtures):
            s = share[:, j, k, None]
            if s.sum() < 0.01:
                continue  # it starved, and keeps its place
            mean = (s * x).sum(0) / s.sum()
            np.testing.assert_allclose(hmm.means[j, k], mean, atol=1e-7)
            c = (s * (x - mean)).T @ (x - mean) / s.sum()
            # Covariances are new ones, about the new means (floored where tiny).
            wanted = c if kind == "full" else np.diag(c)
            np.testing.assert_allclose(hmm.covars[j, k], wanted, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**31), st.sampled_from(KINDS), st.sampled_from(sorted(CHAINS)),
    st.integers(1, 4), st.integers(1, 3), st.booleans(),
    st.sampled_from(["plain", "constant", "collinear", "repeated", "short", "far", "one frame"]),
)  # fmt: skip
def test_training_climbs_whatever_the_data(
    seed: int, kind: str, chain: str, n: int, n_mixtures: int, hard: bool, what: str
) -> None:
    rng = np.random.default_rng(seed)
    sequences = words(rng, n=int(rng.integers(1, 6)), n_dims=3)
    if what == "constant":
        sequences = [np.column_stack([x[:, :2], np.full(len(x), 5.0)]) for x in sequences]
    elif what == "collinear":
        sequences = [x[:, [0, 1, 1]] * [1, 2, -3] for x in sequences]
    elif what == "repeated":
        sequences = [np.tile(sequences[0][0], (9, 1))]
    elif what == "short":
        sequences = [x[:2] for x in sequences]
    elif what == "far":
        sequences = [x + 1e6 for x in sequences]
    elif what == "one frame":
        sequences = [sequences[0][:1]]
    hmm = GmmHmm(n, n_mixtures, kind, chain=CHAINS[chain](n), seed=seed % 5)
    forbidden = hmm.chain.transitions == 0
    fit = hmm.fit_viterbi if hard else hmm.fit
    report = fit(sequences, 6)
    history = report.log_likelihoods
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-7 * (1 + np.abs(history[1:]))).all(), history
    assert (hmm.chain.transitions[forbidden] == 0).all()
    np.testing.assert_allclose(hmm.chain.transitions.sum(axis=1), 1.0)
    np.testing.assert_allclose(hmm.weights.sum(axis=1), 1.0)
    for values in (hmm.means, hmm.covars):
        assert np.isfinite(values).all()
    if kind == "full":
        np.linalg.cholesky(hmm.covars)
    else:
        assert hmm.covars.min() > 0
    score, gamma = hmm.score_samples(sequences[0])
    np.testing.assert_allclose(gamma.sum(axis=1), 1.0)
    assert score >= hmm.decode(sequences[0]).log_probability - 1e-9 * abs(score)


def test_one_frame_for_many_states_is_reported() -> None:
    hmm = GmmHmm(3, 1)
    report = hmm.fit([np.zeros((1, 2)), np.ones((1, 2))], 2)
    assert report.unseen_states == (1, 2)


def test_a_starved_component_is_resplit() -> None:
    rng = np.random.default_rng(0)
    x = [np.concatenate([rng.normal(-3, 1, (20, 1)), rng.normal(3, 1, (20, 1))])]
    hmm = GmmHmm(1, 2, weights=[[0.5, 0.5]], means=[[[0.0], [1e5]]], covars=np.ones((1, 2, 1)))
    report = hmm.fit(x, 30)
    assert report.n_resplit >= 1
    assert hmm.weights.min() > 0.2
    assert (np.diff(report.log_likelihoods) >= -1e-8).all()


def test_the_mixture_is_more_than_one_gaussian() -> None:
    rng = np.random.default_rng(5)
    x = [
        np.where(rng.random((60, 1)) < 0.5, -3.0, 3.0) + rng.normal(size=(60, 1)) for _ in range(5)
    ]
    one, two = GmmHmm(1, 1), GmmHmm(1, 2)
    one.fit(x, 5)
    two.fit(x, 15)
    np.testing.assert_allclose(np.sort(two.means.ravel()), [-3, 3], atol=0.4)
    assert sum(two.score(s) for s in x) > sum(one.score(s) for s in x) + 50


@pytest.mark.parametrize("kind", KINDS)
def test_recovers_what_it_sampled(kind: str) -> None:
    truth = GaussianHmm(
        2, kind, chain=Chain.ergodic(2, self_loop=0.9), means=[[-2.0, 0], [2.0, 1]],
        covars=np.tile(np.eye(2), (2, 1, 1)) if kind == "full" else np.ones((2, 2)),
    )  # fmt: skip
    x, states = truth.sample(4000, seed=3)
    assert (truth.decode(x).states == states).mean() > 0.97
    learned = GaussianHmm(2, kind, chain=Chain.ergodic(2))
    learned.fit([x[:2000], x[2000:]], 20)
    order = learned.means[:, 0].argsort()
    np.testing.assert_allclose(learned.means[order], truth.means, atol=0.15)
    moves = learned.chain.transitions[np.ix_(order, order)]
    np.testing.assert_allclose(moves, truth.chain.transitions, atol=0.03)


def test_threads_and_batches_change_nothing() -> None:
    rng = np.random.default_rng(8)
    sequences = words(rng, n=150)
    sequences.append(np.concatenate(sequences))  # longer than a batch and a chunk
    models = [GmmHmm(3, 2, chain=Chain.ergodic(3)) for _ in range(3)]
    histories = [m.fit(sequences, 4, n_threads=k).log_likelihoods
                 for m, k in zip(models, (1, 2, 1), strict=True)]  # fmt: skip
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-10)
    np.testing.assert_array_equal(histories[0], histories[2])
    whole = models[0].score(sequences[-1])
    for n_threads in (1, 2):
        scores = models[0].score_all(sequences, n_threads=n_threads)
        one_by_one = [models[0].score(s) for s in sequences]
        np.testing.assert_allclose(scores, one_by_one, rtol=1e-10)
    rows = models[0].log_emissions(sequences[-1])
    np.testing.assert_allclose(rows[:5], models[0].log_emissions(sequences[-1][:5]), rtol=1e-10)
    assert np.isfinite(whole)


def test_a_hundred_thousand_frames() -> None:
    hmm = GaussianHmm(2, chain=Chain.ergodic(2), means=[[-1.0], [1.0]], covars=np.ones((2, 1)))
    x, _ = hmm.sample(100_000, seed=1)
    score, gamma = hmm.score_samples(x)
    assert -200_000 < score < -100_000
    np.testing.assert_allclose(gamma.sum(axis=1), 1.0)
    far = hmm.score(np.full((50, 1), 1e5))  # likelihoods far below 10^-300
    assert np.isfinite(far)


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    sequences = words(rng)
    for hmm, cls in ((GmmHmm(3, 2, kind), GmmHmm), (GaussianHmm(3, kind), GaussianHmm)):
        hmm.fit(sequences, 2)
        hmm.save(tmp_path / "m.npz")
        again = cls.load(tmp_path / "m.npz")
        assert type(again) is cls
        assert again.score(sequences[0]) == hmm.score(sequences[0])
    with pytest.raises(FormatError, match="another kind"):
        GmmHmm.load(tmp_path / "m.npz")


def test_bad_input_is_named_and_changes_nothing() -> None:
    hmm = GaussianHmm(2)
    with pytest.raises(ModelError, match="no emissions yet"):
        hmm.score(np.zeros((3, 2)))
    rng = np.random.default_rng(0)
    good = words(rng)
    hmm.fit(good, 2)
    before, chain = hmm.bank, hmm.chain
    for bad, message in (
        ([*good, np.array([[0.0, np.nan]])], r"sequences\[12\]: frame 0, dimension 1"),
        (
            [*good, np.zeros((3, 3))],
            r"sequences\[12\] has the wrong number.* D = 3, expected D = 2",
        ),
        ([*good, np.zeros((0, 2))], r"sequences\[12\] is empty"),
        ([], "sequences is empty"),
        (good[0], "a list with one array a sequence"),
    ):
        with pytest.raises(DataError, match=message):
            hmm.fit(bad, 3)
    assert hmm.bank is before
    assert hmm.chain is chain
    with pytest.raises(ModelError, match="another number of states"):
        GmmHmm(3, chain=Chain.ergodic(2))
    with pytest.raises(ModelError, match="go together"):
        GmmHmm(1, means=[[[0.0]]])
    with pytest.raises(ModelError, match=r"row 0 of weights does not sum to 1; got 0\.9"):
        GmmHmm(1, 2, weights=[[0.5, 0.4]], means=np.zeros((1, 2, 1)), covars=np.ones((1, 2, 1)))
    with pytest.raises(ModelError, match="not positive definite"):
        GaussianHmm(1, "full", means=[[0.0, 0.0]], covars=[[[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(UsageError):
        GmmHmm(0)
