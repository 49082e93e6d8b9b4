"""Alignment graphs of phones in context: every way to speak one known word sequence.

In: a model with a `ContextMap`, a lexicon and words. Out: a `TranscriptGraph` whose states know
their contexts.

The phones of all ways to speak the words are laid out as for a model without context; then each
phone is copied once for every pair of neighbours that some way gives it, across words and
silences, and copies are linked where their neighbours agree.

Moves are numbered by topology, not by HMM: HMMs that share a topology share its transition
probabilities, and training re-estimates topologies.

Public names: `ContextTranscriptCompiler`, `columns_of_context`, `topology_units`,
`transcript_compiler`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import (
    LexiconOptions,
    optional_silence,
    phone_numbers,
    spoken_lexicon,
)
from wfst_hmm.graph.transcript import Piece, Plan, TranscriptCompiler, TranscriptGraph, pieces_of
from wfst_hmm.graph.units import AnyModel, PhoneModel, PhonesInContext, Units
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.topology import StateLabels, Topology

__all__ = [
    "ContextTranscriptCompiler",
    "columns_of_context",
    "topology_units",
    "transcript_compiler",
]


def transcript_compiler(
    model: AnyModel, lexicon: Lexicon, options: LexiconOptions | None = None
) -> TranscriptCompiler:
    """Return the compiler that fits the model: of phones in context where it has a `context`."""
    context: ContextMap | None = getattr(model, "context", None)
    if context is not None:
        return ContextTranscriptCompiler(model, lexicon, options, context)
    return TranscriptCompiler(model, lexicon, options)  # type: ignore[arg-type]


class ContextTranscriptCompiler(TranscriptCompiler):
    """Makes alignment graphs of phones in context; called like a `TranscriptCompiler`.

    Parameters
    ----------
    model : PhonesInContext
        Only its phones, silence phones and `context` are used.
    lexicon : Lexicon
    options : LexiconOptions, optional
    context : ContextMap, optional
        In place of the model's own.

    Attributes
    ----------
    units : Units
        One for each topology of the map: its moves are those that graphs count.
    """

    def __init__(
        self,
        model: PhonesInContext | PhoneModel | AnyModel,
        lexicon: Lexicon,
        options: LexiconOptions | None = None,
        context: ContextMap | None = None,
    ) -> None:
        options = options or LexiconOptions()
        found: ContextMap | None = getattr(model, "context", None) if context is None else context
        if found is None:
            raise ModelError("the model has no map of phones in context")
        lexicon = spoken_lexicon(model, lexicon)
        self._prepare(lexicon, phone_numbers(model.phones, lexicon),
                      optional_silence(model, options))  # fmt: skip
        self.context = found
        self.labels = found.state_labels()
        self.units = topology_units(found.topologies)
        self._grid = found.dense()
        self._by_topology = pieces_of(self.units)
        self._labels_of = found.hmm_labels(self.labels)
        self._pieces: dict[int, Piece] = {}
        phone_topology = {hmm.phone: hmm.topology for hmm in found.hmms}
        self._min_frames = [
            found.topologies[phone_topology[phone]].min_frames if phone in phone_topology else 1
            for phone in range(len(found.phones))
        ]

    def _expand(self, plan: Plan) -> TranscriptGraph:
        copies, contexts = _in_context(plan, len(self.context.phones))
        left, centre, right, position = contexts.T
        position = position if self.context.n_positions > 1 else np.zeros_like(position)
        hmms = self._grid[centre, position, left, right]
        if hmms.min(initial=0) < 0:
            row = int(np.argmin(hmms))
            names = (*self.context.phones, "edge")
            shown = f"{names[left[row]]}-{names[centre[row]]}+{names[right[row]]}"
            raise ModelError(f"the model has no HMM for {shown}")
        copies.segments = hmms.tolist()
        pieces = [self._piece(hmm) for hmm in copies.segments]
        graph = self._laid_out(copies, pieces)
        n_states = [piece.n_states for piece in pieces]
        states = np.concatenate([np.arange(n) for n in n_states])
        rows = np.column_stack([np.repeat(contexts, n_states, axis=0), states])
        start = np.full((1, rows.shape[1]), -1)
        return dataclasses.replace(graph, context=np.concatenate([start, rows]).astype(np.int32))

    def _piece(self, hmm: int) -> Piece:
        """Return the moves of one HMM: its topology's, with the HMM's own labels."""
        found = self._pieces.get(hmm)
        if found is None:
            entry, plain = (labels[hmm].tolist() for labels in self._labels_of)
            of = self._by_topology[self.context.hmms[hmm].topology]
            found = Piece(
                of.n_states,
                [(s, entry[s], m) for s, _, m in of.enter],
                [(i, j, plain[j], m) for i, j, _, m in of.step],
                of.leave,
            )
            self._pieces[hmm] = found
        return found


def topology_units(topologies: Sequence[Topology]) -> Units:
    """Return one unit for each topology; its labels mean nothing."""
    names = [str(index) for index in range(len(topologies))]
    columns = [np.zeros(topology.n_states, dtype=np.int32) for topology in topologies]
    return Units.of_phones(topologies, StateLabels.build(names, topologies, columns))


def columns_of_context(context: ContextMap, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return the score column of states in context, -1 for the start.

    Parameters
    ----------
    context : ContextMap
        May be another one than the graph was made with, of the same phones and topologies.
    rows : ndarray of int32, shape (n, 5)
        As in `TranscriptGraph.context`.
    """
    left, centre, right, position, state = rows.T
    position = position if context.n_positions > 1 else np.zeros_like(position)
    hmms = context.dense()[centre, position, left, right]
    widest = max(len(hmm.columns) for hmm in context.hmms)
    table = np.full((len(context.hmms), widest), -1, dtype=np.int32)
    for row, hmm in enumerate(context.hmms):
        table[row, : len(hmm.columns)] = hmm.columns
    return np.where(centre >= 0, table[hmms, state], -1).astype(np.int32)


