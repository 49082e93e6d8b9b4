"""The recursions of Rabiner's tutorial in plain probabilities, equation by equation.

In: pi (N,), a (N, N) and the table b_j(o_t) (T, N). Out: alpha, beta, P(O), gamma, xi, the best
path, the re-estimated pi and a. They underflow after some hundred frames: `hmm_kernels` has the
same in logarithms. They are here to be read, to be taught from, and to test the others against.

Rabiner (1989), "A tutorial on hidden Markov models", Proceedings of the IEEE 77(2).

Public names: `backward`, `forward`, `gamma`, `reestimate`, `viterbi`, `xi`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["backward", "forward", "gamma", "reestimate", "viterbi", "xi"]

Array = npt.NDArray[np.float64]


def forward(pi: Array, a: Array, table: Array) -> Array:
    """Return alpha_t(i) = P(o_1 ... o_t, q_t = i), shape (T, N): equations 19 and 20.

    P(O), equation 21, is the sum of the last row.
    """
    alpha = np.empty(table.shape)
    alpha[0] = pi * table[0]
    for t in range(1, len(table)):
        alpha[t] = (alpha[t - 1] @ a) * table[t]
    return alpha


def backward(a: Array, table: Array) -> Array:
    """Return beta_t(i) = P(o_t+1 ... o_T | q_t = i), shape (T, N): equations 24 and 25."""
    beta = np.ones(table.shape)
    for t in range(len(table) - 2, -1, -1):
        beta[t] = a @ (table[t + 1] * beta[t + 1])
    return beta


def gamma(alpha: Array, beta: Array) -> Array:
    """Return P(q_t = i | O), shape (T, N): equation 27."""
    product = alpha * beta
    return np.asarray(product / product.sum(axis=1, keepdims=True))


def xi(alpha: Array, beta: Array, a: Array, table: Array) -> Array:
    """Return P(q_t = i, q_t+1 = j | O), shape (T - 1, N, N): equation 37.

    The factor on the right is beta of the *next* frame.
    """
    joint = alpha[:-1, :, None] * a * (table[1:] * beta[1:])[:, None, :]
    return np.asarray(joint / alpha[-1].sum())


def viterbi(pi: Array, a: Array, table: Array) -> tuple[float, npt.NDArray[np.int64]]:
    """Return max_Q P(O, Q) and its path (T,): equations 32 to 35."""
    delta = pi * table[0]
    back = np.empty(table.shape, dtype=np.int64)
    for t in range(1, len(table)):
        steps = delta[:, None] * a
        back[t] = steps.argmax(axis=0)
        delta = steps.max(axis=0) * table[t]
    path = np.empty(len(table), dtype=np.int64)
    path[-1] = delta.argmax()
    for t in range(len(table) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return float(delta.max()), path


def reestimate(
    pi: Array, a: Array, tables: Sequence[Array]
) -> tuple[Array, Array, list[Array], float]:
    """Return one step of Baum-Welch over several sequences: equations 40a, 40b, 109.

    Returns
    -------
    pi : shape (N,); a : shape (N, N); gammas : list of shape (T_k, N)
        A state whose transitions no sequence uses keeps its row of `a`.
    log_likelihood : float
        Sum of log P(O_k) under the parameters given.
    """
    starts = np.zeros(len(pi))
    moves = np.zeros(a.shape)
    gammas = []
    total = 0.0
    for table in tables:
        alpha, beta = forward(pi, a, table), backward(a, table)
        gammas.append(gamma(alpha, beta))
        starts += gammas[-1][0]
        moves += xi(alpha, beta, a, table).sum(axis=0)  # frames 1 ... T - 1 only
        total += float(np.log(alpha[-1].sum()))
    rows = moves.sum(axis=1, keepdims=True)
    return (
        starts / len(tables),
        np.where(rows > 0, moves / np.where(rows > 0, rows, 1), a),
        gammas,
        total,
    )
