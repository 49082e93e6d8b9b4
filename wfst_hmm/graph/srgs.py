"""SRGS grammars of the W3C, in both forms: XML (``.grxml``) and ABNF (``.gram``).

In: a path. Out: a `JsgfGrammar`: rules whose references all lead somewhere, with files that they
refer to, relative to the file that names them.

The language: Speech Recognition Grammar Specification 1.0 (W3C, 2004). ``$GARBAGE`` takes any
phones (`graph.spotting`). Semantic tags are read and kept in the rules; languages, lexicons, meta
data and examples do not change what is said. Grammars of keys (DTMF) are refused, and of XML any
document type with declarations of its own: a stranger's file must not expand entities.

Public names: `read_srgs`.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wfst_hmm.errors import FormatError
from wfst_hmm.files import as_text, read_bytes
from wfst_hmm.graph.jsgf import MAX_BYTES, MAX_FILES, JsgfGrammar
from wfst_hmm.graph.jsgf_parser import (
    MAX_NESTING,
    Choice,
    Expansion,
    GrammarParser,
    Optional,
    Place,
    Reference,
    Repeat,
    Rule,
    Sequence,
    Tagged,
    Word,
    renamed,
    walk,
)
from wfst_hmm.graph.ngram import is_reserved
from wfst_hmm.graph.spotting import GARBAGE

__all__ = ["read_srgs"]

MAX_REPEATS = 1000
_HEADER = re.compile(r"\s*#ABNF[ \t]+1\.0(?:[ \t]+(?P<encoding>[^\s;]+))?[ \t]*;")
_SPECIAL = ("NULL", "VOID", "GARBAGE")


class _File(NamedTuple):
    """One file: its rules by name, and the one that stands for the whole."""

    rules: dict[str, Rule]
    root: str | None


def read_srgs(path: str | Path) -> JsgfGrammar:
    """Read a grammar file and the files that it refers to.

    Returns
    -------
    JsgfGrammar
        Its public rule is the root, or without a root every public rule. Rules are called
        ``NUMBER.NAME``, by the number of their file.

    Raises
    ------
    FormatError
        A file is missing or no SRGS, a reference leads nowhere, a grammar is of keys; the message
        names file and line.
    """
    path = Path(path)
    files: list[_File] = []
    numbers: dict[Path, int] = {}

    def load(file: Path, place: Place | None) -> int:
        key = file.resolve()
        if key not in numbers:
            if len(files) >= MAX_FILES:
                raise FormatError(
                    f"refers to more than {MAX_FILES} files", where=str(place or file)
                )
            numbers[key] = len(files)
            files.append(_parsed(file))
            folders.append(file.parent)
        return numbers[key]

    folders: list[Path] = []
    first = load(path, None)
    root = files[first].root
    names = (
        [root] if root is not None else [r.name for r in files[first].rules.values() if r.public]
    )
    if root is not None and root not in files[first].rules:
        raise FormatError(f"no rule {root!r}, which is to be the root", where=str(path),
                          expected=" ".join(files[first].rules)[:80])  # fmt: skip
    if not names:
        raise FormatError("no root and no public rule", where=str(path),
                          fix='Name the rule that is spoken: root="...".')  # fmt: skip
    chosen = tuple(f"{first}.{name}" for name in names)
    rules: dict[str, Rule] = {}
    waiting = [(first, name) for name in reversed(names)]
    while waiting:
        number, name = waiting.pop()
        if f"{number}.{name}" in rules:
            continue
        rule = files[number].rules[name]
        full: dict[str, str] = {}
        for piece in walk(rule.expansion):
            if not isinstance(piece, Reference) or piece.name in _SPECIAL:
                continue
            file_name, _, target = piece.name.partition("#")
            home = load(folders[number] / file_name, piece.place) if file_name else number
            target = target or files[home].root or ""
            if target not in files[home].rules:
                raise FormatError(f"no rule {target or piece.name!r}", where=str(piece.place),
                                  fix="Define it, or name its file: other.grxml#rule.")  # fmt: skip
            full[piece.name] = f"{home}.{target}"
            waiting.append((home, target))
        rules[f"{number}.{name}"] = Rule(name, renamed(rule.expansion, full, set()), rule.public,
                                         rule.place)  # fmt: skip
    return JsgfGrammar(path.stem, rules, chosen)


def _parsed(path: Path) -> _File:
    data = read_bytes(path, MAX_BYTES)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#ABNF") or data[:2] in (b"\xff\xfe",
                                                                          b"\xfe\xff"):  # fmt: skip
        header = _HEADER.match(data[:200].decode("latin-1"))
        text = as_text(data, path, (header and header["encoding"]) or "utf-8")
        if match := _HEADER.match(text):
            return _AbnfParser(text, str(path), match.end()).file()
    return _XmlReader(str(path)).file(data)


def _repeated(item: Expansion, low: int, high: int | None, share: float | None) -> Expansion:
    """Return `item` so many times; `share` is the probability of each turn beyond the least."""
    again: Expansion | None = Repeat(item, 0) if high is None else None
    for _ in range(0 if high is None else high - low):
        inner = item if again is None else Sequence((item, again))
        again = Optional(inner)
        if share is not None:
            again = Choice((inner, Sequence(())), (share, 1.0 - share))
    items = [item] * low + ([again] if again is not None else [])
    return items[0] if len(items) == 1 else Sequence(tuple(items))


def _limits(text: str, where: str) -> tuple[int, int | None]:
    match = re.fullmatch(r"\s*(\d{1,4})\s*(?:(-)\s*(\d{1,4})?)?\s*", text)
    low, high = (int(match[1]), int(match[3]) if match[3] else None) if match else (0, 0)
    if match and not match[2]:
        high = low
    if match is None or max(low, high or 0) > MAX_REPEATS or (high is not None and high < low):
        raise FormatError("not a number of repetitions", where=where, got=repr(text[:20]),
                          expected=f"0-1, 2, 1- ... up to {MAX_REPEATS}")  # fmt: skip
    return low, high


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise FormatError("not a weight", where=where, got=repr(text[:20]), expected="such as 0.5")
    return value


def _words(text: str, where: str) -> list[Expansion]:
    for word in text.split():
        if is_reserved(word):
            raise FormatError(f"the word {word!r} is reserved", where=where)
    return [Word(word) for word in text.split()]


def _garbage() -> Expansion:
    return Repeat(Word(GARBAGE), 0)


class _Element:
    """An XML element that is open: what it is, and what is in it so far."""

    def __init__(self, name: str, attributes: Mapping[str, str], place: Place) -> None:
        self.name, self.attributes, self.place = name, attributes, place
        self.items: list[Expansion] = []
        self.weights: list[float] = []
        self.text = ""

    def whole(self) -> Expansion:
        return self.items[0] if len(self.items) == 1 else Sequence(tuple(self.items))


class _XmlReader:
    """The XML form, by expat: no entities but those of XML itself, nothing from elsewhere."""

    _IGNORED = frozenset(("example", "lexicon", "meta", "metadata"))

    def __init__(self, path: str) -> None:
        self.path = path
        self.rules: dict[str, Rule] = {}
        self.root: str | None = None
        self.open: list[_Element] = []
        self.ignored = 0
        self.parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.begin
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.document_type
        self.parser.EntityDeclHandler = self.entity

    def file(self, data: bytes) -> _File:
        try:
            self.parser.Parse(data, True)
        except (xml.parsers.expat.ExpatError, LookupError, ValueError) as error:
            line = getattr(error, "lineno", self.parser.CurrentLineNumber)
            raise FormatError(f"not XML ({error})", where=f"{self.path}:{line}") from None
        if not self.rules:
            raise FormatError("a grammar without rules", where=self.path)
        return _File(self.rules, self.root)

    @property
    def place(self) -> Place:
        return Place(self.path, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1)

    def document_type(self, name: str, system: Any, public: Any, has_inside: int) -> None:
        if has_inside:
            raise self.error("a document type with declarations of its own")

    def entity(self, *_: Any) -> None:
        raise self.error("a declared entity")

    def error(self, what: str, **more: Any) -> FormatError:
        return FormatError(what, where=str(self.place), **more)

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        if self.ignored or name in self._IGNORED:
            self.ignored += 1
            return
        element = _Element(name, attributes, self.place)
        self.add_text()
        within = self.open[-1].name if self.open else ""
        allowed = {"": ("grammar",), "grammar": ("rule",), "one-of": ("item",), "token": (),
                   "tag": (), "ruleref": ()}  # fmt: skip
        inside = allowed.get(within, ("item", "one-of", "ruleref", "token", "tag"))
        if name not in inside:
            raise self.error(f"<{name}> within <{within}>" if within else f"<{name}> is no grammar",
                             expected=", ".join(f"<{n}>" for n in inside) or "text")  # fmt: skip
        if len(self.open) > 2 * MAX_NESTING:
            raise self.error(f"elements nested deeper than {2 * MAX_NESTING}")
        if name == "grammar":
            if attributes.get("mode", "voice") != "voice":
                raise self.error("a grammar of keys, not of speech", got=attributes["mode"])
            self.root = attributes.get("root")
        self.open.append(element)

    def characters(self, text: str) -> None:
        if not self.ignored and self.open:
            self.open[-1].text += text

    def add_text(self) -> None:
        """Put the text since the last tag into the element that is open."""
        if not self.open or self.open[-1].name == "tag":
            return
        element = self.open[-1]
        text, element.text = element.text.replace('"', " "), ""
        if not text.strip():
            return
        if element.name in ("grammar", "one-of", "ruleref"):
            raise self.error(f"text within <{element.name}>", got=repr(text.strip()[:40]))
        element.items += _words(text, str(self.place))

    def end(self, name: str) -> None:
        if self.ignored:
            self.ignored -= 1
            return
        self.add_text()
        element = self.open.pop()
        where = str(element.place)
        above = self.open[-1] if self.open else None
        if element.name == "rule":
            id_ = element.attributes.get("id", "")
            if not id_ or id_ in self.rules:
                raise FormatError("a rule without id" if not id_ else f"rule {id_!r} is there twice",
                                  where=where)  # fmt: skip
            public = element.attributes.get("scope", "private") == "public"
            self.rules[id_] = Rule(id_, element.whole(), public, element.place)
        elif above is None or element.name == "grammar":
            return
        elif element.name == "one-of":
            if not element.items:
                raise FormatError("<one-of> without <item>", where=where)
            weights = tuple(element.weights) if {*element.weights} != {1.0} else None
            if weights and not sum(weights) > 0:
                raise FormatError("all weights are zero", where=where)
            above.items.append(Choice(tuple(element.items), weights))
        elif element.name == "tag":
            if above.items:
                above.items[-1] = Tagged(above.items[-1], (element.text.strip(),))
        elif element.name == "ruleref":
            above.items.append(self.reference(element))
        else:
            self.close_item(element, above)

    def close_item(self, element: _Element, above: _Element) -> None:
        item, where = element.whole(), str(element.place)
        if (repeat := element.attributes.get("repeat")) is not None:
            share = element.attributes.get("repeat-prob")
            low, high = _limits(repeat, where)
            chance = None if share is None else min(_probability(share, where), 1.0)
            item = _repeated(item, low, high, chance)
        if above.name == "one-of":
            above.weights.append(_probability(element.attributes.get("weight", "1"), where))
        above.items.append(item)

    def reference(self, element: _Element) -> Expansion:
        special, uri = element.attributes.get("special"), element.attributes.get("uri")
        if (special is None) == (uri is None) or special not in (None, *_SPECIAL):
            raise FormatError("a reference to nothing", where=str(element.place),
                              expected='uri="#rule", uri="file#rule" or special="NULL"')  # fmt: skip
        if special == "GARBAGE":
            return _garbage()
        return Reference(special or str(uri), element.place)


class _AbnfParser(GrammarParser):
    """The ABNF form, which JSGF took after: the same expressions with other signs."""

    pieces_of = re.compile(
        r"""
        (?P<space>\s+ | //[^\n]* )
      | (?P<comment>/\*)
      | (?P<weight>/\s*(?P<number>[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})\s*/)
      | \$(?:<\s*(?P<uri>[^\s<>]{1,1000})\s*>(?:~<[^<>]*>)?|(?P<rule>[^\W\d][\w.-]{0,1000}))
      | <\s*(?P<repeat>[0-9][0-9\s-]*(?:/[^/]*/)?)\s*>
      | !(?P<language>[\w-]+)
      | "(?P<quoted>[^"\\\n]*(?:\\.[^"\\\n]*)*)"
      | \{!\{(?P<tag>.*?)\}!\}
      | \{(?P<short>[^}]*)\}
      | (?P<named><[^<>]*>)
      | (?P<mark>[;=|()\[\]])
      | (?P<word>[^\s;=|()<>\[\]{}/$!"]+)
        """,
        re.VERBOSE | re.DOTALL,
    )
    starts = ("word", "quoted", "rule", "uri", "tag", "short")

    def file(self) -> _File:
        """Parse declarations and rules."""
        rules: dict[str, Rule] = {}
        root: str | None = None
        while self.piece.kind != "end":
            if self.piece.kind == "rule" or self.piece.text in ("public", "private"):
                rule = self.rule()
                if rule.name in rules:
                    raise FormatError(f"rule ${rule.name} is defined twice", where=str(rule.place))
                rules[rule.name] = rule
                continue
            key = self.expect("word")
            value = self.take()
            if key.text == "root":
                root = value.text
            elif key.text == "mode" and value.text != "voice":
                raise FormatError("a grammar of keys, not of speech", where=str(value.place))
            while self.piece.kind != "end" and not self.at_mark(";"):
                self.take()
            self.expect("mark", ";")
        if not rules:
            raise FormatError("a grammar without rules", where=self.file_name)
        return _File(rules, root)

    def rule(self) -> Rule:
        """Parse ``public $name = ... ;``."""
        public = self.piece.text == "public"
        if self.piece.kind == "word":
            self.take()
        name = self.expect("rule")
        if name.text in _SPECIAL:
            raise FormatError(f"${name.text} has its own meaning", where=str(name.place))
        self.expect("mark", "=")
        expansion = self.choice()
        self.expect("mark", ";")
        return Rule(name.text, expansion, public, name.place)

    def item(self) -> list[Expansion]:
        """Parse one item with its repetition, tags and language."""
        if self.piece.kind in ("tag", "short"):
            return [Tagged(Sequence(()), (self.take().text.strip(),))]
        piece = self.piece
        if piece.kind in ("rule", "uri"):
            self.take()
            name = piece.text if piece.kind == "uri" or piece.text in _SPECIAL else f"#{piece.text}"
            found: list[Expansion] = [
                _garbage() if name == "GARBAGE" else Reference(name, piece.place)
            ]
        else:
            found = self.primary()
        while self.piece.kind in ("repeat", "language", "tag", "short"):
            piece = self.take()
            whole = found[0] if len(found) == 1 else Sequence(tuple(found))
            if piece.kind == "repeat":
                limits, _, share = piece.text.partition("/")
                where = str(piece.place)
                chance = min(_probability(share.strip("/ "), where), 1.0) if share else None
                found = [_repeated(found[-1], *_limits(limits, where), chance)]
                if whole is not found[-1] and isinstance(whole, Sequence):
                    found = [*whole.items[:-1], *found]
            elif piece.kind != "language":
                found = [Tagged(whole, (piece.text.strip(),))]
        return found
