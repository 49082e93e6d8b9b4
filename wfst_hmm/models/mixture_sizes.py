"""How many Gaussians each state gets, and how mixtures grow and shrink.

In: (weights, means, variances) of each state, occupancies, a target. Out: lists of (weights, means, variances), one a state.

Public names: `merge_pair`, `merge_states`, `split_states`, `targets`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["merge_pair", "merge_states", "split_states", "targets"]

Array = npt.NDArray[np.float64]
State = tuple[Array, Array, Array]


def targets(
    counts: npt.NDArray[np.int64],
    occupancy: Array,
    n_components: int,
    power: float,
    min_occupancy: float,
) -> npt.NDArray[np.int64]:
    """Return the number of components of every state, shape (S,), never below `counts`.

    One after another, a component goes to the state with the largest occupancy^power a
    component, until `n_components` are given or every state has one for each `min_occupancy`
    frames.
    """
    sizes: npt.NDArray[np.int64] = counts.copy()
    shares = np.maximum(occupancy, 0.0) ** power
    heap = [(-shares[s] / sizes[s], s) for s in range(len(sizes))]
    heapq.heapify(heap)
    given = int(sizes.sum())
    while heap and given < n_components:
        _, state = heapq.heappop(heap)
        if (sizes[state] + 1) * min_occupancy > occupancy[state]:
            continue  # it never comes back: this state is full
        sizes[state] += 1
        given += 1
        heapq.heappush(heap, (-shares[state] / sizes[state], state))
    return sizes


def split_states(
    states: Sequence[State],
    sizes: npt.NDArray[np.int64],
    perturbation: float,
    rng: np.random.Generator,
) -> list[State]:
    """Split the heaviest component of each state until it has ``sizes[s]`` of them."""
    split = []
    for state, size in zip(states, sizes, strict=True):
        weights, means, variances = (list(part) for part in state)
        while len(weights) < size:
            heaviest = int(np.argmax(weights))
            away = perturbation * np.sqrt(variances[heaviest])
            away = away * rng.standard_normal(len(away))
            weights[heaviest] *= 0.5
            weights.append(weights[heaviest])
            means.append(means[heaviest] + away)
            means[heaviest] = means[heaviest] - away
            variances.append(variances[heaviest])
        split.append((np.array(weights), np.array(means), np.array(variances)))
    return split


def merge_pair(
    weight_a: float, mean_a: Array, var_a: Array, weight_b: float, mean_b: Array, var_b: Array
) -> tuple[float, Array, Array]:
    """Return the Gaussian with the weight, mean and variance of the union of two."""
    weight = weight_a + weight_b
    share = weight_b / weight if weight > 0 else 0.5
    away = mean_b - mean_a
    mean = mean_a + share * away
    variance = (1 - share) * var_a + share * var_b + share * (1 - share) * away**2
    return weight, mean, variance


def merge_states(states: Sequence[State], n_components: int, occupancy: Array) -> list[State]:
    """Merge pairs, the cheapest first, until `n_components` are left or one a state.

    The cost of a pair is half the growth of occupancy-weighted log variances, the loss of
    log-likelihood when the union's frames are described by one Gaussian in place of two.
    """
    heap: list[tuple[float, int, int, int]] = []
    alive: list[dict[int, tuple[float, Array, Array]]] = []
    for state, rows in enumerate(states):
        alive.append({i: (float(w), m, v) for i, (w, m, v) in enumerate(zip(*rows, strict=True))})
        names = list(alive[state])
        for at, i in enumerate(names):
            for j in names[at + 1 :]:
                heap.append(
                    (_loss(alive[state][i], alive[state][j], occupancy[state]), state, i, j)
                )
    heapq.heapify(heap)
    total = left = sum(len(group) for group in alive)
    while heap and left > n_components:
        _, state, i, j = heapq.heappop(heap)
        group = alive[state]
        if i not in group or j not in group:
            continue
        union = merge_pair(*group.pop(i), *group.pop(j))
        name = max([i, j, *group]) + total
        for other, row in group.items():
            heapq.heappush(heap, (_loss(row, union, occupancy[state]), state, other, name))
        group[name] = union
        left -= 1
    merged = []
    for group in alive:
        weights = np.array([w for w, _, _ in group.values()])
        merged.append((weights / weights.sum(), np.array([m for _, m, _ in group.values()]),
                       np.array([v for _, _, v in group.values()])))  # fmt: skip
    return merged


def _loss(a: tuple[float, Array, Array], b: tuple[float, Array, Array], occupancy: float) -> float:
    weight, _, variance = merge_pair(*a, *b)
    growth = weight * np.log(variance).sum() - a[0] * np.log(a[2]).sum() - b[0] * np.log(b[2]).sum()
    return float(0.5 * occupancy * growth)
