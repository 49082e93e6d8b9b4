"""Films and trellises: their data say what the searches say, and their pages let nothing out."""

import json
import re
import sys

import numpy as np
import pytest
from hostile import LABELS, hostile_fst
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WIDE, all_paths, graph_of, problems, random_problem
from tiny_speech import TinySpeech

from wfst_hmm.apps.filming import film_recording
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.draw import widget
from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.film import film_of
from wfst_hmm.draw.film_tokens import reel_of
from wfst_hmm.draw.page import VIEWS, html_page, module_text, save_page
from wfst_hmm.draw.recording import record
from wfst_hmm.draw.trellis import trellis_of
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.models.gmm_hmm import GaussianHmm
from wfst_hmm.models.hmm import DiscreteHmm
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.options import SearchOptions


@settings(deadline=None, max_examples=60)
@given(problems(max_states=5, max_frames=5), st.integers(1, 4))
def test_settled_words_are_in_every_surviving_path(problem, n_paths: int) -> None:
    graph = graph_of(problem)
    recording = record(problem.fst, problem.scores, problem.columns, WIDE)
    reel = reel_of(graph, recording, np.arange(3), n_paths)

    def back(token: int) -> list[int]:
        found = []
        while token >= 0:
            found.append(token)
            token = int(reel.before[token])
        return found

    frame = recording.frame_of()
    for t, settled in enumerate(reel.settled):
        assert 1 <= len(reel.paths[t]) <= n_paths
        for token in reel.paths[t]:
            assert reel.frame[token] == t
            assert settled in back(int(token))
        assert list(reel.above[reel.paths[t]]) == sorted(reel.above[reel.paths[t]])
    assert reel.n_reached.sum() == len(frame)
    assert reel.above.min(initial=0.0) == 0.0


@settings(deadline=None, max_examples=40)
@given(problems(max_states=4, max_frames=4))
def test_the_best_path_of_a_film_is_the_cheapest(problem) -> None:
    film = film_of(graph_of(problem), Scores(problem.scores), WIDE)
    paths = all_paths(problem)
    json.dumps(film.data, allow_nan=False)
    if not paths:
        assert film.decoded is None
        assert film.data["answer"] is None
        return
    assert film.decoded is not None
    assert film.decoded.total_cost == pytest.approx(paths[0][0], abs=1e-4)
    tokens = film.data["tokens"]
    words, token = [], film.data["paths"][-1]
    costs = [tokens["above"][t] for t in token]
    assert costs[0] == min(costs) == 0.0
    for word in film.data["words"].values():
        words.append(word)
    assert set(film.decoded.text.split()) <= set(words) | {""}


def test_a_film_of_a_recording(tiny_speech: TinySpeech, tmp_path) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    utterance = read_corpus(tiny_speech.test).by_id()["sp0-02"]
    film = film_recording(recognizer, utterance)
    assert film.decoded is not None
    assert film.decoded.text.split() == list(utterance.words)
    data = film.data
    assert data["reference"] == film.decoded.text == data["answer"]["text"]
    n = data["n_frames"]
    assert len(data["paths"]) == len(data["settled"]) == len(data["active"]) == n + 1
    assert len(data["scores"]["top"]) == n
    assert data["audio"]["wav"].startswith("data:audio/wav;base64,")
    page = film.save(tmp_path / "film.html").read_text()
    assert "bi" in page
    assert "renderFilm" in page
    pytest.importorskip("anywidget", reason="needs anywidget (notebooks extra)")
    shown = film._repr_mimebundle_()
    bundle = shown[0] if isinstance(shown, tuple) else shown
    assert "application/vnd.jupyter.widget-view+json" in bundle
    film = film_recording(recognizer, tiny_speech.test / "sp0-02.wav", title="<i>")
    assert film.data["reference"] is None
    assert "<i>" not in film.html()


def test_lost_and_empty_and_endless_films() -> None:
    problem = random_problem(3, 4, 2, 0)
    film = film_of(graph_of(problem), Scores(problem.scores))
    assert film.data["n_frames"] == 0
    json.dumps(film.data, allow_nan=False)
    problem = random_problem(3, 4, 2, 3)
    dead = np.full_like(problem.scores, -np.inf)
    film = film_of(graph_of(problem), Scores(dead))
    assert film.data["lost"]
    assert film.decoded is None
    json.dumps(film.data, allow_nan=False)
    with pytest.raises(UsageError, match="too long for a film"):
        film_of(graph_of(problem), Scores(np.zeros((3001, 3), np.float32)))
    with pytest.raises(UsageError, match="n_paths"):
        film_of(graph_of(problem), Scores(problem.scores), n_paths=0)


