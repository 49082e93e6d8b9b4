"""Lattices from the beam search.

In: `Graph` and `Scores`. Out: the raw lattice, and from it the deterministic one in which each
word sequence has one path, its best.

Public names: `raw_lattice`, `lattice_of`, `lattice_before_determinization`, `decode_lattice`,
`decode_with_lattice`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.order import in_order
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.begin import graph_to_search, overruled
from wfst_hmm.search.compact_beam import CompactBeamSearch
from wfst_hmm.search.compact_links import meanings
from wfst_hmm.search.decoded import decoded_from_arcs, decoded_from_labels
from wfst_hmm.search.dense_links import DenseLinks, links_are_dense
from wfst_hmm.search.links import LinkStore
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import decode_beam, widening

__all__ = [
    "decode_lattice", "decode_with_lattice", "lattice_before_determinization", "lattice_of",
    "raw_lattice",
]  # fmt: skip


def raw_lattice(
    fst: Fst,
    scores: npt.NDArray[np.float32],
    columns: npt.NDArray[np.int32],
    options: SearchOptions | None = None,
    *,
    words: Symbols | None = None,
    frame_shift: float = 0.01,
) -> Lattice | None:
    """Return the states and arcs of the search within the lattice beam, None without a path.

    Parameters
    ----------
    fst, scores, columns
        As for `wfst_hmm.search.exact.viterbi_path`.
    options : SearchOptions, optional
        ``lattice_beam`` is the nats that paths in the lattice may cost more than the best.
    words : Symbols, optional
        What the graph's output labels mean; by default ``fst.osymbols``.
    frame_shift : float
        Seconds per frame.

    Notes
    -----
    Povey et al. (2012), section 2. Exact for what the beam leaves: every path of the search
    within the lattice beam of the best one is in it, with its own costs.
    """
    options = options or SearchOptions()
    search = _search_for(fst, columns, options, len(scores))
    search.advance(scores)
    return lattice_of(search, fst, options, words, frame_shift)


def _search_for(
    fst: Fst, columns: npt.NDArray[np.int32], options: SearchOptions, n_frames: int
) -> BeamSearch | DenseLinks:
    if links_are_dense(fst, options, n_frames):
        return DenseLinks(fst, columns, options)
    return BeamSearch(fst, columns, options, links=True)


def lattice_before_determinization(
    graph: AnyGraph, scores: Scores, options: SearchOptions
) -> Lattice | None:
    """Return the raw lattice of either kind of graph, None without a path."""
    options = options.of(graph)
    graph = graph_to_search(graph, options)
    if isinstance(graph, CompactGraph):
        search = CompactBeamSearch(graph, options, links=True)
        search.advance(scores.array)
        made = _compact_lattice(search, graph, options, scores.frame_shift)
        return None if made is None else made[0]
    return raw_lattice(
        graph.fst, scores.array, graph.labels.column, options, words=graph.words,
        frame_shift=scores.frame_shift,
    )  # fmt: skip


def lattice_of(
    search: BeamSearch | DenseLinks,
    fst: Fst,
    options: SearchOptions,
    words: Symbols | None,
    frame_shift: float,
) -> Lattice | None:
    """Return the raw lattice of a finished search."""
    made = _lattice_and_arcs(search, fst, options, words, frame_shift)
    return None if made is None else made[0]


def _lattice_and_arcs(
    search: BeamSearch | DenseLinks,
    fst: Fst,
    options: SearchOptions,
    words: Symbols | None,
    frame_shift: float,
) -> tuple[Lattice, npt.NDArray[np.int32]] | None:
    """Return the raw lattice of a finished search, and the graph's arc behind each of its arcs."""
    cost, links, final_cost = search.finish_links()
    if cost == np.inf:
        return None
    arc = links.arc[: links.counts[0]]
    rows = fst.arcs[arc]
    made, order = _from_links(
        links, final_cost, rows["ilabel"], rows["olabel"], rows["weight"], options,
        words or fst.osymbols or Symbols([]), frame_shift,
    )  # fmt: skip
    return made, arc[order]


def _from_links(
    links: LinkStore,
    final_cost: npt.NDArray[np.float64],
    label: npt.NDArray[np.int32],
    word: npt.NDArray[np.int32],
    cost: npt.NDArray[Any],
    options: SearchOptions,
    words: Symbols,
    frame_shift: float,
) -> tuple[Lattice, npt.NDArray[np.int64]]:
    """Return the lattice that links are, and which link each of its arcs is.

    `label`, `word` and `cost` are the state labels, output labels and graph costs of the links.
    """
    n_links, n_tokens, n_frames, _ = (int(count) for count in links.counts)
    source, target = links.source[:n_links], links.target[:n_links]
    emits = label > 0
    number, order = in_order(source, target, emits, links.first_token[: n_frames + 1], n_tokens)
    final = np.full(n_tokens, np.inf)
    final[number[links.first_token[n_frames - 1] : n_tokens]] = final_cost
    labels, emits = label[order], emits[order]
    return Lattice(
        number[source[order]], number[target[order]], np.ascontiguousarray(word[order]),
        cost[order].astype(np.float64), links.acoustic[:n_links][order].astype(np.float64),
        labels[emits], np.concatenate([np.zeros(1, np.int64), np.cumsum(emits)]), final, words,
        frame_shift, beam=options.lattice_beam,
    ), order  # fmt: skip


