"""Kaldi's GMM model directories as models of this package, and back.

In: a directory with ``final.mdl``, ``tree`` and ``phones.txt``. Out: `KaldiModel`, and from it a
`ContextMap`, a `MixtureSet`, a `ContextModel` and, for monophones, an `AcousticModel`.

Public names: `KaldiModel`, `read_kaldi_model`.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.kaldi.archives import read_object
from wfst_hmm.formats.kaldi.config import transform_file
from wfst_hmm.formats.kaldi.gmm import DiagonalMixtures, read_model
from wfst_hmm.formats.kaldi.lang import KaldiLang, read_lang, read_silence_phones
from wfst_hmm.formats.kaldi.transitions import TransitionModel
from wfst_hmm.formats.kaldi.tree import PDF_CLASS, DecisionTree
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.context import ContextMap, PhysicalHmm
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.transforms import affine, splice

__all__ = ["KaldiModel", "read_kaldi_model"]


@dataclasses.dataclass(frozen=True, eq=False)
class KaldiModel:
    """A Kaldi GMM system.

    Attributes
    ----------
    transitions : TransitionModel
    mixtures : DiagonalMixtures
    tree : DecisionTree
    phones : Symbols
        ``phones.txt``, by Kaldi's numbers.
    silence_phones : tuple of str
        Empty when no ``lang`` directory was given.
    transform : ndarray or None
        ``final.mat`` or ``lda.mat`` (LDA+MLLT), of the spliced features.
    splice : (int, int) or None
        Frames to the left and right, of ``splice_opts``.
    unadapted : DiagonalMixtures or None
        ``final.alimdl`` of a model trained speaker-adaptively: for speakers without a transform.
    """

    __repr__ = brief

    transitions: TransitionModel
    mixtures: DiagonalMixtures
    tree: DecisionTree
    phones: Symbols
    silence_phones: tuple[str, ...] = ()
    transform: npt.NDArray[Any] | None = None
    splice: tuple[int, int] | None = None
    unadapted: DiagonalMixtures | None = None

    def state_labels(self) -> StateLabels:
        """Return labels that are the transition-ids, for graphs that Kaldi made."""
        return self.transitions.state_labels(self.phones)

    def mixture_set(self) -> MixtureSet:
        """Return the mixtures as this package scores and trains them."""
        return self.mixtures.mixture_set()

    def transformed(
        self, features: npt.NDArray[np.floating], fmllr: npt.NDArray[np.floating] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return what the mixtures score: spliced features through ``final.mat``, then fMLLR.

        Parameters
        ----------
        features : ndarray, shape (T, D)
            Normalized; with deltas when the model has no ``final.mat``.
        fmllr : ndarray, shape (m, m + 1), optional
            The speaker's, of a ``trans.*`` archive (`archives.read_archive`).
        """
        x = np.asarray(features, dtype=np.float32)
        if self.transform is not None:
            left, right = self.splice or (4, 4)  # Kaldi's own default
            x = affine(splice(x, left, right), self.transform)
        return x if fmllr is None else affine(x, fmllr)

    @functools.cached_property
    def phone_numbers(self) -> tuple[int, ...]:
        """Kaldi's numbers of the phones that have HMMs, in rising order."""
        return tuple(sorted(self.transitions.topologies.entry_of))

    def context_map(self) -> ContextMap:
        """Return the map from phones in context to HMMs.

        Raises
        ------
        ModelError
            The tree looks further than one phone to either side.
        """
        return _ContextBuilder(self).build()

    def context_model(self, front_end: FrontEnd) -> ContextModel:
        """Return the system as this package saves, scores and builds graphs for it.

        Parameters
        ----------
        front_end : FrontEnd
            How the features were made: Kaldi keeps that outside of its model directories.

        Raises
        ------
        ModelError
            The tree looks too far, features are spliced unevenly or do not fit the model.
        """
        left, right = (0, 0) if self.transform is None else self.splice or (4, 4)
        if left != right:
            raise ModelError("more frames are spliced on one side", got=f"{left} and {right}")
        transform = None if self.transform is None else self.transform.astype(np.float32)
        first = None if self.unadapted is None else self.unadapted.mixture_set()
        return ContextModel(
            self.context_map(), self.silence_phones, self.mixture_set(), front_end, transform,
            info={"made_by": "Kaldi"}, splice=left, unadapted=first,
        )  # fmt: skip

    def acoustic_model(self, front_end: FrontEnd) -> AcousticModel:
        """Return a monophone system as an `AcousticModel`.

        Parameters
        ----------
        front_end : FrontEnd
            As for `context_model`.

        Raises
        ------
        ModelError
            The phones depend on their context, or features need a transform.
        """
        context = self.context_map()
        if self.tree.width > 1 or self.transform is not None:
            raise ModelError("only monophone systems on plain features become AcousticModels",
                             got=f"a context of {self.tree.width} phones",
                             fix="Use context_map() and mixture_set().")  # fmt: skip
        rows = [context.hmms[int(row[0][0, 0])] for row in context.tables]
        return AcousticModel(
            context.phones,
            self.silence_phones,
            tuple(context.topologies[hmm.topology] for hmm in rows),
            tuple(np.array(hmm.columns, dtype=np.int32) for hmm in rows),
            self.mixture_set(),
            front_end,
            {"made_by": "Kaldi"},
        )


