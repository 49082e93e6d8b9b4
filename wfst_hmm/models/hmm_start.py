"""Emissions to start HMM training from.

In: concatenated sequences and a chain. Out: a bank whose states already differ.

Public names: `start_bank`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.bank import Bank
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.clusters import bank_of_clusters, kmeans

__all__ = ["start_bank"]

Array = npt.NDArray[np.float64]

_START_FRAMES = 20_000  # k-means looks at no more than these


def start_bank(
    chain: Chain,
    x: Array,
    bounds: npt.NDArray[np.int64],
    n_mixtures: int,
    floor: Array,
    rng: np.random.Generator,
    *,
    full: bool,
) -> Bank:
    """Return mixtures made from the data.

    Left-to-right chains: every sequence is cut into as many equal parts as there are states
    (Rabiner & Juang 1993, figure 6.14); others: k-means gives each state a cluster. Within a
    state k-means makes the components.
    """
    if chain.is_left_to_right:
        lengths = np.diff(bounds)
        within = np.arange(len(x)) - np.repeat(bounds[:-1], lengths)
        states = within * chain.n_states // np.repeat(lengths, lengths)
    else:
        if len(x) > _START_FRAMES:
            x = x[np.sort(rng.choice(len(x), _START_FRAMES, replace=False))]
        states = kmeans(x, chain.n_states, rng)
    banks = []
    for state in range(chain.n_states):
        own = x[states == state]
        if not len(own):
            own = x
        if len(own) > _START_FRAMES:
            own = own[np.sort(rng.choice(len(own), _START_FRAMES, replace=False))]
        labels = kmeans(own, n_mixtures, rng)
        banks.append(bank_of_clusters(own, labels, n_mixtures, floor, full=full))
    return Bank(
        np.concatenate([b.weights for b in banks]),
        np.concatenate([b.means for b in banks]),
        np.concatenate([b.covars for b in banks]),
    )
