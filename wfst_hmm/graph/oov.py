"""Words that are to be spoken, against the lexicon that says how: found, guessed, replaced or left out.

In: the words of transcripts or of a grammar, a `Lexicon`, what to do about those that it lacks. Out:
`Vocabulary`: pronunciations of every word under the very spelling that was asked for, and what
there is to tell. Every command and recipe asks here, so that they all behave alike.

Public names: `ON_OOV`, `SILENCE_WORDS`, `UNKNOWN_WORDS`, `OovOptions`, `Vocabulary`, `grammar_vocabulary`, `places_of`, `silence_phone`,
`vocabulary`, `with_known_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import atomic_file
from wfst_hmm.graph import ngram
from wfst_hmm.graph.lexicon import Entry, Lexicon, MissingWord, format_missing
from wfst_hmm.graph.lexicon_sources import Guess, with_guesses
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.orthography import is_spelled, key

__all__ = [
    "ON_OOV",
    "SILENCE_WORDS",
    "UNKNOWN_WORDS",
    "OovOptions",
    "Vocabulary",
    "grammar_vocabulary",
    "places_of",
    "silence_phone",
    "vocabulary",
    "with_known_words",
]

#: What may be done about a word without a pronunciation.
ON_OOV = ("raise", "skip", "guess", "unk")
#: How lexicons name what stands for any other word, and for silence.
UNKNOWN_WORDS = (
    *ngram.UNKNOWN_WORDS,
    "[unk]",
    "[UNK]",
    "<oov>",
    "<OOV>",
    "<spoken_noise>",
    "<SPOKEN_NOISE>",
)
SILENCE_WORDS = ("<SIL>", "!SIL", "<sil>", "SIL", "sil", "<silence>", "[SIL]")
_MAX_NAMED = 10


@dataclasses.dataclass(frozen=True)
class OovOptions:
    """What to do about words that a lexicon lacks.

    Attributes
    ----------
    on_oov : {"raise", "skip", "guess", "unk"}
        Refuse, naming all of them; leave out the utterances or sentences that use them; look for
        them in other case, then guess their pronunciations; or speak them as the lexicon's
        ``<unk>``. A word without a letter (``...``) has no pronunciation to be missed: it is
        left out with its utterance, even under ``raise``.
    fold_case : bool
        Take a word in other case where the lexicon lacks it as it is written.
    guess : callable (words) -> entries, optional
        By default a grapheme-to-phoneme model trained on the lexicon itself.
    listing : path, optional
        File for all missing words when there are more than a message can name.
    """

    on_oov: str = "raise"
    fold_case: bool = False
    guess: Guess | None = None
    listing: Path | None = None

    def __post_init__(self) -> None:
        if self.on_oov not in ON_OOV:
            raise UsageError("unknown choice", where="on_oov", got=self.on_oov,
                             expected=", ".join(ON_OOV[:-1]) + " or " + ON_OOV[-1])  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """What became of the words.

    Attributes
    ----------
    lexicon : Lexicon
        Pronunciations of the words, each under the spelling that was asked for.
    missing : mapping of str to MissingWord
        Words that cannot be spoken; whatever uses them is to be left out.
    guessed : tuple of Entry
    unknown : tuple of str
        Words that are spoken as `unknown_word`.
    unknown_word : str
    notes : tuple of str
        What the user should be told, a sentence each.
    """

    lexicon: Lexicon
    missing: Mapping[str, MissingWord] = dataclasses.field(default_factory=dict)
    guessed: tuple[Entry, ...] = ()
    unknown: tuple[str, ...] = ()
    unknown_word: str = ""
    notes: tuple[str, ...] = ()

    def tell(self, hear: Callable[[str], None] | None) -> None:
        """Let someone hear the notes."""
        if hear is not None:
            for note in self.notes:
                hear(note)

    def within(self, lexicon: Lexicon) -> Lexicon:
        """Return `lexicon` with the words that it has under other spellings, or not at all."""
        return Lexicon([*lexicon, *(e for e in self.lexicon if e.word not in lexicon)])

    def problem(self, words: Iterable[str]) -> str:
        """Return why an utterance of `words` must be left out, empty when it need not."""
        absent = [self.missing[w] for w in dict.fromkeys(words) if w in self.missing]
        return f"not in the lexicon: {format_missing(absent)}" if absent else ""


class _Utterance(Protocol):
    @property
    def words(self) -> tuple[str, ...] | None:
        """The transcript."""

    @property
    def place(self) -> str:
        """How messages name it."""


def places_of(utterances: Iterable[_Utterance]) -> dict[str, str]:
    """Return every word of the transcripts, and where it comes first."""
    places: dict[str, str] = {}
    for utterance in utterances:
        for word in utterance.words or ():
            places.setdefault(word, utterance.place)
    return places


def vocabulary(
    lexicon: Lexicon,
    words: Mapping[str, str] | Iterable[str],
    options: OovOptions | None = None,
    *,
    of: str = "the transcripts",
    where: str | None = None,
    phones: Collection[str] | None = None,
) -> Vocabulary:
    """Look up words.

    Parameters
    ----------
    lexicon : Lexicon
    words : mapping of str to str, or iterable of str
        The words, and perhaps where each comes first.
    options : OovOptions, optional
    of : str
        Whose words they are, for messages.
    where : str, optional
        The file they come from.
    phones : collection of str, optional
        The model's: pronunciations with others are left out, and said.

    Raises
    ------
    DataError
        Under ``raise``, words with letters that the lexicon lacks; the first ten are named with
        their nearest spellings. Under ``unk``, a lexicon without a word for unknown ones.
    """
    options = options or OovOptions()
    places = words if isinstance(words, Mapping) else dict.fromkeys(words, "")
    notes = list(lexicon.notes)
    folds = options.fold_case or options.on_oov == "guess"
    found = _found(lexicon, places, folds, notes)
    absent = [word for word in places if word not in found]
    guessed: tuple[Entry, ...] = ()
    entries = _entries(lexicon, found)
    if options.on_oov == "guess" and (spelled := [word for word in absent if is_spelled(word)]):
        guess = options.guess
        if guess is None:
            from wfst_hmm.graph.g2p import G2p  # here: it is trained where words are missing

            guess = G2p.train(lexicon).entries
        _, guessed = with_guesses(lexicon, spelled, guess)
        entries += guessed
        notes += [f"guessed: {entry.word} = {' '.join(entry.phones)}" for entry in guessed]
    kept, reasons = _pronounceable(entries, phones, notes)
    known = {entry.word for entry in kept}
    near = 3
    missing = {
        word: MissingWord(word, () if word in reasons else lexicon.nearest(word, near),
                          reasons.get(word, "" if is_spelled(word) else "no letters"))
        for word in places if word not in known
    }  # fmt: skip
    unknown: tuple[str, ...] = ()
    unknown_word = ""
    if options.on_oov == "unk" and missing:
        spoken, unknown_word = _unknown(lexicon, phones)
        unknown = tuple(missing)
        notes.append(
            f"{_count(unknown)} of {of} spoken as {unknown_word}: {_listed(missing, options)}"
        )
        kept += [dataclasses.replace(e, word=word) for word in missing for e in spoken]
        missing = {}
    if missing:
        _judge(missing, places, lexicon, options, of, where, notes)
    return Vocabulary(Lexicon(kept), missing, guessed, unknown, unknown_word, tuple(notes))


def _found(
    lexicon: Lexicon, words: Iterable[str], fold_case: bool, notes: list[str]
) -> dict[str, tuple[str, ...]]:
    """Return the lexicon's spellings of those words that it has; note where they differ."""
    found: dict[str, tuple[str, ...]] = {}
    cased: list[str] = []
    quoted: list[str] = []
    for word in words:
        own = lexicon.spellings(word, fold_case=fold_case)
        if not own:
            continue
        found[word] = own
        if key(own[0]) != key(word):
            (quoted if lexicon.spellings(word) else cased).append(f"{word} = {own[0]}")
    for pairs, what in ((quoted, "with another apostrophe"), (cased, "in other case")):
        if pairs:
            shown = ", ".join(pairs[:_MAX_NAMED]) + (" ..." if len(pairs) > _MAX_NAMED else "")
            notes.append(f"{_count(pairs)} found {what}: {shown}")
    return found


