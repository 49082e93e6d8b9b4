"""MFCCs, deltas and options, each against an obvious twin."""

import dataclasses
import json

import kaldi_native_fbank as knf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features, add_deltas
from wfst_hmm.signal.kaldi import WINDOWS, FeatureOptions
from wfst_hmm.signal.warp import warped_mfcc


def noise(n: int, rate: int, seed: int = 0) -> Audio:
    return Audio((0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32), rate)


def slow_slope(x: np.ndarray, window: int) -> np.ndarray:
    """The HTK formula, one frame at a time; the frames beyond the edges repeat the edge."""
    out = np.zeros_like(x)
    for t in range(len(x)):
        for j in range(1, window + 1):
            after = x[min(t + j, len(x) - 1)]
            before = x[max(t - j, 0)]
            out[t] += j * (after - before)
    return out / (2 * sum(j * j for j in range(1, window + 1)))


@given(
    n_frames=st.integers(1, 30),
    n_dims=st.integers(1, 4),
    window=st.integers(1, 4),
    order=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_deltas(n_frames: int, n_dims: int, window: int, order: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n_frames, n_dims)).astype(np.float32)
    got = add_deltas(x, order=order, window=window)
    assert got.shape == (n_frames, n_dims * (order + 1))
    np.testing.assert_array_equal(got[:, :n_dims], x)
    if order:
        slope = slow_slope(x.astype(np.float64), window)
        np.testing.assert_allclose(got[:, n_dims : 2 * n_dims], slope, atol=1e-5)
    theirs = knf.compute_deltas(knf.DeltaOptions(order=order, window=window), x)
    np.testing.assert_allclose(got, theirs, atol=1e-5)
    # Kaldi pads once, then convolves: away from the edges that is the slope of the slope.
    reach = 2 * window
    if order > 1 and n_frames > 2 * reach:
        twice = slow_slope(slow_slope(x.astype(np.float64), window), window)
        block = got[reach:-reach, 2 * n_dims : 3 * n_dims]
        np.testing.assert_allclose(block, twice[reach:-reach], atol=1e-5)


def test_deltas_of_nothing() -> None:
    assert add_deltas(np.zeros((0, 3)), order=2).shape == (0, 9)


