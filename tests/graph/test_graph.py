import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from graph_models import small_model

from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import word_loop

FILES = ["graph.fst", "graph.json", "labels.npz", "lexicon.txt", "words.txt"]


@pytest.fixture
def graph() -> Graph:
    lexicon = Lexicon([Entry("ä", ("A", "B")), Entry("b", ("B",), 0.5)])
    return build_graph(small_model(), lexicon, word_loop(lexicon.words))


def test_round_trip(graph: Graph, tmp_path: Path) -> None:
    graph.save(tmp_path / "g")
    assert sorted(file.name for file in (tmp_path / "g").iterdir()) == FILES
    found = Graph.load(tmp_path / "g", verify=True)
    for field in dataclasses.fields(Graph):
        if field.name not in ("fst", "labels", "lexicon"):
            assert getattr(found, field.name) == getattr(graph, field.name)
    assert found.fst.to_bytes() == graph.fst.to_bytes()
    assert found.fst.isymbols == graph.labels.symbols
    for name in ("phone", "state", "column", "is_entry"):
        np.testing.assert_array_equal(getattr(found.labels, name), getattr(graph.labels, name))
    assert [e.phones for e in found.lexicon] == [e.phones for e in graph.lexicon]
    assert found.n_columns == 9
    assert repr(found).startswith("Graph(")


def test_saving_again_replaces(graph: Graph, tmp_path: Path) -> None:
    graph.save(tmp_path / "g")
    first = {name: (tmp_path / "g" / name).read_bytes() for name in FILES}
    graph.save(tmp_path / "g")
    assert {name: (tmp_path / "g" / name).read_bytes() for name in FILES} == first


@pytest.mark.parametrize("name", FILES)
def test_any_file_missing_or_cut(graph: Graph, tmp_path: Path, name: str) -> None:
    graph.save(tmp_path / "g")
    path = tmp_path / "g" / name
    data = path.read_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 2):
        path.write_bytes(data[:length])
        with pytest.raises(FormatError, match=str(tmp_path)):
            Graph.load(tmp_path / "g")
    path.unlink()
    with pytest.raises(FormatError, match=str(tmp_path)):
        Graph.load(tmp_path / "g")


@pytest.mark.parametrize("name", FILES[:1] + FILES[2:])
def test_changed_content_shows_when_verified(graph: Graph, tmp_path: Path, name: str) -> None:
    graph.save(tmp_path / "g")
    path = tmp_path / "g" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="SHA-256 differs"):
        Graph.load(tmp_path / "g", verify=name == "graph.fst")


@pytest.mark.parametrize(
    "change", [{"format": "other"}, {"version": 99}, {"files": {}}, {"phones": 3}, {"info": 7},
               {"label_names": ["a"]}, {"states": 1}, {"frame_shift": "long"}, {"phones": ["A"]}],
)  # fmt: skip
def test_foreign_headers(graph: Graph, tmp_path: Path, change: dict[str, object]) -> None:
    graph.save(tmp_path / "g")
    path = tmp_path / "g" / "graph.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FormatError, match=str(tmp_path)):
        Graph.load(tmp_path / "g")


def test_not_a_graph(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such graph directory"):
        Graph.load(tmp_path / "nowhere")
    with pytest.raises(FormatError, match=r"it has no graph\.json"):
        Graph.load(tmp_path)


def test_wrong_model(graph: Graph) -> None:
    graph.check_model("small")
    with pytest.raises(ModelError, match="made for another acoustic model; got model other"):
        graph.check_model("other")
