"""Pronunciations for words that no lexicon lists, learnt from one that lists others.

In: a `Lexicon`. Out: `G2p`, which spells a word out in phones.

Each entry becomes a sequence of graphones, an n-gram model is estimated over them, and that model,
read as a transducer from letters to phones, is searched for the best paths over a word's letters
(the joint-sequence model of Bisani & Ney 2008; as transducer: Novak, Minematsu & Hirose 2016).

Public names: `G2p`, `G2pErrors`, `Guess`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_directory, read_json, write_json
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.arpa import read_arpa, write_arpa
from wfst_hmm.graph.g2p_alignment import Graphone, align_spellings
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_estimation import estimate_ngrams
from wfst_hmm.graph.ngram_fst import ngram_to_fst

__all__ = ["G2p", "G2pErrors", "Guess"]

_BEAM = 15.0  # nats behind the best at the same letter
_SILENT = 10.0  # nats for passing over a letter that was only ever seen within pairs


@dataclasses.dataclass(frozen=True)
class Guess:
    """A guessed pronunciation; `cost` is -log p(letters, phones), comparable within one word."""

    phones: tuple[str, ...]
    cost: float


@dataclasses.dataclass(frozen=True)
class G2pErrors:
    """Errors of first guesses on entries with known pronunciations.

    Attributes
    ----------
    n_words, n_wrong : int
        Words, and those whose first guess is none of their pronunciations.
    n_phones, n_phone_errors : int
        Phones of the nearest pronunciation, and edits between it and the guess.
    """

    n_words: int
    n_wrong: int
    n_phones: int
    n_phone_errors: int

    @property
    def word_error_rate(self) -> float:
        """Fraction of words guessed wrong."""
        return self.n_wrong / self.n_words if self.n_words else math.nan

    @property
    def phone_error_rate(self) -> float:
        """Edits per phone."""
        return self.n_phone_errors / self.n_phones if self.n_phones else math.nan


@dataclasses.dataclass(frozen=True, eq=False)
class G2p:
    """A joint n-gram model of spelling and pronunciation.

    Attributes
    ----------
    graphones : dict
        Every graphone by its name in the model.
    model : NgramModel
        Over the names of graphones.
    n_unaligned : int
        Entries that were left out: more than two phones a letter.
    """

    graphones: dict[str, Graphone]
    model: NgramModel
    n_unaligned: int = 0

    @classmethod
    def train(cls, lexicon: Lexicon, *, order: int = 6, n_iterations: int = 12) -> G2p:
        """Learn from a lexicon; words without letters or digits (``<sil>``, ``.``) are left out.

        Parameters
        ----------
        lexicon : Lexicon
        order : int
            Of the n-gram model over graphones.
        n_iterations : int
            Of aligning letters with phones.

        Raises
        ------
        DataError
            No entry can be used.
        """
        entries = [entry for entry in lexicon if _is_spelled(entry.word)]
        aligned = align_spellings([entry.word for entry in entries],
                                  [entry.phones for entry in entries], n_iterations=n_iterations)  # fmt: skip
        rows = [row for row in aligned if row]
        if not rows:
            raise DataError("no entry of the lexicon can be aligned with its spelling",
                            fix="A word needs letters, and at most two phones for each.")  # fmt: skip
        names: dict[Graphone, str] = {}
        for row in rows:
            for graphone in row:
                if graphone not in names:
                    name = "|".join(graphone.letters) + "}" + "|".join(graphone.phones)
                    # letters or phones may themselves hold the marks
                    names[graphone] = f"{name}~{len(names)}" if name in names.values() else name
        model = estimate_ngrams([[names[graphone] for graphone in row] for row in rows], order)
        return cls({name: g for g, name in names.items()}, model, len(aligned) - len(rows))

    def pronounce(self, word: str, n: int = 1) -> list[Guess]:
        """Guess the `n` best pronunciations of a word, best first.

        Characters that the model has never seen are passed over, after trying the other case;
        the list is empty when nothing is left.
        """
        searcher = self._searcher
        letters = [letter for letter in map(searcher.known, word) if letter]
        return searcher.best(letters, n) if letters else []

    def entries(self, words: Iterable[str], n: int = 1) -> list[Entry]:
        """Return lexicon entries for words that a lexicon lacks.

        Examples
        --------
        ``lexicon.merged(Lexicon(g2p.entries(missing)))`` is the lexicon with guesses for
        ``missing``.
        """
        found = []
        for word in words:
            guesses = self.pronounce(word, n)
            for guess in guesses:
                share = math.exp(guesses[0].cost - guess.cost)
                if guess.phones and share > 0:
                    found.append(Entry(word, guess.phones, min(1.0, share), "g2p"))
        return found

    def errors(self, lexicon: Lexicon) -> G2pErrors:
        """Compare first guesses with the pronunciations of a lexicon."""
        n_words = n_wrong = n_phones = n_edits = 0
        for word in lexicon.words:
            if not _is_spelled(word):
                continue
            guesses = self.pronounce(word)
            phones = guesses[0].phones if guesses else ()
            edits, length = min(
                (_edits(entry.phones, phones), len(entry.phones)) for entry in lexicon.prons(word)
            )
            n_words, n_wrong = n_words + 1, n_wrong + (edits > 0)
            n_phones, n_edits = n_phones + length, n_edits + edits
        return G2pErrors(n_words, n_wrong, n_phones, n_edits)

    @classmethod
    def held_out_errors(
        cls, lexicon: Lexicon, *, share: float = 0.05, order: int = 6, seed: int = 0
    ) -> G2pErrors:
        """Train without a random share of the words and report the errors on these."""
        rng = np.random.default_rng(seed)
        held = {word for word in lexicon.words if rng.random() < share}
        rest = cls.train(
            lexicon.restricted([w for w in lexicon.words if w not in held]), order=order
        )
        return rest.errors(lexicon.restricted(held))

    def to_fst(self) -> Fst:
        """Return the model as a transducer from letters to phones.

        Its backoff arcs are epsilons: a path may cost a little less than `pronounce` says.
        """
        g = ngram_to_fst(self.model)
        labels = [self.graphones.get(name) for name in g.isymbols or ()]
        letters = Symbols(dict.fromkeys(x for h in labels if h for x in h.letters))
        phones = Symbols(dict.fromkeys(x for h in labels if h for x in h.phones))
        parts = np.zeros((len(labels), 4), dtype=np.int32)  # two letters, two phones, 0: none
        for i, graphone in enumerate(labels):
            if graphone:
                for j, letter in enumerate(graphone.letters):
                    parts[i, j] = letters.id(letter)
                for j, phone in enumerate(graphone.phones):
                    parts[i, 2 + j] = phones.id(phone)
        x1, x2, y1, y2 = parts[g.arcs["ilabel"]].T
        long = np.flatnonzero((x2 > 0) | (y2 > 0))
        target = g.arcs["nextstate"].copy()
        target[long] = g.n_states + np.arange(len(long))
        zero = np.zeros(len(long))
        final = np.concatenate((g.states["final"], zero + np.inf))
        return Fst.from_arcs(
            g.start, np.concatenate((g.sources(), target[long])), np.concatenate((x1, x2[long])),
            np.concatenate((y1, y2[long])), np.concatenate((g.arcs["weight"], zero)),
            np.concatenate((target, g.arcs["nextstate"][long])), final, letters, phones,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write the model as a directory: ``graphones.json`` and ``model.arpa.gz``."""
        with atomic_directory(path) as folder:
            rows = {name: [list(g.letters), list(g.phones)] for name, g in self.graphones.items()}
            write_json(
                folder / "graphones.json", {"n_unaligned": self.n_unaligned, "graphones": rows}
            )
            write_arpa(self.model, folder / "model.arpa.gz")

    @classmethod
    def load(cls, path: str | Path) -> G2p:
        """Read what `save` wrote."""
        where = Path(path) / "graphones.json"
        data = read_json(where)
        try:
            rows = {
                str(name): Graphone(tuple(map(str, letters)), tuple(map(str, phones)))
                for name, (letters, phones) in data["graphones"].items()
            }
            n_unaligned = int(data["n_unaligned"])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise FormatError("not the graphones of a model", where=str(where)) from None
        model = read_arpa(Path(path) / "model.arpa.gz")
        strange = [
            w for w in model.words if w not in rows and w not in ("<eps>", "<s>", "</s>", "<unk>")
        ]
        if strange:
            raise FormatError("the model knows other graphones", where=str(where), got=strange[0])
        return cls(rows, model, n_unaligned)

    @functools.cached_property
    def _searcher(self) -> _Searcher:
        return _Searcher(self)


class _Searcher:
    """The model's transducer, arranged for looking up many arcs at once."""

    def __init__(self, g2p: G2p) -> None:
        g = ngram_to_fst(g2p.model)
        names = g.isymbols or Symbols([])
        self.start, self.final = g.start, g.states["final"].astype(np.float64)
        self.graphones = [g2p.graphones.get(name) for name in names]
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


def _is_spelled(word: str) -> bool:
    return word[0] not in "<[{(" and any(letter.isalnum() for letter in word)


def _edits(reference: Sequence[str], guess: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(guess) + 1))
    for i, wanted in enumerate(reference, start=1):
        corner, row[0] = row[0], i
        for j, given in enumerate(guess, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (wanted != given))
    return row[-1]
