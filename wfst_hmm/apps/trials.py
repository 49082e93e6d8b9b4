"""Yes-or-no trials: how often a claim is wrongly accepted or wrongly refused.

In: scores of true and of false claims, higher meaning truer. Out: the trade-off between the two
errors, the point where they are equal.

Public names: `Detection`, `detection`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError

__all__ = ["Detection", "detection"]

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Detection:
    """Error rates at every threshold, from the laxest to the strictest.

    Attributes
    ----------
    thresholds : ndarray, shape (n,)
        Accept where score >= threshold; rising, the last is +inf.
    false_accepts, false_rejects : ndarray, shape (n,)
        Share of false claims accepted (falling), of true claims refused (rising).
    n_true, n_false : int
    """

    thresholds: Array
    false_accepts: Array
    false_rejects: Array
    n_true: int
    n_false: int

    @property
    def equal_error_rate(self) -> float:
        """Where both errors are the same, on straight lines between the thresholds."""
        return self._crossing()[0]

    @property
    def equal_error_threshold(self) -> float:
        """Threshold nearest to equal errors, midway between the scores that it parts."""
        at = self._crossing()[1]
        above = self.thresholds[at]
        below = self.thresholds[max(at - 1, 0)]
        return float(0.5 * (above + below) if np.isfinite(above) else below)

    def _crossing(self) -> tuple[float, int]:
        gap = self.false_rejects - self.false_accepts  # rises from -1 to 1
        at = int(np.argmax(gap >= 0))
        if at == 0 or gap[at] == 0:
            return float(self.false_rejects[at]), at
        share = -gap[at - 1] / (gap[at] - gap[at - 1])
        low, high = self.false_rejects[at - 1], self.false_rejects[at]
        return float(low + share * (high - low)), at


def detection(true_scores: npt.ArrayLike, false_scores: npt.ArrayLike) -> Detection:
    """Sort out both errors for all thresholds that make a difference.

    Raises
    ------
    DataError
        There are no true or no false claims, or a score is NaN.

    Examples
    --------
    >>> found = detection([2.0, 3.0, 0.5], [0.0, 1.0, -1.0, -2.0])
    >>> round(found.equal_error_rate, 3)
    0.25
    """
    true, false = (np.sort(np.asarray(s, dtype=np.float64).ravel())
                   for s in (true_scores, false_scores))  # fmt: skip
    for name, scores in (("true", true), ("false", false)):
        if not len(scores):
            raise DataError(f"no {name} claims", expected="at least one of each kind")
        if np.isnan(scores).any():
            raise DataError(f"a score of {name} claims is NaN")
    thresholds = np.concatenate([np.unique(np.concatenate([true, false])), [np.inf]])
    return Detection(
        thresholds,
        1.0 - np.searchsorted(false, thresholds) / len(false),
        np.searchsorted(true, thresholds) / len(true),
        len(true),
        len(false),
    )
