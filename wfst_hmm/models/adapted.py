"""A universal background model and mixtures adapted from it: likelihood ratios of many at once.

In: a trained background, frames of each name. Out: `AdaptedModels`, which say how much better a
name explains frames than everybody does. Only means are adapted, so a name costs M x D numbers
and is added without touching the others.

Public names: `AdaptedModels`.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen
from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.orthography import did_you_mean

__all__ = ["AdaptedModels"]

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptedModels(Frozen):
    """A background mixture (diagonal) and K sets of its means, each adapted to one name.

    Attributes
    ----------
    background : GaussianMixture
        M components in D dimensions.
    names : tuple of str, length K
    means : ndarray of float64, shape (K, M, D), read-only

    Notes
    -----
    Reynolds, Quatieri & Dunn (2000), "Speaker verification using adapted Gaussian mixture
    models": adaptation by equations 11-13, the ratio by equation 2.
    """

    background: GaussianMixture
    names: tuple[str, ...]
    means: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if self.background.cvtype != "diag":
            raise ModelError("the background must have diagonal covariances", got="full")
        means = np.array(self.means, dtype=np.float64)
        shape = (len(self.names), self.background.n_components, self.background.n_dims)
        if means.shape != shape:
            raise ModelError("adapted means of the wrong shape", got=means.shape, expected=shape)
        if not np.isfinite(means).all():
            raise ModelError("an adapted mean is not finite")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ModelError(f"the name {twice!r} occurs twice")
        means.flags.writeable = False
        object.__setattr__(self, "means", means)

    @classmethod
    def of(cls, background: GaussianMixture) -> AdaptedModels:
        """Return a background with nobody adapted from it yet."""
        return cls(background, (), np.empty((0, background.n_components, background.n_dims)))

    def with_name(self, name: str, frames: npt.ArrayLike, *, relevance: float) -> AdaptedModels:
        """Return models with one name more, or with that name's means made anew.

        Parameters
        ----------
        name : str
        frames : array_like, shape (N, D)
        relevance : float
            Frames that the background's mean counts for (`GaussianMixture.adapted`).
        """
        fresh = self.background.adapted(frames, relevance=relevance).components.means[None]
        if name not in self.names:
            return AdaptedModels(
                self.background, (*self.names, name), np.concatenate([self.means, fresh])
            )
        means = np.array(self.means)
        means[self.names.index(name)] = fresh
        return AdaptedModels(self.background, self.names, means)

    def index(self, name: str) -> int:
        """Return the row of `name`; a `UsageError` names the nearest when there is none."""
        if name in self.names:
            return self.names.index(name)
        raise UsageError(f"nobody is called {name!r}", fix=did_you_mean(name, self.names))

    @functools.cached_property
    def _mixtures(self) -> MixtureSet:
        part = self.background.components
        states = [(part.weights, means, part.covars) for means in (part.means, *self.means)]
        return MixtureSet.from_states(states)

    def log_ratios(self, frames: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return log p(x_t | name) - log p(x_t | background), shape (T, K).

        Raises
        ------
        DataError
            NaN or infinite frames, or another D.
        """
        scores = self._mixtures.log_likelihoods(frames)
        return np.asarray(scores[:, 1:] - scores[:, :1])

    def mean_log_ratios(self, frames: npt.ArrayLike) -> Array:
        """Return the ratio of each name averaged over frames, nats a frame, shape (K,)."""
        ratios = self.log_ratios(frames)
        if not len(ratios):
            raise DataError("no frames", expected="at least one")
        return np.asarray(ratios.mean(axis=0, dtype=np.float64))
