"""The diarization error rate: time missed, time made up, time given to the wrong speaker.

In: turns of a reference and of a hypothesis. Out: `DiarizationErrors`.

Times are compared exactly, between all ends of turns, not on a grid of frames.

Public names: `DiarizationErrors`, `score_turns`, `score_recordings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.diarization.assignment import best_pairs
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.rttm import Turn

__all__ = ["DiarizationErrors", "score_recordings", "score_turns"]

Regions = Iterable[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class DiarizationErrors:
    """Seconds of speech, and of errors in it.

    Attributes
    ----------
    total : float
        Of the reference's speakers, overlaps counted for each.
    missed, false_alarm, confusion : float
    mapping : dict of str to str
        Hypothesis speaker to reference speaker; those without a partner are left out.
    n_reference, n_hypothesis : int
        Speakers.
    """

    total: float
    missed: float
    false_alarm: float
    confusion: float
    mapping: Mapping[str, str]
    n_reference: int
    n_hypothesis: int

    @property
    def rate(self) -> float:
        """The diarization error rate (NIST 2009); +inf for errors where nobody speaks."""
        errors = self.missed + self.false_alarm + self.confusion
        if self.total > 0:
            return errors / self.total
        return float("inf") if errors > 0 else 0.0

    @classmethod
    def pooled(cls, parts: Iterable[DiarizationErrors]) -> DiarizationErrors:
        """Add up the seconds of several recordings; speakers are counted, not mapped."""
        rows = list(parts)
        return cls(
            sum(p.total for p in rows), sum(p.missed for p in rows),
            sum(p.false_alarm for p in rows), sum(p.confusion for p in rows), {},
            sum(p.n_reference for p in rows), sum(p.n_hypothesis for p in rows),
        )  # fmt: skip


def score_turns(
    reference: Sequence[Turn],
    hypothesis: Sequence[Turn],
    *,
    collar: float = 0.25,
    overlap: bool = True,
    regions: Regions | None = None,
) -> DiarizationErrors:
    """Compare two lists of turns of one recording.

    Parameters
    ----------
    reference, hypothesis : sequence of Turn
        In any order; overlapping turns of one speaker count once.
    collar : float
        Seconds around both ends of every reference turn that are not scored.
    overlap : bool
        Whether stretches in which several reference speakers talk are scored.
    regions : iterable of (start, end), optional
        What is scored; by default everything from the first to the last turn of either.

    Returns
    -------
    DiarizationErrors
        Under the one-to-one mapping of speakers that errs least on what is scored.

    Raises
    ------
    UsageError
        `collar` is negative.

    Notes
    -----
    NIST (2009), "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan",
    section 3.4. In a stretch where R reference and H hypothesis speakers talk and C of them
    are mapped to each other, max(0, R - H) is missed, max(0, H - R) is false alarm and
    min(R, H) - C is confusion, each times the stretch.
    """
    if not collar >= 0:
        raise UsageError("collar", got=collar, expected="0 s or more")
    spans = None if regions is None else list(regions)
    edges = _edges(reference, hypothesis, collar, spans)
    seconds = np.diff(edges) if len(edges) else np.zeros(0)
    ref_names, ref = _active(reference, edges)
    hyp_names, hyp = _active(hypothesis, edges)
    scored = np.ones(len(seconds), dtype=bool)
    if spans is not None:
        scored = _covered(spans, edges)
    if collar > 0:
        ends = [(t - collar, t + collar) for turn in reference for t in (turn.start, turn.end)]
        scored &= ~_covered(ends, edges)
    if not overlap:
        scored &= ref.sum(axis=0) < 2
    seconds = np.where(scored, seconds, 0.0)
    together = (ref * seconds) @ hyp.T.astype(np.float64)
    pairs = best_pairs(together)
    n_ref, n_hyp = ref.sum(axis=0), hyp.sum(axis=0)
    right = sum((float(together[r, h]) for r, h in pairs), 0.0)
    return DiarizationErrors(
        total=float(seconds @ n_ref),
        missed=float(seconds @ np.maximum(n_ref - n_hyp, 0)),
        false_alarm=float(seconds @ np.maximum(n_hyp - n_ref, 0)),
        confusion=max(0.0, float(seconds @ np.minimum(n_ref, n_hyp)) - right),
        mapping={hyp_names[h]: ref_names[r] for r, h in pairs},
        n_reference=len(ref_names),
        n_hypothesis=len(hyp_names),
    )


def _edges(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], collar: float,
    regions: Sequence[tuple[float, float]] | None,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Return all times at which anything changes, sorted, each once."""
    times = [t for turn in (*reference, *hypothesis) for t in (turn.start, turn.end)]
    ends = [t for turn in reference for t in (turn.start, turn.end)]
    times += [t - collar for t in ends] + [t + collar for t in ends]
    times += [t for region in regions or () for t in region]
    return np.unique(np.array(times, dtype=np.float64))


def _covered(
    spans: Iterable[tuple[float, float]], edges: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Tell which stretches between edges lie in one of `spans`, whose ends are edges."""
    depth = np.zeros(max(len(edges), 1), dtype=np.int64)
    table = np.array(list(spans), dtype=np.float64).reshape(-1, 2)
    np.add.at(depth, np.searchsorted(edges, table[:, 0]), 1)
    np.add.at(depth, np.searchsorted(edges, table[:, 1]), -1)
    return np.asarray(np.cumsum(depth)[:-1] > 0)


def _active(
    turns: Sequence[Turn], edges: npt.NDArray[np.float64]
) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Return speakers and when they speak, shape (n_speakers, n_stretches)."""
    names = sorted({turn.speaker for turn in turns})
    rows = [
        _covered([(t.start, t.end) for t in turns if t.speaker == name], edges) for name in names
    ]
    n = max(len(edges) - 1, 0)
    return names, np.array(rows, dtype=bool).reshape(len(names), n)


def score_recordings(
    reference: Mapping[str, Sequence[Turn]],
    hypothesis: Mapping[str, Sequence[Turn]],
    *,
    collar: float = 0.25,
    overlap: bool = True,
    regions: Mapping[str, Regions] | None = None,
) -> dict[str, DiarizationErrors]:
    """Score every recording of the reference; one that the hypothesis lacks is missed whole.

    With `regions` (a UEM), recordings without any are left out. When both sides hold a single
    recording, their names may differ.

    Raises
    ------
    DataError
        The hypothesis holds a recording that the reference does not, or nothing is to score.
    """
    if len(reference) == len(hypothesis) == 1:
        (name,) = reference
        hypothesis = {name: next(iter(hypothesis.values()))}
    unknown = sorted(set(hypothesis) - set(reference))
    if unknown:
        raise DataError(f"the reference has no recording {unknown[0]!r}",
                        got=f"{len(unknown)} unknown of {len(hypothesis)}",
                        expected=", ".join(sorted(reference)[:5]))  # fmt: skip
    names = [name for name in reference if regions is None or name in regions]
    if not names:
        raise DataError("no recording of the reference has a region to score")
    return {
        name: score_turns(
            reference[name], hypothesis.get(name, ()), collar=collar, overlap=overlap,
            regions=None if regions is None else regions[name],
        )
        for name in names
    }  # fmt: skip
