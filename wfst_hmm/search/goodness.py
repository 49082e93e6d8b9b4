"""How well each phone of an alignment fits its frames, beside all other phones.

In: an alignment and the scores it was made from. Out: the same alignment, its phones with a
confidence each, its words with the least of their phones'.

Public names: `goodness_of`, `with_confidences`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.result import Decoded

__all__ = ["goodness_of", "with_confidences"]


def goodness_of(decoded: Decoded, scores: Scores, labels: StateLabels) -> npt.NDArray[np.float64]:
    """Return how far each frame's phone lies behind the best phone, nats, 0 at best, shape (T,).

    The phone of a frame is as good as its best state: where exactly its states follow each other
    says little about the phone.

    Notes
    -----
    Witt & Young (2000), "Phone-level pronunciation scoring and assessment for interactive
    language learning": the goodness of pronunciation, with the best phone of each frame in place
    of a free phone loop.
    """
    n_phones = int(labels.phone.max()) + 1
    best = np.full((scores.n_frames, n_phones), -np.inf)
    for phone in range(n_phones):
        columns = np.unique(labels.column[labels.phone == phone])
        if len(columns):
            best[:, phone] = scores.array[:, columns].max(axis=1)
    own = best[np.arange(scores.n_frames), labels.phone[decoded.labels - 1]]
    return np.asarray(own - best.max(axis=1))


def with_confidences(
    decoded: Decoded, scores: Scores, labels: StateLabels, *, scale: float = 0.1
) -> Decoded:
    """Return the alignment with confidences.

    Parameters
    ----------
    decoded : Decoded
        An alignment.
    scores : Scores
        Those that were aligned.
    labels : StateLabels
        Of the graph.
    scale : float
        On the mean goodness of a phone's frames before its exponential is taken: frames are far
        from independent, so that likelihoods claim too much.
    """
    goodness = goodness_of(decoded, scores, labels)
    phones, end = [], 0
    for phone in decoded.phones:
        begin, end = end, end + len(phone.states)
        mean = float(goodness[begin:end].mean()) if end > begin else 0.0
        phones.append(dataclasses.replace(phone, confidence=float(np.exp(scale * mean))))
    words = []
    for word in decoded.words:
        inside = [
            phone.confidence
            for phone in phones
            if phone.confidence is not None
            and word.start < (phone.start + phone.end) / 2 < word.end
        ]
        words.append(dataclasses.replace(word, confidence=min(inside, default=None)))
    return dataclasses.replace(decoded, phones=tuple(phones), words=tuple(words))
