"""Features from their neighbours, and linear maps of features.

In: features (T, D) and a matrix, such as LDA+MLLT (``final.mat``) or a speaker's fMLLR. Out:
features (T, m).

Public names: `affine`, `splice`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError

__all__ = ["affine", "splice"]


def splice(features: npt.NDArray[np.floating], left: int, right: int) -> npt.NDArray[np.float32]:
    """Put each frame side by side with its neighbours.

    Parameters
    ----------
    features : ndarray, shape (T, D)
    left, right : int
        Frames before and behind, 0 or more; at the edges the first and last are repeated.

    Returns
    -------
    ndarray of float32, shape (T, (left + 1 + right) D)

    Examples
    --------
    >>> import numpy as np
    >>> splice(np.array([[1.0], [2.0], [3.0]]), 1, 1)
    array([[1., 1., 2.],
           [1., 2., 3.],
           [2., 3., 3.]], dtype=float32)
    """
    x = np.asarray(features, dtype=np.float32)
    if x.ndim != 2 or not len(x):
        raise DataError("no features", got=f"shape {x.shape}", expected="(T, D)")
    if min(left, right) < 0:
        raise DataError("negative context", got=(left, right), expected="0 or more frames")
    frames = np.arange(len(x))[:, None] + np.arange(-left, right + 1)
    return np.asarray(x[np.clip(frames, 0, len(x) - 1)].reshape(len(x), -1), dtype=np.float32)


def affine(
    features: npt.NDArray[np.floating], matrix: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Map every frame by a matrix, or by a matrix and an offset.

    Parameters
    ----------
    features : ndarray, shape (T, D)
    matrix : ndarray, shape (m, D) or (m, D + 1)
        In the second case the last column is added, as Kaldi stores fMLLR.

    Returns
    -------
    ndarray of float32, shape (T, m)
    """
    x, a = np.asarray(features, dtype=np.float32), np.asarray(matrix, dtype=np.float32)
    if x.ndim != 2 or a.ndim != 2 or a.shape[1] - x.shape[1] not in (0, 1):
        raise DataError("the transform does not fit the features",
                        got=f"a matrix {a.shape} for features {x.shape}",
                        expected=f"{x.shape[-1]} or {x.shape[-1] + 1} columns")  # fmt: skip
    n_dims = x.shape[1]
    mapped: npt.NDArray[np.float32] = x @ a[:, :n_dims].T
    return mapped if a.shape[1] == n_dims else mapped + a[:, n_dims]
