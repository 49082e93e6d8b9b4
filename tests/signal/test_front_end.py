"""What every front end promises, and that a new one costs its own file only."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech

from wfst_hmm.apps.building import build, train_model
from wfst_hmm.apps.info import describe
from wfst_hmm.apps.recognize import decode_corpus
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.models.loading import load_model
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.front_end import FrontEnd, front_end_class, front_end_from_dict, register
from wfst_hmm.signal.htk import HtkOptions
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.live_cmvn import LiveCmvnOptions
from wfst_hmm.signal.sphinx import SphinxOptions
from wfst_hmm.signal.streaming import FeatureStream
from wfst_hmm.training.options import TrainingOptions


@register
@dataclasses.dataclass(frozen=True)
class Bands(FrontEnd):
    """A front end for this test: log energies of a few bands, a frame each 15 ms."""

    kind: ClassVar[str] = "bands of a test"
    rate: int = RATE
    n_bands: int = 12

    frame_shift: ClassVar[float] = 0.015  # type: ignore[misc]
    frame_length: ClassVar[float] = 0.030  # type: ignore[misc]
    normalization: ClassVar[str] = "speaker"  # type: ignore[misc]
    reach: ClassVar[int] = 0  # type: ignore[misc]

    @property
    def n_ceps(self) -> int:
        return self.n_bands

    @property
    def n_dims(self) -> int:
        return self.n_bands

    def _cepstra(self, audio: Audio, warp: float = 1.0) -> npt.NDArray[np.float32]:
        self.require_warp(warp)
        stream = self._stream()
        return np.concatenate([stream.accept(audio.samples), stream.finish()])

    def finish(self, cepstra: npt.NDArray[Any], stats: CmvnStats | None = None) -> Features:
        return Features((stats or self.stats(cepstra)).apply(cepstra), self.frame_shift)

    def _stream(self, block_frames: int = 10) -> "BandStream":
        return BandStream(self)


class BandStream:
    """Its stream."""

    def __init__(self, bands: Bands) -> None:
        self.bands, self.held = bands, np.zeros(0, np.float32)

    def accept(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.held = np.concatenate([self.held, samples])
        rows = []
        size, shift = round(0.030 * self.bands.rate), round(0.015 * self.bands.rate)
        while len(self.held) >= size:
            power = np.abs(np.fft.rfft(self.held[:size] * np.hanning(size))) ** 2
            rows.append([np.log(p.sum() + 1e-6) for p in np.array_split(power, self.bands.n_bands)])
            self.held = self.held[shift:]
        return np.array(rows, np.float32).reshape(-1, self.bands.n_bands)

    def finish(self) -> npt.NDArray[np.float32]:
        return np.zeros((0, self.bands.n_bands), np.float32)


@pytest.mark.parametrize("recipe", ["mono", "sat"])
def test_a_new_front_end_trains_saves_loads_decodes(
    tmp_path, tiny_speech: TinySpeech, recipe: str
) -> None:
    options = TrainingOptions(features=Bands(), n_passes=6, n_gaussians=40, n_workers=1,
                              split_occupancy=10)  # fmt: skip
    train_model(tiny_speech.train, tiny_speech.lexicon, tmp_path / "model", options, recipe=recipe)
    model = load_model(tmp_path / "model")
    assert model.front_end == Bands()
    assert model.frame_shift == 0.015
    assert describe(tmp_path / "model")["front_end"] == "bands of a test"
    build(tmp_path / "model", tiny_speech.lexicon, "loop", tmp_path / "graph")
    corpus = read_corpus(tiny_speech.test)
    outcomes = list(decode_corpus(Recognizer.load(tmp_path / "graph"), corpus))
    texts = [o.decoded.text for o in outcomes if o.decoded]
    assert texts == [" ".join(u.words or ()) for u in corpus]


FRONT_ENDS = [
    FeatureOptions(rate=8000),
    FeatureOptions(rate=8000, snip_edges=False),
    FeatureOptions(frame_length=0.032, frame_shift=0.008),
    SphinxOptions(),
    HtkOptions(),
    HtkOptions("MFCC_E_D_A_Z", rate=8000, windowsize=250000.0, enormalise=False),
    HtkOptions("MFCC_0_D_N_Z", rate=8000, deltawindow=3),
    Bands(),
]


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: f.kind)
def test_they_come_back_from_their_values(front_end: FrontEnd) -> None:
    values = front_end.to_dict()
    assert front_end_class(front_end.kind) is type(front_end)
    assert front_end_from_dict(front_end.kind, values) == front_end
    with pytest.raises(FormatError, match=r"here: unknown feature option 'colour'"):
        front_end_from_dict(front_end.kind, {**values, "colour": 1}, where="here")


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(FormatError, match=r"unknown front end; got 'plp', expected .*kaldi or sph"):
        front_end_from_dict("plp", {})


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(FRONT_ENDS), st.floats(0.15, 0.85))
def test_a_frame_is_where_its_window_has_its_middle(front_end: FrontEnd, at: float) -> None:
    """A click is loudest in the frame whose stretch, boundary to boundary, it lies in."""
    samples = np.zeros(front_end.rate, np.float32)
    samples[int(at * front_end.rate)] = 0.5
    loudness = front_end.cepstra(Audio(samples, front_end.rate))[:, : front_end.n_ceps]
    if front_end.kind == Bands.kind:
        loudness = loudness.sum(axis=1)
    else:
        loudness = loudness[:, -1 if front_end.kind == "htk" else 0]
    frames = np.flatnonzero(loudness >= loudness.max() - 1e-4)
    middle = (frames[0] + frames[-1] + 1) / 2
    when = front_end.frame_to_time(middle)
    assert abs(when - at) <= 0.6 * front_end.frame_shift
    assert front_end.frame_to_time(front_end.time_to_frame(at)) == pytest.approx(
        at, abs=front_end.frame_shift * 0.51
    )


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(FRONT_ENDS), st.integers(3000, 9000), st.integers(0, 99),
       st.integers(1, 20), st.lists(st.integers(0, 9000), max_size=6))  # fmt: skip
def test_live_features_are_those_of_the_whole(
    front_end: FrontEnd, n: int, seed: int, block: int, cuts: list[int]
) -> None:
    """Whatever the pieces and blocks, with the same statistics, on one driver for all of them."""
    rng = np.random.default_rng(seed)
    samples = (0.1 * rng.standard_normal(n)).astype(np.float32)
    cepstra = front_end.cepstra(Audio(samples, front_end.rate))
    stats = front_end.stats(cepstra)
    stream = FeatureStream(front_end, front_end.finish, LiveCmvnOptions("fixed"), stats=stats,
                           block_frames=block)  # fmt: skip
    blocks = [b for piece in np.split(samples, sorted(cuts)) for b in stream.accept(piece)]
    blocks += stream.finish()
    found = np.concatenate([b.array for b in blocks])
    np.testing.assert_allclose(found, front_end.finish(cepstra, stats).array, rtol=1e-4, atol=1e-4)
    assert {b.frame_shift for b in blocks} == {front_end.frame_shift}


def test_boundaries_by_hand() -> None:
    assert FeatureOptions().frame_to_time(100) == pytest.approx(1.0 + (0.025 - 0.010) / 2)
    assert FeatureOptions(snip_edges=False).frame_to_time(100) == pytest.approx(1.0)
    assert SphinxOptions().frame_to_time(np.array([0, 3])).tolist() == pytest.approx(
        [(0.025625 - 0.010) / 2, 0.03 + (0.025625 - 0.010) / 2]
    )


@pytest.mark.parametrize("front_end", [SphinxOptions(), Bands()], ids=lambda f: f.kind)
def test_who_cannot_warp_says_so(front_end: FrontEnd) -> None:
    with pytest.raises(DataError, match=f"front end '{front_end.kind}' does not warp"):
        front_end.cepstra(Audio(np.zeros(front_end.rate, np.float32), front_end.rate), warp=1.1)
