import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import WORDS, Problem, acyclic, all_paths, graph_of

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.lattice.answer import AnswerOptions, answer
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import NoPath

WIDE = SearchOptions(beam=np.inf, max_active=0, lattice_beam=1e6)


@settings(deadline=None, max_examples=80)
@given(acyclic())
def test_answers_equal_enumeration(problem: Problem) -> None:
    graph, scores = graph_of(problem), Scores(problem.scores)
    found = answer(graph, scores, WIDE, AnswerOptions(n_best=1000, keep_lattice=True))
    best: dict[str, float] = {}
    for cost, arcs in all_paths(problem):
        labels = problem.fst.arcs["olabel"][list(arcs)]
        best.setdefault(" ".join(WORDS[int(label)] for label in labels if label), cost)
    if isinstance(found, NoPath):
        assert not best
        assert found.reason == decode(graph, scores, WIDE).reason  # type: ignore[union-attr]
        return
    assert found.lattice is not None
    assert found.decoded.total_cost == pytest.approx(min(best.values()), abs=1e-4)
    alone = decode(graph, scores, WIDE)
    assert found.decoded.total_cost == pytest.approx(alone.total_cost, abs=1e-4)  # type: ignore[union-attr]
    total = np.logaddexp.reduce([-cost for cost in best.values()])
    shares = {text: float(np.exp(-cost - total)) for text, cost in best.items()}
    told = {other.decoded.text: other.probability for other in found.alternatives}
    assert told == {text: pytest.approx(share, abs=1e-4) for text, share in shares.items()}
    for other in (found.decoded, *(a.decoded for a in found.alternatives)):
        assert all(0 <= word.confidence <= 1 for word in other.words)  # type: ignore[operator]
        assert len(other.labels) == len(problem.scores)
    if len(best) == 1:
        assert all(word.confidence == pytest.approx(1, abs=1e-3) for word in found.decoded.words)


def test_options_say_what_is_computed() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [0.0, 0.0], [1, 1], [np.inf, 0.0])
    problem = Problem(fst, np.array([[0.0, np.log(3.0)]], np.float32), np.arange(2, dtype=np.int32))
    graph, scores = graph_of(problem), Scores(problem.scores)
    plain = answer(graph, scores, WIDE, AnswerOptions(confidence=False))
    assert not isinstance(plain, NoPath)
    assert plain.decoded.words[0].confidence is None
    assert plain.lattice is None
    sure = answer(graph, scores, WIDE)
    assert not isinstance(sure, NoPath)
    assert (sure.decoded.text, sure.alternatives) == ("b", ())
    assert sure.decoded.words[0].confidence == pytest.approx(0.75)
    assert sure.decoded.to_dict()["words"][0]["confidence"] == pytest.approx(0.75)
    flat = AnswerOptions(calibration=Calibration(scale=0.5), n_best=5)
    flatter = answer(graph, scores, WIDE, flat)
    assert not isinstance(flatter, NoPath)
    wanted = np.sqrt(3) / (1 + np.sqrt(3))
    assert flatter.decoded.words[0].confidence == pytest.approx(wanted)
    assert [a.to_dict()["text"] for a in flatter.alternatives] == ["b", "a"]
    assert flatter.alternatives[0].probability == pytest.approx(wanted)
    exact = answer(graph, scores, WIDE.replace(search="exact"))
    assert not isinstance(exact, NoPath)
    assert exact.decoded.search == "exact"
    assert exact.decoded.words[0].confidence == pytest.approx(0.75)
    with pytest.raises(UsageError):
        AnswerOptions(n_best=-1)


def test_graphs_with_epsilon_cycles_still_answer() -> None:
    fst = Fst.from_arcs(0, [0, 1, 2], [1, 0, 0], [1, 0, 0], [0.0, 0.5, 0.5], [1, 2, 1],
                        [np.inf, 0.0, 0.0])  # fmt: skip
    problem = Problem(fst, np.zeros((1, 1), np.float32), np.zeros(1, np.int32))
    graph, scores = graph_of(problem), Scores(problem.scores)
    found = answer(graph, scores, WIDE)
    assert not isinstance(found, NoPath)
    assert found.decoded.text == "a"
    assert "epsilon cycles" in found.decoded.notes[-1]
    with pytest.raises(GraphError, match="epsilon cycles"):
        answer(graph, scores, WIDE, AnswerOptions(n_best=2))


def test_too_few_frames_have_a_reason() -> None:
    fst = Fst.from_arcs(0, [0, 1], [1, 1], [1, 0], [0.0, 0.0], [1, 2], [np.inf, np.inf, 0.0])
    problem = Problem(fst, np.zeros((1, 1), np.float32), np.zeros(1, np.int32))
    for wanted in (AnswerOptions(), AnswerOptions(confidence=False)):
        found = answer(graph_of(problem), Scores(problem.scores), WIDE, wanted)
        assert isinstance(found, NoPath)
        assert (found.reason, found.min_frames) == ("too_few_frames", 2)
