"""K-means, the start of every mixture: k-means++ seeds, then Lloyd's iterations.

In: frames (N, D). Out: the cluster of each frame, and the Gaussians of clusters.

Public names: `bank_of_clusters`, `kmeans`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.bank import Bank
from wfst_hmm.models.moments import floored_covariances

__all__ = ["bank_of_clusters", "kmeans"]

Array = npt.NDArray[np.float64]


def kmeans(
    data: Array, n_clusters: int, rng: np.random.Generator, *, n_iterations: int = 10
) -> npt.NDArray[np.intp]:
    """Return the cluster of each frame, shape (N,), in 0 ... n_clusters - 1.

    Dimensions are scaled to unit variance. A cluster that runs empty takes the frame farthest
    from its centre; with fewer distinct frames than clusters some stay empty.

    Notes
    -----
    Arthur & Vassilvitskii (2007), k-means++; Lloyd (1982).
    """
    deviation = data.std(axis=0)
    scaled = (data - data.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    centres = _seeds(scaled, n_clusters, rng)
    labels = np.full(len(data), -1)
    for _ in range(n_iterations):
        distances = _distances(scaled, centres)
        fresh = distances.argmin(axis=1)
        if np.array_equal(fresh, labels):
            break
        labels = fresh
        counts = np.bincount(labels, minlength=n_clusters)
        best = distances[np.arange(len(data)), labels]
        for empty in np.flatnonzero(counts == 0):
            far = int(best.argmax())
            if best[far] <= 1e-12:
                break
            counts[labels[far]] -= 1
            labels[far], best[far] = empty, 0.0
            counts[empty] = 1
        order = np.argsort(labels, kind="stable")
        present = np.unique(labels)
        firsts = np.searchsorted(labels[order], present)
        centres[present] = np.add.reduceat(scaled[order], firsts, axis=0)
        centres[present] /= np.bincount(labels, minlength=n_clusters)[present, None]
    return labels


def _seeds(scaled: Array, n_clusters: int, rng: np.random.Generator) -> Array:
    centres = np.empty((n_clusters, scaled.shape[1]))
    centres[0] = scaled[rng.integers(len(scaled))]
    nearest = np.full(len(scaled), np.inf)
    for k in range(1, n_clusters):
        nearest = np.minimum(nearest, ((scaled - centres[k - 1]) ** 2).sum(axis=1))
        total = nearest.sum()
        if total > 0:
            centres[k] = scaled[rng.choice(len(scaled), p=nearest / total)]
        else:
            centres[k] = scaled[rng.integers(len(scaled))]
    return centres


def _distances(scaled: Array, centres: Array) -> Array:
    distances = (centres**2).sum(axis=1) - 2.0 * (scaled @ centres.T)
    distances += (scaled**2).sum(axis=1)[:, None]
    return np.asarray(np.maximum(distances, 0.0))


def bank_of_clusters(
    data: Array, labels: npt.NDArray[np.intp], n_clusters: int, floor: Array, *, full: bool
) -> Bank:
    """Return one mixture with a Gaussian for each cluster, covariances not below `floor` (D,).

    A cluster without frames takes the mean of all; one of no more frames than dimensions takes
    the covariance of all.
    """
    counts = np.bincount(labels, minlength=n_clusters).astype(np.float64)
    common = np.cov(data.T, bias=True).reshape(data.shape[1], -1)
    everything = common if full else np.diagonal(common)
    means = np.tile(data.mean(axis=0), (n_clusters, 1))
    covars = np.tile(everything, (n_clusters, *(1,) * everything.ndim))
    for k in np.flatnonzero(counts):
        own = data[labels == k]
        means[k] = own.mean(axis=0)
        if len(own) > data.shape[1]:
            spread = own - means[k]
            covars[k] = spread.T @ spread / len(own) if full else (spread**2).mean(axis=0)
    weights = np.maximum(counts, 0.5)  # an empty cluster may still win frames
    covars, _ = floored_covariances(covars, floor)
    return Bank((weights / weights.sum())[None], means[None], covars[None])
