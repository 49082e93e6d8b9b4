"""Lattices from the beam search.

In: `Graph` and `Scores`. Out: the raw lattice, and from it the deterministic one in which each
word sequence has one path, its best.

Public names: `raw_lattice`, `lattice_of`, `decode_lattice`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.decode import decode_beam
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.result import NoPath

__all__ = ["decode_lattice", "lattice_of", "raw_lattice"]


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
    cost, links, final_cost = search.finish_links()
    if cost == np.inf:
        return None
    n_links, n_tokens, n_frames, _ = (int(count) for count in links.counts)
    source, target, arc = links.source[:n_links], links.target[:n_links], links.arc[:n_links]
    rows = fst.arcs[arc]
    state = np.full(n_tokens, fst.start, dtype=np.int32)
    state[target] = rows["nextstate"]
    first_token = links.first_token[: n_frames + 1]
    frame = np.repeat(np.arange(n_frames), np.diff(first_token))
    order = np.lexsort((_epsilon_rank(fst)[state], frame))
    number = np.empty(n_tokens, dtype=np.int32)
    number[order] = np.arange(n_tokens)
    by_source = np.lexsort((number[target], number[source]))
    final = np.full(n_tokens, np.inf)
    final[number[first_token[n_frames - 1] :]] = final_cost
    labels = rows["ilabel"][by_source]
    return Lattice(
        number[source][by_source],
        number[target][by_source],
        np.ascontiguousarray(rows["olabel"][by_source]),
        rows["weight"][by_source].astype(np.float64),
        links.acoustic[:n_links][by_source].astype(np.float64),
        labels[labels > 0],
        np.concatenate([[0], np.cumsum(labels > 0)]).astype(np.int64),
        final,
        words or fst.osymbols or Symbols([]),
        frame_shift,
        beam=options.lattice_beam,
    )


def _epsilon_rank(fst: Fst) -> npt.NDArray[np.int32]:
    """Return a number per state, lower at the sources of epsilons than at their ends."""
    order = plan_of(fst).order
    rank = np.full(fst.n_states, len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def decode_lattice(
    graph: Graph, scores: Scores, options: SearchOptions | None = None
) -> Lattice | NoPath:
    """Return the deterministic lattice of one utterance, or the reason why there is none.

    Every word sequence has one path: its best, with that path's costs and state labels.
    """
    options = options or SearchOptions()
    for _ in range(options.retries + 1):
        raw = raw_lattice(
            graph.fst, scores.array, graph.labels.column, options,
            words=graph.words, frame_shift=scores.frame_shift,
        )  # fmt: skip
        if raw is not None:
            return determinize_lattice(raw)
        options = options.replace(beam=2 * options.beam, max_active=2 * options.max_active)
    result = decode_beam(graph, scores, options.replace(retries=0))
    if isinstance(result, NoPath):
        return result
    raw = raw_lattice(
        graph.fst, scores.array, graph.labels.column,
        options.replace(beam=np.inf, max_active=0, min_active=0),
        words=graph.words, frame_shift=scores.frame_shift,
    )  # fmt: skip
    if raw is None:
        return NoPath("beam_cut", "pruning lost every complete path", scores.n_frames)
    return determinize_lattice(raw)
