"""Hidden Markov models whose states emit vectors: Gaussians or Gaussian mixtures.

In: a list of sequences, each an array (T_k, D). Out: `GmmHmm` and `GaussianHmm`, which train by
Baum-Welch or by segmental k-means, score, decode, sample, and become transducers.

Public names: `FitReport`, `GaussianHmm`, `GmmHmm`, `StatePath`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_numbers
from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.models import hmm_kernels as kernels
from wfst_hmm.models.bank import Bank, Step, maximize, resplit
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.checks import as_frames, as_sequences, check_options
from wfst_hmm.models.em import climb
from wfst_hmm.models.hmm_em import Counts, emissions, expectation, score_sequences
from wfst_hmm.models.hmm_start import start_bank
from wfst_hmm.models.moments import floor_of, spread_of
from wfst_hmm.models.storage import load_arrays, save_arrays

__all__ = ["FitReport", "GaussianHmm", "GmmHmm", "StatePath"]

Array = npt.NDArray[np.float64]
Covariance = Literal["diag", "full"]


class StatePath(NamedTuple):
    """The best path of a sequence.

    Attributes
    ----------
    log_probability : float
        log P(O, Q) of the sequence and the path.
    states : ndarray of int64, shape (T,)
    """

    log_probability: float
    states: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class FitReport:
    """What training did.

    Attributes
    ----------
    log_likelihoods : ndarray, shape (n_iterations,)
        Of all sequences before each update (for `fit_viterbi`: of their best paths); never
        decreasing.
    unseen_states : tuple of int
        States that no frame belongs to at the end; their emissions kept their parameters.
    n_floored : int
        Directions of covariances that the last update raised to the floor.
    n_resplit : int
        Starved components that took half of another one, over all iterations.
    """

    log_likelihoods: Array
    unseen_states: tuple[int, ...]
    n_floored: int
    n_resplit: int


class GmmHmm:
    """An HMM of N states with a mixture of L Gaussians each.

    Parameters
    ----------
    n_states : int
    n_mixtures : int
        L, components of each state.
    cvtype : "diag" or "full"
        Kind of covariance.
    chain : Chain, optional
        Where paths start and what follows what; default: left to right.
    weights : array_like, shape (N, L), optional
    means : array_like, shape (N, L, D), optional
    covars : array_like, shape (N, L, D) or (N, L, D, D), optional
        Emissions; all three are copied. Without them the first `fit` starts from its data:
        left-to-right chains from sequences cut into N equal parts, others from k-means.
    seed : int
        Of that start.
    floor : float
        Smallest variance, as a share of the variance of all training frames.

    Raises
    ------
    ModelError
        Parameters that contradict each other; the message names which.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> words = [np.concatenate([rng.normal(0, 1, (9, 2)), rng.normal(4, 1, (7, 2))])
    ...          for _ in range(20)]
    >>> hmm = GmmHmm(2, 2)
    >>> report = hmm.fit(words, 5)
    >>> hmm.decode(words[0]).states.tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    """

    _kind = "gmm-hmm"

    def __init__(
        self,
        n_states: int,
        n_mixtures: int = 1,
        cvtype: Covariance = "diag",
        *,
        chain: Chain | None = None,
        weights: npt.ArrayLike | None = None,
        means: npt.ArrayLike | None = None,
        covars: npt.ArrayLike | None = None,
        seed: int = 0,
        floor: float = 1e-3,
    ) -> None:
        check_options(cvtype, floor, n_states=n_states, n_mixtures=n_mixtures)
        self.n_states, self.n_mixtures, self.cvtype = n_states, n_mixtures, cvtype
        self.seed, self.floor = seed, floor
        self._chain = Chain.left_to_right(n_states) if chain is None else chain
        if self._chain.n_states != n_states:
            raise ModelError("the chain has another number of states", got=self._chain.n_states,
                             expected=n_states)  # fmt: skip
        self._bank: Bank | None = None
        given = [a is not None for a in (weights, means, covars)]
        if means is not None and weights is not None and covars is not None:
            self._bank = Bank.checked(weights, means, covars, full=cvtype == "full")
            if self._bank.weights.shape != (n_states, n_mixtures):
                raise ModelError("weights has the wrong shape", got=self._bank.weights.shape,
                                 expected=(n_states, n_mixtures))  # fmt: skip
        elif any(given):
            raise ModelError("weights, means and covars go together", got=given)

    def __repr__(self) -> str:
        size = f"D={self.n_dims}" if self._bank is not None else "not trained"
        return (
            f"{type(self).__name__}(N={self.n_states}, L={self.n_mixtures}, {self.cvtype}, {size})"
        )

    @property
    def chain(self) -> Chain:
        """Priors and transitions."""
        return self._chain

    @property
    def bank(self) -> Bank:
        """Emission parameters; a `ModelError` before the first training."""
        if self._bank is None:
            raise ModelError("the HMM has no emissions yet", fix="Call fit, or give means.")
        return self._bank

    @property
    def n_dims(self) -> int:
        """Dimensions D of a frame."""
        return self.bank.n_dims

    @property
    def weights(self) -> Array:
        """Mixture weights c_jl, shape (N, L)."""
        return self.bank.weights

    @property
    def means(self) -> Array:
        """Means of the components, shape (N, L, D)."""
        return self.bank.means

    @property
    def covars(self) -> Array:
        """Covariances of the components, shape (N, L, D) or (N, L, D, D)."""
        return self.bank.covars

    def fit(
        self, sequences: Sequence[npt.ArrayLike], n_iterations: int = 20, *, n_threads: int = 1
    ) -> FitReport:
        """Re-estimate by Baum-Welch from all sequences at once.

        Parameters
        ----------
        sequences : list of array_like, shape (T_k, D)
            One array is one sequence; lengths may differ.
        n_iterations : int
        n_threads : int
            The result depends on it in the last digits only.

        Raises
        ------
        DataError
            An empty list, an empty sequence, NaN, another D (the sequence is named); the model
            stays as it was.

        Notes
        -----
        Rabiner (1989), equations 40a, 52-54 with the sums over sequences of 109-111. A component
        that sees nothing takes half of the heaviest one of its state; if that lowers the
        likelihood it is taken back.
        """
        return self._train(sequences, n_iterations, n_threads, hard=False)

    def fit_viterbi(
        self, sequences: Sequence[npt.ArrayLike], n_iterations: int = 10, *, n_threads: int = 1
    ) -> FitReport:
        """Re-estimate from best paths (segmental k-means); faster than `fit`, a good start.

        Parameters, errors as `fit`; the components of a state still share its frames.

        Notes
        -----
        Juang & Rabiner (1990). The log-likelihood of the best paths never decreases.
        """
        return self._train(sequences, n_iterations, n_threads, hard=True)

    def _train(
        self, sequences: Sequence[npt.ArrayLike], n_iterations: int, n_threads: int, *, hard: bool
    ) -> FitReport:
        x, bounds = as_sequences(sequences, None if self._bank is None else self.n_dims)
        if n_iterations < 0:
            raise UsageError("n_iterations must not be negative", got=n_iterations)
        mean, variance = spread_of(x)
        floor = floor_of(variance, mean, self.floor)
        rng = np.random.default_rng(self.seed)
        bank = self._bank
        if bank is None:
            bank = start_bank(self._chain, x, bounds, self.n_mixtures, floor, rng,
                              full=self.cvtype == "full")  # fmt: skip
        last: list[Step] = []
        n_resplit = 0

        def expect(model: tuple[Chain, Bank]) -> tuple[float, Counts]:
            counts = expectation(*model, x, bounds, mean, n_threads=n_threads, hard=hard)
            lost = np.flatnonzero(~np.isfinite(counts.scores))
            if len(lost):
                raise DataError(f"no path of the model explains sequences[{lost[0]}]")
            return float(counts.scores.sum()), counts

        def update(
            model: tuple[Chain, Bank], counts: Counts
        ) -> tuple[tuple[Chain, Bank], tuple[Chain, Bank] | None]:
            nonlocal n_resplit
            step = maximize(model[1], counts.moments, floor)
            last[:] = [step]
            chain = model[0].reestimated(counts.start, counts.arcs)
            if not step.starved:
                return (chain, step.bank), None
            n_resplit += len(step.starved)
            return (chain, step.bank), (chain, resplit(step.bank, step.starved, rng))

        model, history = climb((self._chain, bank.floored(floor)), expect, update, n_iterations)
        self._chain, self._bank = model
        return FitReport(
            np.array(history),
            last[0].unseen if last else (),
            last[0].n_floored if last else 0,
            n_resplit,
        )

    def log_emissions(self, sequence: npt.ArrayLike) -> Array:
        """Return log b_j(o_t), the density of every frame in every state, shape (T, N)."""
        x = as_frames(sequence, self.n_dims, name="sequence")
        return emissions(self.bank.prepared, self.bank.offsets, x)

    def score(self, sequence: npt.ArrayLike) -> float:
        """Return log P(O), the sum over all paths (Rabiner 1989, equation 21)."""
        table = self.log_emissions(sequence)
        chain = self._chain
        return float(kernels.forward(table, chain.log_initial, chain.arcs, np.empty_like(table)))

    def score_all(
        self, sequences: Sequence[npt.ArrayLike], *, n_threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """Return log P(O_k) of many sequences, shape (K,); faster than one `score` each."""
        x, bounds = as_sequences(sequences, self.n_dims)
        return score_sequences(self._chain, self.bank, x, bounds, n_threads)

    def score_samples(self, sequence: npt.ArrayLike) -> tuple[float, Array]:
        """Return log P(O) and gamma_t(i) = P(q_t = i | O), shape (T, N) (equation 27)."""
        table = self.log_emissions(sequence)
        gamma, scores = np.empty_like(table), np.empty(1)
        arcs = self._chain.arcs
        kernels.forward_backward(
            table, np.array([0, len(table)]), self._chain.log_initial, arcs, gamma,
            np.zeros(self.n_states), np.zeros(len(arcs.out_state)), scores,
        )  # fmt: skip
        return float(scores[0]), gamma

    def decode(self, sequence: npt.ArrayLike) -> StatePath:
        """Return the best path (Viterbi; Rabiner 1989, equation 105)."""
        table = self.log_emissions(sequence)
        path = np.empty(len(table), dtype=np.int64)
        best = kernels.viterbi(table, self._chain.log_initial, self._chain.arcs, path)
        return StatePath(float(best), path)

    def sample(self, n_frames: int, seed: int = 0) -> tuple[Array, npt.NDArray[np.intp]]:
        """Draw a sequence; return its frames, shape (T, D), and its states, shape (T,)."""
        if n_frames < 1:
            raise UsageError("n_frames must be positive", got=n_frames)
        rng = np.random.default_rng(seed)
        states = self._chain.sample(n_frames, rng)
        return self.bank.sample(states, rng)[0], states

    def to_fst(self) -> Fst:
        """Return priors and transitions as a transducer: see `Chain.to_fst`.

        Composed with the sausage of `log_emissions`, its shortest path is the Viterbi path and
        its shortest distance in the log semiring is -log P(O).
        """
        return self._chain.to_fst()

    def save(self, path: str | Path) -> None:
        """Write the model to one ``.npz`` file."""
        bank, chain = self.bank, self._chain
        arrays = {"initial": chain.initial, "transitions": chain.transitions,
                  "weights": bank.weights, "means": bank.means, "covars": bank.covars}  # fmt: skip
        info = {"cvtype": self.cvtype, "seed": self.seed, "floor": self.floor}
        save_arrays(path, self._kind, arrays, info)

    @classmethod
    def load(cls, path: str | Path) -> GmmHmm:
        """Read what `save` wrote; a `FormatError` or `ModelError` when it is something else."""
        names = ("initial", "transitions", "weights", "means", "covars")
        arrays, info = load_arrays(path, cls._kind, names)
        n, mixtures = arrays["weights"].shape
        model = GmmHmm.__new__(cls)
        GmmHmm.__init__(
            model, n, mixtures, info["cvtype"],
            chain=Chain(arrays["initial"], arrays["transitions"]),
            weights=arrays["weights"], means=arrays["means"], covars=arrays["covars"],
            seed=info["seed"], floor=info["floor"],
        )  # fmt: skip
        return model


class GaussianHmm(GmmHmm):
    """An HMM of N states with one Gaussian each; parameters as `GmmHmm`, without weights.

    Parameters
    ----------
    n_states : int
    cvtype : "diag" or "full"
    chain : Chain, optional
    means : array_like, shape (N, D), optional
    covars : array_like, shape (N, D) or (N, D, D), optional
    seed, floor : as `GmmHmm`
    """

    _kind = "gaussian-hmm"

    def __init__(
        self,
        n_states: int,
        cvtype: Covariance = "diag",
        *,
        chain: Chain | None = None,
        means: npt.ArrayLike | None = None,
        covars: npt.ArrayLike | None = None,
        seed: int = 0,
        floor: float = 1e-3,
    ) -> None:
        if (means is None) != (covars is None):
            raise ModelError("means and covars go together")
        super().__init__(
            n_states, 1, cvtype, chain=chain, seed=seed, floor=floor,
            weights=None if means is None else np.ones((n_states, 1)),
            means=_of_states("means", means, 2), covars=_of_states("covars", covars, 3 if cvtype == "full" else 2),
        )  # fmt: skip

    @property
    def means(self) -> Array:
        """Means of the states, shape (N, D)."""
        return np.asarray(self.bank.means[:, 0])

    @property
    def covars(self) -> Array:
        """Covariances of the states, shape (N, D) or (N, D, D)."""
        return np.asarray(self.bank.covars[:, 0])


def _of_states(name: str, values: npt.ArrayLike | None, n_axes: int) -> Array | None:
    """Give the parameters of states the axis of their one component."""
    if values is None:
        return None
    array = as_numbers(values, name=name, error=ModelError)
    if array.ndim != n_axes:
        raise ModelError(f"{name} has the wrong shape", got=array.shape,
                         expected=f"{n_axes} axes, the first for states")  # fmt: skip
    return array[:, None]
