import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import Problem, all_paths, graph_of, problems
from tiny_speech import TinySpeech

from wfst_hmm.draw.film import film_of
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import load_graph
from wfst_hmm.graph.compiler import build_compact
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon
from wfst_hmm.lattice.answer import Answer, AnswerOptions, answer
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.search.certify import certify
from wfst_hmm.search.cross_check import cross_check
from wfst_hmm.search.decode import decode
from wfst_hmm.search.online import OnlineSearch
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


# ----- what an array of scores may be


def test_an_array_of_log_likelihoods_is_taken() -> None:
    scores = frames(0, 0, 1, 2, 2, 3, 4)
    whole = decode(chain_graph(), scores)
    for array in (scores.array, scores.array.astype(np.float64), scores.array.tolist()):
        result = decode(chain_graph(), array)
        assert isinstance(result, Decoded)
        assert isinstance(whole, Decoded)
        assert (result.text, result.total_cost) == (whole.text, whole.total_cost)
    assert cross_check(chain_graph(), scores.array).ok
    answered = answer(chain_graph(), scores.array)
    assert isinstance(answered, Answer)
    assert answered.decoded.text == "go"
    assert film_of(chain_graph(), scores.array).decoded is not None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (frames(0, 0, 1, 2, 2, 3, 4).array.T, r"transposed.*\(5, 7\).*scores\.T"),
        (np.exp(frames(0, 0, 1, 2, 2, 3, 4).array), r"probabilities.*np\.log"),
        (np.full((7, 5), 0.2), r"probabilities"),
        (np.zeros((7, 3)), "too few columns"),
        (np.zeros(5), "T x S"),
        (np.zeros((7, 5), dtype=complex), "complex"),
        (np.full((7, 5), "1"), "real numbers"),
        (np.where(np.arange(35).reshape(7, 5) == 12, np.nan, -1.0), "frame 2, column 2"),
        (np.where(np.arange(35).reshape(7, 5) == 12, np.inf, -1.0), "frame 2, column 2"),
    ],
)
def test_arrays_that_are_no_log_likelihoods_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError) as refused:
        decode(chain_graph(), array)
    assert re.search(message, " ".join(str(refused.value).split()))


# ----- whose acoustic scale


def test_the_scale_is_the_graph_s_unless_another_is_named() -> None:
    graph = dataclasses.replace(chain_graph(), acoustic_scale=0.25)
    scores = frames(0, 0, 1, 2, 2, 3, 4)
    for search in ("auto", "beam", "exact", "compose"):
        for options in (SearchOptions(search=search), SearchOptions(search=search, beam=20.0)):
            result = decode(graph, scores, options)
            assert isinstance(result, Decoded)
            assert result.acoustic_cost == pytest.approx(0.25 * 7)
        named = decode(graph, scores, SearchOptions(search=search, acoustic_scale=0.5))
        assert isinstance(named, Decoded)
        assert named.acoustic_cost == pytest.approx(0.5 * 7)
    result, _ = certify(graph, scores)
    assert isinstance(result, Decoded)
    answered = answer(graph, scores, wanted=AnswerOptions(keep_lattice=True))
    assert isinstance(answered, Answer)
    assert answered.lattice is not None
    film = film_of(graph, scores)
    assert film.decoded is not None
    online = OnlineSearch(graph, SearchOptions())
    online.advance(scores)
    for one in (
        result.acoustic_cost, answered.decoded.acoustic_cost, film.decoded.acoustic_cost,
        online.acoustic_cost(), answered.lattice.acoustic_cost.sum(),
        *(r.acoustic_cost for r in cross_check(graph, scores).results.values()
          if isinstance(r, Decoded)),
    ):  # fmt: skip
        assert one == pytest.approx(0.25 * 7)


