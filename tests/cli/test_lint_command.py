"""``wfst-hmm lint``, and what ``graph`` says of its findings."""

from pathlib import Path

from command_line import CommandLine
from tiny_speech import TinySpeech


def test_good_input(run: CommandLine, tiny_speech: TinySpeech) -> None:
    done = run("lint", tiny_speech.graph, "--lexicon", tiny_speech.lexicon, "--grammar", "loop",
               "--model", tiny_speech.model)  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert "error" not in done.out


def test_findings_as_lines_and_json(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    lexicon, phrases = tmp_path / "lexicon.txt", tmp_path / "phrases.txt"
    lexicon.write_text("ba B AA\nbu B OO\n")
    phrases.write_text("ba be\nba ba bee\n")
    options = ("--lexicon", lexicon, "--grammar", phrases, "--model", tiny_speech.model)
    done = run("lint", *options)
    assert done.code == 1
    assert done.err == "wfst-hmm: 3 errors found\n"
    assert f"error: {lexicon}:2: the model lacks phone 'OO' of bu" in done.out
    assert "the shortest, 'ba be', breaks at 'be'" in done.out
    data = run("lint", *options, "--json").json
    assert data["counts"]["error"] == 3
    assert {f["rule"] for f in data["findings"] if f["severity"] == "error"} == {
        "unknown-phone", "words-not-in-lexicon", "nothing-spoken",
    }  # fmt: skip


def test_fst_files_and_own_lexicons(run: CommandLine, tmp_path: Path) -> None:
    fst, own = tmp_path / "m.fst.txt", tmp_path / "L.fst.txt"
    fst.write_text("0 1 a x 0\n0 1 a y 0\n1\n")
    assert "'a' gives 'x' and 'y'" in run("lint", fst).out
    own.write_text("0 0 A a 0\n0\n")
    arpa = tmp_path / "lm.arpa"
    arpa.write_text("\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-0.5 a -0.3\n-0.5 <s> -0.3\n"
                    "-0.5 </s>\n\n\\2-grams:\n-0.3 a a\n\n\\end\\\n")  # fmt: skip
    done = run("lint", "--lexicon-fst", own, "--grammar", arpa, "--json")
    assert done.code == 1
    assert done.json["findings"][0]["rule"] == "no-backoff-loop"


def test_bad_usage(run: CommandLine, tmp_path: Path) -> None:
    assert "nothing to check" in run.fails("lint", code=2)
    assert "needs --lexicon" in run.fails("lint", "--grammar", "loop", code=2)
    run.fails("lint", tmp_path / "nothing")


def test_graph_tells_and_refuses(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    common = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon)
    grammar, out = tmp_path / "g.fst.txt", tmp_path / "out"
    grammar.write_text("0 1 ba ba 0\n1 2 <eps> <eps> 0\n2 1 <eps> <eps> 0\n1 3 bi bi 0\n3\n")
    done = run(*common, "--grammar", grammar, "--out", out, "--json")
    assert done.code == 0
    assert "a loop that reads nothing costs 0 nats" in done.err
    assert done.json["info"]["lint"]["counts"]["warning"] >= 1
    grammar.write_text("0 1 ba ba 0\n1 2 <eps> <eps> 0\n2 1 <eps> <eps> -1\n1 3 bi bi 0\n3\n")
    assert "costs -1 nats" in run.fails(*common, "--grammar", grammar, "--out", tmp_path / "o2")


def test_stages_are_explained(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    done = run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
               "--grammar", "loop", "--out", tmp_path / "g", "--explain")  # fmt: skip
    assert done.code == 0, done.err
    for word in ("stage", "states", "arcs", "seconds", "peak MB", "G", "all"):
        assert word in done.out


def test_stages_from_a_cache(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "g"
    common = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
              "--grammar", "loop", "--out", out, "--cache", cache, "--explain")  # fmt: skip
    assert "from cache" not in run(*common).out
    first = (out / "graph.fst").read_bytes()
    assert "L∘G, from cache" in run(*common).out
    (kept,) = cache.glob("*.fst")
    kept.write_bytes(b"")
    damaged = run(*common)
    assert "from cache" not in damaged.out
    assert "a damaged entry of the cache (0 bytes instead of" in damaged.err
    assert (out / "graph.fst").read_bytes() == first


def test_budgets(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    common = ("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
              "--grammar", "loop", "--out", tmp_path / "g")  # fmt: skip
    assert "exceeds the budget of states" in run.fails(*common, "--max-states", 2)
    assert "stage 'G'" in run.fails(*common, "--max-memory", 1)
    assert run(*common, "--max-states", 1000, "--max-memory", 1e6).code == 0


def test_missing_words_are_guessed(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    grammar, lexicon = tmp_path / "phrases.txt", tmp_path / "lexicon.txt"
    grammar.write_text("ba bu\n")
    lexicon.write_text("ba B AA\nbi B IY\nsu S UW\nsa S AA\nsi S IY\nbab B AA B\n")
    common = ("graph", "--model", tiny_speech.model, "--lexicon", lexicon,
              "--grammar", grammar, "--out", tmp_path / "g", "--json")  # fmt: skip
    assert "lacks 1 word" in run.fails(*common)
    done = run(*common, "--on-oov", "guess")
    assert done.code == 0, done.err
    assert done.json["info"]["guessed"] == [["bu", "B UW"]]
    assert "guessed: bu = B UW" in done.err
