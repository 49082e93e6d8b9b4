"""Streams of features: any pieces give the bits of one piece; fixed statistics, the batch."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.features import Features
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.live_cmvn import LiveCmvn, LiveCmvnOptions, SpeechGate
from wfst_hmm.signal.sphinx import SphinxOptions, finish_cepstra, sphinx_cepstra
from wfst_hmm.signal.streaming import FeatureStream, SampleStream
from wfst_hmm.signal.transforms import splice

KALDI = [
    FeatureOptions(rate=1000, n_mels=6, n_ceps=4),
    FeatureOptions(rate=1000, n_mels=6, n_ceps=4, snip_edges=False, cmvn="none", delta_order=1),
    FeatureOptions(rate=1000, n_mels=6, n_ceps=4, cmvn_variance=True, delta_window=3),
]
SPHINX = [
    SphinxOptions(samprate=2000.0, wlen=0.02, lowerf=50.0, upperf=900.0, nfilt=8, ncep=4,
                  remove_noise=noise, feat=feat, cmn=cmn)
    for noise, feat, cmn in [(True, "1s_c_d_dd", "batch"), (False, "1s_c_d_ld_dd", "none")]
]  # fmt: skip


def sphinx_finish(
    options: SphinxOptions, matrix: np.ndarray | None, raw: np.ndarray, stats: CmvnStats
) -> Features:
    return Features(finish_cepstra(raw, options, matrix, stats), options.frame_shift)


def finisher(number: int):  # type: ignore[no-untyped-def]
    """Return a front end and what finishes its cepstra."""
    if number < len(KALDI):
        options = KALDI[number]
        return options, lambda raw, stats: options.finish(raw, stats)
    if number == 5:  # slopes, then neighbours side by side, then a projection
        matrix = np.random.default_rng(4).normal(size=(84, 6)).astype(np.float32)
        options = KALDI[0]

        def spliced(raw: np.ndarray, stats: CmvnStats) -> Features:
            whole = splice(options.finish(raw, stats).array, 3, 3)
            return Features(whole @ matrix)

        return options, spliced
    sphinx = SPHINX[number - len(KALDI)]
    matrix = np.random.default_rng(3).normal(size=(5, sphinx.n_dims)) if number % 2 else None
    return sphinx, partial(sphinx_finish, sphinx, matrix)


def run(stream: FeatureStream, samples: np.ndarray, sizes: list[int]) -> np.ndarray:
    blocks, at = [], 0
    for size in [*sizes, len(samples)]:
        blocks += stream.accept(samples[at : at + size])
        at = min(at + size, len(samples))
    blocks += stream.finish()
    return np.concatenate([b.array for b in blocks]) if blocks else np.zeros((0, 1))


def noise(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loud = 0.3 * (1 + np.sin(np.arange(n) / 170))
    return (loud * rng.normal(size=n)).astype(np.float32).clip(-1, 1)


pieces = st.lists(st.sampled_from([0, 1, 2, 7, 40, 333]), max_size=30)


@settings(deadline=None, max_examples=120)
@given(st.integers(0, 5), st.integers(0, 2**32 - 1), st.integers(0, 2500), pieces,
       st.sampled_from([LiveCmvnOptions(window=20, wait=9, prior_frames=7),
                        LiveCmvnOptions(kind="sphinx", wait=30)]),
       st.integers(1, 12))  # fmt: skip
def test_any_pieces_give_the_bits_of_one_piece(
    number: int, seed: int, n: int, sizes: list[int], live: LiveCmvnOptions, block: int
) -> None:
    options, finish = finisher(number)
    samples = noise(seed, n)
    live = LiveCmvnOptions("running") if live.kind == "sphinx" and number == 2 else live
    reach = options.reach + 3 * (number == 5)
    streams = [
        FeatureStream(options, finish, live, reach=reach, block_frames=block) for _ in range(2)
    ]
    whole, cut = run(streams[0], samples, []), run(streams[1], samples, sizes)
    assert cut.shape == whole.shape
    assert cut.tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.integers(0, 2**32 - 1), st.integers(60, 1500), pieces)
def test_with_fixed_statistics_the_stream_is_the_batch(
    number: int, seed: int, n: int, sizes: list[int]
) -> None:
    options, finish = finisher(number)
    samples = noise(seed, n)
    if isinstance(options, SphinxOptions):
        raw = sphinx_cepstra(samples, options)
    else:
        raw = options.cepstra(Audio(samples, options.rate))
    stats = CmvnStats.of(raw * 0.9 + 0.1)
    reach = options.reach + 3 * (number == 5)
    stream = FeatureStream(options, finish, LiveCmvnOptions("fixed"), reach=reach, stats=stats)
    found = run(stream, samples, sizes)
    expected = finish(raw, stats).array
    if isinstance(options, SphinxOptions) or number == 5:  # its matrix products are cut into blocks
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    else:
        assert found.tobytes() == expected.tobytes()


@dataclasses.dataclass(frozen=True)
class Levels:
    """What `LiveCmvn` asks of a front end, for frames whose first number is their level."""

    scales_variance: bool = False
    n_normalized: int = 9

    def level(self, frames: np.ndarray) -> np.ndarray:
        return frames[:, 0].astype(np.float64)

    def counted(self, frames: np.ndarray) -> np.ndarray:
        return frames[:, 0] > 0

    def guessed_stats(self, frames: np.ndarray) -> CmvnStats:
        return CmvnStats.of(frames + np.float32(45))


def slow_gate(levels: list[float]) -> list[bool]:
    """Tell of each frame whether it has a say by looking back at all of them."""
    heard = [t for t, level in enumerate(levels) if level > 0]
    loud = []
    for k, t in enumerate(heard):
        least = min(levels[s] for s in heard[max(0, k - 299) : k + 1])
        loud.append(levels[t] > least + 10)
    said = [False] * len(levels)
    for k in range(len(heard)):
        starts = range(max(0, k - 29), k + 1)
        said[heard[k]] = any(s >= 4 and all(loud[s - 4 : s + 1]) for s in starts)
    return said


def slow_running(
    x: np.ndarray, said: list[bool], o: LiveCmvnOptions, prior: CmvnStats, variance: bool
) -> np.ndarray:
    """Kaldi's online CMVN as defined, over the frames that have a say: look back at all of them."""
    rows = []
    for t in range(len(x)):
        seen = x[[s for s in range(t + 1) if said[s]][-o.window :]].astype(np.float64)
        share = max(0, min(o.prior_frames, o.window - len(seen))) / prior.count
        count = max(len(seen) + share * prior.count, 1e-10)
        mean = (seen.sum(axis=0) + share * prior.sum) / count
        row = x[t] - mean
        if variance:
            square = ((seen**2).sum(axis=0) + share * prior.sumsq) / count - mean**2
            row /= np.sqrt(np.maximum(square, 1e-10))
        rows.append(row)
    return np.array(rows)


