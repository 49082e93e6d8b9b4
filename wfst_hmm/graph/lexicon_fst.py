"""L: the lexicon as a transducer from phones to words.

In: a `Lexicon`, the model's phones and options. Out: an `Fst` with the optional silence, the
disambiguation symbols that make it determinizable, and the ``#0`` self-loop for backoff.

Public names: `BACKOFF`, `LexiconOptions`, `LexiconFst`, `PhoneNames`,
`lexicon_fst`, `disambiguation`, `phone_numbers`,
`optional_silence`, `silence_costs`, `spoken_lexicon`.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from wfst_hmm.errors import GraphError, ModelError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF, Symbols
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.units import AnyModel
from wfst_hmm.orthography import key

__all__ = [
    "BACKOFF",
    "LexiconFst",
    "LexiconOptions",
    "PhoneNames",
    "disambiguation",
    "lexicon_fst",
    "optional_silence",
    "phone_numbers",
    "silence_costs",
    "spoken_lexicon",
]

_MAX_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class LexiconOptions:
    """How pronunciations become a transducer.

    Attributes
    ----------
    silence_probability : float
        Probability of silence before the first word and after every word, in [0, 1); 0 for
        no optional silence.
    silence_phone : str, optional
        The phone of that silence; by default the first of the model's silence phones.
    initial_silence : bool
        Whether that silence may be heard before the first word, too.
    """

    silence_probability: float = 0.5
    silence_phone: str | None = None
    initial_silence: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.silence_probability < 1.0:
            raise UsageError("silence_probability out of range", got=self.silence_probability,
                             expected="at least 0, below 1")  # fmt: skip


class PhoneNames(NamedTuple):
    """As much of a model as L needs."""

    phones: tuple[str, ...]
    silence_phones: tuple[str, ...] = ()


def optional_silence(
    model: AnyModel | PhoneNames, options: LexiconOptions
) -> tuple[int, float, float] | None:
    """Return (phone number from 0, cost of silence, cost of none), None without silence."""
    name = options.silence_phone
    if options.silence_probability == 0.0 or (name is None and not model.silence_phones):
        return None
    name = model.silence_phones[0] if name is None else name
    if name not in model.phones:
        raise ModelError("the model lacks the silence phone", got=name,
                         expected="one of " + ", ".join(model.silence_phones))  # fmt: skip
    probability = options.silence_probability
    return model.phones.index(name), -math.log(probability), -math.log1p(-probability)


def silence_costs(entry: Entry, silence: tuple[int, float, float]) -> tuple[float, float]:
    """Return the costs of silence and of none after an entry; `silence` holds the usual ones.

    Notes
    -----
    Chen, Xu, Peddinti, Povey & Khudanpur (2015), "Pronunciation and silence probability modeling
    for ASR", without the correction for the word that follows.
    """
    if entry.silence is None:
        return silence[1], silence[2]
    pause = -math.log(entry.silence) if entry.silence else math.inf
    return pause, -math.log1p(-entry.silence) + 0.0


def spoken_lexicon(model: AnyModel, lexicon: Lexicon) -> Lexicon:
    """Return the lexicon with the ways around phones that the model may pass by (HTK's ``sp``)."""
    passed_by = getattr(model, "optional_phones", None)
    return lexicon.with_optional(passed_by) if passed_by else lexicon


def phone_numbers(phones: Sequence[str], lexicon: Lexicon) -> dict[str, int]:
    """Return the model's number of every phone, from 0, whatever its encoding (NFC, NFD).

    Raises
    ------
    ModelError
        The lexicon uses phones that the model lacks; word, line and phone are named.
    """
    numbers = {phone: number for number, phone in enumerate(phones)}
    by_key = {key(phone): number for phone, number in numbers.items()}
    for phone in lexicon.phones:
        if (number := by_key.get(key(phone))) is not None:
            numbers.setdefault(phone, number)
    unknown = [
        (entry, phone)
        for entry in lexicon.entries
        for phone in entry.phones
        if phone not in numbers
    ]
    if unknown:
        entry, phone = unknown[0]
        distinct = sorted({phone for _, phone in unknown})
        more = f" (and {len(unknown) - 1} more uses of unknown phones: " + " ".join(
            distinct[:_MAX_SHOWN]
        ) + (" ...)" if len(distinct) > _MAX_SHOWN else ")")  # fmt: skip
        raise ModelError(
            f"the model lacks phone {phone!r} of word {entry.word!r}"
            + (more if len(unknown) > 1 else ""),
            where=entry.where or None,
            expected="phones " + " ".join(phones[:60]) + (" ..." if len(phones) > 60 else ""),
            fix="Correct the lexicon, or train a model that has the phone.",
        )
    return numbers


@dataclasses.dataclass(frozen=True, eq=False)
class LexiconFst:
    """L and the meaning of its labels.

    Attributes
    ----------
    fst : Fst
        Phones in, words out.
    phones : Symbols
        The model's phones in order (label = phone number + 1), then ``#0`` and the
        disambiguation symbols ``#1`` ... .
    n_phones : int
        Input labels above it are ``#0`` and the disambiguation symbols.
    words : Symbols
        The output labels, ``#0`` last.
    """

    fst: Fst
    phones: Symbols
    n_phones: int
    words: Symbols


def disambiguation(lexicon: Lexicon) -> list[int]:
    """Return the disambiguation symbol of every pronunciation, 0 for none.

    A pronunciation that several entries share, or that begins another one, would leave open
    which word was meant or whether it has ended; a symbol ``#1``, ``#2`` ... after its last
    phone tells.

    Notes
    -----
    Mohri, Pereira & Riley (2002), "Weighted finite-state transducers in speech recognition",
    section 3.3.
    """
    shared = Counter(entry.phones for entry in lexicon.entries)
    beginnings = {
        phones[:length] for phones in shared for length in range(1, len(phones))
    }  # fmt: skip
    used: Counter[tuple[str, ...]] = Counter()
    symbols = []
    for entry in lexicon.entries:
        if shared[entry.phones] > 1 or entry.phones in beginnings:
            used[entry.phones] += 1
        symbols.append(used[entry.phones])
    return symbols


def lexicon_fst(
    lexicon: Lexicon,
    model: AnyModel | None = None,
    options: LexiconOptions | None = None,
    *,
    words: Symbols | None = None,
    unspoken: Sequence[str] = (BACKOFF,),
    disambiguate: bool = True,
) -> LexiconFst:
    """Return L.

    Parameters
    ----------
    lexicon : Lexicon
    model : PhoneModel, optional
        By default the phones are those of the lexicon, after the silence phone of `options`;
        without one there is no optional silence.
    options : LexiconOptions, optional
    words : Symbols, optional
        Table of the output side; by default the lexicon's words, then the unspoken ones.
    unspoken : sequence of str
        Words without a sound. Each has a self-loop between words under a disambiguation symbol
        of its own; the first is ``#0``, which backs off.
    disambiguate : bool
        With the disambiguation symbols and the ``#0`` self-loop. Without them L is right for
        composition with a plain acceptor of words, but cannot in general be determinized.

    Raises
    ------
    ModelError
        The model lacks a phone.
    GraphError
        `words` lacks a word of the lexicon.

    Notes
    -----
    As in Kaldi's recipes: state 0 starts, state 1 is between words and final, state 2 owes a
    silence. Before the first word and after every word, silence is heard with its probability.
    The word label and the cost of the pronunciation stand on the first phone.

    Examples
    --------
    >>> from wfst_hmm.graph.lexicon import Entry
    >>> two = Lexicon([Entry("yes", ("Y", "EH", "S")), Entry("no", ("N", "OW"))])
    >>> made = lexicon_fst(two)
    >>> made.fst, list(made.phones)
    (Fst(4 states, 6 arcs, start 0), ['<eps>', 'Y', 'EH', 'S', 'N', 'OW', '#0', '#1'])
    """
    options = options or LexiconOptions()
    source: AnyModel | PhoneNames
    if model is None:
        quiet_phone = () if options.silence_phone is None else (options.silence_phone,)
        source = PhoneNames(tuple(dict.fromkeys([*quiet_phone, *lexicon.phones])), quiet_phone)
    else:
        source = model
    phones = source.phones
    numbers = phone_numbers(phones, lexicon)
    silence = optional_silence(source, options)
    marks = disambiguation(lexicon) if disambiguate else [0] * len(lexicon)
    n_phones = len(phones)
    n_marks = max(marks, default=0)
    if words is None:
        words = Symbols([*lexicon.words, *unspoken])
    missing = [word for word in (*lexicon.words, *unspoken) if word not in words]
    if missing:
        raise GraphError("the table of words lacks words of the lexicon", got=missing[:_MAX_SHOWN])
    # ``#0`` backs off, ``#1`` ... follow homophones, then one for silence and one for each
    # further word without a sound
    symbols = Symbols([*phones, *(f"#{i}" for i in range(n_marks + 1 + max(1, len(unspoken))))])
    silence_mark = n_phones + 2 + n_marks
    quiet = [n_phones + 1, *range(silence_mark + 1, silence_mark + len(unspoken))]

    loop = 1 if silence else 0
    arcs: list[tuple[int, int, int, float, int]] = []
    n_states = 1
    if silence:
        phone = silence[0] + 1
        n_states = 4 if disambiguate else 3
        heard = 3 if disambiguate else loop
        arcs.append((2, phone, 0, 0.0, heard))
        if disambiguate:
            arcs.append((3, silence_mark, 0, 0.0, loop))
        first = silence if options.initial_silence else (0, math.inf, 0.0)
        arcs.append((0, 0, 0, first[2], loop))
        if math.isfinite(first[1]):
            arcs.append((0, phone, 0, first[1], heard))
    for entry, mark in zip(lexicon.entries, marks, strict=True):
        labels = [numbers[phone] + 1 for phone in entry.phones]
        if mark:
            labels.append(n_phones + 1 + mark)
        state, word, cost = loop, words.id(entry.word), -math.log(entry.probability) + 0.0
        for label in labels[:-1]:
            arcs.append((state, label, word, cost, n_states))
            state, word, cost, n_states = n_states, 0, 0.0, n_states + 1
        ends = [(loop, 0.0)]
        if silence:
            pause, none = silence_costs(entry, silence)
            ends = [(loop, none), (2, pause)] if math.isfinite(pause) else [(loop, none)]
        arcs += [(state, labels[-1], word, cost + more, target) for target, more in ends]
    if disambiguate:
        arcs += [(loop, mark, words.id(word), 0.0, loop)
                 for mark, word in zip(quiet, unspoken, strict=False)]  # fmt: skip
    final = np.full(n_states, np.inf)
    final[loop] = 0.0
    sources, ilabels, olabels, weights, targets = zip(*arcs, strict=True) if arcs else ((),) * 5
    fst = Fst.from_arcs(0, sources, ilabels, olabels, weights, targets, final, symbols, words)
    return LexiconFst(fst, symbols, n_phones, words)
