"""Every command on good input, from recordings to pictures."""

import xml.dom.minidom
from pathlib import Path

import pytest
from command_line import CommandLine, contents
from tiny_speech import TinySpeech

from wfst_hmm.cli.app import COMMANDS


def test_train_then_graph_then_decode_then_score(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    model, graph, out = tmp_path / "model", tmp_path / "graph", tmp_path / "out"
    trained = run("train", tiny_speech.train, model, "--lexicon", tiny_speech.lexicon,
                  "--passes", 5, "--gaussians", 40, "--json")  # fmt: skip
    assert trained.code == 0, trained.err
    assert trained.json["utterances"] == 24
    built = run("graph", "--model", model, "--lexicon", tiny_speech.lexicon,
                "--grammar", "loop", "--out", graph, "--json")  # fmt: skip
    assert built.code == 0, built.err
    assert built.json["words"] == 3
    assert (graph / "model" / "model.json").is_file()
    decoded = run("decode", graph, tiny_speech.test, "--cross-check", "--out", out)
    assert decoded.code == 0, decoded.err
    assert "cross-check of 6: 6 agree, 0 tie, 0 differ" in decoded.out
    scored = run("score", tiny_speech.test / "text", out / "hyp.txt", "--json")
    assert scored.json["wer"] == 0.0
    assert set(scored.json) >= {"wer", "substitutions", "deletions", "insertions", "words"}
    assert (out / "hyp.txt").read_text() == (tiny_speech.test / "text").read_text()


def test_a_graph_directory_decodes_alone_and_takes_its_own_model(
    run: CommandLine, tiny_speech: TinySpeech
) -> None:
    audio = tiny_speech.test / "sp0-00.wav"
    alone = run("decode", tiny_speech.graph, audio)
    named = run("decode", tiny_speech.graph, audio, "--model", tiny_speech.model)
    assert alone.code == named.code == 0
    assert alone.out == named.out
    assert alone.out.startswith("sp0-00 ")


@pytest.mark.parametrize("search", ["beam", "exact", "compose"])
def test_searches_and_threads_give_the_same_words(
    run: CommandLine, tiny_speech: TinySpeech, search: str
) -> None:
    done = run("decode", tiny_speech.graph, tiny_speech.test, "--search", search, "--threads", 3)
    assert done.out == (tiny_speech.test / "text").read_text()


def test_decode_json(run: CommandLine, tiny_speech: TinySpeech) -> None:
    done = run("decode", tiny_speech.graph, tiny_speech.test, "--json", "--cross-check")
    first = done.json[0]
    assert first["id"] == "sp0-00"
    assert first["text"] == first["reference"]
    assert first["cross_check"]["verdict"] == "agree"
    assert first["total_cost"] == pytest.approx(first["acoustic_cost"] + first["graph_cost"])
    assert [word["text"] for word in first["words"]] == first["text"].split()


def test_decode_takes_lists_and_recordings_together(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    manifest = tmp_path / "list.tsv"
    manifest.write_text(f"id\taudio\ttext\nfirst\t{tiny_speech.test}/sp0-00.wav\t\n")
    done = run("decode", tiny_speech.graph, manifest, tiny_speech.test / "sp1-01.wav")
    assert [line.split()[0] for line in done.out.splitlines()] == ["first", "sp1-01"]


def test_align_writes_all_forms(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    done = run("align", tiny_speech.test, "--model", tiny_speech.model, "--lexicon",
               tiny_speech.lexicon, "--out", tmp_path / "aligned")  # fmt: skip
    assert done.code == 0, done.err
    names = set(contents(tmp_path / "aligned"))
    assert names >= {"words.ctm", "phones.ctm", "states.ctm", "alignments.json",
                     "textgrid/sp0-00.TextGrid"}  # fmt: skip
    words: dict[str, list[str]] = {}
    for line in (tmp_path / "aligned" / "words.ctm").read_text().splitlines():
        id_, _, start, length, word, confidence = line.split()
        assert float(start) >= 0.05
        assert 0.0 < float(confidence) <= 1.0
        assert 0.1 < float(length) < 0.6  # two phones of 0.06 to 0.19 s
        words.setdefault(id_, []).append(word)
    said = dict(line.split(" ", 1) for line in (tiny_speech.test / "text").read_text().splitlines())
    assert {id_: " ".join(found) for id_, found in words.items()} == said


def test_align_one_form_as_json(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    done = run("align", tiny_speech.test, "--model", tiny_speech.model, "--lexicon",
               tiny_speech.lexicon, "--out", tmp_path / "a", "--form", "ctm", "--json")  # fmt: skip
    assert set(contents(tmp_path / "a")) == {"words.ctm", "phones.ctm", "states.ctm"}
    assert done.json[0]["phones"][0]["text"] == "SIL"


def test_score_shows_what_went_wrong(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a one two three\nb four\nc\n")
    (tmp_path / "hyp").write_text("a one too three four\nc five\n")
    done = run("score", tmp_path / "ref", tmp_path / "hyp")
    assert done.code == 0
    assert "WER 100.00 % (4 of 4 words: 1 substituted, 1 deleted, 2 inserted)" in done.out
    assert "3 of 3 utterances with errors" in done.out
    assert "utterance b: no hypothesis" in done.err
    assert "  ref  one two three *" in done.out
    assert "  hyp  one too three four" in done.out
    assert "           S         I" in done.out
    counts = run("score", tmp_path / "ref", tmp_path / "hyp", "--json").json
    assert (counts["wer"], counts["words"], counts["missing"]) == (1.0, 4, ["b"])


@pytest.mark.parametrize(
    ("what", "more", "expected"),
    [
        ("graph", ["--accept", "ba su"], "highlighted path"),
        ("model", ["--phone", "SIL"], "phone SIL"),
        ("lexicon", [], "lexicon.txt"),
    ],
)
def test_draw(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path, what: str, more: list, expected: str
) -> None:
    out = tmp_path / "x.svg"
    source = ["--lexicon", tiny_speech.lexicon, "--silence", "SIL"] if what == "lexicon" else [
        getattr(tiny_speech, what)
    ]  # fmt: skip
    done = run("draw", *source, "--out", out, *more)
    assert done.code == 0, done.err
    assert expected in done.out
    assert xml.dom.minidom.parse(str(out)).documentElement.tagName == "svg"


def test_draw_pages_and_films(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    page, recording = tmp_path / "graph.html", tiny_speech.test / "sp0-02.wav"
    done = run("draw", tiny_speech.graph, "--out", page, "--accept", "bi", "--max-states", 9)
    assert done.code == 0, done.err
    assert "9 of 20 states" in done.out
    assert "renderGraph" in page.read_text(encoding="utf-8")
    made = run("draw", tiny_speech.graph, "--film", recording, "--out", tmp_path / "film.html", "--json")  # fmt: skip
    assert made.code == 0, made.err
    assert made.json["text"] == "bi su su"
    assert made.json["frames"] > 50
    assert "renderFilm" in (tmp_path / "film.html").read_text(encoding="utf-8")
    no_graph = run.fails("draw", "--lexicon", tiny_speech.lexicon, "--film", recording, code=2)
    assert "needs a decoding graph" in no_graph
    out = tmp_path / "m.svg"
    no_tree = run.fails("draw", tiny_speech.model, "--phone", "AA", "--state", 0, "--out", out)
    assert "no decision trees" in no_tree
    out = tmp_path / "m.html"
    assert "as .svg" in run.fails("draw", tiny_speech.model, "--out", out, code=2)
    out = tmp_path / "m.svg"
    assert ".html" in run.fails("draw", tiny_speech.graph, "--html", "--out", out, code=2)


def test_draw_parts_and_lattices(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    graph = tiny_speech.graph
    for around in ("bi", "3"):
        out = tmp_path / f"{around}.svg"
        done = run("draw", graph, "--around", around, "--radius", 1, "--out", out)
        assert done.code == 0, done.err
        assert "left out" in done.out
        assert xml.dom.minidom.parse(str(out)).documentElement.tagName == "svg"
    both = run.fails("draw", graph, "--around", "bi", "--accept", "bi", code=2)
    assert "not both" in both
    assert "no symbol table" in run.fails("draw", graph, "--around", "nobody")
    assert "no such state" in run.fails("draw", graph, "--around", 10_000)
    assert "Name a model" in run.fails("draw", graph, "--phone", "SIL", code=2)
    done = run("decode", graph, tiny_speech.test, "--lattice", "--out", tmp_path / "results")
    assert done.code == 0, done.err
    lattices = tmp_path / "results" / "lattices.npz"
    assert "6 lattices: which" in run.fails("draw", lattices, code=2)
    assert "no such utterance" in run.fails("draw", lattices, "--utterance", "x", code=2)
    page = tmp_path / "lattice.html"
    done = run("draw", lattices, "--utterance", "sp0-02", "--out", page)
    assert done.code == 0, done.err
    assert "sp0-02" in page.read_text(encoding="utf-8")


def test_draw_an_openfst_file_with_a_path(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    fst, labels = tiny_speech.graph / "graph.fst", tiny_speech.graph / "words.txt"
    done = run("draw", fst, "--osymbols", labels, "--accept", "bi", "--out", tmp_path / "a.dot",
               "--weights", "probabilities", "--max-states", 5, "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["states"] == 5
    assert ":bi/" in (tmp_path / "a.dot").read_text()


@pytest.mark.parametrize(
    ("name", "kind", "fact"),
    [
        ("model", "acoustic model", ("rate", 8000)),
        ("graph", "decoding graph", ("carries_its_model", True)),
        ("train", "data directory", ("utterances", 24)),
        ("lexicon", "lexicon", ("words", 3)),
        ("train/sp0-00.wav", "recording", ("channels", 1)),
        ("graph/graph.fst", "FST", ("start", 0)),
        ("graph/words.txt", "symbol table", ("symbols", 4)),
    ],
)
def test_info(
    run: CommandLine, tiny_speech: TinySpeech, name: str, kind: str, fact: tuple[str, object]
) -> None:
    path = tiny_speech.lexicon if name == "lexicon" else tiny_speech.root / name
    facts = run("info", path, "--json").json
    assert facts["kind"] == kind
    assert facts[fact[0]] == fact[1]
    assert kind in run("info", path).out


def test_info_of_texts(run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text(f"id\taudio\ttext\na\t{tiny_speech.test}/sp0-00.wav\tba\n")
    (tmp_path / "lm.arpa").write_text("\\data\\\nngram 1=3\nngram 2=4\n\n\\1-grams:\n")
    assert run("info", tmp_path / "m.tsv", "--json").json["running_words"] == 1
    assert run("info", tmp_path / "lm.arpa", "--json").json["ngrams"] == [3, 4]


def test_info_lists_what_is_wrong_with_a_corpus(run: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF nothing")
    (tmp_path / "wav.scp").write_text("a bad.wav\nb gone.wav\n")
    facts = run("info", tmp_path, "--json").json
    assert len(facts["problems"]) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_line_of_the_overview(run: CommandLine, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert f"wfst-hmm {command}" in done.out
    line = COMMANDS[command][1]
    is_group = "Commands:" in done.out
    assert is_group or line in " ".join(done.out.split())
    assert line in " ".join(run("--help").out.split())


def test_a_repeated_training_is_the_same_to_the_bit(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    for name, threads in (("a", 1), ("b", 2)):
        run("train", tiny_speech.train, tmp_path / name, "--lexicon", tiny_speech.lexicon,
            "--passes", 3, "--gaussians", 30, "--threads", threads)  # fmt: skip
    first, second = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert first["mixtures.npz"] == second["mixtures.npz"]
