"""Lattices with nothing in them, or nothing but silence; utterances of one frame."""

import numpy as np
import pytest
from search_problems import WORDS, Problem, graph_of

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.lattice.answer import AnswerOptions, answer
from wfst_hmm.lattice.consensus import confidences, consensus
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import best_hypothesis, n_best
from wfst_hmm.lattice.oracle import oracle
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.lattice.rescore import rescored
from wfst_hmm.lattice.stats import lattice_stats
from wfst_hmm.lattice.union import union
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import NoPath

LABELS = np.array([1, 1, 2], dtype=np.int32)


def empty() -> Lattice:
    return lattice_from_rows([], [np.inf], WORDS)


def dead_end() -> Lattice:
    return lattice_from_rows([(0, 1, 1, 0.0, 0.0, LABELS)], [np.inf, np.inf], WORDS)


def silent() -> Lattice:
    rows = [(0, 1, 0, 0.5, 1.0, LABELS), (0, 2, 0, 0.25, 2.0, LABELS), (1, 2, 0, 0.0, 0.0, LABELS)]
    return lattice_from_rows(rows, [np.inf, np.inf, 0.5], WORDS)


@pytest.mark.parametrize("lattice", [empty(), dead_end()], ids=["empty", "dead end"])
def test_lattices_without_a_path(lattice: Lattice) -> None:
    made = determinize_lattice(lattice)
    assert (made.n_states, made.n_arcs) == (1, 0)
    assert best_hypothesis(lattice) is None
    assert n_best(lattice, 3) == []
    assert arc_posteriors(lattice)[1] == -np.inf
    assert oracle(lattice, ["a"]) is None
    assert lattice_stats(lattice).to_dict()["best_cost"] is None
    assert consensus(lattice).words == ()
    assert confidences(lattice, ("a", "b")) == [0.0, 0.0]
    assert best_hypothesis(lattice.pruned(3.0)) is None
    assert best_hypothesis(rescored(lattice, None)) is None
    assert best_hypothesis(union([lattice, lattice])) is None


def test_a_lattice_of_silence() -> None:
    lattice = silent()
    made = determinize_lattice(lattice)
    (only,) = n_best(lattice, 5)
    assert (only.words, only.total_cost) == ((), pytest.approx(2.0))
    assert only.labels.tolist() == [1, 1, 2, 1, 1, 2]
    assert made.labels.tolist() == only.labels.tolist()
    assert consensus(lattice).words == ()
    assert confidences(lattice, ("a",)) == pytest.approx([0.0])
    found = oracle(lattice, ["a"])
    assert found is not None
    assert (found.n_errors, found.hypothesis.words) == (1, ())
    both = determinize_lattice(union([lattice, dead_end(), empty()]))
    assert best_hypothesis(both).total_cost == pytest.approx(2.0)  # type: ignore[union-attr]


@pytest.mark.parametrize("n_frames", [0, 1])
def test_shortest_utterances(n_frames: int) -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [0.0, 1.0], [1, 1], [np.inf, 0.5])
    scores = np.zeros((n_frames, 2), dtype=np.float32)
    problem = Problem(fst, scores, np.arange(2, dtype=np.int32))
    wanted = AnswerOptions(n_best=3, keep_lattice=True)
    found = answer(graph_of(problem), Scores(scores), SearchOptions(), wanted)
    if not n_frames:
        assert isinstance(found, NoPath)
        return
    assert not isinstance(found, NoPath)
    assert [other.decoded.text for other in found.alternatives] == ["a", "b"]
    assert found.decoded.words[0].confidence == pytest.approx(1 / (1 + np.exp(-1)))
    assert (found.decoded.words[0].start, found.decoded.words[0].end) == (0.0, 0.01)
