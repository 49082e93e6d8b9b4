"""Agglomerative clustering: from many clusters to as many as there are speakers.

In: frames of speech. Out: the cluster of each frame, a mixture for each cluster, the story.

After Ajmera & Wooters (2003), "A robust speaker clustering algorithm": a merged mixture has as
many parameters as the two it replaces, so the penalty of the Bayesian information criterion
cancels and only log-likelihoods are compared.

Public names: `Clustering`, `Merger`, `agglomerate`, `majority`, `voting_windows`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.diarization.clusters import Block, Material, in_blocks, nearest_pairs, union
from wfst_hmm.apps.diarization.options import DiarizerOptions
from wfst_hmm.models.bank import Bank
from wfst_hmm.models.threads import map_threads

__all__ = ["Clustering", "Merger", "agglomerate", "majority", "voting_windows"]

Labels = npt.NDArray[np.intp]
_Attempt = tuple[float, int, int, Bank]  # gain, the pair, the mixture of their union

_CLUSTER_FRAMES = 300  # at the start at least: shorter recordings start from fewer clusters,
_GAUSSIAN_FRAMES = 150  # and from smaller mixtures when a Gaussian would see fewer than this
_WINDOWS = 60  # that vote at least: shorter recordings have shorter windows, down to
_LEAST_WINDOW = 50  # frames
_RANKED = 3  # pairs, best by every _STRIDE-th frame, that are then tried with all frames
_STRIDE = 4


@dataclasses.dataclass(frozen=True)
class Merger:
    """One round: the best pair's gain in nats, and whether it was merged."""

    n_clusters: int
    gain: float
    merged: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Clustering:
    """Attributes: the label of each frame (N,), a mixture per cluster, the rounds of mergers."""

    labels: Labels
    banks: tuple[Bank, ...]
    mergers: tuple[Merger, ...]


