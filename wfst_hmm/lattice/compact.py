"""The part of a compact graph that one utterance has to do with.

In: a `CompactGraph` and `Scores`. Out: a finished `CompactBeamSearch`, and a small `Graph`, with
HMM states, of all that it reached: what lattices are then made from.

Public names: `search_and_part`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.expansion import expand_units
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.compact_beam import CompactBeamSearch
from wfst_hmm.search.options import SearchOptions

__all__ = ["search_and_part"]


def search_and_part(
    graph: CompactGraph, scores: Scores, options: SearchOptions
) -> tuple[CompactBeamSearch, Graph | None]:
    """Search, and expand the arcs between states that had a token at some time.

    A beam search of the part with the same options meets the same tokens as one of the whole
    graph, as every token lies on a path through such states only.

    Returns
    -------
    search : CompactBeamSearch
        It has taken all scores.
    part : Graph or None
        None when the last path died.
    """
    search = CompactBeamSearch(graph, options)
    seen = np.zeros(graph.fst.n_states, dtype=bool)
    seen[search.reached()] = True
    for frame in range(scores.n_frames):
        search.advance(scores.array[frame : frame + 1])
        seen[search.reached()] = True
    if search.lost_at is not None:
        return search, None
    fst = expand_units(_between(graph.fst, np.flatnonzero(seen)), graph.units)
    return search, Graph(
        fst.with_symbols(graph.labels.symbols, graph.words), graph.labels, graph.words,
        graph.phones, graph.silence_phones, graph.lexicon, graph.model_hash, graph.frame_shift,
    )  # fmt: skip


def _between(fst: Fst, states: npt.NDArray[np.int64]) -> Fst:
    """Return the machine of the arcs between `states`, the start state among them."""
    rows = fst.states[states]
    counts = rows["n_arcs"].astype(np.int64)
    ends = np.cumsum(counts)
    at = np.arange(ends[-1]) + np.repeat(rows["pos"].astype(np.int64) - (ends - counts), counts)
    arcs = fst.arcs[at]
    source = np.repeat(np.arange(len(states)), counts)
    place = np.searchsorted(states, arcs["nextstate"])
    kept = states[np.minimum(place, len(states) - 1)] == arcs["nextstate"]
    return Fst.from_arcs(
        int(np.searchsorted(states, fst.start)), source[kept], arcs["ilabel"][kept],
        arcs["olabel"][kept], arcs["weight"][kept], place[kept], rows["final"], None, fst.osymbols,
    )  # fmt: skip
