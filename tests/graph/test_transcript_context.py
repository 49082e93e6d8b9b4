"""Alignment graphs in context against the graph compiler, sentence by sentence."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from graph_models import SmallContextModel, context_models, lexicons, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import relation, same_relation

from wfst_hmm.errors import DataError, ModelError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import GraphOptions, build_graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.graph.phrases import phrase_list
from wfst_hmm.graph.transcript import TranscriptCompiler
from wfst_hmm.graph.transcript_context import (
    ContextTranscriptCompiler,
    columns_of_context,
    topology_units,
    transcript_compiler,
)
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.topology import Topology


@given(context_models(), lexicons(pauses=True), st.data(), st.sampled_from([0.0, 0.4]))
@settings(deadline=None, max_examples=40)
def test_equals_the_graph_compiler(
    model: SmallContextModel, lexicon: Lexicon, data: st.DataObject, silence: float
) -> None:
    words = data.draw(st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=2))
    options = LexiconOptions(silence)
    try:
        slow = build_graph(model, lexicon, phrase_list([(words, 0.0)]), GraphOptions(silence))
    except ModelError:
        with pytest.raises(ModelError, match="no HMM"):
            ContextTranscriptCompiler(model, lexicon, options)(words)
        return
    made = ContextTranscriptCompiler(model, lexicon, options)(words)
    made.fst.validate()
    length = min(made.n_min_frames + 1, 6)
    quick, twin = named(made.fst, length, made.fst.osymbols), named(slow.fst, length, slow.words)
    assert same_relation(quick, twin)


def named(fst: Fst, length: int, words: Symbols | None) -> dict[Any, float]:
    """Return the relation with words by name: tables may number them differently."""
    assert words is not None
    return {
        (labels, tuple(words[w] for w in said)): cost
        for (labels, said), cost in relation(fst, length).items()
    }


@given(context_models(), lexicons(), st.data())
@settings(deadline=None, max_examples=30)
def test_contexts_name_the_columns(
    model: SmallContextModel, lexicon: Lexicon, data: st.DataObject
) -> None:
    words = data.draw(st.lists(st.sampled_from(lexicon.words), min_size=1, max_size=3))
    try:
        made = ContextTranscriptCompiler(model, lexicon)(words)
    except ModelError:
        return
    assert made.context is not None
    columns = columns_of_context(model.context, made.context)
    labels = model.context.state_labels()
    arcs = made.fst.arcs
    np.testing.assert_array_equal(labels.column[arcs["ilabel"] - 1], columns[arcs["nextstate"]])
    np.testing.assert_array_equal(labels.phone[arcs["ilabel"] - 1],
                                  made.context[arcs["nextstate"], 1])  # fmt: skip
    assert columns[0] == -1


@dataclasses.dataclass(frozen=True)
class _Phones:
    phones: tuple[str, ...]
    silence_phones: tuple[str, ...]
    hash: str = ""
    frame_shift: float = 0.01
    frame_offset: float = 0.0


def test_monophones_in_context_are_monophones() -> None:
    phones = ("SIL", "A", "B")
    topologies = [Topology.left_to_right(2)] * 3
    columns = [np.array([2 * i, 2 * i + 1]) for i in range(3)]
    context = ContextMap.monophones(phones, topologies, columns)
    lexicon = Lexicon([Entry("ab", ("A", "B")), Entry("a", ("A",)), Entry("a", ("B",), 0.5)])
    compiler = ContextTranscriptCompiler(_Phones(phones, ("SIL",)), lexicon, None, context)  # type: ignore[arg-type]
    made = compiler(["ab", "a"])
    assert made.context is not None
    assert set(made.context[1:, 3].tolist()) == {1, 2, 3}  # places: begin, end, single
    assert set(made.context[1:, 1].tolist()) == {0, 1, 2}
    assert compiler.units.n_moves == topology_units(topologies).n_moves
    columns_in = columns_of_context(context, made.context)[1:]
    np.testing.assert_array_equal(columns_in, 2 * made.context[1:, 1] + made.context[1:, 4])


def test_what_cannot_be_aligned() -> None:
    phones = ("A", "B")
    context = ContextMap.monophones(phones, [Topology.left_to_right(1)] * 2, [[0], [1]])
    lexicon = Lexicon([Entry("ab", ("A", "B"))])
    bare = _Phones(phones, ())
    compiler = ContextTranscriptCompiler(bare, lexicon, None, context)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="neither words nor silence"):
        compiler([])
    with pytest.raises(DataError, match="lacks 1 word"):
        compiler(["xy"])
    with pytest.raises(ModelError, match="no map"):
        ContextTranscriptCompiler(bare, lexicon)  # type: ignore[arg-type]
    assert isinstance(transcript_compiler(SmallContextModel(context, ()), lexicon),
                      ContextTranscriptCompiler)  # fmt: skip
    assert type(transcript_compiler(small_model(), lexicon)) is TranscriptCompiler
