"""Tied mixtures moved towards one speaker: linear transforms of the Gaussians' means.

In: a `CodebookSet`, frames with their tied states. Out: `CodebookStats`, and the set with the
means of the speaker.

Codebooks are adapted in two steps. All of one class (silence, say, or speech) share a transform
for each stream; then every codebook that was heard often enough gets one of its own on top.

Public names: `CodebookStats`, `adapted_means`.

Notes
-----
Leggetter & Woodland (1995), *Maximum likelihood linear regression for speaker adaptation of
continuous density hidden Markov models*: each row of a transform is the solution of a linear
system, since covariances are diagonal. Streams are transformed by themselves.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError
from wfst_hmm.models.checks import as_frames, as_path
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.threads import single_blas

__all__ = ["CodebookStats", "adapted_means"]

Array = npt.NDArray[Any]
_RIDGE = 1e-6  # of the mean diagonal: every system can be solved, what is not heard stays


@dataclasses.dataclass(eq=False)
class CodebookStats:
    """Sums over frames, by stream.

    Attributes
    ----------
    occupancy : list of ndarray of float64, shape (C, N)
        Posterior counts of the Gaussians.
    first : list of ndarray of float64, shape (C, N, D_f)
        Frames weighted with them.
    n_frames : int
    """

    occupancy: list[Array]
    first: list[Array]
    n_frames: int = 0

    @classmethod
    def empty(cls, codebooks: CodebookSet) -> CodebookStats:
        """Return the sums of no frames."""
        shapes = [means.shape for means in codebooks.means]
        return cls([np.zeros(s[:2]) for s in shapes], [np.zeros(s) for s in shapes])

    def accumulate(self, codebooks: CodebookSet, x: npt.ArrayLike, states: npt.ArrayLike) -> None:
        """Add frames, each shared among the Gaussians of its state's codebook.

        Parameters
        ----------
        codebooks : CodebookSet
        x : array_like, shape (T, D)
        states : array_like of int, shape (T,)
            Negative: leave the frame out.

        Raises
        ------
        DataError
            Another number of states than of frames, or a state that there is not.
        """
        frames = as_frames(x, None, name="features", dtype=np.float32, allow_empty=True)
        path = as_path(states, len(frames), codebooks.n_states)
        kept = path >= 0
        frames, path = frames[kept], path[kept]
        with single_blas():
            for book in np.unique(codebooks.codebook[path]).tolist():
                rows = codebooks.codebook[path] == book
                for f, dims in enumerate(codebooks.streams):
                    own = np.ascontiguousarray(frames[rows][:, dims])
                    posteriors = codebooks.posteriors(f, book, own, path[rows])
                    self.occupancy[f][book] += posteriors.sum(axis=1)
                    self.first[f][book] += posteriors @ own
        self.n_frames += len(path)


def adapted_means(
    codebooks: CodebookSet,
    stats: CodebookStats,
    classes: npt.ArrayLike | None = None,
    *,
    min_class: float = 1000.0,
    min_codebook: float = 500.0,
) -> CodebookSet:
    """Return the codebooks with means of highest likelihood for `stats` under the transforms.

    Parameters
    ----------
    codebooks : CodebookSet
    stats : CodebookStats
        Accumulated with these codebooks.
    classes : array_like of int, shape (C,), optional
        Codebooks of one class share a transform; by default all are of one.
    min_class, min_codebook : float
        Frames that a class and a codebook need for a transform of their own; without it the
        means stay, or stay where their class's transform put them.
    """
    if [a.shape for a in stats.first] != [a.shape for a in codebooks.means]:
        raise ModelError("statistics of other codebooks", got=[a.shape for a in stats.first])
    groups = np.zeros(codebooks.n_codebooks, dtype=int) if classes is None else np.asarray(classes)
    if groups.shape != (codebooks.n_codebooks,):
        raise ModelError("one class a codebook is needed", got=groups.shape)
    means = [m.copy() for m in codebooks.means]
    several = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    each = [np.array([book]) for book in range(codebooks.n_codebooks)]
    for f, moved in enumerate(means):
        for chosen, least in ((several, min_class), (each, min_codebook)):
            for books in chosen:
                occupancy = stats.occupancy[f][books]
                if occupancy.sum() >= least:
                    moved[books] = _transformed(
                        moved[books], codebooks.variances[f][books], occupancy,
                        stats.first[f][books],
                    )  # fmt: skip
    return codebooks.with_means(tuple(means))


def _transformed(means: Array, variances: Array, occupancy: Array, first: Array) -> Array:
    """Return means (B, N, D) under the linear transform that fits their statistics best."""
    n_dims = means.shape[2]
    table = means.reshape(-1, n_dims)
    extended = np.column_stack([table, np.ones(len(table))])
    precisions = 1.0 / variances.reshape(-1, n_dims)
    counts, sums = occupancy.reshape(-1, 1), first.reshape(-1, n_dims)
    weights = counts * precisions
    out = np.empty_like(table)
    for d in range(n_dims):
        system = (extended * weights[:, d : d + 1]).T @ extended
        # how far the row moves from that of the identity
        missing = (sums[:, d] * precisions[:, d] - weights[:, d] * table[:, d]) @ extended
        system += _RIDGE * np.trace(system) / len(system) * np.eye(len(system))
        out[:, d] = table[:, d] + extended @ np.linalg.solve(system, missing)
    return out.reshape(means.shape)
