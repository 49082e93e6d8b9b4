"""Pronunciation dictionaries: which phones each word may be spoken with, and how likely.

In: a Kaldi ``lexicon.txt`` or ``lexiconp.txt``, or a CMUdict-style file; plain or gzip. Out:
`Lexicon`, an immutable list of `Entry`.

Public names: `Entry`, `Lexicon`, `MissingWord`, `WordLines`, `read_lexicon`, `format_missing`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines

__all__ = ["Entry", "Lexicon", "MissingWord", "WordLines", "format_missing", "read_lexicon"]

_VARIANT = re.compile(r"^(?P<word>.+)\((?P<number>[0-9]+)\)$")
_NUMBER = re.compile(r"^[+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
#: `difflib` compares with every word: too slow for more missing words than this at a time.
_MAX_SPELLED = 50


@dataclasses.dataclass(frozen=True)
class Entry:
    """One pronunciation of one word.

    Attributes
    ----------
    word : str
    phones : tuple of str
        At least one.
    probability : float
        In (0, 1]; the pronunciations of a word need not sum to one.
    where : str
        ``file:line``, or empty.
    silence : float, optional
        Probability of silence after this pronunciation, in [0, 1), where the graph has optional
        silence; by default that of the graph's options.
    """

    word: str
    phones: tuple[str, ...]
    probability: float = 1.0
    where: str = ""
    silence: float | None = None


@dataclasses.dataclass(frozen=True)
class MissingWord:
    """A word that the lexicon lacks, with the nearest spellings that it has."""

    word: str
    nearest: tuple[str, ...]

    def __str__(self) -> str:
        hint = f" (nearest: {', '.join(self.nearest)})" if self.nearest else ""
        return f"{self.word}{hint}"


class WordLines:
    """Finds the lines of single words in a file that `Lexicon.write` wrote, without reading all.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._data: bytes | None = None

    def __call__(self, word: str) -> tuple[Entry, ...]:
        """Return the pronunciations of `word`; a `FormatError` when a line of it is damaged."""
        if self._data is None:
            self._data = b"\n" + self._path.read_bytes()
        begin, found = b"\n" + word.encode("utf-8") + b" ", []
        at = self._data.find(begin)
        while at >= 0:
            end = self._data.find(b"\n", at + 1)
            line = self._data[at + 1 : end if end >= 0 else None].decode("utf-8")
            fields, silence = _fields_of(line)
            entry = _entry_of(fields, f"{self._path}, {word}", True, set())
            found.append(dataclasses.replace(entry, silence=silence))
            at = self._data.find(begin, end) if end >= 0 else -1
        return tuple(found)