stretches = st.lists(
    st.tuples(st.sampled_from([-5.0, 3.0, 9.0, 12.0, 20.0, 40.0]), st.integers(1, 60)), max_size=12
)


def levels_of(parts: list[tuple[float, int]], seed: int) -> np.ndarray:
    levels = np.concatenate([np.zeros(0), *(np.full(n, level) for level, n in parts)])
    x = np.random.default_rng(seed).normal(0.0, 1.0, (len(levels), 3)).astype(np.float32)
    x[:, 0] += levels
    return x


@settings(deadline=None)
@given(stretches, st.integers(0, 2**32 - 1), st.integers(0, 400))
def test_the_gate_is_what_its_definition_says(
    parts: list[tuple[float, int]], seed: int, cut: int
) -> None:
    x = levels_of(parts, seed)
    gate = SpeechGate(Levels())  # type: ignore[arg-type]
    found = np.concatenate([gate.accept(x[:cut]), gate.accept(x[cut:])])
    assert found.tolist() == slow_gate(x[:, 0].tolist())


def test_speech_has_a_say_and_waiting_has_none() -> None:
    spoken = [20.0, 45.0] * 50
    levels = [[0.0] * 900, [2.0] * 400, [60.0] * 3, [2.0] * 100, spoken, [2.0] * 900]
    x = np.concatenate([np.array(part) for part in levels])[:, None].astype(np.float32)
    said = SpeechGate(Levels()).accept(x)  # type: ignore[arg-type]
    first = 900 + 400 + 3 + 100
    assert not said[:first].any()  # digital silence, faint noise, a click
    assert said[first + 4 : first + 100].all()
    assert not said[first + 100 + 30 :].any()


