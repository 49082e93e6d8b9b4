"""In a notebook everything draws itself."""

import subprocess
import sys
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest
from tiny_speech import TinySpeech

from wfst_hmm.draw.display import Drawing, draw
from wfst_hmm.draw.picture import topology_picture
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.hmm import DiscreteHmm
from wfst_hmm.models.topology import Topology
from wfst_hmm.search.result import Decoded, Word

AB = Symbols(["a", "b"])


def small() -> Fst:
    return Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [1, 2], [1, 1], [np.inf, 0.0], AB, AB)


@pytest.mark.parametrize(
    "value",
    [
        small(),
        Topology.silence(5),
        Chain.bakis(4),
        DiscreteHmm([1.0], [[1.0]], [[0.5, 0.5]]),
        topology_picture(Topology.ergodic(2)),
        Decoded((Word("a", 0.0, 0.1),), (), 1.0, 2.0, np.zeros(10, np.int32),
                np.zeros(0, np.int32), 0.01, "exact"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_draw_themselves(value: object) -> None:
    svg = value._repr_svg_()  # type: ignore[attr-defined]
    assert xml.dom.minidom.parseString(svg).documentElement.tagName == "svg"


def test_graphs_draw_themselves(tiny_speech: TinySpeech) -> None:
    graph = Graph.load(tiny_speech.graph)
    svg = graph._repr_svg_()  # type: ignore[attr-defined]
    assert "SIL" in svg
    assert draw(graph, around="su", radius=1).content.note.count("left out") == 1  # type: ignore[union-attr]


def test_options_paths_and_files(tmp_path: Path) -> None:
    drawing = draw(small(), accept="b", weights="probabilities", title="two letters")
    assert isinstance(drawing, Drawing)
    assert drawing.save(tmp_path / "x.dot").read_text().count("#c2410c") >= 3
    assert drawing.save(tmp_path / "x.svg").stat().st_size > 500
    assert "two letters" in drawing._repr_svg_()
    with pytest.raises(UsageError, match="cannot draw this"):
        draw(AB)  # type: ignore[arg-type]


def test_ipython_shows_the_picture() -> None:
    pytest.importorskip("IPython", reason="needs IPython (notebooks extra)")
    code = (
        "from IPython.core.formatters import SVGFormatter\n"
        "import wfst_hmm\n"
        "from wfst_hmm.models.topology import Topology\n"
        "print(SVGFormatter()(Topology.left_to_right(2))[:200])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "<svg" in done.stdout or "<?xml" in done.stdout, done.stderr


def test_a_page_takes_the_whole_window() -> None:
    from wfst_hmm.draw.page import html_page

    text = html_page("graph", {})
    assert "max-width: 1180px" not in text
    assert ".wfst .stage { height: max(420px, 100vh - 130px); }" in text


def test_a_graph_of_some_90_states_is_drawn_whole() -> None:
    line = Fst.from_arcs(0, range(88), 1, 1, 0.0, range(1, 89), [np.inf] * 88 + [0.0])
    assert repr(draw(line)).startswith("Drawing(89 nodes, 88 edges")
