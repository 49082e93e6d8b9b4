"""HMM quantities by listing every path: the obvious twin of the recursions."""

import itertools

import numpy as np


def all_paths(
    pi: np.ndarray, a: np.ndarray, table: np.ndarray
) -> list[tuple[tuple[int, ...], float]]:
    """Return every state sequence with its P(O, Q), for tables b_j(o_t) of few frames."""
    found = []
    for path in itertools.product(range(len(pi)), repeat=len(table)):
        p = pi[path[0]] * table[0, path[0]]
        for t in range(1, len(table)):
            p *= a[path[t - 1], path[t]] * table[t, path[t]]
        found.append((path, float(p)))
    return found


def counts_of(
    pi: np.ndarray, a: np.ndarray, table: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return P(O), gamma (T, N) and xi (T - 1, N, N) summed over all paths."""
    n_frames, n_states = table.shape
    gamma = np.zeros((n_frames, n_states))
    xi = np.zeros((n_frames - 1, n_states, n_states))
    total = 0.0
    for path, p in all_paths(pi, a, table):
        total += p
        for t, state in enumerate(path):
            gamma[t, state] += p
            if t + 1 < n_frames:
                xi[t, state, path[t + 1]] += p
    return total, gamma / total, xi / total


def reestimated(
    pi: np.ndarray, a: np.ndarray, b: np.ndarray, sequences: list[list[int]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return one Baum-Welch step over all sequences together, and log P before it."""
    starts, moves, emitted = np.zeros(len(pi)), np.zeros(a.shape), np.zeros(b.shape)
    total = 0.0
    for sequence in sequences:
        p, gamma, xi = counts_of(pi, a, b.T[sequence])
        total += np.log(p)
        starts += gamma[0]
        moves += xi.sum(axis=0)
        for t, symbol in enumerate(sequence):
            emitted[:, symbol] += gamma[t]
    new_a = np.where(moves.sum(1, keepdims=True) > 1e-12,
                     moves / np.maximum(moves.sum(1, keepdims=True), 1e-300), a)  # fmt: skip
    return starts / len(sequences), new_a, emitted / emitted.sum(1, keepdims=True), total
