"""Checks of a pronunciation dictionary: phones, homophones, marks, probabilities.

In: a `Lexicon` and a model's phones. Out: findings.

Public names: `lexicon_findings`, `with_entries`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from wfst_hmm.graph.findings import Finding, shown
from wfst_hmm.graph.lexicon import Entry, Lexicon, is_fraction
from wfst_hmm.graph.units import AnyModel
from wfst_hmm.orthography import key

__all__ = ["lexicon_findings", "with_entries"]

_MARK = re.compile(r"^#[0-9]+$")
_MAX_PLACES = 20
_TOLERANCE = 0.01


def lexicon_findings(
    lexicon: Lexicon, model: AnyModel | None = None, *, own_l: bool = False
) -> Iterator[Finding]:
    """Yield what is wrong with a lexicon.

    Parameters
    ----------
    lexicon : Lexicon
    model : AnyModel, optional
    own_l : bool
        Whether L comes from elsewhere: nothing is then said about how homophones are told apart.
    """
    marked = any(_MARK.match(phone) for phone in lexicon.phones)
    if model is not None:
        yield from _unknown_phones(lexicon, frozenset(model.phones))
    if marked:
        yield from _marks(lexicon)
    elif not own_l:
        yield from _homophones(lexicon)
    yield from _repeated(lexicon)
    yield from _numbers(lexicon)
    for note in lexicon.notes:
        yield Finding("lexicon-notes", "note", note, "lexicon", "Nothing to do if that is meant.")
    yield from _probabilities(lexicon)


def with_entries(lexicon: Lexicon, words: Iterable[str]) -> str:
    """Return the entries of `words` as the end of a sentence, with their places."""
    entries = [entry for word in words for entry in lexicon.prons(word)]
    return f" (entries: {shown(map(_entry, entries), 6)})" if entries else ""


def _entry(entry: Entry) -> str:
    place = f" at {entry.where}" if entry.where else ""
    return f"{entry.word} = {' '.join(entry.phones)}{place}"


def _unknown_phones(lexicon: Lexicon, known: frozenset[str]) -> Iterator[Finding]:
    uses: dict[str, list[Entry]] = {}
    keys = set(map(key, known))
    for entry in lexicon:
        for phone in entry.phones:
            if key(phone) not in keys and not _MARK.match(phone):
                uses.setdefault(phone, []).append(entry)
    for phone, entries in list(uses.items())[:_MAX_PLACES]:
        near = [p for p in known if p.casefold().rstrip("012") == phone.casefold().rstrip("012")]
        hint = f" The model has {shown(sorted(near))}." if near else ""
        yield Finding("unknown-phone", "error",
                      f"the model lacks phone {phone!r} of {shown({e.word for e in entries}, 4)}",
                      entries[0].where or "lexicon",
                      f"Correct the lexicon, or train a model that has the phone.{hint}")  # fmt: skip
    if len(uses) > _MAX_PLACES:
        yield Finding("unknown-phone", "error",
                      f"the model lacks {len(uses) - _MAX_PLACES} more phones", "lexicon",
                      "Is this the lexicon of another phone set?")  # fmt: skip


def _homophones(lexicon: Lexicon) -> Iterator[Finding]:
    by_phones: dict[tuple[str, ...], dict[str, None]] = {}
    for entry in lexicon:
        by_phones.setdefault(entry.phones, {})[entry.word] = None
    groups = [list(words) for words in by_phones.values() if len(words) > 1]
    if groups:
        yield Finding("homophones", "note",
                      f"{len(groups)} pronunciations are shared by several words: "
                      + shown((" = ".join(words) for words in groups), 5), "lexicon",
                      "Only the grammar can tell them apart; L gets disambiguation symbols.")  # fmt: skip


def _marks(lexicon: Lexicon) -> Iterator[Finding]:
    """Check that the lexicon's own disambiguation symbols make its words a prefix code."""
    by_phones: dict[tuple[str, ...], Entry] = {}
    clashes: list[tuple[Entry, Entry, str]] = []
    for entry in lexicon:
        other = by_phones.setdefault(entry.phones, entry)
        if other is not entry:
            clashes.append((other, entry, "homophones"))
    for entry in lexicon:
        for length in range(1, len(entry.phones)):
            other = by_phones.get(entry.phones[:length], entry)
            if other is not entry:
                clashes.append((other, entry, "the first begins the second"))
    for one, other, why in clashes[:_MAX_PLACES]:
        yield Finding("homophones-not-told-apart", "error",
                      f"{_entry(one)} and {_entry(other)} have the same symbols ({why}), although "
                      "the lexicon brings its own disambiguation symbols",
                      other.where or "lexicon",
                      "Add #1, #2 ... to the ends of both, or remove all such symbols: L gets "
                      "them when it is built.")  # fmt: skip
    yield Finding("marks-in-lexicon", "warning",
                  "the lexicon holds disambiguation symbols among its phones", "lexicon",
                  "Give the lexicon without them to wfst-hmm graph, which adds its own.")  # fmt: skip


def _numbers(lexicon: Lexicon) -> Iterator[Finding]:
    odd = [entry for entry in lexicon if any(map(is_fraction, entry.phones))]
    if odd:
        yield Finding("numbers-for-phones", "error",
                      f"{len(odd)} pronunciations have numbers for phones, such as {_entry(odd[0])}",
                      odd[0].where or "lexicon",
                      "Before the phones stand none, one (a probability) or four numbers.")  # fmt: skip


def _repeated(lexicon: Lexicon) -> Iterator[Finding]:
    if lexicon.n_merged:
        yield Finding("repeated-entries", "note",
                      f"{lexicon.n_merged} entries repeat a word and its phones; they were merged",
                      "lexicon", "Delete the repetitions.")  # fmt: skip


def _probabilities(lexicon: Lexicon) -> Iterator[Finding]:
    if all(entry.probability == 1.0 for entry in lexicon):
        return  # a dictionary without probabilities
    sums = {w: math.fsum(e.probability for e in lexicon.prons(w)) for w in lexicon.words}
    peaks = {w: max(e.probability for e in lexicon.prons(w)) for w in lexicon.words}
    off = [w for w, total in sums.items() if abs(total - 1) > _TOLERANCE and peaks[w] < 1.0]
    if off:
        worst = max(off, key=lambda word: abs(math.log(sums[word])))
        yield Finding("pronunciation-probabilities", "warning",
                      f"the probabilities of {len(off)} words neither sum to one nor have one as "
                      f"their largest: {shown(f'{w} {sums[w]:.3g}' for w in off)}",
                      lexicon.prons(worst)[0].where or "lexicon",
                      "Divide them by their sum, or by the largest.")  # fmt: skip
