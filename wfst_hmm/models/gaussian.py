"""Gaussian log densities of many components at once, and sums of them within segments.

In: frames x (N, D) and the parameters of G Gaussians. Out: weighted log densities (G, N), one
row a component, so that every loop over frames runs along memory; log-sum-exps of runs of rows.

Diagonal covariances cost one matrix product with the frames and their squares side by side:

    log w_g N(x; m_g, v_g) = c_g + sum_d x_d m_gd / v_gd - sum_d x_d^2 / (2 v_gd).

Full covariances are whitened by their Cholesky factors L: ``(x-m)' C^-1 (x-m) = |L^-1 (x-m)|^2``.
Frames are centred first, which keeps the differences of large numbers small.

Public names: `NEVER`, `DiagonalGaussians`, `FullGaussians`, `Gaussians`, `cholesky`,
`chunk_frames`, `fast_exp`, `log_sum_exp_segments`, `posteriors_in_place`, `soft_max`.
"""

from __future__ import annotations

from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import overload

from wfst_hmm.errors import ModelError

__all__ = [
    "NEVER",
    "DiagonalGaussians",
    "FullGaussians",
    "Gaussians",
    "cholesky",
    "chunk_frames",
    "fast_exp",
    "log_sum_exp_segments",
    "posteriors_in_place",
    "soft_max",
]

#: The logarithm of zero inside matrix products: -inf times a padding zero would be NaN.
NEVER = -1e30
_CHUNK_NUMBERS = 1 << 17  # of the (G, n) block: it stays in the second-level cache
_LOG_2_PI = float(np.log(2.0 * np.pi))


