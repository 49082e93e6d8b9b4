"""Gaussian mixture models: one density for frames whose order does not matter.

In: frames (N, D). Out: `GaussianMixture`, which scores, samples, trains by EM, adapts, splits
and merges.

Public names: `Components`, `GMM`, `GaussianMixture`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_numbers, brief
from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.models.bank import Bank, maximize, resplit
from wfst_hmm.models.checks import as_frames, check_options
from wfst_hmm.models.clusters import bank_of_clusters, kmeans
from wfst_hmm.models.em import climb
from wfst_hmm.models.expectation import expectation, responsibilities
from wfst_hmm.models.gaussian import chunk_frames, log_sum_exp_segments
from wfst_hmm.models.mixture_sizes import merge_states, split_states
from wfst_hmm.models.moments import Moments, floor_of, spread_of
from wfst_hmm.models.storage import load_arrays, save_arrays
from wfst_hmm.models.threads import map_threads

__all__ = ["GMM", "Components", "GaussianMixture"]

Array = npt.NDArray[np.float64]
Covariance = Literal["diag", "full"]

_START_FRAMES = 20_000  # k-means looks at no more than these


@dataclasses.dataclass(frozen=True, eq=False)
class Components:
    """The parameters of a mixture, read-only.

    Attributes
    ----------
    weights : ndarray, shape (M,)
    means : ndarray, shape (M, D)
    covars : ndarray, shape (M, D) or (M, D, D)
    """

    __repr__ = brief

    weights: Array
    means: Array
    covars: Array


class GaussianMixture:
    """A weighted sum of Gaussians, p(x) = sum_m w_m N(x; mu_m, C_m).

    Parameters
    ----------
    n_components, n_dims : int
        M and D.
    cvtype : "diag" or "full"
        Kind of covariance.
    means : array_like, shape (M, D), optional
    covars : array_like, shape (M, D) or (M, D, D), optional
        Default where means are given: ones, or identity matrices.
    weights : array_like, shape (M,), optional
        Default where means are given: all alike. All three are copied.
    seed : int
        Of the start, which is made from the first training data when no means are given.
    floor : float
        Smallest variance, as a share of the training data's variance in each dimension (and,
        for full covariances, in every direction relative to that); at least 1e-12.

    Raises
    ------
    ModelError
        Wrong shapes, weights that do not sum to 1, a covariance that is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> data = np.concatenate([rng.normal(-3, 1, (200, 1)), rng.normal(3, 1, (200, 1))])
    >>> gmm = GaussianMixture(2, 1)
    >>> history = gmm.train(data, 10)
    >>> bool(history[-1] >= history[0]), gmm.components.means.round().ravel().tolist()
    (True, [3.0, -3.0])
    """

    def __init__(
        self,
        n_components: int,
        n_dims: int,
        cvtype: Covariance = "diag",
        *,
        means: npt.ArrayLike | None = None,
        covars: npt.ArrayLike | None = None,
        weights: npt.ArrayLike | None = None,
        seed: int = 0,
        floor: float = 1e-3,
    ) -> None:
        check_options(cvtype, floor, n_components=n_components, n_dims=n_dims)
        self.n_components, self.n_dims, self.cvtype = n_components, n_dims, cvtype
        self.seed, self.floor = seed, floor
        self._bank: Bank | None = None
        if means is not None:
            self._bank = self._given(means, covars, weights)
        elif covars is not None or weights is not None:
            raise ModelError("means are missing", fix="Give means with covars and weights.")

    def _given(
        self, means: npt.ArrayLike, covars: npt.ArrayLike | None, weights: npt.ArrayLike | None
    ) -> Bank:
        n, d, full = self.n_components, self.n_dims, self.cvtype == "full"
        mean = as_numbers(means, name="means", error=ModelError)
        if mean.shape != (n, d):
            raise ModelError("means has the wrong shape", got=mean.shape, expected=(n, d))
        if covars is None:
            covars = np.tile(np.eye(d), (n, 1, 1)) if full else np.ones((n, d))
        covar = as_numbers(covars, name="covars", error=ModelError)
        wanted = (n, d, d) if full else (n, d)
        if covar.shape != wanted:
            raise ModelError("covars has the wrong shape", got=covar.shape, expected=wanted)
        weight = np.full(n, 1.0 / n) if weights is None else as_numbers(
            weights, name="weights", error=ModelError)  # fmt: skip
        if weight.shape != (n,):
            raise ModelError("weights has the wrong shape", got=weight.shape, expected=(n,))
        return Bank.checked(weight[None], mean[None], covar[None], full=full)

    def __repr__(self) -> str:
        state = "" if self._bank is not None else ", not trained"
        return f"GaussianMixture(M={self.n_components}, D={self.n_dims}, {self.cvtype}{state})"

    @property
    def bank(self) -> Bank:
        """The parameters as a bank of one mixture; a `ModelError` before the first training."""
        if self._bank is None:
            raise ModelError("the mixture has no parameters yet", fix="Call train, or give means.")
        return self._bank

    @property
    def components(self) -> Components:
        """Weights, means and covariances."""
        bank = self.bank
        return Components(bank.weights[0], bank.means[0], bank.covars[0])

    def train(self, data: npt.ArrayLike, n_iterations: int = 20, *, n_threads: int = 1) -> Array:
        """Re-estimate by expectation maximization; on the first call, start from the data.

        Parameters
        ----------
        data : array_like, shape (N, D)
        n_iterations : int
        n_threads : int
            The result depends on it in the last digits only.

        Returns
        -------
        ndarray, shape (n_iterations,)
            Log-likelihood of all data before each update, never decreasing. (Parameters given
            below the variance floor are raised to it before the first.)

        Raises
        ------
        DataError
            NaN, infinities, another D, no frames; the mixture stays as it was.

        Notes
        -----
        Dempster, Laird & Rubin (1977); Bilmes (1998), section 3. A component that sees nothing
        takes half of the heaviest one; if that lowers the likelihood it is taken back.
        """
        x = as_frames(data, self.n_dims)
        if n_iterations < 0:
            raise UsageError("n_iterations must not be negative", got=n_iterations)
        mean, variance = spread_of(x)
        floor = floor_of(variance, mean, self.floor)
        rng = np.random.default_rng(self.seed)
        bank = (self._bank or self._start(x, floor, rng)).floored(floor)

        def update(old: Bank, moments: Moments) -> tuple[Bank, Bank | None]:
            step = maximize(old, moments, floor)
            return step.bank, resplit(step.bank, step.starved, rng) if step.starved else None

        def expect(bank: Bank) -> tuple[float, Moments]:
            return expectation(bank, x, mean, n_threads)

        trained, history = climb(bank, expect, update, n_iterations)
        self._bank = trained
        return np.array(history)

    def _start(self, x: Array, floor: Array, rng: np.random.Generator) -> Bank:
        """K-means on a sample of the frames; an empty cluster becomes a copy of all data."""
        if len(x) > _START_FRAMES:
            x = x[np.sort(rng.choice(len(x), _START_FRAMES, replace=False))]
        labels = kmeans(x, self.n_components, rng)
        return bank_of_clusters(x, labels, self.n_components, floor, full=self.cvtype == "full")

    def score(self, data: npt.ArrayLike, *, n_threads: int = 1) -> Array:
        """Return log p(x_n) of every frame, shape (N,).

        Notes
        -----
        Log-sum-exp of weighted component densities; memory does not grow with N beyond the
        result.
        """
        x = as_frames(data, self.n_dims, allow_empty=True)
        gaussians, offsets = self.bank.prepared, self.bank.offsets
        out = np.empty(len(x))
        step = chunk_frames(len(gaussians))

        def work(start: int) -> None:
            joint = gaussians.score(gaussians.expand(x[start : start + step]))
            log_sum_exp_segments(joint, offsets, out[None, start : start + step])

        map_threads(work, range(0, len(x), step), n_threads)
        return out

    def posteriors(self, data: npt.ArrayLike) -> Array:
        """Return P(m | x_n), shape (N, M); rows sum to one."""
        x = as_frames(data, self.n_dims, allow_empty=True)
        gaussians = self.bank.prepared
        step = chunk_frames(len(gaussians))
        out = np.empty((len(x), self.n_components))
        for start in range(0, len(x), step):
            _, shares = responsibilities(gaussians, gaussians.expand(x[start : start + step]))
            out[start : start + step] = shares.T
        return out

    def bic(self, data: npt.ArrayLike) -> float:
        """Return the Bayesian information criterion, lower better (Schwarz 1978).

        -2 log p(data) + (free parameters) * log N.
        """
        scores = self.score(data)
        if not len(scores):
            raise DataError("data is empty", expected="at least one frame")
        return float(-2.0 * scores.sum() + self.bank.n_parameters * np.log(len(scores)))

    def sample(self, n_frames: int, seed: int = 0) -> tuple[Array, npt.NDArray[np.intp]]:
        """Draw frames; return them, shape (N, D), and the component of each, shape (N,)."""
        states = np.zeros(n_frames, dtype=np.intp)
        return self.bank.sample(states, np.random.default_rng(seed))

    def adapted(self, data: npt.ArrayLike, *, relevance: float = 16.0) -> GaussianMixture:
        """Return a mixture whose means are drawn towards `data`, the rest unchanged.

        Parameters
        ----------
        data : array_like, shape (N, D)
        relevance : float
            Frames that the old mean counts for; a component that saw n frames moves by
            n / (n + relevance) of the way to their mean.

        Notes
        -----
        MAP adaptation of a universal background model: Reynolds, Quatieri & Dunn (2000),
        equations 11-13.
        """
        x = as_frames(data, self.n_dims)
        if not relevance >= 0:
            raise UsageError("relevance must not be negative", got=relevance)
        _, moments = expectation(self.bank, x, x.mean(axis=0), 1)
        share = moments.occupancy / np.maximum(moments.occupancy + relevance, 1e-300)
        old = self.bank.means[0]
        means = old + share[:, None] * (moments.means() - old)
        return self._like(Bank(self.bank.weights, means[None], self.bank.covars))

    def split(self, n_components: int, *, perturbation: float = 0.1) -> GaussianMixture:
        """Return a mixture of `n_components`, the heaviest split until there are enough."""
        rng = np.random.default_rng(self.seed)
        if self.cvtype == "full":
            bank = self.bank
            while bank.weights.shape[1] < n_components:
                bank = resplit(bank.widened(), (bank.weights.shape[1],), rng)
            return self._like(bank)
        sizes = np.array([max(n_components, self.n_components)])
        return self._of_state(split_states([self._state()], sizes, perturbation, rng)[0])

    def merge(self, n_components: int) -> GaussianMixture:
        """Return a mixture of `n_components`, the most alike pairs merged (diagonal only)."""
        if self.cvtype == "full":
            raise UsageError("only diagonal mixtures are merged", got="full covariances")
        if n_components < 1:
            raise UsageError("n_components must be positive", got=n_components)
        return self._of_state(merge_states([self._state()], n_components, np.ones(1))[0])

    def _state(self) -> tuple[Array, Array, Array]:
        part = self.components
        return part.weights, part.means, part.covars

    def _of_state(self, state: tuple[Array, Array, Array]) -> GaussianMixture:
        weights, means, covars = state
        return self._like(Bank(weights[None], means[None], covars[None]))

    def _like(self, bank: Bank) -> GaussianMixture:
        other = GaussianMixture(bank.weights.shape[1], self.n_dims, self.cvtype,
                                seed=self.seed, floor=self.floor)  # fmt: skip
        other._bank = bank
        return other

    def save(self, path: str | Path) -> None:
        """Write the mixture to one ``.npz`` file."""
        arrays: dict[str, npt.NDArray[Any]] = dataclasses.asdict(self.components)
        info = {"cvtype": self.cvtype, "seed": self.seed, "floor": self.floor}
        save_arrays(path, "gmm", arrays, info)

    @classmethod
    def load(cls, path: str | Path) -> GaussianMixture:
        """Read what `save` wrote; a `FormatError` or `ModelError` when it is something else."""
        arrays, info = load_arrays(path, "gmm", ("weights", "means", "covars"))
        n, d = arrays["means"].shape
        return cls(n, d, info["cvtype"], seed=info["seed"], floor=info["floor"], **arrays)


def GMM(M: int, D: int, cvtype: Covariance = "diag", **parameters: Any) -> GaussianMixture:
    """Return ``GaussianMixture(M, D, cvtype, ...)``: M components in D dimensions.

    Examples
    --------
    >>> GMM(3, 2).cvtype
    'diag'
    """
    return GaussianMixture(M, D, cvtype, **parameters)
