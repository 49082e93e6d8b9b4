"""What a film shows of a recorded search: the best tokens of every frame and where they came from.

In: a `Recording` and its graph. Out: `Reel`: a tree of tokens small enough for a browser, the
frames' counts, and how much of the answer has settled.

Public names: `Reel`, `reel_of`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.recording import Recording
from wfst_hmm.graph.graph import Graph

__all__ = ["Reel", "reel_of"]

_BINS = 48  # rows of the picture of token density
_HEIGHT = 40.0  # nats above the best that are drawn at most

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Reel:
    """The part of a recording that is drawn.

    Attributes
    ----------
    before, frame, state, word : ndarray of int64, shape (n,)
        Of the tokens drawn: the token before (-1: none), frames behind it, graph state, word
        that was written on the way into it (0: none).
    row : ndarray of int64, shape (n,)
        Which of the rows of scores the token just passed; -1: none of them.
    above : ndarray of float64, shape (n,)
        Nats above the best token of its frame.
    paths : list of ndarray of int64
        For each number of frames, the best tokens, best first.
    settled : ndarray of int64, shape (T + 1,)
        The last token that all surviving paths share; nothing before it can change any more.
    n_active, n_reached, n_made : ndarray of int64, shape (T + 1,)
        Tokens within the beam, states reached, arcs followed.
    width : ndarray of float64, shape (T + 1,)
        Nats above the best at which tokens were cut; +inf: none.
    density : ndarray of float64, shape (rows, T + 1)
        Logarithms of token counts, by nats above the best.
    height : float
        Nats that the rows of `density` reach up to.
    """

    before: Ints
    frame: Ints
    state: Ints
    word: Ints
    row: Ints
    above: Floats
    paths: list[Ints]
    settled: Ints
    n_active: Ints
    n_reached: Ints
    n_made: Ints
    width: Floats
    density: Floats
    height: float


def reel_of(graph: Graph, recording: Recording, rows: Ints, n_paths: int) -> Reel:
    """Choose what to show.

    Parameters
    ----------
    graph : Graph
    recording : Recording
        Of this graph.
    rows : ndarray of int64
        Score columns that the picture has rows for.
    n_paths : int
        Paths to draw for each frame.
    """
    frame = recording.frame_of()
    n = recording.n_searched + 1
    best = np.minimum.reduceat(recording.cost, recording.first[:-1])
    above = recording.cost - best[frame]
    tops = [_best_of(recording, above, t, n_paths) for t in range(n)]
    back = _tokens_a_frame_back(recording, frame)
    settled = np.array([_common(recording, back, frame, t) for t in range(n)])
    wanted = np.zeros(len(frame), dtype=bool)
    wanted[settled] = True
    for numbers in tops:
        wanted[numbers] = True
    _with_ancestors(recording, wanted)
    chosen = np.flatnonzero(wanted)
    number = np.full(len(frame) + 1, -1, dtype=np.int64)  # the last one stands for "none"
    number[chosen] = np.arange(len(chosen))
    width = recording.cutoff - best
    height = _height(above[recording.is_kept])
    arcs = graph.fst.arcs[np.maximum(recording.arc[chosen], 0)]
    moved = recording.arc[chosen] >= 0
    return Reel(
        number[recording.before[chosen]], frame[chosen], recording.state[chosen],
        np.where(moved, arcs["olabel"], 0).astype(np.int64),
        np.where(moved, _rows_of(graph, arcs["ilabel"], rows), -1), above[chosen],
        [number[numbers] for numbers in tops], number[settled],
        np.add.reduceat(recording.is_kept.astype(np.int64), recording.first[:-1]),
        np.diff(recording.first), recording.n_made, width,
        _density(above, frame, n, height), height,
    )  # fmt: skip


def _best_of(recording: Recording, above: Floats, t: int, n_paths: int) -> Ints:
    first, end = int(recording.first[t]), int(recording.first[t + 1])
    kept = first + np.flatnonzero(recording.is_kept[first:end])
    best: Ints = kept[np.argsort(above[kept], kind="stable")[:n_paths]]
    return best


def _tokens_a_frame_back(recording: Recording, frame: Ints) -> Ints:
    """Return for each token the token of the frame before that it came from; -1: none."""
    back: Ints = recording.before.copy()
    while True:  # epsilons lead back within the frame
        inside = (back >= 0) & (frame[back] == frame)
        if not inside.any():
            return back
        back[inside] = recording.before[back[inside]]


def _common(recording: Recording, back: Ints, frame: Ints, t: int) -> int:
    """Return the last token that all tokens kept after `t` frames descend from."""
    first, end = int(recording.first[t]), int(recording.first[t + 1])
    alive = first + np.flatnonzero(recording.is_kept[first:end])
    while len(alive) > 1 and frame[alive[0]] > 0:
        alive = np.unique(back[alive])
    return int(alive[0]) if len(alive) == 1 else 0  # the start is everyone's


def _with_ancestors(recording: Recording, wanted: npt.NDArray[np.bool_]) -> None:
    """Mark the ancestors of all tokens that are marked."""
    for t in range(recording.n_searched, -1, -1):
        first, end = int(recording.first[t]), int(recording.first[t + 1])
        now = first + np.flatnonzero(wanted[first:end])
        while len(now):  # back over epsilons, into the frame before
            now = np.unique(recording.before[now])
            now = now[now >= 0]
            now = now[~wanted[now]]
            wanted[now] = True
            now = now[now >= first]


def _rows_of(graph: Graph, labels: npt.NDArray[np.int32], rows: Ints) -> Ints:
    row_of = np.full(int(graph.labels.column.max(initial=0)) + 1, -1, dtype=np.int64)
    inside = rows[rows < len(row_of)]
    row_of[inside] = np.arange(len(inside))
    columns = graph.labels.column[np.maximum(labels, 1) - 1]
    return np.where(labels > 0, row_of[columns], -1)


def _height(above: Floats) -> float:
    highest = float(above.max(initial=0.0))
    return min(max(highest * 1.05, 1.0), _HEIGHT)


def _density(above: Floats, frame: Ints, n: int, height: float) -> Floats:
    row = np.floor(above / height * _BINS)
    inside = row < _BINS
    counts = np.zeros((_BINS, n))
    np.add.at(counts, (row[inside].astype(np.int64), frame[inside]), 1.0)
    return np.asarray(np.log1p(counts))
