"""How well speakers are told apart: part of their speech is held back, cut into pieces and judged.

In: recordings by speaker, and perhaps those of strangers. Out: the share of pieces given to the
right speaker, and both errors over all claims.

Public names: `SpeakerTest`, `evaluate_speakers`, `pieces_of`, `split_recordings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.speakers import SpeakerModels
from wfst_hmm.apps.trials import Detection, detection
from wfst_hmm.errors import DataError, UsageError

__all__ = ["SpeakerTest", "evaluate_speakers", "pieces_of", "split_recordings"]

Frames = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class SpeakerTest:
    """Results of one length of pieces.

    Attributes
    ----------
    seconds : float
        Of speech in a piece.
    n_pieces : int
        Pieces of enrolled speakers.
    n_right : int
        Of these, how many were given to their speaker.
    n_strangers : int
        Pieces of people who are not enrolled.
    detection : Detection
        Every piece with the claim to be each speaker.
    threshold_errors : tuple of float
        False accepts and false rejects at the threshold that enrolment found.
    """

    seconds: float
    n_pieces: int
    n_right: int
    n_strangers: int
    detection: Detection
    threshold_errors: tuple[float, float]

    @property
    def accuracy(self) -> float:
        """Share of pieces given to their speaker."""
        return self.n_right / self.n_pieces


def split_recordings(
    frames: Mapping[str, Sequence[Frames]], share: float
) -> tuple[dict[str, list[Frames]], dict[str, list[Frames]]]:
    """Split every speaker's recordings, in order: the last `share` of their frames are held back.

    Raises
    ------
    DataError
        A speaker has one recording only.
    """
    if not 0 < share < 1:
        raise UsageError("share held back", got=share, expected="between 0 and 1")
    enrolled: dict[str, list[Frames]] = {}
    held: dict[str, list[Frames]] = {}
    for name, parts in frames.items():
        if len(parts) < 2:
            raise DataError(f"speaker {name!r} has one recording: none can be held back")
        before = np.cumsum([len(part) for part in parts])
        cut = int(np.searchsorted(before, (1.0 - share) * before[-1])) + 1
        cut = min(max(cut, 1), len(parts) - 1)
        enrolled[name], held[name] = list(parts[:cut]), list(parts[cut:])
    return enrolled, held


def pieces_of(parts: Sequence[Frames], length: int) -> list[Frames]:
    """Cut recordings, joined, into pieces of `length` frames; the rest is dropped."""
    x = np.concatenate(list(parts))
    return [x[start : start + length] for start in range(0, len(x) - length + 1, length)]


def evaluate_speakers(
    models: SpeakerModels,
    held: Mapping[str, Sequence[Frames]],
    seconds: float,
    *,
    strangers: Mapping[str, Sequence[Frames]] | None = None,
) -> SpeakerTest:
    """Judge pieces of `seconds` of speech under all enrolled speakers.

    Parameters
    ----------
    models : SpeakerModels
    held : mapping of str to sequence of ndarray
        Recordings of enrolled speakers that enrolment did not see.
    seconds : float
    strangers : mapping, optional
        Recordings of people who are not enrolled: false claims only.

    Raises
    ------
    DataError
        Nothing is as long as a piece.
    """
    length = max(1, round(seconds / models.options.features.frame_shift))
    pieces = [(name, piece) for name, parts in held.items() for piece in pieces_of(parts, length)]
    others = [piece for parts in (strangers or {}).values() for piece in pieces_of(parts, length)]
    if not pieces:
        raise DataError("no held-back speech as long as a piece", expected=f"{seconds:g} s")
    truth = np.array([models.models.index(name) for name, _ in pieces])
    scores = np.stack([models.scores(piece) for _, piece in pieces])
    is_true = truth[:, None] == np.arange(len(models.speakers))
    false = [scores[~is_true], *(models.scores(piece) for piece in others)]
    found = detection(scores[is_true], np.concatenate(false))
    at = int(np.searchsorted(found.thresholds, models.threshold))
    errors = (float(found.false_accepts[at]), float(found.false_rejects[at]))
    n_right = int((scores.argmax(axis=1) == truth).sum())
    return SpeakerTest(seconds, len(pieces), n_right, len(others), found, errors)
