"""Confidences that fit a graph and its model: made from decoded speech whose words are known.

In: `Outcome`s with lattices and references. Out: posteriors of recognized words, each marked
right or wrong; the `Calibration` that fits them; the file beside a graph that holds it.

Public names: `CALIBRATION_FILE`, `JudgedWords`, `SCALES`, `calibration_of_graph`,
`fit_best_scale`, `judge`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.apps.wer import score_words
from wfst_hmm.errors import DataError
from wfst_hmm.lattice.confidence import Calibration, fit_calibration
from wfst_hmm.lattice.consensus import confidences

__all__ = [
    "CALIBRATION_FILE",
    "SCALES",
    "JudgedWords",
    "calibration_of_graph",
    "fit_best_scale",
    "judge",
]

#: Name of a graph's calibration within its directory.
CALIBRATION_FILE = "confidence.json"
#: Factors on lattice costs that are tried.
SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0)


@dataclasses.dataclass(frozen=True, eq=False)
class JudgedWords:
    """Recognized words, right or wrong.

    Attributes
    ----------
    scales : tuple of float
    posteriors : ndarray of float64, shape (n_words, n_scales)
    correct : ndarray of bool, shape (n_words,)
        By the alignment with the fewest errors.
    """

    scales: tuple[float, ...]
    posteriors: npt.NDArray[np.float64]
    correct: npt.NDArray[np.bool_]

    @classmethod
    def pool(cls, parts: Sequence[JudgedWords]) -> JudgedWords:
        """Return the words of all parts, which share their scales."""
        return cls(parts[0].scales, np.concatenate([part.posteriors for part in parts]),
                   np.concatenate([part.correct for part in parts]))  # fmt: skip

    def at(self, scale: float) -> npt.NDArray[np.float64]:
        """Return the posteriors with one scale, shape (n_words,)."""
        return self.posteriors[:, self.scales.index(scale)]


def judge(outcomes: Iterable[Outcome], scales: Sequence[float] = SCALES) -> JudgedWords:
    """Mark recognized words right or wrong, and compute their posteriors with every scale.

    Outcomes without a lattice, a result or a reference are passed over.
    """
    posteriors: list[list[float]] = []
    correct: list[bool] = []
    for outcome in outcomes:
        if outcome.decoded is None or outcome.lattice is None or outcome.utterance.words is None:
            continue
        texts = tuple(word.text for word in outcome.decoded.words)
        aligned = score_words(outcome.utterance.words, texts).alignment
        correct += [column.kind == "correct" for column in aligned if column.hypothesis is not None]
        columns = [confidences(outcome.lattice, texts, scale=scale) for scale in scales]
        posteriors += [list(row) for row in zip(*columns, strict=True)]
    shares = np.array(posteriors, dtype=np.float64).reshape(-1, len(scales))
    return JudgedWords(tuple(scales), np.minimum(shares, 1.0), np.array(correct, dtype=bool))


def fit_best_scale(words: JudgedWords) -> Calibration:
    """Fit a map with each scale and return the one that makes the words most likely.

    Raises
    ------
    DataError
        There are no words; all are right, or all wrong; or those with high posteriors are no more
        often right than the others. Each would make all confidences one number.
    """
    if not len(words.correct):
        raise DataError("no recognized words with known transcripts",
                        fix="Name data with transcripts, as for training.")  # fmt: skip
    n_right = int(words.correct.sum())
    if n_right in (0, len(words.correct)):
        raise DataError(f"{'all' if n_right else 'none'} of the {len(words.correct)} words are "
                        "right: confidences cannot be fitted",
                        fix="Take data with some errors: other speakers, noise.")  # fmt: skip
    fits = [fit_calibration(words.at(scale), words.correct, scale=scale) for scale in words.scales]
    fits = [fit for fit in fits if fit.slope > 0]
    if not fits:
        raise DataError("words with high posteriors are no more often right than the others: "
                        "confidences cannot be fitted", got=f"{n_right} of {len(words.correct)} "
                        "words right", fix="Take more data; look at its transcripts.")  # fmt: skip
    return max(fits, key=lambda fit: _log_likelihood(fit, words))


def _log_likelihood(fit: Calibration, words: JudgedWords) -> float:
    sure = np.clip(fit(words.at(fit.scale)), 1e-12, 1 - 1e-12)
    return float(np.where(words.correct, np.log(sure), np.log1p(-sure)).sum())


def calibration_of_graph(graph: str | Path, named: str | Path | None = None) -> Calibration | None:
    """Load a calibration: the file that is named, else the graph's own; None where there is none.

    Raises
    ------
    FormatError
        The file is no calibration, or the one that is named is missing.
    """
    if named is not None:
        return Calibration.load(named)
    own = Path(graph) / CALIBRATION_FILE
    return Calibration.load(own) if own.is_file() else None
