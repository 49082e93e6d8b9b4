"""Plots of training and evaluation: likelihoods, confusions, detection errors, reliability.

In: numbers that training and evaluation return. Out: `Plot`.

Public names: `plot_confusion`, `plot_det`, `plot_likelihood`, `plot_reliability`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import GREY, INK
from wfst_hmm.draw.plot import COLOURS, PLAIN, Plot, finished, new_figure
from wfst_hmm.errors import DataError
from wfst_hmm.lattice.confidence import Reliability

__all__ = ["plot_confusion", "plot_det", "plot_likelihood", "plot_reliability"]

_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # of error rates
_LOW, _HIGH = 0.0005, 0.5
_NORMAL = NormalDist()


def plot_likelihood(
    curves: Mapping[str, Sequence[float]], *, xlabel: str = "pass",
    ylabel: str = "log-likelihood per frame (nats)", title: str = "",
) -> Plot:  # fmt: skip
    """Plot how likelihoods rose in training, a curve a name, passes counted from 1."""
    figure = new_figure(7.0, 3.6)
    axis = figure.subplots()
    for number, (name, values) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        axis.plot(
            range(1, len(values) + 1), values, color=colour, marker=".", label=shown(name, 40)
        )
    finished(axis, xlabel, ylabel, title, legend=bool(curves))
    return Plot(figure)


def plot_confusion(
    counts: npt.ArrayLike, names: Sequence[str], *, title: str = ""
) -> Plot:  # fmt: skip
    """Plot a confusion matrix: rows what was said, columns what was understood.

    Parameters
    ----------
    counts : array_like of int, shape (W, W)
    names : sequence of str, length W
    title : str
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.shape != (len(names), len(names)):
        raise DataError("a confusion matrix has a row and a column for each name",
                        got=f"shape {table.shape}", expected=f"{len(names)} x {len(names)}")  # fmt: skip
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    side = min(2.5 + 0.4 * len(names), 12.0)
    figure = new_figure(side + 0.6, side)
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    texts = [shown(name, 16) for name in names]
    axis.set_xticks(range(len(names)), texts, rotation=90, **PLAIN)
    axis.set_yticks(range(len(names)), texts, **PLAIN)
    for row, column in np.argwhere(table > 0).tolist():
        colour = "white" if share[row, column] > 0.55 else INK
        axis.text(column, row, f"{table[row, column]:g}", ha="center", va="center", color=colour,
                  fontsize=8)  # fmt: skip
    axis.set(xlabel="understood", ylabel="said")
    axis.set_title(shown(title, 100), **PLAIN)
    return Plot(figure)


def plot_det(curves: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], *, title: str = "") -> Plot:
    """Plot detection error trade-offs on axes that make normal scores straight lines.

    Parameters
    ----------
    curves : mapping of str to (false_accepts, false_rejects)
        Shares from 0 to 1, ordered by threshold (Martin et al. 1997).
    title : str
    """
    figure = new_figure(5.4, 5.2)
    axis = figure.subplots()
    low, high = _probit(np.array([_LOW, _HIGH]))
    for number, (name, (accepts, rejects)) in enumerate(curves.items()):
        axis.plot(_probit(np.asarray(accepts)), _probit(np.asarray(rejects)),
                  color=COLOURS[number % len(COLOURS)], label=shown(name, 40))  # fmt: skip
    axis.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=0.8)
    at = _probit(np.array(_TICKS))
    texts = [f"{100 * tick:g}" for tick in _TICKS]
    axis.set_xticks(at, texts)
    axis.set_yticks(at, texts)
    axis.set(xlim=(low, high), ylim=(low, high))
    finished(axis, "false claims accepted, %", "true claims refused, %", title, legend=bool(curves))
    return Plot(figure)


def _probit(shares: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    kept = np.clip(np.asarray(shares, dtype=np.float64), _LOW, _HIGH)
    return np.array([_NORMAL.inv_cdf(float(share)) for share in kept])


def plot_reliability(curves: Mapping[str, Reliability], *, title: str = "") -> Plot:
    """Plot how often words of a confidence were right; on the diagonal confidences are honest."""
    figure = new_figure(5.4, 5.0)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=0.8)
    for number, (name, found) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        sure = [part.mean_confidence for part in found.bins]
        right = [part.share_correct for part in found.bins]
        sizes = [10 + 200 * part.n_words / max(found.n_words, 1) for part in found.bins]
        axis.plot(sure, right, color=colour, label=f"{shown(name, 40)} (ECE {found.ece:.3f})")
        axis.scatter(sure, right, s=sizes, color=colour, alpha=0.5)
    axis.set(xlim=(0, 1), ylim=(0, 1.02))
    finished(axis, "confidence", "share of words that were right", title, legend=bool(curves))
    return Plot(figure)
