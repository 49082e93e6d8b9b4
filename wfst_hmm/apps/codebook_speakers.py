"""Adapting tied mixtures to speakers while decoding: a first pass, codebooks of the speaker's own.

In: a model with codebooks, features by utterance. Out: the same features, each speaker's handed
on once its codebooks have been moved (`models.codebook_adaptation`) by what a first pass heard.

Public names: `SpeakerModels`.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.adaptation import AdaptationOptions, Heard, Search
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.models.codebook_adaptation import CodebookStats, adapted_means
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.corpus import Utterance
from wfst_hmm.signal.features import Features

__all__ = ["SpeakerModels"]


class SpeakerModels:
    """Codebooks by speaker.

    Parameters
    ----------
    model : ContextModel
    codebooks : CodebookSet
        The model's densities.
    graph : Graph or CompactGraph
        Its labels tell tied states; `search` searches it.
    search : callable
    options : AdaptationOptions
    """

    def __init__(
        self,
        model: ContextModel,
        codebooks: CodebookSet,
        graph: AnyGraph,
        search: Search,
        options: AdaptationOptions,
    ) -> None:
        self._graph, self._search, self._options = graph, search, options
        self._codebooks = codebooks
        self._own: dict[str, CodebookSet] = {}
        self._to_score: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._classes = _classes(model, codebooks)

    def score(self, utterance: Utterance, features: Features) -> Scores:
        """Score features that `learned` yielded with the codebooks of their speaker.

        Once all of a speaker's are scored, the codebooks are forgotten.
        """
        speaker = utterance.speaker
        with self._lock:
            self._to_score[speaker] -= 1
            last = self._to_score[speaker] <= 0
            codebooks = self._own.pop(speaker) if last else self._own[speaker]
        return self._scored(codebooks, features)

    def learned(self, features: Iterable[Heard], speakers: Sequence[str]) -> Iterator[Heard]:
        """Yield `features` in their order, each once its speaker's codebooks are there.

        Parameters
        ----------
        features : iterable of (Utterance, Features or error)
        speakers : sequence of str
            The speaker of every utterance that `features` will yield.
        """
        left = collections.Counter(speakers)
        parts: dict[str, list[Features]] = collections.defaultdict(list)
        waiting: collections.deque[Heard] = collections.deque()
        for utterance, found in features:
            speaker = utterance.speaker
            waiting.append((utterance, found))
            if not isinstance(found, WfstHmmError):
                parts[speaker].append(found)
            left[speaker] -= 1
            if not left[speaker] and parts[speaker]:
                own = parts.pop(speaker)
                self._to_score[speaker] = len(own)
                self._own[speaker] = self._adapted(own)
            while waiting and not left[waiting[0][0].speaker]:
                yield waiting.popleft()

    def _adapted(self, features: list[Features]) -> CodebookSet:
        current = self._codebooks
        for _ in range(self._options.n_rounds):
            states = [self._states(current, own) for own in features]
            for number in range(self._options.n_estimates):
                stats = CodebookStats.empty(current)
                for own, path in zip(features, states, strict=True):
                    stats.accumulate(current, own.array, path)
                # whole classes first: then Gaussians are told apart by means nearer to the voice
                least = np.inf if number == 0 < self._options.n_estimates - 1 else 500.0
                current = adapted_means(current, stats, self._classes, min_codebook=least)
        return current

    def _states(self, codebooks: CodebookSet, features: Features) -> npt.NDArray[np.int64]:
        result = self._search(self._scored(codebooks, features))
        if not isinstance(result, Decoded):
            return np.full(features.n_frames, -1, dtype=np.int64)
        return self._graph.labels.column[result.labels - 1].astype(np.int64)

    def _scored(self, codebooks: CodebookSet, features: Features) -> Scores:
        return Scores(codebooks.log_likelihoods(features.array), features.frame_shift,
                      seconds=features.seconds)  # fmt: skip


def _classes(model: ContextModel, codebooks: CodebookSet) -> npt.NDArray[np.int64]:
    """Return 0 for codebooks that only silence uses, 1 for the others, shape (C,)."""
    speech = np.zeros(codebooks.n_codebooks, dtype=np.int64)
    for hmm in model.context.hmms:
        if model.phones[hmm.phone] not in model.silence_phones:
            speech[codebooks.codebook[list(hmm.columns)]] = 1
    return speech
