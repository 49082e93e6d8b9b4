"""One pass of Viterbi training: align every utterance, collect statistics, update the model.

In: the parameters so far and the `Material`. Out: `Statistics`, then new parameters and a
`PassReport`.

Public names: `BlockWork`, `PassReport`, `Parameters`, `Statistics`, `collect`, `global_variance`,
`update`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from wfst_hmm.graph.units import Units
from wfst_hmm.models.mixtures import MixtureSet, MixtureStats
from wfst_hmm.models.topology import Topology
from wfst_hmm.training.align import NO_ARC, align_utterances
from wfst_hmm.training.alignment_graphs import AlignmentGraphs, GraphArrays
from wfst_hmm.training.flat_start import FlatStart
from wfst_hmm.training.material import Batch, Material
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.transitions import reestimated_topologies
from wfst_hmm.training.workers import Workers

__all__ = [
    "BlockWork",
    "Parameters",
    "PassReport",
    "Statistics",
    "collect",
    "global_variance",
    "update",
]

_CHUNK = 1 << 16
#: Blocks whose statistics are added up before they are added to the others': the order of all
#: additions is fixed, and whoever computes a group may be anywhere.
GROUP = 8

Block: TypeAlias = tuple[Batch, ...]


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
        Ids of utterances without a path (while blocks are summed up: their numbers).
    """

    mixtures: MixtureStats
    moves: npt.NDArray[np.float64]
    graph_cost: float = 0.0
    unaligned: list[Any] = dataclasses.field(default_factory=list)

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
    work = BlockWork(mixtures, material.frames, material.borders, graphs, n_moves, beam, start,
                     path, realign)  # fmt: skip
    total = Statistics(mixtures.empty_stats(), np.zeros(n_moves))
    blocks = material.blocks
    groups = [blocks[at : at + GROUP] for at in range(0, len(blocks), GROUP)]

    def done(block: Block) -> None:
        if advanced is not None:
            begin, end = material.borders[block[0].first], material.borders[block[-1].last]
            advanced(int(end - begin))

    for sums in workers.summed(work, groups, done):
        total.add(sums)
    total.unaligned = [material.ids[number] for number in total.unaligned]
    return total


@dataclasses.dataclass(frozen=True, eq=False)
class BlockWork:
    """What the statistics of a block are computed from; it may travel to another process.

    Attributes
    ----------
    mixtures : MixtureSet
    frames : ndarray of float32, shape (F, D)
    borders : ndarray of int64, shape (U + 1,)
    graphs : AlignmentGraphs, or mapping of int to GraphArrays
        Those of the blocks' utterances at least.
    n_moves, beam, start, path, realign
        As for `collect`.
    origin : int
        Frame at which `path` begins.
    """

    mixtures: MixtureSet
    frames: npt.NDArray[np.float32]
    borders: npt.NDArray[np.int64]
    graphs: AlignmentGraphs | Mapping[int, GraphArrays]
    n_moves: int
    beam: float
    start: FlatStart | None
    path: npt.NDArray[np.int32] | None
    realign: bool
    origin: int = 0

    def __call__(self, block: Block) -> Statistics:
        """Align a block's utterances and sum up; their unaligned ones by number."""
        sums = Statistics(self.mixtures.empty_stats(), np.zeros(self.n_moves))
        begin, end = self.stretch(block)
        states = np.full(end - begin, -1, dtype=np.int64)
        for batch in block:
            borders = self.borders[batch.first : batch.last + 1]
            here = slice(int(borders[0]), int(borders[-1]))
            known = slice(here.start - self.origin, here.stop - self.origin)
            if self.path is not None and not self.realign:
                arcs = self.path[known]
            else:
                arcs = _aligned(self, batch)
                if self.path is not None:
                    self.path[known] = arcs
            own = states[here.start - begin : here.stop - begin]
            lost = _count(self.graphs, batch, arcs, borders - borders[0], own, sums)
            sums.unaligned += [batch.first + int(u) for u in lost]
        self.mixtures.accumulate(self.frames[begin:end], states, sums.mixtures)
        return sums

    def stretch(self, *blocks: Block) -> tuple[int, int]:
        """Return the frames of blocks that follow each other: the first, and the one behind."""
        return int(self.borders[blocks[0][0].first]), int(self.borders[blocks[-1][-1].last])


def _aligned(work: BlockWork, batch: Batch) -> npt.NDArray[np.int32]:
    graph = work.graphs[batch.graph]
    borders = work.borders[batch.first : batch.last + 1]
    if work.start is not None:
        return np.concatenate(
            [
                work.start.path(graph, work.frames[int(a) : int(b)], batch.first + u)
                for u, (a, b) in enumerate(itertools.pairwise(borders))
            ]
        )
    frames = work.frames[int(borders[0]) : int(borders[-1])]
    scores = work.mixtures.log_likelihoods(frames, graph.columns)
    path, _ = align_utterances(graph, scores, borders - borders[0], beam=work.beam)
    return path


def _count(
    graphs: AlignmentGraphs | Mapping[int, GraphArrays],
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
