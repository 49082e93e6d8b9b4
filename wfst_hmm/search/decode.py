"""Decode one utterance: run a search, build the answer, or say why there is none.

In: `Graph`, `Scores`, `SearchOptions`. Out: `Decoded` or `NoPath`; `CrossCheck` for all three
searches side by side.

Public names: `decode`, `decode_beam`, `decode_exact`, `decode_compose`, `decoded_from_arcs`,
`decoded_from_labels`, `cross_check`, `CrossCheck`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.align import phone_segments, word_segments
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SEARCHES, SearchOptions
from wfst_hmm.search.prepare import min_frames
from wfst_hmm.search.result import Decoded, NoPath, Word

__all__ = [
    "CrossCheck",
    "cross_check",
    "decode",
    "decode_beam",
    "decode_compose",
    "decode_exact",
    "decoded_from_arcs",
    "decoded_from_labels",
]

#: States times frames up to which an exact search settles whether a path exists.
_AFFORDABLE = 200_000_000
#: Two total costs within this share of each other count as equal.
_SAME_COST = 1e-4


def decode(graph: Graph, scores: Scores, options: SearchOptions | None = None) -> Decoded | NoPath:
    """Return the best path of `scores` through `graph`, or the reason why there is none.

    Parameters
    ----------
    graph : Graph
    scores : Scores
    options : SearchOptions, optional
        ``options.search`` says which of the three searches.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has an epsilon cycle of negative cost, or no states.
    """
    options = options or SearchOptions()
    return _SEARCHES[options.search](graph, scores, options)


def decode_exact(
    graph: Graph, scores: Scores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by the Viterbi algorithm over all states (`wfst_hmm.search.exact`)."""
    options = options or SearchOptions()
    cost, arcs = viterbi_path(
        graph.fst, scores.array, graph.labels.column, acoustic_scale=options.acoustic_scale
    )
    if cost == np.inf:
        return _why_not(graph, scores, options)
    return decoded_from_arcs(graph, scores, arcs, options.acoustic_scale, "exact")


