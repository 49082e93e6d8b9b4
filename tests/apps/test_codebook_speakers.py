"""Speakers' own codebooks: in order, in threads, and better than the model's."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny_speech import TinySpeech

from wfst_hmm.apps.adaptation import AdaptationOptions
from wfst_hmm.apps.codebook_speakers import SpeakerModels
from wfst_hmm.apps.recognize import decode_corpus, stream_features
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.compiler import build_compact
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.models.codebook_adaptation import adapted_means
from wfst_hmm.models.codebooks import CodebookSet
from wfst_hmm.models.context import ContextMap
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.signal.corpus import Corpus


@pytest.fixture(scope="module")
def recognizer(tiny_speech: TinySpeech) -> Recognizer:
    """The toy model with a codebook of its own for each state, shifted as another voice would."""
    plain = Recognizer.load(tiny_speech.graph)
    model, mixtures = plain.model, plain.model.mixtures
    most = int(np.diff(mixtures.offsets).max())
    shape = (mixtures.n_states, most)
    weights = np.full(shape, 1e-10, np.float32)
    means, variances = np.zeros((*shape, 39)), np.ones((*shape, 39))
    for state in range(mixtures.n_states):
        own = mixtures.state(state)
        n = own.stop - own.start
        weights[state, :n] = np.exp(mixtures.log_weights[own])
        means[state, :n], variances[state, :n] = mixtures.means[own], mixtures.variances[own]
    means[..., :13] = 1.1 * means[..., :13] + 0.4
    densities = CodebookSet((np.arange(39),), (means,), (variances,), weights[None],
                            np.arange(mixtures.n_states, dtype=np.int32))  # fmt: skip
    context = ContextMap.monophones(model.phones, model.topologies, model.columns)
    tied = ContextModel(context, model.silence_phones, densities, model.front_end)
    lexicon = plain.graph.lexicon
    grammar = grammar_from_spec("loop", lexicon, silence_phones=model.silence_phones)
    return Recognizer(build_compact(tied, lexicon, grammar), tied)


def total(outcomes) -> float:
    return sum(outcome.decoded.total_cost for outcome in outcomes)


@pytest.fixture
def eager(monkeypatch):
    """Adapt to a few seconds of speech, too."""
    from wfst_hmm.apps import codebook_speakers

    monkeypatch.setattr(codebook_speakers, "adapted_means", partial(adapted_means, min_class=100.0))


def test_a_few_seconds_change_nothing(recognizer, tiny_speech):
    corpus = read_corpus(tiny_speech.test)
    plain = list(decode_corpus(recognizer, corpus))
    once = list(decode_corpus(recognizer, corpus, adapt=AdaptationOptions(n_rounds=1)))
    assert total(once) == pytest.approx(total(plain), rel=1e-6)


def test_a_second_pass_fits_better(recognizer, tiny_speech, eager):
    corpus = read_corpus(tiny_speech.test)
    plain = list(decode_corpus(recognizer, corpus))
    once = list(decode_corpus(recognizer, corpus, adapt=AdaptationOptions(n_rounds=1)))
    twice = list(decode_corpus(recognizer, corpus, adapt=AdaptationOptions(n_rounds=2)))
    assert [o.utterance.id for o in once] == [u.id for u in corpus]
    assert total(once) < total(plain)
    assert total(twice) < total(plain)
    errors = [sum(o.decoded.text != " ".join(o.utterance.words) for o in some)
              for some in (plain, once, twice)]  # fmt: skip
    assert max(errors[1:]) <= errors[0]


def test_threads_and_bad_recordings_change_nothing(recognizer, tiny_speech, eager):
    corpus = read_corpus(tiny_speech.test)
    bad = dataclasses.replace(corpus.utterances[1], audio=Path("gone.wav"), id="gone")
    alone = dataclasses.replace(bad, id="gone-too", speaker="nobody")
    spoiled = Corpus((corpus.utterances[0], bad, alone, *corpus.utterances[1:]))
    adapt = AdaptationOptions(n_rounds=1)
    whole = list(decode_corpus(recognizer, corpus, adapt=adapt))
    found = list(decode_corpus(recognizer, spoiled, adapt=adapt, n_threads=3))
    assert [o.utterance.id for o in found] == [u.id for u in spoiled]
    assert [o.error is not None for o in found] == [u.audio.name == "gone.wav" for u in spoiled]
    good = [o for o in found if o.error is None]
    for outcome, twin in zip(good, whole, strict=True):
        assert outcome.decoded.total_cost == pytest.approx(twin.decoded.total_cost, rel=1e-6)


def test_codebooks_are_forgotten(recognizer, tiny_speech):
    corpus = read_corpus(tiny_speech.test)
    densities = recognizer.model.densities

    def no_path(scores):
        return None

    speakers = SpeakerModels(recognizer.model, densities, recognizer.graph, no_path,
                             AdaptationOptions(n_rounds=1))  # fmt: skip
    features = stream_features(corpus, recognizer.model)
    for utterance, own in speakers.learned(features, [u.speaker for u in corpus]):
        scores = speakers.score(utterance, own)  # nothing was heard: the model's own
        np.testing.assert_allclose(scores.array, recognizer.model.score(own).array, rtol=1e-4, atol=1e-3)  # fmt: skip
    assert not speakers._own
