"""`GaussianMixture` beside scikit-learn's, and beside the two matrix products alone.

In: features. Out: rows: training and scoring speed, and how far the numbers are apart.

Public names: `bench_gmm`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.bench.material import find_material, need
from wfst_hmm.bench.report import Row, best_seconds
from wfst_hmm.models.gmm import GaussianMixture

__all__ = ["bench_gmm"]

Array = npt.NDArray[np.float64]

_TINY_FLOOR = 1e-9  # no floor on either side, so that both do the same arithmetic


def bench_gmm(
    folder: str | Path | None = None,
    *,
    sizes: tuple[int, ...] = (32, 256),
    n_iterations: int = 10,
    threads: tuple[int, ...] = (1, 2),
    repeat: int = 3,
    max_frames: int | None = None,
) -> list[Row]:
    """Measure diagonal mixtures: same data, same start, same number of iterations.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset.
    sizes : tuple of int
        Numbers of components.
    n_iterations : int
        For 32 components; larger mixtures take as much less, but three at least.
    threads : tuple of int
        Ours: threads of `train` and `score`, with matrix products of one thread each; the
        peer's: threads of its matrix products.
    repeat : int
        The best of so many turns counts.
    max_frames : int, optional
        Use no more frames.

    Notes
    -----
    Speeds are frames times iterations over the time of the whole call, checks and (for the
    peer) its closing expectation step included.
    """
    sklearn, peer = need("sklearn.mixture", "scikit-learn")
    pools, _ = need("threadpoolctl", "threadpoolctl")
    material = find_material(folder)
    x = np.concatenate([s for rows in material.sequences.values() for s in rows])[:max_frames]
    rows = []
    for n in sizes:
        start = _start(x, n)
        rows += _same_numbers(sklearn, peer, x, start)
        for n_threads in threads:
            passes = max(min(n_iterations, 3), min(n_iterations, n_iterations * 32 // n))
            rows += _speeds(sklearn, pools, peer, x, start, passes, n_threads, repeat)
    return rows


def _start(x: Array, n: int) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    means = x[rng.choice(len(x), n, replace=False)]
    return np.full(n, 1.0 / n), means, np.tile(x.var(axis=0), (n, 1))


def _ours(start: tuple[Array, Array, Array]) -> GaussianMixture:
    weights, means, covars = start
    return GaussianMixture(*means.shape, weights=weights, means=means, covars=covars,
                           floor=_TINY_FLOOR)  # fmt: skip


def _theirs(sklearn: Any, start: tuple[Array, Array, Array], n_iterations: int) -> Any:
    weights, means, covars = start
    return sklearn.GaussianMixture(
        len(means), covariance_type="diag", weights_init=weights, means_init=means,
        precisions_init=1.0 / covars, reg_covar=0.0, tol=0.0, max_iter=n_iterations,
        init_params="random", random_state=0,
    )  # fmt: skip


def _fit(model: Any, x: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "did not converge": it was not meant to
        return model.fit(x)


def _same_numbers(
    sklearn: Any, peer: str, x: Array, start: tuple[Array, Array, Array]
) -> list[Row]:
    ours = _ours(start)
    ours.train(x, 1)
    theirs = _fit(_theirs(sklearn, start, 1), x)
    parts = ours.components
    away = max(
        _apart(parts.means, theirs.means_), _apart(parts.covars, theirs.covariances_),
        _apart(parts.weights, theirs.weights_),
    )  # fmt: skip
    scores = _apart(ours.score(x), theirs.score_samples(x))
    posteriors = float(np.abs(ours.posteriors(x[:5000]) - theirs.predict_proba(x[:5000])).max())
    n = len(start[0])
    return [
        Row(f"{what}, {n} components", "relative difference", value, peer=peer, target=1e-6,
            less_is_better=True)
        for what, value in (("parameters after one iteration", away), ("log-likelihoods", scores),
                            ("posteriors", posteriors))
    ]  # fmt: skip


def _apart(a: Array, b: Array) -> float:
    """Largest difference, relative to the largest value of its column."""
    scale = np.abs(b).max(axis=0)
    return float((np.abs(a - b) / np.where(scale > 0, scale, 1.0)).max())


def _speeds(
    sklearn: Any, pools: Any, peer: str, x: Array, start: tuple[Array, Array, Array],
    n_iterations: int, n_threads: int, repeat: int,
) -> list[Row]:  # fmt: skip
    n = len(start[0])
    trained = _ours(start)
    trained.train(x[:4096], 1, n_threads=n_threads)  # compiles what is not yet compiled
    trained.score(x[:4096])
    theirs = _fit(_theirs(sklearn, start, 1), x[: 20 * n])
    precisions = np.ascontiguousarray(1.0 / start[2].T)
    scaled = np.ascontiguousarray((start[1] / start[2]).T)

    def limited(n_blas: int, work: Any) -> Any:
        return lambda: pools.threadpool_limits(n_blas), work

    ours_s, theirs_s = best_seconds(
        limited(1, lambda: _ours(start).train(x, n_iterations, n_threads=n_threads)),
        limited(n_threads, lambda: _fit(_theirs(sklearn, start, n_iterations), x)),
        repeat=repeat,
    )
    score_s, peer_score_s, bare_s = best_seconds(
        limited(1, lambda: trained.score(x, n_threads=n_threads)),
        limited(n_threads, lambda: theirs.score_samples(x)),
        limited(n_threads, lambda: (x @ scaled, (x * x) @ precisions)),
        repeat=repeat + 2,
    )
    where = f"{n} components, {n_threads} thread{'s' * (n_threads > 1)}"
    work = len(x) * n_iterations
    return [
        Row(f"train, {where}", "frames/s", work / ours_s, work / theirs_s, peer, 3.0),
        Row(f"score, {where}", "frames/s", len(x) / score_s, len(x) / peer_score_s, peer, 3.0),
        Row(f"score, {where}", "frames/s", len(x) / score_s, len(x) / bare_s,
            "two matrix products alone", 0.5),
    ]  # fmt: skip
