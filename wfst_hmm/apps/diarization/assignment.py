"""Who is who: the one-to-one pairing of two groups that is worth most.

In: a table of gains. Out: pairs.

Public names: `best_pairs`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["best_pairs"]


def best_pairs(gains: npt.ArrayLike) -> list[tuple[int, int]]:
    """Return pairs (row, column), each row and column at most once, with the largest total gain.

    Parameters
    ----------
    gains : array_like, shape (R, C)
        Non-negative; pairs that gain nothing are left out.

    Notes
    -----
    Kuhn (1955), Munkres (1957), with shortest augmenting paths and potentials as in Jonker &
    Volgenant (1987): O(n^3).

    Examples
    --------
    >>> best_pairs([[5.0, 6.0], [1.0, 4.0], [0.0, 0.0]])
    [(0, 0), (1, 1)]
    """
    table = np.asarray(gains, dtype=np.float64)
    n = max(table.shape, default=0)
    cost = np.zeros((n, n))
    cost[: table.shape[0], : table.shape[1]] = -table
    row_of = np.full(n, -1)  # by column
    rows, columns = np.zeros(n), np.zeros(n)  # potentials
    for row in range(n):
        _augment(cost, row, row_of, rows, columns)
    pairs = [(int(row_of[c]), c) for c in range(table.shape[1]) if row_of[c] < table.shape[0]]
    return sorted((r, c) for r, c in pairs if table[r, c] > 0)


def _augment(
    cost: npt.NDArray[np.float64],
    row: int,
    row_of: npt.NDArray[np.intp],
    rows: npt.NDArray[np.float64],
    columns: npt.NDArray[np.float64],
) -> None:
    """Give `row` a column by the shortest alternating path, updating potentials (Dijkstra)."""
    n = len(cost)
    distance = np.full(n, np.inf)
    before = np.full(n, -1)  # the column that the path comes from
    done = np.zeros(n, dtype=bool)
    at, here, so_far = -1, row, 0.0
    while True:
        reach = so_far + cost[here] - rows[here] - columns
        better = ~done & (reach < distance)
        distance[better] = reach[better]
        before[better] = at
        at = int(np.where(done, np.inf, distance).argmin())
        so_far = distance[at]
        done[at] = True
        if row_of[at] < 0:
            break
        here = int(row_of[at])
    passed = done.copy()
    passed[at] = False
    rows[row] += so_far
    rows[row_of[passed]] += so_far - distance[passed]
    columns[passed] -= so_far - distance[passed]
    while at >= 0:
        previous = int(before[at])
        row_of[at] = row if previous < 0 else row_of[previous]
        at = previous
