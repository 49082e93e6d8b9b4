"""The expectation step of HMMs with Gaussian mixture emissions, over many sequences.

In: a chain, a bank, concatenated frames. Out: log-likelihoods, expected counts of starts and
transitions, moments of components, state by state and frame chunk by frame chunk.

Public names: `Counts`, `emissions`, `expectation`, `score_sequences`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.models import hmm_kernels as kernels
from wfst_hmm.models.bank import Bank
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gaussian import (
    Gaussians,
    chunk_frames,
    log_sum_exp_segments,
    posteriors_in_place,
)
from wfst_hmm.models.moments import Moments
from wfst_hmm.models.threads import map_threads

__all__ = ["Counts", "emissions", "expectation", "score_sequences"]

Array = npt.NDArray[np.float64]
Bounds = npt.NDArray[np.int64]


@dataclasses.dataclass(eq=False)
class Counts:
    """Expected counts of one pass over the data.

    Attributes
    ----------
    scores : ndarray, shape (K,)
        log P(O_k) of each sequence, or of its best path.
    start : ndarray, shape (S,)
    arcs : ndarray, shape (A,), in the order of ``Chain.arcs.out_state``
    moments : Moments
    """

    scores: Array
    start: Array
    arcs: Array
    moments: Moments


class _Chunks:
    """Scores of consecutive frames, chunk by chunk; a lone chunk is computed once only."""

    def __init__(self, gaussians: Gaussians, offsets: Bounds, x: Array) -> None:
        self.gaussians, self.offsets, self.x = gaussians, offsets, x
        self.step = chunk_frames(len(gaussians))
        self._last: tuple[int, tuple[Any, Any, Any]] | None = None

    def __iter__(self) -> Iterator[tuple[slice, Any, Any, Any]]:
        """Yield rows, expanded frames, log densities (G, n) and their totals (S, n)."""
        for start in range(0, len(self.x), self.step):
            if self._last is None or self._last[0] != start:
                expanded = self.gaussians.expand(self.x[start : start + self.step])
                joint = self.gaussians.score(expanded)
                totals = np.empty((len(self.offsets) - 1, joint.shape[1]))
                log_sum_exp_segments(joint, self.offsets, totals)
                self._last = start, (expanded, joint, totals)
            yield slice(start, start + self.step), *self._last[1]


def emissions(gaussians: Gaussians, offsets: Bounds, x: Array) -> Array:
    """Return log b_j(o_t) of frames (T, D) under every state, shape (T, S)."""
    step = chunk_frames(len(gaussians))
    if len(x) > step:
        return _table(_Chunks(gaussians, offsets, x))
    totals = np.empty((len(offsets) - 1, len(x)))
    log_sum_exp_segments(gaussians.score(gaussians.expand(x)), offsets, totals)
    return np.ascontiguousarray(totals.T)


def _table(chunks: _Chunks) -> Array:
    table = np.empty((len(chunks.x), len(chunks.offsets) - 1))
    for rows, _, _, totals in chunks:
        table[rows] = totals.T
    return table


def expectation(
    chain: Chain, bank: Bank, x: Array, bounds: Bounds, shift: Array, *, n_threads: int, hard: bool
) -> Counts:
    """Gather what one iteration of Baum-Welch (or of segmental k-means) needs.

    Parameters
    ----------
    x : ndarray, shape (N, D)
        The sequences one after another.
    bounds : ndarray of int64, shape (K + 1,)
        Where each begins.
    shift : ndarray, shape (D,)
        The point that moments are taken about.
    hard : bool
        Count along the best path of each sequence, not over all paths.

    Notes
    -----
    Rabiner (1989), equations 54 and 109-111: posteriors of states times those of components,
    summed over sequences that each weigh 1 / P(O_k).
    """
    gaussians = bank.gaussians(shift)
    scores = np.empty(len(bounds) - 1)
    shares = _shares(bounds, n_threads)

    def work(share: list[tuple[int, int]]) -> Counts:
        counts = Counts(scores, np.zeros(chain.n_states), np.zeros(len(chain.arcs.out_state)),
                        bank.moments(shift))  # fmt: skip
        for first, last in share:
            rows = slice(int(bounds[first]), int(bounds[last]))
            chunks = _Chunks(gaussians, bank.offsets, x[rows])
            table = _table(chunks)
            local = bounds[first : last + 1] - bounds[first]
            sweep = _count_paths if hard else _count_all
            gamma = sweep(chain, table, local, counts, scores[first:last])
            for part, expanded, joint, totals in chunks:
                weights = np.ascontiguousarray(gamma[part].T)
                posteriors_in_place(joint, bank.offsets, totals, weights)
                counts.moments.accumulate(joint, expanded)
        return counts

    first, *others = map_threads(work, shares, n_threads)
    for other in others:
        first.start += other.start
        first.arcs += other.arcs
        first.moments.add(other.moments)
    return first


def score_sequences(chain: Chain, bank: Bank, x: Array, bounds: Bounds, n_threads: int) -> Array:
    """Return log P(O_k) of concatenated sequences (N, D), shape (K,)."""
    gaussians = bank.prepared
    scores = np.empty(len(bounds) - 1)

    def work(share: list[tuple[int, int]]) -> None:
        for first, last in share:
            rows = slice(int(bounds[first]), int(bounds[last]))
            table = emissions(gaussians, bank.offsets, x[rows])
            local = bounds[first : last + 1] - bounds[first]
            kernels.forward_all(table, local, chain.log_initial, chain.arcs, scores[first:last])

    map_threads(work, _shares(bounds, n_threads), n_threads)
    return scores


_BATCH_FRAMES = 1024  # sequences are taken together up to here: fewer calls, warm caches


def _shares(bounds: Bounds, n_threads: int) -> list[list[tuple[int, int]]]:
    """Cut the sequences into runs of about a batch, and deal the runs out to the threads."""
    runs: list[tuple[int, int]] = []
    first = 0
    for k in range(1, len(bounds)):
        if k == len(bounds) - 1 or bounds[k + 1] - bounds[first] > _BATCH_FRAMES:
            runs.append((first, k))
            first = k
    n_shares = max(1, min(n_threads, len(runs)))
    return [runs[i::n_shares] for i in range(n_shares)]


def _count_all(chain: Chain, table: Array, bounds: Bounds, counts: Counts, scores: Array) -> Array:
    gamma = np.empty_like(table)
    kernels.forward_backward(table, bounds, chain.log_initial, chain.arcs, gamma, counts.start,
                             counts.arcs, scores)  # fmt: skip
    return gamma


def _count_paths(
    chain: Chain, table: Array, bounds: Bounds, counts: Counts, scores: Array
) -> Array:
    n = chain.n_states
    gamma = np.zeros_like(table)
    moves = np.zeros((n, n))
    for k in range(len(bounds) - 1):
        rows = slice(int(bounds[k]), int(bounds[k + 1]))
        path = np.empty(rows.stop - rows.start, dtype=np.int64)
        scores[k] = kernels.viterbi(table[rows], chain.log_initial, chain.arcs, path)
        gamma[np.arange(rows.start, rows.stop), path] = 1.0
        counts.start[path[0]] += 1.0
        np.add.at(moves, (path[:-1], path[1:]), 1.0)
    sources = np.repeat(np.arange(n), np.diff(chain.arcs.out_at))
    counts.arcs += moves[sources, chain.arcs.out_state]
    return gamma
