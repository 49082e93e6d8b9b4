"""Checks of a grammar's words against a lexicon's, and of what can be spoken at all.

In: a `Grammar`, and a `Lexicon` or L as a transducer. Out: findings.

Public names: `vocabulary_findings`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, Symbols
from wfst_hmm.graph.findings import Finding, shown
from wfst_hmm.graph.lexicon import Lexicon, format_missing
from wfst_hmm.graph.ngram import UNKNOWN_WORDS
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.sentences import n_spelled, shortest_sentence
from wfst_hmm.orthography import Spellings

__all__ = ["vocabulary_findings"]


def vocabulary_findings(
    lexicon: Lexicon | None, grammar: Grammar, l_fst: Fst | None
) -> Iterator[Finding]:
    """Yield words that one side lacks, and the shortest sentence when none can be spelled."""
    name = grammar.source or "G"
    known = (
        _words_of(l_fst) if l_fst is not None else dict.fromkeys(lexicon.words if lexicon else ())
    )
    used = grammar.words
    spellings = Spellings(known)
    found = {word: spellings.find(word) for word in used}
    missing = [word for word in used if found[word] is None and not _unknown(word, grammar)]
    if missing:
        listed = shown(missing) if lexicon is None else format_missing(
            lexicon.missing(missing)[:20] or Lexicon(()).missing(missing)[:20])  # fmt: skip
        yield Finding("words-not-in-lexicon", "error",
                      f"{len(missing)} of {len(used)} words of the grammar are not in the lexicon: "
                      f"{listed}", name,
                      "Add them to the lexicon, guess them with a G2P model, or leave them out.")  # fmt: skip
    in_grammar = frozenset(found.values())
    unused = [word for word in known if word not in in_grammar and not word.startswith("#0")]
    if unused:
        yield Finding("words-not-in-grammar", "note",
                      f"{len(unused)} of {len(known)} words of the lexicon do not occur in the "
                      f"grammar: {shown(unused)}", "lexicon",
                      "Nothing to do if that is meant: they take no room in the graph.")  # fmt: skip
    yield from _unspoken(grammar, missing, l_fst)


def _unknown(word: str, grammar: Grammar) -> bool:
    """Tell whether `word` is an n-gram model's word for all others, which nobody speaks."""
    return grammar.has_backoff and word in UNKNOWN_WORDS


def _words_of(l_fst: Fst) -> dict[str, None]:
    used = np.unique(l_fst.arcs["olabel"])
    return dict.fromkeys(l_fst.osymbols.strings(used) if l_fst.osymbols is not None else ())


def _unspoken(grammar: Grammar, missing: list[str], l_fst: Fst | None) -> Iterator[Finding]:
    """Show the shortest sentence that L cannot spell and where it breaks, when all are like it."""
    symbols, name = grammar.isymbols, grammar.source or "G"
    backoff = {symbols.id(BACKOFF)} if grammar.has_backoff else set()
    if l_fst is None:
        absent = frozenset(symbols.ids(missing))
        labels = None if not missing or _any_sentence(grammar, missing) else shortest_sentence(
            grammar.fst, silent={0, *backoff})  # fmt: skip
        broken = next((i for i, x in enumerate(labels or ()) if x in absent), 0)
        words = [symbols[x] for x in labels or () if x not in backoff]
        word = symbols[labels[broken]] if labels else ""
    else:
        labels = None if _composes(l_fst, grammar) else shortest_sentence(
            grammar.fst, silent={0, *backoff})  # fmt: skip
        words, word = [symbols[x] for x in labels or ()], ""
        if labels:
            table = l_fst.osymbols
            ids = [table.id(w) if table is not None and w in table else -1 for w in words]
            broken = n_spelled(l_fst, ids)
            word = words[broken] if broken < len(words) else "the end of the sentence"
    if labels is not None:
        yield Finding("nothing-spoken", "error",
                      f"no sentence of the grammar can be spelled; the shortest, "
                      f"{' '.join(words)!r}, breaks at {word!r}", name,
                      f"Give {word!r} a pronunciation that L can read there.")  # fmt: skip


def _any_sentence(grammar: Grammar, missing: list[str]) -> bool:
    try:
        grammar.without(missing)
    except GraphError:
        return False
    return True


def _composes(l_fst: Fst, grammar: Grammar) -> bool:
    """Tell whether L ∘ G has a path, by names: each may number the words in its own way."""
    from wfst_hmm.fst import ops

    symbols = l_fst.osymbols or Symbols(())
    table = np.zeros(len(grammar.isymbols), dtype=np.int32)
    for label, word in enumerate(grammar.isymbols):
        table[label] = symbols.id(word) if word in symbols else len(symbols)
    fst = grammar.fst
    kept = table[fst.arcs["ilabel"]] < len(symbols)
    label = table[fst.arcs["ilabel"][kept]]
    g_fst = Fst.from_arcs(fst.start, fst.sources()[kept], label, label, fst.arcs["weight"][kept],
                          fst.arcs["nextstate"][kept], fst.states["final"])  # fmt: skip
    return bool(ops.compose(l_fst.with_symbols(None, None), g_fst).n_states)
