"""Answers: the best words with times and confidences, and what else may have been said.

In: `Graph` and `Scores`. Out: `Answer`, or the reason why there is none.

Public names: `Alternative`, `Answer`, `AnswerOptions`, `answer`, `n_best_answers`,
`with_confidences`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.lattice.consensus import confidences
from wfst_hmm.lattice.generate import decode_with_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.lattice.nbest import Hypothesis, n_best
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode, scores_for
from wfst_hmm.search.decoded import decoded_from_labels
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of
from wfst_hmm.search.quiet import or_nothing
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.search.searches import full_scores

__all__ = [
    "Alternative",
    "Answer",
    "AnswerOptions",
    "answer",
    "n_best_answers",
    "with_confidences",
]


@dataclasses.dataclass(frozen=True)
class AnswerOptions:
    """What an answer holds beside the best words.

    Attributes
    ----------
    confidence : bool
        Whether words get a confidence.
    n_best : int
        How many hypotheses to return, the best one included; 0: none.
    keep_lattice : bool
    calibration : Calibration
        From posteriors to confidences; by default posteriors are the confidences.

    Raises
    ------
    UsageError
        `n_best` is negative.
    """

    confidence: bool = True
    n_best: int = 0
    keep_lattice: bool = False
    calibration: Calibration = Calibration()  # noqa: RUF009 (frozen)

    def __post_init__(self) -> None:
        if self.n_best < 0:
            raise UsageError("a negative number of hypotheses", where="n_best", got=self.n_best)

    @property
    def needs_lattice(self) -> bool:
        """Whether the best path alone will not do."""
        return self.confidence or self.n_best > 0 or self.keep_lattice


@dataclasses.dataclass(frozen=True, eq=False)
class Alternative:
    """One hypothesis of an n-best list.

    Attributes
    ----------
    decoded : Decoded
        Words with times and confidences, phones, costs.
    probability : float
        Share of its path in the sum over the lattice's paths, 0 to 1.
    """

    decoded: Decoded
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Return text, words, probability and costs, JSON-ready."""
        full = self.decoded.to_dict()
        names = ("text", "words", "acoustic_cost", "graph_cost", "total_cost")
        return {"probability": self.probability} | {name: full[name] for name in names}


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What one utterance says.

    Attributes
    ----------
    decoded : Decoded
        The best path.
    lattice : Lattice or None
        Where it was asked for.
    alternatives : tuple of Alternative
        Distinct word sequences, cheapest first, as many as were asked for and found.
    """

    decoded: Decoded
    lattice: Lattice | None = None
    alternatives: tuple[Alternative, ...] = ()


def answer(
    graph: AnyGraph,
    scores: Scores | npt.ArrayLike,
    options: SearchOptions | None = None,
    wanted: AnswerOptions | None = None,
    costs: WordCosts | None = None,
) -> Answer | NoPath:
    """Decode one utterance.

    Parameters
    ----------
    graph : Graph or CompactGraph
    scores : Scores or array_like, shape (T, S)
        As for `search.decode.decode`.
    options : SearchOptions, optional
        The best path is that of ``options.search``; lattices are always the beam search's, with
        ``options.lattice_beam``. ``acoustic_scale`` is also what posteriors are computed with:
        about a tenth suits GMMs (`models.scores.ACOUSTIC_SCALE`), 1 makes them too sure.
    wanted : AnswerOptions, optional
    costs : WordCosts, optional
        Costs of words that are added while searching, for the beam search; those of lattices and
        n-best lists hold them, too.

    Raises
    ------
    DataError
        The scores lack columns that the graph's labels need.
    GraphError
        The graph has epsilon cycles, and an n-best list or a lattice was asked for.
    """
    options, wanted = (options or SearchOptions()).of(graph), wanted or AnswerOptions()
    scores = full_scores(scores_for(graph, scores))
    if not wanted.needs_lattice:
        result = decode(graph, scores, options, costs)
        return result if isinstance(result, NoPath) else Answer(result)
    if plan_of(graph.fst).cyclic:
        return _without_lattice(graph, scores, options, wanted, costs)
    found = decode_with_lattice(graph, scores, options, costs)
    if isinstance(found, NoPath):
        return found
    best, lattice = found
    if not options.is_beam or options.certify:
        result = decode(graph, scores, options, costs)
        if isinstance(result, NoPath):
            return result
        best = result
    judged = or_nothing(best, graph, scores, options)
    if judged is not best and isinstance(judged, Decoded):
        return Answer(judged, lattice if wanted.keep_lattice else None)
    if wanted.confidence:
        best = with_confidences(best, lattice, wanted.calibration)
    alternatives = n_best_answers(graph, scores, lattice, wanted) if wanted.n_best else ()
    return Answer(best, lattice if wanted.keep_lattice else None, alternatives)


def _without_lattice(
    graph: AnyGraph,
    scores: Scores,
    options: SearchOptions,
    wanted: AnswerOptions,
    costs: WordCosts | None,
) -> Answer | NoPath:
    if wanted.n_best or wanted.keep_lattice:
        raise GraphError("lattices need a graph without epsilon cycles",
                         fix="Remove its epsilons first (fst.ops.remove_epsilons).")  # fmt: skip
    result = decode(graph, scores, options, costs)
    if isinstance(result, NoPath):
        return result
    note = "no confidences: the graph has epsilon cycles"
    return Answer(dataclasses.replace(result, notes=(*result.notes, note)))


def with_confidences(
    decoded: Decoded, lattice: Lattice, calibration: Calibration | None = None
) -> Decoded:
    """Return the answer with the confidence of each word by its lattice."""
    calibration = calibration or Calibration()
    texts = tuple(word.text for word in decoded.words)
    if not texts:
        return decoded
    ends = [word.end for word in decoded.words]
    shares = confidences(lattice, texts, scale=calibration.scale, ends=ends)
    sure = calibration(np.minimum(shares, 1.0))
    words = tuple(
        dataclasses.replace(word, confidence=float(value))
        for word, value in zip(decoded.words, sure, strict=True)
    )
    return dataclasses.replace(decoded, words=words)


def n_best_answers(
    graph: AnyGraph, scores: Scores, lattice: Lattice, wanted: AnswerOptions
) -> tuple[Alternative, ...]:
    """Return the cheapest hypotheses of a lattice with times, phones and confidences.

    Parameters
    ----------
    graph : Graph or CompactGraph
        The one that the lattice was made with.
    scores : Scores
        Their frame shift is used.
    lattice : Lattice
    wanted : AnswerOptions
    """
    scale = wanted.calibration.scale
    _, log_total = arc_posteriors(lattice, scale=scale)
    made = []
    for hypothesis in n_best(lattice, max(1, wanted.n_best)):
        decoded = _decoded(graph, scores, hypothesis)
        if wanted.confidence:
            decoded = with_confidences(decoded, lattice, wanted.calibration)
        share = float(np.exp(-scale * hypothesis.total_cost - log_total))
        made.append(Alternative(decoded, min(1.0, share)))
    return tuple(made)


def _decoded(graph: AnyGraph, scores: Scores, hypothesis: Hypothesis) -> Decoded:
    return decoded_from_labels(
        graph, scores, hypothesis.labels.copy(),
        np.array(graph.words.ids(hypothesis.words), dtype=np.int32),
        np.array(hypothesis.word_frames, dtype=np.int64), np.zeros(0, dtype=np.int32),
        hypothesis.acoustic_cost, hypothesis.graph_cost, "lattice",
    )  # fmt: skip