class _ContextBuilder:
    """Asks the tree for every context and collects the HMMs that come out."""

    def __init__(self, model: KaldiModel) -> None:
        self.model = model
        self.numbers = model.phone_numbers
        self.hmms: dict[PhysicalHmm, int] = {}
        self.topologies: dict[bytes, int] = {}
        self.values: list[Topology] = []
        transitions = model.transitions
        self.state_index = {tuple(row): i for i, row in enumerate(transitions.tuples.tolist())}
        self.first_id = np.searchsorted(transitions.state_of, np.arange(len(transitions.tuples)))

    def build(self) -> ContextMap:
        tree = self.model.tree
        if tree.centre > 1 or tree.width - tree.centre > 2:
            raise ModelError("the tree looks further than one phone to either side",
                             got=f"a window of {tree.width} phones, centre {tree.centre}")  # fmt: skip
        grids = [self._grid(number) for number in self.numbers]
        names = [self.model.phones[number] for number in self.numbers]
        return ContextMap.build(names, self.values, list(self.hmms), lambda c, _: grids[c])

    def _grid(self, phone: int) -> npt.NDArray[np.int32]:
        tree = self.model.tree
        neighbours = np.array([*self.numbers, 0], dtype=np.int32)  # 0: the utterance's edge
        event: dict[int, npt.NDArray[np.int32]] = {tree.centre: np.array(phone, dtype=np.int32)}
        shape = [1, 1]
        if tree.centre == 1:
            event[0], shape[0] = neighbours[:, None], len(neighbours)
        if tree.width - tree.centre == 2:
            event[tree.width - 1], shape[1] = neighbours[None, :], len(neighbours)
        n_classes = self.model.transitions.topologies.n_classes(phone)
        answers = np.empty((n_classes, *shape), dtype=np.int32)
        for number in range(n_classes):
            pdf_class = np.array(number, dtype=np.int32)
            answers[number] = tree.answer({PDF_CLASS: pdf_class, **event}).reshape(
                np.broadcast_shapes(*(v.shape for v in event.values())) or (1, 1)
            )
        flat = answers.reshape(n_classes, -1).T
        kinds, where = np.unique(flat, axis=0, return_inverse=True)
        found = [self._hmm(phone, kind.tolist()) for kind in kinds]
        return np.array(found, dtype=np.int32)[where.ravel()].reshape(shape)

    def _hmm(self, phone: int, pdfs: list[int]) -> int:
        """Return the index of the HMM with these pdfs by class, -1 where the tree had none."""
        states = self.model.transitions.topologies.of(phone)[:-1]
        if min(pdfs) < 0:
            return -1
        rows = []
        for number, state in enumerate(states):
            if state.forward_class < 0:
                raise ModelError("a state inside a topology emits nothing", got=f"state {number}")
            pair = (pdfs[state.forward_class], pdfs[state.self_loop_class])
            index = self.state_index.get((phone, number, *pair))
            if index is None:
                return -1
            rows.append((index, *pair))
        topology, columns = self._topology(rows)
        key = topology.initial.tobytes() + topology.transitions.tobytes() + topology.final.tobytes()
        if key not in self.topologies:
            self.topologies[key] = len(self.values)
            self.values.append(topology)
        hmm = PhysicalHmm(self.numbers.index(phone), self.topologies[key], columns)
        return self.hmms.setdefault(hmm, len(self.hmms))

    def _topology(self, rows: list[tuple[int, int, int]]) -> tuple[Topology, tuple[int, ...]]:
        """Return probabilities and columns; a state with two pdfs becomes two states.

        The frame that enters is scored by the forward pdf and those that stay by the other, so
        the second state is reached by the self-loop only.
        """
        transitions = self.model.transitions
        columns: list[int] = []
        place: list[int] = []  # of each Kaldi state among ours
        for _, forward, loop in rows:
            place.append(len(columns))
            columns += [forward] if forward == loop else [forward, loop]
        n = len(columns)
        moves = np.zeros((n, n + 1))
        for number, (index, forward, loop) in enumerate(rows):
            here = place[number]
            twins = [here] if forward == loop else [here, here + 1]
            tid = int(self.first_id[index])
            while tid <= transitions.n_ids and transitions.state_of[tid] == index:
                goal = int(transitions.destination_of[tid])
                target = n if goal == len(rows) else place[goal]
                target = twins[-1] if goal == number else target
                moves[twins, target] += np.exp(float(transitions.log_probs[tid]))
                tid += 1
        total = moves.sum(axis=1, keepdims=True)
        if not np.all(np.abs(total - 1) < 1e-2):
            raise ModelError("transition probabilities do not sum to 1", got=total.ravel())
        moves /= total  # float32 logarithms leave a few millionths
        initial = np.zeros(n)
        initial[0] = 1.0
        return Topology(initial, moves[:, :n], moves[:, n]), tuple(columns)


