"""What a person should look at after a stage of training: states, silence, odd utterances.

In: the last alignment and the scores of its frames. Out: `Diagnostics`, JSON-ready, kept in the
model's ``info``.

Public names: `Diagnostics`, `diagnose`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.mixtures import MixtureSet

__all__ = ["Diagnostics", "diagnose"]

_N_WORST = 30


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """Facts about one stage.

    Attributes
    ----------
    occupancy : tuple of float
        Frames of every tied state.
    silence_share : float
        Share of the frames that lie in silence.
    log_likelihood : float
        Acoustic, a frame.
    worst : tuple of (str, float, float)
        Utterances whose frames fit least: id, acoustic log-likelihood a frame below the mean of
        their speaker, share of silence. Often their transcripts are wrong.
    speakers : tuple of (str, int, float)
        Speaker, frames, acoustic log-likelihood a frame.
    unaligned : tuple of str
        Utterances without a path.
    """

    occupancy: tuple[float, ...]
    silence_share: float
    log_likelihood: float
    worst: tuple[tuple[str, float, float], ...]
    speakers: tuple[tuple[str, int, float], ...]
    unaligned: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the values, JSON-ready."""
        return dataclasses.asdict(self)


def diagnose(
    mixtures: MixtureSet,
    frames: npt.NDArray[np.float32],
    states: npt.NDArray[np.int64],
    silent: npt.NDArray[np.bool_],
    borders: npt.NDArray[np.int64],
    ids: Sequence[str],
    speakers: Sequence[str],
) -> Diagnostics:
    """Return the facts about an alignment.

    Parameters
    ----------
    mixtures : MixtureSet
    frames : ndarray, shape (F, D)
    states : ndarray of int64, shape (F,)
        Tied state of each frame, -1 in utterances without a path.
    silent : ndarray of bool, shape (S,)
    borders : ndarray of int64, shape (U + 1,)
    ids, speakers : sequences of str, length U
    """
    rows: list[tuple[str, str, int, float, float]] = []
    unaligned = []
    for id_, speaker, (a, b) in zip(ids, speakers, itertools.pairwise(borders), strict=True):
        own = states[int(a) : int(b)]
        if (own < 0).any():
            unaligned.append(id_)
            continue
        total = mixtures.accumulate(frames[int(a) : int(b)], own, mixtures.empty_stats())
        rows.append((id_, speaker, len(own), total, float(silent[own].mean())))
    counts: dict[str, int] = {}
    sums: dict[str, float] = {}
    for _, speaker, n, total, _ in rows:
        counts[speaker] = counts.get(speaker, 0) + n
        sums[speaker] = sums.get(speaker, 0.0) + total
    below = [(id_, sums[s] / counts[s] - total / n, quiet) for id_, s, n, total, quiet in rows]
    below.sort(key=lambda row: -row[1])
    used = states[states >= 0]
    n_frames = max(len(used), 1)
    return Diagnostics(
        tuple(np.bincount(used, minlength=mixtures.n_states).astype(float).tolist()),
        float(silent[used].sum() / n_frames),
        float(sum(sums.values()) / n_frames),
        tuple(below[:_N_WORST]),
        tuple((s, counts[s], sums[s] / counts[s]) for s in counts),
        tuple(unaligned),
    )
