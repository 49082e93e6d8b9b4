"""Decoding many: order, streaming, per-speaker normalization, one wrong utterance among many."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech

from wfst_hmm.apps.recognize import (
    corpus_of_files,
    corpus_of_inputs,
    decode_corpus,
    in_order,
    stream_features,
)
from wfst_hmm.apps.recognizer import Recognizer, check_new
from wfst_hmm.errors import DataError, ModelError, UsageError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.search.decode import decode_exact
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.corpus import Corpus
from wfst_hmm.signal.extract import corpus_features
from wfst_hmm.signal.features import Features


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), max_size=25), st.integers(1, 4))
def test_in_order_is_map(numbers: list[int], n_threads: int) -> None:
    def slowly(number: int) -> int:
        time.sleep(number / 2000)
        return number * number

    assert list(in_order(slowly, iter(numbers), n_threads)) == [n * n for n in numbers]


def test_in_order_works_ahead_only_a_little() -> None:
    taken = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    stream = in_order(lambda n: n, endless(), 3)
    assert [next(stream) for _ in range(5)] == [0, 1, 2, 3, 4]
    stream.close()
    assert len(taken) < 40
    with pytest.raises(UsageError):
        list(in_order(abs, [1], 0))


@pytest.mark.parametrize("cmvn", ["speaker", "utterance", "none"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_streamed_features_are_those_of_the_whole_corpus(
    tiny_speech: TinySpeech, cmvn: str, n_threads: int
) -> None:
    corpus = read_corpus(tiny_speech.test)
    model = Recognizer.load(tiny_speech.graph).model
    options = dataclasses.replace(model.front_end, cmvn=cmvn)
    model = dataclasses.replace(model, front_end=options)
    whole = corpus_features(corpus, options)
    streamed = list(stream_features(corpus, model, n_threads=n_threads))
    assert [utterance.id for utterance, _ in streamed] == list(whole)
    for utterance, features in streamed:
        assert isinstance(features, Features)
        assert np.array_equal(features.array, whole[utterance.id].array)


def test_a_bad_recording_does_not_disturb_its_speaker(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    corpus = read_corpus(tiny_speech.test)
    first = corpus.utterances[0]
    bad = dataclasses.replace(first, audio=tmp_path / "gone.wav")
    spoiled = Corpus((bad, *corpus.utterances[1:]))
    model = Recognizer.load(tiny_speech.graph).model
    streamed = {utterance.id: features for utterance, features in stream_features(spoiled, model)}
    errors = []
    whole = corpus_features(
        spoiled, model.front_end, on_error=lambda id_, error: errors.append(id_)
    )
    assert errors == [first.id]
    assert isinstance(streamed[first.id], WfstHmmError)
    for id_, features in whole.items():
        assert np.array_equal(streamed[id_].array, features.array)


def test_streaming_gives_the_first_results_before_the_last_file_is_read(
    tiny_speech: TinySpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wfst_hmm.apps import recognize

    read: list[str] = []
    true_cepstra = recognize.timed_cepstra

    def noted(utterance, options, **how):
        read.append(utterance.id)
        return true_cepstra(utterance, options, **how)

    monkeypatch.setattr(recognize, "timed_cepstra", noted)
    corpus = read_corpus(tiny_speech.test)  # sorted by speaker: three of each
    recognizer = Recognizer.load(tiny_speech.graph)
    stream = decode_corpus(recognizer, corpus)
    assert next(stream).utterance.id == corpus.utterances[0].id
    assert len(read) == 3


def test_outcomes_agree_with_a_plain_loop(tiny_speech: TinySpeech) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    corpus = read_corpus(tiny_speech.test)
    features = corpus_features(corpus, recognizer.model.front_end)
    outcomes = list(decode_corpus(recognizer, corpus, n_threads=2))
    for outcome in outcomes:
        scores = recognizer.model.score(features[outcome.utterance.id])
        twin = decode_exact(recognizer.graph, scores, SearchOptions())
        assert isinstance(twin, Decoded)
        assert outcome.decoded is not None
        assert outcome.decoded.text == twin.text == " ".join(outcome.utterance.words or ())
        assert outcome.decoded.total_cost == pytest.approx(twin.total_cost, rel=1e-5)
        assert outcome.problem is None


def test_resampling_on_request(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    import soxr

    samples, _ = soundfile.read(tiny_speech.test / "sp0-02.wav")
    path = tmp_path / "fast.wav"
    soundfile.write(path, soxr.resample(samples, RATE, 16000), 16000)
    recognizer = Recognizer.load(tiny_speech.graph)
    (refused,) = decode_corpus(recognizer, [path])
    assert isinstance(refused.error, DataError)
    assert "wrong sampling rate" in (refused.problem or "")
    (taken,) = decode_corpus(recognizer, [path], resample=True)
    (plain,) = decode_corpus(recognizer, [tiny_speech.test / "sp0-02.wav"])
    assert taken.decoded is not None
    assert plain.decoded is not None
    assert taken.decoded.text == plain.decoded.text


def test_a_channel_of_stereo(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    samples, _ = soundfile.read(tiny_speech.test / "sp0-02.wav")
    soundfile.write(tmp_path / "s.wav", np.stack([0 * samples, samples], axis=1), RATE)
    recognizer = Recognizer.load(tiny_speech.graph)
    corpus = corpus_of_inputs([tmp_path / "s.wav"], channel=1)
    (outcome,) = decode_corpus(recognizer, corpus)
    (plain,) = decode_corpus(recognizer, [tiny_speech.test / "sp0-02.wav"])
    assert outcome.decoded is not None
    assert plain.decoded is not None
    assert outcome.decoded.text == plain.decoded.text


def test_ids_of_files_are_distinct(tmp_path: Path) -> None:
    names = ["a/x.wav", "b/x.wav", "b/x.flac", "b/x.ogg", "my file.wav", "b/x.mp3"]
    corpus = corpus_of_files([tmp_path / name for name in names])
    ids = [utterance.id for utterance in corpus]
    assert ids == ["x", "b-x", "x-2", "x-3", "my_file", "x-4"]
    assert len(corpus.speakers()) == len(names)


def test_recognizer_is_copied_whole_and_checked(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    recognizer.save(tmp_path / "copy")
    again = Recognizer.load(tmp_path / "copy")
    assert again.model.hash == recognizer.model.hash
    assert np.array_equal(again.graph.fst.arcs, recognizer.graph.fst.arcs)
    recognizer.save(tmp_path / "copy")  # an older graph is replaced
    foreign = dataclasses.replace(recognizer.graph, model_hash="0" * 64)
    with pytest.raises(ModelError, match="another acoustic model"):
        Recognizer(foreign, recognizer.model)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.txt").write_text("keep")
    with pytest.raises(UsageError, match="is no graph"):
        recognizer.save(tmp_path / "notes")
    with pytest.raises(UsageError, match="is no model"):
        check_new(tmp_path / "notes", "model.json", "model")
