"""The measurements run, on little data, and their rows say what they should."""

import contextlib
import json

import numpy as np
import pytest

from wfst_hmm.bench.gmm import bench_gmm
from wfst_hmm.bench.hmm import bench_hmm
from wfst_hmm.bench.material import find_material
from wfst_hmm.bench.report import Row, best_seconds, print_rows, rows_to_json
from wfst_hmm.errors import UsageError


def test_rows_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Row("train", "frames/s", 300.0, 100.0, "peer 1", 2.0),
        Row("error", "%", 3.0, 2.0, "peer 1", 1.0, less_is_better=True),
        Row("alone", "%", 0.3, target=0.5, less_is_better=True),
        Row("free", "s", 1.0, 0.0),
    ]
    assert [r.ratio for r in rows] == [3.0, 1.5, None, None]
    assert [r.reached for r in rows] == [True, False, True, None]
    assert json.loads(rows_to_json(rows))["rows"][0]["ratio"] == 3.0
    print_rows(rows, "title")
    shown = capsys.readouterr().out
    assert "3.00" in shown
    assert "≥ 2" in shown
    print_rows(rows, "title", as_json=True)
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4


def test_turns() -> None:
    order: list[int] = []
    works = [(contextlib.nullcontext, lambda i=i: order.append(i)) for i in range(2)]
    seconds = best_seconds(*works, repeat=2)
    assert order == [0, 1, 0, 1]
    assert all(0 <= s < 1 for s in seconds)
    with pytest.raises(UsageError):
        best_seconds(repeat=0)


def test_small_measurements(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for module in ("sklearn", "hmmlearn"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    monkeypatch.delenv("WFST_HMM_SHARED", raising=False)
    monkeypatch.chdir(tmp_path)  # type: ignore[arg-type]
    assert find_material().source == "synthetic"
    rows = bench_gmm(sizes=(4,), n_iterations=2, threads=(1,), repeat=1, max_frames=2000)
    rows += bench_hmm(n_states=3, n_mixtures=2, n_iterations=1, threads=(2,), repeat=1,
                      max_sequences=20)  # fmt: skip
    for row in rows:
        assert np.isfinite(row.ours)
        if row.unit == "relative difference":
            assert row.reached, row
        else:
            assert row.ratio is not None
            assert row.ratio > 0
