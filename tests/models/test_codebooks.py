"""Tied mixtures against the sum that defines them."""

import numpy as np
import pytest
from codebook_strategies import codebook_sets
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.threads import single_blas


def twin(model, x, top_n=None):
    """One frame, one state, one stream at a time."""
    scores = np.zeros((len(x), model.n_states))
    for t, frame in enumerate(x):
        for state, book in enumerate(model.codebook):
            for f, dims in enumerate(model.streams):
                mean, variance = model.means[f][book], model.variances[f][book]
                logs = -0.5 * ((frame[dims] - mean) ** 2 / variance + np.log(2 * np.pi * variance))
                densities = logs.sum(axis=1)
                if top_n is not None:
                    densities[np.argsort(densities)[:-top_n]] = -np.inf
                with np.errstate(divide="ignore"):
                    terms = np.log(model.weights[f, state].astype(np.float64)) + densities
                scores[t, state] += np.logaddexp.reduce(terms)
    return scores


@settings(deadline=None, max_examples=60)
@given(codebook_sets(), st.integers(0, 300), st.data())
def test_scores_are_the_sum_that_defines_them(model, n_frames, data):
    x = np.random.default_rng(n_frames).normal(size=(n_frames, model.n_dims)) * 2
    x = x.astype(np.float32)
    shown = np.unique(np.r_[0 : min(3, n_frames), max(0, n_frames - 3) : n_frames])
    scores = model.log_likelihoods(x)
    np.testing.assert_allclose(scores[shown], twin(model, x[shown]), rtol=1e-4, atol=1e-3)
    top_n = data.draw(st.integers(1, model.n_densities))
    kept = model.log_likelihoods(x, top_n=top_n)
    np.testing.assert_allclose(kept[shown], twin(model, x[shown], top_n), rtol=1e-4, atol=1e-3)
    states = data.draw(st.lists(st.integers(0, model.n_states - 1), max_size=5))
    some = model.log_likelihoods(x, states)
    np.testing.assert_allclose(some, scores[:, states], rtol=1e-5, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(codebook_sets())
def test_arrays_there_and_back(model):
    found = CodebookSet.from_arrays(model.to_arrays())
    x = np.zeros((2, model.n_dims))
    np.testing.assert_array_equal(found.log_likelihoods(x), model.log_likelihoods(x))


def test_bad_input():
    model = CodebookSet((np.arange(2),), (np.zeros((1, 2, 2)),), (np.ones((1, 2, 2)),),
                        np.full((1, 3, 2), 0.5, np.float32), np.zeros(3, np.int32))  # fmt: skip
    with pytest.raises(DataError, match="too few dimensions"):
        model.log_likelihoods(np.zeros((2, 1)))
    with pytest.raises(ModelError, match=r"no such state: states\[0\]; got 3, expected 0 to 2"):
        model.log_likelihoods(np.zeros((2, 2)), [3])
    with pytest.raises(ModelError, match="top_n"):
        model.log_likelihoods(np.zeros((2, 2)), top_n=0)


def test_limits_of_threads_come_back_behind_the_last_one():
    def limits():
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = limits()
    with single_blas():
        with single_blas():
            assert set(limits()) == {1}
        assert set(limits()) == {1}
    assert limits() == before
