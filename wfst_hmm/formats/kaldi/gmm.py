"""Kaldi's diagonal Gaussian mixtures, the second half of a ``final.mdl``.

In: a `KaldiReader`. Out: `DiagonalMixtures`, which keeps Kaldi's own parameters (means times
inverse variances) so that writing them gives the same bytes.

Public names: `DiagonalMixtures`, `read_model`, `write_model`.

Notes
-----
Formats: Kaldi's ``gmm/am-diag-gmm.cc`` and ``gmm/diag-gmm.cc``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import FormatError
from wfst_hmm.files import atomic_file, read_bytes
from wfst_hmm.formats.kaldi.stream import KaldiReader, KaldiWriter
from wfst_hmm.formats.kaldi.transitions import TransitionModel
from wfst_hmm.models.mixtures import MixtureSet

__all__ = ["DiagonalMixtures", "read_model", "write_model"]

_TINY = np.float32(1e-30)


@dataclasses.dataclass(frozen=True, eq=False)
class DiagonalMixtures:
    """S mixtures of G Gaussians in all, in Kaldi's parameters.

    Attributes
    ----------
    gconsts : ndarray of float32, shape (G,)
        Log of weight and normalizer, minus half of mean^2 / variance, as stored.
    weights : ndarray of float32, shape (G,)
    means_invvars, inv_vars : ndarrays of float32, shape (G, D)
    offsets : ndarray of int64, shape (S + 1,)
        Gaussians of mixture s: ``offsets[s]`` to ``offsets[s + 1]``.
    """

    __repr__ = brief

    gconsts: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    means_invvars: npt.NDArray[np.float32]
    inv_vars: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]

    @property
    def n_dims(self) -> int:
        """Dimension D of the features."""
        return int(self.inv_vars.shape[1])

    @property
    def n_mixtures(self) -> int:
        """Number of mixtures S, the score columns."""
        return len(self.offsets) - 1

    def parameters(
        self,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return log weights (G,), means (G, D) and variances (G, D) in float64."""
        weights = self.weights.astype(np.float64)
        sums = np.add.reduceat(weights, self.offsets[:-1])  # 1 but for float32's rounding
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights / np.repeat(sums, np.diff(self.offsets)))
        precisions = self.inv_vars.astype(np.float64)
        return log_weights, self.means_invvars / precisions, 1.0 / precisions

    def mixture_set(self) -> MixtureSet:
        """Return the mixtures as this package scores and trains them."""
        return MixtureSet(*self.parameters(), self.offsets)

    @classmethod
    def from_parameters(
        cls,
        log_weights: npt.NDArray[Any],
        means: npt.NDArray[Any],
        variances: npt.NDArray[Any],
        offsets: npt.NDArray[np.int64],
    ) -> DiagonalMixtures:
        """Return mixtures in Kaldi's parameters; shapes (G,), (G, D), (G, D), (S + 1,)."""
        weights = np.exp(np.asarray(log_weights, dtype=np.float64)).astype(np.float32)
        precisions = (1.0 / np.asarray(variances, dtype=np.float64)).astype(np.float32)
        scaled = (means * precisions.astype(np.float64)).astype(np.float32)
        constants = _constants(weights, scaled, precisions).astype(np.float32)
        return cls(constants, weights, scaled, precisions, np.asarray(offsets, dtype=np.int64))

    @classmethod
    def read(cls, reader: KaldiReader) -> DiagonalMixtures:
        """Read from ``<DIMENSION>`` to the last ``</DiagGMM>``."""
        reader.expect("<DIMENSION>")
        n_dims = reader.integer("dimension", low=1, high=1 << 20)
        reader.expect("<NUMPDFS>")
        n_mixtures = reader.size("mixtures", each=40, low=1)
        parts = [_read_mixture(reader, n_dims, s) for s in range(n_mixtures)]
        gconsts, weights, means, precisions = (
            np.concatenate([part[i] for part in parts]) for i in range(4)
        )
        counts = [len(part[1]) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(gconsts, weights, means, precisions, offsets)

    def write(self, writer: KaldiWriter) -> None:
        """Write from ``<DIMENSION>`` to the last ``</DiagGMM>``."""
        writer.token("<DIMENSION>")
        writer.integer(self.n_dims)
        writer.token("<NUMPDFS>")
        writer.integer(self.n_mixtures)
        for first, last in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            writer.token("<DiagGMM>")
            writer.newline()
            for tag, vector in (("<GCONSTS>", self.gconsts), ("<WEIGHTS>", self.weights)):
                writer.token(tag)
                writer.vector(vector[first:last])
            for tag, matrix in (("<MEANS_INVVARS>", self.means_invvars), ("<INV_VARS>", self.inv_vars)):  # fmt: skip
                writer.token(tag)
                writer.matrix(matrix[first:last])
            writer.token("</DiagGMM>")
            writer.newline()


def _read_mixture(reader: KaldiReader, n_dims: int, number: int) -> list[npt.NDArray[Any]]:
    name = f"mixture {number}"
    reader.expect("<DiagGMM>", "<DiagGMMBegin>")
    gconsts = None
    if reader.expect("<GCONSTS>", "<WEIGHTS>") == "<GCONSTS>":
        gconsts = reader.vector(f"constants of {name}").astype(np.float32)
        reader.expect("<WEIGHTS>")
    weights = reader.vector(f"weights of {name}").astype(np.float32)
    reader.expect("<MEANS_INVVARS>")
    means = reader.matrix(f"means of {name}").astype(np.float32)
    reader.expect("<INV_VARS>")
    precisions = reader.matrix(f"variances of {name}").astype(np.float32)
    reader.expect("</DiagGMM>", "<DiagGMMEnd>")
    shape = (len(weights), n_dims)
    if not len(weights) or means.shape != shape or precisions.shape != shape:
        raise reader.error(f"{name}: weights, means and variances do not fit",
                           got=f"{weights.shape}, {means.shape}, {precisions.shape}",
                           expected=f"dimension {n_dims}")  # fmt: skip
    if not (np.isfinite(means).all() and np.isfinite(precisions).all()):
        raise reader.error(f"{name}: a parameter is not finite")
    if not precisions.min() > _TINY:
        raise reader.error(f"{name}: an inverse variance is not positive", got=precisions.min())
    if not (weights.min() >= 0 and abs(float(weights.sum()) - 1.0) <= 1e-3):
        raise reader.error(f"{name}: weights do not sum to 1", got=float(weights.sum()))
    expected = _constants(weights, means, precisions)
    if gconsts is None:
        gconsts = expected.astype(np.float32)
    elif len(gconsts) != len(weights):
        raise reader.error(f"{name}: constants do not fit", got=len(gconsts), expected=len(weights))
    return [gconsts, weights, means, precisions]


def _constants(
    weights: npt.NDArray[Any], means: npt.NDArray[Any], precisions: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    precisions = precisions.astype(np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(weights.astype(np.float64))
    n_dims = precisions.shape[1]
    quadratic = (means.astype(np.float64) ** 2 / precisions).sum(axis=1)
    return np.asarray(
        logs - 0.5 * (n_dims * np.log(2 * np.pi) - np.log(precisions).sum(axis=1) + quadratic)
    )


#: how files begin, or go on after the transition model, that hold no diagonal mixtures
_OTHERS = {
    "<Nnet3>": "a neural network (nnet3, also of chain models)",
    "<Nnet>": "a neural network (nnet1 or nnet2)", "<NNET>": "a neural network (nnet2)",
    "<SGMM>": "a subspace Gaussian mixture model", "<FullGMM>": "full-covariance mixtures",
}  # fmt: skip


def _refuse_others(reader: KaldiReader) -> None:
    what = _OTHERS.get(reader.peek())
    if what is not None:
        raise reader.error(f"{what}, not diagonal Gaussian mixtures", got=reader.peek(),
                           expected="a GMM system such as mono, tri or sat",
                           fix="Import the GMM system of the same recipe; networks cannot be.")  # fmt: skip


def read_model(path: str | Path) -> tuple[TransitionModel, DiagonalMixtures]:
    """Read a ``final.mdl`` with diagonal Gaussian mixtures, text or binary.

    Raises
    ------
    FormatError
        The file is damaged, is a neural network, or its two halves do not fit each other.
    """
    data = read_bytes(path)
    if 0 < len(data) < 256 and b"<" not in data and not data.startswith(b"\0"):
        name = data.decode("latin-1").strip()
        raise FormatError("a link that was stored as a file", where=str(path), got=repr(name),
                          fix=f"Copy {name} itself, or name it.")  # fmt: skip
    reader = KaldiReader(data, str(path))
    _refuse_others(reader)
    transitions = TransitionModel.read(reader)
    kind = reader.peek()
    _refuse_others(reader)
    if kind != "<DIMENSION>":
        raise reader.error("no diagonal Gaussian mixtures behind the transition model",
                           got=repr(kind), expected="<DIMENSION>",
                           fix="Neural and subspace models cannot be imported.")  # fmt: skip
    mixtures = DiagonalMixtures.read(reader)
    reader.skip_blanks()
    reader.finish()
    if transitions.n_pdfs > mixtures.n_mixtures:
        raise FormatError("transitions use more mixtures than there are", where=str(path),
                          got=transitions.n_pdfs, expected=f"at most {mixtures.n_mixtures}")  # fmt: skip
    return transitions, mixtures


def write_model(
    path: str | Path,
    transitions: TransitionModel,
    mixtures: DiagonalMixtures,
    *,
    binary: bool = True,
) -> None:
    """Write a ``final.mdl``; what `read_model` read comes back byte for byte when binary."""
    writer = KaldiWriter(binary=binary)
    transitions.write(writer)
    mixtures.write(writer)
    with atomic_file(path) as temporary:
        temporary.write_bytes(writer.getvalue())
