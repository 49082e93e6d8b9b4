"""The last word on who speaks when: a Viterbi search over an ergodic transducer of speakers.

In: the score of every frame for every speaker. Out: the speaker of every frame, each holding
the floor for a minimum time.

Public names: `speaker_graph`, `viterbi_speakers`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.search.exact import viterbi_path

__all__ = ["speaker_graph", "viterbi_speakers"]


def speaker_graph(speakers: tuple[str, ...], min_frames: int, switch_cost: float) -> Fst:
    """Return the transducer: label k + 1 reads a frame of speaker k, their name is written once.

    From the start, which is also where turns end, a chain of `min_frames` states leads through
    each speaker; the last of them repeats.

    Parameters
    ----------
    speakers : tuple of str
    min_frames : int
        Frames of a turn at least.
    switch_cost : float
        Nats for entering a turn, on top of the choice among speakers (all alike).

    Examples
    --------
    >>> speaker_graph(("anna", "bert"), 3, 1.0)
    Fst(7 states, 10 arcs, start 0)
    """
    if min_frames < 1:
        raise UsageError("min_frames", got=min_frames, expected="1 or more")
    n = len(speakers)
    enter = math.log(n) + switch_cost
    rows: list[tuple[int, int, int, float, int]] = []
    for k in range(n):
        first = 1 + k * min_frames
        last = first + min_frames - 1
        rows.append((0, k + 1, k + 1, enter, first))
        rows += [(state, k + 1, 0, 0.0, state + 1) for state in range(first, last)]
        rows.append((last, k + 1, 0, 0.0, last))
        rows.append((last, 0, 0, 0.0, 0))
    source, ilabel, olabel, weight, target = zip(*rows, strict=True)
    # A recording may end in the middle of a turn, so that every state is final.
    names = Symbols(speakers)
    return Fst.from_arcs(0, source, ilabel, olabel, weight, target,
                         np.zeros(1 + n * min_frames), names, names)  # fmt: skip


def viterbi_speakers(
    scores: npt.NDArray[np.float32],
    *,
    min_frames: int,
    switch_cost: float,
    block: int = 1,
) -> npt.NDArray[np.intp]:
    """Return the speaker of each frame on the cheapest path, shape (N,).

    Parameters
    ----------
    scores : ndarray of float32, shape (K, N)
        Log-likelihoods.
    min_frames : int
        Length of a turn at least; the last may be cut.
    switch_cost : float
        Nats for every turn.
    block : int
        Frames that are decided together: the search is that much faster and coarser.

    Notes
    -----
    Rabiner (1989), section III.B; minimum durations by chains of states as in Ajmera &
    Wooters (2003).
    """
    n_speakers, n = scores.shape
    if n_speakers == 1 or n == 0:
        return np.zeros(n, dtype=np.intp)
    starts = np.arange(0, n, block)
    summed = np.ascontiguousarray(np.add.reduceat(scores, starts, axis=1).T, dtype=np.float32)
    least = max(1, round(min_frames / block))
    graph = speaker_graph(tuple(f"s{k}" for k in range(n_speakers)), least, switch_cost)
    columns = np.arange(n_speakers, dtype=np.int32)
    _, path = viterbi_path(graph, summed, columns)
    labels = graph.arcs["ilabel"][path]
    speakers = labels[labels > 0].astype(np.intp) - 1
    return np.repeat(speakers, np.diff(np.append(starts, n)))
