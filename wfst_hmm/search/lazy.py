"""Search with scores that are computed for active states alone.

In: a search that has begun, scores of either kind. Out: the search, advanced to the last frame,
and the scores that it asked for.

Public names: `advance_all`.
"""

from __future__ import annotations

import numpy as np

from wfst_hmm.models.lazy_scores import LazyScores
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.begin import AnySearch
from wfst_hmm.search.dense import DenseSearch

__all__ = ["advance_all"]


def advance_all(search: AnySearch, scores: Scores | LazyScores) -> Scores:
    """Search all frames; return the scores, where they are lazy those that were asked for.

    A search with lazy scores does what it does with all of them: before each frame, the columns
    of all states that the frame can lead to are computed.
    """
    if isinstance(scores, Scores):
        search.advance(scores.array)
        return scores
    search.advance(scores.ask(0, 0, np.zeros(scores.n_columns, dtype=np.bool_)))  # checks S
    # an exact search asks for all of the graph's columns, always
    step = max(scores.n_frames, 1) if isinstance(search, DenseSearch) else 1
    for frame in range(0, scores.n_frames, step):
        asked = np.zeros(scores.n_columns, dtype=np.bool_)
        search.mark_columns(asked)
        search.advance(scores.ask(frame, frame + step, asked))
        if search.lost_at is not None:
            break
    return scores.so_far()
