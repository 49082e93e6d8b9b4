"""The features of a whole corpus.

In: a `Corpus`. Out: `Features` by utterance id, normalized per speaker or per utterance as the
options say.

Public names: `corpus_features`, `utterance_cepstra`, `utterance_mfcc`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.signal.audio import Audio, read_audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import FeatureOptions, Features, finish_features, mfcc
from wfst_hmm.signal.sphinx import SphinxOptions, sphinx_cepstra

__all__ = ["corpus_features", "utterance_cepstra", "utterance_mfcc"]

Raw = npt.NDArray[np.float32]


def utterance_mfcc(
    utterance: Utterance, options: FeatureOptions, *, vtln_warp: float = 1.0
) -> npt.NDArray[np.float32]:
    """Read one utterance's audio and compute its raw MFCCs.

    Parameters
    ----------
    utterance : Utterance
        Its own warp factor is applied, too.
    options : FeatureOptions
    vtln_warp : float

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)

    Raises
    ------
    DataError
        Its audio cannot be used; the message names the utterance and where it is defined.
    """

    def compute(audio: Audio) -> Raw:
        return mfcc(audio, options, vtln_warp=vtln_warp * utterance.warp)

    return _computed(utterance, options.rate, options.resample, compute)


def utterance_cepstra(
    utterance: Utterance, options: FeatureOptions | SphinxOptions, *, resample: bool = False
) -> npt.NDArray[np.float32]:
    """Read one utterance's audio and compute the raw cepstra of a model's front end.

    Parameters
    ----------
    utterance : Utterance
    options : FeatureOptions or SphinxOptions
    resample : bool
        Convert a recording of another rate instead of refusing it.

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)

    Raises
    ------
    DataError
        As `utterance_mfcc`.
    """
    if isinstance(options, FeatureOptions):
        options = dataclasses.replace(options, resample=options.resample or resample)
        return utterance_mfcc(utterance, options)
    sphinx = options
    if utterance.warp != 1.0:
        raise DataError("Sphinx's front end does not warp frequencies", where=utterance.place,
                        got=utterance.warp, fix="Leave spk2warp out.")  # fmt: skip
    return _computed(utterance, round(sphinx.samprate), resample,
                     lambda audio: sphinx_cepstra(audio.samples, sphinx))  # fmt: skip


def _computed(
    utterance: Utterance, rate: int, resample: bool, compute: Callable[[Audio], Raw]
) -> Raw:
    try:
        audio = read_audio(
            utterance.audio,
            rate=rate,
            channel=utterance.channel,
            start=utterance.start,
            end=utterance.end,
            resample=resample,
        )
        return compute(audio)
    except WfstHmmError as error:
        what = f"{error.where}: {error.what}" if error.where else f"{utterance.audio}: {error.what}"
        raise DataError(
            what, where=utterance.place, got=error.got, expected=error.expected, fix=error.fix
        ) from None


def corpus_features(
    corpus: Corpus,
    options: FeatureOptions,
    *,
    n_workers: int = 1,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> dict[str, Features]:
    """Compute the features of every utterance.

    Parameters
    ----------
    corpus : Corpus
    options : FeatureOptions
        ``cmvn="speaker"`` pools each speaker's usable utterances of this corpus.
    n_workers : int
        Threads that read audio and compute MFCCs; the result does not depend on it.
    on_error : callable, optional
        Called with the id and the error of each utterance that cannot be used, which is then
        left out. Without it the first such error is raised.

    Returns
    -------
    dict of str to Features
        By utterance id, in the corpus's order.

    Raises
    ------
    DataError
        An utterance cannot be used (message: which, where, why) and `on_error` is None, or the
        corpus has no utterance.
    UsageError
        `n_workers` is below 1.
    """
    if n_workers < 1:
        raise UsageError("n_workers", got=n_workers, expected="1 or more")
    if not len(corpus):
        raise DataError("no utterance", where=corpus.where or "corpus", fix="Check its lists.")
    raw: dict[str, Raw] = {}
    for utterance, outcome in _all_raw(corpus, options, n_workers):
        if not isinstance(outcome, DataError):
            raw[utterance.id] = outcome
        elif on_error is None:
            raise outcome
        else:
            on_error(utterance.id, outcome)
    stats = _speaker_stats(corpus, raw) if options.cmvn == "speaker" else {}
    speaker_of = {utterance.id: utterance.speaker for utterance in corpus}
    return {
        id_: finish_features(array, options, stats.get(speaker_of[id_]))
        for id_, array in raw.items()
    }


def _all_raw(
    corpus: Corpus, options: FeatureOptions, n_workers: int
) -> Iterator[tuple[Utterance, Raw | DataError]]:
    def attempt(utterance: Utterance) -> Raw | DataError:
        try:
            return utterance_mfcc(utterance, options)
        except DataError as error:
            return error

    if n_workers == 1:
        for utterance in corpus:
            yield utterance, attempt(utterance)
        return
    with ThreadPoolExecutor(n_workers) as pool:
        try:
            yield from zip(corpus, pool.map(attempt, corpus), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _speaker_stats(corpus: Corpus, raw: dict[str, Raw]) -> dict[str, CmvnStats]:
    """Sums per speaker, always added in the corpus's order: the same to the bit every time."""
    pooled: dict[str, list[CmvnStats]] = {}
    for utterance in corpus:
        if utterance.id in raw:
            pooled.setdefault(utterance.speaker, []).append(CmvnStats.of(raw[utterance.id]))
    return {speaker: CmvnStats.merge(parts) for speaker, parts in pooled.items()}
