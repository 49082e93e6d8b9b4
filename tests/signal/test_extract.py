"""Features of corpora: per speaker, per utterance, with bad recordings among them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wfst_hmm.errors import DataError, UsageError, WfstHmmError
from wfst_hmm.signal.audio import Audio, read_audio, write_wav
from wfst_hmm.signal.corpus import Corpus, Utterance
from wfst_hmm.signal.extract import corpus_features, utterance_cepstra
from wfst_hmm.signal.kaldi import FeatureOptions

OPTIONS = FeatureOptions(rate=8000)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(6):
        path = tmp_path / f"u{number}.wav"
        samples = (0.05 * (1 + number) * rng.standard_normal(2000 + 300 * number)).astype("f4")
        write_wav(path, Audio(samples, 8000))
        speaker = "even" if number % 2 == 0 else "odd"
        utterances.append(Utterance(path.stem, path, None, speaker, where=f"list:{number + 1}"))
    return Corpus(tuple(utterances), "list")


def test_speaker_normalization_is_over_all_frames_of_the_speaker(corpus: Corpus) -> None:
    raw = {u.id: OPTIONS.cepstra(read_audio(u.audio)) for u in corpus}
    got = corpus_features(corpus, OPTIONS)
    assert list(got) == [u.id for u in corpus]
    for utterances in corpus.speakers().values():
        mean = np.concatenate([raw[u.id] for u in utterances]).astype(np.float64).mean(axis=0)
        for u in utterances:
            np.testing.assert_allclose(got[u.id].array[:, :13], raw[u.id] - mean, atol=1e-4)


def test_utterance_normalization(corpus: Corpus) -> None:
    options = FeatureOptions(rate=8000, cmvn="utterance")
    for u, features in zip(corpus, corpus_features(corpus, options).values(), strict=True):
        alone = options.finish(utterance_cepstra(u, options))
        np.testing.assert_array_equal(features.array, alone.array)


def test_workers_change_nothing(corpus: Corpus) -> None:
    one, three = corpus_features(corpus, OPTIONS), corpus_features(corpus, OPTIONS, n_workers=3)
    assert list(one) == list(three)
    for id_ in one:
        np.testing.assert_array_equal(one[id_].array, three[id_].array)
    with pytest.raises(UsageError, match="n_workers"):
        corpus_features(corpus, OPTIONS, n_workers=0)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_bad_utterance_is_named_or_reported(corpus: Corpus, n_workers: int) -> None:
    good = corpus_features(corpus.subset(["u0", "u1", "u2", "u4", "u5"]), OPTIONS)
    write_wav(corpus.utterances[3].audio, Audio(np.zeros(8000, dtype=np.float32), 16000))
    with pytest.raises(
        DataError, match=r"utterance u3 \(list:4\): .*u3\.wav: wrong sampling rate; got 16000 Hz"
    ):
        corpus_features(corpus, OPTIONS, n_workers=n_workers)
    reported: list[tuple[str, WfstHmmError]] = []
    got = corpus_features(
        corpus, OPTIONS, n_workers=n_workers, on_error=lambda *said: reported.append(said)
    )
    assert [id_ for id_, _ in reported] == ["u3"]
    assert list(got) == list(good)
    for id_ in good:  # the speaker's mean is that of the usable utterances
        np.testing.assert_array_equal(got[id_].array, good[id_].array)


def test_too_short_names_the_utterance(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", Audio(np.zeros(100, dtype=np.float32), 8000))
    u = Utterance("a", tmp_path / "a.wav", None, "a")
    with pytest.raises(DataError, match=r"utterance a: .*a\.wav: too short for one frame"):
        utterance_cepstra(u, OPTIONS)


def test_segments_and_channels(tmp_path: Path) -> None:
    x = (0.1 * np.random.default_rng(1).standard_normal((8000, 2))).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", x, 8000, subtype="FLOAT")
    u = Utterance("a", tmp_path / "a.wav", None, "a", 0.25, 0.75, "list:1", 1)
    wanted = OPTIONS.cepstra(Audio(x[2000:6000, 1], 8000))
    np.testing.assert_array_equal(utterance_cepstra(u, OPTIONS), wanted)


def test_resampling_only_when_asked(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", Audio(np.zeros(4000, dtype=np.float32), 8000))
    u = Utterance("a", tmp_path / "a.wav", None, "a")
    with pytest.raises(DataError, match="wrong sampling rate"):
        utterance_cepstra(u, FeatureOptions())
    assert len(utterance_cepstra(u, FeatureOptions(resample=True))) == 48


def test_empty_corpus() -> None:
    with pytest.raises(DataError, match="list: no utterance"):
        corpus_features(Corpus((), "list"), OPTIONS)
