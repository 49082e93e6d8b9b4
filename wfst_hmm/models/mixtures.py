"""Tied Gaussian mixtures: the emission densities of all HMM states of an acoustic model.

In: frames, and for training the state of every frame. Out: log-likelihoods (T, S), EM
statistics, and re-estimated, split or merged mixtures. All S mixtures lie packed in three
arrays, those of one state side by side.

Public names: `MixtureSet`, `MixtureStats`, `MixtureUpdate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers, read_only
from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.models import mixture_kernels as kernels
from wfst_hmm.models import mixture_sizes as sizes
from wfst_hmm.models.checks import as_frames, as_path, as_states
from wfst_hmm.models.gaussian import DiagonalGaussians, chunk_frames, log_sum_exp_segments

__all__ = ["MixtureSet", "MixtureStats", "MixtureUpdate"]


@dataclasses.dataclass(eq=False)
class MixtureStats:
    """EM statistics of one `MixtureSet`: zeroth, first and second moments per component.

    Moments are taken about the means of the mixture set that they were accumulated with, which
    loses no digits however far from zero the features lie. Statistics of the same mixture set
    can be added, so that workers may share the frames.

    Attributes
    ----------
    occupancy : ndarray, shape (G,)
    first, second : ndarray, shape (G, D)
    log_likelihood : float
        Sum over the frames accumulated.
    n_frames : int
    """

    occupancy: npt.NDArray[np.float64]
    first: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]
    log_likelihood: float = 0.0
    n_frames: int = 0

    def add(self, other: MixtureStats) -> None:
        """Add the statistics of other frames, taken with the same mixture set."""
        if self.first.shape != other.first.shape:
            raise ModelError("statistics of another mixture set", got=other.first.shape,
                             expected=self.first.shape)  # fmt: skip
        self.occupancy += other.occupancy
        self.first += other.first
        self.second += other.second
        self.log_likelihood += other.log_likelihood
        self.n_frames += other.n_frames

    def per_state(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the occupancy of every state, shape (S,)."""
        return np.add.reduceat(self.occupancy, offsets[:-1])


