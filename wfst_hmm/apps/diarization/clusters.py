"""Mixtures over parts of one recording: training, scoring, merging.

In: frames (N, D), laid out once for the matrix products. Out: better mixtures, log-likelihoods,
the gain of mergers. Products are done in float32, sums in float64; the work is cut into the same
blocks whatever the number of threads, so the result does not depend on it.

Public names: `Block`, `Material`, `in_blocks`, `nearest_pairs`, `union`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.bank import Bank, maximize
from wfst_hmm.models.clusters import bank_of_clusters, kmeans
from wfst_hmm.models.expectation import responsibilities
from wfst_hmm.models.gaussian import DiagonalGaussians, log_sum_exp_segments
from wfst_hmm.models.moments import DiagonalMoments, floor_of, spread_of
from wfst_hmm.models.threads import map_threads

__all__ = ["Block", "Material", "in_blocks", "nearest_pairs", "union"]

Array = npt.NDArray[np.float64]
Block = npt.NDArray[np.float32]

_STEP = 1024  # frames of a matrix product
_FLOOR = 1e-2  # smallest variance, as a share of the recording's
_SAMPLE = 200  # frames of each cluster that the KL divergence is estimated from


class Material:
    """The frames of one recording, centred and expanded for scoring.

    Parameters
    ----------
    frames : ndarray, shape (N, D)
    n_threads : int
    """

    def __init__(self, frames: npt.NDArray[Any], n_threads: int = 1) -> None:
        self.frames = np.ascontiguousarray(frames, dtype=np.float32)
        self.n_threads = n_threads
        self.shift, variance = spread_of(self.frames)
        self.floor = floor_of(variance, self.shift, _FLOOR, dtype=np.float32)
        one = DiagonalGaussians(np.zeros(1), self.shift[None], np.ones((1, len(self.shift))),
                                dtype=np.float32, shift=self.shift)  # fmt: skip
        self.expanded: Block = one.expand(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def blocks(self, chosen: npt.NDArray[np.bool_] | slice) -> list[Block]:
        """Return the expanded frames of a mask, cut into blocks."""
        return in_blocks(np.ascontiguousarray(self.expanded[chosen]))

    def start(
        self, chosen: npt.NDArray[np.bool_], n_components: int, rng: np.random.Generator
    ) -> Bank:
        """Return a first mixture of the frames of a mask, by k-means."""
        x = self.frames[chosen].astype(np.float64)
        labels = kmeans(x, n_components, rng)
        return bank_of_clusters(x, labels, n_components, self.floor, full=False)

    def _prepared(self, banks: Sequence[Bank]) -> tuple[DiagonalGaussians, npt.NDArray[np.int64]]:
        weights = np.concatenate([bank.weights[0] for bank in banks])
        with np.errstate(divide="ignore"):
            logs = np.log(weights)
        sizes = [bank.weights.shape[1] for bank in banks]
        gaussians = DiagonalGaussians(
            logs, np.concatenate([bank.means[0] for bank in banks]),
            np.concatenate([bank.covars[0] for bank in banks]), dtype=np.float32, shift=self.shift,
        )  # fmt: skip
        return gaussians, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def train(
        self, bank: Bank, blocks: Sequence[Block], n_iterations: int, *, threaded: bool = True
    ) -> Bank:
        """Return `bank` after EM over `blocks` (Bilmes 1998)."""
        for _ in range(n_iterations):
            gaussians, _ = self._prepared([bank])
            moments = DiagonalMoments(self.shift, len(gaussians))

            def work(block: Block, gaussians: DiagonalGaussians = gaussians) -> DiagonalMoments:
                _, joint = responsibilities(gaussians, block)
                own = DiagonalMoments(self.shift, len(gaussians))
                own.accumulate(joint, block)
                return own

            for part in map_threads(work, blocks, self.n_threads if threaded else 1):
                moments.add(part)
            bank = maximize(bank, moments, self.floor).bank
        return bank

    def log_likelihood(self, bank: Bank, blocks: Sequence[Block]) -> float:
        """Return log p of all frames of `blocks`."""
        return sum(float(part[0].sum(dtype=np.float64)) for part in self._scored([bank], blocks))

    def scores(self, banks: Sequence[Bank]) -> Block:
        """Return the log-likelihood of every frame under every mixture, shape (K, N)."""
        return np.concatenate(self._scored(banks, in_blocks(self.expanded), self.n_threads), axis=1)

    def mean_scores(self, banks: Sequence[Bank], samples: Sequence[npt.NDArray[np.intp]]) -> Array:
        """Return the mean score of each of `samples` (frame numbers) under every mixture."""
        blocks = [np.ascontiguousarray(self.expanded[own]) for own in samples]
        scored = self._scored(banks, blocks)
        return np.stack([part.mean(axis=1, dtype=np.float64) for part in scored])

    def _scored(
        self, banks: Sequence[Bank], blocks: Sequence[Block], n_threads: int = 1
    ) -> list[Block]:
        gaussians, offsets = self._prepared(banks)

        def work(block: Block) -> Block:
            out = np.empty((len(banks), len(block)), dtype=np.float32)
            log_sum_exp_segments(gaussians.score(block), offsets, out)
            return out

        return map_threads(work, blocks, n_threads)


def in_blocks(frames: Block) -> list[Block]:
    """Cut expanded frames into blocks of a size that the caches like."""
    return [frames[at : at + _STEP] for at in range(0, len(frames), _STEP)]


def union(first: Bank, second: Bank, n_first: int, n_second: int) -> Bank:
    """Return the components of both, weighted by their frames: where a merger's EM starts."""
    share = n_first / (n_first + n_second)
    weights = np.concatenate([first.weights * share, second.weights * (1.0 - share)], axis=1)
    return Bank(weights, np.concatenate([first.means, second.means], axis=1),
                np.concatenate([first.covars, second.covars], axis=1))  # fmt: skip


def nearest_pairs(
    material: Material,
    banks: Sequence[Bank],
    labels: npt.NDArray[np.intp],
    n_pairs: int,
    rng: np.random.Generator,
) -> list[tuple[int, int]]:
    """Return pairs of clusters to try, ``i > j``: all, or the nearest by KL divergence.

    The symmetric divergence of two mixtures has no closed form; it is estimated from frames of
    both clusters (Hershey & Olsen 2007, "Monte Carlo sampling"), the same for all pairs.
    """
    n = len(banks)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    if not 0 < n_pairs < len(pairs):
        return pairs
    samples = []
    for k in range(n):
        frames = np.flatnonzero(labels == k)
        samples.append(rng.choice(frames, min(_SAMPLE, len(frames)), replace=False))
    mean = material.mean_scores(banks, samples)  # [k, m]: of k's frames under m
    own = np.diagonal(mean)
    divergence = (own[:, None] - mean) + (own[None, :] - mean.T)
    return sorted(pairs, key=lambda pair: float(divergence[pair]))[:n_pairs]