def test_a_narrow_beam_shows_in_the_film(tiny_speech: TinySpeech) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    utterance = read_corpus(tiny_speech.test).by_id()["sp0-02"]
    films = [film_recording(recognizer, utterance, SearchOptions(beam=beam, min_active=0))
             for beam in (1e3, 5.0)]  # fmt: skip
    wide, narrow = (film.data for film in films)
    assert set(narrow["width"][:-1]) == {5.0}  # the last frame has no next one
    assert sum(narrow["active"]) < sum(wide["active"])
    assert max(narrow["active"]) <= max(narrow["reached"]) <= max(wide["made"])
    # What has settled at the end of a narrow beam comes no later than in a wide one.
    frame = [film["tokens"]["frame"][film["settled"][60]] for film in (wide, narrow)]
    assert frame[0] <= frame[1]


# ---- pages


@pytest.mark.parametrize("view", VIEWS)
def test_pages_hold_everything_and_reach_for_nothing(view: str) -> None:
    page = html_page(view, {"x": "</script><b>", "y": "<!--\u2028"}, title="</title><b>")
    assert "Content-Security-Policy" in page
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?(?!data:)[a-z]+:", page)
    assert page.count("</script>") == 2
    assert "<b>" not in page
    data = page.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data) == {"x": "</script><b>", "y": "<!--\u2028"}
    module = module_text(view)
    assert "export default" in module
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "import ", "fetch(", "http://", "https://"):  # fmt: skip
        assert way not in module.replace("http://www.w3.org/2000/svg", "")


def test_a_page_of_hostile_labels() -> None:
    page = html_page("graph", {"scene": Explorer(hostile_fst()).scene()})
    for label in LABELS:
        if "<" in label:
            assert label not in page
    with pytest.raises(UsageError, match="no such view"):
        html_page("opera", {})
    with pytest.raises(UsageError, match=r"\.html"):
        save_page(page, "page.svg")


def test_without_anywidget_a_film_is_still_there(
    tiny_speech: TinySpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_recording(Recognizer.load(tiny_speech.graph), tiny_speech.test / "sp0-02.wav")
    monkeypatch.setitem(sys.modules, "anywidget", None)  # importing it fails
    widget._widget_class.cache_clear()
    with pytest.raises(UsageError, match="pip install"):
        film.widget()
    assert film._repr_mimebundle_()["text/plain"].startswith("Film(")
    assert "renderFilm" in film.html()


# ---- trellis


@st.composite
def hmms(draw: st.DrawFn) -> tuple[DiscreteHmm, list[int]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 4))
    a = rng.dirichlet(np.ones(n), n)
    b = rng.dirichlet(np.ones(3), n)
    heard = rng.integers(0, 3, draw(st.integers(1, 7))).tolist()
    return DiscreteHmm(rng.dirichlet(np.ones(n)), a, b), heard


@settings(deadline=None, max_examples=60)
@given(hmms())
def test_trellis_agrees_with_the_model(case: tuple[DiscreteHmm, list[int]]) -> None:
    hmm, heard = case
    trellis = trellis_of(hmm, heard)
    assert np.exp(trellis.log_alpha) == pytest.approx(hmm.forward(heard))
    assert np.exp(trellis.log_beta) == pytest.approx(hmm.backward(heard))
    assert np.exp(trellis.log_gamma) == pytest.approx(hmm.gamma(heard))
    assert trellis.log_probability == pytest.approx(hmm.log_probability(heard))
    found = hmm.decode(heard)
    assert float(trellis.log_delta[-1].max()) == pytest.approx(found.log_probability)
    assert trellis.path.tolist() == found.states.tolist()


def test_trellis_pictures_and_limits(tmp_path) -> None:
    hmm = DiscreteHmm([1, 0], [[0.5, 0.5], [0, 1]], [[0.9, 0.1], [0.2, 0.8]])
    trellis = trellis_of(hmm, [0, 1, 1], names=["<b>", "b"], heard=["x", '"', "שלום"])
    svg = trellis._repr_svg_()
    assert svg.count("<circle") == 4 * 6
    assert "<b>" not in svg
    assert trellis.to_dict()["transitions"][1][0] is None
    assert trellis.save(tmp_path / "t.html").read_text().count("<b>") == 0
    assert trellis.save(tmp_path / "t.svg").read_text() == svg
    with pytest.raises(UsageError, match="too large"):
        trellis_of(hmm, [0] * 61)
    with pytest.raises(UsageError, match="one text for each"):
        trellis_of(hmm, [0, 1], heard=["one"])
    with pytest.raises(DataError):
        trellis_of(hmm, [0, 7])
    speech = GaussianHmm(2, chain=hmm.chain, means=[[0.0], [3.0]], covars=np.ones((2, 1)))
    real = trellis_of(speech, [[0.1], [2.9], [3.2]])
    assert real.path.tolist() == speech.decode([[0.1], [2.9], [3.2]]).states.tolist()
    assert real.heard == ("0", "1", "2")
