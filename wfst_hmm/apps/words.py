"""Isolated words: a folder for each word in, a recognizer out.

In: a folder whose sub-folders are named after words and hold recordings of them. Out: trained
`WordModels`, recognized words, accuracy and a confusion matrix.

The speaker of a recording is its file's name up to the first underscore (``anna_03.wav``); a
name without one is a speaker of its own. Cepstral means are normalized per speaker, over all
the recordings given at once.

Public names: `WordTest`, `evaluate_words`, `held_out`, `recognize_words`, `train_words`,
`word_corpus`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.arrays import as_paths
from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.models.word_models import WordGuess, WordModels, WordOptions
from wfst_hmm.signal.containers import SUFFIXES, RawFormat
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.extract import corpus_features
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = [
    "WordTest",
    "evaluate_words",
    "held_out",
    "recognize_words",
    "train_words",
    "word_corpus",
]


OnError = Callable[[str, WfstHmmError], None]


@dataclasses.dataclass(frozen=True, eq=False)
class WordTest:
    """How well words were recognized.

    Attributes
    ----------
    words : tuple of str
    counts : ndarray of int, shape (W, W)
        ``counts[i, j]``: how often word i was said and word j recognized.
    mistakes : tuple of (Utterance, WordGuess)
        Every recording that was taken for another word.
    """

    words: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    mistakes: tuple[tuple[Utterance, WordGuess], ...]

    @property
    def n_recordings(self) -> int:
        """Recordings tested."""
        return int(self.counts.sum())

    @property
    def n_errors(self) -> int:
        """Recordings taken for another word."""
        return self.n_recordings - int(np.trace(self.counts))

    @property
    def accuracy(self) -> float:
        """Share of recordings recognized."""
        return 1.0 - self.n_errors / max(self.n_recordings, 1)

    def table(self) -> str:
        """Return the confusion matrix as text: rows said, columns recognized, dots for zeros."""
        width = max(4, max(len(w) for w in self.words) + 1, len(str(self.counts.max())) + 1)
        lines = [" " * width + "".join(f"{w:>{width}}" for w in self.words)]
        for word, row in zip(self.words, self.counts, strict=True):
            cells = "".join(f"{(str(n) if n else '.'):>{width}}" for n in row)
            lines.append(f"{word:>{width}}{cells}")
        return "\n".join(lines)


def word_corpus(folder: str | Path) -> Corpus:
    """List the recordings of a folder of folders named after words.

    Raises
    ------
    DataError
        The folder is missing, has no sub-folder with recordings, or one without any.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder),
                        expected="a folder with one sub-folder for each word")  # fmt: skip
    utterances = []
    rooms = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for room in rooms:
        found = sorted(p for p in room.iterdir() if p.suffix.lower() in SUFFIXES)
        if not found:
            raise DataError("no recordings in the folder of a word", where=str(room),
                            expected=f"files named *{' *'.join(SUFFIXES[:3])}")  # fmt: skip
        utterances += [_utterance(path, room.name) for path in found]
    if not utterances:
        raise DataError("no folders of words", where=str(folder),
                        expected="one sub-folder for each word, with recordings in it")  # fmt: skip
    return Corpus(tuple(utterances), str(folder))


def _utterance(path: Path, word: str | None) -> Utterance:
    id_ = "_".join(str(path).split())
    first, underscore, _ = path.stem.partition("_")
    speaker = "_".join(first.split()) if underscore and first else id_
    return Utterance(id_, path, None if word is None else (word,), speaker, where=str(path))


def held_out(corpus: Corpus, share: float, *, seed: int = 0) -> tuple[Corpus, Corpus]:
    """Split a corpus into one to train on and one held out, word by word.

    Parameters
    ----------
    corpus : Corpus
        Of utterances of one word each.
    share : float
        Of each word's recordings that is held out, between 0 and 1; at least one recording of
        each word stays on either side.
    seed : int

    Raises
    ------
    DataError
        A word has one recording only.
    """
    if not 0 < share < 1:
        raise UsageError("the share held out must lie between 0 and 1", got=share)
    rng = np.random.default_rng(seed)
    test: set[str] = set()
    for word in corpus.words():
        own = [u.id for u in corpus if u.words == (word,)]
        if len(own) < 2:
            raise DataError(f"word {word!r} has one recording: none can be held out",
                            where=corpus.where)  # fmt: skip
        n_test = min(max(round(share * len(own)), 1), len(own) - 1)
        test.update(own[i] for i in rng.permutation(len(own))[:n_test])
    kept = [u.id for u in corpus if u.id not in test]
    return corpus.subset(kept), corpus.subset(test)


