"""Warp factors: found again where they were put in, and taken from spk2warp everywhere."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_speech import TinySpeech

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.vtln import WarpChoice, speaker_warps, states_by_search, states_by_words
from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.formats.data import read_corpus, read_warps, write_warps
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.models.loading import load_model
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.signal.extract import utterance_cepstra
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.sphinx import SphinxOptions


def test_a_stretched_voice_is_stretched_back(tiny_speech: TinySpeech) -> None:
    model, lexicon = load_model(tiny_speech.model), read_lexicon(tiny_speech.lexicon)
    corpus = read_corpus(tiny_speech.train).subset([f"sp{i % 2}-{i:02d}" for i in range(8)])
    states = states_by_words(model, lexicon, corpus)
    assert set(states) == {u.id for u in corpus}
    grid = [0.84, 0.88, 0.92, 0.96, 1.04, 1.08, 1.12]
    heard: list[WarpChoice] = []
    plain = speaker_warps(model, corpus, states, warps=grid, told=heard.append)
    assert {choice.speaker for choice in heard} == set(plain) == {"sp0", "sp1"}
    assert all(choice.gain >= 0 and choice.n_frames > 100 for choice in heard)
    assert all(0.95 < warp < 1.05 for warp in plain.values())  # the model was trained on them
    stretched = Corpus(tuple(dataclasses.replace(u, warp=1.12) for u in corpus))
    back = speaker_warps(model, stretched, states, warps=grid)
    assert all(0.84 <= warp <= 0.94 for warp in back.values())


def test_a_first_pass_will_do(tiny_speech: TinySpeech) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    corpus = read_corpus(tiny_speech.test)
    states = states_by_search(recognizer, corpus)
    assert set(states) == {u.id for u in corpus}
    warps = speaker_warps(recognizer.model, corpus, states, warps=[0.9, 1.1])
    assert set(warps.values()) == {1.0}


def test_nothing_to_go_by(tiny_speech: TinySpeech) -> None:
    model, corpus = load_model(tiny_speech.model), read_corpus(tiny_speech.test)
    assert set(speaker_warps(model, corpus, {}).values()) == {1.0}
    with pytest.raises(UsageError, match="no warp"):
        speaker_warps(model, corpus, {}, warps=[])
    some = corpus.utterances[0].id
    with pytest.raises(DataError, match="other features"):
        speaker_warps(model, corpus, {some: np.zeros(3, dtype=np.int64)}, warps=[0.9])


def test_factors_lie_in_the_data_directory(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_speech.test, data)
    write_warps(data / "spk2warp", {"sp1": 1.1})
    assert read_warps(data / "spk2warp") == {"sp1": 1.1}
    corpus = read_corpus(data)
    assert {u.speaker: u.warp for u in corpus} == {"sp0": 1.0, "sp1": 1.1}
    one = next(u for u in corpus if u.speaker == "sp1")
    options = FeatureOptions(rate=8000)
    plain = dataclasses.replace(one, warp=1.0)
    warped = utterance_cepstra(one, options)
    np.testing.assert_array_equal(warped, utterance_cepstra(plain, options, warp=1.1))
    assert (warped != utterance_cepstra(plain, options)).any()
    with pytest.raises(DataError, match="does not warp"):
        utterance_cepstra(one, SphinxOptions())
    (data / "spk2warp").write_text("sp1 fast\n")
    with pytest.raises(FormatError, match="not a warp factor"):
        read_corpus(data)
