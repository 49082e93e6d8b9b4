"""The search as a film: what it held to be true after every frame.

In: a graph, the scores of one utterance, its audio. Out: `Film`: a widget, or a page to send to
someone. Time runs to the right; over one axis stand waveform, spectrogram, scores, the beam with
the surviving paths, and the words as they settle.

Public names: `Film`, `film_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.draw.film_audio import audio_data
from wfst_hmm.draw.film_tokens import Reel, reel_of
from wfst_hmm.draw.labels import shown
from wfst_hmm.draw.page import html_page, save_page
from wfst_hmm.draw.png import data_url, veil_png
from wfst_hmm.draw.recording import Recording, record
from wfst_hmm.draw.widget import widget_of
from wfst_hmm.errors import UsageError
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import scores_for
from wfst_hmm.search.decoded import decoded_from_arcs
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded
from wfst_hmm.search.searches import full_scores
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.features import frame_times

__all__ = ["Film", "film_of"]

_MAX_FRAMES = 3000
_COLUMNS = 48  # score columns in the picture of the scores
_TOP = 8  # scores listed for a frame
_RANGE = 15.0  # nats below the best score of a frame that are still shaded
_LENGTH = 60  # characters of a symbol


@dataclasses.dataclass(frozen=True, eq=False)
class Film:
    """A search to be played.

    Attributes
    ----------
    data : dict
        What the view draws, JSON-ready.
    recording : Recording
    decoded : Decoded or None
        The answer, None when the search found no complete path.
    """

    data: dict[str, Any]
    recording: Recording
    decoded: Decoded | None

    def __repr__(self) -> str:
        said = repr(self.decoded.text) if self.decoded is not None else "no path"
        return (f"Film({self.recording.n_searched} frames, {len(self.recording.state):,} tokens, "
                f"{said})")  # fmt: skip

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the widget in a notebook; where anywidget is missing, say what it would show."""
        try:
            return self.widget()._repr_mimebundle_(**kwargs)
        except UsageError:
            return {"text/plain": repr(self)}

    def widget(self) -> Any:
        """Return an ``anywidget.AnyWidget``; a `UsageError` when anywidget is missing."""
        return widget_of("film", "film", self.data)

    def html(self) -> str:
        """Return a page that needs nothing else."""
        return html_page("film", {"film": self.data}, title=self.data["title"])

    def save(self, path: str | Path) -> Path:
        """Write the page to `path`, which ends in ``.html``."""
        return save_page(self.html(), path)


def film_of(
    graph: Graph | CompactGraph,
    scores: Scores | npt.ArrayLike,
    options: SearchOptions | None = None,
    *,
    audio: Audio | None = None,
    reference: Sequence[str] | None = None,
    title: str = "",
    n_paths: int = 20,
) -> Film:
    """Return the film of one search.

    Parameters
    ----------
    graph : Graph or CompactGraph
        A compact graph is expanded.
    scores : Scores or array_like, shape (T, S)
        As for `search.decode.decode`.
    options : SearchOptions, optional
        The film shows just this beam.
    audio : Audio, optional
        Adds waveform, spectrogram and sound.
    reference : sequence of str, optional
        What was said.
    title : str
    n_paths : int
        Surviving paths drawn at a time.

    Raises
    ------
    UsageError
        More than 3,000 frames, or tokens without number.
    """
    options = (options or SearchOptions()).of(graph)
    scores = full_scores(scores_for(graph, scores))
    if scores.n_frames > _MAX_FRAMES:
        raise UsageError("too long for a film", got=f"{scores.n_frames} frames",
                         expected=f"at most {_MAX_FRAMES}", fix="Cut the recording.")  # fmt: skip
    if not 0 < n_paths <= 200:
        raise UsageError("cannot draw so many paths", where="n_paths", got=n_paths,
                         expected="1 to 200")  # fmt: skip
    if isinstance(graph, CompactGraph):
        graph = graph.expanded()
    recording = record(graph.fst, scores.array, graph.labels.column, options)
    cost, arcs = recording.path()
    decoded = None
    if cost < np.inf:
        decoded = decoded_from_arcs(
            graph, scores, np.array(arcs, dtype=np.int32), options.scale, "recorded"
        )
    shift = scores.frame_shift
    offset = graph.frame_offset if scores.frame_offset is None else scores.frame_offset
    end = float(frame_times(scores.n_frames, shift, offset, scores.seconds)[-1])
    seconds = max(end, audio.seconds if audio is not None else 0.0, shift)
    rows, names = _score_rows(graph, scores, recording)
    data = {
        "title": shown(title, 200) or "the search, frame by frame",
        "n_frames": recording.n_searched, "lost": recording.n_searched < recording.n_frames,
        "n_wanted": recording.n_frames,
        "shift": shift, "offset": round(offset, 6), "end": round(end, 4),
        "seconds": round(seconds, 4),
        "beam": options.beam if np.isfinite(options.beam) else None,
        "reference": None if reference is None else shown(" ".join(reference), 400),
        "audio": audio_data(audio, seconds) if audio is not None else None,
        "scores": _score_data(scores, options.scale, rows, names),
        **_reel_data(reel_of(graph, recording, rows, n_paths), graph),
        "answer": _answer(decoded),
    }  # fmt: skip
    return Film(data, recording, decoded)


