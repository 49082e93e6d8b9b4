"""Normalization against the mean and variance of the frames themselves."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError
from wfst_hmm.signal.cmvn import CmvnStats


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    n_dims=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_merged_sums_are_those_of_all_frames(lengths: list[int], n_dims: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(3.0, 2.0, (n, n_dims)).astype(np.float32) for n in lengths]
    everything = np.concatenate(parts).astype(np.float64)
    stats = CmvnStats.merge(CmvnStats.of(part) for part in parts)
    np.testing.assert_allclose(stats.mean, everything.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(stats.variance, everything.var(axis=0), rtol=1e-6, atol=1e-9)
    scaled = stats.apply(everything, variance=True)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-4)
    if len(everything) > 5:
        np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-3)
    np.testing.assert_allclose(
        stats.apply(everything), everything - everything.mean(axis=0), atol=1e-5
    )


def test_against_kaldi_native_fbank() -> None:
    x = np.random.default_rng(0).normal(2.0, 3.0, (50, 7)).astype(np.float32)
    theirs = knf.compute_cmvn_stats(x)
    ours = CmvnStats.of(x)
    np.testing.assert_allclose(ours.sum, theirs[0, :-1], rtol=1e-6)
    np.testing.assert_allclose(ours.sumsq, theirs[1, :-1], rtol=1e-6)
    assert ours.count == theirs[0, -1]


def test_constant_dimension_is_not_divided_by_zero() -> None:
    x = np.full((5, 2), 7.0)
    np.testing.assert_array_equal(CmvnStats.of(x).apply(x, variance=True), np.zeros((5, 2)))


def test_errors() -> None:
    two, three = CmvnStats.of(np.zeros((4, 2))), CmvnStats.of(np.zeros((4, 3)))
    with pytest.raises(DataError, match="different dimension"):
        two.add(three)
    with pytest.raises(DataError, match="do not fit"):
        two.apply(np.zeros((4, 3)))
    with pytest.raises(DataError, match="no frames"):
        CmvnStats.of(np.zeros((0, 2))).apply(np.zeros((4, 2)))
    with pytest.raises(DataError, match="no statistics"):
        CmvnStats.merge([])
    with pytest.raises(DataError, match="T x D"):
        CmvnStats.of(np.zeros(4))
