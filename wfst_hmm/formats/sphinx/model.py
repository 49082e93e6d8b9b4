"""Sphinx model directories as models of this package.

In: a directory with ``mdef``, ``means``, ``variances``, ``sendump`` or ``mixture_weights``,
``transition_matrices`` and ``feat.params``. Out: `SphinxModel`: features of samples, scores of
features, the map from phones in context to HMMs.

Public names: `SphinxModel`, `read_sphinx_model`, `read_feat_params`.

Notes
-----
Layout after the PocketSphinx 5 sources. Scores are those of the whole mixtures in floating
point; ``top_n=4`` approximates what PocketSphinx computes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import FormatError, ModelError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.formats.sphinx.mdef import SILENCE, ModelDefinition, read_mdef
from wfst_hmm.formats.sphinx.parameters import (
    VARIANCE_FLOOR,
    read_gaussians,
    read_mixture_weights,
    read_sendump,
    read_transform,
    read_transitions,
)
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.topology import Topology
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.sphinx import (
    NoiseTracker,
    SphinxOptions,
    finish_cepstra,
    sphinx_cepstra,
    stream_slices,
)

__all__ = ["SphinxModel", "read_feat_params", "read_sphinx_model"]

#: PocketSphinx multiplies the grammar's logarithms by 6.5 (``-lw``); of a seventh to a sixth for the
#: acoustic ones, this did best on Mini LibriSpeech's development part (`bench.transcribe`).
_SCALE = 0.15
#: Keys of ``feat.params`` that change nothing here, with the values they may have.
_HARMLESS: dict[str, tuple[str, ...] | None] = {
    "model": None, "cmninit": None, "dither": None, "seed": None, "verbose": None, "logspec": ("no",),
    "smoothspec": ("no",), "doublebw": ("no",), "warp_params": (), "warp_type": None,
    "agc": ("none",), "agcthresh": None, "input_endian": None, "ceplen": None, "lda": None,
    "remove_silence": None, "vad_threshold": None, "vad_prespeech": None, "vad_postspeech": None,
    "vad_startspeech": None, "topn": None, "varfloor": None,
}  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class SphinxModel:
    """An acoustic model of CMU Sphinx.

    Attributes
    ----------
    definition : ModelDefinition
    codebooks : CodebookSet
        One score column a senone.
    topologies : tuple of Topology
        One a transition matrix.
    options : SphinxOptions
        The front end.
    transform : ndarray or None
        ``feature_transform``.
    fillers : dict
        Filler word -> phones, of ``noisedict``.
    initial : CmvnStats or None
        The mean that a live stream starts from: ``-cmninit``, or Sphinx's default.
    """

    __repr__ = brief

    definition: ModelDefinition
    codebooks: CodebookSet
    topologies: tuple[Topology, ...]
    options: SphinxOptions
    transform: npt.NDArray[Any] | None
    fillers: dict[str, tuple[str, ...]]
    initial: CmvnStats | None = None

    @property
    def phones(self) -> tuple[str, ...]:
        """The context-independent phones."""
        return self.definition.names

    @property
    def silence_phones(self) -> tuple[str, ...]:
        """Silence first, then the other fillers."""
        return self.definition.silence_phones

    def context_map(self) -> ContextMap:
        """Return the map from phones in context to HMMs."""
        return self.definition.context_map(self.topologies)

    def context_model(self) -> ContextModel:
        """Return the model as this package saves, scores and builds graphs for it."""
        return ContextModel(
            self.context_map(), self.silence_phones, self.codebooks, self.options, self.transform,
            self.fillers, {"made_by": "CMU Sphinx"} | (
                {} if self.initial is None else {"cepstra": self.initial.to_dict()}
            ),
            acoustic_scale=_SCALE,
        )  # fmt: skip

    def features(
        self, samples: npt.ArrayLike, noise: NoiseTracker | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the features (T, D) of samples (N,) at ``options.samprate``."""
        return self.finish(sphinx_cepstra(samples, self.options, noise))

    def finish(self, cepstra: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the features (T, D) of raw cepstra, such as `container.read_cepstra` reads."""
        return finish_cepstra(cepstra, self.options, self.transform)

    def log_likelihoods(
        self, features: npt.ArrayLike, *, top_n: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the scores (T, n_senones) of features (T, D)."""
        return self.codebooks.log_likelihoods(features, top_n=top_n)


def read_sphinx_model(path: str | Path) -> SphinxModel:
    """Read a model directory: phonetically tied, semi-continuous or continuous.

    Raises
    ------
    FormatError
        A file is missing or damaged, or the files are of different models.
    """
    path = Path(path)
    if not (path / "mdef").is_file():
        raise FormatError("no Sphinx model (it has no mdef)", where=str(path),
                          fix="Name the directory that holds mdef, means and variances.")  # fmt: skip
    if (path / "senmgau").is_file():
        raise FormatError("an explicit map from senones to codebooks is not supported",
                          where=str(path / "senmgau"))  # fmt: skip
    definition = read_mdef(path / "mdef")
    options = read_feat_params(path / "feat.params")
    transform_file = path / "feature_transform"
    transform = read_transform(transform_file) if transform_file.is_file() else None
    if transform is not None:
        options = dataclasses.replace(
            options, ldadim=min(options.ldadim or 1 << 30, len(transform))
        )
    topologies = read_transitions(path / "transition_matrices")
    if len(topologies) != definition.n_tmats or topologies[0].n_states != definition.n_emit:
        raise FormatError("transition matrices do not fit the model definition", where=str(path),
                          got=f"{len(topologies)} of {topologies[0].n_states} states",
                          expected=f"{definition.n_tmats} of {definition.n_emit}")  # fmt: skip
    return SphinxModel(
        definition,
        _read_codebooks(path, definition, options),
        tuple(topologies),
        options,
        transform,
        _read_fillers(path / "noisedict", definition),
        _initial_mean(path / "feat.params", options),
    )


def _read_codebooks(path: Path, definition: ModelDefinition, options: SphinxOptions) -> CodebookSet:
    means, variances = read_gaussians(path / "means"), read_gaussians(path / "variances")
    if [m.shape for m in means] != [v.shape for v in variances]:
        raise FormatError("means and variances are of different sizes", where=str(path))
    n_codebooks, n_streams = means[0].shape[0], len(means)
    if (path / "sendump").is_file():
        weights = read_sendump(path / "sendump", definition.n_senones, n_streams)
    else:
        weights = read_mixture_weights(path / "mixture_weights")
    if weights.shape != (n_streams, definition.n_senones, means[0].shape[1]):
        raise FormatError("mixture weights do not fit", where=str(path),
                          got=f"{weights.shape} streams, senones, densities",
                          expected=(n_streams, definition.n_senones, means[0].shape[1]))  # fmt: skip
    if n_codebooks == len(definition.names):
        try:
            codebook = definition.base_of_senones()
        except ModelError as error:
            raise FormatError(error.what, where=str(path / "mdef"), fix=error.fix) from None
        codebook = np.maximum(codebook, 0)  # a senone that no phone uses: any will do
    elif n_codebooks == 1:
        codebook = np.zeros(definition.n_senones, dtype=np.int32)
    elif n_codebooks == definition.n_senones:
        codebook = np.arange(n_codebooks, dtype=np.int32)
    else:
        raise FormatError("an unknown kind of model", where=str(path / "means"),
                          got=f"{n_codebooks} codebooks",
                          expected=f"1, {len(definition.names)} or {definition.n_senones}")  # fmt: skip
    streams = stream_slices(options)
    lengths = [m.shape[2] for m in means]
    if [len(dims) for dims in streams] != lengths:
        raise FormatError("feat.params and means disagree about the streams", where=str(path),
                          got=[len(dims) for dims in streams], expected=lengths)  # fmt: skip
    try:
        return CodebookSet(
            streams,
            tuple(m.astype(np.float64) for m in means),
            tuple(np.maximum(v, VARIANCE_FLOOR).astype(np.float64) for v in variances),
            weights,
            codebook,
        )
    except ModelError as error:
        raise FormatError(error.what, where=str(path), got=error.got) from None


def _read_fillers(path: Path, definition: ModelDefinition) -> dict[str, tuple[str, ...]]:
    """Read ``noisedict``; without one the usual three words are silence."""
    if not path.is_file():
        return dict.fromkeys(("<s>", "</s>", "<sil>"), (SILENCE,))
    found: dict[str, tuple[str, ...]] = {}
    for number, line in read_lines(path):
        fields = line.split()
        if not fields or line.startswith(("##", ";;")):
            continue
        unknown = [phone for phone in fields[1:] if phone not in definition.names]
        if len(fields) < 2 or unknown:
            raise FormatError("a filler without phones that the model has",
                              where=f"{path}:{number}", got=repr(line[:60]))  # fmt: skip
        found[fields[0]] = tuple(fields[1:])
    return found


def read_feat_params(path: str | Path) -> SphinxOptions:
    """Read ``feat.params``: pairs of ``-key value``.

    Raises
    ------
    FormatError
        A key is unknown, lacks its value or asks for something that is not supported: features
        would be others than the model was trained on.
    """
    words = [(f"{path}:{n}", word) for n, line in read_lines(path) for word in line.split()]
    kinds = {field.name: str(field.type) for field in dataclasses.fields(SphinxOptions)}
    values: dict[str, Any] = {}
    for (where, key), (_, value) in zip(words[::2], [*words[1::2], ("", "")], strict=False):
        name = key.removeprefix("-")
        if not key.startswith("-") or not value:
            raise FormatError("not a key and its value", where=where, got=repr(f"{key} {value}"[:60]))  # fmt: skip
        if name in kinds:
            values[name] = _typed(kinds[name], name, value, where)
        elif name not in _HARMLESS or value not in (_HARMLESS[name] or (value,)):
            raise FormatError("a setting that is not supported", where=where,
                              got=f"{key} {value}"[:60])  # fmt: skip
    values["cmn"] = {"current": "batch", "prior": "live"}.get(values.get("cmn", "batch"), values.get("cmn", "batch"))  # fmt: skip
    try:
        return SphinxOptions(**values)
    except UsageError as error:
        raise FormatError(error.what, where=str(path), got=error.got,
                          expected=error.expected) from None  # fmt: skip


def _initial_mean(path: Path, options: SphinxOptions) -> CmvnStats | None:
    """Return the mean that ``-cmninit`` names; without it, what Sphinx starts from."""
    words = [(f"{path}:{n}", word) for n, line in read_lines(path) for word in line.split()]
    where, given = next(
        (value for (_, key), value in zip(words[::2], words[1::2], strict=False)
         if key == "-cmninit"), ("", ""),
    )  # fmt: skip
    try:
        return options.usual_stats(given)
    except ValueError:
        raise FormatError("-cmninit is no mean", where=where, got=repr(given[:40]),
                          expected="numbers with commas between, such as 40,3,-1") from None  # fmt: skip


def _typed(kind: str, name: str, value: str, where: str) -> Any:
    if kind == "bool":
        if value.lower() in ("yes", "no", "true", "false", "1", "0"):
            return value.lower() in ("yes", "true", "1")
    elif kind in ("int", "float"):
        try:
            return int(value) if kind == "int" else float(value)
        except ValueError:
            pass
    else:
        return value
    raise FormatError(f"no value for -{name}", where=where, got=repr(value[:40]), expected=kind)
