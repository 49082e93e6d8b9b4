"""The two loops of tied mixtures that are no matrix products.

In: blocks of log densities of one codebook, products with the weights of its states. Out: the
densities relative to each frame's best, log-likelihoods of states.

Public names: `combine`, `relative_densities`, `top_densities`.
"""

from __future__ import annotations

import numba
import numpy as np

from wfst_hmm.models.gaussian import _exp

__all__ = ["combine", "relative_densities", "top_densities"]


@numba.njit(cache=True, nogil=True)
def _add_logs(x, to):  # type: ignore[no-untyped-def]
    """Add log(x) of positive float32 to `to`, in a form that compilers vectorize.

    The mantissa is moved to [sqrt(1/2), sqrt(2)), where log(m) is twice the inverse hyperbolic
    tangent of (m - 1) / (m + 1), summed to the ninth power: relative error below 2e-7. What is
    below the smallest normal number counts as that.
    """
    for j in range(len(x)):
        least = max(x[j], np.float32(1.1754944e-38))
        bits = np.float32(least).view(np.int32)
        exponent = np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23)
        mantissa = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
        ratio = (mantissa - np.float32(1.0)) / (mantissa + np.float32(1.0))
        square = ratio * ratio
        series = square * np.float32(2.0 / 9.0) + np.float32(2.0 / 7.0)
        series = series * square + np.float32(2.0 / 5.0)
        series = series * square + np.float32(2.0 / 3.0)
        series = series * square + np.float32(2.0)
        to[j] += np.float32(exponent) * np.float32(0.6931471805599453) + ratio * series


@numba.njit(cache=True, nogil=True)
def relative_densities(g, best):  # type: ignore[no-untyped-def]
    """Turn log densities (N, n) into densities over the best of each column; add it to `best`."""
    n = g.shape[1]
    most = np.empty(n, np.float32)
    most[:] = g[0]
    for k in range(1, len(g)):
        row = g[k]
        for t in range(n):
            most[t] = max(most[t], row[t])
    for k in range(len(g)):
        row = g[k]
        for t in range(n):
            row[t] = _exp(row[t] - most[t])
    for t in range(n):
        best[t] += most[t]


@numba.njit(cache=True, nogil=True)
def top_densities(g, keep):  # type: ignore[no-untyped-def]
    """Zero all but the `keep` largest numbers of each column (N, n); equals of the least stay."""
    n_densities, n = g.shape
    largest = np.empty(keep, np.float32)
    for t in range(n):
        for k in range(keep):
            largest[k] = -1.0
        for k in range(n_densities):
            value = g[k, t]
            if value > largest[keep - 1]:
                at = keep - 1
                while at > 0 and largest[at - 1] < value:
                    largest[at] = largest[at - 1]
                    at -= 1
                largest[at] = value
        for k in range(n_densities):
            if g[k, t] < largest[keep - 1]:
                g[k, t] = 0.0


@numba.njit(cache=True, nogil=True)
def combine(parts, best, in_logs, columns, out):  # type: ignore[no-untyped-def]
    """Write best + log of the product over streams of `parts` (F, n, S') to columns of `out`.

    Parameters
    ----------
    parts : ndarray of float32, shape (F, n, S')
        Likelihoods by stream, relative to `best`; overwritten.
    best : ndarray of float32, shape (n,)
    in_logs : bool
        Whether products may be too small for float32: then logarithms are added up.
    columns : ndarray of int64, shape (S',)
    out : ndarray of float32, shape (n, S)
    """
    n_streams, n, n_states = parts.shape
    row = np.empty(n_states, np.float32)
    for t in range(n):
        row[:] = best[t]
        if in_logs:
            for f in range(n_streams):
                _add_logs(parts[f, t], row)
                for j in range(n_states):
                    if parts[f, t, j] == 0.0:
                        row[j] = -np.inf
        else:
            product = parts[0, t]
            for f in range(1, n_streams):
                part = parts[f, t]
                for j in range(n_states):
                    product[j] *= part[j]
            _add_logs(product, row)
        to = out[t]
        for j in range(n_states):
            to[columns[j]] = row[j]
