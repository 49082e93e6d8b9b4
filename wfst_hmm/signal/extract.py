"""The features of a whole corpus.

In: a `Corpus`. Out: `Features` by utterance id, normalized per speaker or per utterance as the
front end says.

Public names: `corpus_features`, `speaker_stats`, `timed_cepstra`, `utterance_cepstra`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.htk_files import is_htk_features, read_htk_features

__all__ = ["corpus_features", "speaker_stats", "timed_cepstra", "utterance_cepstra"]

Raw = npt.NDArray[np.float32]


def utterance_cepstra(
    utterance: Utterance, front_end: FrontEnd, *, resample: bool = False, warp: float = 1.0
) -> Raw:
    """Read one utterance's audio and compute its raw cepstra, or read them from HTK's files.

    Parameters
    ----------
    utterance : Utterance
        Its own warp factor is applied, too.
    front_end : FrontEnd
    resample : bool
        Convert a recording of another rate instead of refusing it.
    warp : float

    Returns
    -------
    ndarray of float32, shape (T, n_ceps)

    Raises
    ------
    DataError
        Its audio cannot be used; the message names the utterance and where it is defined.
    """
    return timed_cepstra(utterance, front_end, resample=resample, warp=warp)[0]


def timed_cepstra(
    utterance: Utterance, front_end: FrontEnd, *, resample: bool = False, warp: float = 1.0
) -> tuple[Raw, float | None]:
    """Return what `utterance_cepstra` returns, and the seconds of audio, where audio was read."""
    warp *= utterance.warp
    try:
        front_end.require_warp(warp)
        if is_htk_features(utterance.audio):
            return _stored(utterance, front_end, warp), None
        audio = utterance.read(front_end.rate, resample=resample or front_end.resample)
        return front_end.cepstra(audio, warp=warp), audio.seconds
    except WfstHmmError as error:
        what = f"{error.where}: {error.what}" if error.where else f"{utterance.audio}: {error.what}"
        raise DataError(
            what, where=utterance.place, got=error.got, expected=error.expected, fix=error.fix
        ) from None


def _stored(utterance: Utterance, front_end: FrontEnd, warp: float) -> Raw:
    """Return what a file of features holds of an utterance."""
    if warp != 1.0 or utterance.channel not in (None, 0):
        raise DataError("a file of features has no channels and cannot be warped",
                        where=str(utterance.audio), fix="Name the recording.")  # fmt: skip
    file = read_htk_features(utterance.audio)
    frames = front_end.stored(file, str(utterance.audio))
    first = 0 if utterance.start is None else round(utterance.start / file.frame_shift)
    end = len(frames) if utterance.end is None else round(utterance.end / file.frame_shift)
    if not 0 <= first < end <= len(frames) + 1:
        raise DataError("no frames there", where=str(utterance.audio),
                        got=f"{utterance.start:g} to {utterance.end or 0:g} s",
                        expected=f"within {len(frames) * file.frame_shift:g} s")  # fmt: skip
    return frames[first:end]


def corpus_features(
    corpus: Corpus,
    front_end: FrontEnd,
    *,
    resample: bool = False,
    n_workers: int = 1,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> dict[str, Features]:
    """Compute the features of every utterance.

    Parameters
    ----------
    corpus : Corpus
    front_end : FrontEnd
        Normalization by ``speaker`` pools each speaker's usable utterances of this corpus.
    resample : bool
        Convert recordings of another rate instead of refusing them.
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
    for utterance, outcome in _all_raw(corpus, front_end, resample, n_workers):
        if not isinstance(outcome, DataError):
            raw[utterance.id] = outcome
        elif on_error is None:
            raise outcome
        else:
            on_error(utterance.id, outcome)
    stats = speaker_stats([(u, raw[u.id]) for u in corpus if u.id in raw], front_end)
    speaker_of = {utterance.id: utterance.speaker for utterance in corpus}
    return {id_: front_end.finish(array, stats.get(speaker_of[id_])) for id_, array in raw.items()}


def speaker_stats(
    cepstra: Iterable[tuple[Utterance, Raw]], front_end: FrontEnd
) -> dict[str, CmvnStats]:
    """Return each speaker's sums, added in the given order: the same to the bit every time.

    Nothing where the front end does not normalize by speaker.
    """
    pooled: dict[str, list[CmvnStats]] = {}
    if front_end.normalization == "speaker":
        for utterance, raw in cepstra:
            pooled.setdefault(utterance.speaker, []).append(front_end.stats(raw))
    return {speaker: CmvnStats.merge(parts) for speaker, parts in pooled.items()}


def _all_raw(
    corpus: Corpus, front_end: FrontEnd, resample: bool, n_workers: int
) -> Iterator[tuple[Utterance, Raw | DataError]]:
    def attempt(utterance: Utterance) -> Raw | DataError:
        try:
            return utterance_cepstra(utterance, front_end, resample=resample)
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
