"""Commands and kinds of files: what each says of what it is not for, and what it finds by itself."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine
from test_kinds import TEXTS
from tiny_speech import TinySpeech

from wfst_hmm.kinds import KINDS
from wfst_hmm.models.gmm import GaussianMixture


@pytest.mark.parametrize("name", TEXTS)
def test_info_of_every_kind_of_text(run: CommandLine, tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_text(TEXTS[name])
    done = run("info", tmp_path / "x", "--json")
    assert done.code == 0, done.err
    assert done.json["kind"] == name
    assert done.json["use"] == next(kind.remedy for kind in KINDS if kind.name == name)


def test_info_tells_what_is_inside(run: CommandLine, tmp_path: Path) -> None:
    def facts(text: str) -> dict[str, object]:
        (tmp_path / "x").write_text(text)
        return dict(run("info", tmp_path / "x", "--json").json)

    assert facts(TEXTS["JSGF grammar"])["first_words"] == ["one"]
    assert facts(TEXTS["word list of Vosk"])["words"] == 3
    assert facts(TEXTS["Kaldi text"])["running_words"] == 5
    assert facts(TEXTS["RTTM file"])["speakers"] == 1
    assert facts(TEXTS["CSV table"])["columns"] == ["word", "count"]
    assert facts(TEXTS["HTK model file"])["features"] == ["MFCC_0_D_A"]
    assert facts(TEXTS["symbol table"])["first"] == ["<eps>", "new york"]
    assert facts(TEXTS["text FST"])["states"] == 2
    assert "no such audio file" in str(facts(TEXTS["manifest"])["problems"])
    GaussianMixture(2, 3, means=np.zeros((2, 3)), covars=np.ones((2, 3)),
                    weights=np.full(2, 0.5)).save(tmp_path / "g.npz")  # fmt: skip
    told = run("info", tmp_path / "g.npz", "--json").json
    assert (told["kind"], told["arrays"]["means"]) == ("mixture of Gaussians", "2x3")


def test_a_command_says_what_a_file_is_and_where_it_goes(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    (tmp_path / "corpus.tsv").write_text(TEXTS["manifest"])
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n\0")
    shutil.copy(tiny_speech.lexicon, tmp_path / "lex.txt")
    message = run.fails("lint", "--lexicon", tmp_path / "corpus.tsv")
    assert "a manifest, not a lexicon" in message
    assert "wfst-hmm train, decode and align" in message
    graph = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
             "--out", tmp_path / "g", "--grammar")  # fmt: skip
    for name in ("JSON file", "XML document", "CSV table", "HTML page", "manifest", "TextGrid"):
        (tmp_path / "x.txt").write_text(TEXTS[name])
        message = run.fails(*graph, tmp_path / "x.txt", "--on-oov", "guess")
        assert f"{name}, not a grammar" in message
    assert "a PDF document, not a grammar" in run.fails(*graph, tmp_path / "a.pdf")
    assert "a PDF document, not a list of recordings" in run.fails(
        "train", tmp_path / "a.pdf", tmp_path / "m", "--lexicon", tiny_speech.lexicon)  # fmt: skip
    assert "not lattices" in run.fails("lattice", "info", tmp_path / "corpus.tsv")
    assert "could be exported" in run.fails("export", "kaldi", tmp_path / "lex.txt",
                                            "--out", tmp_path / "k")  # fmt: skip
    assert "cannot draw a TextGrid" in run.fails("draw", tmp_path / "x.txt", "--out",
                                                 tmp_path / "x.svg")  # fmt: skip


GRAMMARS = {
    "a.grxml": '<grammar xmlns="http://www.w3.org/2001/06/grammar" root="a"><rule id="a"><one-of>'
               "<item>bi</item><item>su</item></one-of></rule></grammar>",
    "a.abnf": "#ABNF 1.0;\nroot $a;\n$a = bi | su;\n",
    "a.gram": "#JSGF V1.0;\ngrammar a;\npublic <a> = bi | su;\n",
    "a.json": '["bi", "su", "[unk]"]',
    "a.kws": "bi /1e-3/\nsu\n",
    "a.lm.gz": "by hand\n" * 9999 + "\\data\\\nngram 1=3\n\n\\1-grams:\n-0.3 </s>\n-0.5 bi\n"
               "-0.7 su\n\n\\end\\\n",
    "a.fst.txt": "0\t1\tbi\tbi\n0\t1\tsu\tsu\n1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", GRAMMARS)
def test_every_kind_of_grammar_is_built_drawn_and_checked(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, name: str
) -> None:
    text = GRAMMARS[name].encode()
    path = tmp_path / "grammar"  # the name says nothing
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    done = run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
               "--grammar", path, "--out", tmp_path / "g", "--json")  # fmt: skip
    assert done.code == 0, done.err
    words = (tmp_path / "g" / "words.txt").read_text().split()[::2]
    assert {"bi", "su"} <= set(words) <= {"<eps>", "bi", "su", "[unk]"}
    assert run("draw", path, "--out", tmp_path / "g.svg").code == 0
    done = run("lint", path, "--lexicon", tiny_speech.lexicon)
    assert (done.code, "error" in done.out) == (0, False), done.out


needs_tools = pytest.mark.skipif(
    shutil.which("fstcompile") is None, reason="OpenFst's command line tools are not installed"
)


@needs_tools
def test_an_fst_without_tables(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    """Kaldi's G.fst: numbers only, words.txt beside it or named."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "words.txt").write_text("<eps> 0\nbi 4\nsu 9\n")
    (tmp_path / "g.txt").write_text("0 1 bi bi 0.5\n0 1 su su\n1\n")
    for semiring in ("standard", "log"):
        g = tmp_path / "sub" / f"{semiring}.fst"
        subprocess.run(["fstcompile", f"--arc_type={semiring}", "--isymbols=words.txt",
                        "--osymbols=words.txt", "g.txt", g], check=True, cwd=tmp_path)  # fmt: skip
        build = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
                 "--grammar", g, "--out", tmp_path / "graph")  # fmt: skip
        assert "--isymbols" in run.fails(*build)
        done = run(*build, "--isymbols", tmp_path / "words.txt", "--json")
        assert done.code == 0, done.err
        assert run("lint", g, "--isymbols", tmp_path / "words.txt").code == 0
    shutil.copy(tmp_path / "words.txt", tmp_path / "sub")
    done = run(*build)
    assert done.code == 0, done.err
    assert f"its symbols are those of {tmp_path / 'sub' / 'words.txt'}" in done.err
    assert run("info", g, "--json").json["input_symbols"] == 3
    assert run("draw", g, "--out", tmp_path / "g.dot").code == 0
    assert "bi" in (tmp_path / "g.dot").read_text()
    (tmp_path / "sub" / "words.txt").write_text("<eps>\t0\nnew york\t4\n")
    assert run("draw", g, "--out", tmp_path / "g.dot").code == 0  # 9 has no name: a number
    drawn = (tmp_path / "g.dot").read_text()
    assert "new york" in drawn
    assert "9" in drawn


