"""Grammars made of words: loops, lists, phrases, sequences of a fixed length.

In: words with costs in nats, or a phrase list as text. Out: `Grammar`, the transducer G.

Public names: `Grammar`, `word_loop`, `word_list`, `phrase_list`, `fixed_length`, `read_phrases`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_words
from wfst_hmm.errors import FormatError, GraphError, UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, Symbols
from wfst_hmm.graph.ngram import is_reserved
from wfst_hmm.orthography import fields

__all__ = [
    "Grammar",
    "fixed_length",
    "phrase_list",
    "read_phrases",
    "word_list",
    "word_loop",
]

_MAX_LENGTH = 1000
_MAX_COST = 1e30  # single precision ends at 3.4e38


@dataclasses.dataclass(frozen=True, eq=False)
class Grammar:
    """A grammar over words.

    Attributes
    ----------
    fst : Fst
        Input labels are words to be spoken and, where it backs off, ``#0``; output labels are
        what is printed for them. Both sides have symbol tables. Costs in nats.
    source : str
        Where it came from: a path or a specification.
    notes : tuple of str
        What a person should know about how it was read.
    garbage : tuple of str
        Words of it that any phone may stand for, where the lexicon does not have them.
    unscaled : bool
        Its costs are weighed against acoustic scores: they are those at an acoustic scale of 1, and
        are multiplied by the model's when a graph is built.
    meaning : mapping, optional
        From its words to the tags of its rules (`graph.tags.tag_machine`).

    Raises
    ------
    GraphError
        The grammar accepts nothing, or lacks symbol tables.
    """

    fst: Fst
    source: str = ""
    notes: tuple[str, ...] = ()
    garbage: tuple[str, ...] = ()
    unscaled: bool = False
    meaning: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        fst, where = self.fst, self.source or None
        if fst.isymbols is None or fst.osymbols is None:
            raise GraphError(
                "a grammar needs symbol tables: which words do its numbers mean?", where=where,
                fix="Name the table (--isymbols words.txt), or put words.txt beside it.",
            )  # fmt: skip
        for side, table in (("ilabel", fst.isymbols), ("olabel", fst.osymbols)):
            if fst.n_arcs and int(fst.arcs[side].max()) >= len(table):
                raise GraphError("a label of the grammar has no name", where=where,
                                 got=int(fst.arcs[side].max()))  # fmt: skip
        if not _accepts_something(fst):
            raise GraphError(
                "an empty grammar: it accepts no sentence", where=where,
                expected="at least one path from the start to a final state",
            )  # fmt: skip

    @property
    def isymbols(self) -> Symbols:
        """Names of the input labels."""
        return cast(Symbols, self.fst.isymbols)

    @property
    def osymbols(self) -> Symbols:
        """Names of the output labels."""
        return cast(Symbols, self.fst.osymbols)

    @property
    def has_backoff(self) -> bool:
        """Whether some arc reads ``#0``."""
        symbols = self.isymbols
        return BACKOFF in symbols and bool(np.any(self.fst.arcs["ilabel"] == symbols.id(BACKOFF)))

    @property
    def words(self) -> tuple[str, ...]:
        """The words that occur on its arcs, in the order of its table, without ``#0`` and garbage."""
        used = np.unique(self.fst.arcs["ilabel"])
        none = {BACKOFF, *self.garbage}
        return tuple(word for word in self.isymbols.strings(used) if word not in none)

    @property
    def spoken(self) -> tuple[str, ...]:
        """The words and the garbage: all that needs pronunciations."""
        return (*self.words, *self.garbage)

    def penalized(self, cost: float) -> Grammar:
        """Return the grammar with `cost` nats more on every word that is spoken.

        Above 0 sentences come out shorter, below 0 longer.
        """
        if not math.isfinite(cost):
            raise UsageError("the penalty of a word must be finite", got=cost)
        speaks = self.fst.arcs["ilabel"] != 0
        if self.has_backoff:
            speaks &= self.fst.arcs["ilabel"] != self.isymbols.id(BACKOFF)
        arcs = self.fst.arcs.copy()
        arcs["weight"][speaks] += cost
        return dataclasses.replace(self, fst=dataclasses.replace(self.fst, arcs=arcs))

    def renamed(self, names: Mapping[str, str]) -> Grammar:
        """Return the grammar in which words, and what is printed for them, have other names."""
        fst = self.fst
        isymbols, ilabel = _renamed(self.isymbols, names)
        osymbols, olabel = _renamed(self.osymbols, names)
        other = Fst.from_arcs(
            fst.start, fst.sources(), ilabel[fst.arcs["ilabel"]], olabel[fst.arcs["olabel"]],
            fst.arcs["weight"], fst.arcs["nextstate"], fst.states["final"], isymbols, osymbols,
        )  # fmt: skip
        return dataclasses.replace(self, fst=other)

    def at_scale(self, acoustic_scale: float) -> Grammar:
        """Return the grammar for scores of this scale."""
        if not self.unscaled:
            return self
        arcs = self.fst.arcs.copy()
        arcs["weight"] *= np.float32(acoustic_scale)
        fst = dataclasses.replace(self.fst, arcs=arcs)
        return dataclasses.replace(self, fst=fst, unscaled=False)

    def without(self, words: str | Iterable[str]) -> Grammar:
        """Return the grammar of the sentences that use none of `words`."""
        out = self.isymbols.ids(word for word in as_words(words) if word in self.isymbols)
        fst = self.fst
        kept = ~np.isin(fst.arcs["ilabel"], out)
        arcs = fst.arcs[kept]
        less = Fst.from_arcs(
            fst.start, fst.sources()[kept], arcs["ilabel"], arcs["olabel"], arcs["weight"],
            arcs["nextstate"], fst.states["final"], fst.isymbols, fst.osymbols,
        )  # fmt: skip
        return dataclasses.replace(self, fst=less)


