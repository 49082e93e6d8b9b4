"""A recording, decoded before your eyes.

In: a recognizer and a recording. Out: `Film`.

Public names: `film_recording`.
"""

from __future__ import annotations

from pathlib import Path

from wfst_hmm.apps.recognize import corpus_of_files, stream_features
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.draw.film import Film, film_of
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["film_recording"]


def film_recording(
    recognizer: Recognizer,
    recording: str | Path | Utterance,
    options: SearchOptions | None = None,
    *,
    others: Corpus | None = None,
    resample: bool = False,
    title: str = "",
    n_paths: int = 20,
) -> Film:
    """Return the film of decoding one recording.

    Parameters
    ----------
    recognizer : Recognizer
    recording : path or Utterance
        An utterance brings its own id, times, channel and words.
    others : Corpus, optional
        A corpus that holds the utterance: the speaker's other recordings count for CMVN then.
    options : SearchOptions, optional
    resample : bool
        Convert a recording of another rate than the model's instead of refusing it.
    title, n_paths
        As for `draw.film.film_of`.

    Raises
    ------
    DataError
        The recording cannot be read or does not fit the model.
    UsageError
        It is too long.
    """
    if isinstance(recording, Utterance):
        alone = Corpus((recording,), "a film")
        corpus = alone if others is None else others.subset(
            [u.id for u in others if u.speaker == recording.speaker or u.id == recording.id]
        )  # fmt: skip
    else:
        alone = corpus = corpus_of_files([recording])
    (wanted,) = alone
    heard = {
        utterance.id: (utterance, features)
        for utterance, features in stream_features(corpus, recognizer.model, resample=resample)
    }
    utterance, features = heard[wanted.id]
    if isinstance(features, WfstHmmError):
        raise features
    return film_of(
        recognizer.graph, recognizer.model.score(features), options,
        audio=utterance.read(),
        reference=utterance.words, title=title or utterance.id, n_paths=n_paths,
    )  # fmt: skip
