"""Every engine makes an SVG; the others say what is missing."""

import re
import xml.dom.minidom
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.draw import render as module
from wfst_hmm.draw.picture import DrawOptions, Edge, Node, Picture, fst_picture, topology_picture
from wfst_hmm.draw.render import ENGINES, render, save, save_svg
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.topology import Topology

INF = float("inf")


def hostile() -> Fst:
    evil = ["<script>alert(1)</script>", '"]</svg>', "سلام", "🎉", "x" * 10_000, "&lt;"]
    table = Symbols(evil)
    labels = np.arange(1, len(evil) + 1)
    n = len(evil)
    return Fst.from_arcs(0, [0] * n, labels, labels, [0] * n, labels, [INF] * n + [0], table, table)


def random_machine(seed: int, n: int) -> Fst:
    rng = np.random.default_rng(seed)
    m = 3 * n
    return Fst.from_arcs(
        0, rng.integers(0, n, m), rng.integers(0, 4, m), rng.integers(0, 4, m),
        rng.exponential(size=m), rng.integers(0, n, m), np.where(rng.random(n) < 0.3, 0.0, INF),
    )  # fmt: skip


def elements(svg: bytes) -> set[str]:
    tree = xml.dom.minidom.parseString(svg)
    return {element.tagName for element in tree.getElementsByTagName("*")}


def texts(svg: bytes) -> list[str]:
    tree = xml.dom.minidom.parseString(svg)
    return [
        "".join(child.data for child in element.childNodes)
        for element in tree.getElementsByTagName("text")
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_hostile_labels_run_nothing(engine: str) -> None:
    svg = render(fst_picture(hostile()), using=engine)
    assert "script" not in elements(svg)
    assert any("<script>alert(1)</sc" in text for text in texts(svg))
    assert "🎉" in texts(svg)
    assert "&lt;" in texts(svg)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "picture",
    [
        Picture((), (), ("nothing",)),
        fst_picture(Fst.from_arcs(-1, [], [], [], [], [], [])),
        fst_picture(Fst.from_arcs(0, [], [], [], [], [], [0.0])),
        fst_picture(random_machine(1, 12)),
        fst_picture(random_machine(2, 400), DrawOptions(max_states=30), path=[700]),
        topology_picture(Topology.silence(5)),
        topology_picture(Topology.ergodic(4)),
    ],
    ids=["bare", "no-states", "one-state", "random", "cut", "silence", "ergodic"],
)
def test_every_engine_draws_every_picture(engine: str, picture: Picture) -> None:
    svg = render(picture, using=engine)
    assert elements(svg) >= {"svg"}
    for caption in picture.captions:
        assert any(caption.split()[0] in text for text in texts(svg))


def test_plain_layout_keeps_states_apart() -> None:
    svg = render(fst_picture(random_machine(3, 40), DrawOptions(max_states=40)), using="plain")
    tree = xml.dom.minidom.parseString(svg)
    centres = {
        (float(c.getAttribute("cx")), float(c.getAttribute("cy")))
        for c in tree.getElementsByTagName("circle")
    }
    assert len(centres) == 40
    points = np.array(sorted(centres))
    distance = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert distance[~np.eye(40, dtype=bool)].min() > 30.0


def test_dot_form_and_unknown_forms(tmp_path: Path) -> None:
    picture = topology_picture(Topology.left_to_right(1))
    assert render(picture, "dot").startswith(b"digraph wfst {")
    with pytest.raises(UsageError, match="no such picture format"):
        render(picture, "gif")
    with pytest.raises(UsageError, match="no such engine"):
        render(picture, using="neato")
    with pytest.raises(UsageError, match="no ending"):
        save(picture, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_save_by_ending(tmp_path: Path) -> None:
    picture = topology_picture(Topology.left_to_right(1))
    assert save(picture, tmp_path / "a.svg").read_bytes().lstrip().startswith(b"<")
    assert save(picture, tmp_path / "a.gv").read_text().startswith("digraph")


def test_png_without_any_program_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    monkeypatch.setattr(module, "_importable", lambda name: False)
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"Install Graphviz .* or write an \.svg"):
        save(topology_picture(Topology.left_to_right(1)), target)
    with pytest.raises(UsageError, match="cairosvg"):
        save_svg("<svg/>", target)
    assert target.read_bytes() == b"old"


def test_png_with_cairosvg(tmp_path: Path) -> None:
    pytest.importorskip("cairosvg", reason="needs cairosvg (pip install cairosvg)")
    data = save(topology_picture(Topology.left_to_right(1)), tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")


def test_a_failing_engine_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module, "_wasm", lambda dot, form: None)
    svg = render(topology_picture(Topology.left_to_right(1)), using="dot")
    assert b"<circle" in svg  # our own layout


def test_plain_labels_of_crossing_arcs_stand_apart() -> None:
    nodes = tuple(Node(key, str(key), is_start=key == 0) for key in range(5))
    edges = tuple(
        Edge(source, target, (f"from{source}to{target}",))
        for source, target in [(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4)]
    )
    svg = render(Picture(nodes, edges), using="plain").decode()
    places = {
        text: (float(x), float(y))
        for x, y, text in re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)"[^>]*>(from\w+)<', svg)
    }
    assert len(places) == len(edges)
    (x0, y0), (x1, y1) = places["from1to4"], places["from2to3"]
    assert abs(x0 - x1) > 40 or abs(y0 - y1) > 10
