import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.sphinx import (
    NoiseTracker,
    SphinxOptions,
    finish_cepstra,
    sphinx_cepstra,
    sphinx_features,
    stream_slices,
)

SMALL = {"samprate": 2000.0, "wlen": 0.02, "lowerf": 50.0, "upperf": 900.0, "nfilt": 8, "ncep": 4}


class SlowNoise:
    """Noise removal as the facts sheet writes it, one filter and frame at a time."""

    def __init__(self):
        self.first = True

    def __call__(self, m):
        n = len(m)
        if self.first:
            self.power, self.noise = list(m), [x / 20 for x in m]
            self.floor, self.peak = [x / 20 for x in m], [0.0] * n
            self.first = False

        def env(buf, x):
            return 0.995 * x + 0.005 * buf if buf >= x else 0.5 * x + 0.5 * buf

        gain = []
        for i in range(n):
            self.power[i] = 0.7 * self.power[i] + 0.3 * m[i]
            self.noise[i] = env(self.power[i], self.noise[i])
            sig = max(self.power[i] - self.noise[i], 1)
            self.floor[i] = env(sig, self.floor[i])
            cur = sig
            self.peak[i] *= 0.85
            if sig < 0.85 * self.peak[i]:
                sig = 0.2 * self.peak[i]
            self.peak[i] = max(self.peak[i], cur)
            sig = max(sig, self.floor[i])
            gain.append(max(sig / self.power[i] if sig < 20 * self.power[i] else 20, 1 / 20))
        return [m[i] * np.mean(gain[max(i - 4, 0) : min(i + 4, n - 1) + 1]) for i in range(n)]


