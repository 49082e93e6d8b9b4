import contextlib
from pathlib import Path

import numpy as np
import pytest
import pywrapfst
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.binary import read_fst
from wfst_hmm.fst.symbols import Symbols

FST = Fst.from_arcs(0, [0, 0, 1], [1, 2, 0], [2, 0, 1], [0.5, 1.5, 0.25], [1, 1, 0], [np.inf, 2.0])


def named(kind: str) -> bytes:
    """FST written by OpenFst, with symbol tables that are numbered with gaps."""
    made = pywrapfst.convert(ops.to_openfst(FST), "vector")
    table = pywrapfst.SymbolTable()
    for key, symbol in ((0, "<epsilon>"), (2, "two"), (1, "one"), (9, "unused one")):
        table.add_symbol(symbol, key)
    made.set_input_symbols(table)
    made.set_output_symbols(table)
    return bytes(pywrapfst.convert(made, kind).write_to_string())


@given(machines())
@settings(deadline=None, max_examples=30)
def test_reads_both_kinds(tmp_path_factory: pytest.TempPathFactory, fst: Fst) -> None:
    path = tmp_path_factory.getbasetemp() / "read.fst"
    for kind in ("vector", "const"):
        pywrapfst.convert(ops.to_openfst(fst), kind).write(str(path))
        assert read_fst(path).to_bytes() == fst.to_bytes()


@pytest.mark.parametrize("kind", ["vector", "const"])
def test_symbols_inside(tmp_path: Path, kind: str) -> None:
    (tmp_path / "g.fst").write_bytes(named(kind))
    found = read_fst(tmp_path / "g.fst")
    assert found.isymbols == Symbols(["one", "two"])
    assert found.to_bytes() == FST.to_bytes()


@pytest.mark.parametrize("kind", ["vector", "const"])
def test_truncation_anywhere_is_an_error(tmp_path: Path, kind: str) -> None:
    data = named(kind)
    for length in range(len(data)):
        (tmp_path / "g.fst").write_bytes(data[:length])
        with pytest.raises(FormatError, match=r"g\.fst: "):
            read_fst(tmp_path / "g.fst")


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_damage_is_an_error_or_a_valid_machine(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(named(data.draw(st.sampled_from(["vector", "const"]))))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.fst"
    path.write_bytes(bytes(content))
    with contextlib.suppress(WfstHmmError):
        read_fst(path).validate()


def test_another_semiring(tmp_path: Path) -> None:
    ops.to_openfst(FST, semiring="log").write(str(tmp_path / "log.fst"))
    assert read_fst(tmp_path / "log.fst").arcs.tolist() == FST.arcs.tolist()
    data = (tmp_path / "log.fst").read_bytes().replace(b"\3\0\0\0log", b"\3\0\0\0gal", 1)
    (tmp_path / "other.fst").write_bytes(data)
    with pytest.raises(FormatError, match=r"const over gal.*fstmap --map_type=to_std"):
        read_fst(tmp_path / "other.fst")


def test_a_label_without_a_name_is_its_number_and_blanks_are_kept(tmp_path: Path) -> None:
    import pynini

    fst = pynini.Fst()
    fst.add_states(2)
    fst.set_start(0)
    fst.set_final(1)
    table = pynini.SymbolTable()
    for number, name in ((0, "<epsilon>"), (5, "new york"), (7, "9")):
        table.add_symbol(name, number)
    for label in (5, 7, 9):
        fst.add_arc(0, pynini.Arc(label, label, 0.0, 1))
    fst.set_input_symbols(table)
    fst.set_output_symbols(table)
    fst.write(str(tmp_path / "a.fst"))
    assert list(read_fst(tmp_path / "a.fst").isymbols or ()) == ["<eps>", "new york", "9", "9'"]


def test_not_an_fst(tmp_path: Path) -> None:
    (tmp_path / "x.fst").write_text("hello")
    with pytest.raises(FormatError, match="not an OpenFst file"):
        read_fst(tmp_path / "x.fst")
