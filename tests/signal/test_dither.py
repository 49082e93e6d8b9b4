"""Noise for samples that stand still: any pieces, the slow twin, nothing else touched."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.signal.dither import Dither, dithered, unit_noise

RATE = 800  # a run of 8 samples is long


def slow(samples: np.ndarray) -> np.ndarray:
    """Look at every run of equal numbers, one after another."""
    out = samples.copy()
    units = [round(float(x) * 32768) for x in samples]
    start = 0
    for end in range(1, len(units) + 1):
        if end == len(units) or units[end] != units[start]:
            if end - start >= 8:
                for i in range(start, end):
                    out[i] += unit_noise()[(i - start) % 65536]
            start = end
    return out


runs = st.lists(st.tuples(st.sampled_from([0, 0, 1, -1, 7, -300]), st.integers(1, 20)), max_size=12)


@settings(deadline=None)
@given(runs, st.lists(st.integers(0, 15), max_size=20))
def test_any_pieces_give_what_the_slow_twin_gives(
    values: list[tuple[int, int]], sizes: list[int]
) -> None:
    samples = np.concatenate(
        [np.zeros(0), *(np.full(n, v / 32768 + 1e-6 * (n % 3)) for v, n in values)]
    ).astype(np.float32)
    dither, at, parts = Dither(RATE), 0, []
    for size in [*sizes, len(samples)]:
        parts.append(dither.accept(samples[at : at + size]))
        at = min(at + size, len(samples))
    parts.append(dither.finish())
    np.testing.assert_array_equal(np.concatenate(parts), slow(samples))
    np.testing.assert_array_equal(dithered(samples, RATE), slow(samples))


def test_what_moves_is_left_to_the_bit() -> None:
    samples = (np.random.default_rng(0).integers(-3, 4, 5000) / 32768).astype(np.float32)
    assert dithered(samples, 16000).tobytes() == samples.tobytes()


def test_an_endless_silence_is_white_and_of_one_unit() -> None:
    noise = dithered(np.zeros(200_000, dtype=np.float32), 16000) * 32768
    assert set(noise.tolist()) == {-1.0, 1.0}
    assert abs(noise.mean()) < 0.01
    assert abs(np.mean(noise[1:] * noise[:-1])) < 0.01