def agglomerate(
    material: Material,
    options: DiarizerOptions,
    *,
    stretches: npt.NDArray[np.intp] | None = None,
    tell: Callable[[int, float], None] | None = None,
) -> Clustering:
    """Cluster the frames of one recording.

    Parameters
    ----------
    material : Material
        Speech only, in order of time.
    options : DiarizerOptions
    stretches : ndarray of int, optional
        Frames between pauses, in order; by default there are no pauses.
    tell : callable, optional
        Called after every round with the number of clusters and the gain of the best pair.
    """
    rng = np.random.default_rng(options.seed)
    n = len(material)
    longest = min(options.seg_length, max(_LEAST_WINDOW, n // _WINDOWS))
    windows = voting_windows(np.array([n]) if stretches is None else stretches, longest)
    n_clusters = max(1, min(options.initial_clusters, n // _CLUSTER_FRAMES))
    n_components = max(1, min(options.m_mfcc, n // n_clusters // _GAUSSIAN_FRAMES))
    labels = np.asarray(np.arange(n) * n_clusters // n, dtype=np.intp)
    banks = [material.start(labels == k, n_components, rng) for k in range(n_clusters)]
    banks = _trained(material, banks, labels, options)
    banks, labels = _resegment(material, banks, windows, options, options.num_seg_iters_init)
    mergers: list[Merger] = []
    while len(banks) > 1:
        gain, first, second, bank = _best_merger(material, banks, labels, options, rng)
        mergers.append(Merger(len(banks), gain, gain > 0))
        if tell is not None:
            tell(len(banks), gain)
        if gain <= 0:
            break
        banks[second] = bank
        del banks[first]
        banks, labels = _resegment(material, banks, windows, options, options.num_seg_iters)
    return Clustering(labels, tuple(banks), tuple(mergers))


def voting_windows(lengths: npt.NDArray[np.intp], longest: int) -> Labels:
    """Cut stretches of speech into windows that vote: none reaches over a pause.

    Parameters
    ----------
    lengths : ndarray of int, shape (R,)
        Frames of each stretch between pauses.
    longest : int
        Frames of a window at most; the windows of a stretch are as long as each other.

    Returns
    -------
    ndarray of int, shape (sum of lengths,)
        The window of each frame, from 0.
    """
    parts, first = [], 0
    for length in lengths.tolist():
        n_windows = -(-length // longest)
        parts.append(first + np.arange(length) * n_windows // length)
        first += n_windows
    return np.concatenate(parts).astype(np.intp)


def majority(scores: npt.NDArray[np.float32], windows: Labels) -> Labels:
    """Give each window to the cluster that wins most of its frames.

    Parameters
    ----------
    scores : ndarray, shape (K, N)
    windows : ndarray of int, shape (N,)
        The window of each frame.

    Returns
    -------
    ndarray of int, shape (N,)
    """
    n_clusters = len(scores)
    votes = np.bincount(windows * n_clusters + scores.argmax(axis=0),
                        minlength=(int(windows[-1]) + 1) * n_clusters)  # fmt: skip
    return np.asarray(votes.reshape(-1, n_clusters).argmax(axis=1)[windows])


def _trained(
    material: Material, banks: list[Bank], labels: Labels, options: DiarizerOptions
) -> list[Bank]:
    def work(k: int) -> Bank:
        own = material.blocks(labels == k)
        return material.train(banks[k], own, options.em_iterations, threaded=False)

    return map_threads(work, range(len(banks)), material.n_threads)


def _resegment(
    material: Material,
    banks: list[Bank],
    windows: Labels,
    options: DiarizerOptions,
    n_iterations: int,
) -> tuple[list[Bank], Labels]:
    """Vote and train in turn until nothing moves; clusters that win no window are dropped."""
    labels = np.empty(0, dtype=np.intp)
    for _ in range(n_iterations):
        fresh = majority(material.scores(banks), windows)
        present = np.unique(fresh)
        if len(present) < len(banks):
            banks = [banks[k] for k in present]
            fresh = np.searchsorted(present, fresh)
        elif np.array_equal(fresh, labels):
            break
        labels = fresh
        banks = _trained(material, banks, labels, options)
    return banks, labels


def _best_merger(
    material: Material,
    banks: list[Bank],
    labels: Labels,
    options: DiarizerOptions,
    rng: np.random.Generator,
) -> tuple[float, int, int, Bank]:
    """Return the gain, the pair and the mixture of the merger that gains most.

    All pairs are compared on every fourth frame (neighbouring frames say nearly the same), the
    best of them on all frames.
    """
    whole = [material.blocks(labels == k) for k in range(len(banks))]
    thin = [_thinned(own) for own in whole]

    def attempt(pairs: list[tuple[int, int]], frames: list[list[Block]]) -> list[_Attempt]:
        own = [material.log_likelihood(bank, part)
               for bank, part in zip(banks, frames, strict=True)]  # fmt: skip
        counts = [sum(len(block) for block in part) for part in frames]

        def work(pair: tuple[int, int]) -> _Attempt:
            i, j = pair
            both = frames[i] + frames[j]
            bank = union(banks[i], banks[j], counts[i], counts[j])
            bank = material.train(bank, both, options.em_iterations, threaded=False)
            gain = material.log_likelihood(bank, both) - own[i] - own[j]
            return gain, i, j, bank

        return map_threads(work, pairs, material.n_threads)

    pairs = nearest_pairs(material, banks, labels, options.kl_ntop, rng)
    if len(pairs) > _RANKED:
        ranked = sorted(attempt(pairs, thin), key=lambda found: -found[0])
        pairs = [(i, j) for _, i, j, _ in ranked[:_RANKED]]
    return max(attempt(pairs, whole), key=lambda found: found[0])


def _thinned(blocks: list[Block]) -> list[Block]:
    return in_blocks(np.concatenate(blocks)[::_STRIDE])
