import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
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
    assert read(tmp_path, "0 1 yes 0.5\n0 1 no 2\n1\n").arcs["weight"].tolist() == [0.5, 2.0]
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
