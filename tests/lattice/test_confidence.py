import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.lattice.confidence import Calibration, fit_calibration, reliability

SHARES = st.floats(0, 1)


def loss(at: np.ndarray, seen: np.ndarray, goal: np.ndarray) -> float:
    value = at[0] * seen + at[1]
    return float((np.logaddexp(0, value) - goal * value).sum())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=40))
def test_a_fit_is_as_likely_as_scipy_s_and_monotone(words: list[tuple[float, bool]]) -> None:
    shares = np.array([share for share, _ in words])
    right = np.array([mark for _, mark in words])
    fit = fit_calibration(shares, right)
    kept = np.clip(shares, 1e-4, 1 - 1e-4)
    seen = np.log(kept / (1 - kept))
    n = int(right.sum())
    goal = np.where(right, (n + 1) / (n + 2), 1 / (len(right) - n + 2))
    theirs = minimize(loss, [0.5, 0.0], (seen, goal), "L-BFGS-B", bounds=[(0, None), (None, None)])
    assert loss(np.array([fit.slope, fit.offset]), seen, goal) <= theirs.fun + 1e-4
    made = fit(np.linspace(0, 1, 50))
    assert ((made >= 0) & (made <= 1) & (np.diff(made, prepend=0) >= 0)).all()


def test_a_known_map_is_found_again() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.001, 0.999, 20_000)
    truth = Calibration(0.5, 0.4)
    fit = fit_calibration(shares, rng.random(20_000) < truth(shares))
    assert (fit.slope, fit.offset) == pytest.approx((0.5, 0.4), abs=0.05)
    before = reliability(shares, rng.random(20_000) < truth(shares))
    assert before.ece > 0.05


def test_words_that_can_be_parted_keep_the_map_finite() -> None:
    fit = fit_calibration([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    assert 0 < fit.slope < 100
    all_right = fit_calibration([0.5, 0.9, 1.0], [True] * 3)
    assert all_right([0.0])[0] < 1
    upside_down = fit_calibration([0.1, 0.2, 0.8, 0.9], [True, True, False, False])
    assert upside_down.slope == 0
    assert upside_down([0.1, 0.9]) == pytest.approx([0.5, 0.5])


def test_normalized_cross_entropy_and_reliability_by_hand() -> None:
    found = reliability([0.95, 0.85, 0.85, 0.15], [True, True, False, False])
    told = math.log2(0.95) + math.log2(0.85) + math.log2(0.15) + math.log2(0.85)
    assert found.nce == pytest.approx((4 + told) / 4)
    assert [(b.low, b.n_words, b.share_correct) for b in found.bins] == [
        (0.1, 1, 0.0), (0.8, 2, 0.5), (0.9, 1, 1.0)
    ]  # fmt: skip
    assert found.ece == pytest.approx((0.15 + 2 * 0.35 + 0.05) / 4)
    perfect = reliability([1.0, 0.0], [True, False])
    assert (perfect.nce, perfect.ece) == pytest.approx((1.0, 0.0), abs=1e-5)
    prior = reliability([0.75] * 4, [True, True, True, False])
    assert prior.nce == pytest.approx(0.0)
    assert math.isnan(reliability([0.9], [True]).nce)
    assert reliability([0.9], [True]).to_dict()["nce"] is None


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "confidence.json"
    made = Calibration(0.25, -0.5, 0.7, 10, 9)
    made.save(path)
    assert Calibration.load(path) == made
    for text, message in (("{}", "no calibration"), ("[", "not JSON"),
                          (path.read_text().replace("0.25", "-1"), "damaged calibration"),
                          (path.read_text().replace("0.25", '"x"'), "damaged calibration"),
                          (path.read_text().replace('"slope"', '"slop"'), "damaged calibration")):  # fmt: skip
        (tmp_path / "b").write_text(text)
        with pytest.raises(FormatError, match=message):
            Calibration.load(tmp_path / "b")


def test_bad_input() -> None:
    for shares, marks in (([], []), ([0.5], [True, False]), ([1.5], [True]), ([np.nan], [True])):
        with pytest.raises(DataError):
            fit_calibration(shares, marks)
        with pytest.raises(DataError):
            reliability(shares, marks)
    with pytest.raises(UsageError):
        Calibration(slope=-1)
    with pytest.raises(UsageError):
        Calibration(scale=0)
    with pytest.raises(UsageError):
        reliability([0.5], [True], n_bins=0)
