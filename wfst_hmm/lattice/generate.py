"""Lattices from the beam search.

In: `Graph` and `Scores`. Out: the raw lattice, and from it the deterministic one in which each
word sequence has one path, its best.

Public names: `raw_lattice`, `lattice_of`, `lattice_before_determinization`, `decode_lattice`,
`decode_with_lattice`.
"""

from __future__ import annotations

import dataclasses

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.word_costs import MachineArrays, WordCosts, final_cost, take_word
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.order import in_order
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch, search_of
from wfst_hmm.search.begin import graph_to_search, overruled
from wfst_hmm.search.decoded import decoded_from_labels
from wfst_hmm.search.dense import DenseLinks, links_are_dense
from wfst_hmm.search.links import LinkMeanings, LinkStore
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
    search: BeamSearch | DenseLinks
    if links_are_dense(fst, options, len(scores)):
        search = DenseLinks(fst, columns, options)
    else:
        search = BeamSearch(fst, columns, options, links=True)
    search.advance(scores)
    return lattice_of(search, options, words or fst.osymbols or Symbols([]), frame_shift)


def lattice_before_determinization(
    graph: AnyGraph, scores: Scores, options: SearchOptions, costs: WordCosts | None = None
) -> Lattice | None:
    """Return the raw lattice of either kind of graph, None without a path.

    `costs` are costs of words that are added while searching.
    """
    options = options.of(graph)
    graph = graph_to_search(graph, options, costs)
    _, made = _searched(graph, scores, options, costs)
    return None if made is None else made[0]


def lattice_of(
    search: BeamSearch | DenseLinks, options: SearchOptions, words: Symbols, frame_shift: float
) -> Lattice | None:
    """Return the raw lattice of a finished search."""
    made = _lattice_and_arcs(search, options, words, frame_shift, None)
    return None if made is None else made[0]


def _searched(
    graph: AnyGraph, scores: Scores, options: SearchOptions, costs: WordCosts | None
) -> tuple[BeamSearch | DenseLinks, tuple[Lattice, npt.NDArray[np.int32]] | None]:
    """Search for a lattice; return the search, the lattice, and the graph's arcs behind its own."""
    search: BeamSearch | DenseLinks
    expanded = not isinstance(graph, CompactGraph) and costs is None
    if expanded and links_are_dense(graph.fst, options, scores.n_frames):
        search = DenseLinks(graph.fst, graph.labels.column, options)
    else:
        search = search_of(graph, options, costs, links=True)
    search.advance(scores.array)
    made = _lattice_and_arcs(search, options, graph.words, scores.frame_shift, costs)
    if made is None:
        return search, None
    offset = graph.frame_offset if scores.frame_offset is None else scores.frame_offset
    timed = dataclasses.replace(made[0], frame_offset=offset, seconds=scores.seconds)
    return search, (timed, made[1])


def _lattice_and_arcs(
    search: BeamSearch | DenseLinks,
    options: SearchOptions,
    words: Symbols,
    frame_shift: float,
    costs: WordCosts | None,
) -> tuple[Lattice, npt.NDArray[np.int32]] | None:
    """Return the raw lattice of a finished search.

    And the graph's arc behind each of its arcs, -1 for those within units.
    """
    cost, links, final_cost = search.finish_links()
    if cost == np.inf:
        return None
    meant = search.meanings(links)
    made, order = _from_links(links, final_cost, meant, options, words, frame_shift, costs)
    return made, meant.arc[order]


@numba.njit(cache=True, nogil=True)
def _add_costs(
    source: npt.NDArray[np.int32],
    target: npt.NDArray[np.int32],
    word: npt.NDArray[np.int32],
    graph_cost: npt.NDArray[np.float64],
    final: npt.NDArray[np.float64],
    machines: MachineArrays,
    start: int,
) -> None:
    """Add the costs of words to a raw lattice, in place; its states are in topological order.

    Each of its states is one pair of states of graph and machines, so that all paths into it
    leave the machines in one state: it is enough to carry that from arc to arc.
    """
    reached = np.full(len(final), -1, dtype=np.int64)
    reached[0] = start
    for arc in range(len(source)):
        before = reached[source[arc]]
        if before < 0:
            continue  # by rounding, the way there was just beyond the lattice beam
        if word[arc]:
            added, reached[target[arc]] = take_word(machines, before, word[arc])
            graph_cost[arc] += added
        else:
            reached[target[arc]] = before
    for state in range(len(final)):
        if final[state] < np.inf and reached[state] >= 0:
            final[state] += final_cost(machines, reached[state])


