"""Was anything said at all? The path that stays in silence, beside the best sentence.

In: a graph, scores and what a search made of them. Out: the same result, or one without words where
silence explains the recording better than any sentence of the grammar.

A grammar of commands has no empty sentence, so that every complete path says something, silence or
not. The part of the graph that silence leads through before the first word is a small machine of
its own; its best path costs next to nothing to find.

Public names: `or_nothing`, `quiet_part`, `without_words`.
"""

from __future__ import annotations

import dataclasses
import weakref

import numpy as np

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decoded import decoded_from_arcs
from wfst_hmm.search.exact import viterbi_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import full_scores

__all__ = ["or_nothing", "quiet_part", "without_words"]

_ROUNDING = 0.1  # nats that sums in float32 may be off
_MOST_STATES = 10_000  # a language model's silence leads everywhere
_PARTS: weakref.WeakKeyDictionary[AnyGraph, list[Graph]] = weakref.WeakKeyDictionary()


def quiet_part(graph: AnyGraph) -> Graph | None:
    """Return the part of a graph that silence leads through from the start, every state final.

    None where there is no such part, or where it is needless: a sentence without words is a path
    of the graph as it is.
    """
    if graph not in _PARTS:
        part = _quiet_part(graph)
        _PARTS[graph] = [] if part is None else [part]
    return next(iter(_PARTS[graph]), None)


def _quiet_part(graph: AnyGraph) -> Graph | None:
    phone = graph.labels.phone
    if isinstance(graph, CompactGraph):  # a unit is of the phone that its entry is of
        enter = graph.units.enter
        phone = phone[enter.label[enter.start[:-1]] - 1]
    silent = np.concatenate([[True], np.isin(graph.phones, graph.silence_phones)[phone]])
    fst = graph.fst
    reached = {fst.start: 0} if fst.n_states else {}
    arcs: list[tuple[int, int, float, int]] = []
    for state in (queue := list(reached)):
        if fst.states["final"][state] < np.inf or len(queue) > _MOST_STATES:
            return None
        for ilabel, _, weight, following in fst.arcs_of(state).tolist():
            if silent[ilabel]:
                if following not in reached:
                    reached[following] = len(reached)
                    queue.append(following)  # the loop goes on with it
                arcs.append((reached[state], ilabel, weight, reached[following]))
    if not any(ilabel for _, ilabel, _, _ in arcs):
        return None
    source, ilabels, weights, following = zip(*arcs, strict=True)
    part = dataclasses.replace(graph, fst=Fst.from_arcs(
        0, source, ilabels, np.zeros(len(arcs), dtype=np.int32), weights, following,
        np.zeros(len(reached)), fst.isymbols, fst.osymbols,
    ))  # fmt: skip
    if isinstance(part, CompactGraph):
        part = part.expanded()
        states = part.fst.states.copy()
        states["final"] = 0  # in the midst of an HMM, too
        part = dataclasses.replace(part, fst=dataclasses.replace(part.fst, states=states))
    return part


def or_nothing(
    result: Decoded | NoPath, graph: AnyGraph, scores: Scores | LazyScores, options: SearchOptions
) -> Decoded | NoPath:
    """Return a result without words where silence costs less than the path that was found.

    Where none was found, than the best one that is not complete: pruning loses every sentence when
    nobody speaks for long.
    """
    found = result if isinstance(result, Decoded) else result.partial
    part = quiet_part(graph) if found is not None and (found.words or not found.complete) else None
    if found is None or part is None:
        return result
    options = options.of(graph)
    whole = full_scores(scores)
    cost, arcs = viterbi_path(
        part.fst, whole.array, part.labels.column, acoustic_scale=options.scale
    )
    quiet = decoded_from_arcs(part, whole, arcs, options.scale, found.search)
    return without_words(quiet, cost, result)


def without_words(quiet: Decoded, cost: float, result: Decoded | NoPath) -> Decoded | NoPath:
    """Return a path through `quiet_part` in the place of a result that costs more.

    A path that is not complete may be the quiet one itself.
    """
    found = result if isinstance(result, Decoded) else result.partial
    if found is None or not cost < found.total_cost + (0.0 if found.complete else _ROUNDING):
        return result
    note = "nothing was said: silence explains it better than any sentence"
    if found.complete:
        note += f", by {found.total_cost - cost:.1f} nats"
    return dataclasses.replace(quiet, complete=False, notes=(*quiet.notes, note),
                               arcs=np.zeros(0, dtype=np.int32))  # fmt: skip