class Lexicon:
    """An immutable pronunciation dictionary.

    Parameters
    ----------
    entries : iterable of Entry
        In the order to be kept. Equal (word, phones) pairs are merged into the first of them,
        with the larger probability, and counted in `n_merged`.

    Raises
    ------
    DataError
        A word or phone is empty or holds white space, a pronunciation is empty, or a
        probability lies outside (0, 1].

    Examples
    --------
    >>> lexicon = Lexicon([Entry("yes", ("Y", "EH", "S")), Entry("no", ("N", "OW"))])
    >>> lexicon.words, lexicon.phones, [str(m) for m in lexicon.missing(["yess"])]
    (('yes', 'no'), ('Y', 'EH', 'S', 'N', 'OW'), ['yess (nearest: yes)'])
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: tuple[Entry, ...] | None = None
        self._n_merged = 0
        self._by_word: dict[str, tuple[Entry, ...]] = {}
        self._find: Callable[[str], tuple[Entry, ...]] | None = None
        self._read: Callable[[], Iterable[Entry]] = lambda: entries
        self._fill()

    @classmethod
    def later(
        cls,
        read: Callable[[], Iterable[Entry]],
        find: Callable[[str], tuple[Entry, ...]] | None = None,
    ) -> Lexicon:
        """Return a lexicon that calls `read` for its entries when they are first needed.

        Until then, `find` is asked for the pronunciations of single words.
        """
        made = cls.__new__(cls)
        made._entries, made._n_merged, made._by_word, made._read = None, 0, {}, read
        made._find = find
        return made

    def _fill(self) -> tuple[Entry, ...]:
        if self._entries is not None:
            return self._entries
        merged: dict[tuple[str, tuple[str, ...]], Entry] = {}
        for entry in self._read():
            _check_entry(entry)
            key = (entry.word, entry.phones)
            first = merged.get(key)
            if first is None:
                merged[key] = entry
                continue
            self._n_merged += 1
            if entry.probability > first.probability:
                merged[key] = dataclasses.replace(first, probability=entry.probability)
        by_word: dict[str, list[Entry]] = {}
        for entry in merged.values():
            by_word.setdefault(entry.word, []).append(entry)
        self._by_word = {word: tuple(found) for word, found in by_word.items()}
        self._entries = tuple(merged.values())
        return self._entries

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All pronunciations, in the order of the file."""
        return self._fill()

    @property
    def n_merged(self) -> int:
        """Number of entries that repeated another one and were merged into it."""
        self._fill()
        return self._n_merged

    @property
    def words(self) -> tuple[str, ...]:
        """The distinct words, in order of first appearance."""
        self._fill()
        return tuple(self._by_word)

    @property
    def phones(self) -> tuple[str, ...]:
        """The distinct phones, in order of first appearance."""
        return tuple(dict.fromkeys(phone for entry in self.entries for phone in entry.phones))

    def prons(self, word: str) -> tuple[Entry, ...]:
        """Return the pronunciations of `word`, none when the lexicon lacks it."""
        if self._entries is None and self._find is not None:
            if word not in self._by_word:
                self._by_word[word] = self._find(word)
            return self._by_word[word]
        self._fill()
        return self._by_word.get(word, ())

    def __contains__(self, word: object) -> bool:
        self._fill()
        return word in self._by_word

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"Lexicon({len(self)} pronunciations of {len(self._by_word)} words)"

    def missing(self, words: Iterable[str], *, n_nearest: int = 3) -> list[MissingWord]:
        """Return those of `words` that the lexicon lacks, once each, in order of appearance.

        Only the first 50 come with nearest spellings.
        """
        absent = [word for word in dict.fromkeys(words) if word not in self]
        if not absent:
            return []
        known = list(self._by_word)
        return [
            MissingWord(
                word,
                _nearest(word, known, n_nearest) if number < _MAX_SPELLED else (),
            )
            for number, word in enumerate(absent)
        ]

    def restricted(self, words: Iterable[str]) -> Lexicon:
        """Return the entries of `words` only, in the lexicon's own order."""
        wanted = frozenset(words)
        return Lexicon(entry for entry in self.entries if entry.word in wanted)

    def merged(self, additions: Lexicon) -> Lexicon:
        """Return this lexicon in which words of `additions` have only their entries there."""
        kept = (entry for entry in self.entries if entry.word not in additions)
        return Lexicon([*kept, *additions.entries])

    def write(self, path: str | Path) -> None:
        """Write a Kaldi ``lexiconp.txt``: word, probability and phones, separated by spaces.

        A probability of silence follows as a comment that `read_lexicon` understands:
        ``well 1.0 W EH L # silence 0.8``.
        """
        text = "".join(
            f"{entry.word} {entry.probability!r} {' '.join(entry.phones)}"
            + ("\n" if entry.silence is None else f" # silence {entry.silence!r}\n")
            for entry in self.entries
        )
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _check_entry(entry: Entry) -> None:
    for what, symbol in (("word", entry.word), *(("phone", phone) for phone in entry.phones)):
        if symbol.split() != [symbol]:
            raise DataError(f"a {what} is empty or holds white space",
                            where=entry.where or None, got=repr(symbol))  # fmt: skip
    if not entry.phones:
        raise DataError(f"word {entry.word!r} has no phones", where=entry.where or None)
    if not 0.0 < entry.probability <= 1.0:
        raise DataError(f"probability of a pronunciation of {entry.word!r} out of range",
                        where=entry.where or None, got=entry.probability,
                        expected="above 0, at most 1")  # fmt: skip
    if entry.silence is not None and not 0.0 <= entry.silence < 1.0:
        raise DataError(f"probability of silence after {entry.word!r} out of range",
                        where=entry.where or None, got=entry.silence,
                        expected="at least 0, below 1")  # fmt: skip


