"""Expectation maximization that climbs: the loop, and the guard that keeps it climbing.

In: parameters, an expectation step, a maximization step. Out: better parameters and the
log-likelihood of every iteration, never decreasing.

Public names: `climb`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["climb"]

Parameters = TypeVar("Parameters")
Statistics = TypeVar("Statistics")

_ROUNDING = 1e-10  # relative; a smaller drop of the likelihood is no drop


def climb(
    parameters: Parameters,
    expect: Callable[[Parameters], tuple[float, Statistics]],
    update: Callable[[Parameters, Statistics], tuple[Parameters, Parameters | None]],
    n_iterations: int,
) -> tuple[Parameters, list[float]]:
    """Iterate E and M steps; take back a gamble that lost.

    Parameters
    ----------
    parameters : the start
    expect : returns the log-likelihood under parameters, and their statistics
    update : returns the parameters of highest likelihood, and None or a gamble: the same with
        starved components re-split, which usually pays later but may cost at once
    n_iterations : int

    Returns
    -------
    parameters : the last ones, gambles not yet judged left out
    history : log-likelihood before each update

    Notes
    -----
    Dempster, Laird & Rubin (1977): the plain update cannot decrease the likelihood.
    """
    current, safe = parameters, None
    history: list[float] = []
    for _ in range(n_iterations):
        total, statistics = expect(current)
        gambles = True
        if safe is not None and total < history[-1] - _ROUNDING * abs(history[-1]):
            current, gambles = safe, False
            total, statistics = expect(current)
        history.append(total)
        current, gamble = update(current, statistics)
        safe = None
        if gamble is not None and gambles:
            current, safe = gamble, current
    return (current if safe is None else safe), history
