"""decode with boosted phrases, with another language model, and with rejection."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import CommandLine
from tiny_speech import RATE, TinySpeech, say

from wfst_hmm.apps.building import build
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.word_costs import word_costs
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.kinds import read_as
from wfst_hmm.search.rejection import Filler
from wfst_hmm.search.result import Decoded

SMALL = """\\data\\
ngram 1=5

\\1-grams:
-99 <s>
-0.6 </s>
-0.4 ba
-0.6 bi
-0.8 su

\\end\\
"""
LARGE = """\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-99 <s> -0.3
-0.7 </s>
-0.5 ba -0.2
-0.7 bi -0.4
-0.6 su -0.1

\\2-grams:
-0.3 <s> bi
-0.2 ba su
-0.4 bi bi
-0.5 su </s>

\\end\\
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    small, large = folder / "small.arpa", folder / "large.arpa"
    small.write_text(SMALL)
    large.write_text(LARGE)
    return small, large


def test_an_empty_list_changes_no_byte(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    empty = tmp_path / "phrases.txt"
    empty.write_text("# nothing\n")
    arguments = ("decode", tiny_speech.graph, tiny_speech.test, "--json")
    assert run(*arguments, "--bias", empty).out == run(*arguments).out


def test_a_phrase_is_boosted_and_others_are_reported(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("su su\t500\nsu xyz\n")
    audio = tiny_speech.test / "sp1-01.wav"
    done = run("decode", tiny_speech.graph, audio, "--bias", phrases)
    assert done.code == 0
    assert done.err == (
        "wfst-hmm: 'su xyz' cannot be boosted: the graph lacks 'xyz'\n"
    )  # fmt: skip
    assert "su su" in done.out
    assert "su su" not in run("decode", tiny_speech.graph, audio).out


def test_a_model_in_place_of_another_is_a_graph_of_its_own(
    tiny_speech: TinySpeech, models: tuple[Path, Path], tmp_path: Path
) -> None:
    """The small model's graph with the difference to the large one, and the large one's graph."""
    graphs = [tmp_path / path.stem for path in models]
    for path, graph in zip(models, graphs, strict=True):
        build(tiny_speech.model, tiny_speech.lexicon, str(path), graph)
    small, large = (Recognizer.load(graph) for graph in graphs)
    language_models = [read_as(path, "language model") for path in models]
    costs = word_costs(
        small.searched.words, language_model=language_models[1], graph_model=language_models[0]
    )
    corpus = read_corpus(tiny_speech.test)
    rescored = list(decode_corpus(small, corpus, costs=costs))
    direct = list(decode_corpus(large, corpus))
    assert len(rescored) == len(direct) == 6
    for ours, theirs in zip(rescored, direct, strict=True):
        assert ours.decoded is not None
        assert theirs.decoded is not None
        assert ours.decoded.text == theirs.decoded.text
        assert ours.decoded.total_cost == pytest.approx(theirs.decoded.total_cost, abs=1e-3)


def test_language_models_on_the_command_line(
    run: CommandLine, tiny_speech: TinySpeech, models: tuple[Path, Path], tmp_path: Path
) -> None:
    small, large = models
    run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
        "--grammar", small, "--out", tmp_path / "graph")  # fmt: skip
    decode = ("decode", tmp_path / "graph", tiny_speech.test, "--json")
    plain = run(*decode, "--no-confidence").json
    swapped = run(*decode, "--rescore-lm", small, "--graph-lm", small).json
    assert [u["text"] for u in swapped] == [u["text"] for u in plain]
    for mine, other in zip(swapped, plain, strict=True):
        assert mine["total_cost"] == pytest.approx(other["total_cost"], abs=1e-3)
    scaled = run(*decode, "--rescore-lm", large, "--graph-lm", small, "--lm-scale", 2).json
    assert [u["text"] for u in scaled] == [u["text"] for u in plain]
    assert scaled[0]["total_cost"] != pytest.approx(plain[0]["total_cost"], abs=1e-3)


def test_answers_with_another_language_model_are_those_of_its_graph(
    run: CommandLine, tiny_speech: TinySpeech, models: tuple[Path, Path], tmp_path: Path
) -> None:
    small, large = models
    for name, model in (("small", small), ("large", large)):
        run("graph", "--model", tiny_speech.model, "--lexicon", tiny_speech.lexicon,
            "--grammar", model, "--out", tmp_path / name)  # fmt: skip
    wanted = (tiny_speech.test, "--json", "--nbest", 3, "--certify", "--reject")
    direct = run("decode", tmp_path / "large", *wanted).json
    swapped = run("decode", tmp_path / "small", *wanted, "--rescore-lm", large, "--graph-lm",
                  small).json  # fmt: skip
    for mine, other in zip(swapped, direct, strict=True):
        assert mine["text"] == other["text"]
        assert mine["total_cost"] == pytest.approx(other["total_cost"], abs=1e-3)
        assert [a["text"] for a in mine["alternatives"]] == [
            a["text"] for a in other["alternatives"]
        ]
        for ours, theirs in zip(mine["alternatives"], other["alternatives"], strict=True):
            assert ours["total_cost"] == pytest.approx(theirs["total_cost"], abs=1e-3)
        assert [w["confidence"] for w in mine["words"]] == pytest.approx(
            [w["confidence"] for w in other["words"]], abs=0.01
        )
        assert any("certificate: optimal" in note for note in mine["notes"])
        assert mine["rejected"] == other["rejected"]


def test_bad_options(
    run: CommandLine, tiny_speech: TinySpeech, models: tuple[Path, Path], tmp_path: Path
) -> None:
    decode = ("decode", tiny_speech.graph, tiny_speech.test)
    small = models[0]
    assert "--rescore-lm" in run.fails(*decode, "--graph-lm", small, code=2)
    assert "none.arpa" in run.fails(*decode, "--rescore-lm", tmp_path / "none.arpa")
    assert "scale" in run.fails(*decode, "--rescore-lm", small, "--lm-scale", -1)
    assert "no number" in run.fails(*decode, "--reject-weight", "nan")
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("ba\n")
    for option in ("--cross-check", "--search=exact"):
        assert "beam search alone" in run.fails(*decode, "--bias", phrases, option)
    assert "finite" in run.fails(*decode, "--bias", phrases, "--bias-boost", "inf")


def test_words_that_a_model_lacks_are_told(models: tuple[Path, Path]) -> None:
    from wfst_hmm.fst.symbols import Symbols

    told: list[str] = []
    words = Symbols(["ba", *(f"new{i}" for i in range(7))])
    costs = word_costs(words, language_model=read_as(models[0], "language model"), warn=told.append)
    assert costs is not None
    assert math.isinf(costs.cost([2]))
    assert told == ["the language model lacks 7 of the graph's words, they cannot be recognized: "
                    "new0 new1 new2 new3 new4 and 2 more"]  # fmt: skip
    with pytest.raises(UsageError, match="taken off"):
        word_costs(words, graph_model=read_as(models[0], "language model"))


def test_what_the_grammar_does_not_know_is_rejected(
    run: CommandLine, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    lexicon = tmp_path / "two.txt"
    lexicon.write_text("ba B AA\nbi B IY\n")
    grammar = tmp_path / "words.txt"
    grammar.write_text("ba\nbi\n")
    graph = tmp_path / "graph"
    build(tiny_speech.model, lexicon, str(grammar), graph)
    rng = np.random.default_rng(4)
    for word in ("ba", "bi", "su"):
        soundfile.write(tmp_path / f"{word}.wav", say([word], rng), RATE)
    audio = [tmp_path / f"{word}.wav" for word in ("ba", "su", "bi")]
    done = run("decode", graph, *audio, "--reject")
    assert done.out == "ba ba\nsu <rejected>\nbi bi\n"
    assert "a loop of phones is better by" in done.err
    found = run("decode", graph, *audio, "--reject", "--json").json
    assert [u["rejected"] for u in found] == [False, True, False]
    assert found[1]["filler_margin"] > 3 > found[0]["filler_margin"]
    lenient = run("decode", graph, *audio, "--reject-weight", 1e9, "--json").json
    assert [u["rejected"] for u in lenient] == [False] * 3
    assert "rejected" not in run("decode", graph, *audio, "--json").json[0]


def test_a_margin_is_one_number_per_frame(tiny_speech: TinySpeech) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    filler = Filler(phone_loop(recognizer.model), 0.0)
    corpus = read_corpus(tiny_speech.test)
    for outcome in decode_corpus(recognizer, corpus, filler=filler):
        assert isinstance(outcome.result, Decoded)
        margin = outcome.result.filler_margin
        assert margin is not None
        assert outcome.result.rejected == (margin > 0)
    with pytest.raises(UsageError, match="no number"):
        dataclasses.replace(filler, weight=math.nan)
