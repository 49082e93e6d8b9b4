"""How likely each pronunciation is, and a pause after it: counted where a model aligned a corpus.

In: alignments of a corpus with its transcripts, the lexicon they were made with. Out: the same
lexicon with probabilities of pronunciations and of silence, for graphs that are built from it.

Public names: `PronunciationCounts`, `count_pronunciations`, `with_probabilities`.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.orthography import key
from wfst_hmm.search.result import Decoded

__all__ = ["PronunciationCounts", "count_pronunciations", "with_probabilities"]

#: A word and its phones.
Spoken = tuple[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class PronunciationCounts:
    """What was heard.

    Attributes
    ----------
    spoken : Counter of (word, phones)
        How often each word was spoken with these phones.
    followed, paused : Counter of (word, phones)
        How often another word came after it, and how often of these after a pause. What follows
        the last word of an utterance depends on where the recording was cut: it does not count.
    n_utterances : int
    skipped : tuple of (str, str)
        Utterances that were not aligned, and why.
    """

    spoken: Counter[Spoken]
    followed: Counter[Spoken]
    paused: Counter[Spoken]
    n_utterances: int
    skipped: tuple[tuple[str, str], ...] = ()

    def named(self, lexicon: Lexicon) -> PronunciationCounts:
        """Return the counts under the spellings of a lexicon (NFC, apostrophes, case)."""

        def own(counter: Counter[Spoken]) -> Counter[Spoken]:
            named: Counter[Spoken] = Counter()
            for (word, phones), n in counter.items():
                for spelling in lexicon.spellings(word, fold_case=True) or (word,):
                    named[spelling, phones] += n
            return named

        return dataclasses.replace(
            self, spoken=own(self.spoken), followed=own(self.followed), paused=own(self.paused)
        )

    @property
    def pause_probability(self) -> float:
        """Share of the places between words that were pauses; 0 without such a place."""
        return self.paused.total() / max(self.followed.total(), 1)


def count_pronunciations(
    outcomes: Iterable[Outcome], silence_phones: Sequence[str]
) -> PronunciationCounts:
    """Count pronunciations and pauses.

    Parameters
    ----------
    outcomes : iterable of Outcome
        Of `apps.align.align_corpus`, or of decoding.
    silence_phones : sequence of str
        The model's: a pause is one of them.
    """
    spoken: Counter[Spoken] = Counter()
    followed: Counter[Spoken] = Counter()
    paused: Counter[Spoken] = Counter()
    quiet = frozenset(silence_phones)
    n_utterances, skipped = 0, []
    for outcome in outcomes:
        if outcome.decoded is None:
            skipped.append((outcome.utterance.id, str(outcome.problem)))
            continue
        n_utterances += 1
        found = list(_spoken(outcome.decoded, quiet))
        spoken.update(key for key, _ in found)
        followed.update(key for key, _ in found[:-1])
        paused.update(key for key, pause in found[:-1] if pause)
    return PronunciationCounts(spoken, followed, paused, n_utterances, tuple(skipped))


def _spoken(decoded: Decoded, quiet: frozenset[str]) -> Iterator[tuple[Spoken, bool]]:
    """Yield each word with its phones, and whether a pause follows."""
    starts = [phone.start for phone in decoded.phones]
    firsts = [bisect.bisect_left(starts, word.start) for word in decoded.words]
    for word, first, behind in zip(decoded.words, firsts, [*firsts[1:], len(starts)], strict=True):
        phones = [phone.text for phone in decoded.phones[first:behind]]
        kept = tuple(key(phone) for phone in phones if phone not in quiet)
        if kept:
            yield (word.text, kept), len(kept) < len(phones)


def with_probabilities(
    lexicon: Lexicon,
    counts: PronunciationCounts,
    *,
    smoothing: float = 1.0,
    pause_smoothing: float = 2.0,
    pauses: bool = True,
) -> Lexicon:
    """Return the lexicon with the probabilities that were counted.

    Parameters
    ----------
    lexicon : Lexicon
        Usually the one that was aligned with; it may have more words, which keep their
        probabilities and get the usual one of a pause.
    counts : PronunciationCounts
    smoothing : float
        Added to the count of every pronunciation of a word that was heard.
    pause_smoothing : float
        So many places after each pronunciation have pauses as often as all places together;
        these, as if there had been one more with a pause and one more without at most, so that
        nothing becomes impossible because it was not seen.
    pauses : bool
        Whether to give probabilities of silence (`Entry.silence`), too; where no word of the
        corpus follows another, nothing is known of them, and the lexicon's stay.

    Raises
    ------
    UsageError
        A smoothing that is not above 0.
    DataError
        Nothing was aligned.

    Notes
    -----
    Chen, Xu, Peddinti, Povey & Khudanpur (2015), "Pronunciation and silence probability modeling
    for ASR", section 2 and equation 5, without the correction for the word that follows. As
    there, a word's likeliest pronunciation has probability 1: a word is no less likely for
    having many.
    """
    for name, value in (("smoothing", smoothing), ("pause_smoothing", pause_smoothing)):
        if not value > 0:
            raise UsageError(name, got=value, expected="above 0")
    if not counts.spoken:
        raise DataError("no utterance was aligned", got=f"{len(counts.skipped)} without alignment",
                        fix="Compare transcripts and recordings.")  # fmt: skip
    counts = counts.named(lexicon)
    heard = {word for word, _ in counts.spoken}
    n_places = counts.followed.total()
    least = 1 / (n_places + 2)
    usual = min(max(counts.pause_probability, least), 1 - least)

    def spoken(entry: Entry) -> Spoken:
        return entry.word, tuple(map(key, entry.phones))

    def entry_of(entry: Entry) -> Entry:
        own = spoken(entry)
        changes: dict[str, float] = {}
        if entry.word in heard:
            ways = lexicon.prons(entry.word)
            most = max(counts.spoken[spoken(way)] for way in ways)
            changes["probability"] = (counts.spoken[own] + smoothing) / (most + smoothing)
        if pauses and n_places:
            paused = counts.paused[own] + pause_smoothing * usual
            changes["silence"] = min(paused / (counts.followed[own] + pause_smoothing), 0.999)
        return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]

    return Lexicon(entry_of(entry) for entry in lexicon)
