"""The service's own page in a real browser: it records, and shows words with their confidence."""

from collections.abc import Iterator
from typing import Any

import pytest
from tiny_speech import TinySpeech

pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.bench.serve import served
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.search.decode import decode
from wfst_hmm.signal.extract import corpus_features


@pytest.fixture
def address(tiny_speech: TinySpeech) -> Iterator[str]:
    with served(tiny_speech.graph, "-j", "1") as server:
        yield f"http://127.0.0.1:{server.port}/"


def test_the_page_records_and_recognizes(page: Any, address: str, tiny_speech: TinySpeech) -> None:
    page.open(address)
    page.click("#record")
    page.wait(lambda: page.text("#state").startswith("Listening"), "a session")
    page.wait(lambda: page.run("return document.querySelector('#level').value > 0"), "samples")
    page.click("#record")
    page.wait(lambda: page.text("#state") == "Done.", "the end of the session")
    utterance = read_corpus(tiny_speech.test).utterances[1]
    page.find("#file").send_keys(str(utterance.audio.absolute()))
    page.wait(lambda: "seconds" in page.text("#state"), "the answer")
    shown = page.run(
        "return [...document.querySelectorAll('#final .word')].map(e => [e.firstChild.data, "
        "e.querySelector('sub').textContent])"
    )
    recognizer = Recognizer.load(tiny_speech.graph)
    corpus = read_corpus(tiny_speech.test).subset([utterance.id])
    alone = corpus_features(corpus, recognizer.model.front_end)[utterance.id]
    wanted = decode(recognizer.graph, recognizer.model.score(alone))
    assert [text for text, _ in shown] == [word.text for word in wanted.words]
    assert all(0 <= float(number) <= 1 for _, number in shown)
    page.shot("service")
    assert page.errors() == []
