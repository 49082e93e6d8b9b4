"""Grammars by name: whatever a user may call a grammar, told apart and read.

In: a file of any kind that `READERS` knows, or a specification such as ``loop`` or
``length:4``. Out: `Grammar`.

Public names: `READERS`, `Reader`, `read_grammar`, `grammar_from_spec`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.fst.binary import FST_MAGIC, read_fst
from wfst_hmm.fst.text import read_fst_text
from wfst_hmm.graph.lexicon import Lexicon, format_missing
from wfst_hmm.graph.phrases import Grammar, fixed_length, read_phrases, word_list, word_loop

__all__ = ["READERS", "Reader", "grammar_from_spec", "read_grammar"]

_SPEC = re.compile(r"^(?P<kind>loop|words|length)(?::(?P<value>.*))?$")
_HEAD_BYTES = 1 << 16


def _read_text_fst(path: Path) -> Grammar:
    return Grammar(read_fst_text(path), str(path))


def _read_binary_fst(path: Path) -> Grammar:
    return Grammar(read_fst(path), str(path))


def _read_arpa(path: Path) -> Grammar:
    from wfst_hmm.graph.arpa import read_arpa
    from wfst_hmm.graph.ngram_fst import ngram_to_fst

    return Grammar(ngram_to_fst(read_arpa(path)), str(path))


def _read_lm_bin(path: Path) -> Grammar:
    from wfst_hmm.graph.lm_bin import read_lm_bin
    from wfst_hmm.graph.ngram_fst import ngram_to_fst

    return Grammar(ngram_to_fst(read_lm_bin(path)), str(path))


def _read_jsgf(path: Path) -> Grammar:
    from wfst_hmm.graph.jsgf import read_jsgf

    return Grammar(read_jsgf(path).to_fst(), str(path))


def _read_fsg(path: Path) -> Grammar:
    from wfst_hmm.graph.fsg import read_fsg

    return Grammar(read_fsg(path), str(path))


@dataclasses.dataclass(frozen=True)
class Reader:
    """One kind of grammar file.

    Attributes
    ----------
    name : str
        Shown in messages.
    matches : callable (file name without ``.gz``, first bytes, unpacked) -> bool
    read : callable (path) -> Grammar
    """

    name: str
    matches: Callable[[str, bytes], bool]
    read: Callable[[Path], Grammar]


#: Kinds of grammar files; the first that matches reads the file, the last matches always.
READERS: list[Reader] = [
    Reader("OpenFst binary", lambda _, head: head.startswith(FST_MAGIC), _read_binary_fst),
    Reader("Sphinx .fsg", lambda name, head: name.endswith(".fsg") or head.startswith(b"FSG_BEGIN"),
           _read_fsg),
    Reader("Sphinx .lm.bin", lambda _, head: head.startswith(b"Trie Language Model"), _read_lm_bin),
    Reader("ARPA", lambda name, head: name.endswith((".arpa", ".lm")) or _has_arpa_mark(head),
           _read_arpa),
    Reader("JSGF", lambda name, head: name.endswith((".gram", ".jsgf")) or b"#JSGF" in head[:64],
           _read_jsgf),
    Reader("OpenFst text", lambda name, _: name.endswith((".fst.txt", ".fsttxt", ".att")),
           _read_text_fst),
    Reader("phrase list", lambda name, head: True, read_phrases),
]  # fmt: skip


def _has_arpa_mark(head: bytes) -> bool:
    return re.search(rb"(?m)^\\data\\\s*$", head) is not None


def read_grammar(path: str | Path) -> Grammar:
    """Read a grammar file of any kind that `READERS` lists, told by its name and first bytes."""
    path = Path(path)
    head = _head(path)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".fst") and not head.startswith(FST_MAGIC):
        raise FormatError("not an OpenFst file", where=str(path),
                          fix="Name OpenFst's text form .fst.txt.")  # fmt: skip
    return next(reader for reader in READERS if reader.matches(name, head)).read(path)


def _head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked when it is gzip."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FormatError(f"cannot be read ({reason})", where=str(path),
                          fix="Check the path.") from None  # fmt: skip
    except zlib.error as error:
        raise FormatError(f"damaged gzip stream ({error})", where=str(path)) from None
    return head


def grammar_from_spec(
    spec: str,
    lexicon: Lexicon,
    *,
    silence_phones: Sequence[str] = (),
    on_oov: Literal["raise", "skip"] = "raise",
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
        Words that consist of these only are no words of a built-in grammar.
    on_oov : {"raise", "skip"}
        What to do about words of a file that the lexicon lacks: refuse, or leave out the
        sentences that use them. ``<unk>`` of an n-gram model is always left out.

    Raises
    ------
    UsageError
        Neither a file nor a specification.
    DataError
        Words that the lexicon lacks, all listed with their nearest spellings.
    """
    match = _SPEC.match(spec)
    if match is None:
        if not Path(spec).exists():
            raise UsageError(
                "no such grammar", got=repr(spec),
                expected="a file, or loop, loop:COST, words, length:N or length:N-M",
            )  # fmt: skip
        return _known_words_only(read_grammar(spec), lexicon, on_oov)
    silent = frozenset(silence_phones)
    words = [
        word for word in lexicon.words
        if not all(silent.issuperset(entry.phones) for entry in lexicon.prons(word))
    ]  # fmt: skip
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


def _known_words_only(
    grammar: Grammar, lexicon: Lexicon, on_oov: Literal["raise", "skip"]
) -> Grammar:
    missing = lexicon.missing(grammar.words)
    silently = [m.word for m in missing if m.word.lower() == "<unk>" and grammar.has_backoff]
    others = [m for m in missing if m.word not in silently]
    if others and on_oov == "raise":
        raise DataError(
            f"the lexicon lacks {len(others)} word{'s' * (len(others) > 1)} of the grammar: "
            + format_missing(others),
            where=grammar.source, fix="Add them to the lexicon, or leave them out (skip).",
        )  # fmt: skip
    return grammar.without(m.word for m in missing) if missing else grammar
