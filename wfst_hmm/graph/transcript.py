"""Alignment graphs: every way to speak one known word sequence.

In: a model, a lexicon and words. Out: a small epsilon-free transducer from state labels to
the words, built without OpenFst because training makes thousands.

It equals H∘L∘G for the G that accepts just this sequence: all pronunciations, silence that may
be left out before, between and after the words. Costs keep track of the HMM moves in them, so
that re-estimated transition probabilities are put in without building anything anew.

Public names: `TranscriptGraph`, `TranscriptCompiler`, `transcript_graph`; `Piece`, `Plan` and
`pieces_of` for `graph.transcript_context`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_words
from wfst_hmm.errors import DataError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Lexicon, format_missing
from wfst_hmm.graph.lexicon_fst import (
    LexiconOptions,
    optional_silence,
    phone_numbers,
    silence_costs,
    spoken_lexicon,
)
from wfst_hmm.graph.units import Moves, PhoneModel, Units
from wfst_hmm.models.context import WORD_POSITIONS

__all__ = [
    "Piece",
    "Plan",
    "TranscriptCompiler",
    "TranscriptGraph",
    "pieces_of",
    "transcript_graph",
]

_INTERNAL, _BEGIN, _END, _SINGLE = range(len(WORD_POSITIONS))


@dataclasses.dataclass(frozen=True, eq=False)
class TranscriptGraph:
    """An alignment graph whose transition costs can be exchanged.

    Attributes
    ----------
    fst : Fst
        State labels in, words out; no epsilon inputs.
    fixed : float64, shape (A,)
        Cost of each arc without transition probabilities: pronunciations and silence.
    moves : int32, shape (A, 2)
        The HMM moves on each arc, leaving one phone and entering the next, or one step;
        numbered as in `Units.move_costs`, 0 for none.
    final_fixed, final_move : shapes (n_states,)
        The same for final costs.
    n_min_frames : int
        Length of the shortest path, in frames.
    context : int32, shape (n_states, 5), optional
        Of a graph in context: left neighbour, phone, right neighbour, place in the word, HMM
        state; -1 for the start (`graph.transcript_context`).
    """

    fst: Fst
    fixed: npt.NDArray[np.float64]
    moves: npt.NDArray[np.int32]
    final_fixed: npt.NDArray[np.float64]
    final_move: npt.NDArray[np.int32]
    n_min_frames: int
    context: npt.NDArray[np.int32] | None = None

    def reweighted(self, move_costs: npt.NDArray[np.float64]) -> TranscriptGraph:
        """Return the graph under other transition costs (see `Units.move_costs`).

        Parameters
        ----------
        move_costs : float64, shape (n_moves + 1,)
            +inf for moves whose probability has become zero.
        """
        arcs, states = self.fst.arcs.copy(), self.fst.states.copy()
        arcs["weight"] = self.fixed + move_costs[self.moves].sum(axis=1)
        states["final"] = self.final_fixed + move_costs[self.final_move]
        return dataclasses.replace(
            self, fst=dataclasses.replace(self.fst, states=states, arcs=arcs)
        )


class TranscriptCompiler:
    """Makes alignment graphs for one model and lexicon.

    Parameters
    ----------
    model : PhoneModel
    lexicon : Lexicon
    options : LexiconOptions, optional
        The optional silence and its probability.

    Raises
    ------
    ModelError
        The lexicon uses a phone that the model lacks (word, line and phone are named).
    """

    def __init__(
        self, model: PhoneModel, lexicon: Lexicon, options: LexiconOptions | None = None
    ) -> None:
        options = options or LexiconOptions()
        lexicon = spoken_lexicon(model, lexicon)
        self._prepare(lexicon, phone_numbers(model.phones, lexicon),
                      optional_silence(model, options))  # fmt: skip
        self.labels = model.state_labels()
        self.units = Units.of_phones(model.topologies, self.labels)
        self._of_phone = pieces_of(self.units)
        self._min_frames = [topology.min_frames for topology in model.topologies]

    def _prepare(
        self, lexicon: Lexicon, phones: dict[str, int], silence: tuple[int, float, float] | None
    ) -> None:
        """Keep what does not depend on the HMMs."""
        self.lexicon = lexicon
        self.words = Symbols(lexicon.words)
        self._phones = phones
        self._silence = silence

    def __call__(self, words: Sequence[str], *, where: str | None = None) -> TranscriptGraph:
        """Return the alignment graph of `words`.

        Parameters
        ----------
        words : sequence of str
            May be empty where silence is optional: then the graph is one silence.
        where : str, optional
            Named in errors: an utterance id or ``file:line``.

        Raises
        ------
        DataError
            Words that the lexicon lacks, all listed with their nearest spellings; or no words
            and no silence either.
        """
        missing = self.lexicon.missing(words)
        if missing:
            raise DataError(
                f"the lexicon lacks {len(missing)} word{'s' * (len(missing) > 1)}: "
                + format_missing(missing),
                where=where, fix="Add them to the lexicon or correct the transcript.",
            )  # fmt: skip
        plan = Plan(self._silence, self._min_frames)
        for asked in words:
            word = self.lexicon.spellings(asked)[0]
            entries = self.lexicon.prons(word)
            prons = [(entry.probability, [self._phones[phone] for phone in entry.phones])
                     for entry in entries]  # fmt: skip
            pauses = None
            if self._silence is not None:
                pauses = [silence_costs(entry, self._silence) for entry in entries]
            plan.add_word(self.words.id(word), prons, pauses)
        plan.finish()
        if not plan.segments:
            raise DataError("neither words nor silence to align", where=where)
        return self._expand(plan)

    def _expand(self, plan: Plan) -> TranscriptGraph:
        """Replace every phone of the plan by its HMM."""
        return self._laid_out(plan, [self._of_phone[phone] for phone in plan.segments])

    def _laid_out(self, plan: Plan, pieces: Sequence[Piece]) -> TranscriptGraph:
        """Return the graph in which segment i of the plan is ``pieces[i]``."""
        first_state = [1]
        rows: list[tuple[int, int, int, int, float, int, int]] = []
        for piece in pieces:
            base = first_state[-1]
            first_state.append(base + piece.n_states)
            rows.extend((base + i, label, 0, base + j, 0.0, move, 0)
                        for i, j, label, move in piece.step)  # fmt: skip
        for before, after, word, cost in plan.links:
            leaves: tuple[tuple[int, int], ...] = ((0, 0),)
            if before >= 0:
                leaves = tuple((first_state[before] + state, move)
                               for state, move in pieces[before].leave)  # fmt: skip
            base = first_state[after]
            rows.extend((source, label, word, base + state, cost, move, out)
                        for source, out in leaves
                        for state, label, move in pieces[after].enter)  # fmt: skip
        n_states = first_state[-1]
        final_fixed = np.full(n_states, np.inf)
        final_move = np.zeros(n_states, dtype=np.int32)
        for segment, cost in plan.ends:
            for state, move in pieces[segment].leave:
                final_fixed[first_state[segment] + state] = cost
                final_move[first_state[segment] + state] = move
        rows.sort(key=lambda row: row[:2])  # the order of `Fst.from_arcs`, which is stable
        source, ilabel, olabel, target, fixed, *moves = (
            np.array(c) for c in zip(*rows, strict=True)
        )
        costs = self.units.move_costs
        pairs = np.stack(moves, axis=1).astype(np.int32)
        fst = Fst.from_arcs(
            0, source, ilabel, olabel, fixed + costs[pairs].sum(axis=1), target,
            final_fixed + costs[final_move], self.labels.symbols, self.words,
        )  # fmt: skip
        return TranscriptGraph(fst, fixed, pairs, final_fixed, final_move, plan.n_min_frames)


@dataclasses.dataclass(frozen=True)
class Piece:
    """The moves of one unit as Python numbers: small graphs are built faster with them."""

    n_states: int
    enter: list[tuple[int, int, int]]  # state, label, move
    step: list[tuple[int, int, int, int]]  # source, target, label, move
    leave: list[tuple[int, int]]  # state, move


def pieces_of(units: Units) -> list[Piece]:
    """Return the moves of every unit, numbered as in `Units.move_costs`."""

    def rows(moves: Moves, unit: int, *columns: npt.NDArray[np.int32]) -> Iterable[list[int]]:
        part = slice(moves.start[unit], moves.start[unit + 1])
        return zip(*(column[part].tolist() for column in columns), strict=True)  # type: ignore[return-value]

    numbers = np.arange(1, units.n_moves + 1, dtype=np.int32)
    n_enter, n_step = len(units.enter), len(units.step)
    enter, step, leave = np.split(numbers, [n_enter, n_enter + n_step])
    return [
        Piece(
            int(units.n_states[unit]),
            [(s, la, m) for s, la, m in
             rows(units.enter, unit, units.enter.target, units.enter.label, enter)],
            [(i, j, la, m) for i, j, la, m in
             rows(units.step, unit, units.step.source, units.step.target, units.step.label, step)],
            [(s, m) for s, m in rows(units.leave, unit, units.leave.source, leave)],
        )
        for unit in range(len(units))
    ]  # fmt: skip


class Plan:
    """The phones of all ways to speak the words so far, and which may follow which.

    ``open`` holds the ends that the next word may follow: (segment, cost so far); -1 is the
    start of the utterance.
    """

    def __init__(self, silence: tuple[int, float, float] | None, min_frames: list[int]) -> None:
        self.silence = silence
        self.min_frames = min_frames
        self.segments: list[int] = []
        self.positions: list[int] = []
        self.links: list[tuple[int, int, int, float]] = []
        self.ends: list[tuple[int, float]] = []
        self.n_min_frames = 0
        self.open: list[tuple[int, float]] = [(-1, 0.0)]
        self._may_pause(None if silence is None else [silence[1:]])

    @classmethod
    def bare(cls, n_min_frames: int) -> Plan:
        """Return a plan without a segment, to be filled with links and ends."""
        plan = cls(None, [])
        plan.n_min_frames = n_min_frames
        return plan

    def _may_pause(self, pauses: Sequence[tuple[float, float]] | None) -> None:
        """Let silence follow the open ends, or not; `pauses` holds the costs of both for each."""
        if self.silence is None or pauses is None:
            return
        segment = len(self.segments)
        ends = list(zip(self.open, pauses, strict=True))
        links = [(before, segment, 0, cost + pause) for (before, cost), (pause, _) in ends
                 if pause < np.inf]  # fmt: skip
        self.open = [(before, cost + none) for (before, cost), (_, none) in ends]
        if not links:
            return
        self.segments.append(self.silence[0])
        self.positions.append(_SINGLE)
        self.links += links
        self.open.append((segment, 0.0))

    def add_word(
        self,
        word: int,
        prons: list[tuple[float, list[int]]],
        pauses: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        """Let the pronunciations (probability, phones) of one word follow the open ends.

        `pauses` holds the costs of silence and of none after each, where silence is optional.
        """
        ends: list[tuple[int, float]] = []
        for probability, phones in prons:
            cost = -float(np.log(probability)) + 0.0
            segment = len(self.segments)
            self.links += [(before, segment, word, paid + cost) for before, paid in self.open]
            self.links += [(segment + i, segment + i + 1, 0, 0.0) for i in range(len(phones) - 1)]
            self.segments += phones
            self.positions += _places(len(phones))
            ends.append((len(self.segments) - 1, 0.0))
        self.n_min_frames += min(
            sum(self.min_frames[phone] for phone in phones) for _, phones in prons
        )
        self.open = ends
        self._may_pause(pauses)

    def finish(self) -> None:
        """Make the open ends final; without any word, something must still be heard."""
        self.ends = [(segment, cost) for segment, cost in self.open if segment >= 0]
        if not self.n_min_frames and self.silence is not None:
            self.n_min_frames = self.min_frames[self.silence[0]]


def _places(n_phones: int) -> list[int]:
    """Return the place in the word of each phone of a pronunciation, as `WORD_POSITIONS`."""
    if n_phones == 1:
        return [_SINGLE]
    return [_BEGIN, *[_INTERNAL] * (n_phones - 2), _END]


def transcript_graph(
    model: PhoneModel,
    lexicon: Lexicon,
    words: str | Sequence[str],
    options: LexiconOptions | None = None,
) -> TranscriptGraph:
    """Return the alignment graph of `words`; for many, keep one `TranscriptCompiler`."""
    return TranscriptCompiler(model, lexicon, options)(as_words(words))
