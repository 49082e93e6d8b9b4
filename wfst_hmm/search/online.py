"""One segment of speech, searched while its scores still come in.

In: a `Graph` and blocks of scores. Out: words so far, the end of the segment, at last `Decoded`
or `NoPath`; what is decided is put aside, so that memory does not grow with the segment.

Public names: `OnlineSearch`, `decode_with_costs`.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.decoded import decoded_from_labels
from wfst_hmm.search.endpoints import Trail
from wfst_hmm.search.fused import FusedSearch
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import min_frames
from wfst_hmm.search.result import Decoded, NoPath

__all__ = ["OnlineSearch", "decode_with_costs"]

Ints = npt.NDArray[np.int32]
_SETTLE_EVERY = 50  # frames


class OnlineSearch:
    """A segment under way.

    Parameters
    ----------
    graph : Graph
    options : SearchOptions
        ``search`` and ``retries`` do not matter: frames that are gone are not searched again.
    costs : WordCosts, optional
        Costs of words that the graph does not hold: boosted phrases, another language model.

    Attributes
    ----------
    n_frames : int
        Frames taken.
    """

    def __init__(
        self, graph: Graph, options: SearchOptions, costs: WordCosts | None = None
    ) -> None:
        self._graph = graph
        self._options = options
        self._costs = costs
        columns = graph.labels.column
        self._search: BeamSearch | FusedSearch
        if costs is None:
            self._search = BeamSearch(graph.fst, columns, options)
        else:
            self._search = FusedSearch(graph.fst, columns, costs, options)
        self.n_frames = 0
        self._dead_frame: int | None = None
        self._silent = np.isin(graph.phones, graph.silence_phones)[graph.labels.phone]
        self._settled: list[Ints] = []
        self._settled_words: list[str] = []
        self._n_settled = 0  # frames
        self._settled_cost = 0.0  # acoustic
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
        if taken:
            self._open.append(scores.array[:taken])
        if self.lost and taken < scores.n_frames and self._dead_frame is None:
            if np.isneginf(scores.array[taken]).all():
                self._dead_frame = self.n_frames
            return
        if self.n_frames >= self._next_settling:
            self._settle(self._search.settle())
            self._next_settling = self.n_frames + _SETTLE_EVERY

    def words(self) -> tuple[tuple[str, ...], int]:
        """Return the words of the best path so far, and how many of them will stay as they are."""
        _, arcs = self._search.path(final=False)
        olabels = self._graph.fst.arcs["olabel"][arcs]
        words = (*self._settled_words, *(self._graph.words[int(w)] for w in olabels if w))
        return words, len(self._settled_words)

    def trail(self, frame_shift: float) -> Trail:
        """Return what endpoint rules look at."""
        best, arcs = self._search.path(final=False)
        final, _ = self._search.path(final=True)
        silent = self._silence_of(arcs)
        sound = np.flatnonzero(~silent)
        trailing = len(silent) - 1 - int(sound[-1]) if len(sound) else len(silent)
        if not len(sound):
            trailing += self._settled_silence
        return Trail(
            self.n_frames * frame_shift, trailing * frame_shift,
            self._settled_speech or bool(len(sound)), final - best,
        )  # fmt: skip

    def _silence_of(self, arcs: Ints) -> npt.NDArray[np.bool_]:
        labels = self._graph.fst.arcs["ilabel"][arcs]
        return np.asarray(self._silent[labels[labels > 0] - 1])

    def _settle(self, arcs: Ints) -> None:
        """Put arcs aside with their costs; let the scores of their frames go."""
        if not len(arcs):
            return
        rows = self._graph.fst.arcs[arcs]
        labels = rows["ilabel"][rows["ilabel"] > 0]
        self._settled_cost += self._acoustic_cost(labels)
        self._settled.append(arcs)
        self._n_settled += len(labels)
        self._settled_words += [self._graph.words[int(w)] for w in rows["olabel"] if w]
        left = len(labels)
        while left:
            block = self._open.popleft()
            if len(block) > left:
                self._open.appendleft(block[left:])
            left -= min(left, len(block))
        silent = self._silence_of(arcs)
        sound = np.flatnonzero(~silent)
        if len(sound):
            self._settled_speech = True
            self._settled_silence = len(silent) - 1 - int(sound[-1])
        else:
            self._settled_silence += len(silent)

    def _acoustic_cost(self, labels: Ints) -> float:
        """Return the acoustic cost of the first open frames under these labels."""
        columns = self._graph.labels.column[labels - 1]
        total, at = 0.0, 0
        for block in self._open:
            here = columns[at : at + len(block)]
            picked = block[np.arange(len(here)), here]
            total += float(picked.sum(dtype=np.float64))
            at += len(here)
            if at == len(columns):
                break
        return -self._options.acoustic_scale * total

    def acoustic_cost(self) -> float:
        """Return the acoustic cost of the best complete path so far, nats; +inf: none."""
        cost, arcs = self._search.path()
        if cost == np.inf:
            return np.inf
        labels = self._graph.fst.arcs["ilabel"][arcs]
        return self._settled_cost + self._acoustic_cost(labels[labels > 0])

    def result(self, frame_shift: float) -> Decoded | NoPath:
        """Return the best path of all frames, or why there is none, as far as can be told."""
        cost, arcs = self._search.path()
        if cost < np.inf:
            return self._decoded(arcs, frame_shift, complete=True)
        fewest = min_frames(self._graph.fst)
        n = self.n_frames
        if fewest is None:
            return NoPath("empty_graph", "no path of the graph leads to a final state", n)
        if n < fewest and not self.lost:
            detail = f"{n} frames, but the shortest path through the graph takes {fewest}"
            return NoPath("too_few_frames", detail, n, fewest)
        partial = None
        if n:
            cost, arcs = self._search.path(final=False)
            partial = self._decoded(arcs, frame_shift, complete=False) if cost < np.inf else None
        if self._dead_frame is not None:
            detail = (f"all scores of frame {self._dead_frame} "
                      f"({self._dead_frame * frame_shift:.2f} s) are -inf")  # fmt: skip
            return NoPath("dead_frame", detail, n, fewest, partial)
        if self._search.n_pruned:
            detail = (f"pruning lost every complete path at beam {self._options.beam:g} and "
                      f"max_active {self._options.max_active}")  # fmt: skip
            return NoPath("beam_cut", detail, n, fewest, partial)
        if self.lost:
            detail = f"no arc of the graph fits the scores of frame {n} ({n * frame_shift:.2f} s)"
            return NoPath("no_match", detail, n, fewest, partial)
        detail = f"no path through all {n} frames ends in a final state"
        return NoPath("not_final", detail, n, fewest, partial)

    def _decoded(self, arcs: Ints, frame_shift: float, *, complete: bool) -> Decoded:
        rows = self._graph.fst.arcs[arcs]
        acoustic = self._settled_cost + self._acoustic_cost(rows["ilabel"][rows["ilabel"] > 0])
        whole = np.concatenate([*self._settled, arcs])
        rows = self._graph.fst.arcs[whole]
        emits, speaks = rows["ilabel"] > 0, rows["olabel"] > 0
        words = rows["olabel"][speaks]
        cost = float(rows["weight"].sum(dtype=np.float64))
        if complete:
            last = int(rows["nextstate"][-1]) if len(rows) else self._graph.fst.start
            cost += float(self._graph.fst.states["final"][last])
        if self._costs is not None:
            cost += self._costs.cost(words.tolist(), complete=complete)
        times_only = Scores(np.zeros((0, 1), dtype=np.float32), frame_shift)
        return decoded_from_labels(
            self._graph, times_only, np.ascontiguousarray(rows["ilabel"][emits]), words,
            (np.cumsum(emits) - emits)[speaks], whole, acoustic, cost, "beam", complete=complete,
        )  # fmt: skip


def decode_with_costs(
    graph: Graph, scores: Scores, costs: WordCosts, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Return the best path of whole scores through graph and word machines.

    As `search.decode.decode_beam`: with wider beams when pruning lost every path.
    """
    options = options or SearchOptions()
    notes: tuple[str, ...] = ()
    for attempt in range(options.retries + 1):
        search = OnlineSearch(graph, options, costs)
        search.advance(scores)
        result = search.result(scores.frame_shift)
        if isinstance(result, Decoded):
            return dataclasses.replace(result, notes=(*notes, *result.notes))
        if result.reason != "beam_cut" or attempt == options.retries:
            break
        options = options.replace(beam=2 * options.beam, max_active=2 * options.max_active)
        notes = (f"every path was lost; found with the beam widened to {options.beam:g}",)
    return result
