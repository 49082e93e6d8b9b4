"""Lattices from the beam search.

In: `Graph` and `Scores`. Out: the raw lattice, and from it the deterministic one in which each
word sequence has one path, its best.

Public names: `raw_lattice`, `lattice_of`, `decode_lattice`, `decode_with_lattice`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import AnyGraph, CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.lattice.compact import search_and_part
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.decode import decode_beam
from wfst_hmm.search.decoded import decoded_from_arcs, decoded_of
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import Decoded, NoPath

__all__ = ["decode_lattice", "decode_with_lattice", "lattice_of", "raw_lattice"]

#: Two total costs within this share of each other count as equal.
_SAME_COST = 1e-4
_WIDEST = 1000.0  # nats; twice as many are none at all


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
    search = BeamSearch(fst, columns, options, links=True)
    search.advance(scores)
    return lattice_of(search, fst, options, words, frame_shift)


def lattice_of(
    search: BeamSearch,
    fst: Fst,
    options: SearchOptions,
    words: Symbols | None,
    frame_shift: float,
) -> Lattice | None:
    """Return the raw lattice of a finished search."""
    made = _lattice_and_arcs(search, fst, options, words, frame_shift)
    return None if made is None else made[0]


def _lattice_and_arcs(
    search: BeamSearch,
    fst: Fst,
    options: SearchOptions,
    words: Symbols | None,
    frame_shift: float,
) -> tuple[Lattice, npt.NDArray[np.int32]] | None:
    """Return the raw lattice of a finished search, and the graph's arc behind each of its arcs."""
    cost, links, final_cost = search.finish_links()
    if cost == np.inf:
        return None
    n_links, n_tokens, n_frames, _ = (int(count) for count in links.counts)
    source, target, arc, acoustic, label_start, number = _in_order(
        fst.arcs, links.source[:n_links], links.target[:n_links], links.arc[:n_links],
        links.acoustic[:n_links], links.first_token[: n_frames + 1], fst.start,
        _epsilon_rank(fst), n_tokens,
    )  # fmt: skip
    rows = fst.arcs[arc]
    final = np.full(n_tokens, np.inf)
    final[number[links.first_token[n_frames - 1] : n_tokens]] = final_cost
    labels = rows["ilabel"]
    return Lattice(
        source, target, np.ascontiguousarray(rows["olabel"]), rows["weight"].astype(np.float64),
        acoustic, labels[labels > 0], label_start, final,
        words or fst.osymbols or Symbols([]), frame_shift, beam=options.lattice_beam,
    ), arc  # fmt: skip


