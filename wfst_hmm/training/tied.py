"""Training of tied states: passes over phones in context, transforms re-estimated on the way.

In: first parameters and alignment (from a tree and an earlier model), features, graphs. Out:
`TiedState`: parameters, alignment and transforms after the last pass.

Frames are aligned anew in a few passes only: the alignment hardly moves once states are tied.
Between them, statistics are sums over known states, which costs a fraction. After every pass the
journal keeps the whole state, so that an interrupted stage goes on and ends the same to the bit.

Public names: `StageOptions`, `TiedState`, `TiedTraining`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError
from wfst_hmm.graph.units import Units
from wfst_hmm.models.fmllr import SpeakerTransform, estimate_fmllr
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.mllt import estimate_mllt, mllt_scatters
from wfst_hmm.models.moments import floor_of
from wfst_hmm.models.transform_statistics import TransformStats
from wfst_hmm.training.align import NO_ARC
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.feature_space import FeatureSpace
from wfst_hmm.training.journal import Journal, Saved
from wfst_hmm.training.material import Material
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.passes import (
    Parameters,
    PassReport,
    collect,
    global_variance,
    update,
)
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.workers import Workers

__all__ = ["StageOptions", "TiedState", "TiedTraining"]


@dataclasses.dataclass(frozen=True)
class StageOptions:
    """The schedule of one stage.

    Attributes
    ----------
    n_passes, n_gaussians : int
    align_at : tuple of int
        Passes that align all utterances anew before their update.
    mllt_at : tuple of int
        Passes after which the transform of the features is re-estimated.
    fmllr_at : tuple of int
        Passes after which the speakers' transforms are.
    """

    n_passes: int = 35
    n_gaussians: int = 8000
    align_at: tuple[int, ...] = (8, 16, 26)
    mllt_at: tuple[int, ...] = ()
    fmllr_at: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the values, JSON-ready."""
        return {k: list(v) if isinstance(v, tuple) else v
                for k, v in dataclasses.asdict(self).items()}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class TiedState:
    """Everything a stage changes.

    Attributes
    ----------
    parameters : Parameters
    path : ndarray of int32, shape (F,)
        Arc of its utterance's graph that each frame passes, -1 where there is no path.
    matrix : ndarray of float32 or None
        Transform of the features so far.
    adapted : mapping of str to ndarray of float64, shape (m, m + 1)
        Transforms of the speakers.
    """

    parameters: Parameters
    path: npt.NDArray[np.int32]
    matrix: npt.NDArray[np.float32] | None = None
    adapted: Mapping[str, npt.NDArray[np.float64]] = dataclasses.field(default_factory=dict)


