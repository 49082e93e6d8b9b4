"""The same parameters and data under hmmlearn and scikit-learn: the same numbers."""

import logging
import warnings

import numpy as np
import pytest

from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm

TIGHT = {"rtol": 1e-6, "atol": 1e-9}


def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.concatenate([rng.normal(c, 1, (rng.integers(3, 9), 4)) for c in (-2, 0, 3)])
        for _ in range(20)
    ]


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_scikit_learn_mixture(kind: str) -> None:
    mixture = pytest.importorskip("sklearn.mixture", reason="scikit-learn is not installed")
    x = np.concatenate(sequences())
    rng = np.random.default_rng(1)
    means, weights = rng.normal(size=(3, 4)), np.array([0.2, 0.3, 0.5])
    covars = np.tile(np.eye(4) * 2, (3, 1, 1)) if kind == "full" else np.full((3, 4), 2.0)
    ours = GaussianMixture(3, 4, kind, means=means, covars=covars, weights=weights, floor=1e-9)
    precisions = np.linalg.inv(covars) if kind == "full" else 1 / covars
    peer = mixture.GaussianMixture(
        3, covariance_type=kind, means_init=means, weights_init=weights, reg_covar=0,
        precisions_init=precisions, max_iter=1, tol=0, init_params="random",
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(x)
    ours.train(x, 1)
    np.testing.assert_allclose(ours.components.means, peer.means_, **TIGHT)
    np.testing.assert_allclose(ours.components.covars, peer.covariances_, **TIGHT)
    np.testing.assert_allclose(ours.components.weights, peer.weights_, **TIGHT)
    np.testing.assert_allclose(ours.score(x), peer.score_samples(x), **TIGHT)
    np.testing.assert_allclose(ours.posteriors(x), peer.predict_proba(x), **TIGHT)
    assert ours.bic(x) == pytest.approx(peer.bic(x))


@pytest.mark.parametrize("kind", ["diag", "full"])
@pytest.mark.parametrize("n_mixtures", [1, 2])
def test_hmmlearn(kind: str, n_mixtures: int) -> None:
    hmmlearn = pytest.importorskip("hmmlearn.hmm", reason="hmmlearn is not installed")
    logging.getLogger("hmmlearn").setLevel(logging.CRITICAL)
    data = sequences()
    x, lengths = np.concatenate(data), [len(s) for s in data]
    start = GmmHmm(3, n_mixtures, kind, chain=Chain.left_to_right(3), floor=1e-9)
    start.fit(data, 0)
    common = {
        "covariance_type": kind,
        "n_iter": 1,
        "tol": -np.inf,
        "init_params": "",
        "min_covar": 0,
    }
    if n_mixtures == 1:
        ours: GmmHmm = GaussianHmm(3, kind, floor=1e-9, means=start.means[:, 0],
                                   covars=start.covars[:, 0])  # fmt: skip
        peer = hmmlearn.GaussianHMM(3, covars_prior=0, covars_weight=0 if kind == "diag" else 4,
                                    **common)  # fmt: skip
        peer.means_, peer.covars_ = start.means[:, 0].copy(), start.covars[:, 0].copy()
    else:
        ours = start
        peer = hmmlearn.GMMHMM(3, n_mixtures, **common)
        peer.weights_, peer.means_ = start.weights.copy(), start.means.copy()
        peer.covars_ = start.covars.copy()
    peer.startprob_ = ours.chain.initial.copy()
    peer.transmat_ = ours.chain.transitions.copy()
    score, gamma = ours.score_samples(data[0])
    peer_score, peer_gamma = peer.score_samples(data[0])
    assert score == pytest.approx(peer_score, rel=1e-6)
    np.testing.assert_allclose(gamma, peer_gamma, **TIGHT)
    assert ours.decode(data[0]).log_probability == pytest.approx(peer.decode(data[0])[0], rel=1e-6)
    old_means = np.array(ours.means)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(x, lengths)
    report = ours.fit(data, 1)
    assert report.log_likelihoods[0] == pytest.approx(peer.monitor_.history[0], rel=1e-6)
    np.testing.assert_allclose(ours.chain.transitions, peer.transmat_, **TIGHT)
    np.testing.assert_allclose(ours.means, peer.means_, **TIGHT)
    covars = np.array(ours.covars)
    if n_mixtures > 1:
        np.testing.assert_allclose(ours.weights, peer.weights_, **TIGHT)
        # hmmlearn takes these covariances about the means of before the iteration.
        moved = ours.means - old_means
        covars += moved[..., :, None] * moved[..., None, :] if kind == "full" else moved**2
    np.testing.assert_allclose(covars, peer.covars_ if kind == "full" or n_mixtures > 1 else
                               np.array([np.diag(c) for c in peer.covars_]), **TIGHT)  # fmt: skip
