import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.diarization.assignment import best_pairs


def by_trying_all(gains: np.ndarray) -> float:
    table = gains if gains.shape[0] <= gains.shape[1] else gains.T
    if not table.size:
        return 0.0
    rows = range(len(table))
    return max(sum(table[r, c] for r, c in zip(rows, columns, strict=True))
               for columns in itertools.permutations(range(table.shape[1]), len(table)))  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_best_pairing_is_found(n_rows: int, n_columns: int, seed: int) -> None:
    gains = np.random.default_rng(seed).integers(0, 6, (n_rows, n_columns)).astype(float)
    pairs = best_pairs(gains)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(gains[pair] > 0 for pair in pairs)
    assert sum(gains[pair] for pair in pairs) == by_trying_all(gains)
