"""How large a lattice is, and how much it leaves open.

In: a `Lattice`. Out: `LatticeStats`.

Public names: `LatticeStats`, `lattice_stats`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numba
import numpy as np

from wfst_hmm.lattice.lattice import Floats, Ints, Lattice
from wfst_hmm.lattice.nbest import best_hypothesis

__all__ = ["LatticeStats", "lattice_stats"]


@dataclasses.dataclass(frozen=True)
class LatticeStats:
    """Sizes of a lattice.

    Attributes
    ----------
    n_states, n_arcs, n_frames : int
        Frames: of the longest path.
    n_words : int
        Distinct words.
    log10_paths : float
        Logarithm of the number of paths; -inf where there is none.
    depth : float
        Arcs that cross a frame, on the average, as ``lattice-depth`` of Kaldi counts them.
    word_density : float
        Arcs with a word for each word of the best path (NaN when it has none).
    best_cost : float
        Nats; +inf where there is no path.
    beam : float
        Nats up to which nothing was pruned; +inf: not known.
    is_deterministic : bool
    """

    n_states: int
    n_arcs: int
    n_frames: int
    n_words: int
    log10_paths: float
    depth: float
    word_density: float
    best_cost: float
    beam: float
    is_deterministic: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the sizes, JSON-ready: what is not finite is None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in dataclasses.asdict(self).items()
        }


def lattice_stats(lattice: Lattice) -> LatticeStats:
    """Count and measure one lattice."""
    best = best_hypothesis(lattice)
    n_frames = max(0, int(lattice.frames().max(initial=0)))
    n_word_arcs = int((lattice.word > 0).sum())
    return LatticeStats(
        lattice.n_states, lattice.n_arcs, n_frames, len(np.unique(lattice.word[lattice.word > 0])),
        float(_log_paths(lattice.source, lattice.target, lattice.final)) / math.log(10),
        len(lattice.labels) / n_frames if n_frames else math.nan,
        n_word_arcs / len(best.words) if best and best.words else math.nan,
        best.total_cost if best else math.inf, lattice.beam, lattice.is_deterministic,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _log_paths(source: Ints, target: Ints, final: Floats) -> float:
    """Return the natural log of the number of paths; numbers alone would overflow."""
    log = np.where(final < np.inf, 0.0, -np.inf)
    for arc in range(len(source) - 1, -1, -1):
        high = max(log[source[arc]], log[target[arc]])
        low = min(log[source[arc]], log[target[arc]])
        if high > -np.inf:
            log[source[arc]] = high + np.log1p(np.exp(low - high))
    return float(log[0])
