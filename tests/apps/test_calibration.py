"""Judged words and the calibration that fits them best."""

from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.apps.calibration import (
    CALIBRATION_FILE,
    JudgedWords,
    calibration_of_graph,
    fit_best_scale,
    judge,
)
from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.bench.confidence import confidence_rows
from wfst_hmm.errors import DataError
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.search.result import Decoded, NoPath, Word
from wfst_hmm.signal.corpus import Utterance

NONE = np.zeros(0, dtype=np.int32)


def fork(share: float) -> Lattice:
    """Return the lattice of "a b" and "a c", the first with this probability."""
    rows = [(0, 1, 1, 0.0, 0.0, NONE), (1, 2, 2, -np.log(share), 0.0, NONE),
            (1, 2, 3, -np.log(1 - share), 0.0, NONE)]  # fmt: skip
    return lattice_from_rows(rows, [np.inf, np.inf, 0.0], Symbols("abc"), is_deterministic=True)


def outcome(id_: str, said: tuple[str, ...] | None, share: float) -> Outcome:
    words = (Word("a", 0.0, 0.1), Word("b", 0.1, 0.2))
    decoded = Decoded(words, (), 0.0, 0.0, NONE, NONE, 0.01, "beam")
    return Outcome(Utterance(id_, Path("x.wav"), said, "s"), decoded, lattice=fork(share))


def test_words_are_judged_by_their_alignment() -> None:
    outcomes = [
        outcome("1", ("a", "b"), 0.75), outcome("2", ("a", "c"), 0.75), outcome("3", ("b",), 0.6),
        outcome("4", None, 0.5), Outcome(Utterance("5", Path("x"), ("a",), "s"), NoPath("x", "", 0)),
    ]  # fmt: skip
    words = judge(outcomes, scales=(1.0, 0.5))
    assert words.correct.tolist() == [True, True, True, False, False, True]
    root = np.sqrt(3) / (1 + np.sqrt(3))
    np.testing.assert_allclose(words.at(1.0), [1, 0.75, 1, 0.75, 1, 0.6])
    np.testing.assert_allclose(words.at(0.5)[:2], [1, root])
    nothing = judge([], scales=(1.0,))
    assert nothing.posteriors.shape == (0, 1)
    with pytest.raises(DataError, match="known transcripts"):
        fit_best_scale(nothing)


def drawn(seed: int, n: int) -> JudgedWords:
    """Draw words whose chances of being right are those at scale 0.5."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 1.0, n)
    odds = truth / (1 - truth)
    shares = np.stack([odds**2 / (1 + odds**2), truth], axis=1)
    shares[:, 0] = np.clip(shares[:, 0] + 0.3 * rng.normal(size=n), 0, 1)
    return JudgedWords((1.0, 0.5), shares, rng.random(n) < truth)


def test_the_scale_that_explains_most_is_chosen() -> None:
    fit = fit_best_scale(drawn(0, 2000))
    assert fit.scale == 0.5
    assert fit.n_words == 2000
    assert (fit.slope, fit.offset) == pytest.approx((1.0, 0.0), abs=0.2)


def test_what_would_be_one_number_for_all_is_refused() -> None:
    words = drawn(0, 200)
    for correct, message in (
        (np.ones(200, dtype=bool), "all of the 200 words are right"),
        (np.zeros(200, dtype=bool), "none of the 200 words"),
        (words.at(0.5) < 0.75, "no more often right"),
    ):
        with pytest.raises(DataError, match=message):
            fit_best_scale(JudgedWords((0.5,), words.posteriors[:, 1:], correct))


def test_rows_compare_calibrated_confidences_with_posteriors() -> None:
    rows = confidence_rows([drawn(seed, 500) for seed in (1, 2, 3)])
    nce, ece, *table = rows
    assert nce.ours > 0.05 > nce.theirs  # type: ignore[operator]
    assert ece.ours < 0.05 < ece.theirs  # type: ignore[operator]
    calibrated = [row for row in table if row.work.startswith("calibrated")]
    assert sum(int(row.note.split()[0]) for row in calibrated) == 1500
    with pytest.raises(DataError):
        confidence_rows([drawn(1, 10)])


def test_a_graph_s_calibration(tmp_path: Path) -> None:
    assert calibration_of_graph(tmp_path) is None
    own, other = Calibration(0.5), Calibration(0.25)
    own.save(tmp_path / CALIBRATION_FILE)
    other.save(tmp_path / "other")
    assert calibration_of_graph(tmp_path) == own
    assert calibration_of_graph(tmp_path, tmp_path / "other") == other
