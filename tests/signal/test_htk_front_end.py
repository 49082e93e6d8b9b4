"""HTK's front end against the formulas of the HTK Book, one number at a time, and HCopy's files."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.signal.audio import Audio, read_audio
from wfst_hmm.signal.htk import HtkOptions
from wfst_hmm.signal.htk_files import HtkFeatures, read_htk_features

SMALL = {"rate": 1000, "windowsize": 320000.0, "targetrate": 100000.0}  # 32 samples, 10 apart


def slow_statics(samples: np.ndarray, o: HtkOptions) -> np.ndarray:
    """The HTK Book, chapter 5, one frame and one filter at a time."""
    marks = o.targetkind.split("_")
    size, shift = 32, 10
    n_fft = 64 if o.doublefft else 32
    low, high = max(o.lofreq, 0.0), o.hifreq if o.hifreq >= 0 else o.rate / 2
    mel = lambda f: 1127 * math.log(1 + f / 700)  # noqa: E731
    centres = [
        mel(low) + c * (mel(high) - mel(low)) / (o.numchans + 1) for c in range(o.numchans + 2)
    ]
    rows = []
    for begin in range(0, len(samples) - size + 1, shift):
        frame = [float(x) * 32768 for x in samples[begin : begin + size]]
        if o.zmeansource:
            mean = sum(frame) / size
            frame = [x - mean for x in frame]
        energy = sum(x * x for x in frame)
        frame = [frame[0] * (1 - o.preemcoef)] + [
            b - o.preemcoef * a for a, b in itertools.pairwise(frame)
        ]
        if o.usehamming:
            frame = [x * (0.54 - 0.46 * math.cos(2 * math.pi * n / (size - 1)))
                     for n, x in enumerate(frame)]  # fmt: skip
        if not o.rawenergy:
            energy = sum(x * x for x in frame)
        filters = [0.0] * o.numchans
        for k in range(1, n_fft // 2):
            hertz = k * o.rate / n_fft
            if (o.lofreq >= 0 and k < int(low * n_fft / o.rate + 1.5)) or (
                o.hifreq >= 0 and k > int(high * n_fft / o.rate - 0.5)
            ):
                continue
            bin_ = sum(x * np.exp(-2j * np.pi * k * n / n_fft) for n, x in enumerate(frame))
            level = abs(bin_) ** 2 if o.usepower else abs(bin_)
            for c in range(1, o.numchans + 1):
                here = mel(hertz)
                if centres[c - 1] <= here <= centres[c]:
                    weight = (here - centres[c - 1]) / (centres[c] - centres[c - 1])
                elif centres[c] < here <= centres[c + 1]:
                    weight = (centres[c + 1] - here) / (centres[c + 1] - centres[c])
                else:
                    continue
                filters[c - 1] += weight * level
        if marks[0] == "MELSPEC":
            row = filters
        else:
            row = logs = [math.log(max(1.0, f)) for f in filters]
        if marks[0] == "MFCC":
            scale = math.sqrt(2 / o.numchans)
            row = []
            for i in range(1, o.numceps + 1):
                c_i = scale * sum(
                    m * math.cos(math.pi * i / o.numchans * (j - 0.5))
                    for j, m in enumerate(logs, 1)
                )
                lifter = 1 + o.ceplifter / 2 * math.sin(math.pi * i / o.ceplifter) if o.ceplifter else 1  # fmt: skip
                row.append(c_i * lifter)
            if "0" in marks:
                row.append(scale * sum(logs))
        if "E" in marks:
            row.append(math.log(energy) if energy > 0 else -1e10)
        rows.append(row)
    if "E" in marks and o.enormalise:
        loudest = max(row[-1] for row in rows)
        for row in rows:
            floor = loudest - o.silfloor * math.log(10) / 10
            row[-1] = 1 - o.escale * (loudest - max(row[-1], floor))
    return np.array(rows)


def slow_features(statics: np.ndarray, o: HtkOptions) -> np.ndarray:
    _, *marks = o.targetkind.split("_")
    blocks = [statics]
    for mark, window in (("D", o.deltawindow), ("A", o.accwindow), ("T", o.thirdwindow)):
        if mark not in marks:
            continue
        x, n = blocks[-1], len(statics)
        slopes = np.zeros_like(x)
        for t in range(n):
            if o.simplediffs:
                slopes[t] = (x[min(t + window, n - 1)] - x[max(t - window, 0)]) / (2 * window)
                continue
            for j in range(1, window + 1):
                slopes[t] += j * (x[min(t + j, n - 1)] - x[max(t - j, 0)])
            slopes[t] /= 2 * sum(j * j for j in range(1, window + 1))
        blocks.append(slopes)
    if "Z" in marks:
        n_mean = statics.shape[1] - ("E" in marks)
        mean = statics[:, :n_mean].mean(axis=0)
        blocks[0] = np.hstack([statics[:, :n_mean] - mean, statics[:, n_mean:]])
    if "N" in marks:
        blocks[0] = blocks[0][:, :-1]
    return np.hstack(blocks)


KINDS = (
    "MFCC", "MFCC_0", "MFCC_E_D", "MFCC_0_D_A", "MFCC_E_D_A_T_Z", "MFCC_0_D_N_Z", "MFCC_E_D_N",
    "MFCC_0_E_Z", "FBANK_E_D", "FBANK_D_A_Z", "MELSPEC",
)  # fmt: skip


@st.composite
def options(draw) -> HtkOptions:
    flags = ("zmeansource", "usehamming", "usepower", "rawenergy", "enormalise", "doublefft",
             "simplediffs")  # fmt: skip
    band = draw(st.sampled_from([(-1.0, -1.0), (60.0, -1.0), (-1.0, 400.0), (50.0, 450.0)]))
    return HtkOptions(
        draw(st.sampled_from(KINDS)), **SMALL, **{flag: draw(st.booleans()) for flag in flags},
        numchans=draw(st.integers(5, 7)), numceps=draw(st.integers(2, 5)), lofreq=band[0],
        hifreq=band[1], ceplifter=draw(st.sampled_from([0, 3, 22])),
        preemcoef=draw(st.sampled_from([0.0, 0.97])), deltawindow=draw(st.integers(1, 3)),
        accwindow=draw(st.integers(1, 3)), thirdwindow=draw(st.integers(1, 3)),
        silfloor=draw(st.sampled_from([5.0, 50.0])),
    )  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(options(), st.integers(32, 110), st.integers(0, 999))
def test_it_is_the_book(o: HtkOptions, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal(n) * 0.1 * np.linspace(0, 1, n)).astype(np.float32)
    audio = Audio(samples, o.rate)
    expected = slow_statics(samples, o)
    np.testing.assert_allclose(o.cepstra(audio), expected, rtol=2e-5, atol=2e-4)
    features = o.features(audio)
    assert features.array.shape == (1 + (n - 32) // 10, o.n_dims)
    np.testing.assert_allclose(features.array, slow_features(expected, o), rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(options(), st.integers(0, 300), st.integers(0, 999), st.data())
def test_pieces_do_not_matter(o: HtkOptions, n: int, seed: int, data) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)
    stream, found, at = o.stream(), [], 0
    while at < n:
        size = data.draw(st.integers(1, 80))
        found.append(stream.accept(samples[at : at + size]))
        at += size
    got = np.concatenate([*found, stream.finish()])
    if n < 32:
        assert got.shape == (0, o.n_ceps)
        return
    whole = o.cepstra(Audio(samples, o.rate))
    if "E" in o.targetkind.split("_") and o.enormalise:  # of the loudest frame so far
        got, whole = got[:, :-1], whole[:, :-1]
    np.testing.assert_allclose(got, whole, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def htk(shared: Path) -> Path:
    return shared / "htk"


def test_it_equals_hcopy(htk: Path) -> None:
    options = HtkOptions("MFCC_0_D", windowsize=250000.0, numchans=26)
    files = sorted((htk / "mfcc").glob("*.mfc"))
    assert len(files) == 10
    for file in files:
        theirs = read_htk_features(file)
        assert set(theirs.kind.split("_")) == {"MFCC", "0", "D"}
        ours = options.features(read_audio(htk / "wav" / f"{file.stem}.wav")).array
        assert ours.shape == theirs.array.shape
        assert np.abs(ours - theirs.array).max() < 1e-3  # 16 bits a value: half a step is 4e-4


def test_what_a_file_holds_is_not_done_again(htk: Path) -> None:
    options = HtkOptions("MFCC_0_D_N_Z", windowsize=250000.0, numchans=26)
    file = read_htk_features(htk / "mfcc" / "sample1.mfc")
    audio = read_audio(htk / "wav" / "sample1.wav")
    whole = options.features(audio)
    assert whole.array.shape == (980, 25)
    kept = options.finish(options.stored(file)).array
    np.testing.assert_allclose(kept, whole.array, atol=1e-3)
    statics = HtkFeatures(file.array[:, :13], 0.01, "MFCC_0")
    np.testing.assert_allclose(options.finish(options.stored(statics)).array, kept, atol=1e-3)
    finished = HtkFeatures(kept, 0.01, "MFCC_D_N_Z_0")
    np.testing.assert_allclose(options.finish(options.stored(finished)).array, kept, atol=1e-5)
    for array, shift, kind, message in (
        (file.array, 0.01, "MFCC_E_D", "of another kind; got MFCC_E_D, expected MFCC_0_D_N_Z"),
        (file.array, 0.01, "PLP_0_D", "of another kind"),
        (kept, 0.01, "MFCC_0_D_N_A", "of another kind"),
        (file.array, 0.005, "MFCC_0_D", "another frame shift; got 0.005 s, expected 0.01 s"),
        (file.array[:, 1:], 0.01, "MFCC_0_D", "another width; got 25 values a frame, expected 26"),
    ):
        with pytest.raises(DataError, match=message):
            options.stored(HtkFeatures(array, shift, kind), "x.mfc")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"targetkind": "MFCC_Q"}, "HTK's TARGETKIND; got MFCC_Q"),
        ({"targetkind": "WAVEFORM"}, "expected MFCC or FBANK"),
        ({"targetkind": "MFCC_0_A"}, "_A with _D"),
        ({"targetkind": "MFCC_D_N"}, "_N with either _0 or _E"),
        ({"targetkind": "MFCC_0_E_D"}, "_0 and _E together without _D"),
        ({"numchans": 1}, "NUMCHANS; got 1, expected 2 to 1000"),
        ({"numceps": 21}, "at most NUMCHANS, 20"),
        ({"lofreq": 4000.0, "hifreq": 300.0}, "LOFREQ and HIFREQ"),
        ({"hifreq": 9000.0}, "within 0 to 8000 Hz"),
        ({"windowsize": 10.0}, "WINDOWSIZE"),
    ],
)
def test_impossible_settings_are_named(values: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HtkOptions(**values)


def test_kinds_that_only_htk_computes() -> None:
    options = HtkOptions("PLP_0_D_A")
    assert options.n_dims == 39
    with pytest.raises(DataError, match="cannot be computed here; got PLP_0_D_A"):
        options.cepstra(Audio(np.zeros(16000, np.float32), 16000))
    frames = np.random.default_rng(0).normal(size=(9, 39)).astype(np.float32)
    assert options.finish(frames).array.tolist() == frames.tolist()


@pytest.mark.parametrize("warp", [0.85, 1.0, 1.2])
def test_a_warp_moves_what_is_heard(warp: float) -> None:
    """A tone at f through filters warped by w is loudest where f / w is without a warp."""
    options = HtkOptions("FBANK", numchans=40, usepower=True)
    time = np.arange(16000) / 16000

    def loudest(hertz: float, warp: float) -> int:
        tone = Audio((0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), 16000)
        return int(np.argmax(options.cepstra(tone, warp=warp).mean(axis=0)))

    for hertz in (500.0, 1200.0, 2500.0):
        assert abs(loudest(hertz, warp) - loudest(hertz * warp, 1.0)) <= 1


def test_silence_and_speed() -> None:
    options = HtkOptions("MFCC_E_D_A_Z")
    features = options.features(Audio(np.zeros(16000, np.float32), 16000))
    assert np.isfinite(features.array).all()
    with pytest.raises(DataError, match=r"too short for one frame; got 100 samples .*expected 409"):
        options.cepstra(Audio(np.zeros(100, np.float32), 16000))
