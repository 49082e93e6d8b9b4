import json
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.apps.speaker_frames import (
    SpeakerOptions,
    corpus_frames,
    find_speakers,
    speaker_frames,
)
from wfst_hmm.apps.speaker_trials import evaluate_speakers, pieces_of, split_recordings
from wfst_hmm.apps.speakers import SpeakerModels, enroll
from wfst_hmm.cli import main
from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.signal.audio import Audio, write_wav
from wfst_hmm.signal.kaldi import FeatureOptions

SMALL = SpeakerOptions(n_components=4, piece=1.0)
RATE = 16000


def voice(pitch: float, formant: float, seconds: float, seed: int) -> Audio:
    """Return a buzz through one resonance, in syllables: a crude voice."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    time = np.arange(n) / RATE
    wobble = 1 + 0.05 * np.sin(2 * np.pi * (3 + rng.random()) * time)
    harmonics = np.arange(1, 30)[:, None] * pitch * wobble.mean()
    phases = 2 * np.pi * harmonics * np.cumsum(wobble / wobble.mean()) / RATE
    gains = np.exp(-(((harmonics - formant) / 600.0) ** 2)) + 0.02
    gains = gains * (1 + 0.3 * rng.random((len(harmonics), 1)))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * time + rng.random()), 0, None)
    samples = 0.02 * (gains * np.sin(phases)).sum(axis=0) * syllables
    return Audio((samples + 1e-3 * rng.standard_normal(n)).astype(np.float32), RATE)


VOICES = {"anna": (210.0, 2200.0), "bert": (110.0, 900.0), "cleo": (170.0, 3300.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voices")
    for name, (pitch, formant) in VOICES.items():
        for index in range(3):
            write_wav(root / name / f"{index}.wav", voice(pitch, formant, 4.0, index))
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeakerModels:
    return enroll(corpus_frames(find_speakers(folder), SMALL), SMALL)


def test_voices_are_told_apart(model: SpeakerModels) -> None:
    for name, (pitch, formant) in VOICES.items():
        audio = voice(pitch, formant, 3.0, 77)
        ranked = model.identify(audio)
        assert [v.score for v in ranked] == sorted((v.score for v in ranked), reverse=True)
        assert ranked[0].speaker == name
        assert model.verify(audio, name).accepted
        other = "bert" if name != "bert" else "cleo"
        assert not model.verify(audio, other).accepted


def test_a_score_is_the_mean_log_ratio(model: SpeakerModels) -> None:
    frames = speaker_frames(voice(200.0, 2000.0, 3.0, 5), SMALL)
    background = model.models.background
    for k, name in enumerate(model.speakers):
        part = background.components
        own = type(background)(4, SMALL.n_dims, means=model.models.means[k],
                               covars=part.covars, weights=part.weights)  # fmt: skip
        slow = float((own.score(frames) - background.score(frames)).mean())
        assert model.scores(frames)[model.models.index(name)] == pytest.approx(slow, abs=1e-4)


def test_enrolling_is_repeatable_and_survives_a_file(
    folder: Path, model: SpeakerModels, tmp_path: Path
) -> None:
    again = enroll(corpus_frames(find_speakers(folder), SMALL, n_workers=2), SMALL)
    assert np.array_equal(again.models.means, model.models.means)
    model.save(tmp_path / "m.npz")
    loaded = SpeakerModels.load(tmp_path / "m.npz")
    assert loaded.options == model.options
    assert loaded.threshold == model.threshold
    frames = speaker_frames(voice(200.0, 2000.0, 3.0, 5), SMALL)
    np.testing.assert_array_equal(loaded.scores(frames), model.scores(frames))


def test_a_speaker_is_added_later(model: SpeakerModels) -> None:
    new = model.with_speaker("dora", [speaker_frames(voice(260.0, 1500.0, 6.0, 1), SMALL)])
    assert new.identify(voice(260.0, 1500.0, 3.0, 9))[0].speaker == "dora"
    assert np.array_equal(new.models.means[:3], model.models.means)


def test_held_back_pieces(folder: Path) -> None:
    frames = corpus_frames(find_speakers(folder), SMALL)
    enrolled, held = split_recordings(frames, 0.3)
    assert all(len(enrolled[n]) == 2 and len(held[n]) == 1 for n in frames)
    strangers = {"dora": [speaker_frames(voice(260.0, 1500.0, 6.0, 1), SMALL)]}
    test = evaluate_speakers(enroll(enrolled, SMALL), held, 0.5, strangers=strangers)
    assert test.n_pieces == sum(len(pieces_of(parts, 50)) for parts in held.values())
    assert test.n_strangers == len(pieces_of(strangers["dora"], 50))
    assert test.detection.n_false == 2 * test.n_pieces + 3 * test.n_strangers
    assert test.accuracy >= 0.9
    with pytest.raises(DataError, match="as long as a piece"):
        evaluate_speakers(enroll(enrolled, SMALL), held, 50.0)
    with pytest.raises(DataError, match="one recording"):
        split_recordings({"a": frames["anna"][:1]}, 0.3)


def test_what_cannot_be_enrolled(folder: Path, tmp_path: Path) -> None:
    frames = corpus_frames(find_speakers(folder), SMALL)
    with pytest.raises(UsageError, match="only one speaker and no background"):
        enroll({"anna": frames["anna"]}, SMALL)
    alone = enroll({"anna": frames["anna"]}, SMALL, background=frames["bert"])
    assert alone.threshold == 0.0
    with pytest.raises(DataError, match="too little speech"):
        enroll(frames, SpeakerOptions(n_components=5000))
    with pytest.raises(FormatError, match="no recordings of speakers"):
        find_speakers(tmp_path)
    write_wav(tmp_path / "mute" / "a.wav", Audio(np.zeros(RATE, np.float32), RATE))
    with pytest.raises(DataError, match="next to no speech"):
        corpus_frames(find_speakers(tmp_path), SMALL)
    skipped: list[str] = []
    assert not corpus_frames(
        find_speakers(tmp_path), SMALL, on_error=lambda i, _: skipped.append(i)
    )
    assert skipped == ["mute/a.wav"]
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(FormatError, match=r"x\.npz: not an \.npz file"):
        SpeakerModels.load(tmp_path / "x.npz")


def test_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = str(tmp_path / "speakers.npz")
    assert main(["speaker", "enroll", str(folder), "-m", saved, "--components", "4"]) == 0
    write_wav(tmp_path / "who.wav", voice(110.0, 900.0, 3.0, 50))
    capsys.readouterr()
    assert main(["speaker", "identify", str(tmp_path / "who.wav"), "-m", saved, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["speakers"][0]["speaker"] == "bert"
    claim = ["speaker", "verify", str(tmp_path / "who.wav"), "-m", saved, "--speaker"]
    assert main([*claim, "bert"]) == 0
    assert main([*claim, "anna"]) == 1
    assert main([*claim, "berta"]) == 2
    assert "Did you mean 'bert'?" in capsys.readouterr().err
    picture = tmp_path / "det.svg"
    assert main(["speaker", "test", str(folder), "--seconds", "0.5", "--components", "4",
                 "--picture", str(picture)]) == 0  # fmt: skip
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    before = SpeakerModels.load(saved)
    write_wav(tmp_path / "more" / "dora" / "a.wav", voice(260.0, 1500.0, 6.0, 1))
    assert main(["speaker", "enroll", str(tmp_path / "more"), "-m", saved, "--add"]) == 0
    after = SpeakerModels.load(saved)
    assert after.speakers == ("anna", "bert", "cleo", "dora")
    assert np.array_equal(after.models.means[:3], before.models.means)


def test_real_speakers(shared: Path) -> None:
    root = shared / "librispeech" / "dev"
    options = SpeakerOptions(n_components=16, n_iterations=5,
                             features=FeatureOptions(n_mels=26, n_ceps=20, cmvn="utterance",
                                                     delta_order=1))  # fmt: skip
    corpus = find_speakers(root)
    few = corpus.subset([u.id for own in corpus.speakers().values() for u in own[:6]])
    enrolled, held = split_recordings(corpus_frames(few, options), 0.4)
    test = evaluate_speakers(enroll(enrolled, options), held, 2.0)
    assert test.accuracy >= 0.95
    assert test.detection.equal_error_rate <= 0.05


def test_many_short_recordings_of_a_speaker_are_taken_together(tmp_path: Path) -> None:
    for name, (pitch, formant) in VOICES.items():
        for index in range(8):
            write_wav(tmp_path / name / f"{index}.wav", voice(pitch, formant, 0.6, index))
    dropped: list[str] = []
    frames = corpus_frames(find_speakers(tmp_path), SMALL, on_error=lambda i, e: dropped.append(i))
    assert not dropped
    assert all(len(parts) >= 1 and sum(map(len, parts)) >= 50 for parts in frames.values())
    made = enroll(frames, SMALL)
    for name, (pitch, formant) in VOICES.items():
        assert made.identify(voice(pitch, formant, 3.0, 77))[0].speaker == name
    write_wav(tmp_path / "dora" / "0.wav", voice(190.0, 1500.0, 0.5, 0))
    found = corpus_frames(
        find_speakers(tmp_path), SMALL, on_error=lambda i, e: dropped.append(str(e))
    )
    assert "dora" not in found
    assert "next to no speech" in dropped[0]
