"""Feature-space maximum likelihood linear regression: one affine map of a speaker's features.

In: `TransformStats` of the speaker's frames. Out: `SpeakerTransform`: a matrix (D, D + 1) to give
to `signal.transforms.affine`, and how much of it the speech was enough for.

Public names: `SpeakerTransform`, `estimate_fmllr`, `fmllr_objective`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.transform_statistics import TransformStats

__all__ = ["SpeakerTransform", "estimate_fmllr", "fmllr_objective"]

Array = npt.NDArray[np.float64]

#: Frames that a full matrix, a diagonal one, and an offset alone need for each dimension.
_FULL, _DIAGONAL, _OFFSET = 10.0, 3.0, 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class SpeakerTransform:
    """What was estimated for a speaker.

    Attributes
    ----------
    matrix : ndarray of float64, shape (D, D + 1)
        The last column is the offset.
    kind : {"full", "diagonal", "offset", "identity"}
        What the speech was enough for.
    n_frames : float
    gain : float
        Log-likelihood a frame that it gains over the identity, in nats.
    """

    matrix: Array
    kind: str
    n_frames: float
    gain: float

    @property
    def note(self) -> str | None:
        """What a person should know; None for a full transform."""
        if self.kind == "full":
            return None
        what = {"diagonal": "a diagonal transform", "offset": "an offset",
                "identity": "no adaptation"}[self.kind]  # fmt: skip
        return f"{self.n_frames:.0f} frames of speech are enough for {what} only"


def fmllr_objective(matrix: Array, stats: TransformStats) -> float:
    """Return count log|det A| + sum_d (w_d k_d - 1/2 w_d G_d w_d'), Gales (1998) equation 23.

    It is the log-likelihood of the transformed frames, but for a constant.
    """
    sign, logdet = np.linalg.slogdet(matrix[:, :-1])
    if sign == 0:
        return -np.inf
    quadratic = np.einsum("di,dij,dj->", matrix, stats.quadratic, matrix)
    return float(stats.count * logdet + (matrix * stats.linear).sum() - 0.5 * quadratic)


def estimate_fmllr(
    stats: TransformStats, *, n_iterations: int = 40, kind: str | None = None
) -> SpeakerTransform:
    """Return the transform of highest likelihood that the frames are enough for.

    Parameters
    ----------
    stats : TransformStats
    n_iterations : int
        Sweeps over the rows of a full matrix, at most.
    kind : {"full", "diagonal", "offset", "identity"}, optional
        Estimate this kind whatever the number of frames.

    Notes
    -----
    Gales (1998), section 4: row by row, w_d = (alpha p_d + k_d) G_d^-1 with the extended
    cofactors p_d and the better root alpha of a quadratic equation. Each row's update is the
    exact maximum over that row, so no sweep loses likelihood.
    """
    n_dims = len(stats.linear)
    identity = np.eye(n_dims, n_dims + 1)
    if kind is None:
        share = stats.count / n_dims
        kind = ("full" if share >= _FULL else "diagonal" if share >= _DIAGONAL
                else "offset" if share >= _OFFSET else "identity")  # fmt: skip
    try:
        matrix = _KINDS[kind](stats, identity.copy(), n_iterations)
        gain = fmllr_objective(matrix, stats) - fmllr_objective(identity, stats)
    except np.linalg.LinAlgError:
        matrix, gain = identity, -np.inf
    if not np.isfinite(matrix).all() or not gain >= 0:
        matrix, kind, gain = identity, "identity", 0.0
    return SpeakerTransform(matrix, kind, stats.count, gain / max(stats.count, 1.0))


def _full(stats: TransformStats, matrix: Array, n_iterations: int) -> Array:
    n_dims = len(matrix)
    inverses = np.linalg.inv(stats.quadratic)
    before = fmllr_objective(matrix, stats)
    for _ in range(n_iterations):
        for d in range(n_dims):
            cofactors = np.append(np.linalg.inv(matrix[:, :-1])[:, d], 0.0)
            matrix[d] = _row(cofactors, inverses[d], stats.linear[d], stats.count)
        after = fmllr_objective(matrix, stats)
        if after - before < 1e-8 * stats.count:
            break
        before = after
    return matrix


def _row(cofactors: Array, inverse: Array, linear: Array, count: float) -> Array:
    """Return the best row: count log|c w| + w k - 1/2 w G w' has two stationary points."""
    a = float(cofactors @ inverse @ cofactors)
    b = float(cofactors @ inverse @ linear)
    root = np.sqrt(b * b + 4.0 * a * count)
    best, best_value = linear, -np.inf
    for alpha in ((-b + root) / (2.0 * a), (-b - root) / (2.0 * a)):
        # With w = (alpha c + k) G^-1: w k - 1/2 w G w' = 1/2 k G^-1 k' - 1/2 alpha^2 a
        value = count * np.log(max(abs(alpha * a + b), 1e-300)) - 0.5 * alpha * alpha * a
        if value > best_value:
            best_value, best = value, (alpha * cofactors + linear) @ inverse
    return np.asarray(best)


def _diagonal(stats: TransformStats, matrix: Array, _n: int) -> Array:
    n_dims = len(matrix)
    for d in range(n_dims):
        own = np.array([d, n_dims])
        inverse = np.linalg.inv(stats.quadratic[d][np.ix_(own, own)])
        matrix[d, own] = _row(np.array([1.0, 0.0]), inverse, stats.linear[d, own], stats.count)
    return matrix


def _offset(stats: TransformStats, matrix: Array, _n: int) -> Array:
    n_dims = len(matrix)
    here = np.arange(n_dims)
    slack = stats.linear[:, -1] - stats.quadratic[here, -1, here]
    matrix[:, -1] = slack / stats.quadratic[:, -1, -1]
    return matrix


def _identity(stats: TransformStats, matrix: Array, _n: int) -> Array:
    return matrix


_KINDS: dict[str, Callable[[TransformStats, Array, int], Array]] = {
    "full": _full, "diagonal": _diagonal, "offset": _offset, "identity": _identity,
}  # fmt: skip
