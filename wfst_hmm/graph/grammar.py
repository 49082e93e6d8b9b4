"""Grammars by name: whatever a user may call a grammar, told apart and read.

In: a file of any kind of grammar that `kinds.KINDS` knows, or a specification such as ``loop`` or
``length:4``. Out: `Grammar`.

Public names: `read_grammar`, `grammar_from_spec`, `built_in`, `is_spec`; and what the table of kinds calls:
`fst_grammar`, `fsg_grammar`, `jsgf_grammar`, `ngram_grammar`, `srgs_grammar`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wfst_hmm.errors import UsageError
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.oov import SILENCE_WORDS, UNKNOWN_WORDS, with_known_words
from wfst_hmm.graph.phrases import Grammar, fixed_length, word_list, word_loop
from wfst_hmm.kinds import kind_for, read_as, reader_of

__all__ = [
    "built_in",
    "fsg_grammar",
    "fst_grammar",
    "grammar_from_spec",
    "is_spec",
    "jsgf_grammar",
    "ngram_grammar",
    "read_grammar",
    "srgs_grammar",
]  # fmt: skip

_SPEC = re.compile(r"^(?P<kind>loop|words|length)(?::(?P<value>.*))?$")


def read_grammar(path: str | Path, **options: Any) -> Grammar:
    """Read a grammar file of any kind that `kinds.KINDS` lists, told by its content.

    Parameters
    ----------
    path : path
    **options
        Of the kind's own reader: ``isymbols``, ``osymbols`` and ``acceptor`` of FSTs.

    Raises
    ------
    FormatError
        It is no grammar: the message says what it is, and which command takes it.
    UsageError
        An option that this kind of grammar does not know.
    """
    options = {name: value for name, value in options.items() if value is not None}
    kind = kind_for(path, "grammar", "a grammar or language model")
    if options and "FST" not in kind.name:
        raise UsageError(f"{kind.a} has no symbol tables or columns to be told", where=str(path),
                         got=", ".join(options), fix="Leave them out.")  # fmt: skip
    made: Grammar = reader_of(kind, "grammar")(path, **options)
    return made


def fst_grammar(path: str | Path, **options: Any) -> Grammar:
    """Read an FST of OpenFst, binary or text; ``words.txt`` beside it is found."""
    from wfst_hmm.fst.tables import read_any_fst

    found = read_any_fst(path, **options)
    return Grammar(found.fst, str(path), found.notes)


def ngram_grammar(path: str | Path) -> Grammar:
    """Read an n-gram model, ARPA or of Sphinx."""
    from wfst_hmm.graph.ngram_fst import ngram_to_fst

    return Grammar(ngram_to_fst(read_as(path, "language model")), str(path))


def jsgf_grammar(path: str | Path) -> Grammar:
    """Read a JSGF grammar with its imports."""
    from wfst_hmm.graph.jsgf import read_jsgf
    from wfst_hmm.graph.tags import tag_machine

    found = read_jsgf(path)
    return Grammar(found.to_fst(), str(path), found.notes, meaning=tag_machine(found))


def srgs_grammar(path: str | Path) -> Grammar:
    """Read an SRGS grammar, XML or ABNF, with the files that it refers to."""
    from wfst_hmm.graph.spotting import garbage_silent
    from wfst_hmm.graph.srgs import read_srgs
    from wfst_hmm.graph.tags import tag_machine

    found = read_srgs(path)
    return garbage_silent(Grammar(found.to_fst(), str(path), meaning=tag_machine(found)))


def fsg_grammar(path: str | Path) -> Grammar:
    """Read a Sphinx FSG."""
    from wfst_hmm.graph.fsg import read_fsg

    return Grammar(read_fsg(path), str(path))


def grammar_from_spec(
    spec: str,
    lexicon: Lexicon,
    *,
    silence_phones: Sequence[str] = (),
    on_oov: str | None = "raise",
    **reading: Any,
) -> Grammar:
    """Return the grammar that a command line names.

    Parameters
    ----------
    spec : str
        A path (see `read_grammar`), or over the words of the lexicon: ``loop`` (any sequence),
        ``words`` (one word), ``length:4`` or ``length:3-7`` (so many words). ``loop:1.5`` sets
        the cost of each word in nats.
    lexicon : Lexicon
    silence_phones : sequence of str
        Words that consist of these only are no words of a built-in grammar, nor, where there
        are any, those that lexicons have for silence and unknown words (``<SIL>``, ``<UNK>`` ...).
    on_oov : {"raise", "skip", "guess", "unk"}, optional
        What to do about words of a file that the lexicon lacks (`graph.oov.OovOptions`); None
        leaves them to `graph.oov.grammar_vocabulary`.
    **reading
        As for `read_grammar`.

    Raises
    ------
    UsageError
        Neither a file nor a specification.
    DataError
        Words that the lexicon lacks, all listed with their nearest spellings.
    """
    if not is_spec(spec):
        if not Path(spec).exists():
            raise UsageError(
                "no such grammar", got=repr(spec),
                expected="a file, or loop, loop:COST, words, length:N or length:N-M",
            )  # fmt: skip
        grammar = read_grammar(spec, **reading)
        return grammar if on_oov is None else with_known_words(grammar, lexicon, on_oov)
    silent = frozenset(silence_phones)
    marks = (*SILENCE_WORDS, *UNKNOWN_WORDS) if silent else ()
    named = {word for word in marks if not word.isalpha()}
    words = [
        word for word in lexicon.words if word not in named
        and not all(silent.issuperset(entry.phones) for entry in lexicon.prons(word))
    ]  # fmt: skip
    return built_in(spec, words)


def is_spec(spec: str) -> bool:
    """Tell whether a text names a built-in grammar, not a file."""
    return _SPEC.match(spec) is not None


def built_in(spec: str, words: Sequence[str]) -> Grammar:
    """Return the grammar over `words` that ``loop``, ``words``, ``length:4`` ... names.

    Raises
    ------
    UsageError
        It names none, or its value is impossible.
    """
    match = _SPEC.match(spec)
    if match is None:
        raise UsageError("no such grammar", got=repr(spec),
                         expected="loop, loop:COST, words, length:N or length:N-M")  # fmt: skip
    kind, value = match["kind"], match["value"]
    if kind == "length":
        lengths = re.match(r"^(\d{1,4})(?:-(\d{1,4}))?$", value or "")
        if lengths is None:
            raise UsageError("no length of a word sequence", got=repr(spec),
                             expected="length:4 or length:3-7")  # fmt: skip
        return fixed_length(words, int(lengths[1]), int(lengths[2] or lengths[1]))
    if kind == "words":
        if value is not None:
            raise UsageError("the grammar words takes no value", got=repr(spec))
        return word_list(words)
    if value is None:
        return word_loop(words)
    try:
        cost = float(value)
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost):
        raise UsageError("not a cost of a word in nats", got=repr(spec), expected="loop:1.5")
    return dataclasses.replace(word_loop(words, dict.fromkeys(words, cost)), source=spec)
