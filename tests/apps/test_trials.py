import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.trials import detection
from wfst_hmm.draw.det import det_svg
from wfst_hmm.errors import DataError

SCORES = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=20)


@settings(deadline=None, max_examples=100)
@given(SCORES, SCORES)
def test_error_rates_are_counted_as_by_hand(true: list[float], false: list[float]) -> None:
    found = detection(true, false)
    for threshold, accepts, rejects in zip(
        found.thresholds, found.false_accepts, found.false_rejects, strict=True
    ):
        assert accepts == pytest.approx(sum(s >= threshold for s in false) / len(false))
        assert rejects == pytest.approx(sum(s < threshold for s in true) / len(true))
    # The equal error rate lies between the errors on both sides of the crossing.
    worse = np.maximum(found.false_accepts, found.false_rejects).min()
    better = np.minimum(found.false_accepts, found.false_rejects).max()
    assert better - 1e-12 <= found.equal_error_rate <= worse + 1e-12


def test_scores_apart_have_no_error_and_a_threshold_between() -> None:
    found = detection([2.0, 3.0], [0.0, 1.0])
    assert found.equal_error_rate == 0.0
    assert found.equal_error_threshold == 1.5


def test_scores_the_wrong_way_round_are_all_errors() -> None:
    assert detection([0.0], [1.0]).equal_error_rate == 1.0


def test_what_cannot_be_counted() -> None:
    with pytest.raises(DataError, match="no true claims"):
        detection([], [1.0])
    with pytest.raises(DataError, match="NaN"):
        detection([np.nan], [1.0])


def test_the_curve_is_drawn_from_edge_to_edge() -> None:
    rng = np.random.default_rng(0)
    found = detection(rng.normal(2, 1, 500), rng.normal(0, 1, 5000))
    svg = det_svg({"a < b": (found.false_accepts, found.false_rejects)}, title="T & U")
    assert svg.count("<polyline") == 1
    assert "a &lt; b" in svg
    assert "T &amp; U" in svg
