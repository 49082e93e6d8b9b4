"""Forward, backward and Viterbi recursions in the log domain, for many sequences in one call.

In: log emission scores of concatenated sequences, log priors, log transitions as lists of arcs.
Out: log-likelihoods, state posteriors, expected transition counts, best paths.

Everything is a natural logarithm in float64, so 100,000 frames and likelihoods of 10^-300 are
nothing special; -inf is zero. Forbidden transitions are not visited at all.

Public names: `Arcs`, `forward`, `forward_all`, `backward`, `forward_backward`, `viterbi`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Arcs", "backward", "forward", "forward_all", "forward_backward", "viterbi"]


class Arcs(NamedTuple):
    """The transitions of probability above zero, by source and by target.

    Attributes
    ----------
    out_at, in_at : ndarray of int64, shape (S + 1,)
        Where each state's arcs begin.
    out_state, in_state : ndarray of int64, shape (A,)
        The states at the other end.
    out_cost, in_cost : ndarray of float64, shape (A,)
        Log probabilities.
    """

    out_at: npt.NDArray[np.int64]
    out_state: npt.NDArray[np.int64]
    out_cost: npt.NDArray[np.float64]
    in_at: npt.NDArray[np.int64]
    in_state: npt.NDArray[np.int64]
    in_cost: npt.NDArray[np.float64]

    @classmethod
    def of(cls, transitions: npt.NDArray[np.float64]) -> Arcs:
        """Return the arcs of a matrix of probabilities (S, S)."""
        parts: list[npt.NDArray[np.int64] | npt.NDArray[np.float64]] = []
        for matrix in (transitions, transitions.T):
            row, column = np.nonzero(matrix)
            counts = np.bincount(row, minlength=len(matrix))
            parts += [np.concatenate([[0], np.cumsum(counts)]), column, np.log(matrix[row, column])]
        return cls(*parts)  # type: ignore[arg-type]


@numba.njit(inline="always")
def _share(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, where one is added up with 1: 10^-26 is lost in rounding anyway."""
    if x == 0.0:
        return 1.0
    return np.exp(x) if x > -60.0 else 0.0


@numba.njit(cache=True, nogil=True)
def forward(emission, start, arcs, alpha):  # type: ignore[no-untyped-def]
    """Write log alpha_t(i) = log P(o_1 ... o_t, q_t = i); return log P(O).

    Rabiner (1989), equations 19-21. `emission` and `alpha` have shape (T, S), `start` (S,).
    """
    n_frames, n_states = emission.shape
    for i in range(n_states):
        alpha[0, i] = start[i] + emission[0, i]
    for t in range(1, n_frames):
        before, now = alpha[t - 1], alpha[t]
        for j in range(n_states):
            best = -np.inf
            for a in range(arcs.in_at[j], arcs.in_at[j + 1]):
                best = max(best, before[arcs.in_state[a]] + arcs.in_cost[a])
            if best == -np.inf:
                now[j] = -np.inf
                continue
            if arcs.in_at[j + 1] == arcs.in_at[j] + 1:
                now[j] = best + emission[t, j]
                continue
            total = 0.0
            for a in range(arcs.in_at[j], arcs.in_at[j + 1]):
                total += _share(before[arcs.in_state[a]] + arcs.in_cost[a] - best)
            now[j] = best + emission[t, j]
            if total != 1.0:
                now[j] += np.log(total)
    return _log_sum(alpha[n_frames - 1])


@numba.njit(cache=True, nogil=True)
def forward_all(emission, bounds, start, arcs, scores):  # type: ignore[no-untyped-def]
    """Write log P(O_k) of sequences ``emission[bounds[k] : bounds[k + 1]]`` into `scores` (K,)."""
    longest = 0
    for k in range(len(scores)):
        longest = max(longest, bounds[k + 1] - bounds[k])
    alpha = np.empty((longest, emission.shape[1]))
    for k in range(len(scores)):
        first, last = bounds[k], bounds[k + 1]
        scores[k] = forward(emission[first:last], start, arcs, alpha[: last - first])


@numba.njit(cache=True, nogil=True)
def _log_sum(values):  # type: ignore[no-untyped-def]
    best = -np.inf
    for value in values:
        best = max(best, value)
    if best == -np.inf:
        return best
    total = 0.0
    for value in values:
        total += _share(value - best)
    return best + np.log(total)


