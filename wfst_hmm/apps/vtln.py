"""Vocal tract length normalization: the frequency warp under which a speaker fits a model best.

In: a model, a corpus, and the tied state of each frame (from known words, or from a first pass).
Out: a factor for each speaker, to write as ``spk2warp`` into the data directory, where training,
decoding and alignment find it.

Public names: `WARPS`, `WarpChoice`, `speaker_warps`, `states_by_search`, `states_by_words`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.align import LEAVE_OUT, align_corpus
from wfst_hmm.apps.recognize import Outcome, decode_corpus, stream_features
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import DataError, ModelError, UsageError, WfstHmmError
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.oov import OovOptions
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["WARPS", "WarpChoice", "speaker_warps", "states_by_search", "states_by_words"]

#: The factors that are tried.
WARPS = tuple(round(0.80 + 0.02 * i, 2) for i in range(21))
#: Frames of a speaker that are looked at: a minute tells as much as an hour.
_MAX_FRAMES = 6000

#: The tied state of each frame, by utterance; -1 where it is silence or not known.
States = Mapping[str, npt.NDArray[np.int64]]


@dataclasses.dataclass(frozen=True)
class WarpChoice:
    """What was found for a speaker.

    Attributes
    ----------
    speaker : str
    warp : float
        1 where there was nothing to go by.
    gain : float
        Log-likelihood a frame over no warp, nats.
    n_frames : int
    """

    speaker: str
    warp: float
    gain: float
    n_frames: int


def states_by_words(
    model: SpeechModel,
    lexicon: Lexicon,
    corpus: Corpus,
    *,
    resample: bool = False,
    on_skip: Callable[[str], None] = lambda text: None,
    oov: OovOptions = LEAVE_OUT,
    on_note: Callable[[str], None] | None = None,
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the states of an alignment with the transcripts; as `states_by_search`.

    `on_note` hears what there is to tell of words (`graph.oov`).
    """
    outcomes = align_corpus(model, lexicon, corpus, resample=resample, oov=oov, on_note=on_note)
    return _states(outcomes, model, on_skip)


def states_by_search(
    recognizer: Recognizer,
    corpus: Corpus,
    options: SearchOptions | None = None,
    *,
    resample: bool = False,
    on_skip: Callable[[str], None] = lambda text: None,
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the states of the best paths through a decoding graph.

    `on_skip` hears of every utterance that has none, and why.

    Raises
    ------
    DataError
        No utterance has any.
    """
    found = decode_corpus(recognizer, corpus, options, resample=resample)
    return _states(found, recognizer.model, on_skip)


def _states(
    outcomes: Iterator[Outcome], model: SpeechModel, on_skip: Callable[[str], None]
) -> dict[str, npt.NDArray[np.int64]]:
    labels: StateLabels = model.state_labels()
    quiet = np.isin(labels.phone, [model.phones.index(phone) for phone in model.silence_phones])
    found, problems = {}, []
    for outcome in outcomes:
        if outcome.decoded is not None:
            own = outcome.decoded.labels - 1
            found[outcome.utterance.id] = np.where(quiet[own], -1, labels.column[own]).astype(
                np.int64
            )
        else:
            on_skip(outcome.problem or "")
            problems.append(outcome.problem)
    if not found:
        raise DataError(
            "no utterance can be used", got=f"first: {problems[0]}" if problems else None
        )
    return found


def speaker_warps(
    model: SpeechModel,
    corpus: Corpus,
    states: States,
    *,
    warps: Sequence[float] = WARPS,
    resample: bool = False,
    told: Callable[[WarpChoice], None] | None = None,
) -> dict[str, float]:
    """Return the best factor of every speaker.

    Parameters
    ----------
    model : AcousticModel or ContextModel
        With Gaussian mixtures and a front end of Kaldi's kind.
    corpus : Corpus
    states : mapping of str to ndarray of int64, shape (T,)
        From `states_by_words` or `states_by_search`. Utterances without are left out.
    warps : sequence of float
        Factors to try.
    resample : bool
        Convert recordings of another rate than the model's.
    told : callable, optional
        Hears of every speaker.

    Raises
    ------
    ModelError
        The model's front end cannot warp, or it has no mixtures.
    UsageError
        There are no factors to try.

    Notes
    -----
    Lee & Rose (1998), "A frequency warping approach to speaker normalization": a search over
    a grid with the states held fixed. The likelihood counts how far a warp shrinks the
    features (the logarithms of their standard deviations), which would otherwise be a gain.
    """
    if not model.front_end.can_warp:
        raise ModelError(f"the front end {model.front_end.kind!r} does not warp frequencies")
    if not warps:
        raise UsageError("no warp factors to try")
    mixtures = _mixtures(model)
    chosen = {}
    for speaker, utterances in corpus.speakers().items():
        own = _some([u for u in utterances if u.id in states], states)
        found = _best(model, mixtures, speaker, own, states, (1.0, *warps), resample)
        chosen[speaker] = found.warp
        if told is not None:
            told(found)
    return chosen


def _mixtures(model: SpeechModel) -> MixtureSet:
    if isinstance(model, AcousticModel):
        return model.mixtures
    densities = model.first_pass().densities
    if not isinstance(densities, MixtureSet):
        raise ModelError("only models with Gaussian mixtures of their own tell warps apart")
    return densities


def _some(utterances: list[Utterance], states: States) -> list[Utterance]:
    """Return the first utterances with enough frames of speech."""
    kept, n = [], 0
    for utterance in utterances:
        if n >= _MAX_FRAMES:
            break
        kept.append(utterance)
        n += int((states[utterance.id] >= 0).sum())
    return kept


def _best(
    model: SpeechModel,
    mixtures: MixtureSet,
    speaker: str,
    utterances: list[Utterance],
    states: States,
    warps: Sequence[float],
    resample: bool,
) -> WarpChoice:
    likelihoods: dict[float, float] = {}
    n_frames = 0
    for warp in dict.fromkeys(warps):
        corpus = Corpus(tuple(dataclasses.replace(u, warp=u.warp * warp) for u in utterances))
        total, n_frames, parts = 0.0, 0, []
        for utterance, features in stream_features(corpus, model, resample=resample):
            if isinstance(features, WfstHmmError):
                continue
            path = states[utterance.id]
            if len(path) != features.n_frames:
                raise DataError("states of other features", where=utterance.place,
                                got=f"{len(path)} frames", expected=str(features.n_frames))  # fmt: skip
            total += mixtures.accumulate(features.array, path, mixtures.empty_stats())
            spoken = features.array[path >= 0]
            n_frames += len(spoken)
            parts.append(spoken)
        if not n_frames:
            break
        spread = np.concatenate(parts).astype(np.float64).std(axis=0)
        likelihoods[warp] = total / n_frames + float(np.log(np.maximum(spread, 1e-10)).sum())
    if not likelihoods:
        return WarpChoice(speaker, 1.0, 0.0, 0)
    best = max(likelihoods, key=lambda warp: (likelihoods[warp], -abs(warp - 1.0)))
    return WarpChoice(speaker, best, likelihoods[best] - likelihoods[1.0], n_frames)
