import numpy as np
import pytest

from wfst_hmm.errors import DataError
from wfst_hmm.signal.transforms import affine, splice


@pytest.mark.parametrize(("left", "right"), [(0, 0), (2, 0), (1, 3), (9, 9)])
def test_spliced_frames(left, right):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = splice(x, left, right)
    for t in range(4):
        parts = [x[min(max(t + o, 0), 3)] for o in range(-left, right + 1)]
        np.testing.assert_array_equal(found[t], np.concatenate(parts))


def test_linear_and_affine_maps():
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(5, 3)), rng.normal(size=(2, 4))
    np.testing.assert_allclose(affine(x, a[:, :3]), x @ a[:, :3].T, rtol=1e-4, atol=1e-6)
    extended = np.column_stack([x, np.ones(5)])
    np.testing.assert_allclose(affine(x, a), extended @ a.T, rtol=1e-4, atol=1e-6)


def test_what_does_not_fit():
    with pytest.raises(DataError, match="does not fit"):
        affine(np.ones((2, 3)), np.ones((2, 5)))
    with pytest.raises(DataError, match="no features"):
        splice(np.ones((0, 3)), 1, 1)
    with pytest.raises(DataError, match="negative"):
        splice(np.ones((1, 3)), -1, 1)
