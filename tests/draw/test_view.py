"""Parts of machines, against slow and obvious twins."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.draw.picture import fst_picture, sources_of
from wfst_hmm.draw.view import arcs_with, path_of, surroundings, view
from wfst_hmm.errors import DataError, GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols

INF = float("inf")
LETTERS = Symbols(["a", "b", "c"])


@st.composite
def machines(draw: st.DrawFn) -> Fst:
    n = draw(st.integers(1, 5))
    arcs = draw(
        st.lists(
            st.tuples(
                st.integers(0, n - 1), st.integers(0, 3), st.integers(0, 3), st.integers(0, 8),
                st.integers(0, n - 1),
            ),
            max_size=10,
        )
    )  # fmt: skip
    final = draw(st.lists(st.sampled_from([INF, 0.0, 1.0]), min_size=n, max_size=n))
    columns = list(zip(*arcs, strict=True)) or [()] * 5
    return Fst.from_arcs(0, *columns[:4], columns[4], final, LETTERS, LETTERS)


def cheapest(fst: Fst, labels: tuple[int, ...]) -> float:
    """Bellman-Ford over (state, matched): no queue, no cleverness."""
    n = len(labels)
    cost = {(fst.start, 0): 0.0}
    sources = fst.sources()
    for _ in range(fst.n_states * (n + 1) + 1):
        for arc, source in zip(fst.arcs, sources, strict=True):
            for matched in range(n + 1):
                base = cost.get((int(source), matched), INF)
                if base == INF:
                    continue
                label = int(arc["olabel"])
                if label == 0:
                    target = (int(arc["nextstate"]), matched)
                elif matched < n and label == labels[matched]:
                    target = (int(arc["nextstate"]), matched + 1)
                else:
                    continue
                cost[target] = min(cost.get(target, INF), base + float(arc["weight"]))
    return min(
        (cost[s, n] + float(fst.states[s]["final"]) for s in range(fst.n_states) if (s, n) in cost),
        default=INF,
    )


@settings(deadline=None, max_examples=150)
@given(machines(), st.lists(st.integers(1, 3), max_size=3))
def test_path_of_is_the_cheapest(fst: Fst, labels: list[int]) -> None:
    expected = cheapest(fst, tuple(labels))
    words = LETTERS.strings(labels)
    if expected == INF:
        with pytest.raises(GraphError):
            path_of(fst, words, side="output")
        return
    arcs = path_of(fst, words, side="output")
    sources = fst.sources()
    state, total, out = fst.start, 0.0, []
    for arc in arcs:
        assert sources[arc] == state
        state = int(fst.arcs[arc]["nextstate"])
        total += float(fst.arcs[arc]["weight"])
        out.append(int(fst.arcs[arc]["olabel"]))
    assert LETTERS.strings(out) == words
    assert total + float(fst.states[state]["final"]) == expected


@settings(deadline=None, max_examples=100)
@given(machines(), st.integers(0, 3))
def test_surroundings_are_those_of_breadth_first_search(fst: Fst, radius: int) -> None:
    near = {fst.start}
    pairs = list(zip(fst.sources().tolist(), fst.arcs["nextstate"].tolist(), strict=True))
    for _ in range(radius):
        near |= {b for a, b in pairs if a in near} | {a for a, b in pairs if b in near}
    found = surroundings(fst, [fst.start], radius=radius)
    assert found[0] == fst.start
    assert set(found) == near
    assert len(found) == len(set(found))


@settings(deadline=None, max_examples=50)
@given(machines())
def test_sources(fst: Fst) -> None:
    assert sources_of(fst, np.arange(fst.n_arcs)).tolist() == fst.sources().tolist()


def test_arcs_with_a_symbol() -> None:
    fst = Fst.from_arcs(
        0, [0, 0, 1], [1, 2, 1], [2, 0, 0], [0] * 3, [1, 1, 0], [INF, 0], LETTERS, LETTERS
    )
    assert arcs_with(fst, "b").tolist() == [0]  # the output side comes first
    assert arcs_with(fst, "b", side="input").tolist() == [1]
    with pytest.raises(DataError, match="'z' is in no symbol table"):
        arcs_with(fst, "z")
    with pytest.raises(DataError, match="'z'"):
        path_of(fst, ["z"])


def test_view_of_a_word_marks_its_arcs() -> None:
    n = 200
    chain = np.arange(n - 1)
    labels = np.full(n - 1, 1)
    labels[100] = 3
    final = np.full(n, INF)
    final[-1] = 0
    fst = Fst.from_arcs(0, chain, labels, labels, 0.0 * chain, chain + 1, final, LETTERS, LETTERS)
    picture = view(fst, "c", radius=2)
    shown = sorted(node.key for node in picture.nodes if not node.is_stub)
    assert shown == list(range(98, 104))
    assert [(e.source, e.target) for e in picture.edges if e.is_marked] == [(100, 101)]
    assert "6 of 200 states" in picture.note
    with pytest.raises(GraphError, match="no such state"):
        view(fst, 200)
    assert view(Fst.from_arcs(-1, [], [], [], [], [], [])).nodes == ()


def test_five_million_states_answer() -> None:
    n = 5_000_000
    rng = np.random.default_rng(0)
    states = np.zeros(n, dtype=Fst.from_arcs(-1, [], [], [], [], [], []).states.dtype)
    states["n_arcs"] = 2
    states["pos"] = np.arange(n) * 2
    arcs = np.zeros(2 * n, dtype=Fst.from_arcs(-1, [], [], [], [], [], []).arcs.dtype)
    arcs["nextstate"] = rng.integers(0, n, 2 * n)
    arcs["ilabel"] = 1
    arcs["olabel"][n] = 2
    fst = Fst(0, states, arcs, LETTERS, LETTERS)
    for around in (None, 1_234_567, "b"):
        assert len([node for node in view(fst, around).nodes if not node.is_stub]) >= 5
    assert fst_picture(fst).nodes


def test_accepting_paths_by_hand() -> None:
    fst = Fst.from_arcs(
        0, [0, 0, 1], [1, 1, 2], [1, 2, 0], [5.0, 1.0, 0.0], [1, 1, 0], [0.0, 0.0], LETTERS, LETTERS
    )
    assert [int(fst.arcs[a]["olabel"]) for a in path_of(fst, ["a"])] == [1]
    assert path_of(fst, []) == []
    assert len(path_of(fst, ["a", "b", "a"])) == 5
    for words in itertools.product(["a", "b"], repeat=2):
        assert len(path_of(fst, list(words), side="output")) == 3
