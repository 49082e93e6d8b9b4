"""From posteriors to probabilities that can be believed.

In: lattice posteriors of words that are known to be right or wrong. Out: `Calibration`, a
monotone map onto confidences, and `Reliability`, which says how good confidences are.

Public names: `Calibration`, `Reliability`, `ReliabilityBin`, `fit_calibration`, `reliability`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.files import read_json, write_json

__all__ = ["Calibration", "Reliability", "ReliabilityBin", "fit_calibration", "reliability"]

_FORMAT = "wfst_hmm confidence"
_EDGE = 1e-4  # posteriors are kept this far from 0 and 1: a pruned lattice knows no better
_MAX_ROUNDS = 100

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A logistic map from lattice posteriors to confidences.

    ``confidence = 1 / (1 + exp(-(slope * logit(posterior) + offset)))`` with posteriors kept
    1e-4 away from 0 and 1. The slope is not negative, so the order of words never changes.
    ``Calibration()`` leaves posteriors as they are (but for the edges).

    Attributes
    ----------
    slope, offset : float
    scale : float
        Factor on all costs of the lattice before posteriors are computed, beside the acoustic
        scale that the search already used.
    n_words, n_correct : int
        What it was fitted on; 0: not fitted.
    """

    slope: float = 1.0
    offset: float = 0.0
    scale: float = 1.0
    n_words: int = 0
    n_correct: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.slope < np.inf and abs(self.offset) < np.inf):
            raise UsageError("not a monotone map onto confidences", where="calibration",
                             got=f"slope {self.slope}, offset {self.offset}",
                             expected="a finite slope of at least 0")  # fmt: skip
        if not 0 < self.scale < np.inf:
            raise UsageError("the scale must be positive", where="calibration", got=self.scale)

    def __call__(self, posteriors: npt.ArrayLike) -> Floats:
        """Return the confidence of each posterior, 0 to 1."""
        made: Floats = _logistic(self.slope * _logit(posteriors) + self.offset)
        return made

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        write_json(path, {"format": _FORMAT, "version": 1, **dataclasses.asdict(self)})

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what `save` wrote; a `FormatError` when it is something else."""
        value = read_json(path)
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise FormatError("no calibration of confidences", where=str(path),
                              expected=f'"format": "{_FORMAT}"',
                              fix="Make one with wfst-hmm calibrate.")  # fmt: skip
        try:
            numbers = {name: value[name] for name in names}
            for name, number in numbers.items():
                if isinstance(number, bool) or not isinstance(number, (int, float)):
                    raise ValueError(name)
            return cls(**numbers)
        except (KeyError, ValueError, UsageError) as error:
            raise FormatError(f"a damaged calibration ({error})", where=str(path),
                              fix="Make it again with wfst-hmm calibrate.") from None  # fmt: skip


def fit_calibration(
    posteriors: npt.ArrayLike, correct: npt.ArrayLike, *, scale: float = 1.0
) -> Calibration:
    """Fit slope and offset to words of held-out data.

    Parameters
    ----------
    posteriors : array-like of float, shape (n,)
        Of recognized words, by `wfst_hmm.lattice.consensus.confidences` with this `scale`.
    correct : array-like of bool, shape (n,)
        Whether each word is right.
    scale : float
        Kept in the result.

    Raises
    ------
    DataError
        There are no words, or the arrays do not fit together.

    Notes
    -----
    Platt (1999), "Probabilistic outputs for support vector machines", on the logit of the
    posterior: greatest likelihood, with Platt's targets ``(n+ + 1) / (n+ + 2)`` and
    ``1 / (n- + 2)`` instead of 1 and 0, which keeps the map finite where all words are right or
    the two kinds can be parted. A negative slope becomes 0.
    """
    seen = _logit(posteriors)
    right = np.asarray(correct, dtype=bool)
    if not len(seen) or seen.shape != right.shape:
        raise DataError("nothing to fit confidences to", got=f"{len(seen)} words, {len(right)} marks",
                        expected="a mark for each of at least one word")  # fmt: skip
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    goal = np.where(right, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    slope, offset = _fitted(seen, goal)
    if slope < 0:
        slope, offset = _fitted(np.zeros_like(seen), goal)
    return Calibration(slope, offset, scale, len(right), n_right)


def _fitted(seen: Floats, goal: Floats) -> tuple[float, float]:
    """Maximize the likelihood by Newton's method with halved steps, from slope 1, offset 0."""
    inputs = np.stack([seen, np.ones_like(seen)], axis=1)
    at = np.array([1.0 if seen.any() else 0.0, 0.0])
    loss = _loss(inputs @ at, goal)
    for _ in range(_MAX_ROUNDS):
        share = _logistic(inputs @ at)
        gradient = inputs.T @ (share - goal)
        curvature = (inputs.T * (share * (1 - share))) @ inputs + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        factor = 1.0
        while factor > 1e-6 and _loss(inputs @ (at - factor * step), goal) > loss:
            factor *= 0.5
        if factor <= 1e-6:
            break
        at = at - factor * step
        before, loss = loss, _loss(inputs @ at, goal)
        if before - loss < 1e-12 * max(1.0, abs(before)):
            break
    return float(at[0]), float(at[1])


