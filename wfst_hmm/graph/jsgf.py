"""JSGF grammars: files and their imports, and the references between their rules.

In: a path or a text. Out: `JsgfGrammar`, whose references all lead somewhere; ``jsgf_fst`` turns
it into a transducer.

Public names: `JsgfGrammar`, `read_jsgf`, `jsgf_from_text`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from wfst_hmm.errors import FormatError, UsageError
from wfst_hmm.files import as_text, read_bytes
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.jsgf_fst import expansion_to_fst
from wfst_hmm.graph.jsgf_parser import (
    Expansion,
    ParsedGrammar,
    Reference,
    Rule,
    Word,
    header_encoding,
    parse_jsgf,
    renamed,
    walk,
)

__all__ = ["JsgfGrammar", "jsgf_from_text", "read_jsgf"]

MAX_BYTES = 1 << 23
MAX_FILES = 1000
SUFFIXES = (".gram", ".jsgf")
_SPECIAL = ("NULL", "VOID")
_NAME = re.compile(r"^\w[\w-]*$")


@dataclasses.dataclass(frozen=True)
class JsgfGrammar:
    """A grammar with everything that it imports.

    Attributes
    ----------
    name : str
        Full name of the grammar that was read first.
    rules : dict
        Rules by their full name ``grammar.rule``; every reference in them is such a name.
    public : tuple of str
        Full names of the public rules of the grammar that was read first, in order.
    notes : tuple of str
        What was put up with: a reference that leads nowhere, in a rule that nothing uses ...
    """

    name: str
    rules: dict[str, Rule]
    public: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all rules, each once, in order."""
        found: dict[str, None] = {}
        for rule in self.rules.values():
            for piece in walk(rule.expansion):
                if isinstance(piece, Word):
                    found[piece.text] = None
        return tuple(found)

    def to_fst(self, rules: Sequence[str] | None = None, words: Symbols | None = None) -> Fst:
        """Build the acceptor of the sentences of some rules.

        Parameters
        ----------
        rules : sequence of str, optional
            Names as in the first grammar, or full names; by default its public rules.
        words : Symbols, optional
            A table to number words by; by default the words of the grammar.

        Returns
        -------
        Fst
            Costs in nats. A choice divides its probability among its alternatives, by weight or
            evenly; so do the rules themselves, ``[x]`` (spoken or not) and each turn of ``x*``
            and ``x+`` (another or none). Free of epsilons unless that would multiply the arcs.

        Raises
        ------
        FormatError
            A rule refers to itself other than at its end.
        GraphError
            There is no sentence at all, or the machine grows too large.
        """
        chosen = list(self.public) if rules is None else [self._full_name(name) for name in rules]
        if not chosen:
            raise FormatError("no public rule", where=self.name, fix="Write 'public <name> = ...;'")
        table = words if words is not None else Symbols(self.words)
        return expansion_to_fst(self._reached(chosen), chosen, table, self.name)

    def _reached(self, chosen: Iterable[str]) -> dict[str, Expansion]:
        """Return the rules that sentences of `chosen` may use."""
        found: dict[str, Expansion] = {}
        waiting = list(chosen)
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.rules:
                continue
            found[name] = self.rules[name].expansion
            waiting += [p.name for p in walk(found[name]) if isinstance(p, Reference)]
        return found

    def _full_name(self, name: str) -> str:
        for full in (f"{self.name}.{name}", name):
            if full in self.rules:
                return full
        raise FormatError(f"no rule <{name}>", where=self.name,
                          expected=" ".join(f"<{rule}>" for rule in list(self.rules)[:10]))  # fmt: skip


def read_jsgf(path: str | Path, *, slots: Iterable[str] = ()) -> JsgfGrammar:
    """Read a grammar file and the files that it imports.

    Parameters
    ----------
    path : path
    slots : iterable of str
        Rules that no file defines, such as ``contacts``: ``<contacts>`` becomes the word
        ``$contacts``, a slot of `graph.slots`.

    Notes
    -----
    ``import <colors.red>`` is looked for beside the importing file, as ``colors.gram`` or
    ``colors.jsgf``; ``<com.acme.colors.red>`` as ``com/acme/colors.gram`` or ``colors.gram``.
    The first line may name an encoding; UTF-8 is the default.

    Raises
    ------
    FormatError
        A file is missing or no JSGF, a reference leads nowhere or to several rules, an imported
        rule is not public; the message names file, line and column.
    UsageError
        A slot is referred to nowhere, or defined by a rule.
    """
    loader = _Loader(slots)
    first = loader.load(Path(path), None)
    return loader.linked(first)