def _renamed(symbols: Symbols, names: Mapping[str, str]) -> tuple[Symbols, npt.NDArray[np.int32]]:
    """Return a table with the new names as well, and the new label of every label."""
    table = symbols.extended(names.values())
    label = np.arange(len(symbols), dtype=np.int32)
    for old, new in names.items():
        if old in symbols:
            label[symbols.id(old)] = table.id(new)
    return table, label


def _accepts_something(fst: Fst) -> bool:
    """Tell whether a final state can be reached."""
    if fst.start < 0:
        return False
    reached = np.zeros(fst.n_states, dtype=bool)
    fresh = np.array([fst.start])
    while len(fresh):
        reached[fresh] = True
        if np.isfinite(fst.states["final"][fresh]).any():
            return True
        following = np.concatenate([fst.arcs_of(state)["nextstate"] for state in fresh])
        fresh = np.unique(following[~reached[following]])
    return False


def word_loop(words: str | Iterable[str], costs: Mapping[str, float] | None = None) -> Grammar:
    """Return the grammar of any sequence of `words`, the empty one too.

    Parameters
    ----------
    words : iterable of str
    costs : mapping from word to nats, optional
        By default every word costs the logarithm of their number: all equally probable.
    """
    table, ids = _table_of(words, "loop")
    weight = _costs_of(table, costs)
    loop = [0] * len(ids)
    return Grammar(Fst.from_arcs(0, loop, ids, ids, weight, loop, [0.0], table, table), "loop")


def word_list(words: str | Iterable[str], costs: Mapping[str, float] | None = None) -> Grammar:
    """Return the grammar of exactly one of `words`, by default all equally probable."""
    grammar = fixed_length(words, 1, costs=costs)
    return dataclasses.replace(grammar, source="words")


def fixed_length(
    words: str | Iterable[str],
    shortest: int,
    longest: int | None = None,
    *,
    costs: Mapping[str, float] | None = None,
) -> Grammar:
    """Return the grammar of `shortest` to `longest` words, by default exactly `shortest`."""
    longest = shortest if longest is None else longest
    if not 1 <= shortest <= longest <= _MAX_LENGTH:
        raise UsageError("impossible length of a word sequence", got=f"{shortest}-{longest}",
                         expected=f"1 to {_MAX_LENGTH} words")  # fmt: skip
    source = f"length:{shortest}" + (f"-{longest}" if longest > shortest else "")
    table, ids = _table_of(words, source)
    state = np.repeat(np.arange(longest), len(ids))
    label = np.tile(ids, longest)
    weight = np.tile(_costs_of(table, costs), longest)
    final = np.where(np.arange(longest + 1) >= shortest, 0.0, np.inf)
    fst = Fst.from_arcs(0, state, label, label, weight, state + 1, final, table, table)
    return Grammar(fst, source)