def read_kaldi_model(path: str | Path, lang: str | Path | None = None) -> KaldiModel:
    """Read a Kaldi experiment directory.

    Parameters
    ----------
    path : path
        Holds ``final.mdl``, ``tree``, ``phones.txt`` and perhaps ``final.mat`` (or
        ``lda.mat``), ``splice_opts``.
    lang : path, optional
        A ``lang`` or graph directory: says which phones are silence, and brings ``phones.txt``
        when `path` has none. By default the lists in `path` itself, where there are some.

    Raises
    ------
    FormatError
        A file is missing or damaged, or the parts do not belong together.
    """
    path = Path(path)
    if not path.is_dir():
        raise FormatError("no such directory", where=str(path), expected="a Kaldi model directory")
    transitions, mixtures = read_model(_followed(path / "final.mdl"))
    tree = DecisionTree.read(path / "tree")
    names: KaldiLang | None = read_lang(lang) if lang is not None else None
    if names is None and not (path / "phones.txt").is_file():
        raise FormatError("no phones.txt", where=str(path), fix="Name the lang directory too.")
    phones = names.phones if names is not None else Symbols.read(path / "phones.txt")
    if max(transitions.topologies.entry_of) >= len(phones):
        raise FormatError("phones.txt is too short for the model", where=str(path), got=len(phones),
                          expected=f"{max(transitions.topologies.entry_of) + 1} symbols")  # fmt: skip
    leaves = max((node.value for node in tree.nodes if node.kind == "CE"), default=-1)
    if leaves >= mixtures.n_mixtures:
        raise FormatError("tree and final.mdl are of different models", where=str(path),
                          got=f"leaf {leaves}", expected=f"below {mixtures.n_mixtures}")  # fmt: skip
    transform = transform_file(path)
    return KaldiModel(
        transitions,
        mixtures,
        tree,
        phones,
        (names.silence_phones if names is not None else ()) or read_silence_phones(path, phones),
        None if transform is None else read_object(transform),
        _splice(path / "splice_opts"),
        _unadapted(path / "final.alimdl", mixtures),
    )


def _unadapted(path: Path, mixtures: DiagonalMixtures) -> DiagonalMixtures | None:
    if not path.exists():
        return None
    _, found = read_model(_followed(path))
    if (found.n_mixtures, found.n_dims) != (mixtures.n_mixtures, mixtures.n_dims):
        raise FormatError("final.alimdl and final.mdl are of different models", where=str(path),
                          got=(found.n_mixtures, found.n_dims),
                          expected=(mixtures.n_mixtures, mixtures.n_dims))  # fmt: skip
    return found


def _followed(path: Path) -> Path:
    """Return the file beside `path` that a link stored as a text file names, or `path`."""
    if path.is_file() and path.stat().st_size < 256:
        name = path.read_bytes().decode("latin-1").strip()
        target = path.parent / name
        if name and Path(name).name == name and target != path and target.is_file():
            return target
    return path


def _splice(path: Path) -> tuple[int, int] | None:
    if not path.is_file():
        return None
    found = {"--left-context": 4, "--right-context": 4}
    for number, line in read_lines(path):
        for option in line.split():
            name, _, value = option.partition("=")
            if name not in found or not value.isdigit() or int(value) > 100:
                raise FormatError("an option of splicing that is not known",
                                  where=f"{path}:{number}", got=repr(option))  # fmt: skip
            found[name] = int(value)
    return found["--left-context"], found["--right-context"]