def test_the_scale_travels_from_model_to_graph_and_to_disk(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    model = dataclasses.replace(AcousticModel.load(tiny_speech.model), acoustic_scale=0.3)
    lexicon = read_lexicon(tiny_speech.lexicon)
    compact = build_compact(model, lexicon, grammar_from_spec("loop", lexicon))
    for graph in (compact, compact.expanded()):
        graph.save(tmp_path / "graph")
        assert load_graph(tmp_path / "graph").acoustic_scale == graph.acoustic_scale == 0.3
    model.save(tmp_path / "model")
    assert AcousticModel.load(tmp_path / "model").acoustic_scale == 0.3
    assert model.hash == AcousticModel.load(tiny_speech.model).hash


def test_graphs_and_models_that_were_saved_without_a_scale_have_the_usual_one(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    shutil.copytree(tiny_speech.model, tmp_path / "model")
    header = json.loads((tmp_path / "model" / "model.json").read_text())
    del header["acoustic_scale"]
    (tmp_path / "model" / "model.json").write_text(json.dumps(header))
    assert AcousticModel.load(tmp_path / "model").acoustic_scale == 0.1
    chain_graph().save(tmp_path / "graph")
    header = json.loads((tmp_path / "graph" / "graph.json").read_text())
    assert header.pop("acoustic_scale") == 1.0
    (tmp_path / "graph" / "graph.json").write_text(json.dumps(header))
    assert Graph.load(tmp_path / "graph").acoustic_scale == 0.1


# ----- what the beam is


def fork_graph() -> Graph:
    """Return a graph of two ways, of which the better one looks worse for three frames."""
    phones = ("A", "B")
    topology = [Topology.left_to_right(1)] * 2
    labels = StateLabels.build(phones, topology, [np.array([0], np.int32), np.array([1], np.int32)])
    a, b = labels.label(0, 0), labels.label(1, 0)
    first_a, first_b = labels.label(0, 0, entry=True), labels.label(1, 0, entry=True)
    fst = Fst.from_arcs(0, [0, 1, 0, 2], [first_a, a, first_b, b], [1, 0, 2, 0], [0.0] * 4,
                        [1, 1, 2, 2], [np.inf, 0.0, 0.0])  # fmt: skip
    lexicon = Lexicon([Entry("a", ("A",)), Entry("b", ("B",))])
    return Graph(fst, labels, Symbols(["a", "b"]), phones, (), lexicon, "", 0.01)


FORKED = np.array([[-4.0, 0.0]] * 3 + [[0.0, -4.0]] * 6, dtype=np.float32)  # a costs 12, b 24


def test_the_plain_beam_search_prunes_small_graphs_too() -> None:
    for beam, text in ((24.0, "a"), (11.0, "b")):
        plain = decode(fork_graph(), FORKED, SearchOptions(search="beam", beam=beam))
        assert isinstance(plain, Decoded)
        assert (plain.text, plain.search, plain.notes) == (text, "beam", ())
    overruled = decode(fork_graph(), FORKED, SearchOptions(beam=11.0))
    assert isinstance(overruled, Decoded)
    assert (overruled.text, overruled.search) == ("a", "exact")
    assert "all of its states were searched" in overruled.notes[0]
    usual = decode(fork_graph(), FORKED)
    assert isinstance(usual, Decoded)
    assert usual.notes == ()
    for options in (SearchOptions(search="beam", beam=11.0), SearchOptions(beam=11.0)):
        answered, alone = (
            answer(fork_graph(), FORKED, options),
            decode(fork_graph(), FORKED, options),
        )
        assert isinstance(answered, Answer)
        assert isinstance(alone, Decoded)
        assert (answered.decoded.text, answered.decoded.search, answered.decoded.notes) == (
            alone.text, alone.search, alone.notes)  # fmt: skip


def test_the_plain_beam_search_does_not_search_again_unless_told() -> None:
    scores = FORKED.copy()
    scores[5, 1] = -np.inf  # and the way that the beam leaves ends here
    plain = SearchOptions(search="beam", beam=11.0)
    narrow = decode(fork_graph(), FORKED, SearchOptions(beam=5.0))
    assert isinstance(narrow, Decoded)
    assert "at least 20 states stay" in narrow.notes[0]
    lost = decode(fork_graph(), scores, plain)
    assert isinstance(lost, NoPath)
    assert lost.reason == "beam_cut"
    assert "beam 11" in lost.detail
    for again in (plain.replace(retries=1), SearchOptions(beam=5.0, min_active=0)):
        found = decode(fork_graph(), scores, again)
        assert isinstance(found, Decoded)
        assert found.text == "a"
        assert "found" in found.notes[0]
    scores[:4, 0] = -np.inf  # now there is no path, and no beam is to blame
    lost = decode(fork_graph(), scores, plain)
    assert isinstance(lost, NoPath)
    assert lost.reason == "no_match"


@pytest.mark.parametrize("search", ["exact", "compose"])
def test_searches_that_drop_nothing_are_optimal(search: str) -> None:
    result = decode(fork_graph(), FORKED, SearchOptions(search=search, certify=True))
    assert isinstance(result, Decoded)
    assert result.notes == ("certificate: optimal (nothing pruned)",)
    lost = decode(fork_graph(), FORKED[:0], SearchOptions(search=search, certify=True))
    assert isinstance(lost, NoPath)
