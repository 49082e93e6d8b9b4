"""Plots of one utterance: alignment under the spectrogram, posteriors, a lattice in time.

In: what decoding returns. Out: `Plot`.

Public names: `plot_alignment`, `plot_lattice`, `plot_posteriors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.palette import BLUE, ORANGE, PALE_BLUE, PALE_GREY, PALE_ORANGE
from wfst_hmm.draw.plot import PLAIN, Plot, new_figure
from wfst_hmm.draw.timeline import spectrum
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.audio import Audio

__all__ = ["plot_alignment", "plot_lattice", "plot_posteriors"]

_RANGE = 60.0  # nats below the best score of a frame that are still shaded
_ROWS = 60  # score columns shown
_MAX_ARCS = 400  # of a lattice


def plot_alignment(
    decoded: Decoded,
    *,
    audio: Audio | None = None,
    scores: Scores | None = None,
    labels: StateLabels | None = None,
    title: str = "",
) -> Plot:
    """Plot spectrogram, phones, words, and the scores with the path through them.

    Parameters
    ----------
    decoded : Decoded
    audio : Audio, optional
        For the spectrogram.
    scores : Scores, optional
        With `labels`: shaded by how far each state lies below the best of its frame.
    labels : StateLabels, optional
        Of the graph that was searched.
    title : str

    Raises
    ------
    UsageError
        Scores without labels, or matplotlib is missing.
    DataError
        Scores of another length than the path.
    """
    if scores is not None and labels is None:
        raise UsageError("the path among the scores needs the graph's labels", where="labels")
    if scores is not None and scores.n_frames != decoded.n_frames:
        raise DataError("scores and path differ in length", got=f"{scores.n_frames} frames",
                        expected=f"{decoded.n_frames}")  # fmt: skip
    parts = [("spectrum", 2.0)] if audio is not None else []
    parts += [("phones", 0.45), ("words", 0.45)] + ([("scores", 2.6)] if scores is not None else [])
    figure = new_figure(9.0, 0.8 + sum(height for _, height in parts))
    axes = figure.subplots(
        len(parts), 1, sharex=True, squeeze=False, height_ratios=[height for _, height in parts]
    )[:, 0]
    seconds = float(decoded.frame_times()[-1])
    for axis, (part, _) in zip(axes, parts, strict=True):
        if part == "spectrum" and audio is not None:
            extent = (0.0, audio.seconds, 0.0, audio.rate / 2000)
            axis.imshow(spectrum(audio, 900), origin="lower", aspect="auto", cmap="Greys",
                        extent=extent)  # fmt: skip
            axis.set_ylabel("kHz")
        elif part == "scores" and scores is not None and labels is not None:
            _score_matrix(axis, decoded, scores, labels)
        else:
            spans = decoded.phones if part == "phones" else decoded.words
            _spans(axis, spans, part)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, max(seconds, audio.seconds if audio is not None else 0.0) or 1.0)
    if title:
        figure.suptitle(shown(title, 100), **PLAIN)
    return Plot(figure)


def _spans(axis: Any, spans: Sequence[Any], name: str) -> None:
    edge, fill = (BLUE, PALE_BLUE) if name == "phones" else (ORANGE, PALE_ORANGE)
    for span in spans:
        width = span.end - span.start
        axis.barh(0, width, left=span.start, height=1, color=fill, edgecolor=edge)
        axis.text(span.start + width / 2, 0, shown(span.text, 14), ha="center", va="center",
                  fontsize=9, clip_on=True, **PLAIN)  # fmt: skip
    axis.set_yticks([0], [name])
    axis.set_ylim(-0.55, 0.55)


def _score_matrix(axis: Any, decoded: Decoded, scores: Scores, labels: StateLabels) -> None:
    """Shade the scores of the columns that matter, and draw the path as a stair."""
    path = labels.column[decoded.labels - 1]
    array = scores.array.astype(np.float64)
    rows = np.unique(path)
    if len(rows) < min(_ROWS, scores.n_columns):
        order = np.argsort(-np.where(np.isfinite(array), array, -1e9).mean(axis=0), kind="stable")
        more = [c for c in order.tolist() if c not in set(rows.tolist())]
        rows = np.sort(np.concatenate([rows, more[: _ROWS - len(rows)]])).astype(np.int64)
    best = array.max(axis=1, keepdims=True)
    shares = np.clip(np.nan_to_num(array - best, neginf=-_RANGE), -_RANGE, 0.0)[:, rows]
    times = decoded.frame_times()
    axis.pcolormesh(times, np.arange(len(rows) + 1) - 0.5, shares.T, cmap="Blues")
    place = np.searchsorted(rows, path)
    axis.stairs(place, times, baseline=None, color=ORANGE, linewidth=1.6)
    names: dict[int, str] = {}
    for label in range(len(labels)):
        names.setdefault(int(labels.column[label]), labels.symbols[label + 1].lstrip("^"))
    step = -(-len(rows) // 20)
    ticks = list(range(0, len(rows), step))
    texts = [shown(names.get(int(rows[i]), str(rows[i])), 12) for i in ticks]
    axis.set_yticks(ticks, texts, fontsize=7, **PLAIN)
    axis.set_ylabel("HMM state")


def plot_posteriors(
    posteriors: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    frame_shift: float | None = None,
    path: Sequence[int] | None = None,
    title: str = "",
) -> Plot:
    """Plot a matrix of posteriors, time to the right, darker is more probable.

    Parameters
    ----------
    posteriors : array_like, shape (T, N)
    names : sequence of str, optional
        Of the N states.
    frame_shift : float, optional
        Seconds a frame; without it the axis counts frames.
    path : sequence of int, optional
        States of a path, drawn as a stair.
    title : str

    Raises
    ------
    DataError
        No matrix, or names or a path of another length.
    """
    table = np.asarray(posteriors, dtype=np.float64)
    if table.ndim != 2:
        raise DataError("posteriors must be a matrix", got=f"shape {table.shape}", expected="T x N")
    for what, given, wanted in (("names", names, table.shape[1]), ("path", path, len(table))):
        if given is not None and len(given) != wanted:
            raise DataError("of another length", where=what, got=len(given), expected=wanted)
    shift = frame_shift or 1.0
    figure = new_figure(9.0, min(1.4 + 0.28 * table.shape[1], 9.0))
    axis = figure.subplots()
    image = axis.imshow(
        table.T, origin="lower", aspect="auto", cmap="Blues", vmin=0.0, vmax=1.0,
        interpolation="nearest", extent=(0.0, len(table) * shift, -0.5, table.shape[1] - 0.5),
    )  # fmt: skip
    figure.colorbar(image, ax=axis, label="posterior")
    if path is not None:
        axis.stairs(path, np.arange(len(table) + 1) * shift, baseline=None, color=ORANGE)
    if names is not None:
        axis.set_yticks(range(len(names)), [shown(n, 16) for n in names], **PLAIN)
    axis.set(xlabel="seconds" if frame_shift else "frame", ylabel="state")
    axis.set_title(shown(title, 100), **PLAIN)
    return Plot(figure)


def plot_lattice(lattice: Lattice, *, scale: float = 1.0, title: str = "") -> Plot:
    """Plot the words of a lattice on a time axis, as high and as dark as they are probable.

    Parameters
    ----------
    lattice : Lattice
    scale : float
        Factor on all costs, as for `arc_posteriors`.
    title : str

    Notes
    -----
    The most probable 400 words are drawn; the title says how many there are. Words stand where
    the lattice's arcs carry them: after determinization that may be earlier than they are spoken.
    """
    share, _ = arc_posteriors(lattice, scale=scale)
    times = lattice.frame_times()[np.maximum(lattice.frames(), 0)]
    worded = np.flatnonzero(lattice.word > 0)
    order = worded[np.argsort(-share[worded], kind="stable")][:_MAX_ARCS]
    figure = new_figure(9.0, 3.6)
    axis = figure.subplots()
    for arc in order[::-1].tolist():
        start, end = float(times[lattice.source[arc]]), float(times[lattice.target[arc]])
        p = float(share[arc])
        colour = ORANGE if p > 0.5 else BLUE
        axis.plot([start, end], [p, p], color=colour, alpha=0.25 + 0.75 * p, linewidth=2.5, marker="|",
                  solid_capstyle="butt")  # fmt: skip
        if p > 0.02:
            axis.text((start + end) / 2, p + 0.012, shown(lattice.words[int(lattice.word[arc])], 14),
                      ha="center", fontsize=9, color=colour, **PLAIN)  # fmt: skip
    axis.set(xlabel="seconds", ylabel="posterior", ylim=(-0.03, 1.1))
    axis.set_xlim(0, max(float(times.max(initial=0.0)), 1e-3))
    axis.grid(color=PALE_GREY)
    left_out = f"{len(order)} of {len(worded)} words drawn" if len(order) < len(worded) else ""
    axis.set_title(shown("   ".join(part for part in (title, left_out) if part), 120), **PLAIN)
    return Plot(figure)
