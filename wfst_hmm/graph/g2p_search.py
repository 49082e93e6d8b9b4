"""The best ways through a graphone model for the letters of one word.

In: the n-gram model over graphones as a transducer. Out: `Guess` values, best first.

Public names: `GraphoneSearch`, `Guess`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.g2p_alignment import Graphone

__all__ = ["GraphoneSearch", "Guess"]

_BEAM = 15.0  # nats behind the best at the same letter
_SILENT = 10.0  # nats for passing over a letter that was only ever seen within pairs


@dataclasses.dataclass(frozen=True)
class Guess:
    """A guessed pronunciation; `cost` is -log p(letters, phones), comparable within one word."""

    phones: tuple[str, ...]
    cost: float


class GraphoneSearch:
    """The model's transducer, arranged for looking up many arcs at once."""

    def __init__(self, g: Fst, graphones: Mapping[str, Graphone]) -> None:
        names = g.isymbols or Symbols([])
        self.start, self.final = g.start, g.states["final"].astype(np.float64)
        self.graphones = [graphones.get(name) for name in names]
        self.n_labels = len(self.graphones)
        backoff = names.id("#0")
        self.keys = g.sources().astype(np.int64) * self.n_labels + g.arcs["ilabel"]
        self.target = g.arcs["nextstate"].astype(np.int64)
        self.weight = g.arcs["weight"].astype(np.float64)
        self.shorter = np.full(g.n_states, -1, dtype=np.int64)
        self.leaving = np.zeros(g.n_states)
        silent = g.arcs["ilabel"] == backoff
        self.shorter[g.sources()[silent]] = self.target[silent]
        self.leaving[g.sources()[silent]] = self.weight[silent]
        self.labels: dict[tuple[str, ...], npt.NDArray[np.int64]] = {}
        spelled: dict[tuple[str, ...], list[int]] = {}
        for label, graphone in enumerate(self.graphones):
            if graphone:
                spelled.setdefault(graphone.letters, []).append(label)
        self.labels = {letters: np.array(found) for letters, found in spelled.items()}
        self.letters = {letter for letters in spelled for letter in letters}

    def known(self, letter: str) -> str:
        """Return a letter as the model writes it, empty when it never does."""
        cases = (letter, letter.lower(), letter.upper())
        return next((case for case in cases if case in self.letters), "")

    def follow(
        self, state: npt.NDArray[np.int64], label: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return where each label leads from each state and at what cost, backing off if need be.

        A label that even the empty history lacks leads to -1.
        """
        state, cost = state.copy(), np.zeros(len(state))
        result = np.full(len(state), -1, dtype=np.int64)
        open_ = np.arange(len(state))
        while len(open_):
            wanted = state[open_] * self.n_labels + label[open_]
            at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            hit = self.keys[at] == wanted
            result[open_[hit]] = self.target[at[hit]]
            cost[open_[hit]] += self.weight[at[hit]]
            open_ = open_[~hit]
            cost[open_] += self.leaving[state[open_]]
            state[open_] = self.shorter[state[open_]]
            open_ = open_[state[open_] >= 0]
        return result, cost

    def end_cost(self, state: int) -> float:
        """Return the cost of ending in `state`, backing off until some history can end."""
        cost = 0.0
        while state >= 0 and not math.isfinite(self.final[state]):
            cost, state = cost + float(self.leaving[state]), int(self.shorter[state])
        return cost + float(self.final[state]) if state >= 0 else math.inf

    def best(self, letters: Sequence[str], n: int) -> list[Guess]:
        """Search the paths over `letters`; per state the best `n` that differ in phones survive."""
        n_letters = len(letters)
        # hypotheses by letters read: state -> {phones so far: cost}
        reached: list[dict[int, dict[tuple[str, ...], float]]] = [{} for _ in range(n_letters + 1)]
        reached[0][self.start] = {(): 0.0}
        for i in range(n_letters):
            if not reached[i]:
                continue
            best = min(min(paths.values()) for paths in reached[i].values())
            states = [s for s, paths in reached[i].items() if min(paths.values()) < best + _BEAM]
            around = (letters[i : i + 1], letters[i : i + 2], letters[max(0, i - 1) : i + 1])
            if not any(tuple(part) in self.labels for part in around):  # it can only be silent
                for s in states:
                    into = reached[i + 1].setdefault(s, {})
                    for phones, spent in reached[i][s].items():
                        into[phones] = min(spent + _SILENT, into.get(phones, math.inf))
            for length in (1, 2):
                labels = self.labels.get(tuple(letters[i : i + length]))
                if labels is None or i + length > n_letters:
                    continue
                source = np.repeat(states, len(labels))
                label = np.tile(labels, len(states))
                target, cost = self.follow(source, label)
                for s, x, t, c in zip(source.tolist(), label.tolist(), target.tolist(),
                                      cost.tolist(), strict=True):  # fmt: skip
                    graphone = self.graphones[x]
                    if t >= 0 and graphone is not None:
                        into = reached[i + length].setdefault(t, {})
                        for phones, spent in reached[i][s].items():
                            longer = phones + graphone.phones
                            if spent + c < into.get(longer, math.inf):
                                into[longer] = spent + c
            for state, paths in reached[i + 1].items():
                if len(paths) > n:
                    kept = sorted(paths.items(), key=lambda item: item[1])[:n]
                    reached[i + 1][state] = dict(kept)
        ended: dict[tuple[str, ...], float] = {}
        for state, paths in reached[n_letters].items():
            last = self.end_cost(state)
            for phones, spent in paths.items():
                ended[phones] = min(spent + last, ended.get(phones, math.inf))
        ranked = sorted(ended.items(), key=lambda item: (item[1], item[0]))
        return [Guess(phones, cost) for phones, cost in ranked[:n] if math.isfinite(cost)]
