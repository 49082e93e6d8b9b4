"""Models of this package as Kaldi's files.

In: an `AcousticModel`, a `ContextModel` or a `KaldiModel`. Out: a directory with ``final.mdl``,
``tree``, ``phones.txt`` and what features need: ``final.mat``, ``splice_opts``, ``final.alimdl``.

Kaldi counts transition probabilities by (phone, HMM state, pdf); phones that depend on their
place in the word become phones of their own (``AH_B``).

Public names: `export_model`, `write_kaldi_model`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.files import atomic_directory
from wfst_hmm.formats.kaldi.archives import write_object
from wfst_hmm.formats.kaldi.gmm import DiagonalMixtures, write_model
from wfst_hmm.formats.kaldi.lang import write_silence_phones
from wfst_hmm.formats.kaldi.model import KaldiModel
from wfst_hmm.formats.kaldi.topologies import HmmState, HmmTopologies
from wfst_hmm.formats.kaldi.transitions import TransitionModel
from wfst_hmm.formats.kaldi.tree import PDF_CLASS, DecisionTree, Node
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import WORD_POSITIONS, ContextMap
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology

__all__ = ["export_model", "write_kaldi_model"]

_SUFFIXES = {"internal": "_I", "begin": "_B", "end": "_E", "single": "_S"}
_LEFT, _CENTRE, _RIGHT = 0, 1, 2


def write_kaldi_model(model: KaldiModel, path: str | Path, *, binary: bool = True) -> None:
    """Write a Kaldi model directory; what `read_kaldi_model` read comes back byte for byte."""
    with atomic_directory(path) as folder:
        write_model(folder / "final.mdl", model.transitions, model.mixtures, binary=binary)
        model.tree.write(folder / "tree", binary=binary)
        model.phones.write(folder / "phones.txt")
        if model.silence_phones:
            write_silence_phones(model.silence_phones, folder)
        if model.transform is not None:
            write_object(folder / "final.mat", model.transform, binary=binary)
        if model.splice is not None:
            left, right = model.splice
            text = f"--left-context={left} --right-context={right}\n"
            (folder / "splice_opts").write_text(text, encoding="ascii")
        if model.unadapted is not None:
            write_model(folder / "final.alimdl", model.transitions, model.unadapted, binary=binary)  # fmt: skip


def export_model(
    model: AcousticModel | ContextModel, path: str | Path, *, binary: bool = True
) -> None:
    """Write a model as a directory with ``final.mdl``, ``tree`` and ``phones.txt``.

    Raises
    ------
    ModelError
        Kaldi has no words for it: a phone that can be entered in another state than its first,
        HMMs that share a phone's state and pdf but not its probabilities, streams.
    """
    write_kaldi_model(_kaldi_model(model), path, binary=binary)


def _kaldi_model(model: AcousticModel | ContextModel) -> KaldiModel:
    if isinstance(model, AcousticModel):
        context = ContextMap.monophones(model.phones, model.topologies, model.columns)
        return _assembled(context, model.silence_phones, _mixtures_of(model.mixtures))
    densities = model.densities
    mixtures = densities if isinstance(densities, MixtureSet) else _spread_out(densities)
    made = _assembled(model.context, model.silence_phones, _mixtures_of(mixtures))
    if model.transform is None:
        return made
    first = None if model.unadapted is None else _mixtures_of(model.unadapted)
    return dataclasses.replace(made, transform=model.transform, unadapted=first,
                               splice=(model.splice, model.splice))  # fmt: skip


def _assembled(
    context: ContextMap, silence_phones: tuple[str, ...], mixtures: DiagonalMixtures
) -> KaldiModel:
    placed = context.n_positions > 1
    places = WORD_POSITIONS if placed else ("",)
    names = [f"{phone}{_SUFFIXES.get(place, '')}" for phone in context.phones for place in places]
    silence = tuple(
        f"{phone}{_SUFFIXES.get(place, '')}" for phone in silence_phones for place in places
    )
    return KaldiModel(
        _transitions(context), mixtures, _tree(context), Symbols(names), silence
    )  # fmt: skip


def _mixtures_of(mixtures: MixtureSet) -> DiagonalMixtures:
    return DiagonalMixtures.from_parameters(
        mixtures.log_weights, mixtures.means, mixtures.variances, mixtures.offsets
    )


def _spread_out(densities: CodebookSet) -> MixtureSet:
    """Return tied mixtures with Gaussians of its own for each state."""
    if len(densities.streams) > 1:
        raise ModelError("Kaldi's mixtures have one stream", got=len(densities.streams),
                         fix="Models with streams stay in Sphinx's form.")  # fmt: skip
    weights = densities.weights[0].astype(np.float64)
    order = np.argsort(densities.streams[0])
    means, variances = (
        a[0][densities.codebook][:, :, order] for a in (densities.means, densities.variances)
    )
    rows = [(w[w > 0] / w.sum(), m[w > 0], v[w > 0])
            for w, m, v in zip(weights, means, variances, strict=True)]  # fmt: skip
    return MixtureSet.from_states(rows)


def _transitions(context: ContextMap) -> TransitionModel:
    """Return the transition model: one row for each phone, state and pdf that occurs."""
    moves: dict[tuple[int, int, int], npt.NDArray[Any]] = {}
    shapes: dict[int, tuple[HmmState, ...]] = {}
    for hmm in context.hmms:
        topology = context.topologies[hmm.topology]
        name = context.phones[hmm.phone]
        shape = _shape(topology, name)
        if shapes.setdefault(hmm.phone, shape) != shape:
            raise ModelError(f"the HMMs of phone {name} have unlike topologies")
        table = np.column_stack([topology.transitions, topology.final])
        for state, column in enumerate(hmm.columns):
            key = (hmm.phone, state, column)
            if not np.allclose(moves.setdefault(key, table[state]), table[state], atol=1e-6):
                raise ModelError(
                    f"HMMs of phone {name} share state {state} but not its probabilities",
                    fix="Kaldi has one set of transition probabilities a state: tie them.",
                )  # fmt: skip
    entries: dict[tuple[HmmState, ...], int] = {}
    entry_of, rows, log_probs = {}, [], [0.0]
    for phone in sorted(shapes):
        for place in range(context.n_positions):
            number = 1 + phone * context.n_positions + place
            entry_of[number] = entries.setdefault(shapes[phone], len(entries))
            for key in sorted(k for k in moves if k[0] == phone):
                rows.append((number, key[1], key[2], key[2]))
                log_probs += [float(np.log(p)) for p in moves[key] if p > 0]
    return TransitionModel(
        HmmTopologies(tuple(entries), entry_of), np.array(rows, dtype=np.int32),
        np.array(log_probs, dtype=np.float32),
    )  # fmt: skip


def _shape(topology: Topology, name: str) -> tuple[HmmState, ...]:
    if topology.initial[0] != 1.0:
        raise ModelError(f"phone {name} can be entered in other states than the first",
                         got=topology.initial.tolist())  # fmt: skip
    states = []
    for state, out in enumerate(np.column_stack([topology.transitions, topology.final])):
        goals = np.flatnonzero(out).tolist()
        default = float(np.float32(1 / len(goals)))
        states.append(HmmState(state, state, tuple((goal, default) for goal in goals)))
    return (*states, HmmState(-1, -1, ()))


def _tree(context: ContextMap) -> DecisionTree:
    """Return a tree that asks for the phone, the state, then for neighbours, class by class."""
    plain = all(table.size == 1 for row in context.tables for table in row)
    width, centre = (1, 0) if plain else (3, _CENTRE)
    nodes: list[Node] = []
    columns = np.full((len(context.hmms) + 1, max(len(h.columns) for h in context.hmms)), -1)
    for index, hmm in enumerate(context.hmms):
        columns[index, : len(hmm.columns)] = hmm.columns
    n_states = [0] * len(context.phones)
    for hmm in context.hmms:
        n_states[hmm.phone] = len(hmm.columns)

    def add(node: Node) -> int:
        nodes.append(node)
        return len(nodes) - 1

    root = add(Node("TE", centre))
    tops = [add(Node("NULL"))]
    for phone, row in enumerate(context.tables):
        for place, table in enumerate(row):
            top = add(Node("TE", PDF_CLASS))
            tops.append(top)
            asked = [_numbers(context, side[phone, place])
                     for side in (context.left_class, context.right_class)]  # fmt: skip
            states = tuple(_split(columns[table, state], asked[0], asked[1], add, nodes)
                           for state in range(n_states[phone]))  # fmt: skip
            nodes[top] = Node("TE", PDF_CLASS, (), states)
    nodes[root] = Node("TE", centre, (), tuple(tops))
    return DecisionTree(width, centre, tuple(nodes))


def _numbers(context: ContextMap, classes: npt.NDArray[np.int32]) -> list[tuple[int, ...]]:
    """Return Kaldi's numbers of the neighbours in each class; 0 is the edge."""
    found: list[list[int]] = [[] for _ in range(int(classes.max()) + 1)]
    for neighbour, number in enumerate(classes.tolist()):
        if neighbour == len(context.phones):
            found[number].append(0)
        else:
            first = 1 + neighbour * context.n_positions
            found[number] += range(first, first + context.n_positions)
    return [tuple(sorted(numbers)) for numbers in found]


def _split(  # type: ignore[no-untyped-def]
    table, left: list[tuple[int, ...]], right: list[tuple[int, ...]], add, nodes: list[Node]
) -> int:
    """Add the nodes that find the pdf in a table of left and right classes; return the first."""
    if np.all(table == table[0, 0]):
        value = int(table[0, 0])
        return int(add(Node("CE", value) if value >= 0 else Node("NULL")))
    number = int(add(Node("SE")))
    key, asked = (_LEFT, left) if np.any(table != table[:1]) else (_RIGHT, right)
    axis = 0 if key == _LEFT else 1
    lines = table if axis == 0 else table.T
    same = np.all(lines == lines[0], axis=1)
    yes = tuple(sorted(n for numbers, s in zip(asked, same, strict=True) if s for n in numbers))
    children = []
    for chosen in (same, ~same):
        part = np.compress(chosen, table, axis=axis)
        sides = [left, right]
        sides[axis] = [numbers for numbers, c in zip(asked, chosen, strict=True) if c]
        children.append(_split(part, sides[0], sides[1], add, nodes))
    nodes[number] = Node("SE", key, yes, (children[0], children[1]))
    return number
