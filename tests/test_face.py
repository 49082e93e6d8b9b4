"""What people write in Python: texts and single paths for lists, copies, L and G, pynini."""

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pynini
import pytest
import soundfile
from hypothesis import given, settings
from strategies import machines, relation, same_relation
from tiny_speech import TinySpeech

import wfst_hmm as wh
from wfst_hmm.apps.align import write_alignments
from wfst_hmm.apps.recognize import corpus_of_files, corpus_of_inputs
from wfst_hmm.apps.results import write_results
from wfst_hmm.draw.display import draw
from wfst_hmm.errors import FormatError, GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.fst.text import write_fst_text
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.graph.ngram_estimation import estimate_ngrams
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import fixed_length, phrase_list, word_list, word_loop
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.gmm_hmm import GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm
from wfst_hmm.models.scores import Scores


@pytest.fixture(scope="module")
def recognizer(tiny_speech: TinySpeech) -> wh.Recognizer:
    return wh.Recognizer.load(tiny_speech.graph)


# One path, or one text, where several are taken


def test_one_path_is_a_list_of_one(
    tiny_speech: TinySpeech, recognizer: wh.Recognizer, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tiny_speech.test)
    wav = sorted(Path().glob("*.wav"))[0]
    manifest = tmp_path / "test.tsv"
    manifest.write_text(f"id\taudio\nfirst\t{wav.absolute()}\n")
    expected = [o.decoded.text for o in wh.decode_corpus(recognizer, [wav])]
    assert len(expected) == 1
    for same in (str(wav), wav, str(manifest), manifest, [manifest], (p for p in [str(wav)])):
        found = list(wh.decode_corpus(recognizer, same))
        assert [o.decoded.text for o in found] == expected, same
    whole = list(wh.decode_corpus(recognizer, "."))  # a data directory
    assert len(whole) == len(list(Path().glob("*.wav")))
    for function in (corpus_of_files, corpus_of_inputs):
        assert [u.audio for u in function(str(wav))] == [u.audio for u in function([wav])]
    for writer in (write_results, write_alignments):
        writer(whole[:1], tmp_path / writer.__name__, "ctm")
        assert (tmp_path / writer.__name__ / "words.ctm").is_file()


LEXICON = Lexicon(
    [Entry("one", ("W", "AH", "N")), Entry("two", ("T", "UW")), Entry("too", ("T", "UW"))]
)


def test_one_text_is_words_and_never_letters() -> None:
    words = ["one", "two"]
    for function in (word_loop, word_list, lambda w: fixed_length(w, 2)):
        assert function("one two").fst.to_bytes() == function(words).fst.to_bytes()
    assert (
        phrase_list([("one two", 1.0)]).fst.to_bytes() == phrase_list([(words, 1.0)]).fst.to_bytes()
    )
    assert relation(word_loop("one two").without("two").fst, 1).keys() == {((), ()), ((1,), (1,))}
    assert [e.word for e in LEXICON.restricted("one two")] == words
    assert [m.word for m in LEXICON.missing("one three")] == ["three"]
    model = estimate_ngrams("one two\ntwo one one", 2, method="witten-bell")
    same = estimate_ngrams([["one", "two"], "two one one"], 2, method="witten-bell")
    assert model.counts == same.counts
    assert model.sentence_log_prob("one two") == model.sentence_log_prob(words)
    assert model.log_prob("two", "one") == model.log_prob("two", ["one"])
    assert model.perplexity(["one two"]) == model.perplexity([words]) == model.perplexity("one two")
    assert list(model.restricted_to("one two").words) == list(model.restricted_to(words).words)
    assert Fst.from_string("one two").to_bytes() == Fst.from_string(words).to_bytes()


# Copies


def arrays_in(value: Any, seen: set[int] | None = None) -> Iterator[np.ndarray]:
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays_in(item, seen)
    elif isinstance(value, dict):
        for item in value.values():
            yield from arrays_in(item, seen)
    elif hasattr(value, "__dict__") and type(value).__module__.startswith("wfst_hmm"):
        yield from arrays_in(vars(value), seen)


