"""Whatever holds numbers is taken alike by every class, or refused in one line."""

import datetime
import decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, ModelError, UsageError, WfstHmmError
from wfst_hmm.fst.sausage import sausage
from wfst_hmm.models.gmm import GaussianMixture
from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm
from wfst_hmm.models.mixtures import MixtureSet
from wfst_hmm.models.moments import floor_of, spread_of
from wfst_hmm.models.scores import Scores
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.features import Features

FRAMES = np.random.default_rng(0).normal(size=(30, 2)).round(2)
EQUAL = (
    FRAMES.tolist(),
    FRAMES.view(np.matrix),
    np.ma.masked_array(FRAMES, mask=False),
    FRAMES.astype(object),
    np.asfortranarray(FRAMES),
    FRAMES[::-1][::-1],
    [[decimal.Decimal(str(x)) for x in row] for row in FRAMES],
)
REFUSED = (
    (np.ma.masked_array(FRAMES, mask=FRAMES[3, 1] == FRAMES), r"\[3, 1\] is masked"),
    (FRAMES + 0j, "complex"),
    (FRAMES.astype("M8[s]"), "dates"),
    (FRAMES.astype("m8[s]"), "time differences"),
    (FRAMES.astype(str), "text"),
    (FRAMES.astype(str).astype(object), "text"),
    ([[datetime.date(2026, 1, 1), 1.0]] * 9, "dates"),
    ([[1.0, 2.0], [1.0]], "no array of numbers"),
    (object(), "no array of numbers"),
    ("12", "text"),
)


def trained(frames: object) -> np.ndarray:
    gmm = GaussianMixture(2, 2)
    gmm.train(frames, 3)
    return np.concatenate([gmm.components.means, gmm.components.covars, gmm.score(frames)[:2, None]
                           .repeat(2, 1)])  # fmt: skip


def fitted(frames: object) -> np.ndarray:
    hmm = GmmHmm(2, 1)
    hmm.fit([frames, FRAMES], 3)
    return np.concatenate([hmm.means[:, 0], hmm.log_emissions(frames)])


USES = {
    "GaussianMixture.train": trained,
    "GmmHmm.fit": fitted,
    "MixtureSet.log_likelihoods": lambda x: MixtureSet.from_gaussians(
        np.zeros((2, 2)), np.ones((2, 2))).log_likelihoods(x),
    "Scores": lambda x: Scores(x).array,
    "Features": lambda x: Features(x).array,
    "sausage": lambda x: sausage(x).arcs["weight"],
    "MixtureSet": lambda x: MixtureSet.from_gaussians(x, np.ones((30, 2))).means,
    "GaussianMixture": lambda x: GaussianMixture(30, 2, means=x).components.means,
    "GaussianHmm": lambda x: GaussianHmm(30, means=x, covars=np.ones((30, 2))).means,
}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_equal_numbers_are_equal_whatever_holds_them(use) -> None:
    expected = use(FRAMES)
    for same in EQUAL:
        np.testing.assert_array_equal(use(same), expected)
        assert type(use(same)) is np.ndarray


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_holds_no_numbers_is_refused_in_one_line(use) -> None:
    for other, message in REFUSED:
        with pytest.raises(WfstHmmError, match=message) as caught:
            use(other)
        assert "\n" not in str(caught.value)


def test_audio_is_numbers_too() -> None:
    for other, message in ((np.array([1j]), "complex"), (["1", "2"], "text"), ("ab", "text")):
        with pytest.raises(DataError, match=message):
            Audio(other, 8000)


