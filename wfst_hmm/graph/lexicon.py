"""Pronunciation dictionaries: which phones each word may be spoken with, and how likely.

In: a dictionary of Kaldi, CMU, Sphinx or the Montreal Forced Aligner: a word, none, one or four numbers,
and phones a line. Out: `Lexicon`, an immutable list of `Entry`.

Public names: `Entry`, `Lexicon`, `MissingWord`, `WordLines`, `read_lexicon`, `format_missing`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wfst_hmm import orthography
from wfst_hmm.arrays import as_words
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.orthography import fields, is_symbol

__all__ = [
    "Entry",
    "Lexicon",
    "MissingWord",
    "WordLines",
    "format_missing",
    "is_fraction",
    "read_lexicon",
]

_VARIANT = re.compile(r"^(?P<word>.+)\((?P<number>[0-9]+)\)$")
_NUMBER = re.compile(r"^[+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$")
#: Nothing near begins alike: in so few words a mistake in the first letter is looked for, too.
_SMALL = 5000
#: A number written as a fraction, which no phone is.
_FRACTION = re.compile(r"^[0-9]*\.[0-9]+$|^[0-9]+\.$|^[0-9.]+[eE][-+]?[0-9]+$")


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
    """A word that the lexicon lacks, with the nearest spellings that it has.

    Attributes
    ----------
    word : str
    nearest : tuple of str
    reason : str
        Why, where the lexicon has the word but it cannot be used.
    """

    word: str
    nearest: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        notes = [self.reason] if self.reason else []
        if self.nearest:
            notes.append("nearest: " + ", ".join(map(self._compared, self.nearest)))
        word = "".join(repr(mark)[1:-1] if orthography.hidden(mark) else mark for mark in self.word)
        return word + (f" ({'; '.join(notes)})" if notes else "")

    def _compared(self, near: str) -> str:
        """Return a near spelling, and what is not seen where nothing else differs."""
        if orthography.without_hidden(near) != orthography.without_hidden(self.word):
            return near
        here, there = orthography.hidden(self.word), orthography.hidden(near)
        less = (f"without {name}" for name in here if name not in there)
        more = (f"with {name}" for name in there if name not in here)
        return " ".join([near, *less, *more])


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
            text, silence = _without_comment(line)
            text = line if silence is None else text  # `Lexicon.write` writes no other comments
            row = _Row(f"{self._path}, {word}", word, fields(text)[1:], silence)
            found.append(_entry_of(row, 1))
            at = self._data.find(begin, end) if end >= 0 else -1
        return tuple(found)


class Lexicon:
    """An immutable pronunciation dictionary.

    Parameters
    ----------
    entries : iterable of Entry
        In the order to be kept. Equal (word, phones) pairs are merged into the first of them,
        with the larger probability, and counted in `n_merged`.
    notes : iterable of str

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

    def __init__(self, entries: Iterable[Entry], notes: Iterable[str] = ()) -> None:
        #: What whoever uses the lexicon should know of how it was read.
        self.notes = tuple(notes)
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
        made.notes = ()
        made._entries, made._n_merged, made._by_word, made._read = None, 0, {}, read
        made._find = find
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": self._fill(), "_n_merged": self._n_merged, "_by_word": self._by_word,
                "notes": self.notes}  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _find=None, _read=tuple)

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

    def spellings(self, word: str, *, fold_case: bool = False) -> tuple[str, ...]:
        """Return the words of the lexicon that `word` means, none when it lacks it.

        The word itself; else its other encodings (NFC, NFD); else with straight apostrophes for
        curly ones; else, with `fold_case`, in any case.
        """
        self._fill()
        if word in self._by_word:
            return (word,)
        found = self._by_key.get(orthography.plain_apostrophes(word), ())
        if found:
            same = orthography.key(word)
            return tuple(w for w in found if orthography.key(w) == same) or found
        return self._by_fold.get(orthography.folded(word), ()) if fold_case else ()

    @functools.cached_property
    def _by_key(self) -> dict[str, tuple[str, ...]]:
        return self._grouped(orthography.plain_apostrophes)

    @functools.cached_property
    def _by_fold(self) -> dict[str, tuple[str, ...]]:
        return self._grouped(orthography.folded)

    def _grouped(self, key: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
        groups: dict[str, list[str]] = {}
        for word in self.words:
            groups.setdefault(key(word), []).append(word)
        return {name: tuple(words) for name, words in groups.items()}

    def missing(self, words: str | Iterable[str], *, n_nearest: int = 3) -> list[MissingWord]:
        """Return those of `words` that the lexicon lacks, once each, in order of appearance.

        A word that it has in another encoding, or with another apostrophe, is not missing.
        """
        return [
            MissingWord(word, self.nearest(word, n_nearest))
            for word in dict.fromkeys(as_words(words)) if not self.spellings(word)
        ]  # fmt: skip

    def nearest(self, word: str, n: int = 3) -> tuple[str, ...]:
        """Return the `n` most similar words, those in other case or with hidden marks first."""
        if not n:
            return ()
        from rapidfuzz import fuzz, process  # here: most commands miss no word

        bare = orthography.without_hidden(word)
        same, alike = self._spelled
        begins = alike.get(bare[:1], {})
        near = {w: seen for w, seen in begins.items() if abs(len(seen) - len(bare)) <= 2}
        found = process.extract(
            bare, near, scorer=fuzz.ratio, score_cutoff=orthography.NEAR, limit=n
        )
        if not found and len(self._by_word) <= _SMALL:
            every = {w: seen for group in alike.values() for w, seen in group.items()}
            found = process.extract(
                bare, every, scorer=fuzz.ratio, score_cutoff=orthography.NEAR, limit=n
            )
        names = (*same.get(bare, ()), *(name for _, _, name in found))
        return tuple(dict.fromkeys(name for name in names if name != word))[:n]

    @functools.cached_property
    def _spelled(self) -> tuple[dict[str, tuple[str, ...]], dict[str, dict[str, str]]]:
        """Words by what is seen of them; and what is seen of words, by its first letter."""
        alike: dict[str, dict[str, str]] = {}
        same = self._grouped(orthography.without_hidden)
        for seen, words in same.items():
            alike.setdefault(seen[:1], {}).update(dict.fromkeys(words, seen))
        return same, alike

    def restricted(self, words: str | Iterable[str]) -> Lexicon:
        """Return the entries of `words` only, in the lexicon's own order, spelled as asked for."""
        asked: dict[str, list[str]] = {}
        for word in dict.fromkeys(as_words(words)):
            for own in self.spellings(word):
                asked.setdefault(own, []).append(word)
        return Lexicon(
            (
                entry if word == entry.word else dataclasses.replace(entry, word=word)
                for entry in self.entries
                for word in asked.get(entry.word, ())
            ),
            self.notes,
        )

    def merged(self, additions: Lexicon) -> Lexicon:
        """Return this lexicon in which words of `additions` have only their entries there."""
        out = {own for word in additions.words for own in self.spellings(word)}
        kept = (entry for entry in self.entries if entry.word not in out)
        return Lexicon([*kept, *additions.entries], (*self.notes, *additions.notes))

    def with_optional(self, passed_by: Mapping[str, float]) -> Lexicon:
        """Return each pronunciation with and without the phones that may be passed by.

        Parameters
        ----------
        passed_by : mapping of str to float
            Phone -> probability, in (0, 1), that it takes no frame.

        Examples
        --------
        >>> short = Lexicon([Entry("a", ("AH", "sp"))]).with_optional({"sp": 0.4})
        >>> [(entry.phones, entry.probability) for entry in short]
        [(('AH', 'sp'), 0.6), (('AH',), 0.4)]
        """

        def ways(entry: Entry) -> Iterator[Entry]:
            choices = [
                [((phone,), 1 - passed_by[phone]), ((), passed_by[phone])]
                if phone in passed_by
                else [((phone,), 1.0)]
                for phone in entry.phones
            ]
            for way in itertools.product(*choices):
                phones = tuple(phone for part, _ in way for phone in part)
                probability = entry.probability * math.prod(p for _, p in way)
                if phones and probability > 0:
                    yield dataclasses.replace(entry, phones=phones, probability=probability)

        return Lexicon((way for entry in self.entries for way in ways(entry)), self.notes)

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
        if not is_symbol(symbol):
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


def format_missing(missing: Sequence[MissingWord], *, limit: int = 10) -> str:
    """Return the missing words and their nearest spellings as one line for a message."""
    shown = "; ".join(str(word) for word in missing[:limit])
    more = len(missing) - limit
    return shown + (f"; and {more} more" if more > 0 else "")


def read_lexicon(path: str | Path, *, probabilities: bool | None = None) -> Lexicon:
    """Read a pronunciation dictionary.

    Parameters
    ----------
    path : path
        Each line: a word, numbers, and its phones, separated by blanks or tabs. Where most lines
        with a tab have a single field before it, all before the first tab is the word; blanks
        in it become no-break spaces. The numbers: none; the probability of the pronunciation
        (``lexiconp.txt``); or that, the probability of silence after it (`Entry.silence`) and two
        factors (the Montreal Forced Aligner, ``lexiconp_silprob.txt``), which are left out. Lines of
        all three kinds may be mixed. ``;;;`` or ``##`` begins a comment line, a lone ``#`` among the
        phones a comment, unless only phones follow; ``# silence 0.8`` gives the probability
        of silence. Output symbols in brackets behind most words (HTK: ``WELL [WELL] w eh l sp``)
        are passed over. ``WORD(2)`` is another pronunciation of ``WORD`` where that, or ``WORD``
        with another number, is in the file. UTF-8, with or without a byte order mark; plain or
        gzip. Encodings of one word (NFC, NFD) are one word, in the form that comes first.
    probabilities : bool, optional
        Whether a whole number in place of a probability (``1``) is one. By default it is when the
        second field of most lines is a number in (0, 1]. False: numbers are phones.

    Returns
    -------
    Lexicon
        Its ``notes`` say what was left out or looks wrong.

    Raises
    ------
    FormatError
        A line without a pronunciation or with a bad probability (``file:line`` is named), or a
        file without entries.
    """
    rows, notes = _read_rows(path)
    if not rows:
        raise FormatError("no pronunciations in this lexicon", where=str(path),
                          expected="lines of a word and its phones")  # fmt: skip
    bracketed = [row for row in rows if len(row.rest) > 1 and re.match(r"\[.*\]$", row.rest[0])]
    if 2 * len(bracketed) > len(rows):
        for row in bracketed:
            del row.rest[0]
    if probabilities is None:
        plausible = sum(len(row.rest) > 1 and _probability(row.rest[0]) > 0 for row in rows)
        whole = 2 * plausible > len(rows)
        counts = [_n_numbers(row.rest, whole) for row in rows]
    else:
        counts = [int(probabilities)] * len(rows)
    if n_factors := counts.count(4):
        notes.append(f"{path}: {n_factors} entries correct the probability of silence for the word "
                     "that follows: these two factors are left out")  # fmt: skip
    entries = [_entry_of(row, count) for row, count in zip(rows, counts, strict=True)]
    odd = [entry for entry in entries if any(map(is_fraction, entry.phones))]
    if odd:
        notes.append(f"{odd[0].where}: {len(odd)} pronunciations have numbers for phones, such as "
                     f"{odd[0].word} = {' '.join(odd[0].phones)}; expected none, one or four numbers "
                     "before the phones")  # fmt: skip
    return Lexicon(entries, notes)


@dataclasses.dataclass
class _Row:
    """A line: where it is, its word, its numbers and phones, and the silence of its comment."""

    where: str
    word: str
    rest: list[str]
    silence: float | None


def _read_rows(path: str | Path) -> tuple[list[_Row], list[str]]:
    lines = [(number, line) for number, line in read_lines(path)
             if line.strip() and not line.lstrip().startswith((";;;", "##"))]  # fmt: skip
    texts = [(f"{path}:{number}", line, *_without_comment(line)) for number, line in lines]
    words = [_before_tab(text) for _, _, text, _ in texts if "\t" in text.strip()]
    tabs = 2 * sum(len(fields(word)) == 1 for word in words) > len(words)
    rows, commented, spaced = [], [], []
    for where, line, text, silence in texts:
        word, rest = _parted(text, tabs)
        if len(parts := fields(word)) > 1:
            spaced.append(word)
            word = "\u00a0".join(parts)
        rows.append(_Row(where, word, rest, silence))
        if silence is None and len(text) < len(line):
            commented.append((rows[-1], fields(line[len(text) :])))
    phones = {phone for row in rows for phone in row.rest}
    kept = [(row, cut) for row, cut in commented if phones.issuperset(cut[1:])]
    notes = []
    for row, cut in kept:
        row.rest += cut
    if kept:
        notes.append(f"{kept[0][0].where}: a lone '#' among the phones of {len(kept)} entries is taken "
                     "for a phone, because phones follow it; write a comment's words, or ';;;'")  # fmt: skip
    if spaced:
        notes.append(f"{path}: {len(spaced)} words hold blanks, such as {spaced[0].strip()!r}: written "
                     "with no-break spaces (U+00A0) here and in results")  # fmt: skip
    _join_variants(rows)
    form = orthography.FirstForms()
    for row in rows:
        row.word = form(row.word)
    return rows, notes


def _without_comment(line: str) -> tuple[str, float | None]:
    """Return a line up to a lone ``#`` behind its word, and the silence that this may tell of."""
    found = re.search(r"(?<=[^ \t])[ \t]+#(?=[ \t]|$)", line)
    if found is None:
        return line, None
    match fields(line[found.end() :]):
        case ["silence", value] if _NUMBER.match(value):
            return line[: found.start()], float(value)
    return line[: found.start()], None


def _before_tab(text: str) -> str:
    """Return what stands before the first tab, without numbers at its end."""
    word, *numbers = fields(text.strip().partition("\t")[0])
    while numbers and is_fraction(numbers[-1]):
        numbers.pop()
    return " ".join([word, *numbers])


def _parted(text: str, tabs: bool) -> tuple[str, list[str]]:
    """Return the word of a line, and the fields behind it."""
    if not tabs or "\t" not in text.strip():
        first, *rest = fields(text)
        return first, rest
    word = _before_tab(text)
    return word, fields(text)[len(fields(word)) :]


def _join_variants(rows: list[_Row]) -> None:
    """Take the number off ``WORD(2)`` where there is another pronunciation of ``WORD``."""
    variants = [_VARIANT.match(row.word) for row in rows]
    words = {row.word for row in rows}
    numbered: dict[str, set[str]] = {}
    for variant in variants:
        if variant:
            numbered.setdefault(variant["word"], set()).add(variant["number"])
    for row, variant in zip(rows, variants, strict=True):
        if variant and (variant["word"] in words or len(numbered[variant["word"]]) > 1):
            row.word = variant["word"]


def is_fraction(text: str) -> bool:
    """Tell whether `text` is a number as no phone is written: with a point or an exponent."""
    return _FRACTION.match(text) is not None


def _probability(text: str) -> float:
    """Return the probability that `text` writes, 0 when it writes none."""
    value = float(text) if _NUMBER.match(text) else 0.0
    return value if value <= 1.0 else 0.0


def _n_numbers(rest: Sequence[str], whole: bool) -> int:
    """Tell how many numbers stand before the phones: 0, 1 or 4.

    Phones may be digits (X-SAMPA, tones), so a whole number is one only where `whole`, or where
    three more numbers follow of which the second is a probability below 1.
    """
    first = rest[0] if rest else ""
    if not _NUMBER.match(first):
        return 0
    following = [float(text) if _NUMBER.match(text) else math.nan for text in rest[1:4]]
    if len(rest) > 4 and _probability(first) and following[0] < 1 and all(map(math.isfinite, following)):  # fmt: skip
        return 4
    return int(bool(whole or is_fraction(first)))


def _entry_of(row: _Row, n_numbers: int) -> Entry:
    """Return the entry of a line that has so many numbers."""
    numbers, phones = row.rest[:n_numbers], row.rest[n_numbers:]
    probability, silence = 1.0, row.silence
    if numbers and not (probability := _probability(numbers[0])):
        raise FormatError(f"no probability for {row.word!r}", where=row.where,
                          got=repr(numbers[0]), expected="a number above 0, at most 1")  # fmt: skip
    if not phones:
        raise FormatError(
            f"word {row.word!r} has no pronunciation", where=row.where,
            got=repr(" ".join([row.word, *row.rest])), expected="a word and its phones",
            fix="Add its phones or delete the line.",
        )  # fmt: skip
    if n_numbers == 4:
        silence = float(numbers[1])
    return Entry(row.word, tuple(phones), probability, row.where, silence)