def _epsilon_rank(fst: Fst) -> npt.NDArray[np.int32]:
    """Return a number per state, lower at the sources of epsilons than at their ends.

    Empty where the graph has no epsilons.
    """
    order = plan_of(fst).order
    if not len(order):
        return np.zeros(0, dtype=np.int32)
    rank = np.full(fst.n_states, len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


@numba.njit(cache=True, nogil=True)
def _in_order(
    arcs: npt.NDArray[Any],
    source: npt.NDArray[np.int32],
    target: npt.NDArray[np.int32],
    arc: npt.NDArray[np.int32],
    acoustic: npt.NDArray[np.float32],
    first_token: npt.NDArray[np.int64],
    start: int,
    rank: npt.NDArray[np.int32],
    n_tokens: int,
) -> Any:
    """Number tokens by frame and epsilon rank, and sort the links by their source.

    Returns source, target, arc, acoustic cost and start of the labels of each link, and the
    new numbers of the tokens.
    """
    number = np.empty(n_tokens, dtype=np.int32)
    if len(rank):
        of_token = np.full(n_tokens, rank[start], dtype=np.int32)
        for link in range(len(source)):
            of_token[target[link]] = rank[arcs[arc[link]].nextstate]
        for frame in range(len(first_token) - 1):
            begin, end = first_token[frame], first_token[frame + 1]
            order = np.argsort(of_token[begin:end], kind="mergesort")
            for place in range(end - begin):
                number[begin + order[place]] = begin + place
    else:
        for token in range(n_tokens):
            number[token] = token
    at = np.zeros(n_tokens + 1, dtype=np.int64)
    for link in range(len(source)):
        at[number[source[link]] + 1] += 1
    for token in range(n_tokens):
        at[token + 1] += at[token]
    n_links = len(source)
    out_source = np.empty(n_links, dtype=np.int32)
    out_target = np.empty(n_links, dtype=np.int32)
    out_arc = np.empty(n_links, dtype=np.int32)
    out_acoustic = np.empty(n_links, dtype=np.float64)
    for link in range(n_links):
        token = number[source[link]]
        place = at[token]
        at[token] = place + 1
        out_source[place] = token
        out_target[place] = number[target[link]]
        out_arc[place] = arc[link]
        out_acoustic[place] = acoustic[link]
    label_start = np.zeros(n_links + 1, dtype=np.int64)
    for link in range(n_links):
        label_start[link + 1] = label_start[link] + (arcs[out_arc[link]].ilabel > 0)
    return out_source, out_target, out_arc, out_acoustic, label_start, number


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

    When pruning loses every path, wider beams are tried as in `search.decode.decode_beam`.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has epsilon cycles: a lattice could not be acyclic.
    """
    options = options or SearchOptions()
    found = _best_and_lattice(graph, scores, options, ())
    if found is not None:
        return found
    result = decode_beam(graph, scores, options)  # knows why, and whether a wider beam helps
    if isinstance(result, NoPath):
        return result
    for _ in range(options.retries):
        options = options.replace(beam=2 * options.beam, max_active=2 * options.max_active)
        found = _best_and_lattice(graph, scores, options, result.notes)
        if found is not None:
            return found
    wide = options.replace(beam=np.inf, max_active=0, min_active=0)
    found = _best_and_lattice(graph, scores, wide, result.notes)
    if found is None:
        return NoPath("beam_cut", "pruning lost every complete path", scores.n_frames)
    return found


def _best_and_lattice(
    graph: AnyGraph, scores: Scores, options: SearchOptions, notes: tuple[str, ...]
) -> tuple[Decoded, Lattice] | None:
    if isinstance(graph, CompactGraph):
        return _of_part(graph, scores, options, notes)
    made = _searched(graph, scores, options)
    if made is None:
        return None
    raw, arcs = made
    path = arcs[raw.best_arcs()]
    best = decoded_from_arcs(graph, scores, path, options.acoustic_scale, "beam", notes=notes)
    return best, determinize_lattice(raw)


def _searched(
    graph: Graph, scores: Scores, options: SearchOptions
) -> tuple[Lattice, npt.NDArray[np.int32]] | None:
    search = BeamSearch(graph.fst, graph.labels.column, options, links=True)
    search.advance(scores.array)
    return _lattice_and_arcs(search, graph.fst, options, graph.words, scores.frame_shift)


def _of_part(
    graph: CompactGraph, scores: Scores, options: SearchOptions, notes: tuple[str, ...]
) -> tuple[Decoded, Lattice] | None:
    """Search the compact graph, and for the lattice the part of it that was met, expanded.

    The two searches prune at slightly different costs, so with narrow beams the second may lose
    what the first one found; its beam is then widened.
    """
    first, part = search_and_part(graph, scores, options)
    best = decoded_of(first, graph, scores, options.acoustic_scale, notes=notes)
    if best is None or part is None:
        return None
    limit = best.total_cost + _SAME_COST * max(1.0, abs(best.total_cost))
    while True:
        made = _searched(part, scores, options)
        if made is not None and made[0].backward()[0] <= limit:
            return best, determinize_lattice(made[0])
        if options.beam == np.inf and options.max_active == 0:
            return None
        beam = 2 * options.beam if options.beam < _WIDEST else np.inf
        options = options.replace(beam=beam, max_active=0, min_active=0)
