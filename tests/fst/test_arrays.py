"""Fst arrays: the layout is OpenFst's own, and damage is noticed."""

from pathlib import Path

import numpy as np
import pytest
import pywrapfst

from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.fst.arrays import Fst

INF = np.inf


def small() -> Fst:
    return Fst.from_arcs(
        start=1,
        source=[1, 0, 1, 2],
        ilabel=[3, 0, 1, 2],
        olabel=[0, 4, 5, 0],
        weight=[0.5, -1.25, 2.0, 0.0],
        nextstate=[0, 2, 2, 2],
        final=[INF, INF, 0.75],
    )


def test_arcs_are_grouped_by_state_and_sorted_by_input():
    fst = small()
    assert fst.sources().tolist() == [0, 1, 1, 2]
    assert fst.arcs_of(1)["ilabel"].tolist() == [1, 3]
    assert fst.states["n_input_eps"].tolist() == [1, 0, 0]
    assert fst.states["n_output_eps"].tolist() == [0, 1, 1]
    assert (fst.n_states, fst.n_arcs) == (3, 4)
    with pytest.raises(ValueError, match="read-only"):
        fst.arcs["weight"][0] = 1


def test_openfst_reads_what_we_write_and_the_reverse():
    fst = small()
    theirs = pywrapfst.Fst.read_from_string(fst.to_bytes())
    assert theirs.verify()
    mutable = pywrapfst.convert(theirs, "vector")
    assert mutable.start() == 1
    found = [
        (s, a.ilabel, a.olabel, float(a.weight), a.nextstate)
        for s in mutable.states()
        for a in mutable.arcs(s)
    ]
    ours = list(zip(fst.sources().tolist(), *(fst.arcs[n].tolist() for n in fst.arcs.dtype.names),
                    strict=True))  # fmt: skip
    assert found == ours
    back = Fst.from_bytes(pywrapfst.convert(mutable, "const").write_to_string())
    assert np.array_equal(back.arcs, fst.arcs)
    assert np.array_equal(back.states, fst.states)


def test_map_reads_a_file(tmp_path: Path):
    path = tmp_path / "g.fst"
    small().write(path)
    mapped = Fst.map(path)
    assert np.array_equal(mapped.arcs, small().arcs)
    mapped.validate()


def test_every_truncation_is_noticed():
    data = small().to_bytes()
    for length in range(len(data)):
        with pytest.raises(FormatError):
            Fst.from_bytes(data[:length])
    with pytest.raises(FormatError, match="wrong length"):
        Fst.from_bytes(data + b"\0")


def test_no_single_changed_byte_crashes():
    data = small().to_bytes()
    for position in range(len(data)):
        for value in (0x00, 0x7F, 0x80, 0xFF):
            damaged = data[:position] + bytes([value]) + data[position + 1 :]
            try:
                Fst.from_bytes(damaged).validate()
            except (FormatError, GraphError):
                continue


def test_foreign_kinds_are_refused_by_name(tmp_path: Path):
    theirs = pywrapfst.Fst.read_from_string(small().to_bytes())
    vector = pywrapfst.convert(theirs, "vector").write_to_string()
    with pytest.raises(FormatError, match="got vector over standard"):
        Fst.from_bytes(vector)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(FormatError, match="cannot be mapped"):
        Fst.map(empty)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"start": 3}, "bad start state"),
        ({"source": [1, 0, 1, 3]}, "leaves a state that does not exist"),
        ({"nextstate": [0, 2, 2, 9]}, "arc 3 leads to a state that does not exist"),
        ({"ilabel": [3, 0, -1, 2]}, "label is negative"),
        ({"weight": [0.5, np.nan, 2, 0]}, "arc's cost is NaN"),
        ({"final": [INF, INF, np.nan]}, "final cost is NaN"),
    ],
)
def test_impossible_machines_are_refused(change: dict, complaint: str):
    arguments = {
        "start": 1, "source": [1, 0, 1, 2], "ilabel": [3, 0, 1, 2], "olabel": [0, 4, 5, 0],
        "weight": [0.5, -1.25, 2.0, 0.0], "nextstate": [0, 2, 2, 2], "final": [INF, INF, 0.75],
    }  # fmt: skip
    with pytest.raises(GraphError, match=complaint):
        Fst.from_arcs(**{**arguments, **change})


def test_empty_machine():
    fst = Fst.from_arcs(-1, [], [], [], [], [], [])
    assert (fst.n_states, fst.n_arcs) == (0, 0)
    assert Fst.from_bytes(fst.to_bytes()).start == -1


def test_from_arcs_says_which_column_is_wrong() -> None:
    good = {
        "source": [0, 1],
        "ilabel": [1, 2],
        "olabel": [1, 2],
        "weight": [0.5, 1],
        "nextstate": [1, 1],
    }
    final = [np.inf, 0.0]
    made = Fst.from_arcs(0, *good.values(), final)
    as_floats = {name: np.array(column, float) for name, column in good.items()}
    assert Fst.from_arcs(0, *as_floats.values(), final).to_bytes() == made.to_bytes()
    assert (
        Fst.from_arcs(0, *(iter(c) for c in good.values()), iter(final)).to_bytes()
        == made.to_bytes()
    )
    for name, column, message in (
        ("ilabel", [1], r"columns of unlike lengths; got ilabel of shape \(1,\), expected \(2,\)"),
        ("weight", [1.0, 2.0, 3.0], "columns of unlike lengths; got weight"),
        ("olabel", [[1, 2]], "columns of unlike lengths; got olabel"),
        ("source", 0, "source is no column of numbers"),
        ("ilabel", [1, 1.5], r"ilabel\[1\] is no whole number; got 1.5"),
        ("nextstate", [1, 0.5], r"nextstate\[1\] is no whole number"),
        ("source", [0.5, 1], r"source\[0\] is no whole number"),
        ("olabel", [1, 2**31], r"olabel\[1\] is out of range; got 2147483648"),
        ("ilabel", [1, 5e9], r"ilabel\[1\] is out of range"),
        ("ilabel", ["1", "2"], "it holds text"),
        ("weight", [1j, 2], "it holds complex"),
        ("ilabel", [-1, 2], "negative"),
        ("source", [-1, 0], "leaves a state that does not exist"),
    ):
        with pytest.raises(GraphError, match=message):
            Fst.from_arcs(0, *{**good, name: column}.values(), final)
    labels = Fst.from_arcs(0, [0], [2**31 - 1], [0], [0.0], [0], [0.0]).arcs["ilabel"]
    assert labels.tolist() == [2**31 - 1]
