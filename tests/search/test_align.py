from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_speech import TinySpeech

from wfst_hmm.apps.recognize import stream_features
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec, read_grammar
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.search.align import split_into_words, word_segments
from wfst_hmm.search.decode import decode
from wfst_hmm.search.result import Decoded, Phone

LEXICON = {"a": [["A"], ["A", "B"]], "b": [["B"], ["B", "B"]], "pause": [["SIL"]]}


def prons(word: str) -> list[list[str]]:
    return LEXICON.get(word, [])


@given(st.lists(st.tuples(st.sampled_from(sorted(LEXICON)), st.integers(0, 1), st.integers(0, 2))))
def test_every_spoken_sequence_is_split(spoken: list[tuple[str, int, int]]) -> None:
    phones: list[str] = []
    for word, choice, n_silences in spoken:
        phones += ["SIL"] * n_silences + LEXICON[word][choice % len(LEXICON[word])]
    words = [word for word, _, _ in spoken]
    split = split_into_words(phones, words, prons, {"SIL"})
    assert split is not None
    end = 0
    for word, (first, stop) in zip(words, split, strict=True):
        assert all(phone == "SIL" for phone in phones[end:first])
        assert phones[first:stop] in prons(word)
        end = stop
    assert all(phone == "SIL" for phone in phones[end:])


def test_what_cannot_be_said() -> None:
    assert split_into_words(["A"], ["b"], prons, {"SIL"}) is None
    assert split_into_words(["A", "A"], ["a"], prons, {"SIL"}) is None
    assert split_into_words(["A"], ["unknown"], prons, {"SIL"}) is None
    assert split_into_words(["SIL"], [], prons, {"SIL"}) == []


UNPRINTED = [["X"], ["X", "A"]]


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2), st.booleans()), min_size=1)
)
def test_what_is_not_printed_belongs_to_the_word_before_it(
    spoken: list[tuple[str, int, bool]],
) -> None:
    phones: list[str] = []
    expected = []
    for word, n_unprinted, pause in spoken:
        first = len(phones)
        phones += [word.upper(), *["X"] * n_unprinted]
        expected.append((first, len(phones)))
        phones += ["SIL", "X"] if pause else []  # behind a pause it belongs to nobody
    words = [word for word, *_ in spoken]
    split = split_into_words(phones, words, prons, {"SIL"}, UNPRINTED)
    assert split == expected
    assert split_into_words(["X", "A"], ["b"], prons, {"SIL"}, UNPRINTED) is None
    assert split_into_words(["X", "A", "B"], ["b"], prons, {"SIL"}, UNPRINTED) == [(2, 3)]
    assert split_into_words(["X", "A"], ["a"], prons, {"SIL"}) is None


def test_rough_times_end_before_silence() -> None:
    phones = [
        Phone(text, 0.1 * i, 0.1 * (i + 1))
        for i, text in enumerate(["SIL", "A", "SIL", "B", "SIL"])
    ]
    borders = np.arange(0, 60, 10)
    words, exact = word_segments(["x", "y"], [0, 30], phones, borders, prons, {"SIL"},
                                 np.arange(51) * 0.01)  # fmt: skip
    assert not exact
    assert [(w.text, round(w.start, 2), round(w.end, 2)) for w in words] == [
        ("x", 0.1, 0.2), ("y", 0.3, 0.4),
    ]  # fmt: skip


def test_words_last_as_long_as_what_was_spoken_for_them(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    model, lexicon = AcousticModel.load(tiny_speech.model), read_lexicon(tiny_speech.lexicon)
    (tmp_path / "numbers.txt").write_text(  # "bi su" is printed as 21, "su" alone as 1
        "0 0 ba ba\n0 0 su 1\n0 1 bi 21\n1 0 su <eps>\n0\n"
    )
    plain = build_graph(model, lexicon, grammar_from_spec("loop", lexicon))
    printed = build_graph(model, lexicon, read_grammar(tmp_path / "numbers.txt"))
    assert {entry.word for entry in printed.lexicon} == {"ba", "bi", "su", "21", "1", "<eps>"}
    printed.save(tmp_path / "graph")
    for graph in (printed, Graph.load(tmp_path / "graph")):
        for corpus in (tiny_speech.test, tiny_speech.train):
            for utterance, features in stream_features(read_corpus(corpus), model):
                spoken = " ".join(utterance.words or ())
                if spoken not in ("su", "ba", "bi su su") or isinstance(features, WfstHmmError):
                    continue
                scores = model.score(features)
                said, shown = decode(plain, scores), decode(graph, scores)
                assert isinstance(said, Decoded)
                assert isinstance(shown, Decoded)
                assert not any("rough" in note for note in shown.notes)
                if said.text != spoken:
                    continue
                times = [(word.start, word.end) for word in said.words]
                if spoken == "bi su su":  # up to a pause, the first "su" belongs to 21
                    together = times[0][1] == times[1][0]
                    times = [(times[0][0], times[together][1]), times[2]]
                assert [(w.start, w.end) for w in shown.words] == times
                assert shown.text == {"su": "1", "ba": "ba", "bi su su": "21 1"}[spoken]
