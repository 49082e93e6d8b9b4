from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import WORDS, Problem, acyclic, lattice_for

from wfst_hmm.errors import FormatError
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.kaldi_text import read_kaldi_lattices, write_kaldi_lattices
from wfst_hmm.lattice.nbest import n_best

KALDI = """utt-1
0	1	a	1.5,2.5,3_3_4
0	2	b	0.5,4,3_5
1	3	<eps>	0,0,
2	3	c	1,1,6_6
3	0.25,0.5,7

utt-2
0	1	a
1
"""  # fmt: skip


def test_kaldi_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lat.txt"
    path.write_text(KALDI)
    lattices = read_kaldi_lattices(path)
    assert list(lattices) == ["utt-1", "utt-2"]
    first, second = n_best(lattices["utt-1"], 5)
    assert (first.words, first.graph_cost, first.acoustic_cost) == (("a",), 1.75, 3.0)
    assert first.labels.tolist() == [3, 3, 4, 7]
    assert (second.words, second.total_cost) == (("b", "c"), 7.25)
    assert n_best(lattices["utt-2"], 1)[0].total_cost == 0


@settings(deadline=None, max_examples=50)
@given(problem=acyclic())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, problem: Problem) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    path = tmp_path_factory.mktemp("lattices") / "lat.gz.txt"
    lattices = {"raw": raw, "determinized": determinize_lattice(raw)}
    write_kaldi_lattices(path, lattices)
    for name, lattice in read_kaldi_lattices(path, WORDS).items():
        wanted = n_best(lattices[name], 50)
        found = n_best(lattice, 50)
        assert sorted(h.words for h in found) == sorted(h.words for h in wanted)
        np.testing.assert_allclose(
            [h.total_cost for h in found], [h.total_cost for h in wanted], atol=1e-4
        )
        assert lattice.n_arcs == lattices[name].n_arcs


@pytest.mark.parametrize(
    ("text", "message"),
    [("u \n0 1 a 1,2\n", "lat:2: no line"), ("u \n0 1 a 1,2,\n1 0 a 1,2,\n0\n", "cycle"),
     ("u \n0 1 nothing 1,2,\n1\n", "lat:2"), ("0 1 a 1,2,3\n", "utterance id"),
     ("u \n0\n\nu \n0\n", "twice")],
)  # fmt: skip
def test_damaged_lattices(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lat"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_kaldi_lattices(path, WORDS)