def _names(graph: Graph, n_columns: int) -> list[str]:
    """Return a name for each score column: the HMM states that share it."""
    names: list[list[str]] = [[] for _ in range(n_columns)]
    for row in np.flatnonzero(~graph.labels.is_entry).tolist():
        column = int(graph.labels.column[row])
        names[column].append(f"{graph.phones[graph.labels.phone[row]]}.{graph.labels.state[row]}")
    texts = []
    for column, states in enumerate(names):
        more = f" +{len(states) - 1}" if len(states) > 1 else ""
        texts.append(shown(states[0], _LENGTH) + more if states else f"column {column}")
    return texts


def _score_rows(
    graph: Graph, scores: Scores, recording: Recording
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the score columns worth a row in the picture, and names of all columns."""
    names = _names(graph, scores.n_columns)
    if scores.n_columns <= _COLUMNS:
        return np.arange(scores.n_columns), names
    weight = np.zeros(scores.n_columns)
    top = np.argpartition(-scores.array, 3, axis=1)[:, :3]
    np.add.at(weight, top.ravel(), 1.0)
    token = recording.best_token(final=False)
    labels = graph.fst.arcs["ilabel"][[recording.arc[t] for t in recording.tokens_to(token)[1:]]]
    np.add.at(weight, graph.labels.column[labels[labels > 0] - 1], 1e3)  # the winner's always
    return np.sort(np.argsort(-weight, kind="stable")[:_COLUMNS]), names


def _score_data(
    scores: Scores, scale: float, rows: npt.NDArray[np.int64], names: list[str]
) -> dict[str, Any]:
    array = scale * scores.array.astype(np.float64)  # as the search counts them
    best = np.max(np.where(np.isfinite(array), array, -np.inf), axis=1, initial=-1e30)
    below = np.clip(array - best[:, None], -_RANGE, 0.0)
    k = min(_TOP, scores.n_columns)
    top = np.argsort(-array, axis=1, kind="stable")[:, :k]
    costs = np.minimum(np.round(best[:, None] - np.take_along_axis(array, top, axis=1), 2), 1e6)
    image = veil_png(below[:, rows].T, low=0, high=100) if below.size else None
    used = sorted({int(column) for column in top.ravel()} | set(rows.tolist()))
    return {
        "image": None if image is None else data_url(image),
        "rows": rows.tolist(), "n_columns": scores.n_columns,
        "names": {str(column): names[column] for column in used},
        "top": top.tolist(), "costs": costs.tolist(),
    }  # fmt: skip


def _reel_data(reel: Reel, graph: Graph) -> dict[str, Any]:
    used = sorted(set(reel.word.tolist()) - {0})
    return {
        "tokens": {
            "before": reel.before.tolist(), "frame": reel.frame.tolist(),
            "above": np.round(reel.above, 2).tolist(), "row": reel.row.tolist(),
            "word": reel.word.tolist(), "state": reel.state.tolist(),
        },
        "words": {str(word): shown(graph.words[int(word)], _LENGTH) for word in used},
        "paths": [numbers.tolist() for numbers in reel.paths],
        "settled": reel.settled.tolist(),
        "active": reel.n_active.tolist(), "reached": reel.n_reached.tolist(),
        "made": reel.n_made.tolist(),
        "width": [None if np.isinf(w) else round(float(w), 2) for w in reel.width],
        "height": round(float(reel.height), 2),
        "density": data_url(veil_png(reel.density, low=0, high=100)),
    }  # fmt: skip


def _answer(decoded: Decoded | None) -> dict[str, Any] | None:
    if decoded is None:
        return None
    return {
        "text": shown(decoded.text, 400), "cost": round(decoded.total_cost, 3),
        "words": [[shown(word.text, _LENGTH), round(word.start, 4), round(word.end, 4)]
                  for word in decoded.words],
        "phones": [[shown(phone.text, 12), round(phone.start, 4), round(phone.end, 4)]
                   for phone in decoded.phones],
    }  # fmt: skip
