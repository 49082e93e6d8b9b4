"""What a grammar's arcs ask for, each as one item to be spoken: a word and what it prints.

In: a `Grammar` and a `Lexicon`. Out: `Items`: the grammar as a deterministic acceptor over
items, and a lexicon of items.

A grammar may print something else than was said ("twenty one" prints "21"). Taking each
(input, output) pair as a word of its own turns any such transducer into an acceptor, which can
be determinized under a budget of states; two pairs of one input are homophones, and those the
lexicon transducer tells apart.

Public names: `Items`, `grammar_items`, `printed_words`, `sounds_of`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, EPSILON, Symbols
from wfst_hmm.graph.lexicon import Lexicon, format_missing
from wfst_hmm.graph.phrases import Grammar

__all__ = ["Items", "grammar_items", "printed_words", "sounds_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class Items:
    """A grammar over items.

    Attributes
    ----------
    acceptor : Fst
        Deterministic and free of epsilons.
    symbols : Symbols
        The items: those with a sound in order, then those without, ``#0`` first among them.
    lexicon : Lexicon
        Pronunciations of the items with a sound.
    unspoken : tuple of str
    words : Symbols
        What the grammar prints.
    word_of : int32, shape (len(symbols),)
        What each item prints, a label of `words`; 0 for nothing.
    """

    acceptor: Fst
    symbols: Symbols
    lexicon: Lexicon
    unspoken: tuple[str, ...]
    words: Symbols
    word_of: npt.NDArray[np.int32]


def grammar_items(grammar: Grammar, lexicon: Lexicon, *, max_states: int) -> Items:
    """Return the items of `grammar` and the acceptor over them.

    Raises
    ------
    DataError
        The lexicon lacks words of the grammar, all listed with their nearest spellings.
    GraphError
        The grammar gives one sentence several costs in a way that no deterministic machine can.
    """
    missing = lexicon.missing(grammar.words)
    if missing:
        raise DataError(
            f"the lexicon lacks {len(missing)} word{'s' * (len(missing) > 1)} of the grammar: "
            + format_missing(missing),
            where=grammar.source or None, fix="Add them to the lexicon or change the grammar.",
        )  # fmt: skip
    lexicon = lexicon.restricted(grammar.spoken)  # spelled as the grammar spells them
    arcs = grammar.fst.arcs
    codes = arcs["ilabel"].astype(np.int64) << 32 | arcs["olabel"]
    pairs = [(int(code) >> 32, int(code) & 0xFFFFFFFF) for code in np.unique(codes) if code]
    backoff = grammar.isymbols.id(BACKOFF) if grammar.has_backoff else -1
    spoken = [pair for pair in pairs if pair[0] not in (0, backoff)]
    silent = [pair for pair in pairs if pair[0] in (0, backoff)]
    silent.sort(key=lambda pair: pair != (backoff, 0))  # the plain #0 first
    names = _names(grammar, spoken)
    quiet = [BACKOFF, *(f"#0:{number}" for number in range(1, len(silent) + 1))]
    if (backoff, 0) not in silent:
        silent.insert(0, (0, 0))  # nothing reads #0, but its place stays
    quiet = quiet[: len(silent)]
    symbols = Symbols([*names, *quiet])
    words = printed_words(grammar)
    word_of = _printed([*spoken, *silent])
    label_of = {pair: number for number, pair in enumerate([*spoken, *silent], start=1)}
    label_of[0, 0] = 0
    order = np.array([(i << 32) | o for i, o in label_of], dtype=np.int64)
    labels = np.array(list(label_of.values()), dtype=np.int32)
    by_code = np.argsort(order)
    item = labels[by_code][np.searchsorted(order[by_code], codes)]
    acceptor = Fst.from_arcs(
        grammar.fst.start, grammar.fst.sources(), item, item, arcs["weight"], arcs["nextstate"],
        grammar.fst.states["final"], symbols, symbols,
    )  # fmt: skip
    entries = [
        dataclasses.replace(entry, word=name)
        for name, pair in zip(names, spoken, strict=True)
        for entry in lexicon.prons(grammar.isymbols[pair[0]])
    ]
    return Items(_deterministic(acceptor, grammar, max_states), symbols, Lexicon(entries),
                 tuple(quiet), words, word_of)  # fmt: skip


def sounds_of(grammar: Grammar, lexicon: Lexicon) -> Lexicon:
    """Return the part of a lexicon that explains what a grammar's words sound like.

    Beside the words that are spoken, those that are printed for them have their pronunciations,
    and ``<eps>`` those of words for which nothing is printed.
    """
    codes = np.unique(
        grammar.fst.arcs["ilabel"].astype(np.int64) << 32 | grammar.fst.arcs["olabel"]
    )
    entries = list(lexicon.restricted(grammar.spoken))
    for code in codes.tolist():
        said, printed = grammar.isymbols[code >> 32], grammar.osymbols[code & 0xFFFFFFFF]
        if code >> 32 and said != printed:
            entries += [dataclasses.replace(e, word=printed) for e in lexicon.prons(said)]
    return Lexicon(entries)


def printed_words(grammar: Grammar) -> Symbols:
    """Return what the grammar prints: the table `Items.words`."""
    used = np.unique(grammar.fst.arcs["olabel"])
    return Symbols(grammar.osymbols[olabel] for olabel in used[used > 0].tolist())


def _names(grammar: Grammar, pairs: list[tuple[int, int]]) -> list[str]:
    """Name each pair: by its word where it prints what is said, else ``said:printed``."""
    taken: set[str] = set()
    names = []
    for ilabel, olabel in pairs:
        said, printed = grammar.isymbols[ilabel], grammar.osymbols[olabel]
        name = said if said == printed else f"{said}:{printed}"
        while name in taken or name == EPSILON:
            name += "'"
        taken.add(name)
        names.append(name)
    return names


def _printed(pairs: list[tuple[int, int]]) -> npt.NDArray[np.int32]:
    """Return the number that `printed_words` gives to what each pair prints."""
    used = sorted({olabel for _, olabel in pairs if olabel})
    place = {olabel: number for number, olabel in enumerate(used, start=1)}
    return np.array([0, *(place.get(olabel, 0) for _, olabel in pairs)], dtype=np.int32)


def _deterministic(acceptor: Fst, grammar: Grammar, max_states: int) -> Fst:
    if (acceptor.arcs["ilabel"] == 0).any():
        acceptor = ops.remove_epsilons(acceptor)
    if ops.is_deterministic(acceptor):
        return acceptor
    try:
        return ops.determinize(acceptor, max_states=max_states)
    except GraphError as error:
        raise GraphError(
            f"the grammar cannot be determinized ({error.what})", where=grammar.source or None,
            expected=error.expected,
            fix="It seems to give one sentence several costs that drift apart around a loop.",
        ) from None  # fmt: skip