def test_four_columns_are_two_labels(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    (tmp_path / "g.fst.txt").write_text("0 1 bi 0.5\n0 1 su 2.5\n1\n")
    build = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
             "--grammar", tmp_path / "g.fst.txt", "--out", tmp_path / "g")  # fmt: skip
    done = run(*build)
    assert "Then say --acceptor" in done.err
    assert "0.5" in (tmp_path / "g" / "words.txt").read_text()
    done = run(*build, "--acceptor")
    assert (done.code, done.err) == (0, "")
    assert "0.5" not in (tmp_path / "g" / "words.txt").read_text()


def test_pocketsphinxs_hypotheses_are_scored(run: CommandLine, shared: Path) -> None:
    folder = shared / "sphinx" / "tidigits"
    done = run("score", folder / "tidigits.lsn", folder / "test-tidigits-fsg.match", "--json")
    assert done.code == 0, done.err
    assert done.json["missing"] == []


def test_a_page_is_what_its_name_says(run: CommandLine, tmp_path: Path, shared: Path) -> None:
    songs = shared / "msd" / "msd_subset_timbre_avg.csv"
    page = tmp_path / "x.html"
    done = run("recommend", songs, "--tag", "1980s", "--components", 1, "--out", page)
    assert done.code == 0, done.err
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    done = run(
        "recommend", songs, "--tag", "1980s", "--components", 1, "--out", tmp_path / "x.json"
    )
    assert json.loads((tmp_path / "x.json").read_text())


def test_lattices_are_converted_by_name(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    done = run("decode", tiny_speech.graph, tiny_speech.test, "--lattice", "--out", tmp_path / "r")
    assert done.code == 0, done.err
    lattices = tmp_path / "r" / "lattices.npz"
    assert "holds one lattice" in run.fails("lattice", "convert", lattices, "--out",
                                            tmp_path / "c.slf", code=2)  # fmt: skip
    done = run("lattice", "convert", lattices, "--utterance", "sp0-00", "--out", tmp_path / "c.slf")
    assert done.code == 0, done.err
    assert (tmp_path / "c.slf").read_text().startswith("VERSION=1.0")
    best = run("lattice", "best", tmp_path / "c.slf").out
    assert best in run("lattice", "best", lattices).out
    few = run("lattice", "rescore", lattices, "--grammar", "length:1", "--out", tmp_path / "d.npz")
    assert all(len(line.split()) == 2 for line in few.out.splitlines())


def test_tags_come_with_the_result(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    (tmp_path / "a.gram").write_text(
        "#JSGF V1.0;\ngrammar t;\n" + "public <a> = (bi {B} | su {S} | ba {A})+ {all};"
    )
    done = run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon, "--grammar",
               tmp_path / "a.gram", "--out", tmp_path / "g")  # fmt: skip
    assert done.code == 0, done.err
    for options in ((), ("--nbest", "2")):
        (found,) = run("decode", tmp_path / "g", tiny_speech.test / "sp0-00.wav", "--json",
                       *options).json  # fmt: skip
        letters = {"bi": "B", "su": "S", "ba": "A"}
        assert found["tags"] == [*(letters[word] for word in found["text"].split()), "all"]
