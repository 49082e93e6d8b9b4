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

from wfst_hmm import orthography
from wfst_hmm.arrays import as_words
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_directory, read_json, write_json
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.arpa import read_arpa, write_arpa
from wfst_hmm.graph.g2p_alignment import Graphone, align_spellings
from wfst_hmm.graph.g2p_search import GraphoneSearch, Guess
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_estimation import estimate_ngrams
from wfst_hmm.graph.ngram_fst import ngram_to_fst

__all__ = ["G2p", "G2pErrors", "Guess"]


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
        entries = [entry for entry in lexicon if orthography.is_spelled(entry.word)]
        aligned = align_spellings([orthography.key(entry.word) for entry in entries],
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
        letters = [letter for letter in map(searcher.known, orthography.key(word)) if letter]
        return searcher.best(letters, n) if letters else []

    def entries(self, words: str | Iterable[str], n: int = 1) -> list[Entry]:
        """Return lexicon entries for words that a lexicon lacks.

        Examples
        --------
        ``lexicon.merged(Lexicon(g2p.entries(missing)))`` is the lexicon with guesses for
        ``missing``.
        """
        found = []
        for word in as_words(words):
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
            if not orthography.is_spelled(word):
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
    def _searcher(self) -> GraphoneSearch:
        return GraphoneSearch(ngram_to_fst(self.model), self.graphones)


def _edits(reference: Sequence[str], guess: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(guess) + 1))
    for i, wanted in enumerate(reference, start=1):
        corner, row[0] = row[0], i
        for j, given in enumerate(guess, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (wanted != given))
    return row[-1]