def chunk_frames(n_components: int) -> int:
    """Return how many frames to score at a time so that memory stays flat in T."""
    return min(max(_CHUNK_NUMBERS // max(n_components, 1), 64), 1024)


class Gaussians(Protocol):
    """What mixtures need of their components: `DiagonalGaussians` and `FullGaussians`."""

    dtype: Any
    shift: npt.NDArray[Any]

    def __len__(self) -> int: ...

    def expand(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return frames (n, D) in the form that `score` and the moments take."""
        ...

    def score(self, expanded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return weighted log densities, shape (G, n)."""
        ...


class DiagonalGaussians:
    """G weighted Gaussians with diagonal covariances, prepared for scoring.

    Parameters
    ----------
    log_weights : ndarray, shape (G,)
        -inf is allowed: the component never wins.
    means, variances : ndarray, shape (G, D)
    dtype : float32 or float64
        Of the products; the preparation is done in float64.
    shift : ndarray, shape (D,), optional
        The point that frames are centred on; default: the mean of the means.
    """

    def __init__(
        self,
        log_weights: npt.NDArray[np.float64],
        means: npt.NDArray[np.float64],
        variances: npt.NDArray[np.float64],
        *,
        dtype: type[np.float32] | type[np.float64] = np.float64,
        shift: npt.NDArray[np.float64] | None = None,
    ) -> None:
        n_components, n_dims = means.shape
        self.dtype = dtype
        self.shift = means.mean(axis=0).astype(dtype) if shift is None else shift.astype(dtype)
        centred = means - self.shift.astype(np.float64)
        precisions = 1.0 / variances
        constant = log_weights - 0.5 * (
            n_dims * _LOG_2_PI
            + np.log(variances).sum(axis=1)
            + (centred**2 * precisions).sum(axis=1)
        )
        # Columns: frames, their squares, and a one that carries the constant.
        self._rows = np.empty((n_components, 2 * n_dims + 1), dtype=dtype)
        self._rows[:, :n_dims] = centred * precisions
        self._rows[:, n_dims:-1] = -0.5 * precisions
        self._rows[:, -1] = np.maximum(constant, NEVER)

    def __len__(self) -> int:
        return len(self._rows)

    def subset(self, components: npt.NDArray[np.intp]) -> DiagonalGaussians:
        """Return the components of these indices, without preparing them again."""
        chosen = object.__new__(DiagonalGaussians)
        chosen.dtype, chosen.shift = self.dtype, self.shift
        chosen._rows = self._rows[components]
        return chosen

    def score(self, expanded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return log(w_g N(x_t; m_g, v_g)), shape (G, n); `NEVER` or less where w_g is 0."""
        scores: npt.NDArray[Any] = np.matmul(self._rows, expanded.T)
        return scores

    def expand(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return centred frames, their squares and a column of ones, shape (n, 2 D + 1)."""
        expanded = np.empty((len(x), 2 * x.shape[1] + 1), dtype=self.dtype)
        _expand(x, self.shift, expanded)
        return expanded


class FullGaussians:
    """G weighted Gaussians with full covariances, prepared for scoring.

    Parameters
    ----------
    log_weights : ndarray, shape (G,)
    means : ndarray, shape (G, D)
    covariances : ndarray, shape (G, D, D)
    shift : ndarray, shape (D,), optional
        The point that frames are centred on; default: the mean of the means.

    Raises
    ------
    ModelError
        A covariance is not positive definite; its component is named.
    """

    dtype = np.float64

    def __init__(
        self,
        log_weights: npt.NDArray[np.float64],
        means: npt.NDArray[np.float64],
        covariances: npt.NDArray[np.float64],
        *,
        shift: npt.NDArray[np.float64] | None = None,
    ) -> None:
        n_dims = means.shape[1]
        self.shift = means.mean(axis=0) if shift is None else shift
        factors = cholesky(covariances)
        self._whiten = np.linalg.inv(factors)
        self._centre = np.einsum("gij,gj->gi", self._whiten, means - self.shift)
        log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        self._constant = np.maximum(log_weights - 0.5 * n_dims * _LOG_2_PI - log_det, NEVER)

    def __len__(self) -> int:
        return len(self._constant)

    def expand(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return centred frames, shape (n, D)."""
        return np.asarray(x - self.shift)

    def score(self, expanded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return log(w_g N(x_t; m_g, C_g)), shape (G, n)."""
        columns = np.ascontiguousarray(expanded.T)
        scores = np.empty((len(self), len(expanded)))
        for g in range(len(self)):
            white = self._whiten[g] @ columns
            white -= self._centre[g][:, None]
            np.einsum("dn,dn->n", white, white, out=scores[g])
        scores *= -0.5
        scores += self._constant[:, None]
        return scores


def cholesky(covariances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return lower Cholesky factors (G, D, D); a `ModelError` names the component that has none."""
    try:
        return np.asarray(np.linalg.cholesky(covariances))
    except np.linalg.LinAlgError:
        for index, covariance in enumerate(covariances):
            try:
                np.linalg.cholesky(covariance)
            except np.linalg.LinAlgError:
                lowest = float(np.linalg.eigvalsh(covariance)[0])
                raise ModelError(f"covariance of component {index} is not positive definite",
                                 got=f"smallest eigenvalue {lowest:g}", expected="> 0",
                                 fix="Add a small multiple of the identity.") from None  # fmt: skip
        raise


def _exp(x: Any) -> Any:
    """exp(x) for x <= 0 in a form that compilers vectorize: 2^n times a Taylor polynomial.

    Relative error below 3e-16 in float64 and 1e-7 in float32; exp(-708) and exp(-87) stand for
    everything smaller. Compiled code calls it; `fast_exp` is the door for Python. (Numba wants
    the four signatures alike, annotations included.)
    """
    raise NotImplementedError


def _exp64(x: Any) -> Any:
    x = max(x, -708.0)
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 0.693145751953125) - n * 1.4286068203094173e-06  # ln 2 in two parts
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64((np.int64(n) + 1023) << 52)  # the exponent field of a float64
    return p * bits.view(np.float64)


def _exp32(x: Any) -> Any:
    x = max(x, np.float32(-87.0))
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.0 / 5040.0)
    p = p * r + np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * bits.view(np.float32)


@overload(_exp, inline="always")
def _typed_exp(x: Any) -> Any:
    return _exp32 if x == numba.types.float32 else _exp64


@numba.njit(cache=True, nogil=True)
def fast_exp(x, out):  # type: ignore[no-untyped-def]
    """Write exp(x) for x <= 0 into `out`, both one-dimensional, float32 or float64."""
    for i in range(len(x)):
        out[i] = _exp(x[i])


@numba.njit(cache=True, nogil=True)
def _expand(x, shift, out):  # type: ignore[no-untyped-def]
    n_dims = x.shape[1]
    for t in range(len(x)):
        frame, row = x[t], out[t]
        for d in range(n_dims):
            centred = frame[d] - shift[d]
            row[d] = centred
            row[n_dims + d] = centred * centred
        row[2 * n_dims] = 1.0


@numba.njit(cache=True, nogil=True)
def soft_max(joint, totals):  # type: ignore[no-untyped-def]
    """Turn columns of log densities (G, n) into posteriors; write their log-sum-exps (n,)."""
    n = joint.shape[1]
    norm = np.zeros(n, joint.dtype)
    totals[:] = joint[0]
    for g in range(1, len(joint)):
        row = joint[g]
        for t in range(n):
            totals[t] = max(totals[t], row[t])
    for g in range(len(joint)):
        row = joint[g]
        for t in range(n):
            row[t] = _exp(row[t] - totals[t])
            norm[t] += row[t]
    for t in range(n):
        totals[t] += np.log(norm[t])
        norm[t] = 1.0 / norm[t]
    for g in range(len(joint)):
        row = joint[g]
        for t in range(n):
            row[t] *= norm[t]


@numba.njit(cache=True, nogil=True)
def log_sum_exp_segments(joint, offsets, out):  # type: ignore[no-untyped-def]
    """Write the log-sum-exp over rows ``offsets[s]`` to ``offsets[s + 1]`` into ``out[s]``.

    Parameters
    ----------
    joint : ndarray, shape (G, n)
    offsets : ndarray of int64, shape (S + 1,)
    out : ndarray, shape (S, n)
        -inf where every row of the segment is `NEVER` or less.
    """
    n = joint.shape[1]
    total = np.empty(n, joint.dtype)
    for s in range(len(offsets) - 1):
        first, last = offsets[s], offsets[s + 1]
        best = out[s]
        for t in range(n):
            best[t] = joint[first, t]
        for g in range(first + 1, last):
            row = joint[g]
            for t in range(n):
                best[t] = max(best[t], row[t])
        if last > first + 1:
            total[:] = 0
            for g in range(first, last):
                row = joint[g]
                for t in range(n):
                    total[t] += _exp(row[t] - best[t])
            for t in range(n):
                best[t] += np.log(total[t])
        for t in range(n):
            if best[t] < 0.5 * NEVER:
                best[t] = -np.inf


@numba.njit(cache=True, nogil=True)
def posteriors_in_place(joint, offsets, totals, state_posteriors):  # type: ignore[no-untyped-def]
    """Turn log densities into posteriors of components: P(state) * P(component | state).

    Parameters
    ----------
    joint : ndarray, shape (G, n)
        Overwritten.
    offsets : ndarray of int64, shape (S + 1,)
    totals : ndarray, shape (S, n)
        As `log_sum_exp_segments` gave them.
    state_posteriors : ndarray, shape (S, n)
    """
    n = joint.shape[1]
    for s in range(len(offsets) - 1):
        total, weight = totals[s], state_posteriors[s]
        for g in range(offsets[s], offsets[s + 1]):
            row = joint[g]
            for t in range(n):
                # -inf - -inf is NaN: a state that cannot be keeps no posterior.
                row[t] = weight[t] * _exp(min(row[t] - total[t], 0.0)) if weight[t] > 0 else 0.0