def _compact_lattice(
    search: CompactBeamSearch, graph: CompactGraph, options: SearchOptions, frame_shift: float
) -> tuple[Lattice, npt.NDArray[np.int32]] | None:
    """Return the raw lattice of a finished search over a compact graph.

    And the graph's arc behind each of its arcs, -1 for those within units.
    """
    cost, links, final_cost = search.finish_links()
    if cost == np.inf:
        return None
    meant = meanings(graph, links.arc[: links.counts[0]])
    made, order = _from_links(
        links, final_cost, meant.label, meant.word, meant.cost, options, graph.words, frame_shift
    )
    return made, meant.arc[order]


def decode_lattice(
    graph: AnyGraph, scores: Scores, options: SearchOptions | None = None
) -> Lattice | NoPath:
    """Return the deterministic lattice of one utterance, or the reason why there is none.

    Every word sequence has one path: its best, with that path's costs and state labels.
    """
    found = decode_with_lattice(graph, scores, options)
    return found if isinstance(found, NoPath) else found[1]


def decode_with_lattice(
    graph: AnyGraph, scores: Scores, options: SearchOptions | None = None
) -> tuple[Decoded, Lattice] | NoPath:
    """Return the best path and the deterministic lattice of one beam search.

    When pruning loses every path, wider beams are tried as in `search.searches.decode_beam`.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has epsilon cycles: a lattice could not be acyclic.
    """
    options = (options or SearchOptions()).of(graph)
    for tried, notes in widening(options):
        found = _best_and_lattice(graph, scores, tried, notes)
        if found is not None:
            return _noted(*found, options.lattice_beam)
        if tried is options:  # `decode_beam` knows why, and whether a wider beam helps
            result = decode_beam(graph, scores, options)
            if isinstance(result, NoPath):
                return result
    return NoPath("beam_cut", "pruning lost every complete path", scores.n_frames)


def _noted(best: Decoded, lattice: Lattice, asked: float) -> tuple[Decoded, Lattice]:
    """Say among the notes what the lattice lacks of what was asked for."""
    if lattice.beam >= asked:
        return best, lattice
    left = f"what lies within {lattice.beam:.3g} nats of it" if lattice.beam else "it alone"
    note = (f"too many paths are about as good as the best: the lattice holds {left}, "
            f"not within {asked:g} nats")  # fmt: skip
    return dataclasses.replace(best, notes=(*best.notes, note)), lattice


def _best_and_lattice(
    graph: AnyGraph, scores: Scores, options: SearchOptions, notes: tuple[str, ...]
) -> tuple[Decoded, Lattice] | None:
    graph = graph_to_search(graph, options)
    if isinstance(graph, CompactGraph):
        compact_search = CompactBeamSearch(graph, options, links=True)
        compact_search.advance(scores.array)
        found = _compact_lattice(compact_search, graph, options, scores.frame_shift)
        if found is None:
            return None
        return _best_of(graph, scores, *found, notes), determinize_lattice(found[0])
    search = _search_for(graph.fst, graph.labels.column, options, scores.n_frames)
    search.advance(scores.array)
    made = _lattice_and_arcs(search, graph.fst, options, graph.words, scores.frame_shift)
    if made is None:
        return None
    raw, arcs = made
    path = arcs[raw.best_arcs()]
    name = "beam"
    if isinstance(search, DenseLinks):
        name, notes = "exact", (*notes, *overruled(search, options))
    best = decoded_from_arcs(graph, scores, path, options.scale, name, notes=notes)
    return best, determinize_lattice(raw)


def _best_of(
    graph: CompactGraph,
    scores: Scores,
    raw: Lattice,
    arcs: npt.NDArray[np.int32],
    notes: tuple[str, ...],
) -> Decoded:
    """Return the best path of a raw lattice, its HMM states as they are there."""
    path = raw.best_arcs()
    counts = np.diff(raw.label_start)[path]
    word = raw.word[path]
    last = int(raw.target[path[-1]]) if len(path) else 0
    return decoded_from_labels(
        graph, scores, raw.labels[raw.label_start[path][counts > 0]], word[word > 0],
        (np.cumsum(counts) - counts)[word > 0], arcs[path][arcs[path] >= 0],
        float(raw.acoustic_cost[path].sum()),
        float(raw.graph_cost[path].sum() + raw.final[last]), "beam", notes=notes,
    )  # fmt: skip
