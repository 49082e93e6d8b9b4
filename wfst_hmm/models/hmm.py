"""Hidden Markov models whose states emit symbols.

In: pi, a, b and sequences of symbol numbers. Out: `DiscreteHmm`: every quantity of Rabiner's
tutorial, in plain probabilities (short sequences) and in logarithms (any length).

Public names: `DiscreteHmm`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen, as_numbers
from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.models import hmm_kernels as kernels
from wfst_hmm.models import rabiner
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.checks import as_list, as_probabilities, as_symbols
from wfst_hmm.models.em import climb
from wfst_hmm.models.gmm_hmm import StatePath
from wfst_hmm.models.storage import load_arrays, save_arrays

__all__ = ["DiscreteHmm"]

Array = npt.NDArray[np.float64]
States = npt.NDArray[np.int64]
Symbols = npt.NDArray[np.int64]


class DiscreteHmm(Frozen):
    """An HMM of N states over M symbols, numbered from 0.

    Parameters
    ----------
    pi : array_like, shape (N,)
        P(q_1 = i); sums to 1.
    a : array_like, shape (N, N)
        P(q_t+1 = j | q_t = i); rows sum to 1. Zeros are forbidden moves and stay zero.
    b : array_like, shape (N, M)
        b_j(k), how well symbol k suits state j. Rows that sum to 1 are the probabilities of
        symbols. Any other non-negative table is accepted: then `probability` is the sum over
        paths of the products of their factors, no probability of observations, and `gamma`,
        `xi` and the best path are those of paths weighted by these products. Such a model
        cannot be sampled, and `train` may not change b.

    Notes
    -----
    Observations that no path explains have a probability, 0 (its logarithm is -inf), and no
    path: `forward`, `backward`, `probability` and their logarithms say so in numbers; what needs
    a path (`gamma`, `xi`, `posteriors`, `transition_posteriors`, `decode`, `viterbi`, `train`),
    or a possible state in every frame (each ``best_...``), raises one and the same `DataError`.

    Raises
    ------
    ModelError
        Wrong shapes, negative entries, a row that does not sum to 1 (row and sum are named), a
        state that no path reaches.

    Examples
    --------
    >>> hmm = DiscreteHmm([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], [[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
    >>> round(hmm.probability([2, 1, 0]), 6), hmm.decode([2, 1, 0]).states.tolist()
    (0.03628, [0, 0, 1])
    """

    def __init__(self, pi: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> None:
        self._set(
            Chain(
                *(
                    as_numbers(values, name=name, error=ModelError)
                    for name, values in (("pi", pi), ("a", a))
                )
            ),
            b,
        )

    def _set(self, chain: Chain, b: npt.ArrayLike) -> None:
        table = as_probabilities(b, (chain.n_states, -1), name="b", normalized=False)
        dead = np.flatnonzero(table.sum(axis=1) == 0)
        if len(dead):
            raise ModelError(f"row {dead[0]} of b is zero", fix="The state can emit nothing.")
        table.flags.writeable = False
        self._chain, self._b = chain, table

    def __repr__(self) -> str:
        return f"DiscreteHmm(N={self.n_states}, M={self.n_symbols})"

    @property
    def pi(self) -> Array:
        """Priors (N,)."""
        return self._chain.initial

    @property
    def a(self) -> Array:
        """Transitions (N, N)."""
        return self._chain.transitions

    @property
    def b(self) -> Array:
        """Emissions (N, M)."""
        return self._b

    @property
    def chain(self) -> Chain:
        """Priors and transitions together."""
        return self._chain

    @property
    def n_states(self) -> int:
        """Number of states N."""
        return self._chain.n_states

    @property
    def n_symbols(self) -> int:
        """Number of symbols M."""
        return int(self._b.shape[1])

    @property
    def has_probabilities(self) -> bool:
        """True when the rows of b sum to 1."""
        return bool(np.all(np.abs(self._b.sum(axis=1) - 1.0) <= 1e-6))

    def _checked(self, observations: npt.ArrayLike, name: str = "observations") -> Symbols:
        return as_symbols(observations, self.n_symbols, name=name)

    def emissions(self, observations: npt.ArrayLike) -> Array:
        """Return the table b_j(o_t), shape (T, N)."""
        return np.asarray(self._b.T[self._checked(observations)])

    def log_emissions(self, observations: npt.ArrayLike) -> Array:
        """Return log b_j(o_t), shape (T, N), -inf where b is 0: the scores of a sausage."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.emissions(observations)))

    # Plain probabilities, as the tutorial writes them; exact zeros after some hundred frames.

    def forward(self, observations: npt.ArrayLike) -> Array:
        """Return alpha_t(i), shape (T, N): equations 19 and 20."""
        return rabiner.forward(self.pi, self.a, self.emissions(observations))

    def backward(self, observations: npt.ArrayLike) -> Array:
        """Return beta_t(i), shape (T, N): equations 24 and 25."""
        return rabiner.backward(self.a, self.emissions(observations))

    def probability(self, observations: npt.ArrayLike) -> float:
        """Return P(O): equation 21."""
        return float(self.forward(observations)[-1].sum())

    def gamma(self, observations: npt.ArrayLike) -> Array:
        """Return P(q_t = i | O), shape (T, N): equation 27."""
        observations = self._checked(observations)
        alpha = self._positive(self.forward(observations), observations)
        return rabiner.gamma(alpha, self.backward(observations))

    def xi(self, observations: npt.ArrayLike) -> Array:
        """Return P(q_t = i, q_t+1 = j | O), shape (T - 1, N, N): equation 37."""
        observations = self._checked(observations)
        table = self.emissions(observations)
        alpha = self._positive(self.forward(observations), observations)
        return rabiner.xi(alpha, rabiner.backward(self.a, table), self.a, table)

    def viterbi(self, observations: npt.ArrayLike) -> tuple[float, States]:
        """Return max_Q P(O, Q) and its path: equations 32 to 35."""
        observations = self._checked(observations)
        table = self.emissions(observations)
        best, path = rabiner.viterbi(self.pi, self.a, table)
        self._positive(np.array([[best]]), observations)
        return best, path

    def _positive(
        self, alpha: Array, observations: npt.ArrayLike, name: str = "the observations"
    ) -> Array:
        """Return `alpha` if paths are left at its end, else say why there are none."""
        if not alpha[-1].sum() > 0:
            if self.log_probability(observations) == -np.inf:
                raise _impossible(name)
            raise DataError(f"P(O) of {name} is too small for plain probabilities",
                            fix="Use posteriors, transition_posteriors, decode; leave out plain=True.")  # fmt: skip
        return alpha

    # The same in logarithms, for any number of frames.

    def log_forward(self, observations: npt.ArrayLike) -> Array:
        """Return log alpha_t(i), shape (T, N)."""
        table = self.log_emissions(observations)
        alpha = np.empty_like(table)
        kernels.forward(table, self._chain.log_initial, self._chain.arcs, alpha)
        return alpha

    def log_backward(self, observations: npt.ArrayLike) -> Array:
        """Return log beta_t(i), shape (T, N)."""
        table = self.log_emissions(observations)
        beta = np.empty_like(table)
        kernels.backward(table, self._chain.arcs, beta)
        return beta

    def log_probability(self, observations: npt.ArrayLike) -> float:
        """Return log P(O), -inf when no path explains the observations."""
        table = self.log_emissions(observations)
        chain = self._chain
        return float(kernels.forward(table, chain.log_initial, chain.arcs, np.empty_like(table)))

    def posteriors(self, observations: npt.ArrayLike) -> Array:
        """Return P(q_t = i | O), shape (T, N), computed in logarithms."""
        table = self.log_emissions(observations)
        gamma = np.empty_like(table)
        self._sweep(table, np.array([0, len(table)]), gamma)
        return gamma

    def transition_posteriors(self, observations: npt.ArrayLike) -> Array:
        """Return P(q_t = i, q_t+1 = j | O), shape (T - 1, N, N), computed in logarithms."""
        observations = self._checked(observations)
        alpha, beta = self.log_forward(observations), self.log_backward(observations)
        table = self.log_emissions(observations)
        total = np.logaddexp.reduce(alpha[-1])
        if total == -np.inf:
            raise _impossible()
        with np.errstate(divide="ignore"):
            moves = np.log(self.a)
        joint = alpha[:-1, :, None] + moves + (table[1:] + beta[1:])[:, None, :]
        return np.asarray(np.exp(joint - total))

    def decode(self, observations: npt.ArrayLike) -> StatePath:
        """Return the best path and log P(O, Q) (Viterbi in logarithms: equation 105)."""
        table = self.log_emissions(observations)
        path = np.empty(len(table), dtype=np.int64)
        best = kernels.viterbi(table, self._chain.log_initial, self._chain.arcs, path)
        if best == -np.inf:
            raise _impossible()
        return StatePath(float(best), path)

    # Decisions frame by frame: each maximizes something else, none need be a possible path.

    def best_observation(self, observations: npt.ArrayLike) -> States:
        """Return argmax_i b_i(o_t) of every frame: the emission alone."""
        return _best(self.emissions(observations), 0.0)

    def best_forward(self, observations: npt.ArrayLike) -> States:
        """Return argmax_i alpha_t(i) of every frame: what the past says."""
        return _best(self.log_forward(observations))

    def best_backward(self, observations: npt.ArrayLike) -> States:
        """Return argmax_i beta_t(i) of every frame: what the future says (last frame: state 0)."""
        return _best(self.log_backward(observations))

    def best_gamma(self, observations: npt.ArrayLike) -> States:
        """Return argmax_i gamma_t(i): fewest wrong states expected (equation 29)."""
        return _best(self.posteriors(observations))

    def train(
        self,
        sequences: Sequence[npt.ArrayLike],
        n_iterations: int = 20,
        *,
        update_b: bool = True,
        plain: bool = False,
    ) -> Array:
        """Re-estimate by Baum-Welch from all sequences at once.

        Parameters
        ----------
        sequences : list of array_like of int, shape (T_k,)
        n_iterations : int
        update_b : bool
            False keeps the emissions.
        plain : bool
            Use the plain-probability recursions (short sequences).

        Returns
        -------
        ndarray, shape (n_iterations,)
            log P of all sequences before each update, never decreasing.

        Raises
        ------
        DataError
            A sequence is empty, holds an unknown symbol or is impossible; it is named, and the
            model stays as it was.
        ModelError
            b shall change and is no table of probabilities.

        Notes
        -----
        Rabiner (1989), equations 40a-40c, over several sequences 109-111; the last frame of a
        sequence is in no transition's denominator.
        """
        found = as_list(sequences, 1)
        if n_iterations < 0:
            raise UsageError("n_iterations must not be negative", got=n_iterations)
        if update_b and not self.has_probabilities:
            raise ModelError("rows of b do not sum to 1: they cannot be re-estimated",
                             got=self._b.sum(axis=1), fix="Say update_b=False.")  # fmt: skip
        rows = [self._checked(s, f"sequences[{k}]") for k, s in enumerate(found)]
        symbols = np.concatenate(rows)
        bounds = np.cumsum([0, *(len(r) for r in rows)])
        sweep = self._plain_counts if plain else self._log_counts

        def expect(model: DiscreteHmm) -> tuple[float, tuple[Chain, Array]]:
            return sweep(model, symbols, bounds)

        def update(
            model: DiscreteHmm, result: tuple[Chain, Array]
        ) -> tuple[DiscreteHmm, DiscreteHmm | None]:
            chain, gamma = result
            return _with(
                chain, _emission_shares(model, symbols, gamma) if update_b else model.b
            ), None

        model, history = climb(self, expect, update, n_iterations)
        self._chain, self._b = model._chain, model._b
        return np.array(history)

    @staticmethod
    def _log_counts(
        model: DiscreteHmm, symbols: Symbols, bounds: npt.NDArray[np.int64]
    ) -> tuple[float, tuple[Chain, Array]]:
        table = model.log_emissions(symbols)
        gamma = np.empty_like(table)
        scores, starts, moves = model._sweep(table, bounds, gamma, "sequences[{}]")
        return float(scores.sum()), (model._chain.reestimated(starts, moves), gamma)

    @staticmethod
    def _plain_counts(
        model: DiscreteHmm, symbols: Symbols, bounds: npt.NDArray[np.int64]
    ) -> tuple[float, tuple[Chain, Array]]:
        table = model.emissions(symbols)
        tables = [table[i:j] for i, j in itertools.pairwise(bounds)]
        for k, rows in enumerate(tables):
            model._positive(rabiner.forward(model.pi, model.a, rows),
                            symbols[bounds[k] : bounds[k + 1]], f"sequences[{k}]")  # fmt: skip
        pi, a, gammas, total = rabiner.reestimate(model.pi, model.a, tables)
        return total, (Chain(pi, a), np.concatenate(gammas))

    def _sweep(
        self,
        table: Array,
        bounds: npt.NDArray[np.int64],
        gamma: Array,
        name: str = "the observations",
    ) -> tuple[Array, Array, Array]:
        arcs = self._chain.arcs
        scores = np.empty(len(bounds) - 1)
        starts, moves = np.zeros(self.n_states), np.zeros(len(arcs.out_state))
        kernels.forward_backward(table, bounds, self._chain.log_initial, arcs, gamma, starts,
                                 moves, scores)  # fmt: skip
        lost = np.flatnonzero(scores == -np.inf)
        if len(lost):
            raise _impossible(name.format(lost[0]))
        return scores, starts, moves

    def sample(self, n_frames: int, seed: int = 0) -> tuple[Symbols, States]:
        """Draw a sequence; return its symbols and its states, both of shape (T,)."""
        if n_frames < 1:
            raise UsageError("n_frames must be positive", got=n_frames)
        if not self.has_probabilities:
            raise ModelError("rows of b do not sum to 1: they cannot be sampled",
                             got=self._b.sum(axis=1))  # fmt: skip
        rng = np.random.default_rng(seed)
        states = self._chain.sample(n_frames, rng)
        steps = np.cumsum(self._b, axis=1)
        draws = rng.random(n_frames) * steps[states, -1]
        symbols = (draws[:, None] >= steps[states]).sum(axis=1)
        return symbols.astype(np.int64), states.astype(np.int64)

    def to_fst(self) -> Fst:
        """Return priors and transitions as a transducer over states: see `Chain.to_fst`."""
        return self._chain.to_fst()

    def save(self, path: str | Path) -> None:
        """Write the model to one ``.npz`` file."""
        save_arrays(path, "discrete-hmm", {"pi": self.pi, "a": self.a, "b": self.b}, {})

    @classmethod
    def load(cls, path: str | Path) -> DiscreteHmm:
        """Read what `save` wrote."""
        arrays, _ = load_arrays(path, "discrete-hmm", ("pi", "a", "b"))
        return cls(arrays["pi"], arrays["a"], arrays["b"])


def _impossible(name: str = "the observations") -> DataError:
    return DataError(f"no path explains {name}", fix="Some probability on every path is 0.")


def _best(table: Array, zero: float = -np.inf) -> States:
    if not (table.max(axis=1) > zero).all():
        raise _impossible()
    return np.asarray(table.argmax(axis=1), dtype=np.int64)


def _with(chain: Chain, b: Array) -> DiscreteHmm:
    model = DiscreteHmm.__new__(DiscreteHmm)
    model._set(chain, b)
    return model


def _emission_shares(model: DiscreteHmm, symbols: Symbols, gamma: Array) -> Array:
    """Equation 40c; a state that no frame belongs to keeps its row."""
    counts = np.zeros((model.n_symbols, model.n_states))
    np.add.at(counts, symbols, gamma)
    totals = counts.sum(axis=0)
    seen = totals > 1e-10
    return np.where(seen[:, None], counts.T / np.where(seen, totals, 1.0)[:, None], model.b)
