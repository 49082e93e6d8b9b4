"""Pages that were sent to someone: they open from the disk, step, and reach for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hostile import hostile_fst
from tiny_speech import TinySpeech

from wfst_hmm.apps.filming import film_recording
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.page import html_page, save_page


def test_a_film_page_opens_and_steps(page: Any, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    film = film_recording(recognizer, tiny_speech.test / "sp0-02.wav", title="<b>bold</b>")
    page.open(film.save(tmp_path / "film.html").as_uri())
    assert page.text("h2") == "<b>bold</b>"
    page.click(".wfst svg.film")  # the middle of the picture
    at = int(page.text(".status").split()[1])
    assert 0.3 < at / film.data["n_frames"] < 0.6
    page.click("[aria-label='Last frame']")
    assert page.text(".status").endswith("best so far: bi su su.")
    assert page.count(".box.settled, .box.open") == 3
    page.shot("film-page")
    assert page.errors() == []


@pytest.mark.parametrize("empty", [False, True])
def test_a_graph_page_opens(page: Any, tmp_path: Path, empty: bool) -> None:
    explorer = Explorer(hostile_fst(), states=[] if empty else None, first=40)
    path = save_page(
        html_page("graph", {"scene": explorer.scene()}, title="x"), tmp_path / "g.html"
    )
    page.open(path.as_uri())
    assert page.count(".node:not(.stub)") == (0 if empty else 18)
    if not empty:
        page.click(".node.start circle")
        assert "<script>" in page.text(".arcs")
        page.find("input[type=search]").send_keys("broken=3\n")
        assert "2 arcs found" in page.text(".status")
        page.shot("hostile-page")
    assert page.run("return window.broken") is None
    assert page.errors() == []