@dataclasses.dataclass(frozen=True)
class MixtureUpdate:
    """What a maximization step had to bend.

    Attributes
    ----------
    n_floored : int
        Variances (single dimensions) raised to the floor.
    n_removed : int
        Components dropped because they saw too little.
    unseen : tuple of int
        States without any data; they kept their parameters.
    """

    n_floored: int
    n_removed: int
    unseen: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class MixtureSet(Frozen):
    """S mixtures of diagonal Gaussians, immutable; state s owns ``offsets[s]:offsets[s + 1]``.

    Attributes
    ----------
    log_weights : ndarray of float64, shape (G,)
        Natural logarithms; the weights of one state sum to 1.
    means, variances : ndarray of float64, shape (G, D)
    offsets : ndarray of int64, shape (S + 1,)

    Raises
    ------
    ModelError
        Shapes that do not fit, an empty state, a variance that is not positive (component and
        dimension are named), weights of a state that do not sum to 1 (state and sum are named).

    Examples
    --------
    >>> import numpy as np
    >>> mixtures = MixtureSet.from_gaussians([[0.0], [3.0]], [[1.0], [1.0]])
    >>> mixtures.log_likelihoods(np.array([[0.0], [3.0]])).round(3)
    array([[-0.919, -5.419],
           [-5.419, -0.919]], dtype=float32)
    """

    log_weights: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("log_weights", "means", "variances"):
            object.__setattr__(self, name, _frozen(getattr(self, name), name, np.float64))
        object.__setattr__(self, "offsets", _frozen(self.offsets, "offsets", np.int64))
        self._check()
        # Prepared lazily; a frozen dataclass keeps it outside of its fields.
        object.__setattr__(self, "_prepared", None)

    def _check(self) -> None:
        shape = self.means.shape
        if (
            self.means.ndim != 2 or self.variances.shape != shape
            or self.log_weights.shape != shape[:1] or self.offsets.ndim != 1
        ):  # fmt: skip
            raise ModelError(
                "mixture arrays of unlike shapes", expected="(G,), (G, D), (G, D), (S + 1,)",
                got=(self.log_weights.shape, shape, self.variances.shape, self.offsets.shape),
            )  # fmt: skip
        counts = np.diff(self.offsets)
        if len(counts) == 0 or self.offsets[0] != 0 or self.offsets[-1] != len(self.means):
            raise ModelError("offsets must run from 0 to the number of components")
        if counts.min() < 1:
            raise ModelError(f"state {int(counts.argmin())} has no component")
        wrong = ~(np.isfinite(self.variances) & (self.variances > 0) & np.isfinite(self.means))
        if wrong.any():
            g, d = (int(i) for i in np.argwhere(wrong)[0])
            raise ModelError(f"component {g}, dimension {d} is no Gaussian",
                             got=f"mean {self.means[g, d]}, variance {self.variances[g, d]}",
                             expected="finite numbers, variance > 0")  # fmt: skip
        if np.isnan(self.log_weights).any() or self.log_weights.max() > 1e-6:
            raise ModelError("a mixture weight is above 1 or NaN")
        sums = np.add.reduceat(np.exp(self.log_weights), self.offsets[:-1])
        off = np.abs(sums - 1.0) > 1e-6
        if off.any():
            state = int(off.argmax())
            raise ModelError(f"weights of state {state} do not sum to 1", got=sums[state])

    @property
    def n_states(self) -> int:
        """Number of mixtures S."""
        return len(self.offsets) - 1

    @property
    def n_components(self) -> int:
        """Number of Gaussians of all states together, G."""
        return len(self.means)

    @property
    def n_dims(self) -> int:
        """Number of dimensions D."""
        return int(self.means.shape[1])

    @classmethod
    def from_gaussians(cls, means: npt.ArrayLike, variances: npt.ArrayLike) -> MixtureSet:
        """Return S mixtures of one Gaussian each, from means and variances (S, D)."""
        table = as_numbers(means, name="means", error=ModelError)
        n_states = len(table)
        return cls(
            np.zeros(n_states),
            table,
            as_numbers(variances, name="variances", error=ModelError),
            np.arange(n_states + 1),
        )

    @classmethod
    def from_states(
        cls, states: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]]
    ) -> MixtureSet:
        """Pack a list of ``(weights (M,), means (M, D), variances (M, D))``, one a state."""
        with np.errstate(divide="ignore"):
            logs = [np.log(np.asarray(w, dtype=np.float64)) for w, _, _ in states]
        return cls(
            np.concatenate(logs),
            np.concatenate([np.asarray(m, dtype=np.float64) for _, m, _ in states]),
            np.concatenate([np.asarray(v, dtype=np.float64) for _, _, v in states]),
            np.concatenate([[0], np.cumsum([len(w) for w in logs])]),
        )

    def state(self, state: int) -> slice:
        """Return the slice of components that `state` owns."""
        return slice(int(self.offsets[state]), int(self.offsets[state + 1]))

    def states(self) -> list[sizes.State]:
        """Return ``(weights (M,), means (M, D), variances (M, D))`` of every state."""
        weights = np.exp(self.log_weights)
        slices = [self.state(state) for state in range(self.n_states)]
        return [(weights[own], self.means[own], self.variances[own]) for own in slices]

    def _gaussians(self) -> DiagonalGaussians:
        prepared: DiagonalGaussians | None = getattr(self, "_prepared", None)
        if prepared is None:
            prepared = DiagonalGaussians(
                self.log_weights, self.means, self.variances, dtype=np.float32
            )
            object.__setattr__(self, "_prepared", prepared)
        return prepared

    def log_likelihoods(
        self, x: npt.ArrayLike, states: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Score frames under all states, or under some.

        Parameters
        ----------
        x : array_like, shape (T, D)
        states : array_like of int, shape (n,), optional
            Score these states only, in this order; only their components are computed.

        Returns
        -------
        ndarray of float32, shape (T, S) or (T, n)
            Natural log-likelihoods.

        Raises
        ------
        DataError
            NaN or infinite features, or another D.
        """
        frames = as_frames(x, self.n_dims, name="features", dtype=np.float32, allow_empty=True)
        gaussians, offsets = self._gaussians(), self.offsets
        if states is not None:
            chosen = as_states(states, self.n_states)
            components, offsets = kernels.gather(self.offsets, chosen)
            gaussians = gaussians.subset(components)
        scores = np.empty((len(frames), len(offsets) - 1), dtype=np.float32)
        if scores.shape[1] == 0:
            return scores
        step = chunk_frames(len(gaussians))
        block = np.empty((scores.shape[1], step), dtype=np.float32)
        for start in range(0, len(frames), step):
            chunk = frames[start : start + step]
            out = block[:, : len(chunk)]
            log_sum_exp_segments(gaussians.score(gaussians.expand(chunk)), offsets, out)
            scores[start : start + step] = out.T
        return scores

    def empty_stats(self) -> MixtureStats:
        """Return statistics of no frames, for `accumulate`."""
        shape = self.means.shape
        return MixtureStats(np.zeros(shape[0]), np.zeros(shape), np.zeros(shape))

    def accumulate(
        self,
        x: npt.ArrayLike,
        state_of_frame: npt.ArrayLike,
        stats: MixtureStats,
        *,
        seen_as: npt.ArrayLike | None = None,
    ) -> float:
        """Add frames to `stats`, each shared among the components of its state (E step).

        Parameters
        ----------
        x : array_like, shape (T, D)
        state_of_frame : array_like of int, shape (T,)
            Negative: leave the frame out.
        stats : MixtureStats
            Changed in place; untouched when an error is raised.
        seen_as : array_like, shape (T, D), optional
            Other features of the same frames: the moments are theirs, about the means of this
            set all the same, while `x` says to which components the frames belong.

        Returns
        -------
        float
            Log-likelihood of the frames given their states.

        Notes
        -----
        Rabiner & Juang (1993), equations 6.57-6.59 with gamma fixed by the alignment. All
        arithmetic is float64.
        """
        frames = as_frames(x, self.n_dims, name="features", allow_empty=True)
        path = as_path(state_of_frame, len(frames), self.n_states)
        seen = frames
        if seen_as is not None:
            seen = as_frames(seen_as, self.n_dims, name="features", allow_empty=True)
            if seen.shape != frames.shape:
                raise DataError("other features of the same frames are needed", got=seen.shape,
                                expected=frames.shape)  # fmt: skip
        total = float(
            kernels.accumulate(
                frames,
                seen,
                path,
                self.offsets,
                self._log_constants(),
                self.means,
                1.0 / self.variances,
                stats.occupancy,
                stats.first,
                stats.second,
            )
        )
        stats.log_likelihood += total
        stats.n_frames += int((path >= 0).sum())
        return total

    def _log_constants(self) -> npt.NDArray[np.float64]:
        logs = np.log(2.0 * np.pi * self.variances).sum(axis=1)
        return np.asarray(self.log_weights - 0.5 * logs)

    def reestimated(
        self,
        stats: MixtureStats,
        *,
        variance_floor: npt.ArrayLike = 1e-6,
        min_occupancy: float = 3.0,
        min_weight: float = 1e-5,
    ) -> tuple[MixtureSet, MixtureUpdate]:
        """Return the mixtures of highest likelihood for `stats` (M step), and what was bent.

        Parameters
        ----------
        stats : MixtureStats
            Accumulated with this very mixture set.
        variance_floor : float or ndarray, shape (D,)
            Smallest variance allowed; a share of the global variance is usual.
        min_occupancy : float
            A component that saw fewer frames is dropped, unless it is the heaviest of its state;
            a heaviest component that saw fewer keeps its variances and moves its mean.
        min_weight : float
            A component of less weight is dropped as well.
        """
        if stats.first.shape != self.means.shape:
            raise ModelError("statistics of another mixture set", got=stats.first.shape,
                             expected=self.means.shape)  # fmt: skip
        floor = np.asarray(variance_floor, dtype=np.float64)
        if not (np.isfinite(floor).all() and (floor > 0).all()):
            raise ModelError("variance_floor must be positive", got=floor.min())
        seen = stats.occupancy >= kernels.LEAST_OCCUPANCY
        counts = np.where(seen, stats.occupancy, 1.0)[:, None]
        moved = np.where(seen[:, None], stats.first / counts, 0.0)
        variances = np.where(
            (seen & (stats.occupancy >= min_occupancy))[:, None],
            stats.second / counts - moved**2,
            self.variances,
        )
        alive, log_weights, offsets, unseen = kernels.surviving(
            self.log_weights, self.offsets, stats.occupancy, min_occupancy, min_weight
        )
        floored = variances[alive] < floor
        updated = MixtureSet(log_weights, (self.means + moved)[alive],
                             np.maximum(variances[alive], floor), offsets)  # fmt: skip
        n_removed = self.n_components - len(alive)
        return updated, MixtureUpdate(int(floored.sum()), n_removed, unseen)

    def split(
        self,
        n_components: int,
        occupancy: npt.ArrayLike,
        *,
        power: float = 0.25,
        min_occupancy: float = 20.0,
        perturbation: float = 0.1,
        rng: np.random.Generator | int = 0,
    ) -> MixtureSet:
        """Return mixtures with `n_components` Gaussians in all, the heaviest ones split.

        Components go to states in proportion to occupancy^power; a state gets no more than one
        for each `min_occupancy` frames, so that the result may have fewer than asked. A split
        halves the weight and moves the two means apart by `perturbation` standard deviations
        times a standard normal number in each dimension.

        Parameters
        ----------
        n_components : int
            States that have more than their share keep what they have.
        occupancy : array_like, shape (S,)
            Frames of each state, for example ``stats.per_state(mixtures.offsets)``.
        rng : Generator or int
            Randomness or its seed.
        """
        weights = np.asarray(occupancy, dtype=np.float64)
        if weights.shape != (self.n_states,):
            raise ModelError("one occupancy a state is needed", got=weights.shape,
                             expected=f"({self.n_states},)")  # fmt: skip
        targets = sizes.targets(np.diff(self.offsets), weights, n_components, power, min_occupancy)
        states = sizes.split_states(
            self.states(), targets, perturbation, np.random.default_rng(rng)
        )
        return MixtureSet.from_states(states)

    def merge(self, n_components: int, occupancy: npt.ArrayLike | None = None) -> MixtureSet:
        """Return mixtures with at most `n_components` Gaussians (but one a state at least).

        The pair of one state whose merger loses least likelihood goes first; means and variances
        of the pair's union are kept exactly.

        Parameters
        ----------
        occupancy : array_like, shape (S,), optional
            Frames of each state; default: all alike.
        """
        weights = np.ones(self.n_states) if occupancy is None else np.asarray(occupancy)
        return MixtureSet.from_states(sizes.merge_states(self.states(), n_components, weights))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the four arrays by name, ready for ``np.savez``."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def _frozen(values: npt.ArrayLike, name: str, dtype: Any) -> npt.NDArray[Any]:
    return read_only(np.array(as_numbers(values, name=name, dtype=dtype, error=ModelError)))