def train_words(
    corpus: Corpus,
    features: FrontEnd | None = None,
    options: WordOptions | None = None,
    *,
    resample: bool = False,
    n_workers: int = 1,
    on_error: OnError | None = None,
    on_word: Callable[[int, int, str], None] | None = None,
) -> WordModels:
    """Train a GMM-HMM for every word of a corpus of isolated words.

    Parameters
    ----------
    corpus : Corpus
        Utterances of one word each, such as `word_corpus` lists.
    features : FrontEnd, optional
        Default: MFCCs with slopes at the rate of the first recording, mean and variance
        normalized per speaker.
    options : WordOptions, optional
    resample : bool
        Convert recordings of another rate instead of refusing them.
    n_workers : int
        Threads.
    on_error : callable, optional
        Called with id and error of a recording that cannot be used; without it that is raised.
    on_word : callable, optional
        Called with (words done, all, word).
    """
    if not len(corpus):
        raise DataError("no recordings", where=corpus.where or None)
    if features is None:
        rate = corpus.utterances[0].header().rate
        features = FeatureOptions(rate=rate, cmvn="speaker", cmvn_variance=True)
    arrays = corpus_features(
        corpus, features, resample=resample, n_workers=n_workers, on_error=on_error
    )
    examples: dict[str, list[npt.NDArray[np.float32]]] = {word: [] for word in corpus.words()}
    for utterance in corpus:
        if utterance.id in arrays:
            examples[_word_of(utterance)].append(arrays[utterance.id].array)
    return WordModels.train(examples, features, options, n_threads=n_workers, on_word=on_word)


def evaluate_words(
    models: WordModels,
    corpus: Corpus,
    *,
    resample: bool = False,
    n_workers: int = 1,
    on_error: OnError | None = None,
) -> WordTest:
    """Recognize every recording of a corpus of isolated words and count the confusions.

    Raises
    ------
    DataError
        The corpus has a word that the models lack.
    """
    index = {word: i for i, word in enumerate(models.words)}
    for utterance in corpus:
        if _word_of(utterance) not in index:
            raise DataError(f"word {_word_of(utterance)!r} has no model", where=utterance.place,
                            expected="one of " + ", ".join(models.words[:20]))  # fmt: skip
    arrays = corpus_features(
        corpus, models.features, resample=resample, n_workers=n_workers, on_error=on_error
    )
    counts = np.zeros((len(index), len(index)), dtype=np.int64)
    mistakes = []
    for utterance in corpus:
        if utterance.id not in arrays:
            continue
        guess = models.recognize(arrays[utterance.id].array)
        counts[index[_word_of(utterance)], index[guess.word]] += 1
        if guess.word != _word_of(utterance):
            mistakes.append((utterance, guess))
    return WordTest(models.words, counts, tuple(mistakes))


def recognize_words(
    models: WordModels,
    files: str | Path | Iterable[str | Path],
    *,
    resample: bool = False,
    channel: int | None = None,
    raw: RawFormat | None = None,
    n_workers: int = 1,
    on_error: OnError | None = None,
) -> list[tuple[Path, WordGuess]]:
    """Say which word each file holds; files that `on_error` was told of are left out."""
    corpus = Corpus(tuple(_utterance(f, None) for f in as_paths(files)), "the files given")
    corpus = corpus.recorded(channel, raw)
    arrays = corpus_features(
        corpus, models.features, resample=resample, n_workers=n_workers, on_error=on_error
    )
    return [(u.audio, models.recognize(arrays[u.id].array)) for u in corpus if u.id in arrays]


def _word_of(utterance: Utterance) -> str:
    if utterance.words is None or len(utterance.words) != 1:
        raise DataError("not a recording of one word", where=utterance.place, got=utterance.words)
    return utterance.words[0]