@numba.njit(cache=True, nogil=True)
def _step_back(after, arcs, i, terms):  # type: ignore[no-untyped-def]
    """Return log beta_t(i) from after[j] = log b_j(o_t+1) beta_t+1(j); leave shares in terms."""
    best = -np.inf
    first, last = arcs.out_at[i], arcs.out_at[i + 1]
    for a in range(first, last):
        terms[a] = arcs.out_cost[a] + after[arcs.out_state[a]]
        best = max(best, terms[a])
    if best == -np.inf:
        return best
    if last == first + 1:
        terms[first] = 1.0
        return best
    total = 0.0
    for a in range(first, last):
        terms[a] = _share(terms[a] - best)
        total += terms[a]
    for a in range(first, last):
        terms[a] /= total
    return best + np.log(total)


@numba.njit(cache=True, nogil=True)
def backward(emission, arcs, beta):  # type: ignore[no-untyped-def]
    """Write log beta_t(i) = log P(o_t+1 ... o_T | q_t = i), shape (T, S).

    Rabiner (1989), equations 24-25.
    """
    n_frames, n_states = emission.shape
    after = np.empty(n_states)
    terms = np.empty(len(arcs.out_state))
    beta[n_frames - 1] = 0.0
    for t in range(n_frames - 2, -1, -1):
        for j in range(n_states):
            after[j] = emission[t + 1, j] + beta[t + 1, j]
        for i in range(n_states):
            beta[t, i] = _step_back(after, arcs, i, terms)


@numba.njit(cache=True, nogil=True)
def forward_backward(  # type: ignore[no-untyped-def]
    emission, bounds, start, arcs, gamma, start_counts, arc_counts, scores
):
    """Run forward and backward over every sequence; gather what Baum-Welch needs.

    Parameters
    ----------
    emission : (N, S), the sequences one after another
    bounds : (K + 1,) of int64, where each begins
    start : (S,) log priors; arcs : Arcs
    gamma : (N, S), out: P(q_t = i | O), probabilities (Rabiner 1989, equation 27)
    start_counts : (S,), added to: gamma of first frames (equation 40a)
    arc_counts : (A,), added to: sums over t < T of xi_t(i, j), in the order of the outgoing
        arcs (equations 37 and 40b; each sequence has weight 1 / P(O_k), equation 110)
    scores : (K,), out: log P(O_k); -inf leaves gamma zero and adds nothing
    """
    n_states = emission.shape[1]
    terms = np.empty(len(arcs.out_state))
    beta, after = np.empty(n_states), np.empty(n_states)
    for k in range(len(bounds) - 1):
        first, last = bounds[k], bounds[k + 1]
        # The log forward variables wait in gamma until the backward sweep replaces them.
        scores[k] = forward(emission[first:last], start, arcs, gamma[first:last])
        total = scores[k]
        if total == -np.inf:
            gamma[first:last] = 0.0
            continue
        beta[:] = 0.0
        for t in range(last - 1, first - 1, -1):
            if t < last - 1:
                for j in range(n_states):
                    after[j] = emission[t + 1, j] + beta[j]
            norm = 0.0
            for i in range(n_states):
                if t < last - 1:
                    beta[i] = _step_back(after, arcs, i, terms)
                here = gamma[t, i] + beta[i] - total
                gamma[t, i] = np.exp(here) if here > -745.0 else 0.0
                norm += gamma[t, i]
            for i in range(n_states):
                gamma[t, i] /= norm  # rounding grows with T; the sum stays one
                if t < last - 1 and gamma[t, i] > 0.0:
                    # xi_t(i, j) = gamma_t(i) times the share of j in beta_t(i).
                    for a in range(arcs.out_at[i], arcs.out_at[i + 1]):
                        arc_counts[a] += gamma[t, i] * terms[a]
        for i in range(n_states):
            start_counts[i] += gamma[first, i]


@numba.njit(cache=True, nogil=True)
def viterbi(emission, start, arcs, path):  # type: ignore[no-untyped-def]
    """Write the best path (T,); return its log probability, -inf when there is none.

    Rabiner (1989), equations 32-35 and 105; of equal paths the lower state wins.
    """
    n_frames, n_states = emission.shape
    back = np.empty((n_frames, n_states), np.int32)
    before, now = np.empty(n_states), np.empty(n_states)
    for i in range(n_states):
        before[i] = start[i] + emission[0, i]
    for t in range(1, n_frames):
        for j in range(n_states):
            best, origin = -np.inf, 0
            for a in range(arcs.in_at[j], arcs.in_at[j + 1]):
                value = before[arcs.in_state[a]] + arcs.in_cost[a]
                if value > best:
                    best, origin = value, arcs.in_state[a]
            now[j] = best + emission[t, j]
            back[t, j] = origin
        before, now = now, before
    last = np.argmax(before)
    best = before[last]
    path[n_frames - 1] = last
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return best