@given(
    rate=st.sampled_from([8000, 11025, 16000, 22050, 44100]),
    n_samples=st.integers(1, 6000),
    snip_edges=st.booleans(),
    use_energy=st.booleans(),
    remove_dc=st.booleans(),
    window=st.sampled_from(WINDOWS),
    lifter=st.sampled_from([0.0, 22.0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_two_ways_to_mfccs(
    rate: int,
    n_samples: int,
    snip_edges: bool,
    use_energy: bool,
    remove_dc: bool,
    window: str,
    lifter: float,
    seed: int,
) -> None:
    options = FeatureOptions(
        rate=rate,
        snip_edges=snip_edges,
        use_energy=use_energy,
        remove_dc=remove_dc,
        window=window,
        lifter=lifter,
    )
    audio = noise(n_samples, rate, seed)
    try:
        theirs = options.cepstra(audio)
    except DataError as error:
        assert "too short for one frame" in str(error)  # noqa: PT017
        return
    ours = warped_mfcc(audio, options, 1.0)
    assert theirs.shape == ours.shape
    assert len(theirs) > 0
    np.testing.assert_allclose(ours, theirs, atol=5e-3)


@pytest.mark.parametrize(("snip_edges", "n_frames"), [(True, 98), (False, 100)])
def test_number_of_frames(snip_edges: bool, n_frames: int) -> None:
    audio = noise(8000, 8000)
    assert len(FeatureOptions(rate=8000, snip_edges=snip_edges).cepstra(audio)) == n_frames


@pytest.mark.parametrize(("snip_edges", "needed"), [(True, 200), (False, 40)])
def test_too_short(snip_edges: bool, needed: int) -> None:
    options = FeatureOptions(rate=8000, snip_edges=snip_edges)
    assert len(options.cepstra(noise(needed, 8000))) == 1
    with pytest.raises(DataError, match=rf"too short for one frame; got {needed - 1} samples"):
        options.cepstra(noise(needed - 1, 8000))


def test_mfcc_repeats_and_digital_silence_is_finite() -> None:
    options = FeatureOptions(rate=8000)
    audio = noise(4000, 8000)
    np.testing.assert_array_equal(options.cepstra(audio), options.cepstra(audio))
    silence = Audio(np.zeros(4000, dtype=np.float32), 8000)
    for use_energy in (False, True):
        raw = dataclasses.replace(options, use_energy=use_energy).cepstra(silence)
        assert np.isfinite(raw).all()


def test_scale_is_that_of_16_bits() -> None:
    tone = Audio(np.sin(0.2 * np.arange(8000)).astype(np.float32), 8000)
    options = FeatureOptions(rate=8000, use_energy=True)
    energy = np.log(200 * 0.5 * 32768.0**2)  # a full-scale sine over 200 samples
    assert options.cepstra(tone)[10, 0] == pytest.approx(energy, abs=0.05)


def test_warp_moves_a_resonance() -> None:
    options = FeatureOptions(rate=8000, n_ceps=23, lifter=0.0)
    t = np.arange(8000)
    tone = Audio((0.1 * np.sin(2 * np.pi * 1000 / 8000 * t)).astype(np.float32), 8000)
    # All cepstra without lifter: the inverse cosine transform gives back the mel spectrum.
    n = np.arange(23)
    cosines = np.cos(np.pi / 23 * np.outer(n + 0.5, n))
    cosines[:, 0] *= np.sqrt(0.5)
    peaks = [
        int(np.argmax(cosines @ options.cepstra(tone, warp=warp).mean(axis=0)))
        for warp in (0.8, 1.0, 1.25)
    ]
    # A factor above 1 takes the filters down to f / factor: the tone lands in a higher one.
    assert peaks == [8, 10, 12]


def test_warp_out_of_range() -> None:
    audio = noise(8000, 8000)
    for warp in (0.4, 2.1, float("nan")):
        with pytest.raises(UsageError, match="vtln_warp"):
            FeatureOptions(rate=8000).cepstra(audio, warp=warp)
    with pytest.raises(UsageError, match="leaves the band"):
        FeatureOptions(rate=8000, low_freq=300.0).cepstra(audio, warp=1.1)
    assert FeatureOptions(rate=8000, low_freq=300.0).cepstra(audio).shape == (98, 13)


def test_wrong_rate() -> None:
    with pytest.raises(DataError, match="got 8000 Hz, expected 16000 Hz"):
        FeatureOptions().cepstra(noise(8000, 8000))


@pytest.mark.parametrize("warp", [1.0, 1.1])
def test_filters_narrower_than_the_spectrum(warp: float) -> None:
    with pytest.raises(UsageError, match="n_mels 128 at 8000 Hz"):
        FeatureOptions(rate=8000, n_mels=128).cepstra(noise(8000, 8000), warp=warp)


def test_finish() -> None:
    options = FeatureOptions(rate=8000)
    raw = options.cepstra(noise(8000, 8000))
    done = options.finish(raw)
    assert (done.n_frames, done.n_dims) == (98, options.n_dims) == (98, 39)
    np.testing.assert_allclose(done.array[:, :13].mean(axis=0), 0.0, atol=1e-4)
    stats = CmvnStats.of(np.concatenate([raw, raw + 2.0]))
    shifted = options.finish(raw, stats)
    np.testing.assert_allclose(shifted.array[:, :13] + 1.0, done.array[:, :13], atol=1e-4)
    plain = dataclasses.replace(options, cmvn="none").finish(raw, stats)
    np.testing.assert_array_equal(plain.array[:, :13], raw)
    scaled = dataclasses.replace(options, cmvn_variance=True).finish(raw)
    np.testing.assert_allclose(scaled.array[:, :13].std(axis=0), 1.0, rtol=1e-3)
    assert not done.array.flags.writeable


def test_features_refuse_what_is_not_finite() -> None:
    bad = np.zeros((3, 2), dtype=np.float32)
    bad[2, 1] = np.inf
    with pytest.raises(DataError, match="feature 1 of frame 2 is inf"):
        Features(bad)
    with pytest.raises(DataError, match="T x D"):
        Features(np.zeros(3, dtype=np.float32))


def test_options_survive_json() -> None:
    options = FeatureOptions(rate=8000, high_freq=-200.0, cmvn="utterance", snip_edges=False)
    assert FeatureOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options
    assert all(field.metadata["help"].endswith(".") for field in dataclasses.fields(options))
    assert FeatureOptions(rate=np.int64(8000), lifter=22) == FeatureOptions(rate=8000)
    assert isinstance(FeatureOptions(lifter=22).lifter, float)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": "8000"},
        {"rate": 8000.5},
        {"rate": True},
        {"resample": 1},
        {"frame_shift": 0.0},
        {"frame_shift": float("nan")},
        {"frame_length": 2.0},
        {"window": "kaiser"},
        {"n_mels": 3},
        {"n_ceps": 24},
        {"low_freq": 9000.0},
        {"high_freq": 9000.0},
        {"high_freq": -7990.0},
        {"preemphasis": 1.5},
        {"lifter": -1.0},
        {"cmvn": "global"},
        {"delta_order": 9},
        {"delta_window": 0},
    ],
)
def test_options_refuse(wrong: dict[str, object]) -> None:
    name = next(iter(wrong))
    with pytest.raises(UsageError, match=f"feature option {name}; got"):
        FeatureOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=f"model.json: feature option {name}"):
        FeatureOptions.from_dict(wrong, where="model.json")


def test_options_of_another_version() -> None:
    with pytest.raises(FormatError, match="unknown feature option 'pitch'"):
        FeatureOptions.from_dict({"pitch": True})
    with pytest.raises(FormatError, match="expected dict"):
        FeatureOptions.from_dict([])  # type: ignore[arg-type]
