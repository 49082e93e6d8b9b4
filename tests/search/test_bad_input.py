"""What no search can work with is refused with its reason, for either kind of graph."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from compact_graphs import CHAIN, random_graph, random_scores

from wfst_hmm.errors import DataError, FormatError, GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compact import AnyGraph, CompactGraph, load_graph
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded, NoPath


def one_unit() -> CompactGraph:
    """Return one word of one unit of three states."""
    fst = Fst.from_arcs(0, [0], [1], [1], [0.0], [1], [np.inf, 0.0])
    return dataclasses.replace(random_graph(0, [CHAIN], 1), fst=fst)


@pytest.fixture(params=["compact", "expanded"])
def graph(request: pytest.FixtureRequest) -> AnyGraph:
    compact = one_unit()
    return compact if request.param == "compact" else compact.expanded()


@pytest.mark.parametrize("beam", [6.0, 16.0])
def test_empty_scores_and_one_frame(graph: AnyGraph, beam: float) -> None:
    options = SearchOptions(beam=beam)
    for n_frames in (0, 1):
        result = decode(graph, Scores(np.zeros((n_frames, 4), dtype=np.float32)), options)
        assert isinstance(result, NoPath)
        assert result.reason == "too_few_frames"
        assert f"{n_frames} frames" in result.detail
        assert "takes 3" in result.detail
    with pytest.raises(DataError, match="too few columns"):
        decode(graph, Scores(np.zeros((4, 0), dtype=np.float32)), options)
    with pytest.raises(DataError, match="T x S"):
        Scores(np.zeros(0, dtype=np.float32))


@pytest.mark.parametrize("beam", [6.0, 16.0])
def test_a_dead_frame_and_one_that_fits_nothing(graph: AnyGraph, beam: float) -> None:
    options = SearchOptions(beam=beam)
    array = np.zeros((6, 4), dtype=np.float32)
    array[2] = -np.inf
    result = decode(graph, Scores(array), options)
    assert isinstance(result, NoPath)
    assert (result.reason, "frame 2" in result.detail) == ("dead_frame", True)
    array[2] = np.nan
    with pytest.raises(DataError, match="frame 2"):
        Scores(array)


def test_epsilon_cycles_of_negative_cost_are_shown() -> None:
    fst = Fst.from_arcs(0, [0, 0, 1], [1, 0, 0], [1, 0, 0], [0.0, 1.0, -1.5], [1, 1, 0],
                        [np.inf, 0.0])  # fmt: skip
    bad = dataclasses.replace(one_unit(), fst=fst)
    for either in (bad, bad.expanded()):
        with pytest.raises(GraphError, match=r"negative cost.*-0\.5 nats"):
            decode(either, random_scores(0, 5))


def test_damaged_files_are_told_by_length_and_hash(graph: AnyGraph, tmp_path: Path) -> None:
    graph.save(tmp_path / "graph")
    path = next((tmp_path / "graph").rglob("graph.fst"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(FormatError, match="wrong length"):
        load_graph(tmp_path / "graph")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(FormatError, match="SHA-256 differs"):
        load_graph(tmp_path / "graph", verify=True)


def test_a_certificate_is_among_the_notes(graph: AnyGraph) -> None:
    scores = random_scores(3, 8)
    result = decode(graph, scores, SearchOptions(certify=True))
    assert isinstance(result, Decoded)
    assert [note for note in result.notes if note.startswith("certificate: optimal")]
