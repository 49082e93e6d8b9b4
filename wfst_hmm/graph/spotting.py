r"""Grammars that listen for some words among any others: keyword lists, and Vosk's word lists.

In: a keyword list of PocketSphinx (``phrase /threshold/`` a line), or Vosk's JSON list of phrases,
in which ``[unk]`` is any other word. Out: a `Grammar` with *garbage*: words that any phone may
stand for, which the lexicon need not have. `with_garbage` gives them to it.

Public names: `GARBAGE`, `UNKNOWN`, `garbage_silent`, `keyword_grammar`, `read_keywords`,
`spotting_grammar`, `vosk_grammar`, `with_garbage`.

Notes
-----
A loop of phones beside the keywords is the filler of Rose & Paul (1990), *A hidden Markov model
based keyword recognition system*. PocketSphinx (``kws_search.c``) reports a phrase where its
log-likelihood is at most ``-ln(threshold)`` below that of the best path through the loop over the
same frames, in which each phone costs ``-ln(0.1)``. The best path through the loop of both says the
same when a phrase costs ``ln(threshold)`` and each phone of the garbage ``-ln(0.1)``; the compiler of
graphs multiplies both by the model's acoustic scale, as these costs are weighed against scores.
Vosk (``recognizer.cc``) makes a bigram model of its list: words may be combined in any way, and
those of a phrase are likelier one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from wfst_hmm.errors import FormatError
from wfst_hmm.files import read_lines, read_text
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.ngram import UNKNOWN_WORDS, is_reserved
from wfst_hmm.graph.ngram_estimation import estimate_ngrams
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import Grammar

__all__ = [
    "GARBAGE",
    "UNKNOWN",
    "Keyword",
    "garbage_silent",
    "keyword_grammar",
    "read_keywords",
    "spotting_grammar",
    "vosk_grammar",
    "with_garbage",
]

#: One phone of what is none of the words; nothing is printed for it.
GARBAGE = "<garbage>"
#: Vosk's word for any other word; printed.
UNKNOWN = "[unk]"
#: Of a phone in garbage between PocketSphinx's keywords, unscaled (``-kws_plp 1e-1``).
_PHONE = -math.log(0.1)
#: Of a phone in garbage beside whole words, scaled: near the equal error rate of rejection on
#: spoken digits, 4 nats a frame (`search.options.FILLER_WEIGHT`) and some 8 frames a phone.
_OTHER_PHONE = 3.0
_SILENCE = 0.05  # probability after a phone of garbage: between words there may be any number
_LINE = re.compile(r"^(?P<phrase>[^/]*[^/\s])\s*(?:/\s*(?P<threshold>[^/]*?)\s*/)?$")


class _Phones(Protocol):
    @property
    def phones(self) -> tuple[str, ...]: ...

    @property
    def silence_phones(self) -> tuple[str, ...]: ...


def with_garbage(lexicon: Lexicon, grammar: Grammar, model: _Phones) -> Lexicon:
    """Return the lexicon with the grammar's garbage, pronounced as any phone of the model.

    Words that the lexicon has keep their pronunciations.
    """
    words = [word for word in grammar.garbage if word not in lexicon]
    if not words:
        return lexicon
    phones = [phone for phone in model.phones if phone not in model.silence_phones]
    entries = [Entry(word, (phone,), silence=_SILENCE) for word in words for phone in phones]
    return Lexicon([*lexicon, *entries])


@dataclasses.dataclass(frozen=True)
class Keyword:
    """A phrase to listen for, and how much worse than any phones it may be.

    Attributes
    ----------
    words : tuple of str
    threshold : float
        A ratio of likelihoods, above 0: the lower, the more is heard.
    """

    words: tuple[str, ...]
    threshold: float = 1.0


def read_keywords(path: str | Path) -> tuple[tuple[Keyword, ...], tuple[str, ...]]:
    """Read a keyword list of PocketSphinx.

    Returns
    -------
    (keywords, notes)
        Lines that are no phrase and threshold are left out, and named in the notes.

    Raises
    ------
    FormatError
        There is no keyword at all.
    """
    found: list[Keyword] = []
    notes: list[str] = []
    for number, line in read_lines(path):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.match(text)
        threshold = 0.0
        if match is not None:
            try:
                threshold = float(match["threshold"] or "1")
            except ValueError:
                threshold = 0.0
        words = tuple(match["phrase"].split()) if match else ()
        if not 0.0 < threshold < math.inf or any(map(is_reserved, words)):
            notes.append(f"{path}:{number}: not a phrase and its threshold, left out: "
                         f"{text[:60]!r} (expected: hello world /1e-20/)")  # fmt: skip
            continue
        found.append(Keyword(words, threshold))
    if not found:
        raise FormatError("no keyword", where=str(path), got=notes[0] if notes else None,
                          expected="lines such as: hello world /1e-20/")  # fmt: skip
    return tuple(found), tuple(notes)


def keyword_grammar(path: str | Path) -> Grammar:
    """Read a keyword list as a grammar of keywords among garbage."""
    keywords, notes = read_keywords(path)
    return dataclasses.replace(spotting_grammar(keywords, str(path)), notes=notes)


def spotting_grammar(keywords: Iterable[Keyword], source: str = "keywords") -> Grammar:
    """Return the loop of keywords and of phones that are none of them, its costs unscaled.

    Examples
    --------
    >>> grammar = spotting_grammar([Keyword(("go", "on"), 1e-5), Keyword(("go",))])
    >>> grammar.words, grammar.fst.n_states, grammar.garbage
    (('go', 'on'), 2, ('<garbage>',))
    """
    symbols = {GARBAGE: 1}
    rows = [(0, 1, 0, _PHONE, 0)]
    children: dict[tuple[int, int], int] = {}
    ends: dict[int, float] = {}
    n_states = 1
    for keyword in keywords:
        state = 0
        for word in keyword.words:
            label = symbols.setdefault(word, len(symbols) + 1)
            if (state, label) not in children:
                children[state, label] = n_states
                n_states += 1
            state = children[state, label]
        cost = math.log(keyword.threshold)
        ends[state] = min(cost, ends.get(state, math.inf))
    inner = {state for state, _ in children}
    number = {state: i for i, state in enumerate(sorted(inner | {0}))}
    for (state, label), target in children.items():
        if target in inner:
            rows.append((number[state], label, label, 0.0, number[target]))
        if target in ends:  # an end that others continue is an arc of its own
            rows.append((number[state], label, label, ends[target], 0))
    final = [0.0] + [math.inf] * (len(number) - 1)
    source_, ilabel, olabel, weight, target_ = zip(*rows, strict=True)
    table = Symbols(symbols)
    fst = Fst.from_arcs(0, source_, ilabel, olabel, weight, target_, final, table, table)
    return Grammar(fst, source, garbage=(GARBAGE,), unscaled=True)


def vosk_grammar(path: str | Path) -> Grammar:
    """Read Vosk's list of phrases, ``["one two", "three", "[unk]"]``, as its bigram model.

    Raises
    ------
    FormatError
        Not a JSON list of strings, or no phrase is in it.
    """
    try:
        phrases = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"not JSON ({error})", where=f"{path}:{getattr(error, 'lineno', 1)}",
                          expected='["one two", "three", "[unk]"]') from None  # fmt: skip
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise FormatError("not a list of phrases", where=str(path),
                          expected='["one two", "three", "[unk]"]')  # fmt: skip
    texts = [[UNKNOWN if word in UNKNOWN_WORDS else word for word in phrase.split()]
             for phrase in phrases if phrase.strip()]  # fmt: skip
    if not texts:
        raise FormatError("no phrase", where=str(path), expected='["one two", "three", "[unk]"]')
    model = estimate_ngrams(texts, 2, method="witten-bell")
    grammar = Grammar(ngram_to_fst(model), str(path)).without(UNKNOWN_WORDS)
    return _with_unknown(grammar) if UNKNOWN in grammar.words else grammar


def _with_unknown(grammar: Grammar) -> Grammar:
    """Let ``[unk]`` go on over any number of phones: the first prints it, the others nothing."""
    fst = grammar.fst
    isymbols = grammar.isymbols.extended([GARBAGE])
    unknown, garbage = isymbols.ids([UNKNOWN, GARBAGE])
    arcs, source = fst.arcs.copy(), fst.sources()
    opens = arcs["ilabel"] == unknown
    targets = np.unique(arcs["nextstate"][opens])
    inside = fst.n_states + np.searchsorted(targets, arcs["nextstate"][opens])
    arcs["nextstate"][opens] = inside
    arcs["weight"][opens] += _OTHER_PHONE
    states = fst.n_states + np.arange(len(targets))
    zeros = np.zeros(len(targets), dtype=np.int32)
    final = np.concatenate([fst.states["final"], np.full(len(targets), np.inf)])
    made = Fst.from_arcs(
        fst.start,
        np.concatenate([source, states, states]),
        np.concatenate([arcs["ilabel"], zeros + garbage, zeros]),
        np.concatenate([arcs["olabel"], zeros, zeros]),
        np.concatenate([arcs["weight"], zeros + _OTHER_PHONE, zeros]),
        np.concatenate([arcs["nextstate"], states, targets]),
        final, isymbols, grammar.osymbols,
    )  # fmt: skip
    return dataclasses.replace(grammar, fst=made, garbage=(UNKNOWN, GARBAGE))


def garbage_silent(grammar: Grammar) -> Grammar:
    """Return the grammar in which ``<garbage>`` prints nothing and costs as much as other words."""
    if GARBAGE not in grammar.words:
        return grammar
    arcs = grammar.fst.arcs.copy()
    among = arcs["ilabel"] == grammar.isymbols.id(GARBAGE)
    arcs["olabel"][among] = 0
    arcs["weight"][among] += _OTHER_PHONE
    fst = dataclasses.replace(grammar.fst, arcs=arcs)
    return dataclasses.replace(grammar, fst=fst, garbage=(GARBAGE,))