def slow_cepstra(samples, o, noise):
    """The front end from its definition: sums instead of transforms, one frame at a time."""
    x = np.round(np.asarray(samples) * 32768)
    y = [x[i] - (0.97 * x[i - 1] if i else 0) for i in range(len(x))]
    n_full = 1 + (len(y) - o.frame_size) // o.shift if len(y) >= o.frame_size else 0
    mel = [2595 * math.log10(1 + f / 700) for f in (o.lowerf, o.upperf)]
    points = np.linspace(*mel, o.nfilt + 2)
    edges = [700 * (10 ** (p / 2595) - 1) for p in points]
    spacing = o.samprate / o.n_fft
    if o.round_filters:
        edges = [int(e / spacing + 0.5) * spacing for e in edges]
    rows = []
    for t in range(n_full + 1):
        frame = np.zeros(o.frame_size)
        part = y[t * o.shift : t * o.shift + o.frame_size]
        frame[: len(part)] = part
        if o.remove_dc:
            frame -= frame.mean()
        for i in range(len(frame)):
            frame[i] *= 0.54 - 0.46 * math.cos(2 * math.pi * i / (len(frame) - 1))
        bins = []
        for k in range(o.n_fft // 2):
            turn = np.exp(-2j * math.pi * k * np.arange(len(frame)) / o.n_fft)
            bins.append(abs((frame * turn).sum()) ** 2)
        energies = []
        for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for k, power in enumerate(bins):
                hz = k * spacing
                height = min((hz - left) / (centre - left), (right - hz) / (right - centre))
                total += power * max(height, 0) * (2 / (right - left) if o.unit_area else 1)
            energies.append(total)
        if o.remove_noise:
            energies = noise(energies)
        rows.append(cosine(np.log(np.array(energies) + 1e-4), o))
    return np.array(rows)


def cosine(logs, o):
    n = o.nfilt
    out = []
    for i in range(o.ncep):
        terms = [logs[j] * math.cos(math.pi * i * (j + 0.5) / n) for j in range(n)]
        if o.transform == "legacy":
            value = (terms[0] / 2 + sum(terms[1:])) / n
        else:
            plain = i > 0 or o.transform == "htk"
            value = sum(terms) * math.sqrt((2 if plain else 1) / n)
        if o.lifter:
            value *= 1 + o.lifter // 2 * math.sin(math.pi * i / o.lifter)
        out.append(value)
    return out


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["legacy", "dct", "htk"]),
    st.integers(0, 2**31),
    st.integers(1, 150),
    st.tuples(*[st.booleans()] * 4),
    st.sampled_from([0, 5]),
)
def test_cepstra_are_what_the_definition_says(transform, seed, n, flags, lifter):
    names = ("remove_noise", "remove_dc", "round_filters", "unit_area")
    options = SphinxOptions(transform=transform, lifter=lifter, **SMALL,
                            **dict(zip(names, flags, strict=True)))  # fmt: skip
    samples = np.random.default_rng(seed).normal(size=n) * 0.1
    tracker, slow = NoiseTracker(options.nfilt), SlowNoise()
    for part in (samples, samples[: n // 2 + 1]):  # the second sees a warm tracker
        expected = slow_cepstra(part, options, slow)
        np.testing.assert_allclose(
            sphinx_cepstra(part, options, tracker), expected, rtol=2e-4, atol=2e-4
        )


def test_a_new_tracker_is_the_default():
    options = SphinxOptions(remove_noise=True, **SMALL)
    samples = np.random.default_rng(0).normal(size=200) * 0.1
    again = sphinx_cepstra(samples, options)
    np.testing.assert_array_equal(sphinx_cepstra(samples, options), again)
    tracker = NoiseTracker(options.nfilt)
    first, second = (sphinx_cepstra(samples, options, tracker) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    ("kind", "n_dims"),
    [("1s_c", 13), ("1s_c_d", 26), ("1s_c_d_dd", 39), ("1s_c_d_ld_dd", 52), ("s2_4x", 51),
     ("s3_1x39", 39), ("1s_12c_12d_3p_12dd", 39)],
)  # fmt: skip
def test_slopes(kind, n_dims):
    options = SphinxOptions(feat=kind)
    c = np.random.default_rng(0).normal(size=(7, 13)).astype(np.float32)
    c[:, 0] += 50
    mean = c.mean(axis=0)
    features = finish_cepstra(c, options)
    assert features.shape == (7, n_dims)
    assert options.n_dims == n_dims
    x = np.concatenate([np.repeat(c[:1], 4, 0), c, np.repeat(c[-1:], 4, 0)]) - mean
    d = [x[t + 6] - x[t + 2] for t in range(7)]
    long = [x[t + 8] - x[t] for t in range(7)]
    dd = [(x[t + 7] - x[t + 3]) - (x[t + 5] - x[t + 1]) for t in range(7)]
    for t in range(7):
        now = x[t + 4]
        first = [now[0], d[t][0], dd[t][0]]
        expected = {
            "1s_c": [now], "1s_c_d": [now, d[t]], "1s_c_d_dd": [now, d[t], dd[t]],
            "1s_c_d_ld_dd": [now, d[t], long[t], dd[t]],
            "s2_4x": [now[1:], d[t][1:], long[t][1:], first, dd[t][1:]],
        }.get(kind, [now[1:], d[t][1:], first, dd[t][1:]])  # fmt: skip
        np.testing.assert_allclose(features[t], np.concatenate(expected), rtol=1e-4, atol=1e-4)


def test_the_mean_is_that_of_audible_frames():
    c = np.full((4, 13), 9, np.float32)
    c[2:, 0] = -5
    c[2:, 1:] = 17
    features = finish_cepstra(c, SphinxOptions(feat="1s_c"))
    assert features[0].tolist() == [0] * 13
    assert features[2].tolist() == [-14] + [8] * 12
    assert finish_cepstra(c, SphinxOptions(feat="1s_c", cmn="none")).tolist() == c.tolist()
    noisy = np.random.default_rng(0).normal(size=(50, 13)) * 7 + 30
    scaled = finish_cepstra(noisy, SphinxOptions(feat="1s_c", varnorm=True))
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-3)


def test_streams():
    assert [len(s) for s in stream_slices(SphinxOptions())] == [39]
    assert [len(s) for s in stream_slices(SphinxOptions(feat="s2_4x"))] == [12, 24, 3, 12]
    options = SphinxOptions(svspec="0-2,5/7-8")
    assert [s.tolist() for s in stream_slices(options)] == [[0, 1, 2, 5], [7, 8]]


def test_wrong_input():
    with pytest.raises(DataError, match="no samples"):
        sphinx_features([], SphinxOptions())
    with pytest.raises(DataError, match="one channel"):
        sphinx_features(np.zeros((5, 2)), SphinxOptions())
    with pytest.raises(DataError, match="not finite"):
        sphinx_features([0.0, np.nan], SphinxOptions())
    with pytest.raises(DataError, match="no cepstra"):
        finish_cepstra(np.zeros((3, 12)), SphinxOptions())
    with pytest.raises(UsageError, match="too many mel filters"):
        sphinx_features(np.zeros(100), SphinxOptions(nfilt=200, samprate=16000))
