"""Lattices: many hypotheses of one utterance in one acyclic graph.

In: arrays of states and arcs. Out: `Lattice`, with the sums that everything else rests on.

Public names: `Lattice`, `lattice_from_rows`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen
from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.signal.features import frame_times

__all__ = ["Lattice", "lattice_from_rows"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Lattice(Frozen):
    """An acyclic graph of hypotheses; costs are split, alignments are kept.

    State 0 is the start, arcs go from lower to higher states and are sorted by source.

    Attributes
    ----------
    source, target : ndarray of int32, shape (A,)
    word : ndarray of int32, shape (A,)
        Index into `words`, 0 for none.
    graph_cost, acoustic_cost : ndarray of float64, shape (A,)
        Nats; acoustic costs are scaled as they were in the search.
    labels : ndarray of int32
        State labels of all arcs one after another, one label per frame.
    label_start : ndarray of int64, shape (A + 1,)
        The labels of arc ``a`` are ``labels[label_start[a] : label_start[a + 1]]``.
    final : ndarray of float64, shape (N,)
        Final (graph) cost of each state, +inf where it is not final.
    words : Symbols
    frame_shift : float
        Seconds per frame.
    is_deterministic : bool
        Whether each word sequence has at most one path.
    beam : float
        Nats: every hypothesis of the search within this of the best one is in the lattice;
        +inf: it comes from elsewhere, or its costs are others by now, and all that it has counts.
    frame_offset : float
        Seconds that the boundary before frame t lies behind ``t * frame_shift``.
    seconds : float or None
        Duration of the audio; None: that of the frames' windows.
    """

    source: Ints
    target: Ints
    word: Ints
    graph_cost: Floats
    acoustic_cost: Floats
    labels: Ints
    label_start: npt.NDArray[np.int64]
    final: Floats
    words: Symbols
    frame_shift: float = 0.01
    is_deterministic: bool = False
    beam: float = np.inf
    frame_offset: float = 0.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = value.view()  # the caller's own array stays writeable
                value.flags.writeable = False
                object.__setattr__(self, field.name, value)

    @property
    def n_states(self) -> int:
        """Number of states N."""
        return len(self.final)

    @property
    def n_arcs(self) -> int:
        """Number of arcs A."""
        return len(self.source)

    @property
    def cost(self) -> Floats:
        """Graph and acoustic cost of each arc together, shape (A,)."""
        return self.graph_cost + self.acoustic_cost

    def __repr__(self) -> str:
        kind = "deterministic" if self.is_deterministic else "raw"
        return f"Lattice({self.n_states} states, {self.n_arcs} arcs, {kind})"

    def labels_of(self, arc: int) -> Ints:
        """Return the state labels of one arc, one per frame."""
        return self.labels[self.label_start[arc] : self.label_start[arc + 1]]

    def first_arcs(self) -> npt.NDArray[np.int64]:
        """Return where the arcs of each state begin, shape (N + 1,)."""
        return np.searchsorted(self.source, np.arange(self.n_states + 1)).astype(np.int64)

    def frames(self) -> Ints:
        """Return the number of frames behind each state, shape (N,); -1: not reached.

        All paths to a state of a search's own lattice are equally long. After
        determinization they may differ; then it is the longest.
        """
        lengths = np.diff(self.label_start)
        longest: Ints = _longest(self.source, self.target, lengths, self.n_states)
        return longest

    @property
    def timing(self) -> dict[str, Any]:
        """What another lattice of the same frames shares: shift, offset, duration."""
        return {name: getattr(self, name) for name in ("frame_shift", "frame_offset", "seconds")}

    def frame_times(self) -> Floats:
        """Return when each frame begins and the last one ends, seconds, shape (T + 1,)."""
        n_frames = max(int(self.frames().max(initial=0)), 0)
        return frame_times(n_frames, self.frame_shift, self.frame_offset, self.seconds)

    def forward(self) -> Floats:
        """Return the cost of the cheapest path from the start to each state, shape (N,)."""
        best: Floats = _best_forward(self.source, self.target, self.cost, self.n_states)
        return best

    def backward(self) -> Floats:
        """Return the cost of the cheapest path from each state to an end, shape (N,)."""
        best: Floats = _best_backward(self.source, self.target, self.cost, self.final)
        return best

    def best_arcs(self) -> npt.NDArray[np.int64]:
        """Return the arcs of the cheapest path; none where the start ends it, or none exists."""
        rest, cost, first = self.backward(), self.cost, self.first_arcs()
        path: list[int] = []
        state = 0
        while True:
            arcs = slice(int(first[state]), int(first[state + 1]))
            through = cost[arcs] + rest[self.target[arcs]]
            if not len(through) or self.final[state] <= through.min():
                return np.array(path, dtype=np.int64)
            path.append(arcs.start + int(through.argmin()))
            state = int(self.target[path[-1]])

    def select(self, keep: npt.NDArray[np.bool_], **changes: Any) -> Lattice:
        """Return the lattice of the arcs in `keep`, less the states that hang loose then.

        Parameters
        ----------
        keep : ndarray of bool, shape (A,)
        changes
            Other values for fields that do not follow from the arcs.
        """
        final = changes.pop("final", self.final)
        alive = _on_a_path(self.source, self.target, keep, final)
        alive[0] = True
        keep = keep & alive[self.source] & alive[self.target]
        number = np.cumsum(alive) - 1
        lengths = np.diff(self.label_start)
        pieces = np.repeat(keep, lengths)
        return dataclasses.replace(
            self,
            source=number[self.source[keep]].astype(np.int32),
            target=number[self.target[keep]].astype(np.int32),
            word=self.word[keep],
            graph_cost=self.graph_cost[keep],
            acoustic_cost=self.acoustic_cost[keep],
            labels=self.labels[pieces],
            label_start=np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64),
            final=final[alive],
            **changes,
        )

    def pruned(self, beam: float) -> Lattice:
        """Return the lattice of the paths within `beam` nats of the best one.

        Every arc and final state that is left lies on such a path.

        Raises
        ------
        UsageError
            The beam is negative or NaN.
        """
        if not beam >= 0:
            raise UsageError("a beam must not be negative", where="beam", got=beam)
        forward, backward = self.forward(), self.backward()
        limit = backward[0] + beam + 1e-9 * max(1.0, abs(float(backward[0])))
        through = forward[self.source] + self.cost + backward[self.target]
        final = np.where(forward + self.final <= limit, self.final, np.inf)
        return self.select(through <= limit, final=final, beam=min(beam, self.beam))

    def reweighted(
        self, *, graph_scale: float = 1.0, acoustic_scale: float = 1.0, word_penalty: float = 0.0
    ) -> Lattice:
        """Return the lattice with other costs: scaled, and each word charged a penalty.

        Kaldi's LM weight w is ``graph_scale=w`` (or ``acoustic_scale=1/w``: the same order of
        paths), its word insertion penalty is `word_penalty`.

        Parameters
        ----------
        graph_scale, acoustic_scale : float
            Not negative. Every word sequence keeps the path that the search chose for it.
        word_penalty : float
            Nats for each word, may be negative; part of the graph cost.

        Raises
        ------
        UsageError
            A scale is negative, or a number is not finite.
        """
        for name, value in (("graph_scale", graph_scale), ("acoustic_scale", acoustic_scale)):
            if not 0 <= value < np.inf:
                raise UsageError("a scale below zero, or not finite", where=name, got=value)
        if not np.isfinite(word_penalty):
            raise UsageError("a penalty must be finite", where="word_penalty", got=word_penalty)
        ends = np.isfinite(self.final)
        return dataclasses.replace(
            self,
            graph_cost=graph_scale * self.graph_cost + word_penalty * (self.word > 0),
            acoustic_cost=acoustic_scale * self.acoustic_cost,
            final=np.where(ends, graph_scale * np.where(ends, self.final, 0.0), np.inf),
            beam=np.inf,
        )


def lattice_from_rows(
    rows: list[tuple[int, int, int, float, float, Ints]],
    final: npt.ArrayLike,
    words: Symbols,
    **more: Any,
) -> Lattice:
    """Build a lattice from (source, target, word, graph cost, acoustic cost, labels) rows.

    States may be numbered in any topological order from 0; a `GraphError` says where an arc
    leads backwards.
    """
    rows = sorted(rows, key=lambda row: (row[0], row[1], row[2]))
    for source, target, *_ in rows:
        if source >= target:
            raise GraphError("a lattice arc leads backwards", got=f"{source} -> {target}",
                             fix="Number the states topologically.")  # fmt: skip
    lengths = [len(row[5]) for row in rows]
    return Lattice(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.int32),
        np.array([row[2] for row in rows], dtype=np.int32),
        np.array([row[3] for row in rows], dtype=np.float64),
        np.array([row[4] for row in rows], dtype=np.float64),
        np.concatenate([np.zeros(0, np.int32), *(row[5] for row in rows)]).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array(final, dtype=np.float64),
        words,
        **more,
    )


@numba.njit(cache=True, nogil=True)
def _best_forward(source: Ints, target: Ints, cost: Floats, n_states: int) -> Floats:
    best = np.full(n_states, np.inf)
    best[0] = 0.0
    for arc in range(len(source)):
        best[target[arc]] = min(best[target[arc]], best[source[arc]] + cost[arc])
    return best


@numba.njit(cache=True, nogil=True)
def _best_backward(source: Ints, target: Ints, cost: Floats, final: Floats) -> Floats:
    best: Floats = final.copy()
    for arc in range(len(source) - 1, -1, -1):
        best[source[arc]] = min(best[source[arc]], cost[arc] + best[target[arc]])
    return best


@numba.njit(cache=True, nogil=True)
def _longest(source: Ints, target: Ints, lengths: npt.NDArray[np.int64], n_states: int) -> Ints:
    frames = np.full(n_states, -1, dtype=np.int32)
    frames[0] = 0
    for arc in range(len(source)):
        if frames[source[arc]] >= 0:
            behind = frames[source[arc]] + lengths[arc]
            frames[target[arc]] = max(frames[target[arc]], behind)
    return frames


@numba.njit(cache=True, nogil=True)
def _on_a_path(
    source: Ints, target: Ints, keep: npt.NDArray[np.bool_], final: Floats
) -> npt.NDArray[np.bool_]:
    """Tell which states are both reached from the start and lead to a final state."""
    reached = np.zeros(len(final), dtype=np.bool_)
    reached[0] = True
    for arc in range(len(source)):
        if keep[arc] and reached[source[arc]]:
            reached[target[arc]] = True
    leads = final < np.inf
    for arc in range(len(source) - 1, -1, -1):
        if keep[arc] and leads[target[arc]]:
            leads[source[arc]] = True
    alive: npt.NDArray[np.bool_] = reached & leads
    return alive