COPIES = {
    "pickle": lambda v: pickle.loads(pickle.dumps(v)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_graphs_models_and_recognizers_can_be_copied(
    copied: Any, recognizer: wh.Recognizer, tiny_speech: TinySpeech
) -> None:
    wav = str(sorted(tiny_speech.test.glob("*.wav"))[0])
    (expected,) = wh.decode_corpus(recognizer, wav, answers=wh.AnswerOptions(keep_lattice=True))
    other = copied(recognizer)
    assert list(other.graph.words) == list(recognizer.graph.words)
    assert other.model.hash == recognizer.model.hash
    (found,) = wh.decode_corpus(other, wav, answers=wh.AnswerOptions(keep_lattice=True))
    assert found.decoded.to_dict() == expected.decoded.to_dict()
    graph = copied(recognizer.graph)
    assert graph.fst.to_bytes() == recognizer.graph.fst.to_bytes()
    for value in (expected.decoded, expected.lattice, graph.fst, recognizer.model):
        before = [a.flags.writeable for a in arrays_in(value)]
        after = [a.flags.writeable for a in arrays_in(copied(value))]
        assert after == before
        assert not any(before[:2])


@pytest.mark.parametrize(
    "copied", [COPIES["pickle"], COPIES["deepcopy"]], ids=["pickle", "deepcopy"]
)
def test_a_stream_can_be_copied_and_goes_on(
    copied: Any, recognizer: wh.Recognizer, tiny_speech: TinySpeech
) -> None:
    samples, _ = soundfile.read(sorted(tiny_speech.test.glob("*.wav"))[3], dtype="float32")
    stream = wh.Stream(recognizer)
    half = len(samples) // 2
    stream.accept(samples[:half])
    other = copied(stream)
    ends = []
    for each in (stream, other):
        events = list(each.accept(samples[half:])) + list(each.close())
        ends.append([e.to_dict() for e in events])
    assert ends[0] == ends[1]
    assert ends[0]


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_values_stay_read_only(copied: Any) -> None:
    rng = np.random.default_rng(0)
    gmm = GaussianMixture(2, 2)
    gmm.train(rng.normal(size=(20, 2)), 1)
    hmm = GmmHmm(2)
    hmm.fit([rng.normal(size=(20, 2))], 1)
    discrete = DiscreteHmm([1.0], [[1.0]], [[0.5, 0.5]])
    for value, names in (
        (Scores(np.zeros((2, 2))), ("array",)), (Chain.ergodic(2), ("initial", "transitions")),
        (gmm.bank, ("weights", "means", "covars")), (hmm.bank, ("means",)),
        (discrete, ("b", "a")), (word_loop("a b").fst, ("states", "arcs")),
        (estimate_ngrams(["a b"], 2, method="witten-bell").tables[0], ("log_prob", "word")),
    ):  # fmt: skip
        for name in names:
            array = getattr(copied(value), name)
            np.testing.assert_array_equal(array, getattr(value, name))
            with pytest.raises(ValueError, match="read-only"):
                array.flat[0] = array.flat[0]


# L and G without an acoustic model


def test_l_and_g_are_composed_by_name() -> None:
    made = lexicon_fst(LEXICON)
    assert list(made.phones) == ["<eps>", "W", "AH", "N", "T", "UW", "#0", "#1", "#2", "#3"]
    with_silence = lexicon_fst(LEXICON, options=LexiconOptions(silence_phone="SIL"))
    assert list(with_silence.phones)[1] == "SIL"
    grammar = phrase_list([("too one", 2.0), ("two", 1.0), ("seven", 0.0)])  # its own table
    plain = lexicon_fst(LEXICON, disambiguate=False).fst
    both = ops.compose(plain, grammar.fst)
    assert both.isymbols == plain.isymbols
    assert both.osymbols == grammar.fst.osymbols
    found = {(" ".join(both.isymbols.strings(i)), " ".join(both.osymbols.strings(o))): cost
             for (i, o), cost in relation(both).items()}  # fmt: skip
    assert found == {("T UW", "two"): 1.0, ("T UW W AH N", "too one"): 2.0}
    again = ops.compose(plain, grammar.fst.with_symbols(grammar.fst.isymbols.extended("x"), None))
    assert same_relation(relation(again), relation(both))
    with pytest.raises(GraphError, match=r"cannot compose.*unlike symbol tables"):
        ops.compose(plain, word_loop("un deux").fst)


@pytest.mark.parametrize("disambiguate", [True, False])
def test_composition_knows_the_backoff_symbol(disambiguate: bool) -> None:
    """The cheapest way of a sentence through L and G costs what it costs in G alone."""
    g = ngram_to_fst(estimate_ngrams(["one two", "two too one"], 2, method="witten-bell"))
    fst = lexicon_fst(LEXICON, disambiguate=disambiguate).fst
    both = ops.compose(fst, g)
    phones = {e.word: e.phones for e in LEXICON}
    for words in (["one", "two"], ["too", "two", "one"], ["two"], []):
        sentence = ops.project(ops.compose(_silent_backoff(g), Fst.from_string(words)), "output")
        alone = ops.best_path(sentence)
        spoken = [p for word in words for p in phones[word]]
        line = Fst.from_string(spoken)
        marks = ["#0", "#1", "#2", "#3"] if disambiguate else []
        free = _with_loops(line, marks)
        path = ops.best_path(ops.compose(ops.compose(free, both), Fst.from_string(words)))
        assert alone is not None
        assert path is not None
        assert path.cost == pytest.approx(alone.cost, abs=1e-4)


def _silent_backoff(g: Fst) -> Fst:
    return ops.relabel(g, inputs={g.isymbols.id("#0"): 0})


def _with_loops(line: Fst, marks: list[str]) -> Fst:
    """Let the marks be read anywhere for nothing."""
    table = line.isymbols.extended(marks)
    n, m = line.n_states, len(marks)
    states = np.repeat(np.arange(n), m)
    labels = np.tile([table.id(mark) for mark in marks] or [0], n)[: n * m]
    columns = [np.concatenate([old, new]) for old, new in (
        (line.sources(), states), (line.arcs["ilabel"], labels), (line.arcs["olabel"], labels),
        (line.arcs["weight"], np.zeros(n * m)), (line.arcs["nextstate"], states))]  # fmt: skip
    return Fst.from_arcs(0, *columns, line.states["final"], table, table)


# Machines from texts, files and pynini


def test_machines_from_texts_and_files(tmp_path: Path) -> None:
    fst = Fst.from_text("0 1 a x 0.5\n1 2 b <eps>\n2 0.25")
    ((inputs, outputs),) = relation(fst)
    assert (fst.isymbols.strings(inputs), fst.osymbols.strings(outputs)) == (["a", "b"], ["x"])
    assert relation(fst)[inputs, outputs] == 0.75
    with pytest.raises(FormatError, match="the text:2"):
        Fst.from_text("0 1 a x\n0 one a x\n1")
    path = tmp_path / "m.fst.txt"
    write_fst_text(fst, path)
    back = Fst.read(path)
    assert [len(list(relation(m))) for m in (back, fst)] == [1, 1]
    fst.write(tmp_path / "m.fst")
    fst.isymbols.write(tmp_path / "isymbols.txt")
    fst.osymbols.write(tmp_path / "osymbols.txt")
    binary = Fst.read(str(tmp_path / "m.fst"))
    names = [(m.isymbols.strings(i), m.osymbols.strings(o)) for m in (fst, back, binary)
             for i, o in relation(m)]  # fmt: skip
    assert names == [(["a", "b"], ["x"])] * 3
    line = Fst.from_string("a b", "x", cost=2.0)
    ((inputs, outputs),) = relation(line)
    assert (line.isymbols.strings(inputs), line.osymbols.strings(outputs)) == (["a", "b"], ["x"])
    assert relation(line)[inputs, outputs] == 2.0


@given(machines())
@settings(deadline=None, max_examples=50)
def test_machines_of_pynini(fst: Fst) -> None:
    theirs = pynini.Fst.from_pywrapfst(ops.to_openfst(fst, mutable=True))
    table = pynini.SymbolTable()
    table.add_symbol("<eps>", 0)
    for number, symbol in enumerate("xyz", 1):
        table.add_symbol(symbol, number)
    bare = Fst.from_pynini(theirs)
    assert (bare.isymbols, bare.osymbols) == (None, None)
    assert same_relation(relation(bare, 4), relation(fst, 4))
    theirs.set_input_symbols(table)
    named = Fst.from_pynini(theirs)
    assert named.isymbols == Symbols("xyz")
    assert named.osymbols is None
    assert same_relation(relation(named, 4), relation(fst, 4))


def test_pynini_and_grammars_are_drawn(tmp_path: Path) -> None:
    theirs = pynini.accep("ab", weight=1.5)
    drawn = draw(theirs)
    assert repr(drawn) == "Drawing(3 nodes, 2 edges)"
    with pytest.raises(GraphError, match="not a machine of pynini or pywrapfst; got str"):
        Fst.from_pynini("ab")
    grammar = tmp_path / "g.jsgf"
    grammar.write_text("#JSGF V1.0;\ngrammar g;\npublic <g> = yes | no;\n")
    for value in (read_grammar(grammar), word_loop("a b"), lexicon_fst(LEXICON)):
        assert (
            '<svg style="max-width: 100%; height: auto"' in value._repr_svg_()
        )  # not cut at the right


def test_values_show_themselves_in_a_line(recognizer: wh.Recognizer) -> None:
    silence = recognizer.graph.info["options"]["silence_phone"]
    assert silence == recognizer.model.silence_phones[0]  # the one that is used, not "none"
    rng = np.random.default_rng(0)
    gmm, hmm = GaussianMixture(2, 3), GmmHmm(2)
    assert repr(gmm) == "GaussianMixture(M=2, D=3, diag, not trained)"
    hmm.fit([rng.normal(size=(20, 2))], 1)
    assert repr(hmm) == "GmmHmm(N=2, L=1, diag, D=2)"
    assert repr(Chain.ergodic(3)) == "Chain(initial=float64 (3,), transitions=float64 (3, 3))"
    for value in (recognizer, recognizer.model, recognizer.graph, recognizer.model.mixtures,
                  gmm, hmm.bank, Scores(np.zeros((2000, 30))), estimate_ngrams("a b\na", 1)):  # fmt: skip
        assert len(repr(value)) < 600
        assert "\n" not in repr(value)
