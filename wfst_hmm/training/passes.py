"""One pass of Viterbi training: align every utterance, collect statistics, update the model.

In: the parameters so far and the `Material`. Out: `Statistics`, then new parameters and a
`PassReport`.

Public names: `PassReport`, `Parameters`, `Statistics`, `collect`, `global_variance`, `update`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.units import Units
from wfst_hmm.models.mixtures import MixtureSet, MixtureStats
from wfst_hmm.models.topology import Topology
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.flat_start import FlatStart
from wfst_hmm.training.material import Batch, Material
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.transitions import reestimated_topologies
from wfst_hmm.training.workers import Workers

__all__ = ["Parameters", "PassReport", "Statistics", "collect", "global_variance", "update"]

_CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True, eq=False)
class Parameters:
    """What training changes."""

    mixtures: MixtureSet
    topologies: tuple[Topology, ...]


@dataclasses.dataclass(frozen=True)
class PassReport:
    """What one pass saw and did; likelihoods are those of the parameters it began with.

    Attributes
    ----------
    number : int
        From 1.
    log_likelihood : float
        Per frame, of the best paths: acoustic scores and graph costs.
    n_frames : int
        Frames aligned.
    n_gaussians : int
        Of the parameters it began with.
    n_floored, n_removed : int
        Variances raised to the floor, Gaussians dropped, in the update.
    unseen : tuple of int
        Tied states without a frame; they kept their mixtures.
    unaligned : tuple of str
        Utterances without a path; they were left out of this pass.
    notes : tuple of str
        What a person should know.
    """

    number: int
    log_likelihood: float
    n_frames: int
    n_gaussians: int
    n_floored: int = 0
    n_removed: int = 0
    unseen: tuple[int, ...] = ()
    unaligned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report, JSON-ready."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PassReport:
        """Return the report that `to_dict` described."""
        fixed: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**fixed)


@dataclasses.dataclass(eq=False)
class Statistics:
    """Sums over the aligned frames; those of several blocks can be added.

    Attributes
    ----------
    mixtures : MixtureStats
    moves : ndarray of float64, shape (n_moves + 1,)
        How often each HMM move was made (entry 0: arcs without one).
    graph_cost : float
        Of the paths, in nats: transitions, pronunciations, silence.
    unaligned : list of str
        Ids of utterances without a path.
    """

    mixtures: MixtureStats
    moves: npt.NDArray[np.float64]
    graph_cost: float = 0.0
    unaligned: list[str] = dataclasses.field(default_factory=list)

    @property
    def log_likelihood(self) -> float:
        """Of the aligned frames and their paths together."""
        return self.mixtures.log_likelihood - self.graph_cost

    def add(self, other: Statistics) -> None:
        """Add the sums of other utterances."""
        self.mixtures.add(other.mixtures)
        self.moves += other.moves
        self.graph_cost += other.graph_cost
        self.unaligned += other.unaligned


def global_variance(frames: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    """Return mean and variance of all frames, shapes (D,), in float64."""
    total = np.zeros(frames.shape[1])
    for start in range(0, len(frames), _CHUNK):
        total += frames[start : start + _CHUNK].sum(axis=0, dtype=np.float64)
    mean = total / len(frames)
    square = np.zeros(frames.shape[1])
    for start in range(0, len(frames), _CHUNK):
        away = frames[start : start + _CHUNK] - mean
        square += np.einsum("td,td->d", away, away)
    return mean, square / len(frames)


def collect(
    parameters: Parameters,
    material: Material,
    graphs: AlignmentGraphs,
    n_moves: int,
    workers: Workers,
    *,
    beam: float = np.inf,
    start: FlatStart | None = None,
    advanced: Callable[[int], None] | None = None,
    path: npt.NDArray[np.int32] | None = None,
    realign: bool = True,
) -> Statistics:
    """Align all utterances and sum up what the update needs.

    Parameters
    ----------
    parameters : Parameters
        `graphs` must have the transition costs of its topologies.
    material : Material
    graphs : AlignmentGraphs
    n_moves : int
        Length of the table of moves, `Units.move_costs`.
    workers : Workers
    beam : float
    start : FlatStart, optional
        Aligns instead of the parameters.
    advanced : callable, optional
        Called with the number of frames of each block done.
    path : ndarray of int32, shape (F,), optional
        Receives the arc that each frame passes.
    realign : bool
        If false, nothing is aligned: `path` tells.
    """
    mixtures = parameters.mixtures

    def work(block: tuple[Batch, ...]) -> Statistics:
        sums = Statistics(mixtures.empty_stats(), np.zeros(n_moves))
        first, last = block[0].first, block[-1].last
        begin = int(material.borders[first])
        states = np.full(int(material.borders[last]) - begin, -1, dtype=np.int64)
        for batch in block:
            borders = material.borders[batch.first : batch.last + 1]
            here = slice(int(borders[0]), int(borders[-1]))
            if path is not None and not realign:
                arcs = path[here]
            else:
                arcs = _aligned(mixtures, material, graphs, batch, beam, start)
                if path is not None:
                    path[here] = arcs
            own = states[here.start - begin : here.stop - begin]
            lost = _count(graphs, batch, arcs, borders - borders[0], own, sums)
            sums.unaligned += [material.ids[batch.first + int(u)] for u in lost]
        frames = material.frames[begin : begin + len(states)]
        mixtures.accumulate(frames, states, sums.mixtures)
        return sums

    total = Statistics(mixtures.empty_stats(), np.zeros(n_moves))
    results = workers.map(work, material.blocks)
    for block, sums in zip(material.blocks, results, strict=True):
        total.add(sums)
        if advanced is not None:
            begin, end = material.borders[block[0].first], material.borders[block[-1].last]
            advanced(int(end - begin))
    return total


def _aligned(
    mixtures: MixtureSet,
    material: Material,
    graphs: AlignmentGraphs,
    batch: Batch,
    beam: float,
    start: FlatStart | None,
) -> npt.NDArray[np.int32]:
    graph = graphs[batch.graph]
    borders = material.borders[batch.first : batch.last + 1]
    if start is not None:
        return np.concatenate(
            [
                start.path(graph, material.frames[int(a) : int(b)], batch.first + u)
                for u, (a, b) in enumerate(itertools.pairwise(borders))
            ]
        )
    frames = material.frames[int(borders[0]) : int(borders[-1])]
    scores = mixtures.log_likelihoods(frames, graph.columns)
    path, _ = align_utterances(graph, scores, borders - borders[0], beam=beam)
    return path


def _count(
    graphs: AlignmentGraphs,
    batch: Batch,
    path: npt.NDArray[np.int32],
    borders: npt.NDArray[np.int64],
    states: npt.NDArray[np.int64],
    sums: Statistics,
) -> npt.NDArray[np.int64]:
    """Write the state of each frame, add up moves and graph costs; return what has no path."""
    graph = graphs[batch.graph]
    aligned = path != NO_ARC
    arcs = path[aligned]
    states[aligned] = graph.columns[graph.column[graph.node[arcs]]]
    last = path[borders[1:] - 1]
    ends = graph.node[last[last != NO_ARC]]
    made = np.concatenate([graph.moves[arcs].ravel(), graph.final_move[ends]])
    sums.moves += np.bincount(made, minlength=len(sums.moves))
    sums.graph_cost += float(graph.cost[arcs].sum() + graph.final[ends].sum())
    return np.flatnonzero(last == NO_ARC)


def update(
    parameters: Parameters,
    sums: Statistics,
    units: Units,
    options: TrainingOptions,
    number: int,
    floor: npt.NDArray[np.float64],
) -> tuple[Parameters, PassReport]:
    """Return the parameters of highest likelihood for the statistics, mixtures grown if it is time.

    Parameters
    ----------
    parameters : Parameters
        With which `sums` were collected.
    sums : Statistics
    units : Units
        Numbers the moves.
    options : TrainingOptions
    number : int
        Of the pass, from 1.
    floor : ndarray, shape (D,)
        Smallest variances.
    """
    mixtures, change = parameters.mixtures.reestimated(
        sums.mixtures, variance_floor=floor, min_occupancy=options.min_occupancy
    )
    topologies = reestimated_topologies(
        parameters.topologies, units, sums.moves, floor=options.transition_floor
    )
    n_frames = sums.mixtures.n_frames
    if number <= options.last_growing_pass:
        occupancy = sums.mixtures.per_state(parameters.mixtures.offsets)
        n_states = mixtures.n_states
        share = number / options.last_growing_pass
        wanted = n_states + round(share * max(0, options.n_gaussians - n_states))
        mixtures = mixtures.split(
            wanted, occupancy, power=options.power, min_occupancy=options.split_occupancy,
            perturbation=options.split_perturbation,
            rng=np.random.default_rng([options.seed, number]),
        )  # fmt: skip
    report = PassReport(
        number, sums.log_likelihood / max(n_frames, 1), n_frames,
        parameters.mixtures.n_components, change.n_floored, change.n_removed, change.unseen,
        tuple(sums.unaligned),
    )  # fmt: skip
    return Parameters(mixtures, tuple(topologies)), report
