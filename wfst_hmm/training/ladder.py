"""The stages of the ladder: what they share, and what each of them does.

In: features of a corpus, a lexicon, options. Out: models, stage by stage, and a folder in which
every finished stage lies with its alignment, every unfinished one with its journal.

Public names: `Ladder`, `Rung`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import WfstHmmError
from wfst_hmm.files import atomic_file, read_arrays, sha256_of
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.transcript_context import (
    ContextTranscriptCompiler,
    columns_of_context,
    topology_units,
)
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.lda import LdaStats
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.models.tree import Tree
from wfst_hmm.training.alignment_graphs import AlignmentGraphs
from wfst_hmm.training.diagnostics import Diagnostics, diagnose
from wfst_hmm.training.feature_space import FeatureSpace
from wfst_hmm.training.feature_store import mapped_parts
from wfst_hmm.training.features import Take, cepstra_info
from wfst_hmm.training.journal import Journal
from wfst_hmm.training.material import Skipped, prepare
from wfst_hmm.training.monophone import train_on
from wfst_hmm.training.passes import Parameters, PassReport, collect
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.recipe_options import RecipeOptions
from wfst_hmm.training.tied import TiedState, TiedTraining
from wfst_hmm.training.transcripts import Words
from wfst_hmm.training.tree_building import build_tree, variance_floor_of
from wfst_hmm.training.tree_statistics import ContextStats
from wfst_hmm.training.workers import Workers

__all__ = ["Ladder", "Rung"]


@dataclasses.dataclass(frozen=True, eq=False)
class Rung:
    """A finished stage: its model and the alignment that the next one begins with."""

    model: ContextModel
    path: npt.NDArray[np.int32]
    adapted: dict[str, npt.NDArray[np.float64]]


class Ladder:
    """What all stages share: the corpus and its alignment graphs."""

    def __init__(
        self, takes: Sequence[Take], words: Words, out: Path, options: RecipeOptions,
        watcher: Watcher, skipped: Sequence[Skipped] = (),
    ) -> None:  # fmt: skip
        self.takes, self.words, self.options, self.watcher = takes, words, options, watcher
        self.left_out = tuple(skipped)
        self.folder = out.parent / f"{out.name}.stages"
        self.fingerprint = sha256_of(
            [
                json.dumps(options.to_dict(), sort_keys=True),
                json.dumps([[e.word, e.phones, e.probability, e.silence] for e in words.lexicon]),
                json.dumps([[t.id, t.words, t.speaker] for t in takes]),
                *(np.ascontiguousarray(t.frames).data for t in takes),
            ]
        )
        self.sloped = self._sloped()

    def _sloped(self) -> list[Take]:
        """Return the takes with slopes, mapped from a file."""
        slopes = self.options.training.features.slopes
        sloped = (slopes(take.frames) for take in self.takes)
        return [
            dataclasses.replace(take, frames=frames)
            for take, frames in zip(self.takes, mapped_parts(sloped, self.folder), strict=True)
        ]

    def mono(self, workers: Workers | None = None) -> AcousticModel:
        """Train monophones, or load them."""
        path = self.folder / "mono"
        found = self._finished(path, AcousticModel)
        if isinstance(found, AcousticModel):
            return found
        self.watcher.stage("mono: monophones")
        model = train_on(self.sloped, self.words.lexicon, path, self.options.training,
                         watcher=self.watcher, workers=workers, words=self.words)  # fmt: skip
        info = {**model.info, "fingerprint": self.fingerprint}
        model = dataclasses.replace(model, info=info)
        model.save(path)
        return model

    def _finished(self, path: Path, kind: Any) -> Any:
        """Return the model of a finished stage of this very training, None without one."""
        if not (path / "model.json").is_file():
            return None
        try:
            model = kind.load(path)
        except WfstHmmError as error:
            self.watcher.note(f"{path} cannot be used: {error}")
            return None
        if model.info.get("fingerprint") != self.fingerprint:
            self.watcher.note(f"{path} is of other data or options: it is made anew")
            return None
        return model

    def climb(self, mono: AcousticModel, recipe: str, workers: Workers) -> ContextModel:
        """Train the stages in context."""
        self.workers = workers
        training = self.options.training
        silence = LexiconOptions(training.silence_probability, training.silence_phone)
        first = ContextMap.monophones(mono.phones, mono.topologies, mono.columns)
        self.watcher.stage("alignment graphs of phones in context")
        compiler = ContextTranscriptCompiler(mono, self.words.lexicon, silence, first)
        self.graphs = AlignmentGraphs(compiler)
        self.material, unusable = prepare(self.sloped, self.words.spoken, self.graphs,
                                           folder=self.folder)  # fmt: skip
        self.skipped = [*self.left_out, *unusable]
        # Every stage maps its own frames; these were needed to lay the utterances out.
        self.material = dataclasses.replace(self.material, frames=self.material.frames[:0].copy())
        self.phones, self.silence = mono.phones, mono.silence_phones
        contexts = [self.graphs.context(number) for number in range(len(self.graphs))]
        self.contexts = contexts
        sloped = FeatureSpace.of(self.sloped, self.material)
        bare = FeatureSpace.of(self.takes, self.material, self.options.splice)
        align = functools.partial(self._aligned, mono.mixtures, mono.topologies, sloped)
        rung = self._stage("tri", sloped, mono.topologies, align)
        if recipe in ("lda", "sat"):
            rung = self._stage("lda", bare, rung.model.context.topologies, lambda: rung.path, rung)
        if recipe == "sat":
            rung = self._stage("sat", bare, rung.model.context.topologies, lambda: rung.path, rung)
        return rung.model

    def _aligned(
        self,
        mixtures: MixtureSet,
        topologies: Sequence[Topology],
        space: FeatureSpace,
    ) -> npt.NDArray[np.int32]:
        """Align everything with the graphs' present columns."""
        units = topology_units(topologies)
        self.graphs.reweight(units.move_costs)
        material = dataclasses.replace(self.material, frames=space.frames(self.folder))
        path = np.full(len(material.frames), -1, dtype=np.int32)
        collect(Parameters(mixtures, tuple(topologies)), material, self.graphs,
                len(units.move_costs), self.workers, beam=self.options.training.beam,
                path=path)  # fmt: skip
        return path

    def _stage(
        self,
        name: str,
        space: FeatureSpace,
        topologies: Sequence[Topology],
        alignment: Callable[[], npt.NDArray[np.int32]],
        before: Rung | None = None,
    ) -> Rung:
        """Train one stage, or load it."""
        folder = self.folder / name
        model = self._finished(folder, ContextModel)
        stored = self._stored(folder, model) if model is not None else None
        if stored is not None:
            self._relabel(model.context)
            return Rung(model, *stored)
        path = alignment()
        if name == "lda":
            space = dataclasses.replace(space, matrix=self._lda(space, path))
        if name == "sat" and before is not None:
            space = dataclasses.replace(space, matrix=before.model.transform)
            space = self._first_adaptation(before, space, path)
        self.watcher.stage(f"{name}: decision tree")
        tree, parameters = self._tree(space, topologies, path)
        context = tree.context_map(topologies)
        self._relabel(context)
        silent = np.zeros(tree.n_leaves, dtype=bool)
        for phone in self.silence:
            for root in tree.roots[self.phones.index(phone)]:
                silent[tree.leaf[root]] = True
        self.watcher.stage(f"{name}: {tree.n_leaves} tied states")
        training = TiedTraining(
            name, self.material, space, self.graphs, _units, silent, self.options.stage(name),
            self.options.training, self.workers, self.watcher, self.folder,
        )  # fmt: skip
        state = TiedState(parameters, path, space.matrix, dict(space.adapted))
        journal = Journal(self.folder / f"{name}.journal", self.fingerprint)
        state, reports = training.run(state, journal)
        unadapted = training.unadapted(state) if name == "sat" else None
        mixtures = state.parameters.mixtures
        final = self._aligned(mixtures, state.parameters.topologies, training.space)
        facts = diagnose(mixtures, training.material.frames, training.states_of(final), silent,
                         self.material.borders, self.material.ids, space.speakers)  # fmt: skip
        model = self._model(name, tree, state, unadapted, reports, facts)
        self._store(folder, model, final, state.adapted)
        journal.discard()
        return Rung(model, final, dict(state.adapted))

    def _relabel(self, context: ContextMap) -> None:
        self.graphs.relabel(functools.partial(columns_of_context, context))

    def _lda(self, space: FeatureSpace, path: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Return the discriminant transform for the graphs' present tied states."""
        states = self._states(path)
        n_dims = space.utterance(0).shape[1]
        stats = LdaStats(int(states.max()) + 1, n_dims)
        for u in range(len(space.base)):
            own = slice(int(self.material.borders[u]), int(self.material.borders[u + 1]))
            stats.add(space.utterance(u), states[own])
        return stats.estimate(min(self.options.lda_dims, n_dims)).astype(np.float32)

    def _states(self, path: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        return self._of_nodes(path, lambda n: self.graphs[n].columns[self.graphs[n].column])

    def _of_nodes(
        self, path: npt.NDArray[np.int32], values: Callable[[int], npt.NDArray[Any]]
    ) -> npt.NDArray[Any]:
        """Return a value of the node that each frame is in, -1 without a path."""
        parts = []
        for block in self.material.blocks:
            for batch in block:
                a, b = self.material.borders[[batch.first, batch.last]]
                arcs = path[int(a) : int(b)]
                table = np.asarray(values(batch.graph), dtype=np.int64)
                found = table[self.graphs[batch.graph].node[arcs]]
                found[arcs < 0] = -1
                parts.append(found)
        return np.concatenate(parts)

    def _first_adaptation(
        self, before: Rung, space: FeatureSpace, path: npt.NDArray[np.int32]
    ) -> FeatureSpace:
        """Return the features adapted to their speakers by the model of the stage before."""
        densities = before.model.densities
        assert isinstance(densities, MixtureSet)
        silent = np.zeros(before.model.n_columns, dtype=bool)
        for hmm in before.model.context.hmms:
            if self.phones[hmm.phone] in self.silence:
                silent[list(hmm.columns)] = True
        training = TiedTraining(
            "sat", self.material, space, self.graphs, _units, silent, self.options.stage("sat"),
            self.options.training, self.workers, self.watcher, self.folder,
        )  # fmt: skip
        parameters = Parameters(densities, before.model.context.topologies)
        training.see(TiedState(parameters, path, space.matrix))
        adapted = training.adapted(TiedState(parameters, path, space.matrix)).adapted
        return dataclasses.replace(space, adapted=adapted)

    def _tree(
        self, space: FeatureSpace, topologies: Sequence[Topology], path: npt.NDArray[np.int32]
    ) -> tuple[Tree, Parameters]:
        """Grow a tree from the alignment; return it with one Gaussian for each leaf."""

        def parts() -> Any:
            for block in self.material.blocks:
                for batch in block:
                    for u in range(batch.first, batch.last):
                        own = slice(
                            int(self.material.borders[u]), int(self.material.borders[u + 1])
                        )
                        arcs = path[own]
                        rows = self.contexts[batch.graph][self.graphs[batch.graph].node[arcs]]
                        yield space.utterance(u), np.where(arcs[:, None] < 0, -1, rows)

        stats = ContextStats.of(parts())
        options = dataclasses.replace(self.options.tree, max_leaves=self.options.leaves)
        tree = build_tree(stats, self.phones, self.silence, [t.n_states for t in topologies],
                          options)  # fmt: skip
        groups = columns_of_context(tree.context_map(topologies), stats.context)
        floor = variance_floor_of(stats, self.options.training.variance_floor)
        _, means, variances = stats.gaussians(groups, tree.n_leaves, floor)
        return tree, Parameters(MixtureSet.from_gaussians(means, variances), tuple(topologies))

    def _model(
        self,
        name: str,
        tree: Tree,
        state: TiedState,
        unadapted: MixtureSet | None,
        reports: Sequence[PassReport],
        facts: Diagnostics,
    ) -> ContextModel:
        training = self.options.training
        in_context = name in ("lda", "sat")
        features = training.features.plain() if in_context else training.features
        info = {
            "fingerprint": self.fingerprint,
            "training": {
                "recipe": name,
                "options": self.options.to_dict(),
                "n_utterances": len(self.material.ids),
                "n_frames": self.material.n_frames,
                "skipped": [[entry.id, entry.reason] for entry in self.skipped],
                "passes": [report.to_dict() for report in reports],
                "diagnostics": facts.to_dict(),
            },
            **cepstra_info(self.takes),
        }
        return ContextModel(
            tree.context_map(state.parameters.topologies), self.silence,
            state.parameters.mixtures, features, state.matrix, {}, info,
            self.options.splice if in_context else 0, unadapted, tree,
        )  # fmt: skip

    def _store(
        self, folder: Path, model: ContextModel, path: npt.NDArray[np.int32],
        adapted: Any,
    ) -> None:  # fmt: skip
        """Write the alignment, then the model: a stage is finished when both are there."""
        with (
            atomic_file(folder.parent / f"{folder.name}.alignment.npz") as temporary,
            open(temporary, "wb") as stream,
        ):
            np.savez(
                stream, path=path, speakers=np.array(list(adapted), dtype=np.str_),
                adapted=np.array(list(adapted.values())),
                model=np.array(model.hash),
            )  # fmt: skip
        model.save(folder)

    def _stored(self, folder: Path, model: ContextModel) -> Any:
        """Return alignment and transforms of a finished stage, None where they do not fit."""
        file = folder.parent / f"{folder.name}.alignment.npz"
        try:
            arrays = read_arrays(file)
            speakers = [str(name) for name in arrays["speakers"]]
            if str(arrays["model"]) != model.hash:
                return None
            return arrays["path"], dict(zip(speakers, arrays["adapted"], strict=True))
        except (WfstHmmError, KeyError, ValueError):
            return None


def _units(parameters: Parameters) -> Any:
    return topology_units(parameters.topologies)