def _entries(lexicon: Lexicon, found: Mapping[str, tuple[str, ...]]) -> list[Entry]:
    asked: dict[str, list[str]] = {}
    for word, spellings in found.items():
        for own in spellings:
            asked.setdefault(own, []).append(word)
    return [
        entry if word == entry.word else dataclasses.replace(entry, word=word)
        for entry in lexicon.entries for word in asked.get(entry.word, ())
    ]  # fmt: skip


def _pronounceable(
    entries: list[Entry], phones: Collection[str] | None, notes: list[str]
) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries that the model can speak, and why words have none of them."""
    if phones is None:
        return entries, {}
    keys = set(map(key, phones))
    bad = {entry: phone for entry in entries for phone in entry.phones if key(phone) not in keys}
    kept = [entry for entry in entries if entry not in bad]
    known = {entry.word for entry in kept}
    reasons = {
        entry.word: (f"{entry.where}: " if entry.where else "")
        + f"the model lacks phone {phone!r} of word {entry.word!r}"
        for entry, phone in bad.items() if entry.word not in known
    }  # fmt: skip
    spared = [entry for entry in bad if entry.word in known]
    for entry in spared[:_MAX_NAMED]:
        notes.append(f"{entry.where or 'lexicon'}: the model lacks phone {bad[entry]!r}: this "
                     f"pronunciation of {entry.word!r} is left out")  # fmt: skip
    if len(spared) > _MAX_NAMED:
        notes.append(f"{len(spared) - _MAX_NAMED} more pronunciations with unknown phones left out")
    return kept, reasons


def _unknown(lexicon: Lexicon, phones: Collection[str] | None) -> tuple[list[Entry], str]:
    word = next((word for word in UNKNOWN_WORDS if word in lexicon), None)
    if word is None:
        raise DataError("the lexicon has no word for unknown ones", where="on_oov=unk",
                        expected="one of " + " ".join(UNKNOWN_WORDS),
                        fix="Add a line such as '<unk> spn', with a phone of the model.")  # fmt: skip
    kept, reasons = _pronounceable(list(lexicon.prons(word)), phones, [])
    if not kept:
        raise DataError(f"the word {word!r} for unknown ones cannot be spoken",
                        got=reasons.get(word), fix="Give it a phone of the model.")  # fmt: skip
    return kept, word


def _judge(
    missing: Mapping[str, MissingWord], places: Mapping[str, str], lexicon: Lexicon,
    options: OovOptions, of: str, where: str | None, notes: list[str],
) -> None:  # fmt: skip
    """Refuse missing words, or note that they are left out."""
    serious = [word for word in missing if is_spelled(word)]
    n_cased = sum(bool(lexicon.spellings(word, fold_case=True)) for word in missing
                  if not missing[word].reason)  # fmt: skip
    cased = f"; {n_cased} of them are there in other case (--fold-case)" if n_cased else ""
    if options.on_oov != "raise" or not serious:
        notes.append(
            f"{_count(missing)} of {of} cannot be spoken: {_listed(missing, options)}{cased}"
        )
        return
    place = next((places[word] for word in serious if places[word]), "")
    what = f"the lexicon lacks {_count(missing)} of {of}"
    if any("phone" in word.reason for word in missing.values()):
        what = f"{_count(missing)} of {of} cannot be spoken"
    raise DataError(
        what + (f", first in {place}" if place else "") + f": {_listed(missing, options)}{cased}",
        where=where,
        fix="Add them to the lexicon; or leave them out with on_oov='skip' (--on-oov skip), or use "
        "guess or unk.",
    )  # fmt: skip


def _listed(missing: Mapping[str, MissingWord], options: OovOptions) -> str:
    """Return ten words for a message; write all of them where there are more."""
    text = format_missing(list(missing.values()), limit=_MAX_NAMED)
    if len(missing) <= _MAX_NAMED or options.listing is None:
        return text
    with atomic_file(options.listing) as temporary:
        lines = (f"{m.word}\t{', '.join(m.nearest) or m.reason}\n" for m in missing.values())
        temporary.write_text("".join(lines), encoding="utf-8")
    return f"{text} (all of them: {options.listing})"


def _count(words: Collection[object]) -> str:
    return f"{len(words)} word{'s' * (len(words) > 1)}"


def silence_phone(lexicon: Lexicon) -> str | None:
    """Return the phone of the lexicon's word for silence, such as Kaldi's ``<SIL> sil``."""
    for word in SILENCE_WORDS:
        for entry in lexicon.prons(word):
            if len(entry.phones) == 1:
                return entry.phones[0]
    return None


def grammar_vocabulary(
    grammar: Grammar, lexicon: Lexicon, options: OovOptions | None = None, *,
    phones: Collection[str] | None = None,
) -> tuple[Grammar, Vocabulary]:  # fmt: skip
    """Return the grammar of what can be spoken, and its vocabulary.

    Sentences with missing words are left out; ``<unk>`` of an n-gram model, which nobody speaks,
    is left out without a word where the lexicon lacks it. A word that is spoken as an unknown
    one is printed so.

    Raises
    ------
    DataError
        As `vocabulary`.
    """
    words = grammar.words
    if grammar.has_backoff:
        words = tuple(w for w in words if w not in ngram.UNKNOWN_WORDS or w in lexicon)
    found = vocabulary(lexicon, words, options, of="the grammar", where=grammar.source or None,
                       phones=phones)  # fmt: skip
    out = [word for word in grammar.words if word not in found.lexicon]
    if found.unknown:
        grammar = grammar.renamed(dict.fromkeys(found.unknown, found.unknown_word))
        spoken = lexicon.restricted([found.unknown_word])
        found = dataclasses.replace(found, lexicon=found.lexicon.merged(spoken))
    return (grammar.without(out) if out else grammar), found


def with_known_words(grammar: Grammar, lexicon: Lexicon, on_oov: str = "raise") -> Grammar:
    """Return the grammar of `grammar_vocabulary` alone."""
    return grammar_vocabulary(grammar, lexicon, OovOptions(on_oov))[0]
