"""Files of lattices of any kind, one content."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from search_problems import WORDS, Problem, acyclic, lattice_for

from wfst_hmm.apps.lattices import (
    oracle_score,
    read_any_lattices,
    replace_language_model,
    write_any_lattices,
)
from wfst_hmm.errors import DataError, FormatError, GraphError, UsageError
from wfst_hmm.formats.htk.slf import read_slf
from wfst_hmm.formats.kaldi.archives import read_integer_lists
from wfst_hmm.formats.kaldi.lattice_values import kaldi_from_lattice, lattice_from_kaldi
from wfst_hmm.formats.kaldi.lattices import write_lattices as write_kaldi
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.kinds import read_as
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import best_hypothesis, n_best
from wfst_hmm.lattice.stats import lattice_stats

NONE = np.zeros(0, dtype=np.int32)
ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-1 a -0.5
-1 b
-99 <s>
-0.5 </s>

\\2-grams:
-0.25 a b

\\end\\
"""


def contents(lattice: Lattice) -> list[tuple[tuple[str, ...], float, list[int]]]:
    found = [(h.words, h.total_cost, h.labels.tolist()) for h in n_best(lattice, 500)]
    return [(words, pytest.approx(cost, abs=1e-4), labels) for words, cost, labels in sorted(found)]


@settings(deadline=None, max_examples=40)
@given(problem=acyclic())
def test_every_form_holds_the_same(
    tmp_path_factory: pytest.TempPathFactory, problem: Problem
) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    wanted = contents(lattice)
    folder = tmp_path_factory.mktemp("lattices")
    shuffled = Symbols(["c", "other", "b", "a"])
    write_any_lattices(folder / "a.npz", {"u": lattice})
    write_any_lattices(folder / "a.txt", {"u": lattice})
    write_any_lattices(folder / "numbers.txt", {"u": lattice}, numbers=shuffled)
    write_kaldi(folder / "binary", {"u": kaldi_from_lattice(lattice, shuffled)})
    (folder / "packed.gz").write_bytes(gzip.compress((folder / "binary").read_bytes()))
    assert contents(read_any_lattices(folder / "a.npz")["u"]) == wanted
    assert contents(read_any_lattices(folder / "a.txt")["u"]) == wanted
    for name in ("numbers.txt", "binary", "packed.gz"):
        assert contents(read_any_lattices(folder / name, shuffled)["u"]) == wanted
    same = lattice_from_kaldi(kaldi_from_lattice(lattice), lattice.words)
    assert contents(same) == wanted


def test_lattices_that_carry_one_label_an_arc(tmp_path: Path) -> None:
    path = tmp_path / "lat.txt"
    path.write_text("u \n0\t1\t7\t1\t0.5,1.5\n1\t2\t8\t0\t0.25,1\n2\t0.5,0\n\n")
    (hypothesis,) = n_best(read_any_lattices(path, WORDS)["u"], 2)
    assert (hypothesis.words, hypothesis.total_cost) == (("a",), 3.75)
    assert hypothesis.labels.tolist() == [7, 8]


def test_what_is_no_file_of_lattices(tmp_path: Path) -> None:
    path = tmp_path / "lat"
    with pytest.raises(FormatError, match="no such file"):
        read_any_lattices(path)
    path.write_bytes(b"u \0B garbage")
    for words in (None, WORDS):
        with pytest.raises(FormatError, match="lat: an archive of Kaldi, not lattices"):
            read_any_lattices(path, words)
    path.write_text("u \n0 1 7 0.5,1.5,3\n1\n\n")
    with pytest.raises(FormatError, match="without a table"):
        read_any_lattices(path)
    with pytest.raises(FormatError, match="lat:2"):
        read_any_lattices(path, WORDS)
    path.write_bytes(b"PK\3\4 but no more")
    with pytest.raises(FormatError, match="damaged"):
        read_any_lattices(path)
    path.write_text("")
    assert read_any_lattices(path) == {}
    with pytest.raises(DataError, match="white space"):
        write_any_lattices(path, {"a b": lattice_from_rows([], [0.0], WORDS)})


def test_kaldis_lattices_at_each_lm_weight(shared: Path) -> None:
    """The words of ``lattice-best-path`` at each weight, through our own lattices."""
    kaldi = shared / "yesno" / "kaldi"
    decode = kaldi / "exp" / "mono" / "decode_test_yesno"
    words = Symbols.read(kaldi / "data" / "lang_test_tg" / "words.txt")
    found = read_any_lattices(decode / "lat.1.gz", words)
    for weight in range(7, 12):
        expected = read_integer_lists(decode / "scoring" / f"{weight}.tra")
        for id_, lattice in found.items():
            best = best_hypothesis(lattice.reweighted(graph_scale=float(weight)))
            assert best is not None
            assert words.ids(best.words) == expected[id_].tolist()
    stats = lattice_stats(found["1_0_0_0_0_0_0_0"])
    assert (stats.n_frames, stats.n_words) == (668, 2)


