"""The features that a stage of training sees: spliced, transformed, adapted to speakers.

In: normalized features by utterance, and the transforms so far. Out: frames of all utterances in
the order of `Material`, made anew whenever a transform changes.

The maps are those of `ContextModel.finish` and of two-pass decoding, in the same precision, so
that training and decoding see the same numbers.

Public names: `FeatureSpace`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.signal.transforms import affine, splice
from wfst_hmm.training.feature_store import mapped_frames
from wfst_hmm.training.features import Take
from wfst_hmm.training.material import Material

__all__ = ["FeatureSpace"]

Frames = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Features and the maps that lead from them to what is trained on.

    Attributes
    ----------
    base : tuple of ndarray of float32, shape (T_u, n)
        Normalized features of each utterance, in the material's order.
    speakers : tuple of str
        Of each utterance.
    splice : int
        Frames on each side put beside each frame.
    matrix : ndarray of float32, shape (m, n (2 splice + 1)), or None
    adapted : mapping of str to ndarray of float64, shape (m, m + 1)
        A transform for each speaker (fMLLR); may lack some, or all.
    """

    base: tuple[Frames, ...]
    speakers: tuple[str, ...]
    splice: int = 0
    matrix: Frames | None = None
    adapted: Mapping[str, npt.NDArray[np.float64]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, takes: Sequence[Take], material: Material, n_splice: int = 0) -> FeatureSpace:
        """Return the space of bare features of the material's utterances."""
        by_id = {take.id: take for take in takes}
        own = [by_id[id_] for id_ in material.ids]
        return cls(tuple(t.frames for t in own), tuple(t.speaker for t in own), n_splice)

    def utterance(self, number: int, *, adapt: bool = True) -> Frames:
        """Return the frames of one utterance."""
        frames = self.base[number]
        if self.splice:
            frames = splice(frames, self.splice, self.splice)
        if self.matrix is not None:
            frames = affine(frames, self.matrix)
        own = self.adapted.get(self.speakers[number]) if adapt else None
        return frames if own is None else affine(frames, own)

    def frames(self, folder: Path, *, adapt: bool = True) -> Frames:
        """Return the frames of all utterances, shape (F, m); without `adapt`, not adapted.

        They are mapped from a nameless file in `folder`.
        """
        every = (self.utterance(u, adapt=adapt) for u in range(len(self.base)))
        return mapped_frames(every, folder)

    def by_speaker(self, borders: npt.NDArray[np.int64]) -> dict[str, list[slice]]:
        """Return the stretches of frames of each speaker, speakers in order of appearance."""
        found: dict[str, list[slice]] = {}
        for speaker, (a, b) in zip(self.speakers, itertools.pairwise(borders), strict=True):
            found.setdefault(speaker, []).append(slice(int(a), int(b)))
        return found
