"""Acoustic models of phones in context, as other toolkits make them.

In: a `ContextMap`, tied densities and a front end. Out: `ContextModel`: features
of audio, scores of features, the labels of graphs; a directory that holds all of it.

It answers what `AcousticModel` answers, for models whose phones have many HMMs each and whose
features may be spliced and transformed.

Public names: `CONTEXT_FORMAT`, `ContextModel`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.files import sha256_of
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.folder import Form, read_folder, write_folder
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.scores import ACOUSTIC_SCALE, Scores
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.models.tree import Tree
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd, front_end_from_dict
from wfst_hmm.signal.transforms import affine, splice

__all__ = ["CONTEXT_FORMAT", "ContextModel"]

#: What ``model.json`` says it is, and the version of its layout.
CONTEXT_FORMAT = Form("wfst_hmm context model", 1, "model.npz")


@dataclasses.dataclass(frozen=True, eq=False)
class ContextModel:
    """Phones in context whose states share densities; immutable.

    Attributes
    ----------
    context : ContextMap
    silence_phones : tuple of str
        The first is the optional silence between words. May be empty.
    densities : MixtureSet or CodebookSet
        One score column a tied state.
    front_end : FrontEnd
    transform : ndarray or None
        Linear transform of the features, shape (m, n), or (m, n + 1) with an offset.
    fillers : dict
        Filler word -> phones; words that no grammar names.
    info : mapping
        JSON-ready facts about the model's origin; not part of `hash`.
    splice : int
        Frames on each side that are put beside each frame before the transform (LDA).
    unadapted : MixtureSet or None
        Of a model trained speaker-adaptively: densities of the same states for features of a
        speaker whose transform (fMLLR) is not known yet, for a first pass.
    optional_phones : mapping of str to float
        Phones that may be passed by without a frame, with the probability of that; the HMMs'
        own probabilities are those given that they are entered.
    tree : Tree or None
        The decision tree that tied the states, to look at; not part of `hash`.
    acoustic_scale : float
        What searches multiply the log-likelihoods by unless told otherwise; it travels into
        graphs. Not part of `hash`.

    Raises
    ------
    ModelError
        A state's column has no density, a silence phone is none of the phones, or dimensions of
        features, transform and densities do not fit.
    """

    context: ContextMap
    silence_phones: tuple[str, ...]
    densities: MixtureSet | CodebookSet
    front_end: FrontEnd
    transform: npt.NDArray[np.float32] | None = None
    fillers: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    splice: int = 0
    unadapted: MixtureSet | None = None
    tree: Tree | None = None
    acoustic_scale: float = ACOUSTIC_SCALE
    optional_phones: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for phone, probability in self.optional_phones.items():
            if phone not in self.phones or not 0 < probability < 1:
                raise ModelError(f"phone {phone!r} cannot be passed by", got=probability,
                                 expected="one of the phones, a probability in (0, 1)")  # fmt: skip
        for phone in self.silence_phones:
            if phone not in self.phones:
                raise ModelError(f"silence phone {phone!r} is none of the model's phones")
        if self.context.n_columns > self.n_columns:
            raise ModelError("a state's column has no density", got=self.context.n_columns - 1,
                             expected=f"below {self.n_columns}")  # fmt: skip
        self._check_dimensions()

    def _check_dimensions(self) -> None:
        densities = self.densities
        n_dims = self.front_end.n_dims * (2 * self.splice + 1)
        if self.transform is not None:
            rows, columns = self.transform.shape
            if columns - n_dims not in (0, 1):
                raise ModelError("the transform does not fit the features",
                                 got=self.transform.shape, expected=f"{n_dims} columns")  # fmt: skip
            n_dims = rows
        # Streams of codebooks may leave the last dimensions out.
        tied = isinstance(densities, CodebookSet)
        if not (densities.n_dims <= n_dims if tied else densities.n_dims == n_dims):
            raise ModelError("densities and features of unlike dimension", got=densities.n_dims,
                             expected=n_dims)  # fmt: skip
        first = self.unadapted
        if first is not None and (first.n_states, first.n_dims) != (self.n_columns, n_dims):
            raise ModelError("unadapted densities of other states or dimensions",
                             got=(first.n_states, first.n_dims),
                             expected=(self.n_columns, n_dims))  # fmt: skip

    @property
    def phones(self) -> tuple[str, ...]:
        """The base phones."""
        return self.context.phones

    @property
    def n_columns(self) -> int:
        """Number of score columns S (tied states)."""
        return self.densities.n_states

    @property
    def n_gaussians(self) -> int:
        """Number of Gaussians."""
        densities = self.densities
        if isinstance(densities, CodebookSet):
            return densities.n_codebooks * densities.n_densities * len(densities.streams)
        return densities.n_components

    @property
    def n_dims(self) -> int:
        """Dimension of the features that are scored."""
        return self.densities.n_dims

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.front_end.frame_shift

    @property
    def frame_offset(self) -> float:
        """Seconds that the boundary before frame t lies behind ``t * frame_shift``."""
        return self.front_end.frame_offset

    @property
    def rate(self) -> int:
        """Samples per second that the model hears."""
        return self.front_end.rate

    @property
    def reach(self) -> int:
        """Frames on either side that a finished feature depends on, normalization aside."""
        return self.front_end.reach + self.splice

    def __repr__(self) -> str:
        return (
            f"ContextModel({len(self.phones)} phones, {len(self.context.hmms)} HMMs, "
            f"{self.n_columns} states)"
        )

    def features(self, audio: Audio) -> Features:
        """Return the features of one utterance, normalized by its own mean.

        Raises
        ------
        DataError
            The audio has another rate, or is too short.
        """
        features = self.finish(self.front_end.cepstra(audio))
        return dataclasses.replace(features, seconds=audio.seconds)

    def finish(self, raw: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Return the features of raw cepstra (`signal.extract.utterance_cepstra`).

        Parameters
        ----------
        raw : ndarray, shape (T, n_ceps)
        stats : CmvnStats, optional
            Of the speaker; by default an utterance is normalized by its own mean.
        """
        features = self.front_end.finish(raw, stats)
        if not self.splice and self.transform is None:
            return features
        array = features.array
        if self.splice:
            array = splice(array, self.splice, self.splice)
        if self.transform is not None:
            # Sphinx's transforms may have more rows than its models score.
            array = affine(array, self.transform[: self.n_dims])
        return dataclasses.replace(features, array=array)

    def score(self, features: Features | npt.ArrayLike, *, adapted: bool = False) -> Scores:
        """Score frames under every tied state.

        Parameters
        ----------
        features : Features or array_like, shape (T, D)
        adapted : bool
            Whether the features were adapted to their speaker. If they were not, a model that
            has `unadapted` densities takes those.

        Returns
        -------
        Scores
            Natural log-likelihoods, shape (T, S).
        """
        array = features.array if isinstance(features, Features) else np.asarray(features)
        seconds = features.seconds if isinstance(features, Features) else None
        densities = self.densities
        if self.unadapted is not None and not adapted:
            densities = self.unadapted
        return Scores(densities.log_likelihoods(array), self.frame_shift, self.frame_offset,
                      seconds)  # fmt: skip

    def first_pass(self) -> ContextModel:
        """Return the model for speakers without a transform: `unadapted` for its densities."""
        if self.unadapted is None:
            return self
        return dataclasses.replace(self, densities=self.unadapted, unadapted=None)

    def topology_of(self, phone: str) -> Topology:
        """Return the topology of the first of a phone's HMMs; most models have one a phone."""
        centre = self.phones.index(phone)
        hmm = next(hmm for hmm in self.context.hmms if hmm.phone == centre)
        return self.context.topologies[hmm.topology]

    def state_labels(self) -> StateLabels:
        """Return the meaning of the input labels of every graph made for this model."""
        return self.context.state_labels()

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of everything that scores, graphs and features depend on; not of `info`."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self._arrays().items()}
        parts: list[str | memoryview] = [json.dumps(self._description(), sort_keys=True)]
        for name in sorted(arrays):
            parts += [f"{name} {arrays[name].dtype.str} {arrays[name].shape}"]
            parts += [memoryview(arrays[name].tobytes())]
        return sha256_of(parts)

    def _description(self) -> dict[str, Any]:
        return {
            "silence_phones": list(self.silence_phones),
            "densities": type(self.densities).__name__,
            "front_end": self.front_end.kind,
            "feature_options": self.front_end.to_dict(),
            "fillers": {word: list(phones) for word, phones in self.fillers.items()},
            **({"splice": self.splice} if self.splice else {}),
            **({"optional_phones": optional} if (optional := dict(self.optional_phones)) else {}),
        }

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        found = {f"context_{name}": a for name, a in self.context.to_arrays().items()}
        found |= {f"density_{name}": a for name, a in self.densities.to_arrays().items()}
        if self.transform is not None:
            found["transform"] = self.transform
        if self.unadapted is not None:
            found |= {f"unadapted_{name}": a for name, a in self.unadapted.to_arrays().items()}
        return found

    def save(self, path: str | Path) -> None:
        """Write the model as a directory, whole or not at all; an older one is replaced.

        Raises
        ------
        ModelError
            `path` is something else than an earlier model or an empty directory.
        """
        arrays = self._arrays()
        if self.tree is not None:
            arrays |= {f"tree_{name}": a for name, a in self.tree.to_arrays().items()}
        facts = {
            **self._description(),
            "acoustic_scale": self.acoustic_scale,
            "info": dict(self.info),
        }
        write_folder(path, CONTEXT_FORMAT, self, facts, arrays)

    @classmethod
    def load(cls, path: str | Path) -> ContextModel:
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            A file is missing or damaged, of another format or version.
        ModelError
            The content is contradictory, or not what was saved (by its hash).
        """
        return read_folder(path, CONTEXT_FORMAT, cls._from_parts)

    @classmethod
    def _from_parts(
        cls, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> ContextModel:
        def part(prefix: str) -> dict[str, npt.NDArray[Any]]:
            return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}

        tied = header["densities"] == CodebookSet.__name__
        density = part("density_")
        return cls(
            ContextMap.from_arrays(part("context_")),
            tuple(header["silence_phones"]),
            CodebookSet.from_arrays(density) if tied else MixtureSet(**density),
            front_end_from_dict(header["front_end"], header["feature_options"]),
            arrays.get("transform"),
            {word: tuple(phones) for word, phones in header["fillers"].items()},
            header.get("info", {}),
            int(header.get("splice", 0)),
            MixtureSet(**first) if (first := part("unadapted_")) else None,
            Tree.from_arrays(tree) if (tree := part("tree_")) else None,
            float(header.get("acoustic_scale", ACOUSTIC_SCALE)),
            {phone: float(p) for phone, p in header.get("optional_phones", {}).items()},
        )
