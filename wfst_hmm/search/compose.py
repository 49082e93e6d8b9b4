"""The search as the theory has it: scores as an acceptor, composed with the graph by OpenFst.

In: graph and scores. Out: the shortest path of the composition. Slow and short, and made of
other people's code: the measure for the other two.

Public names: `ComposedPath`, `compose_path`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.sausage import sausage
from wfst_hmm.search.prepare import check_scores, plan_of

__all__ = ["ComposedPath", "compose_path"]


class ComposedPath(NamedTuple):
    """The path of least cost, by labels.

    Attributes
    ----------
    cost : float
        Nats, +inf when there is no path (the arrays are then empty).
    labels : ndarray of int32, shape (T,)
        State label of each frame.
    words : ndarray of int32, shape (n,)
        Output labels.
    word_frames : ndarray of int32, shape (n,)
        Number of frames emitted before each of them.
    """

    cost: float
    labels: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    word_frames: npt.NDArray[np.int32]


def compose_path(
    fst: Fst,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    *,
    acoustic_scale: float = 1.0,
) -> ComposedPath:
    """Return the cheapest path through ``scores ∘ graph``.

    Parameters
    ----------
    fst, scores, columns, acoustic_scale
        As for `wfst_hmm.search.exact.viterbi_path`.

    Notes
    -----
    Mohri, Pereira & Riley (2008), section 2: U ∘ HCLG and its shortest path.
    """
    plan = plan_of(fst)
    check_scores(plan, scores, columns)
    used = columns[: plan.n_labels]
    frames = sausage(scores * np.float32(acoustic_scale), used)
    line = ops.shortest_path(ops.compose(frames, fst.with_symbols(None, fst.osymbols)))
    labels: list[int] = []
    words: list[int] = []
    word_frames: list[int] = []
    cost = np.inf
    if line.n_states:
        state, cost = line.start, 0.0
        while line.states["n_arcs"][state]:
            arc = line.arcs_of(state)[0]
            if arc["olabel"]:
                words.append(int(arc["olabel"]))
                word_frames.append(len(labels))
            if arc["ilabel"]:
                labels.append(int(arc["ilabel"]))
            cost += float(arc["weight"])
            state = int(arc["nextstate"])
        cost += float(line.states["final"][state])
    return ComposedPath(
        cost,
        np.array(labels, dtype=np.int32),
        np.array(words, dtype=np.int32),
        np.array(word_frames, dtype=np.int32),
    )
