"""Sphinx's finite-state grammars: what they say, and what is wrong with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import FormatError
from wfst_hmm.graph.fsg import read_fsg
from wfst_hmm.graph.grammar import read_grammar

TEXT = """# digits
FSG_BEGIN digits
NUM_STATES 3
START_STATE 0
FINAL_STATE 2
TRANSITION 0 1 0.25 one  # a comment
T 0 1 0.75 two
TRANSITION 1 2 1.0
FSG_END
"""


def test_what_it_says(tmp_path):
    (tmp_path / "x.fsg").write_text(TEXT)
    fst = read_fsg(tmp_path / "x.fsg")
    assert (fst.start, fst.n_states, fst.n_arcs) == (0, 3, 3)
    assert fst.isymbols.strings(fst.arcs["ilabel"][:2]) == ["one", "two"]
    np.testing.assert_allclose(fst.arcs["weight"], -np.log([0.25, 0.75, 1.0]), rtol=1e-6)
    assert np.isfinite(fst.states["final"]).tolist() == [False, False, True]
    assert read_grammar(tmp_path / "x.fsg").words == ("one", "two")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("FSG_BEGIN digits\n", "", "outside of the grammar"),
        ("FSG_END\n", "", "incomplete"),
        ("START_STATE 0\n", "", "incomplete"),
        ("FINAL_STATE 2", "FINAL_STATE 3", "number of a state"),
        ("NUM_STATES 3", "NUM_STATES 2147483648", "number of a state"),
        (
            "NUM_STATES 3\nSTART_STATE 0\nFINAL_STATE 2",
            "FINAL_STATE 9\nN 3\nS 0",
            "got 9, expected 0 to 2",
        ),
        ("FSG_BEGIN digits\n", "FSG_BEGIN digits\nT 0 7 1 x\n", "got 7, expected 0 to 2"),
        ("NUM_STATES 3\n", "NUM_STATES 3\nN 3\n", "given twice"),
        ("0.25", "1.25", "not a probability"),
        ("0.25", "0", "not a probability"),
        ("0.25", "nan", "not a probability"),
        ("0.25 one", "0.25 one two", "not understood"),
        ("FSG_END\n", "FSG_END\nT 0 1 1 x\n", "outside of the grammar"),
    ],
)
def test_what_is_wrong(tmp_path, old, new, message):
    (tmp_path / "x.fsg").write_text(TEXT.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_fsg(tmp_path / "x.fsg")


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([*TEXT.splitlines(), "T 1 0 0.5 x", "T 0 9 1", "N 1", "F x"]), max_size=12))  # fmt: skip
def test_any_lines_are_read_or_refused(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("fsg") / "x.fsg"
    path.write_text("\n".join(lines))
    try:
        fst = read_fsg(path)
    except FormatError:
        return
    assert fst.arcs["nextstate"].max(initial=0) < fst.n_states


def test_grammars_of_sphinx(shared):
    for name in ("goforward.fsg", "tidigits/lm/tidigits.fsg"):
        assert len(read_grammar(shared / "sphinx" / name).words) >= 8
