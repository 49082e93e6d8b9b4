"""Kaldi's lexicons with silence: what is kept, and what is refused."""

from pathlib import Path

import pytest
from graph_models import small_model
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import FormatError, WfstHmmError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon
from wfst_hmm.graph.lexicon_silence import (
    SilenceProbabilities,
    read_silence_lexicon,
    read_silence_probabilities,
)
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.phrases import word_loop

GOOD = "a 1 0.25 1.10 0.93 A B\na 0.5 0.01 0.8 1.2 C\nb(2)\t1\t0.99 1 1 B\n"


def kept(lexicon: Lexicon) -> list[tuple[object, ...]]:
    return [(e.word, e.phones, e.probability, e.silence) for e in lexicon]


def test_the_probability_of_silence_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "lexiconp_silprob.txt"
    path.write_text(GOOD)
    found = read_silence_lexicon(path)
    assert kept(found) == [("a", ("A", "B"), 1.0, 0.25), ("a", ("C",), 0.5, 0.01),
                           ("b(2)", ("B",), 1.0, 0.99)]  # fmt: skip
    assert found.entries[1].where == f"{path}:2"
    assert kept(lexicon_from_spec(path)) == kept(found)
    more = tmp_path / "more.txt"
    more.write_text("c C\n")
    assert kept(lexicon_from_spec(f"{path}+{more}")) == [*kept(found), ("c", ("C",), 1.0, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no pronunciations in this lexicon"),
        (GOOD + "c 1 0.5 1 1\n", r":4: too few fields for a lexicon with silence; got 5"),
        (GOOD + "c 1 A 1 1 C\n", r":4: not the probability of silence; got 'A'"),
        (GOOD + "c 2 0.5 1 1 C\n", r":4: not the probability of a pronunciation; got '2'"),
        (GOOD + "c 1 1.0 1 1 C\n", r":4: silence after a word cannot be certain"),
        (GOOD + "c 1 0.5 1 inf C\n", r":4: not a correction factor; got 'inf', expected above 0"),
        (GOOD + "c 1 nan 1 1 C\n", r":4: not the probability of silence"),
    ],
)
def test_bad_lexicons(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_silence_lexicon(tmp_path / "l.txt")


def test_probabilities_of_sentences(tmp_path: Path) -> None:
    path = tmp_path / "silprob.txt"
    path.write_text("<s> 0.99\n</s>_s 2.50\n</s>_n 0.01\noverall 0.20\n")
    assert read_silence_probabilities(path) == SilenceProbabilities(0.99, 0.2, 2.5, 0.01)
    path.write_text("overall 0.20\n\n<s> 0.5\n")
    assert read_silence_probabilities(path) == SilenceProbabilities(0.5, 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<s> 0.5\n", "it does not say overall"),
        ("<s> 0.5\n<s> 0.5\n", r":2: <s> comes twice"),
        ("<s> 0.5 1\n", r":1: not a probability of silence"),
        ("<q> 0.5\n", r":1: not a probability of silence; got '<q> 0.5', expected one of <s> "),
        ("<s> 1.5\n", r":1: not <s>; got '1.5', expected above 0, at most 1"),
    ],
)
def test_bad_probabilities_of_sentences(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "silprob.txt").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_silence_probabilities(tmp_path / "silprob.txt")


entries = st.builds(
    Entry,
    st.sampled_from(["a", "b", "silence"]),
    st.lists(st.sampled_from(["A", "B", "silence"]), min_size=1, max_size=3).map(tuple),
    st.floats(0.001, 1.0),
    silence=st.none() | st.floats(0.0, 1.0, exclude_max=True),
)


@given(st.lists(entries, min_size=1, max_size=5).map(Lexicon))
@settings(deadline=None, max_examples=60)
def test_written_lexicons_keep_silence(
    tmp_path_factory: pytest.TempPathFactory, lexicon: Lexicon
) -> None:
    path = tmp_path_factory.getbasetemp() / "with_silence.txt"
    lexicon.write(path)
    assert kept(read_lexicon(path, probabilities=True)) == kept(lexicon)


def test_graphs_keep_silence(tmp_path: Path) -> None:
    lexicon = Lexicon([Entry("a", ("A",), silence=0.125), Entry("b", ("B",))])
    build_graph(small_model(), lexicon, word_loop(["a", "b"])).save(tmp_path / "g")
    assert kept(Graph.load(tmp_path / "g").lexicon) == kept(lexicon)


def test_other_comments_are_comments(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_text("a A # silence\nb B # silence here\nc C # silence 0.5 or so\nd D # 0.5\n")
    assert [entry.silence for entry in read_lexicon(path)] == [None] * 4
    path.write_text("a A # silence 1.5\n")
    with pytest.raises(WfstHmmError, match=r"l\.txt:1: probability of silence after 'a' out of"):
        read_lexicon(path)