def _table_of(words: str | Iterable[str], source: str) -> tuple[Symbols, list[int]]:
    table = Symbols(dict.fromkeys(as_words(words)))
    if len(table) == 1:
        raise GraphError("an empty grammar: no words", where=source)
    return table, list(range(1, len(table)))


def _costs_of(table: Symbols, costs: Mapping[str, float] | None) -> list[float]:
    uniform = math.log(len(table) - 1)
    return [uniform if costs is None else costs.get(word, uniform) for word in list(table)[1:]]


def phrase_list(
    phrases: Iterable[tuple[str | Sequence[str], float]],
    source: str = "phrases",
    *,
    early: bool = False,
) -> Grammar:
    """Return the grammar of some phrases, each with its cost in nats.

    Parameters
    ----------
    phrases : iterable of (words, cost)
        A phrase given twice keeps its cheaper cost.
    source : str
    early : bool
        Charge costs as early as the sharing of beginnings allows, instead of at the end.

    Notes
    -----
    Phrases share their beginnings, so that no word is ever a choice between two states.
    """
    symbols: dict[str, int] = {}
    children: dict[tuple[int, int], int] = {}
    final: list[float] = [math.inf]
    for given, cost in phrases:
        words = as_words(given)
        if not words:
            raise GraphError("an empty phrase", where=source)
        state = 0
        for word in words:
            label = symbols.setdefault(word, len(symbols) + 1)
            following = children.setdefault((state, label), len(final))
            if following == len(final):
                final.append(math.inf)
            state = following
        final[state] = min(final[state], cost)
    if not children:
        raise GraphError("an empty grammar: no phrases", where=source)
    source_, label_ = zip(*children, strict=True)
    table, target = Symbols(symbols), list(children.values())
    best = list(final)  # of all phrases through a state
    for before, behind in zip(reversed(source_), reversed(target), strict=True):
        best[before] = min(best[before], best[behind])
    paid = [0.0, *best[1:]] if early else [0.0] * len(final)
    weight = [paid[behind] - paid[before]
              for before, behind in zip(source_, target, strict=True)]  # fmt: skip
    final = [cost - so_far for cost, so_far in zip(final, paid, strict=True)]
    fst = Fst.from_arcs(0, source_, label_, label_, weight, target, final, table, table)
    return Grammar(fst, source)


def read_phrases(path: str | Path) -> Grammar:
    """Read a phrase list: one phrase a line, after a tab its cost in nats (default 0).

    Empty lines and lines that begin with ``#`` are left out. Plain text or gzip, UTF-8.
    """
    phrases: list[tuple[list[str], float]] = []
    for number, line in read_lines(path):
        text, tab, cost_text = line.partition("\t")
        words = fields(text)
        if text.lstrip().startswith("#") or not line.strip():
            continue
        where = f"{path}:{number}"
        cost = 0.0
        if tab and cost_text.strip():
            try:
                cost = float(cost_text)
            except ValueError:
                cost = math.nan
        if not abs(cost) < _MAX_COST:
            raise FormatError("not a cost behind the tab", where=where, got=repr(cost_text[:40]),
                              expected="phrase<TAB>cost in nats")  # fmt: skip
        if not words:
            raise FormatError(
                "a cost without a phrase", where=where, expected="words before the tab"
            )
        if reserved := [word for word in words if is_reserved(word)]:
            raise FormatError(f"the word {reserved[0]!r} is reserved", where=where,
                              fix="Rename it: not <eps>, not #0, #1 ...")  # fmt: skip
        phrases.append((words, cost))
    return phrase_list(phrases, str(path))
