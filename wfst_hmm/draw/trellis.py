"""The trellis of a small HMM, as teachers draw it: forward, backward, gamma, Viterbi side by side.

In: an HMM and one short sequence. Out: `Trellis`: a picture, a widget that goes through it step
by step with the sums written out, or a page. Rabiner (1989), equations 19-35.

Public names: `Trellis`, `trellis_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.page import html_page, save_page
from wfst_hmm.draw.palette import BLUE, GREY, INK, LINE, ORANGE, PAPER
from wfst_hmm.draw.render import save_svg
from wfst_hmm.draw.svg import Svg
from wfst_hmm.draw.widget import widget_of
from wfst_hmm.errors import UsageError
from wfst_hmm.models.gmm_hmm import GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm

__all__ = ["Trellis", "trellis_of"]

_MAX_STATES, _MAX_FRAMES = 12, 60
_CELL_X, _CELL_Y, _LEFT, _TOP = 46.0, 40.0, 84.0, 46.0
_PANELS = (
    ("alpha", "forward: probability of the past"),
    ("beta", "backward: probability of the future"),
    ("gamma", "gamma: probability of the state, given all"),
    ("delta", "Viterbi: the best path so far, and the best"),
)

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Trellis:
    """All quantities of one sequence; logarithms, -inf is impossible.

    Attributes
    ----------
    log_initial : ndarray, shape (N,)
    log_transitions : ndarray, shape (N, N)
    log_emissions, log_alpha, log_beta, log_gamma, log_delta : ndarray, shape (T, N)
        Emissions (densities for real-valued observations), forward, backward, posterior,
        Viterbi.
    came_from : ndarray of int, shape (T, N)
        Best state before, -1 at the start.
    path : ndarray of int, shape (T,)
        Viterbi's states.
    names : tuple of str, length N
    heard : tuple of str, length T
        What the observations are called.
    """

    log_initial: Array
    log_transitions: Array
    log_emissions: Array
    log_alpha: Array
    log_beta: Array
    log_gamma: Array
    log_delta: Array
    came_from: npt.NDArray[np.int64]
    path: npt.NDArray[np.int64]
    names: tuple[str, ...]
    heard: tuple[str, ...]

    @property
    def log_probability(self) -> float:
        """Log-likelihood of the sequence."""
        return float(np.logaddexp.reduce(self.log_alpha[-1]))

    def __repr__(self) -> str:
        return f"Trellis({len(self.heard)} frames, {len(self.names)} states)"

    def _repr_svg_(self) -> str:
        return _picture(self)

    def to_dict(self) -> dict[str, Any]:
        """Return what the view draws, JSON-ready; null is an impossible value."""
        tables = {
            name: _finite(getattr(self, f"log_{name}"))
            for name in ("initial", "transitions", "emissions", "alpha", "beta", "gamma", "delta")
        }
        return {**tables, "came_from": self.came_from.tolist(), "path": self.path.tolist(),
                "names": list(self.names), "heard": list(self.heard),
                "log_probability": round(self.log_probability, 6)}  # fmt: skip

    def widget(self) -> Any:
        """Return an ``anywidget.AnyWidget``; a `UsageError` when anywidget is missing."""
        return widget_of("trellis", "trellis", self.to_dict())

    def html(self) -> str:
        """Return a page that needs nothing else."""
        return html_page("trellis", {"trellis": self.to_dict()}, title="trellis")

    def save(self, path: str | Path) -> Path:
        """Write a page (``.html``) or the picture (``.svg``, ``.png``, ``.pdf``)."""
        if Path(path).suffix.lower() in (".html", ".htm"):
            return save_page(self.html(), path)
        return save_svg(self._repr_svg_(), path)


def trellis_of(
    hmm: DiscreteHmm | GmmHmm,
    observations: npt.ArrayLike,
    *,
    names: Sequence[str] | None = None,
    heard: Sequence[str] | None = None,
) -> Trellis:
    """Return the trellis of one sequence, computed column by column as the equations say.

    Parameters
    ----------
    hmm : DiscreteHmm or GmmHmm
        At most 12 states.
    observations : array_like
        What the HMM takes, at most 60 frames.
    names : sequence of str, optional
        Of the states; default: their numbers.
    heard : sequence of str, optional
        Of the observations, one a frame; default: their numbers.

    Raises
    ------
    UsageError
        Too large to be drawn, or names of another number.
    DataError
        The observations do not fit the HMM, or no path can emit them.

    Examples
    --------
    >>> hmm = DiscreteHmm([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
    >>> trellis = trellis_of(hmm, [2, 1, 0])
    >>> round(float(np.exp(trellis.log_probability)), 6), trellis.path.tolist()
    (0.03628, [0, 0, 1])
    """
    n_states = hmm.chain.n_states
    n_frames = len(np.asarray(observations))
    if n_states > _MAX_STATES or n_frames > _MAX_FRAMES:
        raise UsageError("too large for a trellis", got=f"{n_states} states, {n_frames} frames",
                         expected=f"at most {_MAX_STATES} and {_MAX_FRAMES}",
                         fix="Show a shorter piece.")  # fmt: skip
    emissions = np.asarray(hmm.log_emissions(observations), dtype=np.float64)
    names = [str(i) for i in range(n_states)] if names is None else names
    if heard is None:
        column = np.asarray(observations)
        heard = [str(o) for o in column] if column.ndim == 1 else [str(t) for t in range(n_frames)]
    for what, given, wanted in (("names", names, n_states), ("heard", heard, n_frames)):
        if len(given) != wanted:
            raise UsageError("one text for each is needed", where=what, got=len(given),
                             expected=wanted)  # fmt: skip
    with np.errstate(divide="ignore"):
        moves = np.log(hmm.chain.transitions)
    return _computed(
        hmm.chain.log_initial, moves, emissions,
        tuple(shown(str(name), 40) for name in names), tuple(shown(str(h), 40) for h in heard),
    )  # fmt: skip


def _computed(
    start: Array, moves: Array, emissions: Array, names: tuple[str, ...], heard: tuple[str, ...]
) -> Trellis:
    alpha, delta = np.empty_like(emissions), np.empty_like(emissions)
    beta = np.zeros_like(emissions)
    came_from = np.full(emissions.shape, -1, dtype=np.int64)
    alpha[0] = delta[0] = start + emissions[0]
    for t in range(1, len(emissions)):
        alpha[t] = np.logaddexp.reduce(alpha[t - 1][:, None] + moves, axis=0) + emissions[t]
        ways = delta[t - 1][:, None] + moves
        came_from[t] = ways.argmax(axis=0)
        delta[t] = ways.max(axis=0) + emissions[t]
    for t in range(len(emissions) - 2, -1, -1):
        beta[t] = np.logaddexp.reduce(moves + emissions[t + 1] + beta[t + 1], axis=1)
    total = float(np.logaddexp.reduce(alpha[-1]))
    path = np.zeros(len(emissions), dtype=np.int64)
    path[-1] = int(delta[-1].argmax())
    for t in range(len(emissions) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    with np.errstate(invalid="ignore"):
        gamma = np.where(np.isfinite(alpha + beta), alpha + beta - total, -np.inf)
    return Trellis(
        start, moves, emissions, alpha, beta, gamma, delta, came_from, path, names, heard
    )


def _finite(table: Array) -> Any:
    return _with_nulls(np.round(table, 9).tolist())


def _with_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_nulls(item) for item in value]
    return value if np.isfinite(value) else None


def _picture(trellis: Trellis) -> str:
    """Return the four tables as an SVG, two above two."""
    n_frames, n_states = len(trellis.heard), len(trellis.names)
    width = _LEFT + _CELL_X * n_frames + 16
    height = _TOP + _CELL_Y * n_states + 26
    svg = Svg(2 * width, 2 * height + 20)
    svg.title("trellis: forward, backward, gamma, Viterbi")
    svg.rectangle(0, 0, 2 * width, 2 * height + 20, fill=PAPER)
    for i, (name, heading) in enumerate(_PANELS):
        _panel(svg, trellis, name, heading, (i % 2) * width, (i // 2) * height)
    text = f"log P(all observations) = {trellis.log_probability:.4f}; darkest: a column's largest"
    svg.text(16, 2 * height + 10, text, size=10, fill=GREY, anchor="start")
    return svg.done()


def _panel(svg: Svg, trellis: Trellis, name: str, heading: str, x: float, y: float) -> None:
    table: Array = getattr(trellis, f"log_{name}")
    svg.text(x + 16, y + 20, heading, size=12, anchor="start", bold=True)

    def centre(t: int, i: int) -> tuple[float, float]:
        return x + _LEFT + (t + 0.5) * _CELL_X, y + _TOP + (i + 0.5) * _CELL_Y

    for t in range(1, len(table)):
        for i, j in np.argwhere(np.isfinite(trellis.log_transitions)).tolist():
            is_best = name == "delta" and trellis.path[t - 1] == i and trellis.path[t] == j
            if name == "delta" and trellis.came_from[t, j] != i:
                continue  # Viterbi keeps one way into each state
            svg.line(*centre(t - 1, i), *centre(t, j), stroke=ORANGE if is_best else LINE,
                     width=2.4 if is_best else 1.2)  # fmt: skip
    for t, i in np.ndindex(table.shape):
        cx, cy = centre(t, i)
        share = float(np.exp(table[t, i] - table[t].max()))
        is_best = name == "delta" and trellis.path[t] == i
        value = _short(float(table[t, i]))
        with svg.group(f"{name} of {trellis.names[i]} at {t} ({trellis.heard[t]}): {value}"):
            svg.circle(cx, cy, 16.0, fill=_shade(share), stroke=ORANGE if is_best else BLUE,
                       width=2.4 if is_best else 0.8)  # fmt: skip
            svg.text(cx, cy + 3, value, size=8.5, fill=PAPER if share > 0.6 else INK)
    for i, state in enumerate(trellis.names):
        svg.text(x + _LEFT - 8, centre(0, i)[1] + 4, shown(state, 9), size=10, anchor="end")
    for t, symbol in enumerate(trellis.heard):
        svg.text(centre(t, 0)[0], y + _TOP + _CELL_Y * table.shape[1] + 12, shown(symbol, 7),
                 size=8, fill=GREY)  # fmt: skip


def _short(log: float) -> str:
    """Return the number behind a logarithm in at most seven characters."""
    if log == -np.inf:
        return "0"
    if log < -20.0:
        return f"e{log:.0f}"
    value = float(np.exp(log))
    return f"{value:.2g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _shade(share: float) -> str:
    mixed = [round(255 + (c - 255) * share) for c in (31, 111, 159)]
    return f"#{mixed[0]:02x}{mixed[1]:02x}{mixed[2]:02x}"
