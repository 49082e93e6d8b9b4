from pathlib import Path

import numpy as np
import pytest
from tiny_speech import write_corpus, write_lexicon

from wfst_hmm.errors import DataError, WfstHmmError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.models.acoustic import AcousticModel
from wfst_hmm.signal.extract import corpus_features
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.training.features import training_takes
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.progress import ProgressBar
from wfst_hmm.training.workers import Workers

EIGHT = FeatureOptions(rate=8000)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("tiny") / "data", 16, 0)


def test_takes_are_the_corpus_and_its_warped_copies(spoken: Path, tmp_path: Path) -> None:
    corpus = read_corpus(spoken)
    with Workers(2) as workers:
        takes = training_takes(corpus, EIGHT, warps=(0.9, 1.1), workers=workers)
        mapped = training_takes(
            corpus, EIGHT, warps=(0.9, 1.1), workers=workers, folder=tmp_path / "store"
        )
    assert not list((tmp_path / "store").iterdir())
    for held, stored in zip(takes, mapped, strict=True):
        np.testing.assert_array_equal(held.frames, stored.frames)
        assert (held.id, held.words, held.speaker) == (stored.id, stored.words, stored.speaker)
    plain = corpus_features(corpus, EIGHT)
    assert [t.id for t in takes[:16]] == [u.id for u in corpus]
    assert [t.id for t in takes[16:18]] == ["sp0-00*0.9", "sp0-02*0.9"]
    assert len(takes) == 48
    for take in takes[:16]:
        np.testing.assert_array_equal(take.frames, plain[take.id].array)
    first = takes[0].frames[:, :13]
    for copy in (takes[16], takes[32]):
        assert copy.words == takes[0].words
        assert copy.frames.shape == takes[0].frames.shape
        assert 0.05 < np.abs(copy.frames[:, :13] - first).mean() < 10
    own = np.concatenate([t.frames[:, :13] for t in takes if t.id.endswith("*0.9")][:8])
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-3)  # each warp has its own mean


def test_bad_recordings_stop_or_are_skipped(spoken: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    manifest = tmp_path / "data.tsv"
    rows = [f"{u.id}\t{u.audio}\t{' '.join(u.words or ())}\t{u.speaker}\n"
            for u in read_corpus(spoken)]  # fmt: skip
    manifest.write_text("id\taudio\ttext\tspeaker\nbad\tbad.wav\tba\tsp0\n" + "".join(rows))
    lexicon = write_lexicon(tmp_path / "lexicon.txt")
    options = TrainingOptions(features=EIGHT, n_passes=2, n_gaussians=40, n_workers=1)
    out = tmp_path / "model"
    with pytest.raises(DataError, match=r"utterance bad .*bad\.wav"):
        train(manifest, lexicon, out, options)
    assert not out.exists()
    model = train(manifest, lexicon, out, options.replace(on_bad_audio="skip"))
    assert [id_ for id_, _ in model.info["training"]["skipped"]] == ["bad"]
    assert model.hash == train(spoken, lexicon, None, options).hash


def test_an_error_is_told_once_for_all_warps(spoken: Path, tmp_path: Path) -> None:
    corpus = read_corpus(spoken)
    errors: list[tuple[str, WfstHmmError]] = []
    with Workers(1) as workers:
        takes = training_takes(
            corpus, FeatureOptions(rate=16000), warps=(0.9,), workers=workers,
            on_error=lambda id_, error: errors.append((id_, error)),
        )  # fmt: skip
    assert takes == []
    assert len(errors) == len(corpus)


def test_a_training_from_files_to_a_model(spoken: Path, tmp_path: Path) -> None:
    """A real directory, the progress bar, warped copies; the same model for any threads."""
    lexicon = write_lexicon(tmp_path / "lexicon.txt")
    options = TrainingOptions(
        features=EIGHT, n_passes=4, n_gaussians=40, perturb=(1.1,), n_workers=1
    )
    model = train(spoken, lexicon, tmp_path / "model", options, watcher=ProgressBar())
    assert AcousticModel.load(tmp_path / "model").hash == model.hash
    assert model.info["training"]["n_utterances"] == 32
    assert model.info["training"]["options"]["perturb"] == [1.1]
    assert train(spoken, lexicon, None, options.replace(n_workers=3)).hash == model.hash
