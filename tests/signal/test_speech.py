import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.speech import (
    SpeechOptions,
    fill_pauses,
    frame_levels,
    frames_of,
    speech_frames,
    speech_regions,
    stretches,
)

RATE = 8000


def bursts(spans: list[tuple[float, float]], seconds: float, *, noise: float = 1e-3) -> Audio:
    """Return noise with louder noise, modulated like syllables, in `spans`."""
    rng = np.random.default_rng(0)
    n = round(seconds * RATE)
    time = np.arange(n) / RATE
    samples = noise * rng.standard_normal(n)
    for start, end in spans:
        inside = (time >= start) & (time < end)
        samples[inside] += (0.1 + 0.08 * np.sin(25 * time[inside])) * rng.standard_normal(
            int(inside.sum())
        )
    return Audio(samples.astype(np.float32), RATE)


def test_bursts_are_found_where_they_are() -> None:
    spans = [(0.7, 2.3), (4.0, 4.9), (6.0, 9.5)]
    found = speech_regions(bursts(spans, 10.0), SpeechOptions(pad=0.0))
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found, spans, atol=0.06)


def test_the_threshold_follows_the_noise() -> None:
    # Quiet speech in a quiet hour, and noise as loud as that speech later on.
    early = bursts([(5.0, 15.0)], 60.0, noise=1e-5).samples * np.float32(0.02)
    late = bursts([(20.0, 40.0)], 60.0, noise=4e-3).samples
    found = frames_of(speech_regions(Audio(np.concatenate([early, late]), RATE)), 12000)
    truth = frames_of(np.array([[5.0, 15.0], [80.0, 100.0]]), 12000)
    wrong = found != truth
    wrong[6000:7300] = False  # the noise jumps here: nobody can know before having heard it
    assert wrong.mean() < 0.005


@pytest.mark.parametrize("level", [0.0, 1e-6, 0.2])
def test_evenness_is_no_speech(level: float) -> None:
    audio = Audio((level * np.random.default_rng(1).standard_normal(40_000)).astype("f4"), RATE)
    assert not speech_frames(audio).any()
    with pytest.raises(DataError, match=r"no speech in the recording; got levels of .* dB"):
        speech_regions(audio)


def test_levels_are_decibels_of_full_scale() -> None:
    square = np.tile([1.0, -1.0], 4000).astype(np.float32)
    np.testing.assert_allclose(frame_levels(Audio(square, RATE)), 0.0, atol=1e-6)
    np.testing.assert_allclose(frame_levels(Audio(0.1 * square, RATE)), -20.0, atol=1e-4)
    assert len(frame_levels(Audio(square[:81], RATE))) == 2


def test_options_are_checked() -> None:
    for wrong in ({"share": 1.0}, {"window": 0.0}, {"pad": -1.0}):
        with pytest.raises(UsageError):
            SpeechOptions(**wrong)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.booleans(), max_size=60), st.integers(0, 5), st.integers(0, 5),
       st.integers(0, 3))  # fmt: skip
def test_pauses_are_filled_as_in_the_slow_twin(
    bits: list[bool], gap: int, least: int, pad: int
) -> None:
    options = SpeechOptions(min_pause=gap * 0.01, min_speech=least * 0.01, pad=pad * 0.01)
    mask = np.array(bits, dtype=bool)
    runs: list[list[int]] = []
    for at, bit in enumerate(bits):  # joined over pauses shorter than the gap
        if bit and runs and at - runs[-1][1] < max(gap, 1):
            runs[-1][1] = at + 1
        elif bit:
            runs.append([at, at + 1])
    expected = [
        any(a - pad <= at < b + pad and b - a >= least for a, b in runs) for at in range(len(bits))
    ]
    assert fill_pauses(mask, options).tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), max_size=60))
def test_stretches_and_frames_undo_each_other(bits: list[bool]) -> None:
    mask = np.array(bits, dtype=bool)
    assert np.array_equal(frames_of(stretches(mask) * 0.01, len(mask)), mask)
