"""Which letters of a word stand for which phones: alignment by expectation maximization.

In: spelled words with their phones. Out: each word as a sequence of *graphones*, small groups of
letters with small groups of phones: one letter with none, one or two phones, or two letters with
one phone (Bisani & Ney 2008; Jiampojamarn, Kondrak & Sherif 2007).

Public names: `Graphone`, `align_spellings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Graphone", "align_spellings"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Graphone(NamedTuple):
    """Letters and the phones that they stand for."""

    letters: tuple[str, ...]
    phones: tuple[str, ...]


def align_spellings(
    spellings: Sequence[Sequence[str]], phones: Sequence[Sequence[str]], *, n_iterations: int = 12
) -> list[tuple[Graphone, ...] | None]:
    """Align letters with phones.

    Parameters
    ----------
    spellings, phones : sequences of sequences of str
        The letters and the phones of each entry.
    n_iterations : int
        Passes of expectation maximization over all alignments, from equal probabilities.

    Returns
    -------
    list
        The graphones of each entry by its most probable alignment; None where there is none (no
        letters, or more than two phones a letter).
    """
    alphabet = sorted({letter for spelling in spellings for letter in spelling})
    inventory = sorted({phone for row in phones for phone in row})
    n_letters, n_phones = len(alphabet), len(inventory)
    letters, letter_at = _flat(spellings, alphabet)
    sounds, sound_at = _flat(phones, inventory)
    # one letter with none, one or two phones; then two letters with one phone
    size = n_letters * (1 + n_phones + n_phones**2) + n_letters**2 * n_phones
    probability = np.ones(size)
    for _ in range(n_iterations):
        counts = np.zeros(size)
        _expect(letters, letter_at, sounds, sound_at, n_letters, n_phones, probability, counts)
        probability = counts / max(counts.sum(), 1e-300)
    logs = np.log(np.maximum(probability, 1e-300))
    result: list[tuple[Graphone, ...] | None] = []
    for i, (spelling, row) in enumerate(zip(spellings, phones, strict=True)):
        steps = _best(letters[letter_at[i] : letter_at[i + 1]], sounds[sound_at[i] : sound_at[i + 1]],
                      n_letters, n_phones, logs)  # fmt: skip
        if not len(steps):
            result.append(None)
            continue
        at_letter = at_phone = 0
        graphones = []
        for n, k in steps.tolist():
            graphones.append(Graphone(tuple(spelling[at_letter : at_letter + n]),
                                      tuple(row[at_phone : at_phone + k])))  # fmt: skip
            at_letter, at_phone = at_letter + n, at_phone + k
        result.append(tuple(graphones))
    return result


def _flat(rows: Sequence[Sequence[str]], symbols: Sequence[str]) -> tuple[Ints, Ints]:
    number = {symbol: i for i, symbol in enumerate(symbols)}
    ends = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
    return np.array([number[s] for row in rows for s in row], dtype=np.int64), ends


@numba.njit(cache=True, nogil=True)
def _pair(x: Any, y: Any, i: int, j: int, n: int, k: int, n_letters: int, n_phones: int) -> Any:
    """Return the number of the graphone of `n` letters from i with `k` phones from j."""
    if n == 2:
        n_single = n_letters * (1 + n_phones + n_phones * n_phones)
        return n_single + (x[i] * n_letters + x[i + 1]) * n_phones + y[j]
    chunk = 0
    if k == 1:
        chunk = 1 + y[j]
    elif k == 2:
        chunk = 1 + n_phones + y[j] * n_phones + y[j + 1]
    return x[i] * (1 + n_phones + n_phones * n_phones) + chunk


_STEPS = np.array([[1, 0], [1, 1], [1, 2], [2, 1]])


@numba.njit(cache=True, nogil=True)
def _expect(
    letters: Any, letter_at: Any, sounds: Any, sound_at: Any, n_letters: int, n_phones: int,
    probability: Any, counts: Any,
) -> None:  # fmt: skip
    """Add the expected count of every graphone; forward and backward sums per entry."""
    for e in range(len(letter_at) - 1):
        x = letters[letter_at[e] : letter_at[e + 1]]
        y = sounds[sound_at[e] : sound_at[e + 1]]
        n_x, n_y = len(x), len(y)
        ahead = np.zeros((n_x + 1, n_y + 1))
        back = np.zeros((n_x + 1, n_y + 1))
        ahead[0, 0] = 1.0
        back[n_x, n_y] = 1.0
        for i in range(n_x):
            for j in range(n_y + 1):
                if ahead[i, j] > 0.0:
                    for s in range(4):
                        n, k = _STEPS[s]
                        if i + n <= n_x and j + k <= n_y:
                            p = probability[_pair(x, y, i, j, n, k, n_letters, n_phones)]
                            ahead[i + n, j + k] += ahead[i, j] * p
        total = ahead[n_x, n_y]
        if n_x == 0 or not 1e-290 < total < 1e290:
            continue
        for i in range(n_x - 1, -1, -1):
            for j in range(n_y, -1, -1):
                for s in range(4):
                    n, k = _STEPS[s]
                    if i + n <= n_x and j + k <= n_y:
                        pair = _pair(x, y, i, j, n, k, n_letters, n_phones)
                        onward = probability[pair] * back[i + n, j + k]
                        back[i, j] += onward
                        counts[pair] += ahead[i, j] * onward / total


@numba.njit(cache=True, nogil=True)
def _best(x: Any, y: Any, n_letters: int, n_phones: int, logs: Any) -> Any:
    """Return the steps (letters, phones) of the most probable alignment, shape (n, 2)."""
    n_x, n_y = len(x), len(y)
    score = np.full((n_x + 1, n_y + 1), -np.inf)
    step = np.full((n_x + 1, n_y + 1), -1)
    score[0, 0] = 0.0
    for i in range(n_x):
        for j in range(n_y + 1):
            if score[i, j] > -np.inf:
                for s in range(4):
                    n, k = _STEPS[s]
                    if i + n <= n_x and j + k <= n_y:
                        new = score[i, j] + logs[_pair(x, y, i, j, n, k, n_letters, n_phones)]
                        if new > score[i + n, j + k]:
                            score[i + n, j + k] = new
                            step[i + n, j + k] = s
    steps = np.empty((n_x, 2), dtype=np.int64)
    if step[n_x, n_y] < 0:
        return steps[:0]
    i, j, at = n_x, n_y, n_x
    while i > 0:
        at -= 1
        steps[at] = _STEPS[step[i, j]]
        i, j = i - steps[at, 0], j - steps[at, 1]
    return steps[at:]
