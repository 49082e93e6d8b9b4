"""Acoustic scores as an acceptor: what the compose search reads beside the graph.

In: a T x S array of log-likelihoods. Out: an `Fst` with T + 1 states in a row.

Public names: `sausage`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_numbers
from wfst_hmm.errors import DataError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols

__all__ = ["sausage"]


def sausage(
    scores: npt.NDArray[Any],
    columns: npt.NDArray[Any] | None = None,
    symbols: Symbols | None = None,
) -> Fst:
    """Return the acceptor of all label sequences of length T, weighted by their scores.

    Parameters
    ----------
    scores : ndarray, shape (T, S)
        Log-likelihoods; -inf ("impossible") leaves the arc out.
    columns : int ndarray, shape (L,), optional
        ``columns[j - 1]`` is the score column of label ``j``; by default label ``j`` reads
        column ``j - 1``.
    symbols : Symbols, optional
        Names of the labels, for both sides.

    Returns
    -------
    Fst
        From state ``t`` to ``t + 1`` an arc for each label j, of cost
        ``-scores[t, columns[j - 1]]``; the last state is final.

    Raises
    ------
    DataError
        A score is NaN or +inf, or a column does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> sausage(np.log([[0.5, 0.5], [1.0, 0.25]]))
    Fst(3 states, 4 arcs, start 0)
    """
    table = as_numbers(scores, name="scores", dtype=np.float32)
    if table.ndim != 2:
        raise DataError("scores must be a T x S array", got=f"shape {table.shape}")
    n_frames, n_columns = table.shape
    if columns is not None:
        columns = as_numbers(columns, name="columns", dtype=np.int64)
        if len(columns) and not 0 <= columns.min() <= columns.max() < n_columns:
            wrong = int(np.argmax((columns < 0) | (columns >= n_columns)))
            raise DataError(
                f"label {wrong + 1} reads a score column that does not exist",
                got=int(columns[wrong]), expected=f"0 to {n_columns - 1}",
                fix="Scores and graph come from different models.",
            )  # fmt: skip
        table = table[:, columns]
    wrong_entries = np.isnan(table) | np.isposinf(table)
    if wrong_entries.any():
        frame, label = (int(i) for i in np.argwhere(wrong_entries)[0])
        raise DataError(f"score of frame {frame}, label {label + 1} is no log-likelihood",
                        got=table[frame, label], expected="a finite number or -inf")  # fmt: skip
    frames, index = np.nonzero(~np.isneginf(table))
    final = np.full(n_frames + 1, np.inf, dtype=np.float32)
    final[n_frames] = 0.0
    return Fst.from_arcs(
        0, frames, index + 1, index + 1, -table[frames, index], frames + 1, final, symbols, symbols
    )
