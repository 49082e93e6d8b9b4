"""Tied mixtures: many HMM states that weigh the same few Gaussians differently.

In: codebooks of Gaussians for each stream of the features, the weights of every state and which
codebook it uses. Out: `CodebookSet` and its log-likelihoods (T, S).

Semi-continuous models have one codebook, phonetically tied ones one for each phone. The scores
of a codebook are computed once; a state is then one row of a matrix product.

Public names: `CodebookSet`.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import brief
from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models.checks import as_frames, as_states
from wfst_hmm.models.codebook_kernels import combine, relative_densities, top_densities
from wfst_hmm.models.gaussian import DiagonalGaussians, chunk_frames, log_sum_exp_segments
from wfst_hmm.models.threads import single_blas

__all__ = ["CodebookSet"]

Array = npt.NDArray[Any]
_SMALLEST = 1e-35  # products of the streams' likelihoods stay above this in float32
_FRAMES = 256  # scored at a time: matrix products worth their calls, blocks that stay in cache


@dataclasses.dataclass(frozen=True, eq=False)
class CodebookSet:
    """S states over C codebooks of N Gaussians in each of F streams; immutable.

    Attributes
    ----------
    streams : tuple of int arrays, length F
        Dimensions of the feature vector in each stream.
    means, variances : tuples of ndarray of float64, shape (C, N, D_f), length F
    weights : ndarray of float32, shape (F, S, N)
        Linear, as stored: rows need not sum to 1.
    codebook : ndarray of int32, shape (S,)
        Codebook of each state.

    Raises
    ------
    ModelError
        Shapes that do not fit, a variance that is not positive, a negative weight, a state
        whose weights are all 0 or whose codebook does not exist.

    Notes
    -----
    Huang & Jack (1989), *Semi-continuous hidden Markov models*: streams are independent, so
    their log-likelihoods add up.
    """

    __repr__ = brief

    streams: tuple[Array, ...]
    means: tuple[Array, ...]
    variances: tuple[Array, ...]
    weights: Array
    codebook: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        if not self.streams or not len(self.streams) == len(self.means) == len(self.variances):
            raise ModelError("as many means and variances as streams are needed")
        if self.weights.ndim != 3 or not self.weights.size:
            raise ModelError("weights must have three dimensions", got=self.weights.shape)
        n_streams, n_states, n_densities = self.weights.shape
        if n_streams != len(self.streams) or self.codebook.shape != (n_states,):
            raise ModelError("weights, streams and codebooks do not fit", got=self.weights.shape)
        shape = (self.n_codebooks, n_densities)
        for f, dims in enumerate(self.streams):
            expected = (*shape, len(dims))
            if self.means[f].shape != expected or self.variances[f].shape != expected:
                raise ModelError(f"codebooks of stream {f} have the wrong shape",
                                 got=self.means[f].shape, expected=expected)  # fmt: skip
            finite = np.isfinite(self.means[f]).all() and np.isfinite(self.variances[f]).all()
            if not finite or not self.variances[f].min() > 0:
                raise ModelError(f"a codebook of stream {f} holds no Gaussian",
                                 expected="finite means, variances above 0")  # fmt: skip
        # not (a >= 0) is also true of NaN
        if not np.all(self.weights >= 0) or not np.all(self.weights.max(axis=2) > 0):
            raise ModelError("weights are negative, NaN or all 0 in a state")
        if self.codebook.min() < 0 or self.codebook.max() >= self.n_codebooks:
            raise ModelError("a state names a codebook that does not exist",
                             got=int(self.codebook.max()), expected=f"below {self.n_codebooks}")  # fmt: skip

    @property
    def n_codebooks(self) -> int:
        """Number of codebooks C."""
        return int(self.means[0].shape[0])

    @property
    def n_states(self) -> int:
        """Number of states S, the score columns."""
        return len(self.codebook)

    @property
    def n_densities(self) -> int:
        """Gaussians N in a codebook and stream."""
        return int(self.weights.shape[2])

    @property
    def n_dims(self) -> int:
        """Dimension of the features."""
        return 1 + max(int(dims.max()) for dims in self.streams)

    @functools.cached_property
    def _gaussians(self) -> list[list[DiagonalGaussians]]:
        """Prepared Gaussians by stream and codebook."""
        none = np.zeros(self.n_densities)
        found = []
        for means, variances in zip(self.means, self.variances, strict=True):
            shift = means.reshape(-1, means.shape[2]).mean(axis=0)
            found.append([DiagonalGaussians(none, m, v, dtype=np.float32, shift=shift)
                          for m, v in zip(means, variances, strict=True)])  # fmt: skip
        return found

    @functools.cached_property
    def _by_codebook(self) -> list[tuple[int, Array, Array]]:
        """Each codebook in use, its states and their weights, shape (F, N, S')."""
        return self._groups(np.arange(self.n_states))

    @functools.cached_property
    def _own(self) -> DiagonalGaussians | None:
        """All Gaussians with their weights, where every state has a codebook of its own."""
        everyone = np.arange(self.n_codebooks)
        if len(self.streams) > 1 or not np.array_equal(self.codebook, everyone):
            return None
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights[0].astype(np.float64))
        n_dims = len(self.streams[0])
        return DiagonalGaussians(
            log_weights.ravel(), self.means[0].reshape(-1, n_dims),
            self.variances[0].reshape(-1, n_dims), dtype=np.float32,
        )  # fmt: skip

    @functools.cached_property
    def _sum_in_logs(self) -> bool:
        least = self.weights.max(axis=2).min(axis=1).astype(np.float64)
        best_may_be_lost = self.weights[self.weights > 0].min() ** len(self.streams)
        return bool(min(best_may_be_lost, least.prod()) < _SMALLEST or self.weights.min() == 0)

    def log_likelihoods(
        self, x: npt.ArrayLike, states: npt.ArrayLike | None = None, *, top_n: int | None = None
    ) -> npt.NDArray[np.float32]:
        """Score frames under all states, or under some.

        Parameters
        ----------
        x : array_like, shape (T, D)
        states : array_like of int, shape (n,), optional
            Score these states only, in this order; only their codebooks are computed on.
        top_n : int, optional
            Keep only this many of the best Gaussians of each codebook and stream, as Sphinx
            does (4). It is an approximation from below: see `top_n_error`.

        Returns
        -------
        ndarray of float32, shape (T, S) or (T, n)
        """
        frames = as_frames(x, None, name="features", dtype=np.float32, allow_empty=True)
        if frames.shape[1] < self.n_dims:
            raise DataError("features have too few dimensions", got=frames.shape[1],
                            expected=self.n_dims)  # fmt: skip
        if top_n is not None and not top_n >= 1:
            raise ModelError("top_n must be at least 1", got=top_n)
        chosen = np.arange(self.n_states)
        if states is not None:
            chosen = as_states(states, self.n_states)
        scores = np.empty((len(frames), len(chosen)), dtype=np.float32)
        if self._own is not None and states is None and top_n is None:
            return self._score_own(self._own, frames, scores)
        groups = self._by_codebook if states is None else self._groups(chosen)
        with single_blas():
            for start in range(0, len(frames), _FRAMES):
                part = slice(start, start + _FRAMES)
                self._score(frames[part], groups, top_n, scores[part])
        return scores

    def _score_own(self, bank: DiagonalGaussians, frames: Array, scores: Array) -> Array:
        offsets = np.arange(self.n_states + 1) * self.n_densities
        step = chunk_frames(len(bank))
        for start in range(0, len(frames), step):
            chunk = np.ascontiguousarray(frames[start : start + step, self.streams[0]])
            out = np.empty((self.n_states, len(chunk)), dtype=np.float32)
            log_sum_exp_segments(bank.score(bank.expand(chunk)), offsets, out)
            scores[start : start + step] = out.T
        return scores

    def _score(
        self, frames: Array, groups: list[tuple[int, Array, Array]], top_n: int | None, out: Array
    ) -> None:
        """Write log-likelihoods (n frames, n states), one codebook after another."""
        expanded = [
            banks[0].expand(np.ascontiguousarray(frames[:, dims]))
            for banks, dims in zip(self._gaussians, self.streams, strict=True)
        ]
        for codebook, columns, weights in groups:
            best = np.zeros(len(frames), dtype=np.float32)
            parts = np.empty((len(expanded), len(frames), len(columns)), dtype=np.float32)
            for f, x in enumerate(expanded):
                densities = self._gaussians[f][codebook].score(x)
                relative_densities(densities, best)
                if top_n is not None and top_n < self.n_densities:
                    top_densities(densities, top_n)
                np.matmul(densities.T, weights[f], out=parts[f])
            combine(parts, best, self._sum_in_logs, columns, out)

    def _groups(self, chosen: Array) -> list[tuple[int, Array, Array]]:
        """Return each codebook in use, the places in `chosen` of its states, their weights."""
        books = self.codebook[chosen]
        order = np.argsort(books, kind="stable")
        cuts = np.flatnonzero(np.diff(books[order])) + 1
        return [
            (int(books[rows[0]]), rows,
             np.ascontiguousarray(self.weights[:, chosen[rows]].transpose(0, 2, 1)))
            for rows in np.split(order, cuts) if len(rows)
        ]  # fmt: skip

    def with_means(self, means: tuple[Array, ...]) -> CodebookSet:
        """Return the set with other means; what was prepared of the weights is shared."""
        moved = dataclasses.replace(self, means=means)
        moved.__dict__["_by_codebook"] = self._by_codebook
        return moved

    def posteriors(self, stream: int, codebook: int, x: Array, states: Array) -> Array:
        """Return by Gaussian of a codebook and stream its share in frames of known states.

        Parameters
        ----------
        x : ndarray of float32, shape (n, D_f)
            The stream's part of the frames.
        states : ndarray of int, shape (n,)
            States that use the codebook.

        Returns
        -------
        ndarray of float32, shape (N, n)
            Columns sum to 1.
        """
        bank = self._gaussians[stream][codebook]
        shares = bank.score(bank.expand(x))
        relative_densities(shares, np.zeros(len(x), dtype=np.float32))
        shares *= self.weights[stream, states].T
        totals = shares.sum(axis=0)
        # where the best Gaussians have no weight in the state, all share alike
        shares[:, totals == 0] = 1.0
        return np.asarray(shares / np.where(totals > 0, totals, self.n_densities))

    def top_n_error(self, x: npt.ArrayLike, top_n: int, *, within: float = 10.0) -> float:
        """Return by how many nats `top_n` lowers the scores that matter, on average.

        Parameters
        ----------
        within : float
            States count that lie so many nats below the best of their frame.
        """
        full = self.log_likelihoods(x)
        near = full >= full.max(axis=1, keepdims=True) - within
        return float((full - self.log_likelihoods(x, top_n=top_n))[near].mean(dtype=np.float64))

    def to_arrays(self) -> dict[str, Array]:
        """Return everything as arrays for an ``.npz`` file."""
        found = {"weights": self.weights, "codebook": self.codebook}
        for f, dims in enumerate(self.streams):
            found |= {f"stream_{f}": dims, f"means_{f}": self.means[f],
                      f"variances_{f}": self.variances[f]}  # fmt: skip
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> CodebookSet:
        """Return what `to_arrays` described."""
        try:
            n_streams = len(arrays["weights"])
            columns = [
                tuple(arrays[f"{name}_{f}"] for f in range(n_streams))
                for name in ("stream", "means", "variances")
            ]
            return cls(columns[0], columns[1], columns[2], arrays["weights"], arrays["codebook"])
        except KeyError as error:
            raise ModelError(f"an array of the codebooks is missing ({error})") from None
