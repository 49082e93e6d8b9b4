"""Walking about in machines: what is in view, what is asked for, and what goes wrong."""

import json

import numpy as np
import pytest
from hostile import LABELS, hostile_fst
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.draw.explorer import Explorer
from wfst_hmm.draw.machines import lattice_machine, machine_of
from wfst_hmm.draw.picture import DrawOptions, fst_picture
from wfst_hmm.draw.placement import place
from wfst_hmm.draw.render import ENGINES
from wfst_hmm.draw.view import matching_symbols
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import ARC, STATE, Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.lattice import lattice_from_rows
from wfst_hmm.models.hmm import DiscreteHmm

INF = float("inf")
AB = Symbols(["apple", "Banana", "pineapple"])


def chain(n: int, label: int = 1) -> Fst:
    final = np.full(n, INF)
    final[-1] = 0.0
    steps = np.arange(n - 1)
    return Fst.from_arcs(0, steps, steps * 0 + label, steps * 0 + label, steps * 0.5, steps + 1, final, AB, AB)  # fmt: skip


def keys(explorer: Explorer) -> list[int]:
    return sorted(n["key"] for n in explorer.scene()["nodes"] if not n["stub"])


@pytest.mark.parametrize("engine", ENGINES)
def test_places_fit_the_picture(engine: str) -> None:
    picture = fst_picture(hostile_fst(), DrawOptions())
    placed = place(picture, using=engine)
    assert placed.at.keys() == {node.key for node in picture.nodes} == placed.radius.keys()
    assert len(set(placed.at.values())) == len(picture.nodes)
    assert len(placed.curves) == len(placed.labels) == len(picture.edges)
    for edge, path in zip(picture.edges, placed.curves, strict=True):
        x, y = (float(v) for v in path.split("C")[0].split("Q")[0][1:].split())
        source = placed.at[edge.source]  # a curve begins at the rim of its source
        assert np.hypot(x - source[0], y - source[1]) < placed.radius[edge.source] + 2
        assert path[0] == "M"


def test_expanding_follows_arcs_both_ways_and_says_what_is_new() -> None:
    explorer = Explorer(chain(9), states=[4])
    assert keys(explorer) == [4]
    answer = explorer.answer({"ask": "expand", "state": 4})
    assert sorted(answer["new"]) == [3, 5]
    assert answer["focus"] == [4]
    assert keys(explorer) == [3, 4, 5]
    explorer.answer({"ask": "hide", "state": 4})
    assert keys(explorer) == [3, 5]
    explorer.answer({"ask": "reset"})
    assert keys(explorer) == [4]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_the_view_never_grows_beyond_its_bound(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    arcs = rng.integers(0, n, (3 * n, 2))
    label = rng.integers(0, 4, 3 * n)
    fst = Fst.from_arcs(0, arcs[:, 0], label, label, label / 2, arcs[:, 1], np.zeros(n), AB, AB)
    explorer = Explorer(fst, DrawOptions(max_states=most), using="plain")
    for state in rng.integers(0, n, 6).tolist():
        explorer.expand(state)
        assert len(explorer.states) == len(set(explorer.states)) <= most
        assert state in explorer.states
    neighbours = {int(a) for a, b in arcs if b == state} | {int(b) for a, b in arcs if a == state}
    if len(neighbours | {state}) <= min(most, 12):
        assert neighbours <= set(explorer.states)


def test_finding_symbols() -> None:
    fst = Fst.from_arcs(0, [0, 0, 1], [1, 2, 3], [3, 3, 0], [0, 1, 2], [1, 1, 2], [INF, INF, 0], AB, AB)  # fmt: skip
    assert matching_symbols(fst, "APPLE") == [("input", "apple", 1), ("output", "pineapple", 2), ("input", "pineapple", 1)]  # fmt: skip
    assert matching_symbols(fst, "banana")[0] == ("input", "Banana", 1)
    assert matching_symbols(fst, "") == matching_symbols(fst, "kiwi") == []
    found = Explorer(fst).answer({"ask": "find", "text": "pine"})["found"]
    assert [hit["side"] for hit in found] == ["output", "input"]
    explorer = Explorer(fst, states=[0])
    answer = explorer.answer({"ask": "go", "symbol": "pineapple", "side": "input"})
    assert answer["focus"] == [1, 2]
    assert explorer.marked == [2]


def test_following_words_marks_the_cheapest_path() -> None:
    explorer = Explorer(chain(60), states=[0])
    answer = explorer.answer({"ask": "follow", "text": " ".join(["apple"] * 59)})
    assert answer["path"] == {"cost": 0.5 * 58 * 59 / 2, "n_arcs": 59, "ends": [0, 59]}
    scene = answer["scene"]
    assert sum(edge["marked"] for edge in scene["edges"]) == 59
    assert "no path" in explorer.answer({"ask": "follow", "text": "apple"})["error"]


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"ask": "expand", "state": 99}, "no such state"),
        ({"ask": "expand", "state": -1}, "no such state"),
        ({"ask": "expand", "state": "<b>"}, "not the number of a state"),
        ({"ask": "expand"}, "not the number"),
        ({"ask": "go", "state": 1e400}, "not the number"),
        ({"ask": "go", "symbol": "kiwi"}, "no symbol table"),
        ({"ask": "follow", "text": "kiwi"}, "no table"),
        ({"ask": "fly"}, "no such request"),
        ("nonsense", "no such request"),
        ({}, "no such request"),
    ],
)
def test_bad_requests_become_answers(message: object, part: str) -> None:
    answer = Explorer(chain(5)).answer(message)
    assert part in answer["error"]
    assert "scene" not in answer


