import dataclasses

import numpy as np
import pytest
from graph_models import SmallModel, lexicons, models, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import relation, same_relation

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.hmm_fst import hmm_fst
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, lexicon_fst
from wfst_hmm.graph.transcript import TranscriptCompiler, transcript_graph
from wfst_hmm.graph.units import Units
from wfst_hmm.models.topology import Topology

LEXICON = Lexicon(
    [Entry("ab", ("A", "B")), Entry("c", ("C",)), Entry("c", ("A", "C"), 0.5), Entry("a", ("A",))]
)


def composed(model: SmallModel, lexicon: Lexicon, words: list[str], options: LexiconOptions) -> Fst:
    """H ∘ L ∘ (the words in a row), all by OpenFst."""
    l_fst = lexicon_fst(lexicon, model, options, disambiguate=False)
    ids = l_fst.words.ids(words)
    n = len(ids)
    line = Fst.from_arcs(
        0, range(n), ids, ids, [0.0] * n, range(1, n + 1), [np.inf] * n + [0.0],
        l_fst.words, l_fst.words,
    )  # fmt: skip
    labels = model.state_labels()
    units = Units.of_phones(model.topologies, labels)
    h = hmm_fst(units, labels.symbols, l_fst.phones)
    return ops.compose(h, ops.compose(l_fst.fst, line))


@given(models(), lexicons(pauses=True), st.data(), st.sampled_from([0.0, 0.5, 0.1]))
@settings(deadline=None, max_examples=50)
def test_equals_composition(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject, silence: float
) -> None:
    words = data.draw(st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=2))
    options = LexiconOptions(silence)
    made = TranscriptCompiler(model, lexicon, options)(words)
    made.fst.validate()
    assert not (made.fst.arcs["ilabel"] == 0).any()
    length = min(made.n_min_frames + 1, 7)
    quick = relation(made.fst, length)
    assert same_relation(quick, relation(composed(model, lexicon, words, options), length))
    if length >= made.n_min_frames:
        assert min(len(inputs) for inputs, _ in quick) == made.n_min_frames


@given(models(), lexicons(), st.data())
@settings(deadline=None, max_examples=30)
def test_reweighting_is_rebuilding(
    model: SmallModel, lexicon: Lexicon, data: st.DataObject
) -> None:
    words = data.draw(st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=3))
    rng = np.random.default_rng(0)

    def changed(topology: Topology) -> Topology:
        moves = np.column_stack([topology.transitions, topology.final])
        moves = moves * rng.uniform(0.2, 1.0, moves.shape)
        moves /= moves.sum(axis=1, keepdims=True)
        return Topology(topology.initial, moves[:, :-1], moves[:, -1])

    after = dataclasses.replace(model, topologies=tuple(map(changed, model.topologies)))
    rebuilt = TranscriptCompiler(after, lexicon)
    reweighted = TranscriptCompiler(model, lexicon)(words).reweighted(rebuilt.units.move_costs)
    assert reweighted.fst.to_bytes() == rebuilt(words).fst.to_bytes()


def test_silence_alone() -> None:
    made = transcript_graph(small_model(), LEXICON, [])
    best = ops.best_path(made.fst)
    assert best is not None
    assert made.fst.isymbols is not None
    assert made.fst.isymbols.strings(best.ilabels)[0] == "^SIL.0"
    assert len(best.ilabels) == made.n_min_frames == 3


def test_word_outputs() -> None:
    made = transcript_graph(small_model(), LEXICON, ["ab", "c", "ab"])
    best = ops.best_path(made.fst)
    assert best is not None
    assert made.fst.osymbols is not None
    assert made.fst.osymbols.strings(best.olabels) == ["ab", "c", "ab"]


def test_unknown_words_are_listed_with_spellings() -> None:
    compiler = TranscriptCompiler(small_model(), LEXICON)
    with pytest.raises(DataError, match=r"utt7: the lexicon lacks 2 words: abb \(nearest: ab"):
        compiler(["ab", "abb", "zebra", "abb"], where="utt7")


def test_nothing_to_align() -> None:
    with pytest.raises(DataError, match="neither words nor silence"):
        transcript_graph(small_model(), LEXICON, [], LexiconOptions(0.0))


def test_unknown_phone() -> None:
    lexicon = Lexicon([*LEXICON.entries, Entry("x", ("A", "Q"), where="lexicon.txt:5")])
    with pytest.raises(ModelError, match=r"lexicon.txt:5: the model lacks phone 'Q' of word 'x'"):
        TranscriptCompiler(small_model(), lexicon)


def test_unknown_silence_phone() -> None:
    with pytest.raises(ModelError, match="silence phone; got NOISE"):
        TranscriptCompiler(small_model(), LEXICON, LexiconOptions(silence_phone="NOISE"))