@settings(deadline=None, max_examples=60)
@given(stretches, st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_a_running_mean_is_what_its_definition_says(
    parts: list[tuple[float, int]], seed: int, window: int, prior_frames: int, variance: bool
) -> None:
    x = levels_of(parts, seed)
    prior = CmvnStats.of(np.random.default_rng(seed).normal(size=(11, 3)))
    options = LiveCmvnOptions(window=window, prior_frames=prior_frames)
    live = LiveCmvn(options, Levels(variance), prior)  # type: ignore[arg-type]
    found = np.concatenate([live.accept(x[:5]), live.accept(x[5:])])
    if not len(x) or (variance and (prior_frames < 2 or window < 3)):
        return  # next to no frames: the variance hangs on rounding
    expected = slow_running(x, slow_gate(x[:, 0].tolist()), options, prior, variance)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_sphinx_live_mean_stands_still_and_then_moves() -> None:
    prior = CmvnStats(2.0, np.array([2.0, 4.0]), np.zeros(2))  # mean 1, 2
    live = LiveCmvn(LiveCmvnOptions("sphinx"), Levels(), prior)  # type: ignore[arg-type]
    x = np.tile(np.array([[30.0, 5.0]], dtype=np.float32), (306, 1))
    x[0, 0] = 1.0  # what is quiet; the next four are not yet speech
    x[10, 0] = -1.0  # has no say
    found = live.accept(x)
    np.testing.assert_allclose(found[:, 1], 3.0)  # 500 + 300 frames are no more than 800
    live.accept(x[-1:])
    mean = (500 * 2.0 + 301 * 5.0) / 801
    np.testing.assert_allclose(live.accept(x[-1:])[0, 1], 5.0 - mean, rtol=1e-6)


def test_a_stream_that_knows_no_mean_does_not_take_silence_for_speech() -> None:
    x = levels_of([(-5.0, 200), (45.0, 100)], 0)
    live = LiveCmvn(LiveCmvnOptions(), Levels())  # type: ignore[arg-type]
    found = live.accept(x)
    assert found[:200, 0].max() < -30
    spoken = LiveCmvn(LiveCmvnOptions(), Levels())  # type: ignore[arg-type]
    loud = levels_of([(5.0, 5), (45.0, 100)], 0)
    assert abs(spoken.accept(loud)[10:, 0].mean()) < 2  # speech among the first frames is the mean


def test_resampling_streams() -> None:
    samples = noise(1, 5000)
    whole, cut = (SampleStream(8000, 11025, resample=True) for _ in range(2))
    expected = np.concatenate([whole.accept(samples), whole.finish()])
    parts = [cut.accept(samples[i : i + 1]) for i in range(100)]
    parts += [
        cut.accept(samples[100:100]),
        cut.accept(samples[100:3000]),
        cut.accept(samples[3000:]),
    ]
    found = np.concatenate([*parts, cut.finish()])
    assert found.tobytes() == expected.tobytes()
    assert abs(len(found) - 5000 * 8000 / 11025) < 2


def test_kinds_of_samples() -> None:
    stream = SampleStream(8000)
    pcm = np.array([0, 16384, -32768], dtype=np.int16)
    assert stream.accept(pcm).tolist() == [0.0, 0.5, -1.0]
    assert stream.accept(pcm[:, None]).tolist() == [0.0, 0.5, -1.0]
    assert stream.accept([]).tolist() == []
    assert SampleStream(8000, channel=1).accept(np.array([[0.0, 1.0]])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, np.nan]), "sample 4 is nan"),
        (np.array([np.inf], dtype=np.float32), "sample 3 is inf"),
        (np.zeros((3, 2)), "2 channels"),
        (np.zeros((3, 2, 1)), "unknown shape"),
        (np.zeros(3, dtype=np.int64), "unknown type"),
        (np.array(["a"]), "unknown type"),
    ],
)
def test_bad_samples_are_refused_and_the_stream_goes_on(samples: np.ndarray, message: str) -> None:
    stream = SampleStream(8000)
    stream.accept(np.zeros(3))
    with pytest.raises(DataError, match=message):
        stream.accept(samples)
    assert len(stream.accept(np.zeros(2))) == 2


def test_bad_options() -> None:
    with pytest.raises(UsageError, match="wrong sampling rate"):
        SampleStream(8000, 16000)
    with pytest.raises(UsageError, match="no sampling rate"):
        SampleStream(8000, 0)
    with pytest.raises(DataError, match="no channel 2"):
        SampleStream(8000, channel=2).accept(np.zeros((3, 2)))
    with pytest.raises(UsageError, match="needs statistics"):
        LiveCmvn(LiveCmvnOptions("fixed"), KALDI[0])
    with pytest.raises(DataError, match="no frames"):
        LiveCmvn(LiveCmvnOptions(), KALDI[0], CmvnStats(0.0, np.zeros(1), np.zeros(1)))
    with pytest.raises(UsageError, match="mean only"):
        LiveCmvn(LiveCmvnOptions("sphinx"), KALDI[2])
    with pytest.raises(UsageError, match="unknown kind"):
        LiveCmvnOptions("batch")
    with pytest.raises(UsageError, match="wait"):
        LiveCmvnOptions(wait=0)