def _loss(value: Floats, goal: Floats) -> float:
    return float((np.logaddexp(0.0, value) - goal * value).sum())


def _logit(posteriors: npt.ArrayLike) -> Floats:
    values = np.asarray(posteriors, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1 + 1e-6)).all():  # NaN is neither
        raise DataError("posteriors must lie between 0 and 1")
    kept = np.clip(values, _EDGE, 1 - _EDGE)
    made: Floats = np.log(kept) - np.log1p(-kept)
    return made


def _logistic(value: Floats) -> Floats:
    made: Floats = np.exp(-np.logaddexp(0.0, -value))
    return made


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """Words whose confidences are alike: how sure we were, and how often we were right."""

    low: float
    high: float
    n_words: int
    mean_confidence: float
    share_correct: float


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How good confidences are.

    Attributes
    ----------
    n_words, n_correct : int
    nce : float
        Normalized cross entropy: 1 is perfect, 0 is what the share of right words alone would
        give, negative is worse; NaN where all words are right or all wrong.
    ece : float
        Expected calibration error: mean distance of confidence and share of right words over
        the bins, weighted by their words.
    bins : tuple of ReliabilityBin
        Bins that have words, by confidence.
    """

    n_words: int
    n_correct: int
    nce: float
    ece: float
    bins: tuple[ReliabilityBin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything, JSON-ready; an undefined NCE is None."""
        return dataclasses.asdict(self) | {"nce": None if math.isnan(self.nce) else self.nce}


def reliability(
    confidences: npt.ArrayLike, correct: npt.ArrayLike | Sequence[bool], *, n_bins: int = 10
) -> Reliability:
    """Compare confidences with what was right.

    Parameters
    ----------
    confidences : array-like of float, shape (n,)
        0 to 1.
    correct : array-like of bool, shape (n,)
    n_bins : int
        Of equal width.

    Raises
    ------
    DataError
        There are no words, or the arrays do not fit together.

    Notes
    -----
    NCE as NIST's sclite computes it (Siu, Gish & Richardson 1997): ``(H_max + sum of log2 c over
    right words + sum of log2 (1 - c) over wrong ones) / H_max`` with ``H_max = -n log2 p - (N - n)
    log2 (1 - p)`` and ``p = n / N``; confidences are kept 1e-7 away from 0 and 1. ECE: Naeini,
    Cooper & Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning".
    """
    sure = np.asarray(confidences, dtype=np.float64)
    right = np.asarray(correct, dtype=bool)
    if not len(sure) or sure.shape != right.shape or sure.ndim != 1:
        raise DataError("no confidences to judge", got=f"{len(sure)} words, {len(right)} marks")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise DataError("confidences must lie between 0 and 1")
    if n_bins < 1:
        raise UsageError("at least one bin is needed", where="n_bins", got=n_bins)
    number = np.minimum((sure * n_bins).astype(np.int64), n_bins - 1)
    bins = []
    for at in np.unique(number).tolist():
        here = number == at
        bins.append(ReliabilityBin(at / n_bins, (at + 1) / n_bins, int(here.sum()),
                                   float(sure[here].mean()), float(right[here].mean())))  # fmt: skip
    ece = sum(b.n_words * abs(b.mean_confidence - b.share_correct) for b in bins) / len(sure)
    return Reliability(len(sure), int(right.sum()), _nce(sure, right), ece, tuple(bins))


def _nce(sure: Floats, right: npt.NDArray[np.bool_]) -> float:
    share = float(right.mean())
    if share in (0.0, 1.0):
        return math.nan
    highest = -len(right) * (share * math.log2(share) + (1 - share) * math.log2(1 - share))
    kept = np.clip(sure, 1e-7, 1 - 1e-7)
    told = np.where(right, np.log2(kept), np.log2(1 - kept)).sum()
    return float((highest + told) / highest)