def test_replacing_a_language_model_by_files(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA)
    rows = [(0, 1, 1, 5.0, 0.0, NONE), (1, 2, 2, 0.0, 1.0, NONE)]
    lattice = lattice_from_rows(rows, [np.inf, np.inf, 0.0], WORDS, is_deterministic=True)
    other = lattice_from_rows([(0, 1, 3, 0.0, 0.0, NONE)], [np.inf, 0.0], WORDS)
    both = {"u": lattice, "v": other}
    made = replace_language_model({"u": lattice}, tmp_path / "lm.arpa", None)
    best = best_hypothesis(made["u"])
    assert best is not None
    assert best.total_cost == pytest.approx(6 + np.log(10) * (1 + 0.25 + 0.5))
    same = replace_language_model(made, None, tmp_path / "lm.arpa")
    assert best_hypothesis(same["u"]).total_cost == pytest.approx(6)  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"utterance v: .* lacks: c"):
        replace_language_model(both, tmp_path / "lm.arpa", None)
    kept: list[str] = []
    replace_language_model(
        both, tmp_path / "lm.arpa", None, on_error=lambda id_, _: kept.append(id_)
    )
    assert kept == ["v"]
    priced = replace_language_model(both, tmp_path / "lm.arpa", None, unknown_cost=3.0)
    cost = best_hypothesis(priced["v"]).total_cost  # type: ignore[union-attr]
    assert cost == pytest.approx(3 + np.log(10) * 0.5)
    with pytest.raises(GraphError, match="not the one of the graph"):
        replace_language_model({"v": other}, None, tmp_path / "lm.arpa")
    assert read_as(tmp_path / "lm.arpa", "language model").order == 2
    with pytest.raises(FormatError):
        read_as(tmp_path / "none", "language model")


def test_oracle_scores() -> None:
    rows = [(0, 1, 1, 0.0, 0.0, NONE), (0, 1, 2, 1.0, 0.0, NONE)]
    lattice = lattice_from_rows(rows, [np.inf, 0.0], WORDS, is_deterministic=True)
    empty = lattice_from_rows([], [np.inf], WORDS)
    scored = oracle_score({"u": lattice, "e": empty}, {"u": ("b", "c"), "v": ("a",), "e": ("a",)})
    assert (scored.n_errors, scored.n_words, scored.missing) == (3, 4, ("v", "e"))
    assert scored.utterances["u"] == (1, 2, ("b",))
    assert scored.to_dict()["oracle_wer"] == 0.75
    with pytest.raises(DataError):
        oracle_score({"x": lattice}, {"u": ()})


@settings(deadline=None, max_examples=60)
@given(acyclic())
def test_sizes_equal_enumeration(problem: Problem) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    stats, paths = lattice_stats(lattice), n_best(lattice, 5000)
    assert 10**stats.log10_paths == pytest.approx(len(paths))
    assert stats.best_cost == pytest.approx(paths[0].total_cost)
    assert stats.n_frames == len(problem.scores)
    assert stats.n_words == len({w for h in paths for w in h.words})
    empty = lattice_stats(lattice_from_rows([], [np.inf], WORDS)).to_dict()
    assert (empty["log10_paths"], empty["best_cost"], empty["depth"]) == (None, None, None)


def test_htks_lattices(tmp_path: Path) -> None:
    rows = [(0, 1, 1, 5.0, 0.5, np.array([3, 3], np.int32)), (0, 2, 2, 1.0, 7.0, NONE),
            (1, 2, 0, 0.25, 1.0, np.array([4], np.int32))]  # fmt: skip
    lattice = lattice_from_rows(rows, [np.inf, 3.0, 0.5], WORDS)
    write_any_lattices(tmp_path / "a.slf", {"u 1": lattice})
    slf = read_slf(tmp_path / "a.slf")
    assert slf.best_path() == (("a",), pytest.approx(-7.25))
    assert slf.times.tolist() == pytest.approx([0.0, 0.02, 0.03, 0.03])
    (back,) = read_any_lattices(tmp_path / "a.slf").values()
    wanted = {hypothesis.words: hypothesis.total_cost for hypothesis in n_best(lattice, 9)}
    assert {h.words: pytest.approx(h.total_cost) for h in n_best(back, 9)} == wanted
    with pytest.raises(UsageError, match="an SLF file holds one lattice; got 2"):
        write_any_lattices(tmp_path / "b.slf", {"u": lattice, "v": lattice})
    with pytest.raises(UsageError, match=r"c\.html: lattices have no such form"):
        write_any_lattices(tmp_path / "c.html", {"u": lattice})


def test_a_built_in_grammar_is_one_for_lattices_too() -> None:
    rows = [(0, 1, 1, 5.0, 0.0, NONE), (1, 2, 2, 0.0, 1.0, NONE), (0, 2, 2, 1.0, 0.0, NONE)]
    lattice = lattice_from_rows(rows, [np.inf, np.inf, 0.0], WORDS, is_deterministic=True)
    for length, words in ((1, ("b",)), (2, ("a", "b"))):
        made = replace_language_model({"u": lattice}, None, None, grammar=f"length:{length}")
        best = best_hypothesis(made["u"])
        assert best is not None
        assert best.words == words
