"""HTK models as models of this package.

In: model files and a list of HMMs (``tiedlist``). Out: `HtkModel`: mixtures, topologies and the
map from phones in context to HMMs.

Public names: `HtkModel`, `read_htk_model`, `read_hmm_list`, `split_name`.

Notes
-----
The HTK Book (3.5), sections 7.4 and 12.8: logical models are named ``left-phone+right``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.arrays import as_paths, brief
from wfst_hmm.errors import FormatError, ModelError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.htk.config import HtkConfig
from wfst_hmm.formats.htk.labels import split_htk
from wfst_hmm.formats.htk.mmf import HtkHmm, HtkModels, read_mmf
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import ContextMap, PhysicalHmm
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import Topology
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.htk import HtkOptions

__all__ = ["HtkModel", "read_hmm_list", "read_htk_model", "split_name"]


def split_name(name: str) -> tuple[str | None, str, str | None]:
    """Split ``left-phone+right`` into its parts; missing contexts are None."""
    rest, plus, right = name.partition("+")
    left, minus, phone = rest.partition("-")
    if not minus:
        left, phone = "", rest
    return (left or None, phone, right or None) if plus or minus else (None, name, None)


@dataclasses.dataclass(frozen=True, eq=False)
class HtkModel:
    """A set of HMMs and the logical names that share them.

    Attributes
    ----------
    models : HtkModels
    logical : dict
        Logical name -> physical name, of the HMM list.
    """

    __repr__ = brief

    models: HtkModels
    logical: dict[str, str]

    @property
    def phones(self) -> tuple[str, ...]:
        """The base phones, in the order of their names."""
        return tuple(sorted({split_name(name)[1] for name in self.logical}))

    def mixture_set(self) -> MixtureSet:
        """Return the mixtures, one score column a tied state."""
        states = self.models.states
        members = np.concatenate([state.gaussians for state in states])
        with np.errstate(divide="ignore"):
            log_weights = np.log(np.concatenate([state.weights for state in states]))
        offsets = np.concatenate([[0], np.cumsum([len(state.weights) for state in states])])
        return MixtureSet(
            log_weights, self.models.means[members], self.models.variances[members], offsets
        )

    def codebooks(self) -> CodebookSet:
        """Return tied mixtures with their Gaussians shared.

        Raises
        ------
        ModelError
            The states do not all weigh the same Gaussians.
        """
        states = self.models.states
        pool = states[0].gaussians
        if any(not np.array_equal(state.gaussians, pool) for state in states):
            raise ModelError("states have Gaussians of their own", fix="Use mixture_set().")
        weights = np.array([[state.weights for state in states]], dtype=np.float32)
        return CodebookSet(
            (np.arange(self.models.n_dims),), (self.models.means[pool][None],),
            (self.models.variances[pool][None],), weights, np.zeros(len(states), np.int32),
        )  # fmt: skip

    def context_model(
        self, front_end: FrontEnd, silence_phones: Sequence[str] = ()
    ) -> ContextModel:
        """Return the set as this package saves, scores and builds graphs for it.

        Parameters
        ----------
        front_end : FrontEnd
            How the features were made (`front_end`); the files name their kind only.
        silence_phones : sequence of str
        """
        return ContextModel(
            self.context_map(), tuple(silence_phones), self.mixture_set(), front_end,
            info={"made_by": "HTK", "kind": self.models.kind}, optional_phones=self.passed_by(),
        )  # fmt: skip

    def front_end(self, config: HtkConfig | None = None, *, rate: int | None = None) -> HtkOptions:
        """Return how the features were made: the models' kind, the rest as a configuration says.

        Without one it is the recipe of the HTK Book's tutorial: windows of 25 ms, a frame each
        10 ms, 26 filters, liftering by 22, energy that is not normalized.

        Parameters
        ----------
        config : HtkConfig, optional
        rate : int, optional
            Samples per second, where the configuration does not say.

        Raises
        ------
        ModelError
            The models have another kind of features than the configuration makes, or another
            number of them.
        """
        given: frozenset[str] = frozenset() if config is None else config.given
        if config is None:
            made = HtkOptions(rate=rate or 16000, windowsize=250000.0, numchans=26,
                              enormalise=False)  # fmt: skip
        else:
            made = config.options
        kind = self.models.kind or (made.targetkind if "targetkind" in given else "")
        if not kind:
            raise ModelError("the model files do not say what kind of features they want",
                             fix="Name the configuration (--config) that has TARGETKIND.")  # fmt: skip
        base, *marks = kind.split("_")
        marks = sorted(mark for mark in marks if mark not in "CK")  # those say how files are packed
        kind = "_".join([base, *marks])
        if "targetkind" in given and base != made.targetkind.split("_")[0]:
            raise ModelError("the configuration makes another kind of features",
                             got=made.targetkind, expected=kind)  # fmt: skip
        orders = 1 + len({"D", "A", "T"} & set(marks))
        n_static, rest = divmod(self.models.n_dims + ("N" in marks), orders)
        n_static -= len({"0", "E"} & set(marks))
        size = "numchans" if base in ("FBANK", "MELSPEC") else "numceps"
        if rest or n_static < 1 or (size in given and getattr(made, size) != n_static):
            raise ModelError("features of this kind have another number of dimensions",
                             got=f"{kind}, {self.models.n_dims} dimensions",
                             expected=f"{size.upper()} = {getattr(made, size)}")  # fmt: skip
        try:
            changes: dict[str, Any] = {"targetkind": kind, size: n_static}
            return dataclasses.replace(made, **changes)
        except UsageError as error:
            raise ModelError(error.what, got=error.got, expected=error.expected) from None

    def passed_by(self) -> dict[str, float]:
        """Return the phones that may be passed by without a frame, and with what probability.

        Such models (``sp``) are entered in the context map as if they could not be: graphs offer
        the way around them (`ContextModel.optional_phones`).
        """
        found = {}
        for name, physical in self.logical.items():
            probability = float(self.models.hmms[physical].transitions[0, -1])
            if probability > 0:
                found[split_name(name)[1]] = probability
        return found

    def context_map(self) -> ContextMap:
        """Return the map from phones in context to HMMs.

        A triphone that the list lacks is looked for with its right context only, its left
        context only, and without any; the edge of an utterance counts as no context.
        """
        phones = self.phones
        physical = sorted(set(self.logical.values()))
        bases: dict[tuple[str, str], int] = {}
        hmms: list[PhysicalHmm] = []
        topologies: list[Topology] = []
        for name in physical:
            topologies.append(_topology(self.models.hmms[name], name))
        names = [split_name(name) for name in self.logical]
        for (_, base, _), target in zip(names, self.logical.values(), strict=True):
            if (base, target) not in bases:
                bases[base, target] = len(hmms)
                columns = self.models.hmms[target].states
                hmms.append(PhysicalHmm(phones.index(base), physical.index(target), columns))
        index = {name: i for i, name in enumerate(phones)}
        grids = [np.full((len(phones) + 1,) * 2, -1, dtype=np.int32) for _ in phones]
        # The least special names are written first, and overwritten by those that say more.
        for special in ((False, False), (True, False), (False, True), (True, True)):
            for (left, base, right), target in zip(names, self.logical.values(), strict=True):
                if (left is not None, right is not None) != special:
                    continue
                rows = slice(None) if left is None else index.get(left)
                columns_of = slice(None) if right is None else index.get(right)
                if rows is not None and columns_of is not None:
                    grids[index[base]][rows, columns_of] = bases[base, target]
        return ContextMap.build(phones, topologies, hmms, lambda centre, _: grids[centre])


def _topology(hmm: HtkHmm, name: str) -> Topology:
    matrix = hmm.transitions
    entered = matrix[0, 1:-1].sum()
    if not entered > 0:
        raise ModelError(f"HMM {name!r} cannot be entered")
    try:
        return Topology(matrix[0, 1:-1] / entered, matrix[1:-1, 1:-1], matrix[1:-1, -1])
    except ModelError as error:
        raise ModelError(f"HMM {name!r}: {error.what}", got=error.got) from None


def read_hmm_list(path: str | Path) -> dict[str, str]:
    """Read an HMM list (``tiedlist``): a logical name and, when tied, its physical one a line."""
    found: dict[str, str] = {}
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        words = split_htk(line, where)
        if not words:
            continue
        if len(words) > 2:
            raise FormatError("more than two names", where=where, got=repr(line[:60]))
        if words[0] in found:
            raise FormatError(f"model {words[0]!r} is listed twice", where=where)
        found[words[0]] = words[-1]
    return found


def read_htk_model(
    paths: str | Path | Sequence[str | Path], hmm_list: str | Path | None = None
) -> HtkModel:
    """Read model files (``macros`` before ``hmmdefs``) and an HMM list.

    Raises
    ------
    FormatError
        As `read_mmf`, or the list names a physical model that the files lack.
    """
    models = read_mmf(*as_paths(paths))
    logical = {name: name for name in models.hmms}
    if hmm_list is not None:
        logical = read_hmm_list(hmm_list)
        missing = [f"{a} -> {b}" for a, b in logical.items() if b not in models.hmms]
        if missing or not logical:
            raise FormatError("the list names models that the files lack, or none",
                              where=str(hmm_list), got=", ".join(missing[:5]))  # fmt: skip
    return HtkModel(models, logical)
