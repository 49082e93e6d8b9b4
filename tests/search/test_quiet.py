"""Silence is nothing said: with every search, whole or as it comes; speech stays speech."""

import numpy as np
import pytest
from tiny_speech import RATE, TinySpeech, say

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.graph.compiler import build_compact, build_graph
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.phrases import word_list
from wfst_hmm.lattice.answer import Answer, AnswerOptions, answer
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.online import OnlineSearch
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.quiet import quiet_part
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats


@pytest.fixture(scope="module", params=[build_graph, build_compact])
def commands(request: pytest.FixtureRequest, tiny_speech: TinySpeech) -> Recognizer:
    """A grammar that has no empty sentence."""
    loop = Recognizer.load(tiny_speech.graph)
    lexicon = read_lexicon(tiny_speech.lexicon)
    graph = request.param(loop.model, lexicon, word_list(["ba", "bi"]))
    return Recognizer(graph, loop.model)


def scores_of(recognizer: Recognizer, samples: np.ndarray) -> Scores:
    model = recognizer.model
    known = CmvnStats.of_training(model.info)
    assert known is not None
    raw = model.front_end.cepstra(Audio(samples.astype(np.float32), RATE))
    return model.score(model.finish(raw, known))


SILENCES = {
    "zeros": np.zeros(2 * RATE),
    "faint noise": np.random.default_rng(0).normal(0, 0.002, 2 * RATE),
}


@pytest.mark.parametrize("what", SILENCES)
@pytest.mark.parametrize("search", ["beam", "exact", "compose", "as it comes", "lattice"])
def test_silence_is_no_command(commands: Recognizer, what: str, search: str) -> None:
    graph, scores = commands.graph, scores_of(commands, SILENCES[what])
    if search == "as it comes":
        online = OnlineSearch(graph, SearchOptions())
        for at in range(0, scores.n_frames, 7):
            online.advance(Scores(scores.array[at : at + 7], scores.frame_shift))
        result = online.result(scores.frame_shift)
    elif search == "lattice":
        found = answer(graph, scores, SearchOptions(), AnswerOptions())
        assert isinstance(found, Answer)
        result = found.decoded
    else:
        result = decode(graph, scores, SearchOptions(search=search))
    assert isinstance(result, Decoded)
    assert result.words == ()
    assert not result.complete
    assert result.n_frames == scores.n_frames
    assert {phone.text for phone in result.phones} <= set(graph.silence_phones)
    assert "nothing was said" in result.notes[-1]


def test_a_command_stays_one(commands: Recognizer) -> None:
    samples = np.concatenate(
        [SILENCES["faint noise"], say(["bi"], np.random.default_rng(3)), SILENCES["faint noise"]]
    )
    result = decode(commands.graph, scores_of(commands, samples), SearchOptions())
    assert isinstance(result, Decoded)
    assert result.text == "bi"
    assert result.complete


def test_a_graph_that_may_be_silent_needs_no_other_one(tiny_speech: TinySpeech) -> None:
    assert quiet_part(Recognizer.load(tiny_speech.graph).graph) is None
