"""Any model by its directory, and recognizers over graphs of both kinds."""

import dataclasses
import json

import numpy as np
import pytest
from tiny_speech import TinySpeech
from typer.testing import CliRunner

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.cli.app import assemble
from wfst_hmm.errors import FormatError, ModelError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compact import CompactGraph, load_graph
from wfst_hmm.graph.compiler import build_compact, build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import load_model


def in_context(model: AcousticModel) -> ContextModel:
    """The same model, as one of phones in context that context does not change."""
    context = ContextMap.monophones(model.phones, model.topologies, model.columns)
    return ContextModel(context, model.silence_phones, model.mixtures, model.front_end)


@pytest.fixture
def plain(tiny_speech: TinySpeech) -> AcousticModel:
    model = load_model(tiny_speech.graph / "model")
    assert isinstance(model, AcousticModel)
    return model


def test_the_header_says_which_model(plain, tmp_path):
    in_context(plain).save(tmp_path / "context")
    found = load_model(tmp_path / "context")
    assert isinstance(found, ContextModel)
    np.testing.assert_array_equal(
        found.topology_of("SIL").transitions, plain.topology_of("SIL").transitions
    )
    assert (found.rate, found.n_dims, found.n_gaussians) == (
        plain.rate, plain.n_dims, plain.n_gaussians)  # fmt: skip


@pytest.mark.parametrize("header", [[], {"format": "another"}, {}])
def test_what_is_no_model(tmp_path, header):
    with pytest.raises(FormatError, match="no acoustic model"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(header))
    with pytest.raises(FormatError, match="not an acoustic model"):
        load_model(tmp_path)


@pytest.mark.parametrize("compact", [False, True])
def test_a_model_in_context_decodes_and_aligns_as_its_monophones(
    tiny_speech, plain, tmp_path, compact
):
    corpus = read_corpus(tiny_speech.test)
    model = in_context(plain)
    recognizer = Recognizer.load(tiny_speech.graph)
    lexicon = recognizer.graph.lexicon
    grammar = grammar_from_spec("loop", lexicon, silence_phones=model.silence_phones)
    build = build_compact if compact else build_graph
    Recognizer(build(model, lexicon, grammar), model).save(tmp_path / "graph")
    Recognizer(build(model, lexicon, grammar), model).save(tmp_path / "graph")  # once more
    found = Recognizer.load(tmp_path / "graph")
    assert isinstance(found.graph, CompactGraph) == compact
    twins = decode_corpus(recognizer, corpus)
    for outcome, twin in zip(decode_corpus(found, corpus), twins, strict=True):
        assert outcome.decoded.text == twin.decoded.text
        assert outcome.decoded.total_cost == pytest.approx(twin.decoded.total_cost, rel=1e-4)
    twins = align_corpus(plain, lexicon, corpus)
    for outcome, twin in zip(align_corpus(model, lexicon, corpus), twins, strict=True):
        assert outcome.decoded.words == twin.decoded.words
        np.testing.assert_allclose(outcome.decoded.total_cost, twin.decoded.total_cost, rtol=1e-4)


def test_graphs_of_both_kinds_refuse_another_model(plain, tiny_speech, tmp_path):
    lexicon = Recognizer.load(tiny_speech.graph).graph.lexicon
    grammar = grammar_from_spec("loop", lexicon, silence_phones=plain.silence_phones)
    compact = build_compact(plain, lexicon, grammar)
    compact.save(tmp_path / "graph")
    other = dataclasses.replace(plain, silence_phones=())
    with pytest.raises(ModelError, match="another acoustic model"):
        Recognizer(load_graph(tmp_path / "graph"), other)


def test_the_commands_take_both_kinds(plain, tiny_speech, tmp_path):
    in_context(plain).save(tmp_path / "model")
    lexicon = tiny_speech.lexicon
    made = run("graph", "--model", tmp_path / "model", "--lexicon", lexicon, "--grammar", "loop",
               "--out", tmp_path / "graph", "--compact")  # fmt: skip
    assert made.exit_code == 0, made.output
    facts = json.loads(run("info", tmp_path / "graph", "--json").stdout)
    assert (facts["kind"], facts["compact"]) == ("decoding graph", True)
    assert facts["carries_its_model"]
    facts = json.loads(run("info", tmp_path / "model", "--json").stdout)
    assert facts["hmms"] == len(plain.phones)
    decoded = run("decode", tmp_path / "graph", tiny_speech.test)
    twin = run("decode", tiny_speech.graph, tiny_speech.test)
    assert decoded.stdout == twin.stdout != ""
    aligned = run("align", tiny_speech.test, "--model", tmp_path / "model", "--lexicon", lexicon,
                  "--out", tmp_path / "aligned")  # fmt: skip
    assert aligned.exit_code == 0, aligned.output
    drawn = run("draw", tmp_path / "model", "--phone", "SIL", "--out", tmp_path / "sil.svg")
    assert drawn.exit_code == 0, drawn.output
    assert run("lint", "--lexicon", lexicon, "--model", tmp_path / "model").exit_code == 0


def run(*arguments):
    arguments = [str(a) for a in arguments]
    return CliRunner().invoke(assemble(arguments), arguments)
