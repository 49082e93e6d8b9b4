"""Was anything said that the grammar knows? Beside the grammar, a loop of phones is searched.

In: the best path through the grammar and the acoustic cost of the best one through the loop, the
*filler*.
Out: the same result, `rejected` where the filler explains the speech better by too much.

Public names: `Filler`, `beside_filler`, `filler_cost`, `judged`.

Notes
-----
The ratio of the likelihoods of a path through the grammar and of one through a loop of phones,
per frame of speech: Rose & Paul (1990), *A hidden Markov model based keyword recognition system*;
Rohlicek et al. (1989). A filler in parallel to the grammar, each frame of which costs the weight,
would win in the same utterances. Acoustic costs are compared, not those of the graphs: these say how
probable the words are, not whether they were said.
"""

from __future__ import annotations

import dataclasses
import math

from wfst_hmm.errors import UsageError
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.online import OnlineSearch
from wfst_hmm.search.options import FILLER_WEIGHT, SearchOptions
from wfst_hmm.search.result import Decoded

__all__ = ["Filler", "beside_filler", "filler_cost", "judged"]

_LONGEST_PHONE = 1.0  # seconds; nobody holds a sound of a command for longer


@dataclasses.dataclass(frozen=True, eq=False)
class Filler:
    """What takes the utterances that the grammar does not know.

    Attributes
    ----------
    graph : Graph
        A loop of phones (`graph.phone_loop.phone_loop`), made for the same model.
    weight : float
        Nats of acoustic log-likelihood, unscaled, by which the filler must be better per frame of
        speech: the lower, the more is rejected.
    """

    graph: Graph
    weight: float = FILLER_WEIGHT

    def __post_init__(self) -> None:
        if math.isnan(self.weight):
            raise UsageError("the weight of the filler is no number", where="weight")


def filler_cost(filler: Filler, scores: Scores, options: SearchOptions) -> float:
    """Return the acoustic cost of the best path through the filler, nats; +inf: none."""
    search = OnlineSearch(filler.graph, options)
    search.advance(scores)
    return search.acoustic_cost()


def beside_filler(result: Decoded, filler: Filler) -> Decoded:
    """Return words whose confidences hold the filler as a rival.

    A lattice knows the sentences of the grammar alone: with one sentence, its posterior is 1
    whatever was said. The filler's odds are those of one frame of speech, since neighbouring frames
    say nearly the same; at the weight itself they are even.
    """
    if result.filler_margin is None:
        return result
    share = 1.0 / (1.0 + math.exp(min(result.filler_margin - filler.weight, 700.0)))
    words = tuple(
        word if word.confidence is None
        else dataclasses.replace(word, confidence=share * word.confidence)
        for word in result.words
    )  # fmt: skip
    return dataclasses.replace(result, words=words)


def judged(result: Decoded, cost: float, filler: Filler, options: SearchOptions) -> Decoded:
    """Compare a result with the filler.

    Parameters
    ----------
    result : Decoded
    cost : float
        Acoustic cost of the filler over the same frames (`filler_cost`).
    filler : Filler
    options : SearchOptions
        Those of both searches.

    Returns
    -------
    Decoded
        With `rejected` and `filler_margin`, and without words where it is rejected: no output
        holds them. As it was where nothing was said, or where there is no path through the filler.
    """
    silence = set(filler.graph.silence_phones)
    n_frames = sum(len(phone.states) for phone in result.phones if phone.text not in silence)
    if not result.words and not result.complete:
        n_frames = result.n_frames  # silence was better than any sentence, but was it silence?
    if not n_frames or (result.complete and not result.words) or cost == math.inf:
        return result
    margin = (result.acoustic_cost - cost) / options.of(filler.graph).scale / n_frames
    why = _impossible_durations(result, silence)
    if why is None and margin > filler.weight:
        why = f"a loop of phones is better by {margin:.2f} nats a frame"
    result = beside_filler(dataclasses.replace(result, filler_margin=margin), filler)
    if why is None:
        return result
    note = f"rejected: {why}"
    return dataclasses.replace(result, rejected=True, words=(), tags=(), rejected_words=result.words,
                               notes=(*result.notes, note))  # fmt: skip


def _impossible_durations(result: Decoded, silence: set[str]) -> str | None:
    """Tell which durations show that nobody said this; None: they may be right.

    A search that must end in a sentence makes one of steady noise: one sound lasts for seconds,
    and the other words are hurried through, a frame for each state of their phones.
    """
    spoken = [phone for phone in result.phones if phone.text not in silence]
    for phone in spoken:
        if phone.end - phone.start > _LONGEST_PHONE:
            return f"{phone.text} lasts {phone.end - phone.start:.1f} s"
    hurried = []
    for word in result.words:
        own = [phone for phone in spoken
               if word.start <= (phone.start + phone.end) / 2 < word.end]  # fmt: skip
        if len(own) > 1 and all(len(set(phone.states)) == len(phone.states) for phone in own):
            hurried.append(word.text)
    if hurried and 2 * len(hurried) >= len(result.words):
        return f"{', '.join(hurried)}: too short for their phones"
    return None
