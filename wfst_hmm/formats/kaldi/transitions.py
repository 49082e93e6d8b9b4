"""Kaldi's transition models, the first half of a ``final.mdl``.

In: a `KaldiReader`. Out: `TransitionModel`, which says for every transition-id which phone, HMM
state, score column (pdf-id) and destination it stands for, and what it costs.

Public names: `TransitionModel`.

Notes
-----
Format: Kaldi's ``hmm/transition-model.cc``. Transition-ids count from 1, transition by
transition, over the tuples (phone, HMM state, forward pdf, self-loop pdf); ``<Triples>`` leave
the last out when it equals the third.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import ModelError
from wfst_hmm.formats.kaldi.stream import KaldiReader, KaldiWriter
from wfst_hmm.formats.kaldi.topologies import HmmTopologies
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.topology import StateLabels

__all__ = ["TransitionModel"]


@dataclasses.dataclass(frozen=True, eq=False)
class TransitionModel:
    """What Kaldi's transition-ids mean, and what they cost.

    Attributes
    ----------
    topologies : HmmTopologies
    tuples : ndarray of int32, shape (n_states, 4)
        Phone, HMM state, forward pdf, self-loop pdf of each transition state, from 0 here.
    log_probs : ndarray of float32, shape (n_ids + 1,)
        Log probability of each transition-id; entry 0 is not used.
    state_of, phone_of, hmm_state_of, destination_of, pdf_of : ndarrays of int32, (n_ids + 1,)
        By transition-id; -1 at number 0.
    is_self_loop, is_final : ndarrays of bool, shape (n_ids + 1,)
    """

    __repr__ = brief

    topologies: HmmTopologies
    tuples: npt.NDArray[np.int32]
    log_probs: npt.NDArray[np.float32]
    state_of: npt.NDArray[np.int32] = dataclasses.field(init=False)
    phone_of: npt.NDArray[np.int32] = dataclasses.field(init=False)
    hmm_state_of: npt.NDArray[np.int32] = dataclasses.field(init=False)
    destination_of: npt.NDArray[np.int32] = dataclasses.field(init=False)
    pdf_of: npt.NDArray[np.int32] = dataclasses.field(init=False)
    is_self_loop: npt.NDArray[np.bool_] = dataclasses.field(init=False)
    is_final: npt.NDArray[np.bool_] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        rows = [(-1, -1, -1, -1, -1, False, False)]
        for index, (phone, number, forward, loop) in enumerate(self.tuples.tolist()):
            states = self.topologies.of(phone)
            for goal, _ in states[number].transitions:
                stays = goal == number
                pdf = loop if stays else forward
                rows.append((index, phone, number, goal, pdf, stays, goal == len(states) - 1))
        table = np.array(rows, dtype=np.int32)
        names = ("state_of", "phone_of", "hmm_state_of", "destination_of", "pdf_of")
        for column, name in enumerate(names):
            object.__setattr__(self, name, np.ascontiguousarray(table[:, column]))
        object.__setattr__(self, "is_self_loop", table[:, 5] > 0)
        object.__setattr__(self, "is_final", table[:, 6] > 0)
        if self.log_probs.shape != (len(table),):
            raise ModelError("log probabilities do not match the transitions",
                             got=len(self.log_probs), expected=len(table))  # fmt: skip

    @property
    def n_ids(self) -> int:
        """Number of transition-ids; they run from 1 to this."""
        return len(self.state_of) - 1

    @property
    def n_pdfs(self) -> int:
        """Number of score columns that the transitions use."""
        return int(self.tuples[:, 2:].max()) + 1

    @classmethod
    def read(cls, reader: KaldiReader) -> TransitionModel:
        """Read from ``<TransitionModel>`` to ``</TransitionModel>``."""
        reader.expect("<TransitionModel>")
        topologies = HmmTopologies.read(reader)
        kind = reader.expect("<Triples>", "<Tuples>")
        width = 3 if kind == "<Triples>" else 4
        each = 5 * width if reader.binary else 2 * width
        n = reader.size("transition states", each=each, low=1)
        rows = np.empty((n, 4), dtype=np.int32)
        for row in rows:
            row[:width] = [reader.integer("transition state", low=0) for _ in range(width)]
            row[3] = row[2] if width == 3 else row[3]
        reader.expect("</Triples>", "</Tuples>")
        _check_tuples(rows, topologies, reader)
        reader.expect("<LogProbs>")
        log_probs = reader.vector("log probabilities").astype(np.float32)
        reader.expect("</LogProbs>")
        reader.expect("</TransitionModel>")
        if np.isnan(log_probs).any() or np.any(log_probs > 1e-3):
            raise reader.error("a transition's log probability is NaN or above 0")
        try:
            return cls(topologies, rows, log_probs)
        except ModelError as error:
            raise reader.error(error.what, got=error.got, expected=error.expected) from None

    def write(self, writer: KaldiWriter) -> None:
        """Write from ``<TransitionModel>`` to ``</TransitionModel>``."""
        writer.token("<TransitionModel>")
        self.topologies.write(writer)
        tag, width = ("Triples", 3) if self.topologies.plain else ("Tuples", 4)
        writer.token(f"<{tag}>")
        writer.integer(len(self.tuples))
        writer.newline()
        for row in self.tuples.tolist():
            for value in row[:width]:
                writer.integer(value)
            writer.newline()
        writer.token(f"</{tag}>")
        writer.newline()
        writer.token("<LogProbs>")
        writer.newline()
        writer.vector(self.log_probs)
        writer.token("</LogProbs>")
        writer.newline()
        writer.token("</TransitionModel>")
        writer.newline()

    def phones_of(self, ids: npt.ArrayLike, *, reordered: bool = True) -> list[tuple[int, int]]:
        """Split a path of transition-ids into ``(phone, number of frames)``.

        Parameters
        ----------
        ids : array_like of int, shape (T,)
        reordered : bool
            Whether self-loops follow the transition out of their state (Kaldi's usual order).

        Raises
        ------
        ModelError
            The path does not end where a phone ends.
        """
        array = np.asarray(ids, dtype=np.int64)
        self.check_ids(array)
        ends = self.is_final[array].copy()
        if reordered:  # the self-loops of the last state still belong to the phone
            same = self.is_self_loop[array[1:]] & (
                self.state_of[array[1:]] == self.state_of[array[:-1]]
            )
            leaving = np.flatnonzero(ends)
            ends[:] = False
            for frame in leaving:
                while frame + 1 < len(array) and same[frame]:
                    frame += 1
                ends[frame] = True
        if len(array) and not ends[-1]:
            raise ModelError("the path ends inside a phone", got=f"frame {len(array) - 1}")
        stops = np.flatnonzero(ends) + 1
        starts = np.concatenate([[0], stops[:-1]]).astype(int)
        return [(int(self.phone_of[array[a]]), int(b - a)) for a, b in zip(starts, stops, strict=True)]  # fmt: skip

    def check_ids(self, ids: npt.NDArray[Any], where: str | None = None) -> None:
        """Raise a `ModelError` when an id is not one of this model's."""
        wrong = (ids < 1) | (ids > self.n_ids)
        if np.any(wrong):
            raise ModelError("a transition-id that the model does not have", where=where,
                             got=int(ids[wrong][0]), expected=f"1 to {self.n_ids}",
                             fix="Was it made with another model?")  # fmt: skip

    def state_labels(
        self, phones: Symbols | Sequence[str], *, reordered: bool = True
    ) -> StateLabels:
        """Return labels that *are* the transition-ids, for graphs made by Kaldi.

        Parameters
        ----------
        phones : Symbols or sequence of str
            The names by Kaldi's phone number (0 is ``<eps>``).
        reordered : bool
            Whether self-loops follow the transition out of their state, as usual. If they come
            first, no id tells the first frame of a phone: there are then two labels for each
            id, the second ones, from ``n_ids + 1`` on, for first frames.

        Notes
        -----
        A graph of Kaldi's holds the self-loops behind the transition out of their state, so the
        first frame in a phone always carries an id out of state 0 that is no self-loop; where
        state 0 can be entered again from another state, the ids do not tell, and `is_entry`
        is False throughout.
        """
        if not reordered:
            return self._labels(phones, np.zeros(self.n_ids, bool), np.ones(self.n_ids, bool))
        entry = (self.hmm_state_of[1:] == 0) & ~self.is_self_loop[1:]
        again = (self.destination_of[1:] == 0) & ~self.is_self_loop[1:]
        if again.any():
            entry[:] = False
        return self._labels(phones, entry)

    def _labels(
        self, phones: Symbols | Sequence[str], *entries: npt.NDArray[np.bool_]
    ) -> StateLabels:
        """Return a row for every id, once for each array that says which of them are entries."""
        names = []
        for entry in entries:
            for tid in range(1, self.n_ids + 1):
                phone = self.phone_of[tid]
                if phone >= len(phones):
                    raise ModelError(
                        f"phone number {phone} has no name", expected="a longer phones.txt"
                    )
                mark = "^" if entry[tid - 1] else ""
                state, goal = self.hmm_state_of[tid], self.destination_of[tid]
                base = f"{mark}{phones[int(phone)]}.{state}/{self.pdf_of[tid]}>{goal}"
                names.append(base if self.topologies.plain else f"{base}#{self.state_of[tid]}")
        rows = (
            np.tile(a[1:], len(entries)) for a in (self.phone_of, self.hmm_state_of, self.pdf_of)
        )
        phone_rows, state_rows, pdf_rows = rows
        return StateLabels(
            phone_rows - 1, state_rows, pdf_rows, np.concatenate(entries), Symbols(names)
        )


def _check_tuples(
    rows: npt.NDArray[np.int32], topologies: HmmTopologies, reader: KaldiReader
) -> None:
    if len(np.unique(rows, axis=0)) != len(rows):
        raise reader.error("a transition state is listed twice")
    for index, (phone, number, forward, loop) in enumerate(rows.tolist()):
        if phone not in topologies.entry_of:
            raise reader.error(f"transition state {index} has a phone without topology", got=phone)
        states = topologies.of(phone)
        if not 0 <= number < len(states) - 1:
            raise reader.error(f"transition state {index} names an impossible HMM state",
                               got=number, expected=f"0 to {len(states) - 2}")  # fmt: skip
        if max(forward, loop) > 16 * len(rows):
            raise reader.error(f"transition state {index} names an impossible pdf",
                               got=max(forward, loop))  # fmt: skip
