"""The first alignment, when nothing is known yet: quiet frames are silence, the rest is shared out.

In: alignment graphs, utterances. Out: `FlatStart`, whose paths look like those of
`align_utterances`.

Where the transcript's graph allows silence, stretches as quiet as the quietest of the corpus
become silence. Within each stretch of speech, frames are shared out evenly among the states, as usual
for a flat start. (Even shares of everything go wrong where pauses are long; Gaussians for silence
and speech go wrong where there is hardly any silence: they take weak fricatives for it.)

Public names: `FlatStart`, `loudness_range`, `quietness`, `spread`.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import GraphArrays

__all__ = ["FlatStart", "loudness_range", "quietness", "spread"]

#: Silence is what lies in this lowest part of the corpus's range of loudness.
_SILENT_PART = 0.3
#: Nats a frame at the very bottom of the range gains by being silence.
_WEIGHT = 20.0
_LOUD = 0.98  # the quantile that stands for the loudest, which may be a click
_EULER = 0.5772156649015329  # mean of the standard Gumbel distribution


def loudness_range(frames: npt.NDArray[np.floating], borders: npt.NDArray[np.int64]) -> float:
    """Return how far the quiet frames of a corpus lie below the loud ones of their utterances.

    Parameters
    ----------
    frames : ndarray, shape (F, D)
        Their first dimension is loudness on a logarithmic scale, such as C0 or log energy.
    borders : ndarray of int64, shape (U + 1,)
        Utterance u has frames ``borders[u]`` to ``borders[u + 1]``. Their levels may differ:
        that is why each is compared with its own loud frames.
    """
    parts = np.split(frames[:, 0], borders[1:-1])
    below = np.concatenate([np.quantile(part, _LOUD) - part for part in parts])
    return max(float(np.quantile(below, _LOUD)), 1e-6)


def quietness(loudness: npt.NDArray[np.floating], loudness_range: float) -> npt.NDArray[np.float32]:
    """Return how much each frame of an utterance speaks for silence, in nats; negative: against.

    Parameters
    ----------
    loudness : ndarray, shape (T,)
    loudness_range : float
        Of the corpus.
    """
    place = 1.0 - (np.quantile(loudness, _LOUD) - loudness) / loudness_range
    return np.asarray(_WEIGHT * (1.0 - place / _SILENT_PART), dtype=np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class FlatStart:
    """The flat start of a corpus.

    Attributes
    ----------
    silent : ndarray of bool, shape (S,)
        The score columns of silence.
    loudness_range : float
        Of the corpus, from `loudness_range`.
    seed : int
        Draws among pronunciations, in proportion to their probabilities.
    """

    silent: npt.NDArray[np.bool_]
    loudness_range: float
    seed: int = 0

    def path(
        self, graph: GraphArrays, frames: npt.NDArray[np.float32], number: int
    ) -> npt.NDArray[np.int32]:
        """Return the first alignment of one utterance.

        Parameters
        ----------
        graph : GraphArrays
        frames : ndarray of float32, shape (T, D)
            Their first dimension is C0 or log energy.
        number : int
            Of the utterance; with the seed it decides between equally good ways.

        Returns
        -------
        ndarray of int32, shape (T,)
            Arc that each frame passes, `NO_ARC` where there is no path.
        """
        rng = np.random.default_rng([self.seed, number])
        moves_on = graph.source != graph.node
        # The best of paths whose costs carry Gumbel noise is a draw from their probabilities.
        noise = np.where(moves_on, rng.gumbel(size=len(moves_on)) - _EULER, 0.0)
        noisy = dataclasses.replace(graph, cost=graph.cost - noise)
        silent = self.silent[graph.columns]
        scores = np.where(
            silent, quietness(frames[:, 0], self.loudness_range)[:, None], np.float32(0.0)
        )
        path, _ = align_utterances(noisy, scores, np.array([0, len(frames)]))
        if path[0] == NO_ARC:
            return path
        return spread(path, graph, silent[graph.column[graph.node[path]]])


def spread(
    path: npt.NDArray[np.int32], graph: GraphArrays, classes: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Share each stretch of one class evenly among the nodes that the path visits in it.

    Parameters
    ----------
    path : ndarray of int32, shape (T,)
        Arcs.
    graph : GraphArrays
    classes : ndarray of bool, shape (T,)
        Silence or speech.
    """
    loops = np.flatnonzero(graph.source == graph.node)
    loop_of = dict(zip(graph.node[loops].tolist(), loops.tolist(), strict=True))
    borders = [0, *(np.flatnonzero(np.diff(classes)) + 1).tolist(), len(path)]
    even: list[int] = []
    for begin, end in itertools.pairwise(borders):
        part = path[begin:end]
        visits = part[graph.source[part] != graph.node[part]].tolist()
        may_stay = np.array([int(graph.node[arc]) in loop_of for arc in visits])
        stays = np.zeros(len(visits), dtype=np.int64)
        # Where no self-loop lengthens a stretch, it has as many frames as visits.
        ends = np.linspace(0, end - begin - len(visits), int(may_stay.sum()) + 1).round()
        stays[may_stay] = np.diff(ends)
        for arc, n in zip(visits, stays.tolist(), strict=True):
            even.append(arc)
            even.extend([loop_of.get(int(graph.node[arc]), NO_ARC)] * n)
    return np.array(even, dtype=np.int32)