def decode_compose(
    graph: Graph, scores: Scores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by composition in OpenFst (`wfst_hmm.search.compose`)."""
    from wfst_hmm.search.compose import compose_path  # loads OpenFst

    options = options or SearchOptions()
    path = compose_path(
        graph.fst, scores.array, graph.labels.column, acoustic_scale=options.acoustic_scale
    )
    if path.cost == np.inf:
        return _why_not(graph, scores, options)
    acoustic = _acoustic_cost(graph, scores, path.labels, options.acoustic_scale)
    return decoded_from_labels(
        graph, scores, path.labels, path.words, path.word_frames,
        np.zeros(0, dtype=np.int32), acoustic, path.cost - acoustic, "compose",
    )  # fmt: skip


def decode_beam(
    graph: Graph, scores: Scores, options: SearchOptions | None = None
) -> Decoded | NoPath:
    """Decode by beam search, with wider beams when pruning lost every path."""
    options = options or SearchOptions()
    notes: tuple[str, ...] = ()
    for attempt in range(options.retries + 1):
        search = BeamSearch(graph.fst, graph.labels.column, options)
        search.advance(scores.array)
        cost, arcs = search.path()
        if cost < np.inf:
            return decoded_from_arcs(
                graph, scores, arcs, options.acoustic_scale, "beam", notes=notes
            )
        if not search.n_pruned or not _may_have_path(graph, scores):
            break
        if attempt < options.retries:
            options = options.replace(beam=2 * options.beam, max_active=2 * options.max_active)
            notes = (f"every path was lost; found with the beam widened to {options.beam:g}",)
    return _why_not(graph, scores, options, search)


_SEARCHES: dict[str, Callable[[Graph, Scores, SearchOptions], Decoded | NoPath]] = {
    "beam": decode_beam,
    "exact": decode_exact,
    "compose": decode_compose,
}


def decoded_from_arcs(
    graph: Graph,
    scores: Scores,
    arcs: npt.NDArray[np.int32],
    acoustic_scale: float,
    search: str,
    *,
    complete: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Return the answer that a path through the graph stands for.

    Parameters
    ----------
    arcs : ndarray of int32
        Arcs of ``graph.fst`` from the start state on.
    acoustic_scale : float
    search : str
        Name of the search.
    complete : bool
        Whether the path ends in a final state; its cost is then added.
    """
    rows = graph.fst.arcs[arcs]
    emits = rows["ilabel"] > 0
    labels = np.ascontiguousarray(rows["ilabel"][emits])
    speaks = rows["olabel"] > 0
    word_frames: npt.NDArray[np.int64] = (np.cumsum(emits) - emits)[speaks]
    acoustic = _acoustic_cost(graph, scores, labels, acoustic_scale)
    costs = float(rows["weight"].sum(dtype=np.float64))
    if complete:
        last = int(rows["nextstate"][-1]) if len(rows) else graph.fst.start
        costs += float(graph.fst.states["final"][last])
    return decoded_from_labels(
        graph, scores, labels, rows["olabel"][speaks], word_frames, arcs, acoustic, costs, search,
        complete=complete, notes=notes,
    )  # fmt: skip


def _acoustic_cost(
    graph: Graph, scores: Scores, labels: npt.NDArray[np.int32], scale: float
) -> float:
    columns = graph.labels.column[labels - 1]
    picked = scores.array[np.arange(len(labels)), columns]
    return -scale * float(picked.sum(dtype=np.float64))


def decoded_from_labels(
    graph: Graph,
    scores: Scores,
    labels: npt.NDArray[np.int32],
    words: npt.NDArray[np.int32],
    word_frames: npt.NDArray[Any],
    arcs: npt.NDArray[np.int32],
    acoustic_cost: float,
    graph_cost: float,
    search: str,
    *,
    complete: bool = True,
    notes: tuple[str, ...] = (),
) -> Decoded:
    """Return the answer that state labels and words stand for.

    Parameters
    ----------
    labels : ndarray of int32, shape (T,)
        State label of each frame.
    words : ndarray of int32, shape (n,)
        Output labels of the graph.
    word_frames : ndarray of int, shape (n,)
        Number of frames before the arc that carries each word.
    arcs : ndarray of int32
        Arcs of the graph, where they are known.
    acoustic_cost, graph_cost : float
        Nats.
    """
    shift = scores.frame_shift
    phones, borders = phone_segments(labels, graph.labels, graph.phones, shift)
    texts = [graph.words[int(word)] for word in words]
    segments: tuple[Word, ...]
    segments, exact = word_segments(
        texts, [int(frame) for frame in word_frames], phones, borders,
        lambda word: [entry.phones for entry in graph.lexicon.prons(word)],
        graph.silence_phones, shift,
    )  # fmt: skip
    if not exact and texts and complete:
        notes = (*notes, "the lexicon does not explain the phones: word times are rough")
    for array in (labels, arcs):
        array.flags.writeable = False
    return Decoded(
        segments, phones, acoustic_cost, graph_cost, labels, arcs, shift, search, complete, notes
    )


def _may_have_path(graph: Graph, scores: Scores) -> bool:
    """Whether a wider beam could find anything: no dead frame, enough frames."""
    fewest = min_frames(graph.fst)
    return fewest is not None and scores.n_frames >= fewest and _dead_frame(scores) is None


def _dead_frame(scores: Scores) -> int | None:
    if not scores.n_frames or not scores.n_columns:
        return None
    dead = np.flatnonzero(np.isneginf(scores.array.max(axis=1)))
    return int(dead[0]) if len(dead) else None


def _why_not(
    graph: Graph, scores: Scores, options: SearchOptions, search: BeamSearch | None = None
) -> Decoded | NoPath:
    """Find out why no path was found; a beam search may find one here after all."""
    n_frames = scores.n_frames
    fewest = min_frames(graph.fst)
    if fewest is None:
        return NoPath("empty_graph", "no path of the graph leads to a final state", n_frames)
    if n_frames < fewest:
        detail = f"{n_frames} frames, but the shortest path through the graph takes {fewest}"
        return NoPath("too_few_frames", detail, n_frames, fewest)
    dead = _dead_frame(scores)
    if dead is not None:
        detail = f"all scores of frame {dead} ({dead * scores.frame_shift:.2f} s) are -inf"
        return NoPath("dead_frame", detail, n_frames, fewest)
    if search is None or search.n_pruned:
        affordable = graph.fst.n_states * n_frames <= _AFFORDABLE
        if search is not None and not affordable:
            partial = _partial(graph, scores, options, search)
            detail = (f"pruning lost every complete path, at last with beam {options.beam:g} and "
                      f"max_active {options.max_active}")  # fmt: skip
            return NoPath("beam_cut", detail, n_frames, fewest, partial)
        wide = options.replace(beam=float("inf"), max_active=0, min_active=0)
        search = BeamSearch(graph.fst, graph.labels.column, wide)
        search.advance(scores.array)
        cost, arcs = search.path()
        if cost < np.inf:
            note = f"every path was lost at beam {options.beam:g}; found without pruning"
            return decoded_from_arcs(
                graph, scores, arcs, options.acoustic_scale, "beam", notes=(note,)
            )
    partial = _partial(graph, scores, options, search)
    if search.lost_at is not None:
        seconds = search.lost_at * scores.frame_shift
        detail = (f"no arc of the graph fits the scores of frame {search.lost_at} "
                  f"({seconds:.2f} s)")  # fmt: skip
        return NoPath("no_match", detail, n_frames, fewest, partial)
    detail = f"no path through all {n_frames} frames ends in a final state"
    if partial is not None and partial.words:
        detail += f"; the best one so far says {partial.text!r}"
    return NoPath("not_final", detail, n_frames, fewest, partial)


def _partial(
    graph: Graph, scores: Scores, options: SearchOptions, search: BeamSearch
) -> Decoded | None:
    cost, arcs = search.path(final=False)
    if cost == np.inf:
        return None
    return decoded_from_arcs(graph, scores, arcs, options.acoustic_scale, "beam", complete=False)


@dataclasses.dataclass(frozen=True, eq=False)
class CrossCheck:
    """One utterance decoded by all three searches.

    Attributes
    ----------
    results : dict of str to Decoded or NoPath
        By name of the search.
    verdict : str
        ``"agree"``: equal costs and equal paths (or none anywhere); ``"tie"``: equal costs,
        unlike paths; ``"differ"``: unlike costs, or a path from some searches only.
    detail : str
        One line that says what was compared and what was found.
    """

    results: dict[str, Decoded | NoPath]
    verdict: str
    detail: str

    @property
    def ok(self) -> bool:
        """Whether the costs are equal."""
        return self.verdict != "differ"

    def to_dict(self) -> dict[str, Any]:
        """Return verdict and results, JSON-ready."""
        return {
            "verdict": self.verdict,
            "detail": self.detail,
            "results": {name: result.to_dict() for name, result in self.results.items()},
        }


def cross_check(graph: Graph, scores: Scores, options: SearchOptions | None = None) -> CrossCheck:
    """Decode by the three searches and compare total costs (relative 1e-4) and paths."""
    options = options or SearchOptions()
    results: dict[str, Decoded | NoPath] = {
        name: decode(graph, scores, options.replace(search=name)) for name in SEARCHES
    }
    found = {name: result for name, result in results.items() if isinstance(result, Decoded)}
    if not found:
        reasons = {result.reason for result in results.values() if isinstance(result, NoPath)}
        return CrossCheck(results, "agree", f"no search found a path: {', '.join(sorted(reasons))}")
    if len(found) < len(results):
        missing = ", ".join(sorted(results.keys() - found.keys()))
        return CrossCheck(results, "differ", f"no path from {missing}")
    costs = [result.total_cost for result in found.values()]
    spread = max(costs) - min(costs)
    shown = ", ".join(f"{name} {result.total_cost:.4f}" for name, result in found.items())
    if spread > _SAME_COST * max(1.0, max(abs(cost) for cost in costs)):
        return CrossCheck(results, "differ", f"costs {shown}")
    first, *others = found.values()
    same = all(
        np.array_equal(first.labels, other.labels) and first.text == other.text for other in others
    )
    if same:
        return CrossCheck(results, "agree", f"costs {shown}; same path")
    said = " | ".join(dict.fromkeys(result.text for result in found.values()))
    return CrossCheck(results, "tie", f"costs {shown}; unlike paths, words: {said}")