def jsgf_from_text(
    text: str,
    *,
    where: str = "JSGF",
    folder: str | Path | None = None,
    slots: Iterable[str] = (),
) -> JsgfGrammar:
    """Make a grammar of a text; `folder` is where its imports lie, `slots` are as in `read_jsgf`."""
    loader = _Loader(slots)
    parsed = parse_jsgf(text, where)
    loader.add(parsed, None if folder is None else Path(folder))
    return loader.linked(parsed)


class _Loader:
    """The grammars read so far, and how names lead from one to the other."""

    def __init__(self, slots: Iterable[str] = ()) -> None:
        self.slots = dict.fromkeys((_slot_name(slot) for slot in slots), False)  # whether in use
        self.grammars: dict[str, ParsedGrammar] = {}
        self.folders: dict[str, Path | None] = {}
        self.by_path: dict[Path, ParsedGrammar] = {}

    def add(self, grammar: ParsedGrammar, folder: Path | None) -> None:
        self.grammars[grammar.name] = grammar
        self.folders[grammar.name] = folder

    def load(self, path: Path, wanted: Reference | None) -> ParsedGrammar:
        try:
            key = path.resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise FormatError(f"cannot be read ({error})", where=repr(str(path))) from None
        if key in self.by_path:
            return self.by_path[key]
        if len(self.by_path) >= MAX_FILES:
            raise FormatError(f"imports more than {MAX_FILES} files",
                              where=str(wanted.place if wanted else path))  # fmt: skip
        grammar = parse_jsgf(_decoded(path, read_bytes(path, MAX_BYTES)), str(path))
        if grammar.name in self.grammars:
            raise FormatError(f"grammar {grammar.name!r} is defined by two files", where=str(path),
                              got=f"also in {self.folders[grammar.name]}")  # fmt: skip
        self.by_path[key] = grammar
        self.add(grammar, path.parent)
        return grammar

    def imported(self, of: ParsedGrammar, name: str, place: Reference) -> ParsedGrammar | None:
        """Return the grammar called `name` as seen from `of`, reading its file when needed."""
        if name in self.grammars:
            return self.grammars[name]
        folder = self.folders[of.name]
        parts = name.split(".")
        if folder is None or any(not part or set(part) & set('/\\:*?"') for part in parts):
            return None
        for stem in dict.fromkeys((folder.joinpath(*parts), folder / parts[-1])):
            for suffix in SUFFIXES:
                path = stem.with_name(stem.name + suffix)
                if path.is_file():
                    grammar = self.load(path, place)
                    if grammar.name not in (name, parts[-1]):
                        raise FormatError("another grammar's name", where=str(path),
                                          got=grammar.name, expected=name)  # fmt: skip
                    return grammar
        return None

    def linked(self, first: ParsedGrammar) -> JsgfGrammar:
        """Resolve all references of `first` and of the rules that it reaches."""
        rules: dict[str, Rule] = {}
        own = {f"{first.name}.{name}": rule for name, rule in first.rules.items()}
        public = [full for full, rule in own.items() if rule.public]
        scopes = {first.name: self._scope(first)}
        for full in public or own:
            self._link(first, own[full], rules, scopes)
        notes = [note for parsed in self.grammars.values() for note in parsed.notes]
        for full in own if public else ():
            if full in rules:
                continue
            tried, used = dict(rules), dict(self.slots)
            try:  # nothing spoken leads here: what is wrong with it does no harm
                self._link(first, own[full], tried, scopes)
            except FormatError as error:
                self.slots = used
                notes.append(f"rule <{own[full].name}>, which nothing uses, is left out: {error}")
            else:
                rules = tried
        for slot in (slot for slot, used_ in self.slots.items() if not used_):
            defined = any(full.rpartition(".")[2] == slot for full in rules)
            raise UsageError(
                "a slot that a rule defines" if defined else "a slot that no rule refers to",
                where=first.name, got=f"<{slot}>", expected="a reference to a rule not defined",
            )  # fmt: skip
        ordered = {full: rules.pop(full) for full in own if full in rules} | rules
        return JsgfGrammar(first.name, ordered, tuple(public), tuple(notes))

    def _link(
        self, home: ParsedGrammar, first: Rule, rules: dict[str, Rule],
        scopes: dict[str, dict[str, list[tuple[ParsedGrammar, Rule]]]],
    ) -> None:  # fmt: skip
        """Put a rule and all that it reaches into `rules`, every reference resolved."""
        waiting = [(home, first)]
        scheduled = {*rules, f"{home.name}.{first.name}"}
        while waiting:
            grammar, rule = waiting.pop()
            if grammar.name not in scopes:
                scopes[grammar.name] = self._scope(grammar)
            names: dict[str, str] = {}
            open_: set[str] = set()
            for piece in walk(rule.expansion):
                if isinstance(piece, Reference) and piece.name not in _SPECIAL:
                    found = self._resolved(grammar, piece, scopes[grammar.name])
                    if found is None:
                        self.slots[piece.name] = True
                        open_.add(piece.name)
                        continue
                    home, target = found
                    full = f"{home.name}.{target.name}"
                    names[piece.name] = full
                    if full not in scheduled:
                        scheduled.add(full)
                        waiting.append((home, target))
            full = f"{grammar.name}.{rule.name}"
            rules[full] = dataclasses.replace(rule, expansion=renamed(rule.expansion, names, open_))

    def _scope(self, grammar: ParsedGrammar) -> dict[str, list[tuple[ParsedGrammar, Rule]]]:
        """Return what each imported name, plain or qualified, may mean in `grammar`."""
        scope: dict[str, list[tuple[ParsedGrammar, Rule]]] = {}
        for wanted in grammar.imports:
            home_name, _, rule_name = wanted.name.rpartition(".")
            home = self.imported(grammar, home_name, wanted)
            if home is None:
                raise FormatError(
                    f"no file for the imported grammar {home_name!r}", where=str(wanted.place),
                    expected=f"{home_name.split('.')[-1]}.gram or .jsgf in {self.folders[grammar.name]}",
                )  # fmt: skip
            found = [r for r in home.rules.values() if r.public and rule_name in ("*", r.name)]
            if not found and rule_name != "*":
                raise FormatError(f"no public rule <{rule_name}> to import",
                                  where=str(wanted.place), got=f"grammar {home.name}")  # fmt: skip
            for rule in found:
                for name in {rule.name, f"{home_name}.{rule.name}",
                             f"{home_name.split('.')[-1]}.{rule.name}"}:  # fmt: skip
                    meanings = scope.setdefault(name, [])
                    if all(known is not rule for _, known in meanings):
                        meanings.append((home, rule))
        return scope

    def _resolved(
        self, grammar: ParsedGrammar, reference: Reference,
        scope: dict[str, list[tuple[ParsedGrammar, Rule]]],
    ) -> tuple[ParsedGrammar, Rule] | None:  # fmt: skip
        """Return the rule that a reference means, None for a slot."""
        name = reference.name
        own = name
        for prefix in (f"{grammar.name}.", f"{grammar.name.split('.')[-1]}."):
            own = own.removeprefix(prefix)
        for local in (name, own):
            if local in grammar.rules:
                return grammar, grammar.rules[local]
        found = scope.get(name, [])
        if not found and "." in name:  # a full name needs no import
            home_name, _, rule_name = name.rpartition(".")
            home = self.imported(grammar, home_name, reference)
            if home is not None and rule_name in home.rules and home.rules[rule_name].public:
                found = [(home, home.rules[rule_name])]
        if len(found) > 1:
            raise FormatError(
                f"<{name}> may mean several imported rules", where=str(reference.place),
                got=", ".join(f"<{home.name}.{rule.name}>" for home, rule in found),
                fix="Use the full name.",
            )  # fmt: skip
        if not found and name in self.slots:
            return None
        if not found:
            raise FormatError(f"no rule <{name}>", where=str(reference.place),
                              fix="Define it, or import it from its grammar.")  # fmt: skip
        return found[0]


def _slot_name(slot: str) -> str:
    """Return the name of the rule that ``contacts``, ``$contacts`` or ``<contacts>`` stands for."""
    name = slot.strip("<>").removeprefix("$")
    if not _NAME.match(name):
        raise UsageError("not the name of a slot", got=repr(slot), expected="a name like contacts")
    return name


def _decoded(path: Path, data: bytes) -> str:
    """Decode by byte order mark, else by the first line, else as UTF-8."""
    return as_text(data, path, header_encoding(data.lstrip()) or "utf-8",
                   "Name the encoding in the first line, or convert to UTF-8.")  # fmt: skip
