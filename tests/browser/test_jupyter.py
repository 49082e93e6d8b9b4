"""In a real JupyterLab: the widgets draw, react to mouse and keyboard, and nothing goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_speech import TinySpeech

GRAPH = """\
import wfst_hmm as wh
from wfst_hmm.draw.widget import explore
graph = wh.Graph.load({graph!r})
widget = explore(graph, first=6)
widget
"""
HOSTILE = """\
from hostile import hostile_fst
explore(hostile_fst(), first=30)
"""
FILM = """\
from wfst_hmm.apps.filming import film_recording
film_recording(wh.Recognizer.load({graph!r}), {wav!r}).widget()
"""
TRELLIS = """\
from wfst_hmm.draw.trellis import trellis_of
trellis_of(wh.DiscreteHmm([1, 0], [[.5, .5], [0, 1]], [[.9, .1], [.2, .8]]), [0, 1, 1]).widget()
"""


@pytest.fixture(scope="module")
def notebook(page: Any, jupyter: Callable[..., str], tiny_speech: TinySpeech) -> Any:
    """Open a notebook with a cell for each widget and run it."""
    graph, wav = str(tiny_speech.graph), str(tiny_speech.test / "sp0-02.wav")
    address = jupyter(
        "pictures", GRAPH.format(graph=graph), HOSTILE, FILM.format(graph=graph, wav=wav), TRELLIS
    )
    page.open(address)
    ready = (
        "return window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
    )
    page.wait(lambda: page.run(ready) == "idle", "a kernel", 60)
    page.run("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait(lambda: page.count(".wfst.trellis .value"), "the last widget", 60)
    page.run("document.querySelectorAll('.wfst.graph')[0].id = 'graph'")
    return page


def test_widgets_in_jupyterlab(notebook: Any) -> None:
    """One test, so that tests in parallel need one JupyterLab only; the steps build on each other."""
    for step in (
        a_graph_draws_and_a_click_expands_it, a_graph_is_searched_and_followed_by_keyboard,
        symbols_and_weights_under_the_pointer, an_arc_is_followed_from_the_list,
        hostile_labels_stay_text, a_film_steps, a_trellis_steps_and_writes_its_sums,
        dark_theme_and_a_quiet_console,
    ):  # fmt: skip
        step(notebook)


def scroll_to(page: Any, selector: str) -> None:
    page.run("document.querySelector(arguments[0]).scrollIntoView({block: 'start'})", selector)


def a_graph_draws_and_a_click_expands_it(page: Any) -> None:
    graph = "#graph"
    scroll_to(page, graph)
    before = page.count(f"{graph} .node:not(.stub)")
    page.shot("graph-at-first")
    hidden = page.run(
        "const box = document.querySelector('#graph');"
        "return box.querySelector('.node.stub').dataset.key;"
    )
    page.click(f"{graph} .node[data-key='{-1 - int(hidden)}'] circle")
    page.wait(lambda: page.count(f"{graph} .node:not(.stub)") > 6, "more states after the click")
    assert before == 6
    assert "new states" in page.text(f"{graph} .status")
    assert "State" in page.text(f"{graph} .details h3")
    page.shot("graph-expanded")


def a_graph_is_searched_and_followed_by_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    graph = "#graph"
    scroll_to(page, graph)
    page.click(f"{graph} input[type=search]")
    page.keys("su", Keys.ENTER)
    page.wait(lambda: page.count(f"{graph} .found button"), "symbols found")
    assert "su (output" in page.text(f"{graph} .found")
    page.run("document.querySelector('#graph .found button').click()")
    page.wait(lambda: page.count(f"{graph} .edge.marked"), "the symbol's arcs marked")
    page.run("const field = document.querySelector('#graph input'); field.value = 'ba su';"
             "[...document.querySelectorAll('#graph .bar button')]"
             ".find((b) => b.textContent === 'Follow').click()")  # fmt: skip
    page.wait(lambda: "Path of" in page.text(f"{graph} .status"), "the path of two words")
    page.shot("graph-path")
    page.run("document.querySelector('#graph .node.start').focus()")
    where = "return document.activeElement.dataset.key"
    start = page.run(where)
    page.keys(Keys.ARROW_RIGHT)
    assert page.run(where) != start
    assert page.run("return document.activeElement.getAttribute('role')") == "button"
    page.keys(Keys.ARROW_LEFT)
    page.keys(Keys.HOME)
    assert page.run(where) == start
    n = page.count(f"{graph} .node:not(.stub)")
    page.keys(Keys.DELETE)
    page.wait(lambda: page.count(f"{graph} .node:not(.stub)") == n - 1, "a state hidden")


def symbols_and_weights_under_the_pointer(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    graph = "#graph"
    scroll_to(page, graph)
    page.run("[...document.querySelectorAll('#graph .bar button')]"
             ".find((b) => b.textContent === 'Start over').click()")  # fmt: skip
    page.wait(lambda: page.count(f"{graph} .node:not(.stub)") == 6, "the first states again")
    ActionChains(page.driver).move_to_element(page.find(f"{graph} .node.start circle")).perform()
    assert "start" in page.text(f"{graph} .tip")
    label = page.find(f"{graph} .edge text")
    page.run("arguments[0].parentNode.dispatchEvent(new PointerEvent('pointermove',"
             "{clientX: 200, clientY: 200, bubbles: true}))", label)  # fmt: skip
    assert "probability" in page.text(f"{graph} .tip")


def an_arc_is_followed_from_the_list(page: Any) -> None:
    graph = "#graph"
    page.run("document.querySelector('#graph .node.start').focus()")
    page.wait(lambda: page.count(f"{graph} .arcs button"), "the arcs of the start")
    page.run("document.querySelector('#graph .arcs button').click()")
    page.wait(lambda: "Followed 1 arc" in page.text(f"{graph} .trail"), "a trail")
    assert "cost" in page.text(f"{graph} .trail")


def hostile_labels_stay_text(page: Any) -> None:
    assert page.run("return document.querySelectorAll('.wfst.graph').length") == 2
    assert page.run("return window.broken") is None
    inside = "document.querySelectorAll('.wfst.graph')[1]"
    assert page.run(f"return {inside}.querySelectorAll('script, img').length") == 0
    assert "<script>" in page.run(f"return {inside}.textContent")
    scroll_to(page, ".wfst.film")
    page.run(f"{inside}.scrollIntoView()")
    page.shot("hostile")


def a_film_steps(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    film = ".wfst.film"
    scroll_to(page, film)
    assert "Frame 0" in page.text(f"{film} .status")
    page.run("document.querySelector('.wfst.film [aria-label=\"One frame on\"]').click()")
    assert "Frame 1 " in page.text(f"{film} .status")
    page.run("document.querySelector('div.wfst.film').focus()")
    page.keys(Keys.ARROW_RIGHT, Keys.PAGE_DOWN)
    assert "Frame 12 " in page.text(f"{film} .status")
    page.keys(Keys.END)
    assert page.text(f"{film} .status").endswith("best so far: bi su su.")
    assert page.count(f"{film} .token.best") == 1
    assert page.count(f"{film} table") == 2
    page.shot("film-at-the-end")
    page.keys(Keys.HOME)
    page.run("document.querySelector('.wfst.film [aria-label=\"Play\"]').click()")
    page.wait(
        lambda: page.run("return document.querySelector('.wfst.film input').value") > "3", "playing"
    )
    page.keys(" ")
    page.shot("film-playing")


def a_trellis_steps_and_writes_its_sums(page: Any) -> None:
    trellis = ".wfst.trellis"
    scroll_to(page, trellis)
    page.run("document.querySelector('.wfst.trellis [aria-label=\"Last column\"]').click()")
    assert "best path: 0 1 1" in page.text(f"{trellis} .status")
    page.run("document.querySelector('[data-at=\"alpha,1,1\"]').focus()")
    assert page.text(f"{trellis} .formula") == "α(1, 1) = (0.9·0.5 + 0·1) · 0.8 = 0.36"
    page.shot("trellis")


def dark_theme_and_a_quiet_console(page: Any) -> None:
    ground = "return getComputedStyle(document.querySelector('.wfst.graph')).backgroundColor"
    light = page.run(ground)
    page.run("document.body.dataset.jpThemeLight = 'false'")
    assert page.run(ground) != light
    scroll_to(page, ".wfst.graph")
    page.shot("graph-dark")
    page.run("document.body.dataset.jpThemeLight = 'true'")
    assert page.errors() == []
