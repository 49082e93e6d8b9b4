"""What a search returns: a decoded utterance, or the reason why there is none.

In: plain values. Out: frozen dataclasses with JSON-ready forms.

Public names: `Word`, `Phone`, `Decoded`, `NoPath`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen
from wfst_hmm.signal.features import frame_times

__all__ = ["Decoded", "NoPath", "Phone", "Word"]


@dataclasses.dataclass(frozen=True)
class Word:
    """One recognized word.

    Attributes
    ----------
    text : str
    start, end : float
        Seconds from the start of the utterance: midway between the middles of the windows of two
        frames; at its edges, its beginning and end.
    confidence : float or None
        Probability that the word is right, 0 to 1, where a lattice gave one.
    """

    text: str
    start: float
    end: float
    confidence: float | None = None


@dataclasses.dataclass(frozen=True)
class Phone:
    """One phone of the alignment.

    Attributes
    ----------
    text : str
    start, end : float
        Seconds.
    states : tuple of int
        HMM state of each of its frames, from 0.
    confidence : float or None
        How well its frames fit it beside all other phones, 0 to 1, where alignment tells
        (`search.align`).
    """

    text: str
    start: float
    end: float
    states: tuple[int, ...] = ()
    confidence: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded(Frozen):
    """The best path of one utterance.

    Attributes
    ----------
    words : tuple of Word
    phones : tuple of Phone
    acoustic_cost : float
        Sum over frames of the scaled negative log-likelihoods, nats.
    graph_cost : float
        Sum of the graph's costs along the path, nats.
    labels : ndarray of int32, shape (T,)
        State label of each frame.
    arcs : ndarray of int32
        The path as arcs of the graph, epsilons included; of the expanded one where a search
        expanded the HMMs of a compact graph first.
    frame_shift : float
        Seconds per frame.
    search : str
        Which search found it.
    complete : bool
        False for the best hypothesis that reached no final state.
    notes : tuple of str
        What the user should know: a beam that was widened, words whose times are rough.
    rejected : bool
        What was said is nothing that the grammar knows, by the filler beside it.
    filler_margin : float or None
        Nats per frame of speech by which the filler is better (`search.rejection`).
    rejected_words : tuple of Word
        What the path said, where it was rejected; `words` are then none.
    frame_offset : float
        Seconds that the boundary before frame t lies behind ``t * frame_shift``.
    seconds : float or None
        Duration of the audio; None: that of the frames' windows.
    tags : tuple of str
        What the grammar says that the words mean: ``{...}`` of JSGF and SRGS, in order.
    """

    words: tuple[Word, ...]
    phones: tuple[Phone, ...]
    acoustic_cost: float
    graph_cost: float
    labels: npt.NDArray[np.int32]
    arcs: npt.NDArray[np.int32]
    frame_shift: float
    search: str
    complete: bool = True
    notes: tuple[str, ...] = ()
    rejected: bool = False
    filler_margin: float | None = None
    rejected_words: tuple[Word, ...] = ()
    frame_offset: float = 0.0
    seconds: float | None = None
    tags: tuple[str, ...] = ()

    def frame_times(self) -> npt.NDArray[np.float64]:
        """Return when each frame begins and the last one ends, seconds, shape (T + 1,)."""
        return frame_times(self.n_frames, self.frame_shift, self.frame_offset, self.seconds)

    @property
    def total_cost(self) -> float:
        """Acoustic and graph cost together, nats."""
        return self.acoustic_cost + self.graph_cost

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.labels)

    @property
    def text(self) -> str:
        """The words with blanks between them."""
        return " ".join(word.text for word in self.words)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, JSON-ready."""
        return {
            "text": self.text,
            "words": [
                {"text": word.text, "start": word.start, "end": word.end, **_confidence(word)}
                for word in self.words
            ],
            "phones": [
                {
                    "text": phone.text,
                    "start": phone.start,
                    "end": phone.end,
                    "states": list(phone.states),
                    **_confidence(phone),
                }
                for phone in self.phones
            ],
            "acoustic_cost": self.acoustic_cost,
            "graph_cost": self.graph_cost,
            "total_cost": self.total_cost,
            "n_frames": self.n_frames,
            "search": self.search,
            "complete": self.complete,
            "notes": list(self.notes),
            **({"tags": list(self.tags)} if self.tags else {}),
        } | self._beside_filler()

    def _beside_filler(self) -> dict[str, Any]:
        if self.filler_margin is None:
            return {}
        made: dict[str, Any] = {"rejected": self.rejected, "filler_margin": self.filler_margin}
        if self.rejected:
            made["rejected_text"] = " ".join(word.text for word in self.rejected_words)
        return made


def _confidence(span: Word | Phone) -> dict[str, float]:
    """Return a confidence for JSON, where there is one: 0.9999, not 0.9999000000000001."""
    return {} if span.confidence is None else {"confidence": round(span.confidence, 6)}


@dataclasses.dataclass(frozen=True, eq=False)
class NoPath:
    """Why an utterance has no path through the graph.

    Attributes
    ----------
    reason : str
        ``"too_few_frames"``: fewer than the shortest path through the graph takes;
        ``"dead_frame"``: a frame whose scores are all -inf;
        ``"not_final"``: paths through all frames, none of which ends in a final state;
        ``"no_match"``: impossible scores or missing arcs end every path before the last frame;
        ``"beam_cut"``: only pruning stands between the utterance and a path;
        ``"empty_graph"``: no path leads from the start to a final state at all.
    detail : str
        One line for the user, numbers included.
    n_frames : int
    min_frames : int or None
        Length of the shortest path, where it was asked for.
    partial : Decoded or None
        The best hypothesis that reached no final state.
    """

    reason: str
    detail: str
    n_frames: int
    min_frames: int | None = None
    partial: Decoded | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the reason, JSON-ready."""
        return {
            "reason": self.reason,
            "detail": self.detail,
            "n_frames": self.n_frames,
            "min_frames": self.min_frames,
            "partial": self.partial.to_dict() if self.partial else None,
        }