def _nearest(word: str, known: Sequence[str], n: int) -> tuple[str, ...]:
    near = [w for w in known if abs(len(w) - len(word)) <= 2 and w[:1].lower() == word[:1].lower()]
    found = difflib.get_close_matches(word, near, n)
    folded = [w for w in known if w != word and w.casefold() == word.casefold()]
    if not found and not folded and len(known) <= 5000:
        found = difflib.get_close_matches(word, known, n)
    return tuple(dict.fromkeys([*folded, *found]))[:n]


def format_missing(missing: Sequence[MissingWord], *, limit: int = 20) -> str:
    """Return the missing words and their nearest spellings as one line for a message."""
    shown = "; ".join(str(word) for word in missing[:limit])
    more = len(missing) - limit
    return shown + (f"; and {more} more" if more > 0 else "")


def read_lexicon(path: str | Path, *, probabilities: bool | None = None) -> Lexicon:
    """Read a pronunciation dictionary.

    Parameters
    ----------
    path : path
        Each line: a word, then its phones, separated by spaces or tabs. Lines that begin with
        ``;;;`` or ``##`` are comments, and so is all that follows a lone ``#`` among the phones;
        but ``# silence 0.8`` gives the probability of silence after the word (`Entry.silence`).
        ``WORD(2)`` is another pronunciation of ``WORD`` where ``WORD``
        itself came before. UTF-8, with or without a byte order mark; plain or gzip.
    probabilities : bool, optional
        Whether the second field is a probability (``lexiconp.txt``). By default it is when the
        second field of most lines is a number in (0, 1].

    Returns
    -------
    Lexicon

    Raises
    ------
    FormatError
        A line without a pronunciation or with a bad probability (``file:line`` is named), or a
        file without entries.
    """
    rows = _read_rows(path)
    if not rows:
        raise FormatError("no pronunciations in this lexicon", where=str(path),
                          expected="lines of a word and its phones")  # fmt: skip
    if probabilities is None:
        plausible = sum(len(fields) > 2 and _probability(fields[1]) > 0 for _, fields, _ in rows)
        probabilities = 2 * plausible > len(rows)
    entries: list[Entry] = []
    seen: set[str] = set()
    for number, fields, silence in rows:
        entry = _entry_of(fields, f"{path}:{number}", probabilities, seen)
        if silence is not None:
            entry = dataclasses.replace(entry, silence=silence)
        seen.add(entry.word)
        entries.append(entry)
    return Lexicon(entries)


def _read_rows(path: str | Path) -> list[tuple[int, list[str], float | None]]:
    """Return line number, fields and the probability of silence of every line."""
    rows = []
    for number, line in read_lines(path):
        if line.lstrip().startswith((";;;", "##")):
            continue
        fields, silence = _fields_of(line)
        if fields:
            rows.append((number, fields, silence))
    return rows


def _fields_of(line: str) -> tuple[list[str], float | None]:
    """Return the fields of a line and the probability of silence behind its comment sign."""
    fields = line.split()
    silence = None
    if "#" in fields[1:]:
        at = fields.index("#", 1)
        match fields[at + 1 :]:
            case ["silence", value] if _NUMBER.match(value):
                silence = float(value)
        del fields[at:]
    return fields, silence


def _probability(text: str) -> float:
    """Return the probability that `text` writes, 0 when it writes none."""
    value = float(text) if _NUMBER.match(text) else 0.0
    return value if value <= 1.0 else 0.0


def _entry_of(fields: list[str], where: str, probabilities: bool, seen: set[str]) -> Entry:
    word, phones, probability = fields[0], fields[1:], 1.0
    if probabilities and phones:
        text = phones.pop(0)
        probability = _probability(text)
        if not probability:
            raise FormatError(f"no probability for {word!r}", where=where, got=repr(text),
                              expected="a number above 0, at most 1")  # fmt: skip
    if not phones:
        raise FormatError(
            f"word {word!r} has no pronunciation", where=where, got=repr(" ".join(fields)),
            expected="a word and its phones", fix="Add its phones or delete the line.",
        )  # fmt: skip
    variant = _VARIANT.match(word)
    if variant and variant["word"] in seen:
        word = variant["word"]
    return Entry(word, tuple(phones), probability, where)
