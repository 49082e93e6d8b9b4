import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import Problem, acyclic, lattice_for

from wfst_hmm.errors import FormatError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import n_best
from wfst_hmm.lattice.store import read_lattices, write_lattices

NONE = np.zeros(0, dtype=np.int32)


def small() -> Lattice:
    rows = [(0, 1, 2, 0.5, 1.0, np.array([3, 3], np.int32)), (0, 1, 1, 0.0, 2.0, NONE)]
    return lattice_from_rows(rows, [np.inf, 0.25], Symbols(["a", "b", "c"]), frame_shift=0.02)


@settings(deadline=None, max_examples=40)
@given(problem=acyclic())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, problem: Problem) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    path = tmp_path_factory.mktemp("lattices") / "a.npz"
    lattices = {"raw 1": raw, "é": determinize_lattice(raw), "small": small()}
    write_lattices(path, lattices)
    found = read_lattices(path)
    assert list(found) == list(lattices)
    for name, lattice in lattices.items():
        same = found[name]
        assert same.is_deterministic == lattice.is_deterministic
        assert (same.beam, same.frame_shift) == (lattice.beam, lattice.frame_shift)
        for field in ("source", "target", "graph_cost", "acoustic_cost", "labels", "final"):
            np.testing.assert_array_equal(getattr(same, field), getattr(lattice, field))
        ours, theirs = n_best(same, 10), n_best(lattice, 10)
        assert [h.words for h in ours] == [h.words for h in theirs]


def changed(path: Path, name: str, value: object) -> Path:
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = value  # type: ignore[assignment]
    out = path.with_name("changed.npz")
    np.savez(out, **arrays)
    return out


@pytest.mark.parametrize(
    ("name", "value"),
    [("0/target", np.array([1, 2], np.int32)), ("0/target", np.array([0, 1], np.int32)),
     ("0/source", np.array([0], np.int32)), ("0/word", np.array([0, 9], np.int32)),
     ("0/word", np.array([0.0, 1.0])), ("0/graph_cost", np.array([np.nan, 0.0])),
     ("0/final", np.array([np.inf, np.nan])), ("0/final", np.zeros(0)),
     ("0/label_start", np.array([0, 5, 2])), ("0/labels", np.zeros(7, np.int32))],
)  # fmt: skip
def test_arrays_that_make_no_lattice(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "a.npz"
    write_lattices(path, {"u": small()})
    with pytest.raises(FormatError, match="utterance u"):
        read_lattices(changed(path, name, value))


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_lattices(path, {"u": small()})
    data = path.read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:cut])
        with pytest.raises(FormatError, match=r"a\.npz"):
            read_lattices(path)
    path.write_bytes(data)
    for header in ({}, [], {"format": "wfst_hmm lattices", "version": 9},
                   {"format": "wfst_hmm lattices", "version": 1},
                   {"format": "wfst_hmm lattices", "version": 1, "words": ["a", "a"],
                    "lattices": []}):  # fmt: skip
        packed = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        with pytest.raises(FormatError):
            read_lattices(changed(path, "header", packed))
    np.savez(buffer := io.BytesIO(), other=np.zeros(3))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="not a file of lattices"):
        read_lattices(path)
    write_lattices(path, {})
    assert read_lattices(path) == {}
