import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import Problem, all_paths, graph_of, problems

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.search.cross_check import cross_check
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath


@settings(deadline=None, max_examples=300)
@given(problems())
def test_three_searches_and_enumeration_agree(problem: Problem) -> None:
    paths = all_paths(problem)
    check = cross_check(
        graph_of(problem), Scores(problem.scores), SearchOptions(beam=np.inf, max_active=0)
    )
    assert check.ok, check.detail
    for result in check.results.values():
        assert isinstance(result, Decoded) == bool(paths)
        if isinstance(result, Decoded):
            assert result.total_cost == pytest.approx(paths[0][0], abs=1e-5)
    n_best = sum(cost <= paths[0][0] + 1e-6 for cost, _ in paths) if paths else 0
    if n_best == 1:
        assert check.verdict == "agree"


@settings(deadline=None, max_examples=100)
@given(problems())
def test_a_narrow_beam_is_widened_until_there_is_a_path(problem: Problem) -> None:
    result = decode(
        graph_of(problem),
        Scores(problem.scores),
        SearchOptions(beam=0.1, max_active=1, min_active=0),
    )
    assert isinstance(result, Decoded) == bool(all_paths(problem))


def chain_graph() -> Graph:
    """Return the graph of "go" (G OW), two states each, with optional silence in front."""
    phones = ("SIL", "G", "OW")
    topology = [Topology.left_to_right(1), Topology.left_to_right(2), Topology.left_to_right(2)]
    columns = [np.array([0]), np.array([1, 2]), np.array([3, 4])]
    labels = StateLabels.build(phones, topology, [c.astype(np.int32) for c in columns])
    entry_sil, sil = labels.label(0, 0, entry=True), labels.label(0, 0)
    chain = [
        (labels.label(phone, state, entry=state == 0), labels.label(phone, state))
        for phone in (1, 2)
        for state in (0, 1)
    ]
    source, ilabel, olabel, following = [0, 5], [entry_sil, sil], [0, 0], [5, 5]
    for number, (enter, stay) in enumerate(chain):
        source += [number, number + 1]
        ilabel += [enter, stay]
        olabel += [int(number == 0), 0]
        following += [number + 1, number + 1]
    source.append(5)
    ilabel.append(chain[0][0])
    olabel.append(1)
    following.append(1)
    final = [np.inf] * 4 + [0.5, np.inf]
    fst = Fst.from_arcs(0, source, ilabel, olabel, np.full(len(source), 0.25), following, final)
    lexicon = Lexicon([Entry("go", ("G", "OW"))])
    return Graph(fst, labels, Symbols(["go"]), phones, ("SIL",), lexicon, "", 0.01)


def frames(*columns: int) -> Scores:
    scores = np.full((len(columns), 5), -10.0, dtype=np.float32)
    scores[np.arange(len(columns)), list(columns)] = -1.0
    return Scores(scores)


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_words_phones_and_costs(search: str) -> None:
    result = decode(chain_graph(), frames(0, 0, 1, 2, 2, 3, 4), SearchOptions(search=search))
    assert isinstance(result, Decoded)
    assert [(w.text, w.start, w.end) for w in result.words] == [("go", 0.02, 0.07)]
    assert [(p.text, round(p.start, 2), round(p.end, 2), p.states) for p in result.phones] == [
        ("SIL", 0.0, 0.02, (0, 0)), ("G", 0.02, 0.05, (0, 1, 1)), ("OW", 0.05, 0.07, (0, 1)),
    ]  # fmt: skip
    assert result.acoustic_cost == pytest.approx(7.0)
    assert result.graph_cost == pytest.approx(7 * 0.25 + 0.5)
    assert (result.search, result.n_frames, result.notes) == (search, 7, ())
    assert result.to_dict()["words"] == [{"text": "go", "start": 0.02, "end": 0.07}]


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_too_few_frames_says_both_numbers(search: str) -> None:
    result = decode(chain_graph(), frames(1, 2, 3), SearchOptions(search=search))
    assert isinstance(result, NoPath)
    assert (result.reason, result.n_frames, result.min_frames) == ("too_few_frames", 3, 4)
    assert "3 frames" in result.detail
    assert "takes 4" in result.detail
    empty = decode(chain_graph(), Scores(np.zeros((0, 5))), SearchOptions(search=search))
    assert isinstance(empty, NoPath)
    assert empty.reason == "too_few_frames"


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_a_dead_frame_is_named(search: str) -> None:
    scores = frames(1, 2, 3, 4, 4).array.copy()
    scores[2] = -np.inf
    result = decode(chain_graph(), Scores(scores), SearchOptions(search=search))
    assert isinstance(result, NoPath)
    assert result.reason == "dead_frame"
    assert "frame 2" in result.detail


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_no_final_state_shows_the_best_hypothesis(search: str) -> None:
    scores = frames(1, 1, 1, 2, 2).array.copy()
    scores[:, 4] = -np.inf  # the last state is never reached
    result = decode(chain_graph(), Scores(scores), SearchOptions(search=search))
    assert isinstance(result, NoPath)
    assert result.reason == "not_final"
    assert result.partial is not None
    assert result.partial.text == "go"
    assert not result.partial.complete


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_scores_that_fit_no_arc(search: str) -> None:
    scores = np.full((6, 5), -np.inf, dtype=np.float32)
    scores[:3, 1] = 0.0
    scores[3:, 0] = 0.0  # silence cannot follow
    result = decode(chain_graph(), Scores(scores), SearchOptions(search=search))
    assert isinstance(result, NoPath)
    assert result.reason == "no_match"
    assert "frame 3" in result.detail


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_too_few_columns_are_refused(search: str) -> None:
    scores = Scores(np.zeros((5, 3)))
    with pytest.raises(DataError, match="too few columns"):
        decode(chain_graph(), scores, SearchOptions(search=search))


def test_beam_cut_is_reported_with_the_widened_beam() -> None:
    graph = chain_graph()
    scores = frames(0, 0, 0, 1, 2, 3, 4).array.copy()
    scores[2:, 0] = -np.inf
    narrow = SearchOptions(beam=0.01, max_active=1, min_active=0, retries=1)
    scores[:2, 1] = -0.1  # "G" at once looks better, and is stuck in frame 2
    scores[2, 1:3] = -np.inf
    scores[2, 0] = -1.0
    result = decode(graph, Scores(scores), narrow)
    assert isinstance(result, Decoded)
    assert "found" in result.notes[0]


def test_a_tie_is_a_tie() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 1], [1, 2], [1.0, 1.0], [1, 2], [np.inf, 0.0, 0.0])
    problem = Problem(fst, np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int32))
    check = cross_check(graph_of(problem), Scores(problem.scores))
    assert check.ok
    assert check.verdict in ("agree", "tie")
    fst = Fst.from_arcs(0, [0, 0], [1, 1], [1, 2], [1.0, 2.0], [1, 2], [np.inf, 0.0, 0.0])
    problem = Problem(fst, np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int32))
    assert cross_check(graph_of(problem), Scores(problem.scores)).verdict == "agree"


@pytest.mark.parametrize(
    "wrong",
    [{"beam": 0.0}, {"beam": -1.0}, {"beam": float("nan")}, {"search": "quick"},
     {"max_active": -1}, {"acoustic_scale": 0.0}, {"min_active": 30, "max_active": 20},
     {"acoustic_scale": float("inf")}],
)  # fmt: skip
def test_options_are_checked(wrong: dict) -> None:
    with pytest.raises(UsageError):
        SearchOptions(**wrong)
