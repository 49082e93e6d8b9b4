"""The acoustic model: which phones there are, how long they last, and how they sound.

In: topologies, score columns and Gaussian mixtures, from training or from other toolkits'
files. Out: `AcousticModel`: scores (T, S) of features, state labels for graphs, a directory.

Public names: `AcousticModel`, `MODEL_FORMAT`.
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

from wfst_hmm.arrays import Frozen
from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.files import sha256_of
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.folder import Form, read_folder, write_folder
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.scores import ACOUSTIC_SCALE, Scores
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd, front_end_from_dict

__all__ = ["MODEL_FORMAT", "AcousticModel"]

#: What ``model.json`` says it is, and the version of its layout.
MODEL_FORMAT = Form("wfst_hmm acoustic model", 1, "mixtures.npz")


@dataclasses.dataclass(frozen=True, eq=False)
class AcousticModel(Frozen):
    """Phones as HMMs whose states share S mixtures of diagonal Gaussians; immutable.

    Attributes
    ----------
    phones : tuple of str, length P
    silence_phones : tuple of str
        Those of `phones` that stand for no speech; the first is the optional silence between
        words. May be empty.
    topologies : tuple of Topology, length P
    columns : tuple of int32 arrays, length P
        ``columns[p][s]``: score column (tied state) of state ``s`` of phone ``p``.
    mixtures : MixtureSet
        One mixture a column.
    front_end : FrontEnd
        How audio must become features for this model.
    info : mapping
        JSON-ready facts about the model's making; not part of `hash`.
    acoustic_scale : float
        What searches multiply the log-likelihoods by unless told otherwise; it travels into
        graphs. Not part of `hash`.

    Raises
    ------
    ModelError
        The parts contradict each other: unlike lengths, a phone twice, a silence phone that is
        none of the phones, a column without a mixture, mixtures of another dimension than the
        features.
    """

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    topologies: tuple[Topology, ...]
    columns: tuple[npt.NDArray[np.int32], ...]
    mixtures: MixtureSet
    front_end: FrontEnd
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    acoustic_scale: float = ACOUSTIC_SCALE

    def __post_init__(self) -> None:
        columns = []
        for column in self.columns:
            array = np.array(column, dtype=np.int32)
            array.flags.writeable = False
            columns.append(array)
        object.__setattr__(self, "columns", tuple(columns))
        for name in ("phones", "silence_phones", "topologies"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check()

    def _check(self) -> None:
        lengths = (len(self.phones), len(self.topologies), len(self.columns))
        if len(set(lengths)) != 1 or not self.phones:
            raise ModelError("phones, topologies and columns of unlike lengths", got=lengths,
                             expected="one topology and one column array a phone")  # fmt: skip
        try:
            Symbols(self.phones)
        except DataError as error:
            raise ModelError(f"phones: {error.what}", got=error.got) from None
        for phone in self.silence_phones:
            if phone not in self.phones:
                raise ModelError(f"silence phone {phone!r} is none of the model's phones")
        n_columns = self.mixtures.n_states
        for phone, topology, column in zip(self.phones, self.topologies, self.columns, strict=True):
            if column.shape != (topology.n_states,):
                raise ModelError(f"phone {phone}: one column a state is needed", got=column.shape,
                                 expected=(topology.n_states,))  # fmt: skip
            if column.min() < 0 or column.max() >= n_columns:
                raise ModelError(f"phone {phone}: a state whose column has no mixture",
                                 got=column.tolist(), expected=f"0 to {n_columns - 1}")  # fmt: skip
        if self.mixtures.n_dims != self.front_end.n_dims:
            raise ModelError("mixtures and features of unlike dimension", got=self.mixtures.n_dims,
                             expected=self.front_end.n_dims)  # fmt: skip

    @property
    def n_columns(self) -> int:
        """Number of score columns S (tied states)."""
        return self.mixtures.n_states

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return self.front_end.frame_shift

    @property
    def frame_offset(self) -> float:
        """Seconds that the boundary before frame t lies behind ``t * frame_shift``."""
        return self.front_end.frame_offset

    @property
    def reach(self) -> int:
        """Frames on either side that a finished feature depends on, normalization aside."""
        return self.front_end.reach

    def __repr__(self) -> str:
        return (
            f"AcousticModel({len(self.phones)} phones, {self.n_columns} states, "
            f"{self.mixtures.n_components} Gaussians, {self.mixtures.n_dims} dimensions)"
        )

    @property
    def n_gaussians(self) -> int:
        """Number of Gaussians."""
        return self.mixtures.n_components

    @property
    def n_dims(self) -> int:
        """Dimension of the features that are scored."""
        return self.mixtures.n_dims

    @property
    def rate(self) -> int:
        """Samples per second that the model hears."""
        return self.front_end.rate

    def features(self, audio: Audio) -> Features:
        """Return the features of one recording, normalized by itself."""
        return self.front_end.features(audio)

    def finish(self, raw: npt.NDArray[np.floating], stats: CmvnStats | None = None) -> Features:
        """Return the features of raw cepstra: see `FrontEnd.finish`."""
        return self.front_end.finish(raw, stats)

    def score(self, features: Features | npt.ArrayLike) -> Scores:
        """Score frames under every tied state.

        Parameters
        ----------
        features : Features or array_like, shape (T, D)
            Made with `front_end`.

        Returns
        -------
        Scores
            Natural log-likelihoods, shape (T, S).

        Raises
        ------
        DataError
            Another dimension, or NaN or infinite features.
        """
        if not isinstance(features, Features):
            return Scores(self.mixtures.log_likelihoods(features), self.frame_shift,
                          self.frame_offset)  # fmt: skip
        return Scores(self.mixtures.log_likelihoods(features.array), features.frame_shift,
                      self.frame_offset, features.seconds)  # fmt: skip

    def topology_of(self, phone: str) -> Topology:
        """Return the HMM of a phone."""
        return self.topologies[self.phones.index(phone)]

    def state_labels(self) -> StateLabels:
        """Return the meaning of the input labels of every graph made for this model."""
        return StateLabels.build(self.phones, self.topologies, self.columns)

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of everything that scores, graphs and features depend on; not of `info`."""
        arrays = [np.ascontiguousarray(a) for a in self.mixtures.to_arrays().values()]
        return sha256_of(
            [
                json.dumps(self._description(), sort_keys=True),
                *(part for array in arrays for part in (str(array.shape), array.data)),
            ]
        )

    def _description(self) -> dict[str, Any]:
        return {
            "phones": list(self.phones),
            "silence_phones": list(self.silence_phones),
            "topologies": [topology.to_dict() for topology in self.topologies],
            "columns": [column.tolist() for column in self.columns],
            "feature_options": self.front_end.to_dict(),
            # Folders of version 0.1, and their hashes, do not name Kaldi's.
            **({"front_end": kind} if (kind := self.front_end.kind) != "kaldi" else {}),
        }

    def save(self, path: str | Path) -> None:
        """Write the model as a directory, whole or not at all; an older one is replaced.

        The directory holds ``model.json`` (phones, topologies, columns, front end, info)
        and ``mixtures.npz`` (``log_weights``, ``means``, ``variances``, ``offsets``).

        Raises
        ------
        ModelError
            `path` is something else than an earlier model or an empty directory.
        """
        facts = {
            **self._description(),
            "acoustic_scale": self.acoustic_scale,
            "info": dict(self.info),
        }
        write_folder(path, MODEL_FORMAT, self, facts, self.mixtures.to_arrays())

    @classmethod
    def load(cls, path: str | Path) -> AcousticModel:
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            A file is missing or damaged, of another format or a newer version.
        ModelError
            The content is contradictory, or not what was saved (by its hash).
        """
        return read_folder(path, MODEL_FORMAT, cls._from_parts)

    @classmethod
    def _from_parts(
        cls, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> AcousticModel:
        names = [field.name for field in dataclasses.fields(MixtureSet)]
        return cls(
            tuple(header["phones"]),
            tuple(header["silence_phones"]),
            tuple(Topology.from_dict(value) for value in header["topologies"]),
            tuple(np.asarray(column, dtype=np.int32) for column in header["columns"]),
            MixtureSet(**{name: arrays[name] for name in names}),
            front_end_from_dict(header.get("front_end", "kaldi"), header["feature_options"]),
            header.get("info", {}),
            float(header.get("acoustic_scale", ACOUSTIC_SCALE)),
        )
