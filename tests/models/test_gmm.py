"""Gaussian mixtures: EM, its guards, and what can be done with a trained mixture."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, ModelError, UsageError
from wfst_hmm.models.gmm import GMM, GaussianMixture

KINDS = ("diag", "full")


def clouds(seed: int = 0, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(-4, 1, (n, 2)), rng.normal(0, 0.5, (n, 2)),
                           rng.normal(4, 2, (n, 2))])  # fmt: skip


def one_step(x: np.ndarray, w: np.ndarray, m: np.ndarray, c: np.ndarray, full: bool) -> tuple:
    """One EM iteration with loops and matrices as the book has them."""
    joint = np.empty((len(x), len(w)))
    for k in range(len(w)):
        matrix = c[k] if full else np.diag(c[k])
        away = x - m[k]
        joint[:, k] = np.log(w[k]) - 0.5 * (
            np.einsum("ni,ij,nj->n", away, np.linalg.inv(matrix), away)
            + np.linalg.slogdet(2 * np.pi * matrix)[1]
        )
    scores = np.logaddexp.reduce(joint, axis=1)
    shares = np.exp(joint - scores[:, None])
    counts = shares.sum(axis=0)
    means = shares.T @ x / counts[:, None]
    covars = []
    for k in range(len(w)):
        away = x - means[k]
        matrix = (shares[:, k, None] * away).T @ away / counts[k]
        covars.append(matrix if full else np.diag(matrix))
    return scores, counts / len(x), means, np.array(covars)


@pytest.mark.parametrize("kind", KINDS)
def test_one_iteration_is_the_formula(kind: str) -> None:
    x = clouds()
    rng = np.random.default_rng(1)
    means = rng.normal(size=(3, 2)) * 3
    covars = np.tile(np.eye(2) * 2, (3, 1, 1)) if kind == "full" else np.full((3, 2), 2.0)
    weights = np.array([0.2, 0.3, 0.5])
    given = means.copy(), covars.copy(), weights.copy()
    gmm = GMM(3, 2, kind, means=means, covars=covars, weights=weights, floor=1e-9)
    scores, w, m, c = one_step(x, weights, means, covars, kind == "full")
    np.testing.assert_allclose(gmm.score(x), scores, rtol=1e-10)
    history = gmm.train(x, 1)
    assert history == pytest.approx([scores.sum()])
    np.testing.assert_allclose(gmm.components.weights, w, rtol=1e-9)
    np.testing.assert_allclose(gmm.components.means, m, rtol=1e-9)
    np.testing.assert_allclose(gmm.components.covars, c, rtol=1e-8, atol=1e-10)
    for before, after in zip(given, (means, covars, weights), strict=True):
        np.testing.assert_array_equal(before, after)  # the caller's arrays are never written to


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**31), st.sampled_from(KINDS), st.integers(1, 6), st.integers(1, 40),
    st.sampled_from(["plain", "constant", "collinear", "repeated", "far", "tiny"]),
)  # fmt: skip
def test_training_climbs_whatever_the_data(
    seed: int, kind: str, n: int, n_frames: int, what: str
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_frames, 3)) + rng.integers(0, 3, (n_frames, 1)) * 4
    if what == "constant":
        x[:, 1] = 7.0
    elif what == "collinear":
        x[:, 2] = x[:, 0] + x[:, 1]
    elif what == "repeated":
        x[:] = x[0]
    elif what == "far":
        x += 1e7
    elif what == "tiny":
        x *= 1e-20
    gmm = GaussianMixture(n, 3, kind, seed=seed % 7)
    history = gmm.train(x, 8)
    assert np.isfinite(history).all()
    assert (np.diff(history) >= -1e-7 * (1 + np.abs(history[1:]))).all(), history
    parts = gmm.components
    assert np.isfinite(parts.means).all()
    assert parts.weights.sum() == pytest.approx(1.0)
    if kind == "full":
        np.linalg.cholesky(parts.covars)
    else:
        assert parts.covars.min() > 0


def test_a_starved_component_is_resplit() -> None:
    x = clouds()
    gmm = GMM(2, 2, means=[[0.0, 0.0], [1e4, 1e4]], covars=np.ones((2, 2)), weights=[0.5, 0.5])
    history = gmm.train(x, 30)
    assert gmm.components.weights.min() > 0.1
    assert (np.diff(history) >= -1e-9 * np.abs(history[1:])).all()


def test_seeded_threads_and_repeats_agree() -> None:
    x = clouds(n=2000)
    one, two = GaussianMixture(4, 2, seed=3), GaussianMixture(4, 2, seed=3)
    h1, h2 = one.train(x, 5), two.train(x, 5, n_threads=2)
    np.testing.assert_allclose(h1, h2, rtol=1e-12)
    again = GaussianMixture(4, 2, seed=3)
    np.testing.assert_array_equal(again.train(x, 5), h1)
    np.testing.assert_array_equal(one.score(x), one.score(x, n_threads=2))


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_training_and_posteriors(kind: str) -> None:
    truth = GMM(2, 2, kind, means=[[-3, 0], [3, 1]], weights=[0.3, 0.7])
    x, which = truth.sample(20000, seed=1)
    assert np.bincount(which)[1] / 20000 == pytest.approx(0.7, abs=0.02)
    learned = GMM(2, 2, kind)
    learned.train(x, 15)
    order = learned.components.means[:, 0].argsort()
    np.testing.assert_allclose(learned.components.means[order], [[-3, 0], [3, 1]], atol=0.06)
    posteriors = truth.posteriors(x)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0)
    assert (posteriors.argmax(axis=1) == which).mean() > 0.99


def test_adaptation_moves_towards_the_data_and_no_further() -> None:
    base = GMM(2, 1, means=[[0.0], [10.0]], covars=[[1.0], [1.0]])
    adapted = base.adapted(np.full((16, 1), 2.0), relevance=16.0)
    np.testing.assert_allclose(adapted.components.means, [[1.0], [10.0]], atol=1e-6)
    np.testing.assert_allclose(base.adapted([[2.0]], relevance=0.0).components.means[0], 2.0)
    np.testing.assert_array_equal(base.components.means, [[0.0], [10.0]])


@pytest.mark.parametrize("kind", KINDS)
def test_splitting_and_bic(kind: str) -> None:
    x = clouds()
    one = GMM(1, 2, kind)
    one.train(x, 1)
    three = one.split(3)
    assert three.n_components == 3
    assert three.components.weights.sum() == pytest.approx(1.0)
    three.train(x, 30)
    assert three.bic(x) < one.bic(x)
    free = {"diag": 1 * 4, "full": 1 * 5}[kind]
    assert one.bic(x) == pytest.approx(-2 * one.score(x).sum() + free * np.log(len(x)))
    if kind == "diag":
        merged = three.merge(1)
        np.testing.assert_allclose(merged.components.means[0], x.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(merged.components.covars[0], x.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(tmp_path: Path, kind: str) -> None:
    gmm = GMM(3, 2, kind, seed=5)
    x = clouds()
    gmm.train(x, 2)
    gmm.save(tmp_path / "a.npz")
    again = GaussianMixture.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.score(x), gmm.score(x))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    for name in ("b.npz", "none.npz"):
        with pytest.raises(FormatError, match=name):
            GaussianMixture.load(tmp_path / name)


def test_bad_input_is_named_and_changes_nothing() -> None:
    gmm = GMM(2, 2)
    with pytest.raises(ModelError, match="no parameters yet"):
        gmm.score(clouds())
    x = clouds()
    gmm.train(x, 2)
    before = gmm.components
    for bad, message in (
        (np.array([[0.0, np.nan]]), "frame 0, dimension 1"),
        (np.array([[0.0, np.inf]]), "frame 0, dimension 1"),
        (np.zeros((3, 3)), "expected D = 2"),
        (np.zeros((0, 2)), "empty"),
        (np.zeros(3), "two dimensions"),
        ([["a", "b"]], "no array of numbers"),
    ):
        with pytest.raises(DataError, match=message):
            gmm.train(bad, 2)
    np.testing.assert_array_equal(gmm.components.means, before.means)
    for arguments, message in (
        ({"means": np.zeros((2, 2)), "weights": [0.5, 0.6]}, "sum to 1; got 1.1"),
        ({"means": np.zeros((2, 2)), "weights": [1.5, -0.5]}, "no probability"),
        ({"means": np.zeros((2, 2)), "covars": [[1, 1], [1, 0]]}, "component 1, dimension 1"),
        ({"means": np.zeros((1, 2))}, "means has the wrong shape"),
        ({"means": [[0, np.nan], [0, 0]]}, "not finite"),
        ({"weights": [0.5, 0.5]}, "means are missing"),
    ):
        with pytest.raises(ModelError, match=message):
            GMM(2, 2, **arguments)
    with pytest.raises(ModelError, match="component 1 is not positive definite"):
        GMM(2, 2, "full", means=np.zeros((2, 2)), covars=[np.eye(2), np.ones((2, 2)) - np.eye(2)])
    with pytest.raises(ModelError, match="not symmetric"):
        GMM(1, 2, "full", means=np.zeros((1, 2)), covars=[[[1.0, 0.5], [0.0, 1.0]]])
    with pytest.raises(UsageError):
        GMM(0, 2)
    with pytest.raises(UsageError, match="'diag' or 'full'"):
        GMM(1, 2, "tied")  # type: ignore[arg-type]
    assert not before.means.flags.writeable