def test_scenes_are_json_and_harmless() -> None:
    explorer = Explorer(hostile_fst())
    scene = explorer.scene()
    json.dumps(scene, allow_nan=False)
    assert len(scene["nodes"]) == len(LABELS) + 1
    texts = [line for edge in scene["edges"] for line in edge["lines"]]
    assert max(map(len, texts)) < 80
    assert not any("\u202e" in text for text in texts)
    assert scene["arcs"]["0"]["rows"][0]["in"] == LABELS[0]  # the browser writes it as text
    assert len(explorer.find("xxx")[0]["text"]) == 200
    assert explorer.find("xxx")[0]["symbol"] == LABELS[-1]  # what it sends back


@pytest.mark.parametrize("fst", [Fst.from_arcs(-1, [], [], [], [], [], []), Fst.from_arcs(0, [0], [7], [0], [INF], [0], [INF])])  # fmt: skip
def test_empty_machines_and_missing_tables(fst: Fst) -> None:
    scene = Explorer(fst).scene()
    json.dumps(scene, allow_nan=False)
    assert len([n for n in scene["nodes"] if not n["stub"]]) == fst.n_states
    assert Explorer(fst).answer({"ask": "find", "text": "a"}) == {"ask": "find", "found": []}
    assert scene["captions"]


def test_what_is_left_out_is_said() -> None:
    scene = Explorer(chain(1000), first=10).scene()
    assert "10 of 1,000 states" in scene["captions"][0]
    assert (scene["n_states"], scene["n_arcs"]) == (1000, 999)
    assert any(node["stub"] for node in scene["nodes"])


def test_lattices_show_times_and_posteriors() -> None:
    none = np.zeros(0, np.int32)
    rows = [(0, 1, 1, 1.0, 0.0, np.ones(10, np.int32)), (0, 1, 2, 1.0, np.log(3), np.ones(10, np.int32)), (1, 2, 3, 0.0, 0.0, none)]  # fmt: skip
    lattice = lattice_from_rows(rows, [INF, INF, 0.0], AB)
    machine = lattice_machine(lattice, posteriors=True)
    assert list(machine.names or ()) == ["0.00 s", "0.10 s", "0.10 s"]
    assert np.exp(-machine.fst.arcs["weight"]) == pytest.approx([0.75, 0.25, 1.0])
    assert machine_of(lattice).fst.arcs["weight"] == pytest.approx([1.0, 1 + np.log(3), 0.0])
    texts = [node["text"] for node in Explorer(lattice).scene()["nodes"]]
    assert texts == ["0.00 s", "0.10 s", "0.10 s"]


def test_hmms_are_machines_and_strings_are_none() -> None:
    hmm = DiscreteHmm([1, 0], [[0.5, 0.5], [0, 1]], [[1, 0], [0, 1]])
    assert machine_of(hmm).kind == "HMM"
    with pytest.raises(UsageError, match="no machine"):
        machine_of("graph")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one name a state"):
        fst_picture(chain(3), names=["a"])


def test_five_million_states_answer_every_request() -> None:
    n = 5_000_000
    rng = np.random.default_rng(0)
    states, arcs = np.zeros(n, STATE), np.zeros(2 * n, ARC)
    states["n_arcs"], states["pos"] = 2, np.arange(n) * 2
    arcs["nextstate"] = rng.integers(0, n, 2 * n)
    arcs["ilabel"], arcs["olabel"][n] = 1, 2
    explorer = Explorer(Fst(0, states, arcs, AB, AB), using="plain")
    requests = [{"ask": "expand", "state": 0}, {"ask": "find", "text": "banana"},
                {"ask": "go", "symbol": "Banana", "side": "output"}, {"ask": "go", "state": n - 1}]  # fmt: skip
    for request in requests:
        assert "error" not in explorer.answer(request)
