"""Gaussians of any covariance kind, grouped into mixtures: what GMMs and GMM-HMMs share.

In: parameters, moments. Out: prepared densities for scoring, the maximization step of EM, the
re-splitting of components that starved.

Public names: `Bank`, `Step`, `maximize`, `resplit`.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers
from wfst_hmm.errors import ModelError
from wfst_hmm.models.checks import as_probabilities
from wfst_hmm.models.gaussian import DiagonalGaussians, FullGaussians, Gaussians, cholesky
from wfst_hmm.models.moments import (
    DiagonalMoments,
    FullMoments,
    Moments,
    floored_covariances,
)

__all__ = ["Bank", "Step", "maximize", "resplit"]

Array = npt.NDArray[np.float64]

#: A component that saw fewer frames than this starves.
LEAST_OCCUPANCY = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Bank(Frozen):
    """S mixtures of M Gaussians each; parameters are copied and read-only.

    Attributes
    ----------
    weights : ndarray, shape (S, M)
    means : ndarray, shape (S, M, D)
    covars : ndarray, shape (S, M, D) or (S, M, D, D)
    """

    weights: Array
    means: Array
    covars: Array

    @classmethod
    def checked(
        cls, weights: npt.ArrayLike, means: npt.ArrayLike, covars: npt.ArrayLike, *, full: bool
    ) -> Bank:
        """Return a bank of copies; a `ModelError` names the argument and entry that is wrong."""
        mean = _finite("means", means, 3)
        shape = mean.shape
        covar = _finite("covars", covars, 4 if full else 3)
        wanted = (*shape, shape[2]) if full else shape
        if covar.shape != wanted:
            raise ModelError("covars has the wrong shape", got=covar.shape, expected=wanted)
        weight = as_probabilities(weights, shape[:2], name="weights")
        if full:
            flat = covar.reshape(-1, shape[2], shape[2])
            unlike = np.abs(flat - flat.transpose(0, 2, 1)).max(axis=(1, 2))
            if (unlike > 1e-8 * np.abs(flat).max(axis=(1, 2))).any():
                raise ModelError(f"covariance of component {int(unlike.argmax())} is not symmetric")
            cholesky(flat)
        elif (covar <= 0).any():
            s, m, d = (int(i) for i in np.argwhere(covar <= 0)[0])
            raise ModelError(
                f"covars: variance of mixture {s}, component {m}, dimension {d}",
                got=covar[s, m, d], expected="> 0",
            )  # fmt: skip
        return cls(weight, mean, covar)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            array = np.array(getattr(self, field.name), dtype=np.float64)
            array.flags.writeable = False
            object.__setattr__(self, field.name, array)

    @property
    def full(self) -> bool:
        """True when covariances are matrices."""
        return self.covars.ndim == 4

    @property
    def n_states(self) -> int:
        """Number of mixtures S."""
        return len(self.weights)

    @property
    def n_dims(self) -> int:
        """Number of dimensions D."""
        return int(self.means.shape[2])

    @functools.cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each mixture begins among all S * M components, shape (S + 1,)."""
        return np.asarray(np.arange(self.n_states + 1, dtype=np.int64) * self.weights.shape[1])

    @functools.cached_property
    def prepared(self) -> Gaussians:
        """The components ready for scoring."""
        return self.gaussians()

    @property
    def n_parameters(self) -> int:
        """Free parameters of all mixtures."""
        n, d = self.weights.size, self.n_dims
        covariance = d * (d + 1) // 2 if self.full else d
        return n * (d + covariance) + n - self.n_states

    def gaussians(self, shift: Array | None = None) -> Gaussians:
        """Return the components prepared for scoring, centred on `shift` (D,)."""
        with np.errstate(divide="ignore"):
            logs = np.log(self.weights.ravel())
        means = self.means.reshape(-1, self.n_dims)
        if self.full:
            covars = self.covars.reshape(-1, self.n_dims, self.n_dims)
            return FullGaussians(logs, means, covars, shift=shift)
        return DiagonalGaussians(logs, means, self.covars.reshape(-1, self.n_dims), shift=shift)

    def moments(self, shift: Array) -> Moments:
        """Return empty moments about `shift` for all components."""
        kind = FullMoments if self.full else DiagonalMoments
        return kind(shift, self.weights.size)

    def widened(self) -> Bank:
        """Return the bank with one more component in every mixture, of weight 0, like its last."""
        return Bank(
            np.concatenate([self.weights, np.zeros((self.n_states, 1))], axis=1),
            np.concatenate([self.means, self.means[:, -1:]], axis=1),
            np.concatenate([self.covars, self.covars[:, -1:]], axis=1),
        )

    def sample(
        self, states: npt.NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[Array, npt.NDArray[np.intp]]:
        """Draw one frame from the mixture of each of `states` (n,).

        Returns
        -------
        frames : ndarray, shape (n, D)
        components : ndarray, shape (n,), within the mixture
        """
        steps = self.weights.cumsum(axis=1)
        steps /= steps[:, -1:]
        chosen = (rng.random(len(states))[:, None] >= steps[states]).sum(axis=1)
        chosen = np.minimum(chosen, self.weights.shape[1] - 1)
        noise = rng.standard_normal((len(states), self.n_dims))
        if self.full:
            factors = np.linalg.cholesky(self.covars)
            away = np.einsum("nij,nj->ni", factors[states, chosen], noise)
        else:
            away = np.sqrt(self.covars[states, chosen]) * noise
        return self.means[states, chosen] + away, chosen

    def floored(self, floor: Array) -> Bank:
        """Return the bank with covariances raised to `floor` (D,)."""
        flat = self.covars.reshape(-1, *self.covars.shape[2:])
        covars, n_floored = floored_covariances(flat, floor)
        if not n_floored:
            return self
        return Bank(self.weights, self.means, covars.reshape(self.covars.shape))


@dataclasses.dataclass(frozen=True)
class Step:
    """Result of one maximization.

    Attributes
    ----------
    bank : Bank
    n_floored : int
        Directions of covariances raised to the floor.
    starved : tuple of int
        Components, among all S * M, that saw nothing in a mixture that saw something.
    unseen : tuple of int
        Mixtures that saw nothing; they kept their parameters.
    """

    bank: Bank
    n_floored: int
    starved: tuple[int, ...]
    unseen: tuple[int, ...]


def maximize(bank: Bank, moments: Moments, floor: Array) -> Step:
    """Return the parameters of highest likelihood for `moments`, covariances >= `floor`.

    Notes
    -----
    Bilmes (1998), equations for mixtures; Rabiner & Juang (1993), 6.57-6.59 for HMM states.
    """
    occupancy = moments.occupancy.reshape(bank.weights.shape)
    totals = occupancy.sum(axis=1, keepdims=True)
    seen_states = totals >= LEAST_OCCUPANCY
    seen = occupancy >= LEAST_OCCUPANCY
    weights = np.where(seen_states, occupancy / np.where(seen_states, totals, 1.0), bank.weights)
    alive = seen.ravel()
    means = bank.means.reshape(-1, bank.n_dims).copy()
    means[alive] = moments.means()[alive]
    covars = bank.covars.reshape(-1, *bank.covars.shape[2:]).copy()
    covars[alive], n_floored = floored_covariances(moments.covariances()[alive], floor)
    starved = np.flatnonzero((~seen & seen_states).ravel())
    return Step(
        Bank(weights, means.reshape(bank.means.shape), covars.reshape(bank.covars.shape)),
        n_floored,
        tuple(int(g) for g in starved),
        tuple(int(s) for s in np.flatnonzero(~seen_states)),
    )


def resplit(bank: Bank, starved: tuple[int, ...], rng: np.random.Generator) -> Bank:
    """Give each starved component half of the heaviest one of its mixture, moved apart.

    The two means move by a tenth of a standard deviation times a standard normal number in each
    dimension, in opposite directions.
    """
    weights, means, covars = (np.array(a) for a in (bank.weights, bank.means, bank.covars))
    for component in starved:
        state, poor = divmod(component, bank.weights.shape[1])
        rich = int(weights[state].argmax())
        if rich == poor:
            continue
        spread = covars[state, rich]
        deviation = np.sqrt(np.diagonal(spread) if bank.full else spread)
        away = 0.1 * deviation * rng.standard_normal(bank.n_dims)
        weights[state, [rich, poor]] = weights[state, [rich, poor]].sum() / 2
        means[state, poor] = means[state, rich] + away
        means[state, rich] -= away
        covars[state, poor] = covars[state, rich]
    return Bank(weights, means, covars)


def _finite(name: str, values: npt.ArrayLike, n_axes: int) -> Array:
    array: Array = as_numbers(values, name=name, error=ModelError)
    if array.ndim != n_axes or not array.size:
        raise ModelError(f"{name} has the wrong shape", got=array.shape,
                         expected=f"{n_axes} axes, none empty")  # fmt: skip
    if not np.isfinite(array).all():
        index = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise ModelError(f"{name}{index} is not finite", got=array[tuple(index)])
    return array
