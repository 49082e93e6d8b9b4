"""The text of one JSGF grammar, parsed.

In: the text. Out: its name, imports and rules, every piece with its line and column.

The language: Java Speech Grammar Format 1.0 (Sun Microsystems, 1998): weights ``/2/``, groups,
``[optional]``, ``x*``, ``x+``, ``{tags}``, ``<rule>`` references, ``"quoted words"``, comments.

Public names: `parse_jsgf`, `header_encoding`, `ParsedGrammar`, `Rule`, `Place`, and the kinds of `Expansion`:
`Word`, `Reference`, `Sequence`, `Choice`, `Optional`, `Repeat`, `Tagged`; `walk` and `renamed`; and
`GrammarParser`, which other notations of the same expressions share.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from wfst_hmm.errors import FormatError
from wfst_hmm.graph.ngram import is_reserved
from wfst_hmm.orthography import fields

__all__ = [
    "Choice",
    "Expansion",
    "GrammarParser",
    "Optional",
    "ParsedGrammar",
    "Place",
    "Reference",
    "Repeat",
    "Rule",
    "Sequence",
    "Tagged",
    "Word",
    "header_encoding",
    "parse_jsgf",
    "renamed",
    "walk",
]

MAX_NESTING = 64  # brackets within brackets; a grammar that nests deeper is a mistake

_PIECES = re.compile(
    r"""
    (?P<space>\s+ | //[^\n]* )
  | (?P<comment>/\*)
  | (?P<weight>/\s*(?P<number>[0-9]{1,15}(?:\.[0-9]{0,15})?(?:[eE][-+]?[0-9]{1,2})?
                    |\.[0-9]{1,15}(?:[eE][-+]?[0-9]{1,2})?)\s*f?/)
  | <\s*(?P<rule>[^\s<>]{1,1000})\s*>
  | "(?P<quoted>[^"\\\n]*(?:\\.[^"\\\n]*)*)"
  | \{(?P<tag>[^\\}]*(?:\\.[^\\}]*)*)\}
  | (?P<mark>[;=|*+()\[\]])
  | (?P<word>[^\s;=|*+<>()\[\]{}/"]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_HEADER = re.compile(r"\s*#JSGF[ \t]+V1\.0(?:[ \t]+(?P<encoding>[^\s;]+))?(?:[ \t]+[^\s;]+)?[ \t]*;",
                     re.IGNORECASE)  # fmt: skip


class Place(NamedTuple):
    """A place in a grammar file, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclasses.dataclass(frozen=True)
class Word:
    """One word to be spoken."""

    text: str


@dataclasses.dataclass(frozen=True)
class Reference:
    """``<name>``; ``NULL`` is the empty phrase and ``VOID`` can never be spoken."""

    name: str
    place: Place


@dataclasses.dataclass(frozen=True)
class Sequence:
    """One after the other; possibly none."""

    items: tuple[Expansion, ...]


@dataclasses.dataclass(frozen=True)
class Choice:
    """One of several; weights as written, or None."""

    items: tuple[Expansion, ...]
    weights: tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class Optional:
    """``[x]``."""

    item: Expansion


@dataclasses.dataclass(frozen=True)
class Repeat:
    """``x*`` (`at_least` 0) or ``x+`` (1)."""

    item: Expansion
    at_least: int


@dataclasses.dataclass(frozen=True)
class Tagged:
    """``x {tag} {tag}``; tags say what a phrase means, not what is spoken."""

    item: Expansion
    tags: tuple[str, ...]


Expansion: TypeAlias = Word | Reference | Sequence | Choice | Optional | Repeat | Tagged


@dataclasses.dataclass(frozen=True)
class Rule:
    """``public <name> = expansion;``."""

    name: str
    expansion: Expansion
    public: bool
    place: Place


@dataclasses.dataclass(frozen=True)
class ParsedGrammar:
    """One file: its full name, what it imports, its rules in order, what was put up with."""

    name: str
    imports: tuple[Reference, ...]
    rules: dict[str, Rule]
    notes: tuple[str, ...] = ()


def parse_jsgf(text: str, file: str = "JSGF") -> ParsedGrammar:
    """Parse the text of a grammar.

    Parameters
    ----------
    text : str
    file : str
        What to call it in messages.

    Raises
    ------
    FormatError
        The text is no JSGF; the message names line and column.
    """
    header = _HEADER.match(text)
    if not header:
        raise FormatError("not a JSGF grammar", where=f"{file}:1:1", got=repr(text[:20]),
                          expected="'#JSGF V1.0;' first")  # fmt: skip
    return GrammarParser(text, file, header.end()).grammar()


def header_encoding(data: bytes) -> str | None:
    """Return the character encoding that a grammar's first line names, if any."""
    header = _HEADER.match(data[:200].decode("latin-1"))
    return header["encoding"] if header else None


class _Piece(NamedTuple):
    kind: str  # "rule", "quoted", "tag", "word", "weight", "mark" or "end"
    text: str
    place: Place


class GrammarParser:
    """Recursive descent over the pieces of a text."""

    pieces_of = _PIECES
    starts: tuple[str, ...] = ("word", "quoted", "rule")  # kinds of pieces that begin an item

    def __init__(self, text: str, file: str, start: int) -> None:
        self.text, self.file_name = text, file
        self.notes: list[str] = []
        if text[:start].lstrip() != text[:start]:
            self.notes.append(f"{file}: blank lines before the header")
        self.pieces = self._scan(start)
        self.piece = next(self.pieces)
        self.depth = 0

    def _scan(self, at: int) -> Iterator[_Piece]:
        text = self.text
        line, line_start = 1 + text.count("\n", 0, at), text.rfind("\n", 0, at) + 1
        while at < len(text):
            found = self.pieces_of.match(text, at)
            place = Place(self.file_name, line, at - line_start + 1)
            if not found:
                raise self._unreadable(at, place)
            end = found.end()
            kind = found.lastgroup or ""
            if kind == "comment":
                end = text.find("*/", at + 2) + 2
                if end < 2:
                    raise FormatError("a comment that never ends", where=str(place),
                                      expected="*/")  # fmt: skip
            elif kind != "space":
                yield _Piece(kind, found["number"] if kind == "weight" else found[kind], place)
            n_newlines = text.count("\n", at, end)
            if n_newlines:
                line, line_start = line + n_newlines, text.rfind("\n", at, end) + 1
            at = end
        yield _Piece("end", "the end of the file", Place(self.file_name, line, at - line_start + 1))

    def _unreadable(self, at: int, place: Place) -> FormatError:
        wanted = {
            "<": "a rule name and '>'", '"': "the closing quote in the same line",
            "{": "a tag that ends with '}'", "/": "a weight such as /0.5/, or a comment",
        }  # fmt: skip
        return FormatError("cannot read on", where=str(place), got=repr(self.text[at : at + 20]),
                           expected=wanted.get(self.text[at]),
                           fix="A word with special characters needs quotes.")  # fmt: skip

    def error(self, what: str, **more: Any) -> FormatError:
        """Return an error at the piece that is next."""
        return FormatError(what, where=str(self.piece.place), **more)

    def at_mark(self, mark: str) -> bool:
        """Tell whether this mark is next."""
        return self.piece.kind == "mark" and self.piece.text == mark

    def take(self) -> _Piece:
        """Return the next piece and pass it."""
        piece = self.piece
        self.piece = next(self.pieces, piece)
        return piece

    def expect(self, kind: str, text: str | None = None) -> _Piece:
        """Return the next piece and pass it; another kind, or text, is an error."""
        if self.piece.kind != kind or (text is not None and self.piece.text != text):
            raise self.error("unexpected text", got=repr(self.piece.text[:40]),
                             expected=repr(text) if text else f"a {kind}")  # fmt: skip
        return self.take()

    def grammar(self) -> ParsedGrammar:
        """Parse all that follows the header."""
        self.expect("word", "grammar")
        name = self.expect("word").text
        self.expect("mark", ";")
        imports: list[Reference] = []
        rules: dict[str, Rule] = {}
        while self.piece.kind != "end":
            if self.piece.kind == "word" and self.piece.text == "import":
                self.take()
                imported = self.expect("rule")
                if "." not in imported.text.strip("."):
                    raise FormatError("an import without a grammar's name",
                                      where=str(imported.place), got=f"<{imported.text}>",
                                      expected="<grammar.rule> or <grammar.*>")  # fmt: skip
                imports.append(Reference(imported.text, imported.place))
                self.expect("mark", ";")
                continue
            rule = self._rule()
            if rule.name in rules:
                raise FormatError(f"rule <{rule.name}> is defined twice", where=str(rule.place),
                                  got=f"first at {rules[rule.name].place}")  # fmt: skip
            rules[rule.name] = rule
        return ParsedGrammar(name, tuple(imports), rules, tuple(self.notes))

    def _rule(self) -> Rule:
        public = self.piece.kind == "word" and self.piece.text == "public"
        if public:
            self.take()
        if self.piece.kind != "rule":
            raise self.error("unexpected text", got=repr(self.piece.text[:40]),
                             expected="a rule '<name> = ...;' or an import")  # fmt: skip
        name = self.take()
        if name.text in ("NULL", "VOID"):
            raise FormatError(f"<{name.text}> has its own meaning", where=str(name.place),
                              fix="Choose another name.")  # fmt: skip
        self.expect("mark", "=")
        expansion = self.choice()
        self.expect("mark", ";")
        return Rule(name.text, expansion, public, name.place)

    def choice(self) -> Expansion:
        """Parse alternatives, with weights before all or none."""
        start = self.piece
        items: list[Expansion] = []
        weights = []
        while True:
            weights.append(float(self.take().text) if self.piece.kind == "weight" else None)
            items.append(self.sequence(in_choice=bool(items)))
            if not self.at_mark("|"):
                break
            self.take()
        given = tuple(weight for weight in weights if weight is not None)
        if not given:
            return items[0] if len(items) == 1 else Choice(tuple(items), None)
        if len(given) < len(items):
            raise FormatError("weights must stand before all alternatives or before none",
                              where=str(start.place), got=f"{len(given)} of {len(items)}")  # fmt: skip
        if not 0 < sum(given) < math.inf:
            raise FormatError("all weights are zero", where=str(start.place))
        return Choice(tuple(items), given)

    def sequence(self, *, in_choice: bool = False) -> Expansion:
        """Parse items one after the other."""
        items: list[Expansion] = []
        while self.piece.kind in self.starts or self.at_mark("(") or self.at_mark("["):
            items += self.item()
        if not items:
            if not (self.at_mark("|") or self.at_mark(")") or self.at_mark("]") or in_choice):
                raise self.error(
                    "an empty alternative", got=repr(self.piece.text[:40]),
                    expected="words, <rule>, (...) or [...]", fix="Write <NULL> for nothing.",
                )  # fmt: skip
            self.notes.append(f"{self.piece.place}: an empty alternative, read as nothing said")
            return Reference("NULL", self.piece.place)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def item(self) -> list[Expansion]:
        """Parse one item with its repetition and tags."""
        item = self.primary()
        if self.at_mark("*") or self.at_mark("+"):
            item = [Repeat(_one(item), 0 if self.take().text == "*" else 1)]
        tags = []
        while self.piece.kind == "tag":
            tags.append(re.sub(r"\\(.)", r"\1", self.take().text.strip(), flags=re.DOTALL))
        return [Tagged(_one(item), tuple(tags))] if tags else item

    def primary(self) -> list[Expansion]:
        """Parse words, a reference or what is in brackets."""
        piece = self.take()
        if piece.kind == "rule":
            return [Reference(piece.text, piece.place)]
        if piece.kind == "mark":
            self.depth += 1
            if self.depth > MAX_NESTING:
                raise FormatError(f"brackets nested deeper than {MAX_NESTING}",
                                  where=str(piece.place), fix="Name the inner parts as rules.")  # fmt: skip
            inner = self.choice()
            self.expect("mark", ")" if piece.text == "(" else "]")
            self.depth -= 1
            return [Optional(inner) if piece.text == "[" else inner]
        text = piece.text
        if piece.kind == "quoted":
            text = re.sub(r"\\(.)", r"\1", text)
        words = fields(text)  # a quoted phrase is spoken as its words, one after the other
        for word in words:
            if is_reserved(word):
                raise FormatError(f"the word {word!r} is reserved", where=str(piece.place))
        if not words:
            raise FormatError("an empty word", where=str(piece.place),
                              fix="Write <NULL> for nothing.")  # fmt: skip
        return [Word(word) for word in words]


def _one(items: list[Expansion]) -> Expansion:
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def walk(expansion: Expansion) -> Iterator[Expansion]:
    """Yield every part of an expansion, in reading order."""
    waiting = [expansion]
    while waiting:
        piece = waiting.pop()
        yield piece
        if isinstance(piece, (Sequence, Choice)):
            waiting.extend(reversed(piece.items))
        elif isinstance(piece, (Optional, Repeat, Tagged)):
            waiting.append(piece.item)


def renamed(expansion: Expansion, names: dict[str, str], slots: set[str]) -> Expansion:
    """Return the expansion with its references under their full names, slots as words."""
    if isinstance(expansion, Reference):
        if expansion.name in slots:
            return Word(f"${expansion.name}")
        return dataclasses.replace(expansion, name=names.get(expansion.name, expansion.name))
    if isinstance(expansion, (Sequence, Choice)):
        items = tuple(renamed(item, names, slots) for item in expansion.items)
        return dataclasses.replace(expansion, items=items)
    if isinstance(expansion, (Optional, Repeat, Tagged)):
        return dataclasses.replace(expansion, item=renamed(expansion.item, names, slots))
    return expansion
