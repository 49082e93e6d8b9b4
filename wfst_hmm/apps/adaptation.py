"""Adapting to speakers while decoding: a first pass, a transform of the features, features for more.

In: a `Recognizer` and features by utterance. Out: the same features, mapped for each speaker by
fMLLR so that the model fits what a first pass heard (Gales 1998; the passes are those of
Kaldi's ``decode_fmllr.sh``).

A model that was trained speaker-adaptively has densities of its own for the first pass; any
other model with Gaussian mixtures adapts to itself. Models with tied mixtures keep the features
and move their codebooks (`apps.codebook_speakers`).

Public names: `AdaptationOptions`, `SpeakerReport`, `adapted_features`, `can_adapt`.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import ModelError, WfstHmmError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.fmllr import SpeakerTransform, estimate_fmllr
from wfst_hmm.models.loading import SpeechModel
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.transform_statistics import TransformStats
from wfst_hmm.options import check, option
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.signal.corpus import Utterance
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.transforms import affine

__all__ = ["AdaptationOptions", "SpeakerReport", "adapted_features", "can_adapt"]

#: Features of an utterance, or why there are none.
Heard = tuple[Utterance, "Features | WfstHmmError"]
#: Decodes scores; the acoustic scale and beam are its own.
Search = Callable[[Scores], "Decoded | NoPath"]


@dataclasses.dataclass(frozen=True)
class AdaptationOptions:
    """How to adapt."""

    n_estimates: int = option(
        2,
        "Transforms estimated from what the first pass heard, each with the features of the one "
        "before.",
        least=1,
    )
    n_rounds: int = option(
        2,
        "Decodings that transforms are estimated from: 1 is a first pass alone, 2 decodes with "
        "the first transform and estimates again.",
        least=1,
    )

    def __post_init__(self) -> None:
        check(self, "adaptation option {name}")


@dataclasses.dataclass(frozen=True, eq=False)
class SpeakerReport:
    """What became of one speaker.

    Attributes
    ----------
    speaker : str
    transform : SpeakerTransform
    """

    speaker: str
    transform: SpeakerTransform


def can_adapt(model: SpeechModel) -> bool:
    """Tell whether features can be adapted to the model: it needs Gaussian mixtures."""
    return isinstance(model, AcousticModel) or isinstance(model.densities, MixtureSet)


def adapted_features(
    model: SpeechModel,
    graph: AnyGraph,
    features: Iterable[Heard],
    search: Search,
    speakers: Sequence[str],
    options: AdaptationOptions | None = None,
    *,
    told: Callable[[SpeakerReport], None] | None = None,
) -> Iterator[Heard]:
    """Yield features adapted to their speakers, in the order of `features`.

    Parameters
    ----------
    model : AcousticModel or ContextModel
    graph : Graph or CompactGraph
        Its labels tell tied states; `search` searches it.
    features : iterable of (Utterance, Features or error)
    search : callable
    speakers : sequence of str
        The speaker of every utterance that `features` will yield: a speaker is adapted to once
        all utterances are there.
    options : AdaptationOptions, optional
    told : callable, optional
        Hears of every speaker: of those with too little speech for a full transform, too.

    Raises
    ------
    ModelError
        The model has no Gaussian mixtures.
    """
    if not can_adapt(model):
        raise ModelError("only models with Gaussian mixtures can be adapted to",
                         fix="Decode without adaptation.")  # fmt: skip
    adapter = _Adapter(model, graph, search, options or AdaptationOptions())
    left = collections.Counter(speakers)
    waiting: collections.deque[Heard] = collections.deque()
    ready: dict[str, Features | WfstHmmError] = {}
    parts: dict[str, list[tuple[str, Features]]] = collections.defaultdict(list)
    for utterance, found in features:
        waiting.append((utterance, found))
        speaker = utterance.speaker
        if isinstance(found, WfstHmmError):
            ready[utterance.id] = found
        else:
            parts[speaker].append((utterance.id, found))
        left[speaker] -= 1
        if not left[speaker] and speaker in parts:
            ready |= _speaker(adapter, speaker, parts.pop(speaker), told)
        while waiting and waiting[0][0].id in ready:
            first, _ = waiting.popleft()
            yield first, ready.pop(first.id)


def _speaker(
    adapter: _Adapter,
    speaker: str,
    own: list[tuple[str, Features]],
    told: Callable[[SpeakerReport], None] | None,
) -> dict[str, Features | WfstHmmError]:
    """Adapt the features of one speaker's utterances."""
    transform = adapter.estimate([features for _, features in own])
    if told is not None:
        told(SpeakerReport(speaker, transform))
    return {id_: adapter.mapped(features, transform) for id_, features in own}


class _Adapter:
    """What is the same for all speakers."""

    def __init__(
        self, model: SpeechModel, graph: AnyGraph, search: Search, options: AdaptationOptions
    ) -> None:
        self.graph, self.search, self.options = graph, search, options
        self.mixtures = _mixtures(model)
        self.first = _mixtures(model.first_pass() if isinstance(model, ContextModel) else model)
        silent = {model.phones.index(phone) for phone in model.silence_phones}
        labels = graph.labels
        self.silent = np.zeros(self.mixtures.n_states, dtype=bool)
        self.silent[labels.column[np.isin(labels.phone, list(silent))]] = True

    def mapped(self, features: Features, transform: SpeakerTransform) -> Features:
        """Return the features under a transform."""
        return dataclasses.replace(features, array=affine(features.array, transform.matrix))

    def estimate(self, features: list[Features]) -> SpeakerTransform:
        """Return the transform of the speaker of these utterances."""
        n_dims = self.mixtures.n_dims
        transform = SpeakerTransform(np.eye(n_dims, n_dims + 1), "identity", 0.0, 0.0)
        for turn in range(self.options.n_rounds):
            seen = features if not turn else [self.mapped(f, transform) for f in features]
            mixtures = self.first if not turn else self.mixtures
            states = [self._states(f, mixtures) for f in seen]
            for _ in range(self.options.n_estimates if not turn else 1):
                transform = self._transform(features, states, mixtures, transform)
                mixtures = self.mixtures
        return transform

    def _states(self, features: Features, mixtures: MixtureSet) -> npt.NDArray[np.int64]:
        """Return the tied state of each frame on the best path; -1 in silence or without one."""
        scores = Scores(mixtures.log_likelihoods(features.array), features.frame_shift)
        result = self.search(scores)
        if not isinstance(result, Decoded):
            return np.full(features.n_frames, -1, dtype=np.int64)
        states = self.graph.labels.column[result.labels - 1].astype(np.int64)
        return np.where(self.silent[states], -1, states)

    def _transform(
        self,
        features: list[Features],
        states: list[npt.NDArray[np.int64]],
        mixtures: MixtureSet,
        before: SpeakerTransform,
    ) -> SpeakerTransform:
        stats = TransformStats.empty(mixtures.n_dims)
        for own, path in zip(features, states, strict=True):
            seen = own if before.kind == "identity" else self.mapped(own, before)
            stats.accumulate(mixtures, own.array, path, seen_as=seen.array)
        return estimate_fmllr(stats)


def _mixtures(model: SpeechModel) -> MixtureSet:
    densities = model.mixtures if isinstance(model, AcousticModel) else model.densities
    if not isinstance(densities, MixtureSet):
        raise ModelError("only models with Gaussian mixtures can be adapted to")
    return densities
