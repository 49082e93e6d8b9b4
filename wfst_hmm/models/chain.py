"""The hidden Markov chain of an HMM: where it may start, and what may follow what.

In: probabilities, expected counts. Out: `Chain`, its transducer, its samples.

Public names: `Chain`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import Frozen
from wfst_hmm.errors import ModelError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.checks import as_probabilities
from wfst_hmm.models.hmm_kernels import Arcs

__all__ = ["Chain"]

Array = npt.NDArray[np.float64]

_TRACE = 1e-300  # of an allowed move that was never taken: zeros mean forbidden


@dataclasses.dataclass(frozen=True, eq=False)
class Chain(Frozen):
    """Priors and transitions of N states; copied, read-only, zeros are forbidden for good.

    Attributes
    ----------
    initial : ndarray, shape (N,)
        P(q_1 = i), pi of Rabiner (1989).
    transitions : ndarray, shape (N, N)
        ``transitions[i, j]`` = P(q_t+1 = j | q_t = i), a_ij; rows sum to one.

    Raises
    ------
    ModelError
        Wrong shapes, negative or non-finite entries, sums other than 1 (row and sum are named),
        a state that no path reaches.

    Examples
    --------
    >>> Chain.left_to_right(3, self_loop=0.6).transitions
    array([[0.6, 0.4, 0. ],
           [0. , 0.6, 0.4],
           [0. , 0. , 1. ]])
    """

    initial: Array
    transitions: Array

    def __post_init__(self) -> None:
        initial = as_probabilities(self.initial, (-1,), name="initial")
        n = len(initial)
        transitions = as_probabilities(self.transitions, (n, n), name="transitions")
        reached = initial > 0
        for _ in range(n):
            reached = reached | (reached @ (transitions > 0))
        if not reached.all():
            raise ModelError(f"no path reaches state {int(np.argmin(reached))}",
                             fix="Give it a prior or a transition into it.")  # fmt: skip
        for name, array in (("initial", initial), ("transitions", transitions)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def n_states(self) -> int:
        """Number of states N."""
        return len(self.initial)

    @property
    def is_left_to_right(self) -> bool:
        """True when no transition leads to an earlier state and paths start in the first."""
        backwards = np.tril(self.transitions, -1)
        return self.n_states > 1 and bool(self.initial[0] == 1.0) and not backwards.any()

    @functools.cached_property
    def log_initial(self) -> Array:
        """Logarithms of the priors; -inf is forbidden."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.initial))

    @functools.cached_property
    def arcs(self) -> Arcs:
        """The allowed transitions, as the kernels want them."""
        return Arcs.of(self.transitions)

    @classmethod
    def left_to_right(cls, n_states: int, *, self_loop: float = 0.5) -> Chain:
        """Return a chain in which each state loops or moves to the next; the last stays."""
        return cls.bakis(n_states, self_loop=self_loop, skip=0.0)

    @classmethod
    def bakis(cls, n_states: int, *, self_loop: float = 0.5, skip: float = 0.3) -> Chain:
        """Return a left-to-right chain that may jump over one state.

        Parameters
        ----------
        n_states : int
        self_loop : float
            Probability of staying, in [0, 1).
        skip : float
            Share of the moves onward that jump, in [0, 1); 0 forbids jumps.

        Notes
        -----
        Bakis (1976); Rabiner (1989), figure 7b.
        """
        if n_states < 1:
            raise ModelError("a chain needs at least one state", got=n_states)
        for name, value in (("self_loop", self_loop), ("skip", skip)):
            if not 0.0 <= value < 1.0:
                raise ModelError(f"{name} out of range", got=value, expected="0 <= value < 1")
        moves = np.zeros((n_states, n_states))
        for i in range(n_states - 1):
            jump = skip if i + 2 < n_states else 0.0
            moves[i, i] = self_loop
            moves[i, i + 1] = (1 - self_loop) * (1 - jump)
            if jump:
                moves[i, i + 2] = (1 - self_loop) * jump
        moves[-1, -1] = 1.0
        return cls(np.eye(n_states)[0], moves)

    @classmethod
    def ergodic(cls, n_states: int, *, self_loop: float | None = None) -> Chain:
        """Return a chain in which every state may follow every other.

        Parameters
        ----------
        n_states : int
        self_loop : float, optional
            Probability of staying; default: that of any other move.
        """
        if n_states < 1:
            raise ModelError("a chain needs at least one state", got=n_states)
        stay = 1.0 / n_states if self_loop is None or n_states == 1 else self_loop
        if not 0.0 <= stay <= 1.0:
            raise ModelError("self_loop out of range", got=stay, expected="0 to 1")
        moves = np.full((n_states, n_states), (1.0 - stay) / max(n_states - 1, 1))
        np.fill_diagonal(moves, stay)
        return cls(np.full(n_states, 1.0 / n_states), moves)

    def reestimated(self, start_counts: Array, arc_counts: Array) -> Chain:
        """Return the chain of highest likelihood for expected counts.

        Parameters
        ----------
        start_counts : ndarray, shape (N,)
        arc_counts : ndarray, shape (A,)
            Of the allowed transitions, in the order of ``arcs.out_state``; frames that are the
            last of their sequence must not be in them.

        Notes
        -----
        Rabiner (1989), equations 40a, 40b and 110: each row is divided by its own sum. A row
        without counts is kept.
        """
        arcs = self.arcs
        sources = np.repeat(np.arange(self.n_states), np.diff(arcs.out_at))
        totals = np.bincount(sources, weights=arc_counts, minlength=self.n_states)
        seen = totals > 1e-10
        transitions = np.array(self.transitions)
        transitions[seen] = 0.0
        use = seen[sources]
        transitions[sources[use], arcs.out_state[use]] = arc_counts[use] / totals[sources[use]]
        initial = start_counts / start_counts.sum()
        # A count that underflowed must not cut a state off: an allowed move keeps a trace.
        allowed = self.transitions > 0
        transitions = np.where(allowed, np.maximum(transitions, _TRACE), 0.0)
        transitions /= transitions.sum(axis=1, keepdims=True)
        initial = np.where(self.initial > 0, np.maximum(initial, _TRACE), 0.0)
        return Chain(initial / initial.sum(), transitions)

    def sample(self, n_frames: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """Draw a path of `n_frames` states."""
        path = np.empty(n_frames, dtype=np.intp)
        draws = rng.random(n_frames)
        steps = np.cumsum(self.transitions, axis=1)
        row = np.cumsum(self.initial)
        for t in range(n_frames):
            path[t] = min(int(np.searchsorted(row, draws[t] * row[-1], side="right")),
                          self.n_states - 1)  # fmt: skip
            row = steps[path[t]]
        return path

    def to_fst(self, names: Sequence[str] | None = None) -> Fst:
        """Return the chain as a transducer over state symbols, priors included.

        Parameters
        ----------
        names : sequence of str, optional
            Symbols of the states; default ``q0``, ``q1`` ...

        Returns
        -------
        Fst
            Start state 0 and one state for each of the chain's, all final but the start; the
            arc into state j carries label j + 1 on both sides. Composed with a sausage of the
            scores (labels are columns + 1), its shortest path is the Viterbi path.
        """
        n = self.n_states
        symbols = Symbols(names if names is not None else [f"q{i}" for i in range(n)])
        if len(symbols) != n + 1:
            raise ModelError("one name a state is needed", got=len(symbols) - 1, expected=n)
        starts = np.flatnonzero(self.initial)
        source, target = np.nonzero(self.transitions)
        labels = np.concatenate([starts, target]) + 1
        probabilities = np.concatenate([self.initial[starts], self.transitions[source, target]])
        return Fst.from_arcs(
            0, np.concatenate([np.zeros(len(starts), dtype=np.int64), source + 1]), labels, labels,
            -np.log(probabilities), labels, np.concatenate([[np.inf], np.zeros(n)]),
            symbols, symbols,
        )  # fmt: skip
