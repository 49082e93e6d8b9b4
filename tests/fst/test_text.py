import contextlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.tables import read_any_fst
from wfst_hmm.fst.text import read_fst_text, write_fst_text

NAMES = Symbols(["a", "b", "c"])


@given(machines())
@settings(deadline=None, max_examples=40)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, fst: Fst) -> None:
    path = tmp_path_factory.getbasetemp() / "fst.txt"
    write_fst_text(fst.with_symbols(NAMES, NAMES), path)
    found = read_fst_text(path, NAMES, NAMES, acceptor=False)
    assert same_relation(relation(found, 4), relation(fst, 4))


def read(tmp_path: Path, text: str) -> Fst:
    (tmp_path / "g.txt").write_text(text, encoding="utf-8")
    return read_fst_text(tmp_path / "g.txt")


def test_transducer_with_words(tmp_path: Path) -> None:
    found = read(tmp_path, "5 7 turn an 0.5\n7 5 <eps> aus\n7 1.5\n")
    assert found.isymbols == Symbols(["turn", "an", "aus"])
    assert found.arcs.tolist() == [(1, 2, 0.5, 1), (0, 3, 0.0, 0)]
    assert found.states["final"].tolist() == [np.inf, 1.5]


def test_acceptors(tmp_path: Path) -> None:
    assert read(tmp_path, "0 1 yes\n0 1 no 2\n1\n").arcs["olabel"].tolist() == [1, 2]
    four = "0 1 yes 0.5\n0 1 no 2\n1\n"  # an input and an output label, as fstcompile has it
    assert list(read(tmp_path, four).osymbols or ()) == ["<eps>", "yes", "0.5", "no", "2"]
    found = read_fst_text(tmp_path / "g.txt", acceptor=True)
    assert found.arcs["weight"].tolist() == [0.5, 2.0]
    assert read(tmp_path, "0 1 yes ja\n1\n").arcs["olabel"].tolist() == [2]


def test_first_line_may_be_a_final_state(tmp_path: Path) -> None:
    found = read(tmp_path, "3\n3 4 a\n")
    assert found.states["final"].tolist() == [0.0, np.inf]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no arcs"),
        ("0 1 a b 1 2\n", r"g\.txt:1: not an arc"),
        ("0 1 a\n0 x a\n", r"g\.txt:2: not a state number"),
        ("0 1 a b nan\n", r"g\.txt:1: not a cost"),
        ("0 1 a b -inf\n", r"g\.txt:1: not a cost"),
        ("0 1 a\n1 cheap\n", r"g\.txt:2: not a cost"),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, text)


def test_label_outside_the_table(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("0 1 d d\n1\n")
    with pytest.raises(FormatError, match=r"g\.txt:1: label 'd' is not in the symbol table"):
        read_fst_text(tmp_path / "g.txt", NAMES, NAMES)


@given(st.text(alphabet="01 \t\nab.-e<>\x00é", max_size=60))
@settings(deadline=None, max_examples=200)
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(WfstHmmError):
        read_fst_text(path).validate()


def test_labels_that_are_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, "0 1 7 0 0.5\n0 1 3 9\n1\n")
    assert (found.isymbols, found.osymbols) == (None, None)
    assert found.arcs["olabel"].tolist() == [9, 0]  # 0 is epsilon, as the tools have it
    named = read_fst_text(tmp_path / "g.txt", {0: "<eps>", 3: "drei", 7: "sieben"}, {9: "neun"})
    assert list(named.isymbols or ()) == ["<eps>", "drei", "sieben"]
    assert list(named.osymbols or ()) == ["<eps>", "neun"]
    less = read_fst_text(tmp_path / "g.txt", {3: "drei"}, {})
    assert list(less.isymbols or ()) == ["<eps>", "drei", "7"]  # a missing name is its number


needs_tools = pytest.mark.skipif(
    shutil.which("fstcompile") is None, reason="OpenFst's command line tools are not installed"
)


@needs_tools
@given(machines())
@settings(deadline=None, max_examples=15)
def test_openfsts_own_tools_understand_the_same(
    tmp_path_factory: pytest.TempPathFactory, fst: Fst
) -> None:
    """What fstcompile makes of our text is our machine, and what fstprint writes is, too."""
    folder = tmp_path_factory.getbasetemp()
    write_fst_text(fst.with_symbols(NAMES, NAMES), folder / "a.txt")
    NAMES.write(folder / "s.txt")
    tables = [f"--isymbols={folder / 's.txt'}", f"--osymbols={folder / 's.txt'}"]
    subprocess.run(["fstcompile", *tables, folder / "a.txt", folder / "a.fst"], check=True)
    binary = read_any_fst(folder / "a.fst", folder / "s.txt", folder / "s.txt").fst
    assert same_named(binary, read_fst_text(folder / "a.txt", acceptor=False))
    for log in ("to_log", "to_log64"):
        subprocess.run(
            ["fstmap", f"--map_type={log}", folder / "a.fst", folder / "log.fst"], check=True
        )
        found = read_any_fst(folder / "log.fst", folder / "s.txt", folder / "s.txt").fst
        assert same_named(found, binary)
    subprocess.run(["fstprint", folder / "a.fst", folder / "numbers.txt"], check=True)
    if fst.n_arcs and read_fst_text(folder / "a.txt", acceptor=False).n_states:
        numbers = read_any_fst(folder / "numbers.txt", folder / "s.txt", folder / "s.txt").fst
        assert same_named(numbers, binary)


def same_named(one: Fst, other: Fst) -> bool:
    """Compare machines whose tables number the same symbols in other ways."""
    return same_relation(named_relation(one), named_relation(other))


def named_relation(fst: Fst) -> dict[tuple[tuple[str, ...], tuple[str, ...]], float]:
    if not fst.n_states:
        return {}
    tables = [table or Symbols([]) for table in (fst.isymbols, fst.osymbols)]
    return {
        (tuple(tables[0].strings(i)), tuple(tables[1].strings(o))): cost
        for (i, o), cost in relation(fst, 4).items()
    }