def _from_links(
    links: LinkStore,
    final_cost: npt.NDArray[np.float64],
    meant: LinkMeanings,
    options: SearchOptions,
    words: Symbols,
    frame_shift: float,
    costs: WordCosts | None,
) -> tuple[Lattice, npt.NDArray[np.int64]]:
    """Return the lattice that links are, and which link each of its arcs is."""
    n_links, n_tokens, n_frames, _ = (int(count) for count in links.counts)
    emits = meant.label > 0
    number, order = in_order(
        links.source[:n_links], links.target[:n_links], emits, links.first_token[: n_frames + 1],
        n_tokens,
    )  # fmt: skip
    source, target = number[links.source[order]], number[links.target[order]]
    final = np.full(n_tokens, np.inf)
    final[number[links.first_token[n_frames - 1] : n_tokens]] = final_cost
    labels, emits = meant.label[order], emits[order]
    word = np.ascontiguousarray(meant.word[order])
    cost = meant.cost[order].astype(np.float64)
    if costs is not None:
        _add_costs(source, target, word, cost, final, costs.arrays, costs.start)
    return Lattice(
        source, target, word, cost, links.acoustic[order].astype(np.float64), labels[emits],
        np.concatenate([np.zeros(1, np.int64), np.cumsum(emits)]), final, words, frame_shift,
        beam=options.lattice_beam,
    ), order  # fmt: skip


def decode_lattice(
    graph: AnyGraph,
    scores: Scores,
    options: SearchOptions | None = None,
    costs: WordCosts | None = None,
) -> Lattice | NoPath:
    """Return the deterministic lattice of one utterance, or the reason why there is none.

    Every word sequence has one path: its best, with that path's costs and state labels.
    """
    found = decode_with_lattice(graph, scores, options, costs)
    return found if isinstance(found, NoPath) else found[1]


def decode_with_lattice(
    graph: AnyGraph,
    scores: Scores,
    options: SearchOptions | None = None,
    costs: WordCosts | None = None,
) -> tuple[Decoded, Lattice] | NoPath:
    """Return the best path and the deterministic lattice of one beam search.

    When pruning loses every path, wider beams are tried as in `search.searches.decode_beam`.

    Parameters
    ----------
    graph : Graph or CompactGraph
    scores : Scores
    options : SearchOptions, optional
    costs : WordCosts, optional
        Costs of words that are added while searching; they are part of the lattice's graph costs.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has epsilon cycles: a lattice could not be acyclic.
    """
    options = (options or SearchOptions()).of(graph)
    for tried, notes in widening(options):
        found = _best_and_lattice(graph, scores, tried, costs, notes)
        if found is not None:
            return _noted(*found, options.lattice_beam)
        if tried is options:  # `decode_beam` knows why, and whether a wider beam helps
            result = decode_beam(graph, scores, options, costs)
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
    graph: AnyGraph,
    scores: Scores,
    options: SearchOptions,
    costs: WordCosts | None,
    notes: tuple[str, ...],
) -> tuple[Decoded, Lattice] | None:
    graph = graph_to_search(graph, options, costs)
    search, found = _searched(graph, scores, options, costs)
    if found is None:
        return None
    name = "beam"
    if isinstance(search, DenseLinks):
        name, notes = "exact", (*notes, *overruled(search, options))
    return _best_of(graph, scores, *found, name, notes), determinize_lattice(found[0])


def _best_of(
    graph: AnyGraph,
    scores: Scores,
    raw: Lattice,
    arcs: npt.NDArray[np.int32],
    name: str,
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
        float(raw.graph_cost[path].sum() + raw.final[last]), name, notes=notes,
    )  # fmt: skip
