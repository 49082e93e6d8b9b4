"""DOT text, letter by letter: golden, because pictures are compared by nobody."""

import textwrap

import numpy as np
import pytest

from wfst_hmm.draw.dot import fst_to_dot, picture_to_dot
from wfst_hmm.draw.picture import DrawOptions, fst_picture, topology_picture
from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.models.topology import Topology

PHONES = Symbols(["W", "AH", "N", "SIL"])
WORDS = Symbols(["one"])
INF = float("inf")


def word_one() -> Fst:
    """``one``, with silence before it and a way back."""
    return Fst.from_arcs(
        0, [0, 0, 1, 2, 3], [4, 1, 2, 3, 0], [0, 1, 0, 0, 0], [0.7, 0.5, 0, 0, 0.1],
        [0, 1, 2, 3, 0], [INF, INF, INF, 0.25], PHONES, WORDS,
    )  # fmt: skip


def body(dot: str) -> str:
    """Without the lines that only set fonts and colours for all."""
    lines = dot.splitlines()
    assert lines[0] == "digraph wfst {"
    assert lines[-1] == "}"
    return "\n".join(line.strip() for line in lines[4:-1])


def test_golden_transducer() -> None:
    assert body(fst_to_dot(word_one())) == textwrap.dedent(
        """\
        0 [label="0", tooltip="state 0, 2 arcs, start", fillcolor="#e3f1fa", penwidth=1.8];
        1 [label="1", tooltip="state 1, 1 arcs"];
        2 [label="2", tooltip="state 2, 1 arcs"];
        3 [label="3\\n0.25", tooltip="state 3, 1 arcs, final at cost 0.25", shape=doublecircle];
        0 -> 1 [label="W:one/0.5", tooltip="W → one, cost 0.5, probability 0.607"];
        0 -> 0 [label="SIL:ε/0.7", tooltip="SIL → ε, cost 0.7, probability 0.497", color="#1f6f9f", fontcolor="#1f6f9f"];
        1 -> 2 [label="AH:ε", tooltip="AH → ε, cost 0, probability 1"];
        2 -> 3 [label="N:ε", tooltip="N → ε, cost 0, probability 1"];
        3 -> 0 [label="ε/0.1", tooltip="ε → ε, cost 0.1, probability 0.905", style=dashed, color="#66717d", fontcolor="#66717d"];"""
    )


def test_golden_header() -> None:
    header = fst_to_dot(word_one(), DrawOptions(title='L "of" one\\n')).splitlines()[1]
    assert header == (
        '  graph [rankdir=LR, bgcolor="#ffffff", fontname="Verdana", fontsize=10, '
        'fontcolor="#66717d", labelloc=b, labeljust=l, nodesep=0.3, ranksep=0.45, '
        'label="L \\"of\\" one\\\\n\\lblue: self-loop   dashed: ε, consumes and emits nothing   '
        'in:out   /cost in nats\\l"];'
    )


def test_probabilities_and_a_path() -> None:
    fst = word_one()
    path = [int(np.flatnonzero(fst.arcs["ilabel"] == 1)[0])]
    text = body(fst_to_dot(fst, DrawOptions(weights="probabilities"), path=path))
    assert '0 -> 1 [label="W:one/0.607"' in text
    assert 'penwidth=2.4, color="#c2410c"' in text
    assert '0 [label="0", tooltip="state 0, 2 arcs, start", color="#c2410c"' in text
    with pytest.raises(UsageError, match="arc that does not exist"):
        fst_to_dot(fst, path=[5])


def test_acceptor_writes_a_label_once() -> None:
    fst = Fst.from_arcs(0, [0], [1], [1], [0], [1], [INF, 0], WORDS, WORDS)
    assert 'label="one", tooltip' in fst_to_dot(fst)


def test_parallel_arcs_share_an_edge() -> None:
    table = Symbols([f"w{n}" for n in range(9)])
    labels = np.arange(1, 10)
    fst = Fst.from_arcs(0, [0] * 9, labels, labels, [0] * 9, [1] * 9, [INF, 0], table, table)
    edges = [line for line in body(fst_to_dot(fst)).splitlines() if "->" in line]
    assert len(edges) == 1
    assert 'label="w0\\nw1\\nw2\\nw3\\nw4\\nw5\\n+3 more"' in edges[0]


def test_empty_machine() -> None:
    text = fst_to_dot(Fst.from_arcs(-1, [], [], [], [], [], []))
    assert "empty [" in text
    assert "An empty machine" in text


def test_missing_symbol_tables() -> None:
    text = fst_to_dot(word_one().with_symbols(None, None))
    assert 'label="#1/0.5"' in text
    assert "No symbol tables" in text


def test_large_machine_is_cut_with_a_note() -> None:
    n = 100_000
    chain = np.arange(n - 1)
    ones = np.ones(n - 1)
    final = np.full(n, INF)
    final[-1] = 0
    fst = Fst.from_arcs(0, chain, ones, ones, 0 * ones, chain + 1, final)
    picture = fst_picture(fst, DrawOptions(max_states=10))
    assert len([node for node in picture.nodes if not node.is_stub]) == 10
    assert (
        "10 of 100,000 states and 9 of 99,999 arcs are drawn; 99,990 states and 99,990 arcs are left out"
        in picture.note
    )
    assert 'cut9 [label="+1"' in picture_to_dot(picture)


def test_arc_budget_keeps_the_path() -> None:
    labels = np.arange(1, 51)
    fst = Fst.from_arcs(0, [0] * 50, labels, labels, [0] * 50, [1] * 50, [INF, 0])
    picture = fst_picture(fst, DrawOptions(max_arcs=5), path=[49])
    marked = [edge for edge in picture.edges if edge.is_marked]
    assert [edge.lines for edge in marked] == [("#50",)]
    assert "6 of 50 arcs" in picture.note


def test_hostile_labels_stay_text() -> None:
    evil = [
        "<script>alert(1)</script>",
        '"];x[label="',
        "\\N\\G",
        "&lt;b&gt;",
        "\u202eevil",
        "x" * 9999,
    ]
    table = Symbols(evil)
    labels = np.arange(1, len(evil) + 1)
    n = len(evil)
    fst = Fst.from_arcs(0, [0] * n, labels, labels, [0] * n, labels, [INF] * n + [0], table, table)
    text = fst_to_dot(fst)
    assert '\\"];x[label=\\"' in text
    assert '"\\\\N\\\\G"' in text
    assert "&amp;lt;b&amp;gt;" in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 800


def test_topology() -> None:
    picture = topology_picture(Topology.left_to_right(2, self_loop=0.25))
    assert [(e.source, e.target, e.lines) for e in picture.edges] == [
        (2, 0, ("1",)), (0, 0, ("0.25",)), (0, 1, ("0.75",)), (1, 1, ("0.25",)), (1, 3, ("0.75",)),
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"weights": "bits"}, {"max_states": 0}, {"max_arcs": -1}])
def test_wrong_options(wrong: dict) -> None:
    with pytest.raises(UsageError):
        DrawOptions(**wrong)
