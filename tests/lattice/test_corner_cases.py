"""Lattices with nothing in them, or nothing but silence; utterances of one frame."""

import dataclasses

import numpy as np
import pytest
from search_problems import WORDS, Problem, graph_of

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.lattice.answer import Answer, AnswerOptions, answer
from wfst_hmm.lattice.consensus import confidences, consensus
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.generate import lattice_before_determinization
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import best_hypothesis, n_best
from wfst_hmm.lattice.oracle import oracle
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.lattice.rescore import rescored
from wfst_hmm.lattice.stats import lattice_stats
from wfst_hmm.lattice.union import union
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology
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


def loop_of_ties(n_words: int) -> Graph:
    """Return a loop of one-phone words and silence where every path costs nothing."""
    names = "abc"[:n_words]
    phones = (*names.upper(), "SIL")
    labels = StateLabels.build(phones, [Topology.left_to_right(1)] * len(phones),
                               [np.zeros(1, np.int32)] * len(phones))  # fmt: skip
    arcs = [(0, labels.label(n_words, 0), 0, 0)]
    for word in range(n_words):
        arcs += [
            (0, labels.label(word, 0, entry=True), word + 1, word + 1),
            (word + 1, labels.label(word, 0), 0, word + 1), (word + 1, 0, 0, 0),
        ]  # fmt: skip
    source, ilabel, olabel, following = map(list, zip(*arcs, strict=True))
    fst = Fst.from_arcs(0, source, ilabel, olabel, np.zeros(len(arcs)), following,
                        np.zeros(n_words + 1))  # fmt: skip
    lexicon = Lexicon([Entry(name, (name.upper(),)) for name in names])
    return Graph(fst, labels, Symbols(names), phones, ("SIL",), lexicon, "", 0.01)


@pytest.mark.parametrize(("n_words", "n_frames"), [(1, 300), (3, 300)])
def test_flat_scores_stay_within_a_budget_and_say_so(n_words: int, n_frames: int) -> None:
    graph, scores = loop_of_ties(n_words), Scores(np.zeros((n_frames, 1), dtype=np.float32))
    answered = answer(graph, scores, wanted=AnswerOptions(n_best=3, keep_lattice=True))
    assert isinstance(answered, Answer)
    assert answered.lattice is not None
    assert answered.lattice.beam == 0
    assert answered.lattice.is_deterministic
    assert len(answered.alternatives) == 1
    assert "too many paths" in answered.decoded.notes[-1]
    assert "not within 8 nats" in answered.decoded.notes[-1]
    few = answer(graph, Scores(np.zeros((4, 1), dtype=np.float32)))
    assert isinstance(few, Answer)
    assert few.decoded.notes == ()


def test_a_beam_that_is_too_wide_is_narrowed_not_given_up() -> None:
    scores = np.zeros((40, 1), dtype=np.float32)
    raw = lattice_before_determinization(loop_of_ties(2), Scores(scores), SearchOptions())
    assert raw is not None
    costs = dataclasses.replace(raw, graph_cost=raw.graph_cost + 1.0 * (raw.word > 0))
    narrowed = determinize_lattice(costs, max_states=12)
    assert narrowed.is_deterministic
    assert 0 < narrowed.beam < 8
    wide = determinize_lattice(costs, beam=narrowed.beam)
    assert [h.words for h in n_best(narrowed, 50)] == [h.words for h in n_best(wide, 50)]


def test_a_lattice_leaves_its_arrays_to_their_owner() -> None:
    made = silent()
    arrays = {
        field.name: np.array(getattr(made, field.name))
        for field in dataclasses.fields(made)
        if isinstance(getattr(made, field.name), np.ndarray)
    }
    lattice = dataclasses.replace(made, **arrays)
    for name, array in arrays.items():
        array.flat[0] = array.flat[0]  # still theirs to write
        assert not getattr(lattice, name).flags.writeable