def _in_context(plan: Plan, n_phones: int) -> tuple[Plan, npt.NDArray[np.int32]]:
    """Copy each segment for every pair of neighbours; return the plan of the copies.

    The second value tells left neighbour, phone, right neighbour (`n_phones`: the edge) and
    place in the word of each copy.
    """
    edge = n_phones
    phones = plan.segments
    lefts: list[dict[int, None]] = [{} for _ in phones]
    rights: list[dict[int, None]] = [{} for _ in phones]
    for before, after, _, _ in plan.links:
        lefts[after][edge if before < 0 else phones[before]] = None
        if before >= 0:
            rights[before][phones[after]] = None
    for segment, _ in plan.ends:
        rights[segment][edge] = None
    number: list[dict[tuple[int, int], int]] = []
    contexts: list[tuple[int, int, int, int]] = []
    for segment, phone in enumerate(phones):
        own = {}
        for left in lefts[segment]:
            for right in rights[segment]:
                own[left, right] = len(contexts)
                contexts.append((left, phone, right, plan.positions[segment]))
        number.append(own)
    copies = Plan.bare(plan.n_min_frames)
    for before, after, word, cost in plan.links:
        left = edge if before < 0 else phones[before]
        targets = [number[after][left, right] for right in rights[after]]
        if before < 0:
            copies.links += [(-1, target, word, cost) for target in targets]
            continue
        for far in lefts[before]:
            source = number[before][far, phones[after]]
            copies.links += [(source, target, word, cost) for target in targets]
    for segment, cost in plan.ends:
        copies.ends += [(number[segment][left, edge], cost) for left in lefts[segment]]
    if not contexts:
        raise DataError("neither words nor silence to align")
    return copies, np.array(contexts, dtype=np.int32)
