"""Keyword lists and Vosk's word lists: words among any others."""

import json
import math
import wave
from pathlib import Path

import pytest

from wfst_hmm.apps.recognize import corpus_of_files, decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import FormatError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec, read_grammar
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.spotting import GARBAGE, UNKNOWN, Keyword, read_keywords, spotting_grammar


def test_keyword_lists_with_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.kws"
    path.write_text("# words\nanything /1e-10/\nsomething\nbad line / here\njust bad line /\n\n"
                    "oh mighty computer /1e-40/\nno /0/\n")  # fmt: skip
    found, notes = read_keywords(path)
    assert found == (Keyword(("anything",), 1e-10), Keyword(("something",), 1.0),
                     Keyword(("oh", "mighty", "computer"), 1e-40))  # fmt: skip
    assert [note.split(":")[1] for note in notes] == ["4", "5", "8"]
    grammar = read_grammar(path)
    assert grammar.words == ("anything", "something", "oh", "mighty", "computer")
    assert grammar.notes == notes
    path.write_text("x /\n")
    with pytest.raises(FormatError, match="no keyword"):
        read_grammar(path)


def test_what_a_threshold_costs() -> None:
    keywords = [Keyword(("go",), 1e-5), Keyword(("go", "on"), 1e-3), Keyword(("stop",))]
    fst = spotting_grammar(keywords).at_scale(0.5).fst
    costs: dict[tuple[str, int], float] = {}
    for state in range(fst.n_states):
        for arc in fst.arcs_of(state):
            word = fst.isymbols[int(arc["ilabel"])]  # type: ignore[index]
            costs[word, int(arc["nextstate"])] = float(arc["weight"])
    assert costs[GARBAGE, 0] == pytest.approx(0.5 * math.log(10))
    assert costs["go", 0] == pytest.approx(0.5 * math.log(1e-5))
    assert costs["on", 0] == pytest.approx(0.5 * math.log(1e-3))
    assert costs["stop", 0] == 0.0
    assert fst.states["final"].tolist() == [0.0, math.inf]


def test_vosks_word_lists(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text(json.dumps(["one two", "three", "[unk]"]))
    lexicon = Lexicon([Entry(w, (w[0],)) for w in ("one", "two", "three")])
    grammar = grammar_from_spec(str(path), lexicon)
    assert grammar.words == ("one", "two", "three")
    assert grammar.garbage == (UNKNOWN, GARBAGE)
    assert {UNKNOWN, "one"} <= set(grammar.osymbols)
    path.write_text(json.dumps(["one two", "three"]))
    assert read_grammar(path).garbage == ()
    for text, message in (
        ('["one",', "not JSON"), ('{"one"', "a JSON file, not a grammar"), ('["", " "]', "no phrase"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(FormatError, match=message):
            read_grammar(path)


@pytest.fixture(scope="module")
def recordings(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    path = tmp_path_factory.mktemp("spotting") / "goforward.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((shared / "sphinx" / "goforward.raw").read_bytes())
    return [path, shared / "sphinx" / "cards" / "001.wav"]


def test_words_are_heard_among_others(recordings: list[Path], tmp_path: Path) -> None:
    """Go forward ten meters, and ten of clubs, with the US English model."""
    pytest.importorskip("pocketsphinx")
    from wfst_hmm.formats.sphinx import wheel
    from wfst_hmm.formats.sphinx.model import read_sphinx_model
    from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
    from wfst_hmm.search.options import SearchOptions

    model = read_sphinx_model(wheel.en_us().acoustic).context_model()
    lexicon = lexicon_from_spec("pocketsphinx")
    options = SearchOptions(acoustic_scale=0.1, beam=17.0, max_active=5000)
    heard = {}
    for text in ("forward /1e-10/\nmeters /1e-5/\n", '["ten of clubs", "go forward", "[unk]"]'):
        (tmp_path / "a").write_text(text)
        graph = build_graph(model, lexicon, read_grammar(tmp_path / "a"))
        heard[text[0]] = [
            o.decoded.text if o.decoded else None
            for o in decode_corpus(Recognizer(graph, model), corpus_of_files(recordings), options)
        ]
    assert heard["f"] == ["forward meters", ""]
    assert heard["["] == ["go forward ten [unk]", "ten of clubs"]
