"""``wfst-hmm lattice`` on the toy language."""

import itertools
from pathlib import Path

import pytest
from command_line import CommandLine
from tiny_speech import TinySpeech

ARPA = """\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-1 ba -0.5
-1 bi
-1 su
-99 <s>
-0.5 </s>

\\2-grams:
-0.25 ba su

\\end\\
"""


@pytest.fixture(scope="module")
def lattices(tiny_speech: TinySpeech, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from wfst_hmm.cli import main

    out = tmp_path_factory.mktemp("decoded")
    options = [
        "--lattice",
        "--lattice-beam",
        "12",
        "--beam",
        "200",
        "--acoustic-scale",
        "0.01",
        "--out",
        str(out),
    ]
    assert main(["decode", str(tiny_speech.graph), str(tiny_speech.test), *options]) == 0
    return out / "lattices.npz"


def test_looking_inside(run: CommandLine, tiny_speech: TinySpeech, lattices: Path) -> None:
    told = run("lattice", "info", lattices, "--json").json
    assert len(told) == 6
    assert max(stats["log10_paths"] for stats in told.values()) > 0.3
    assert all(stats["depth"] >= 1 for stats in told.values())
    assert "10^" in run("lattice", "info", lattices).out
    facts = run("info", lattices, "--json").json
    assert (facts["kind"], facts["utterances"], facts["without_a_path"]) == ("lattices", 6, 0)
    text = (tiny_speech.test / "text").read_text()
    assert run("lattice", "best", lattices).out == text
    assert run("lattice", "best", lattices, "--by", "mbr").out == text
    assert "su:1.000" in run("lattice", "best", lattices, "--confidence").out
    rows = run("lattice", "nbest", lattices, "-n", 3, "--json").json
    for one, two in itertools.pairwise(rows):
        assert two["rank"] in (1, one["rank"] + 1)
        assert two["rank"] == 1 or one["total_cost"] <= two["total_cost"]
    assert run("lattice", "nbest", lattices, "-n", 3).out.count("\n") > 6
    oracle = run("lattice", "oracle", lattices, "--ref", tiny_speech.test / "text", "--json").json
    assert (oracle["oracle_wer"], oracle["words"]) == (0.0, 13)


def test_from_form_to_form(
    run: CommandLine, tiny_speech: TinySpeech, lattices: Path, tmp_path: Path
) -> None:
    pruned, text, numbers = tmp_path / "p.npz", tmp_path / "lat.txt", tmp_path / "int.txt"
    table = tiny_speech.graph / "words.txt"
    assert " arcs in 6 lattices" in run("lattice", "prune", lattices, "-o", pruned).out
    assert pruned.stat().st_size < lattices.stat().st_size
    assert run("lattice", "convert", pruned, "--out", text).code == 0
    assert run("lattice", "convert", pruned, "--out", numbers, "--numbers", table).code == 0
    first = run("lattice", "nbest", pruned, "-n", 4).out
    assert run("lattice", "nbest", text, "-n", 4).out == first
    assert run("lattice", "nbest", numbers, "--words", table, "-n", 4).out == first
    assert "without a table" in run.fails("lattice", "best", numbers)
    both = run("lattice", "union", pruned, text, "--out", tmp_path / "both.npz")
    assert both.code == 0, both.err
    assert run("lattice", "nbest", tmp_path / "both.npz", "-n", 4).out == first


def test_rescoring(run: CommandLine, lattices: Path, tmp_path: Path) -> None:
    lm, strong = tmp_path / "lm.arpa", tmp_path / "big.npz"
    lm.write_text(ARPA)
    done = run("lattice", "rescore", lattices, "--lm", lm, "--lm-scale", 0.5, "--out", strong)
    assert done.code == 0, done.err
    assert "without --old-lm, the new costs are added" in done.err
    assert done.out == run("lattice", "best", strong).out
    back = run("lattice", "rescore", strong, "--old-lm", lm, "--out", tmp_path / "back.npz")
    assert back.code == 0, back.err
    assert "added" not in back.err
    before = run("lattice", "nbest", lattices, "-n", 1, "--json").json[0]
    after = run("lattice", "nbest", strong, "-n", 1, "--json").json[0]
    assert after["total_cost"] > before["total_cost"]
    lm.write_text(ARPA.replace("ngram 1=5", "ngram 1=4").replace("-1 bi\n", ""))
    failed = run("lattice", "rescore", lattices, "--lm", lm, "--out", strong)
    assert failed.code == 1
    assert "lacks: bi" in failed.err
    priced = run("lattice", "rescore", lattices, "--lm", lm, "--unknown-cost", 0, "--out", strong)
    assert priced.code == 0, priced.err
    assert "nothing to rescore with" in run.fails("lattice", "rescore", lattices, "-o", strong)
    assert "no such file" in run.fails("lattice", "rescore", lattices, "--lm", "none", "-o", strong)
    (tmp_path / "few.txt").write_text("su\nba\n")
    few = run("lattice", "rescore", lattices, "--grammar", tmp_path / "few.txt", "--out", strong)
    assert "sp0-00 su" in few.out.splitlines()
    assert few.code == 1
    assert "no path is left" in few.err  # where more than one word was said
    assert "Rescore twice" in run.fails("lattice", "rescore", lattices, "--grammar", lm, "--lm", lm,
                                        "-o", strong, code=2)  # fmt: skip
    (tmp_path / "only.txt").write_text("ba ba ba ba ba ba ba ba\n")
    assert "not the one of the graph" in run("lattice", "rescore", lattices, "--old-lm",
                                             tmp_path / "only.txt", "-o", strong).err  # fmt: skip


def test_complaints(run: CommandLine, lattices: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(lattices.read_bytes()[:500])
    assert "bad.npz" in run.fails("lattice", "info", tmp_path / "bad.npz", code=1)
    assert "no such file" in run.fails("lattice", "best", tmp_path / "none", code=1)
    assert "--beam" in run.fails("lattice", "prune", lattices, "--beam", -1, "-o", "x", code=2)
    assert "below zero" in run.fails("lattice", "best", lattices, "--lm-scale", -1, code=2)
    (tmp_path / "ref").write_text("other a\n")
    assert "no reference" in run.fails("lattice", "oracle", lattices, "--ref", tmp_path / "ref")
