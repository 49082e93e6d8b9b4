"""One segment of speech, searched while its scores still come in.

In: a `Graph` or a `CompactGraph`, and blocks of scores. Out: words so far, the end of the segment, at last `Decoded`
or `NoPath`; what is decided is put aside, so that memory does not grow with the segment.

Public names: `OnlineSearch`.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.backpointers import GraphPath
from wfst_hmm.search.begin import begin_search, graph_to_search, overruled
from wfst_hmm.search.decoded import decoded_from_labels
from wfst_hmm.search.dense import DenseSearch
from wfst_hmm.search.endpoints import Trail
from wfst_hmm.search.hmm_table import facts_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.quiet import quiet_part, without_words
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import reason_of
from wfst_hmm.search.unit_states import unit_states

__all__ = ["OnlineSearch"]

Ints = npt.NDArray[np.int32]
_SETTLE_EVERY = 25  # frames
_MOST_PARTS = 64  # settled stretches before they become one


class _Stretch(NamedTuple):
    """Part of a path: its arcs, state labels and words, and what it costs."""

    arcs: Ints
    labels: Ints
    words: Ints
    word_frames: Ints  # frames of the stretch before the arc of each word
    acoustic: float
    graph: float


class OnlineSearch:
    """A segment under way.

    Parameters
    ----------
    graph : Graph or CompactGraph
    options : SearchOptions
        ``retries`` do not matter: frames that are gone are not searched again.
    costs : WordCosts, optional
        Costs of words that the graph does not hold: boosted phrases, another language model.

    Attributes
    ----------
    n_frames : int
        Frames taken.
    """

    def __init__(
        self, graph: AnyGraph, options: SearchOptions, costs: WordCosts | None = None
    ) -> None:
        self._options = options = options.of(graph)
        self._costs = costs
        self._graph = graph = graph_to_search(graph, options, costs)
        self._search = begin_search(graph, options, costs)
        # silence beside it, where the graph cannot be silent by itself
        quiet = quiet_part(graph)
        self._quiet = None if quiet is None else OnlineSearch(quiet, options)
        self.n_frames = 0
        self._dead_frame: int | None = None
        self._silent = np.isin(graph.phones, graph.silence_phones)[graph.labels.phone]
        self._settled: list[_Stretch] = []
        self._settled_words: list[str] = []
        self._n_settled = 0  # frames
        self._open: collections.deque[npt.NDArray[np.float32]] = collections.deque()
        self._next_settling = _SETTLE_EVERY
        # what the trail needs of the settled arcs: silent frames at their end, any speech
        self._settled_silence = 0
        self._settled_speech = False

    @property
    def lost(self) -> bool:
        """Whether the last path has died; what comes now is not searched."""
        return self._search.lost_at is not None

    def advance(self, scores: Scores) -> None:
        """Search one block of frames."""
        self._search.advance(scores.array)
        taken = self._search.n_frames - self.n_frames
        self.n_frames += taken
        if self._quiet is not None:
            self._quiet.advance(Scores(scores.array[:taken], scores.frame_shift))
        if taken:
            self._open.append(scores.array[:taken])
        if self.lost and taken < scores.n_frames and self._dead_frame is None:
            if np.isneginf(scores.array[taken]).all():
                self._dead_frame = self.n_frames
            return
        if self.n_frames >= self._next_settling:
            self._settle()
            self._next_settling = self.n_frames + _SETTLE_EVERY

    def words(self) -> tuple[tuple[str, ...], int]:
        """Return the words of the best path so far, and how many of them will stay as they are."""
        path = self._search.path(final=False)
        olabels = self._graph.fst.arcs["olabel"][path.arcs]
        words = (*self._settled_words, *(self._graph.words[int(w)] for w in olabels if w))
        return words, len(self._settled_words)

    def trail(self, frame_shift: float) -> Trail:
        """Return what endpoint rules look at."""
        path = self._search.path(final=False)
        silent = self._silence_of(path.arcs, path.ends)
        sound = np.flatnonzero(~silent)
        trailing = len(silent) - 1 - int(sound[-1]) if len(sound) else len(silent)
        if not len(sound):
            trailing += self._settled_silence
        return Trail(
            self.n_frames * frame_shift, trailing * frame_shift,
            self._settled_speech or bool(len(sound)), self._search.path(final=True).cost - path.cost,
        )  # fmt: skip

    def acoustic_cost(self) -> float:
        """Return the acoustic cost of the best complete path so far, nats; +inf: none."""
        path = self._search.path(final=True)
        if path.cost == np.inf:
            return np.inf
        return sum(part.acoustic for part in self._settled) + self._read(path).acoustic

    def _silence_of(self, arcs: Ints, ends: Ints) -> npt.NDArray[np.bool_]:
        """Tell for each frame of open arcs whether it is silence."""
        labels = self._graph.fst.arcs["ilabel"][arcs]
        if not isinstance(self._graph, CompactGraph):
            return np.asarray(self._silent[labels[labels > 0] - 1])
        facts = facts_of(self._graph)
        first = facts.enter_label[facts.table.enter_start[labels[labels > 0] - 1]]
        lengths = np.diff(ends, prepend=np.int32(self._n_settled))
        return np.repeat(self._silent[first - 1], lengths[labels > 0])

    def _settle(self) -> None:
        """Put decided arcs aside with their costs; let the scores of their frames go."""
        arcs, ends = self._search.settle()
        if not len(arcs):
            return
        silent = self._silence_of(arcs, ends)
        part = self._read(GraphPath(0.0, arcs, ends, True))
        self._settled.append(part)
        if len(self._settled) > _MOST_PARTS:
            self._settled = [_joined(self._settled)]
        self._settled_words += [self._graph.words[int(w)] for w in part.words]
        self._n_settled += len(part.labels)
        left = len(part.labels)
        while left:
            block = self._open.popleft()
            if len(block) > left:
                self._open.appendleft(block[left:])
            left -= min(left, len(block))
        sound = np.flatnonzero(~silent)
        if len(sound):
            self._settled_speech = True
            self._settled_silence = len(silent) - 1 - int(sound[-1])
        else:
            self._settled_silence += len(silent)

    def _read(self, path: GraphPath) -> _Stretch:
        """Work out what open arcs stand for; final costs are not counted."""
        rows = self._graph.fst.arcs[path.arcs]
        speaks = rows["olabel"] > 0
        graph = float(rows["weight"].sum(dtype=np.float64))
        scale = self._options.scale
        if isinstance(self._graph, CompactGraph):
            facts = facts_of(self._graph)
            begins = np.concatenate([[self._n_settled], path.ends[:-1]]) - self._n_settled
            labels, acoustic, moves = unit_states(
                facts.table, facts.label, facts.enter_label, rows["ilabel"] - 1, path.ends,
                self._n_settled, self._open_scores(), scale, path.complete,
            )  # fmt: skip
            graph += moves
        else:
            emits = rows["ilabel"] > 0
            begins = np.cumsum(emits) - emits
            labels = np.ascontiguousarray(rows["ilabel"][emits])
            columns = self._graph.labels.column[labels - 1]
            picked = self._open_scores()[np.arange(len(columns)), columns]
            acoustic = -scale * float(picked.sum(dtype=np.float64))
        return _Stretch(path.arcs, labels, rows["olabel"][speaks],
                        begins[: len(rows)][speaks].astype(np.int32), acoustic, graph)  # fmt: skip

    def _open_scores(self) -> npt.NDArray[np.float32]:
        if not self._open:
            n_columns = int(self._graph.labels.column.max(initial=0)) + 1
            return np.zeros((0, n_columns), dtype=np.float32)
        if len(self._open) > 1:
            self._open = collections.deque([np.concatenate(self._open)])
        return self._open[0]

    def result(
        self, frame_shift: float, frame_offset: float | None = None, seconds: float | None = None
    ) -> Decoded | NoPath:
        """Return the best path of all frames, or why there is none, as far as can be told.

        Where silence before the first word explains all frames better, it has no words.

        Parameters
        ----------
        frame_shift, frame_offset, seconds
            As those of `Scores`.
        """
        timing = Scores(np.zeros((0, 1), dtype=np.float32), frame_shift, frame_offset, seconds)
        found = self._found(timing)
        silence = None
        if self._quiet is not None:
            silence = self._quiet.result(frame_shift, frame_offset, seconds)
        if isinstance(silence, Decoded):
            return without_words(silence, silence.total_cost, found)
        return found

    def _found(self, timing: Scores) -> Decoded | NoPath:
        path = self._search.path(final=True)
        if path.cost < np.inf:
            return self._decoded(path, timing, complete=True)
        partial = None
        if self.n_frames:
            path = self._search.path(final=False)
            if path.cost < np.inf:
                partial = self._decoded(path, timing, complete=False)
        return reason_of(
            self._graph, self._options, n_frames=self.n_frames, frame_shift=timing.frame_shift,
            dead_frame=self._dead_frame, lost_at=self._search.lost_at,
            pruned=self._search.n_pruned > 0, ended=not self.lost, partial=partial,
        )  # fmt: skip

    def _decoded(self, path: GraphPath, timing: Scores, *, complete: bool) -> Decoded:
        whole = _joined([*self._settled, self._read(path)])
        cost = whole.graph
        if complete:
            fst = self._graph.fst
            last = int(fst.arcs["nextstate"][whole.arcs[-1]]) if len(whole.arcs) else fst.start
            cost += float(fst.states["final"][last])
        if self._costs is not None:
            cost += self._costs.cost(whole.words.tolist(), complete=complete)
        name = "exact" if isinstance(self._search, DenseSearch) else "beam"
        return decoded_from_labels(
            self._graph, timing, whole.labels, whole.words, whole.word_frames, whole.arcs,
            whole.acoustic, cost, name, complete=complete,
            notes=overruled(self._search, self._options),
        )  # fmt: skip


def _joined(parts: Sequence[_Stretch]) -> _Stretch:
    """Return stretches that follow each other as one."""
    begins = np.cumsum([0, *(len(part.labels) for part in parts)])
    frames = [p.word_frames + np.int32(b) for p, b in zip(parts, begins, strict=False)]
    return _Stretch(
        np.concatenate([part.arcs for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.words for part in parts]), np.concatenate(frames),
        sum(part.acoustic for part in parts), sum(part.graph for part in parts),
    )  # fmt: skip
