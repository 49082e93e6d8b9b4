"""The first alignment, when nothing is known yet: where is speech, and even shares of it.

In: alignment graphs, utterances. Out: `FlatStart`, whose paths look like those of
`align_utterances`.

Two Gaussians tell silence from speech: they begin with the quiet and the loud frames and are
then re-estimated from alignments in which all silence states share one and all other states the
other. The transcripts' graphs say where silence may be. Within each stretch of speech, frames
are shared out evenly among the states, as usual for a flat start.

Public names: `FlatStart`, `loudness_threshold`.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.mixtures import MixtureSet, MixtureStats
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs, GraphArrays
from wfst_hmm.training.material import Batch, Material
from wfst_hmm.training.workers import Workers

__all__ = ["FlatStart", "loudness_threshold"]

_ROUNDS = 4
_BINS = 256
_EULER = 0.5772156649015329  # mean of the standard Gumbel distribution


def loudness_threshold(values: npt.NDArray[np.floating]) -> float:
    """Return the value that best parts numbers into two groups (Otsu 1979)."""
    low, high = np.quantile(values, [0.001, 0.999])
    if not low < high:
        return float(low)
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS)
    centres = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts)[:-1]
    above = below[-1] + counts[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1 + int(np.nanargmax(apart))])


@dataclasses.dataclass(frozen=True, eq=False)
class FlatStart:
    """Silence and speech as two Gaussians.

    Attributes
    ----------
    densities : MixtureSet
        State 0 is silence, state 1 speech.
    speech : ndarray of int64, shape (S,)
        For each score column, the state of `densities` that stands for it.
    seed : int
        Draws among pronunciations, in proportion to their probabilities.
    """

    densities: MixtureSet
    speech: npt.NDArray[np.int64]
    seed: int = 0

    @classmethod
    def fit(
        cls,
        material: Material,
        graphs: AlignmentGraphs,
        speech: npt.NDArray[np.int64],
        floor: npt.NDArray[np.float64],
        workers: Workers,
        *,
        seed: int = 0,
    ) -> FlatStart:
        """Find the two Gaussians.

        Parameters
        ----------
        material : Material
            The first dimension of its frames must be louder for larger values: C0 or energy.
        graphs : AlignmentGraphs
        speech : ndarray of int, shape (S,)
            0 for the columns of silence, 1 for the others.
        floor : ndarray, shape (D,)
            Smallest variances.
        workers : Workers
        seed : int
        """
        loud = material.frames[:, 0] > loudness_threshold(material.frames[:, 0])
        means, variances = [], []
        for part in (~loud, loud):
            frames = material.frames[part] if part.any() else material.frames
            means.append(frames.mean(axis=0, dtype=np.float64))
            variances.append(np.maximum(frames.var(axis=0, dtype=np.float64), floor))
        found = cls(MixtureSet.from_gaussians(means, variances), speech, seed)
        for _ in range(_ROUNDS):
            total = found.densities.empty_stats()
            for stats in workers.map(
                lambda block: found._collect(material, graphs, block),  # noqa: B023
                material.blocks,
            ):
                total.add(stats)
            densities, _ = found.densities.reestimated(total, variance_floor=floor)
            found = dataclasses.replace(found, densities=densities)
        return found

    def _collect(
        self, material: Material, graphs: AlignmentGraphs, block: tuple[Batch, ...]
    ) -> MixtureStats:
        stats = self.densities.empty_stats()
        for batch in block:
            graph = graphs[batch.graph]
            borders = material.borders[batch.first : batch.last + 1]
            frames = material.frames[int(borders[0]) : int(borders[-1])]
            classes = self.speech[graph.columns]
            scores = self.densities.log_likelihoods(frames)[:, classes]
            path, _ = align_utterances(graph, scores, borders - borders[0])
            states = np.where(path == NO_ARC, -1, classes[graph.column[graph.node[path]]])
            self.densities.accumulate(frames, states, stats)
        return stats

    def paths(
        self, graph: GraphArrays, frames: npt.NDArray[np.float32], number: int
    ) -> npt.NDArray[np.int32]:
        """Return the first alignment of one utterance.

        Parameters
        ----------
        graph : GraphArrays
        frames : ndarray of float32, shape (T, D)
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
        classes = self.speech[graph.columns]
        scores = self.densities.log_likelihoods(frames)[:, classes]
        path, _ = align_utterances(noisy, scores, np.array([0, len(frames)]))
        if path[0] == NO_ARC:
            return path
        return spread(path, graph, classes[graph.column[graph.node[path]]])


def spread(
    path: npt.NDArray[np.int32], graph: GraphArrays, classes: npt.NDArray[np.int64]
) -> npt.NDArray[np.int32]:
    """Share each stretch of one class evenly among the nodes that the path visits in it.

    Parameters
    ----------
    path : ndarray of int32, shape (T,)
        Arcs.
    graph : GraphArrays
    classes : ndarray of int, shape (T,)
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