class TiedTraining:
    """One stage: what stays fixed while its passes run.

    Parameters
    ----------
    name : str
        Of the stage, for messages.
    material : Material
        Its utterances and blocks; its frames are taken from `space`.
    space : FeatureSpace
        Its transforms are replaced by those of the state.
    graphs : AlignmentGraphs
        Their columns are those of the stage's tree.
    units : Units
        Of the topologies' moves.
    silent : ndarray of bool, shape (S,)
        Tied states of silence: speakers' transforms do not look at them.
    stage, options : StageOptions, TrainingOptions
    workers, watcher
    folder : path
        Where mapped frames lie.
    """

    def __init__(
        self,
        name: str,
        material: Material,
        space: FeatureSpace,
        graphs: AlignmentGraphs,
        units: Callable[[Parameters], Units],
        silent: npt.NDArray[np.bool_],
        stage: StageOptions,
        options: TrainingOptions,
        workers: Workers,
        watcher: Watcher,
        folder: Path,
    ) -> None:
        self.folder = folder
        self.name, self.space, self.graphs, self.units = name, space, graphs, units
        self.silent, self.stage, self.workers, self.watcher = silent, stage, workers, watcher
        self.options = options.replace(n_passes=stage.n_passes, n_gaussians=stage.n_gaussians)
        self._bare = material
        self.material = material
        self._first_volume = _volume(space.matrix)
        self._growth = 0.0

    def run(
        self, state: TiedState, journal: Journal | None = None
    ) -> tuple[TiedState, list[PassReport]]:
        """Make all passes, or those that the journal does not have yet."""
        reports: list[PassReport] = []
        found = journal.load() if journal is not None else None
        if isinstance(found, str):
            self.watcher.note(found)
        elif found is not None and found.path is not None:
            state = TiedState(found.parameters, found.path, found.matrix, found.adapted)
            reports = list(found.reports)
            self.watcher.note(f"{self.name}: goes on after pass {len(reports)}")
        n_passes = self.stage.n_passes
        self.watcher.begin(n_passes, len(reports), len(state.path))
        self.see(state)
        for number in range(len(reports) + 1, n_passes + 1):
            state, report = self._pass(state, number)
            reports.append(report)
            if journal is not None:
                journal.save(Saved(state.parameters, reports, state.path, state.matrix,
                                   state.adapted))  # fmt: skip
            self.watcher.passed(report)
        return state, reports

    def see(self, state: TiedState) -> None:
        """Make the frames of the state's transforms."""
        self.space = dataclasses.replace(self.space, matrix=state.matrix, adapted=state.adapted)
        self.material = dataclasses.replace(self._bare, frames=self.space.frames(self.folder))
        mean, variance = global_variance(self.material.frames)
        self.floor = floor_of(variance, mean, self.options.variance_floor, dtype=np.float32)
        self._growth = _volume(state.matrix) - self._first_volume + self._mean_growth(state)

    def _mean_growth(self, state: TiedState) -> float:
        """Return the mean logarithm of the determinants of the speakers' transforms."""
        if not state.adapted:
            return 0.0
        lengths = np.diff(self._bare.borders)
        logs = {s: float(np.linalg.slogdet(w[:, :-1])[1]) for s, w in state.adapted.items()}
        own = np.array([logs.get(speaker, 0.0) for speaker in self.space.speakers])
        return float((own * lengths).sum() / max(lengths.sum(), 1))

    def _pass(self, state: TiedState, number: int) -> tuple[TiedState, PassReport]:
        units = self.units(state.parameters)
        costs = units.move_costs
        realign = number in self.stage.align_at
        path = state.path.copy() if realign else state.path
        if realign:
            self.graphs.reweight(costs)
        sums = collect(
            state.parameters, self.material, self.graphs, len(costs), self.workers,
            beam=self.options.beam, advanced=self.watcher.advanced, path=path, realign=realign,
        )  # fmt: skip
        if not sums.mixtures.n_frames:
            raise DataError("no utterance could be aligned", where=self.name,
                            got=" ".join(sums.unaligned[:20]))  # fmt: skip
        turned = state.matrix
        grown = self._growth
        if number in self.stage.mllt_at:
            turned, parameters, report = self._turn(state, path, sums, units, number)
        else:
            parameters, report = update(
                state.parameters, sums, units, self.options, number, self.floor
            )
        # Transforms stretch the features: only with their determinants passes are comparable.
        report = dataclasses.replace(report, log_likelihood=report.log_likelihood + grown)
        state = TiedState(parameters, path, turned, state.adapted)
        if number in self.stage.mllt_at:
            self.see(state)
        if number in self.stage.fmllr_at:
            state = self.adapted(state)
            self.see(state)
        return state, report

    def _turn(
        self, state: TiedState, path: npt.NDArray[np.int32], sums: Any, units: Units, number: int
    ) -> tuple[npt.NDArray[np.float32], Parameters, PassReport]:
        """Update the parameters, then turn features and means by a new MLLT."""
        old = state.parameters.mixtures
        stats = self._transform_stats(old, path, self.material.frames, self.material.frames)
        total = TransformStats.empty(old.n_dims)
        for part in stats.values():
            total.add(part)
        turn = estimate_mllt(mllt_scatters(total, old, sums.mixtures), total.count)
        parameters, report = update(state.parameters, sums, units, self.options, number, self.floor)
        new = parameters.mixtures
        means = new.means @ turn.T
        mixtures = MixtureSet(new.log_weights, means, new.variances, new.offsets)
        before = state.matrix
        matrix = turn if before is None else turn @ before.astype(np.float64)
        return matrix.astype(np.float32), Parameters(mixtures, parameters.topologies), report

    def states_of(self, path: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the tied state of each frame, -1 where its utterance has no path."""
        states = np.full(len(path), -1, dtype=np.int64)
        for block in self._bare.blocks:
            for batch in block:
                graph = self.graphs[batch.graph]
                here = slice(int(self._bare.borders[batch.first]),
                             int(self._bare.borders[batch.last]))  # fmt: skip
                arcs = path[here]
                found = graph.columns[graph.column[graph.node[arcs]]]
                states[here] = np.where(arcs == NO_ARC, -1, found)
        return states

    def _transform_stats(
        self,
        mixtures: MixtureSet,
        path: npt.NDArray[np.int32],
        frames: npt.NDArray[np.float32],
        seen_as: npt.NDArray[np.float32],
        *,
        spoken_only: bool = False,
    ) -> dict[str, TransformStats]:
        """Return the statistics of every speaker."""
        states = self.states_of(path)
        if spoken_only:
            states = np.where((states >= 0) & ~self.silent[states], states, -1)
        speakers = self.space.by_speaker(self._bare.borders)

        def work(speaker: str) -> TransformStats:
            stats = TransformStats.empty(mixtures.n_dims)
            for part in speakers[speaker]:
                stats.accumulate(mixtures, frames[part], states[part], seen_as=seen_as[part])
            return stats

        names = list(speakers)
        return dict(zip(names, self.workers.map(work, names), strict=True))

    def adapted(self, state: TiedState) -> TiedState:
        """Return the state with new transforms of the speakers, for its parameters."""
        bare = self.space.frames(self.folder, adapt=False)
        stats = self._transform_stats(state.parameters.mixtures, state.path, bare,
                                      self.material.frames, spoken_only=True)  # fmt: skip
        made: dict[str, SpeakerTransform] = {
            speaker: estimate_fmllr(own) for speaker, own in stats.items()
        }
        for speaker, transform in made.items():
            if transform.note:
                self.watcher.note(f"{self.name}: speaker {speaker}: {transform.note}")
        return dataclasses.replace(
            state, adapted={speaker: transform.matrix for speaker, transform in made.items()}
        )

    def unadapted(self, state: TiedState) -> MixtureSet:
        """Return mixtures of the same states for features that are not adapted.

        Frames are shared among the Gaussians as their adapted features say; means and variances
        are those of the bare features (Kaldi's alignment model).
        """
        mixtures = state.parameters.mixtures
        bare, states = self.space.frames(self.folder, adapt=False), self.states_of(state.path)
        mean, variance = global_variance(bare)
        floor = floor_of(variance, mean, self.options.variance_floor, dtype=np.float32)

        def work(block: Any) -> Any:
            begin = int(self._bare.borders[block[0].first])
            end = int(self._bare.borders[block[-1].last])
            stats = mixtures.empty_stats()
            mixtures.accumulate(self.material.frames[begin:end], states[begin:end], stats,
                                seen_as=bare[begin:end])  # fmt: skip
            return stats

        total = mixtures.empty_stats()
        for stats in self.workers.map(work, self._bare.blocks):
            total.add(stats)
        made, _ = mixtures.reestimated(total, variance_floor=floor,
                                       min_occupancy=self.options.min_occupancy)  # fmt: skip
        return made


def _volume(matrix: npt.NDArray[np.float32] | None) -> float:
    """Return log sqrt(det(M M')): it grows by log|det A| when M becomes A M."""
    if matrix is None:
        return 0.0
    square = matrix.astype(np.float64) @ matrix.astype(np.float64).T
    return float(0.5 * np.linalg.slogdet(square)[1])