def test_lists_of_sequences_come_in_many_forms() -> None:
    parts = [FRAMES[:12], FRAMES[12:]]
    of_objects = np.empty(2, dtype=object)
    of_objects[:] = parts
    scores = [fit.fit(data, 4).log_likelihoods for fit, data in (
        (GmmHmm(2), parts), (GmmHmm(2), (p for p in parts)), (GmmHmm(2), tuple(parts)),
        (GmmHmm(2), of_objects), (GmmHmm(2), {0: parts[0], 1: parts[1]}.values()),
        (GmmHmm(2), [p.view(np.matrix) for p in parts]),
    )]  # fmt: skip
    for score in scores:
        np.testing.assert_array_equal(score, scores[0])
    np.testing.assert_array_equal(
        GmmHmm(2).fit(np.stack([FRAMES, FRAMES]), 2).log_likelihoods,
        GmmHmm(2).fit([FRAMES, FRAMES], 2).log_likelihoods,
    )
    for wrong, message in ((FRAMES, r"Write \[array\]"), ([], "empty"), (iter(()), "empty"),
                           ("ab", "got str"), (7, "got int"), (FRAMES[0].tolist(), "sequence"),
                           ({"a": FRAMES}, "got dict")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            GmmHmm(2).fit(wrong)


def test_symbols_come_in_many_forms() -> None:
    hmm = DiscreteHmm([0.6, 0.4], [[0.7, 0.3], [0.4, 0.6]], [[0.9, 0.1], [0.2, 0.8]])
    row = [1, 0, 1, 1]
    expected = hmm.log_probability(row)
    for same in (np.array(row, float), np.array(row, bool), np.array(row, np.uint8),
                 np.array(row)[:, None], [[1], [0], [1.0], [True]], iter(row), (n for n in row),
                 np.array(row, object), np.array([row]).view(np.matrix).T):  # fmt: skip
        assert hmm.log_probability(same) == expected
    for wrong, message in (([1, 0.5], r"observations\[1\] is no whole number; got 0.5"),
                           ([1, np.nan], r"observations\[1\] is no whole number"),
                           (["1", "0"], "text"), ("10", "text"), (np.array([1, 1j]), "complex"),
                           ([2**70, 1], "out of range|too large"), ([1e30], "out of range"),
                           (np.ma.masked_array([1, 0], [0, 1]), r"\[1\] is masked"),
                           (np.array([[1, 0]]), r"shape \(1, 2\)"), ([], "shape")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            hmm.log_probability(wrong)
    history = [DiscreteHmm(hmm.pi, hmm.a, hmm.b).train(data, 3) for data in (
        [row, row[:2]], (iter(x) for x in (row, row[:2])), np.array([row, row[:2]], object),
    )]  # fmt: skip
    np.testing.assert_array_equal(history[0], history[1])
    np.testing.assert_array_equal(history[0], history[2])
    with pytest.raises(ModelError, match="pi is no array of numbers: it holds text"):
        DiscreteHmm(["0.6", "0.4"], hmm.a, hmm.b)


@given(
    st.floats(-1e12, 1e12), st.floats(1e-6, 1e6), st.integers(0, 2**32 - 1),
    st.sampled_from([1e-12, 1e-9, 1e-3]),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_the_floor_is_a_share_of_the_variance(
    mean: float, deviation: float, seed: int, share: float
) -> None:
    x = mean + deviation * np.random.default_rng(seed).normal(size=(200, 1))
    if deviation < 64 * np.finfo(float).eps * abs(mean):
        return  # lost already in the numbers themselves
    exact = [decimal.Decimal(float(v)) for v in x[:, 0]]
    average = sum(exact) / len(exact)
    variance = float(sum((v - average) ** 2 for v in exact) / len(exact))
    found_mean, found = spread_of(x)
    assert found[0] == pytest.approx(variance, rel=1e-6)
    assert found_mean[0] == pytest.approx(float(average), rel=1e-14, abs=1e-14 * deviation)
    assert floor_of(found, found_mean, share)[0] == pytest.approx(share * variance, rel=1e-6)


def test_times_since_1970_keep_their_spread() -> None:
    """Seconds since 1970 with a deviation of a minute: it is one, not 1.7 million."""
    x = 1.75e9 + 60 * np.random.default_rng(1).normal(size=(5000, 1))
    gmm = GaussianMixture(1, 1)
    gmm.train(x, 2)
    assert gmm.components.covars[0, 0] == pytest.approx(x.var(), rel=1e-6)
    hmm = GaussianHmm(1)
    hmm.fit([x[:3000], x[3000:]], 2)
    assert hmm.covars[0, 0] == pytest.approx(x.var(), rel=1e-6)
    assert gmm.score(x).mean() == pytest.approx(-0.5 - np.log(x.std() * np.sqrt(2 * np.pi)))


@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, 1.75e9, -3e-9])
def test_a_constant_column_stays_constant(value: float) -> None:
    x = np.full((100_000, 1), value)
    mean, variance = spread_of(x)
    assert floor_of(variance, mean, 1e-3)[0] == pytest.approx(1e-6 * max(value**2, 1.0))


def test_a_tiny_floor_is_kept_or_refused_never_ignored() -> None:
    x = np.concatenate([np.zeros((50, 1)), np.ones((50, 1))])
    for floor in (1e-12, 1e-10, 1e-6):
        gmm = GaussianMixture(2, 1, floor=floor)
        gmm.train(x, 5)
        np.testing.assert_allclose(gmm.components.covars, floor * 0.25, rtol=1e-6)
    with pytest.raises(
        UsageError, match=r"floor out of range; got 1e-13, expected .* 1e-12 or more"
    ):
        GaussianMixture(2, 1, floor=1e-13)
