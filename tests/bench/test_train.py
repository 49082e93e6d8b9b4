import os
from pathlib import Path

import pytest

from wfst_hmm.bench.train import bench_train
from wfst_hmm.errors import DataError, UsageError


def test_our_side_is_measured_without_the_peer(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WFST_HMM_KHG", raising=False)
    said: list[str] = []
    rows = bench_train(
        shared / "fsdd" / "recordings", n_passes=2, n_gaussians=80, n_workers=1, speakers=1,
        progress=said.append,
    )  # fmt: skip
    assert [row.unit for row in rows] == ["s", "s", "frames/s"]
    assert all(row.ours > 0 and row.ratio is None for row in rows)
    assert "kaldi-hmm-gmm is not measured" in said[-1]


def test_a_wrong_interpreter_is_told(shared: Path) -> None:
    with pytest.raises(UsageError, match="no such interpreter"):
        bench_train(shared / "fsdd" / "recordings", peer="nowhere/python")


def test_both_sides_are_measured(shared: Path) -> None:
    if "WFST_HMM_KHG" not in os.environ:
        pytest.skip("WFST_HMM_KHG names no interpreter with kaldi-hmm-gmm")
    rows = bench_train(
        shared / "fsdd" / "recordings", n_passes=3, n_gaussians=80, n_workers=1, speakers=1
    )
    assert all(row.ratio is not None and row.ratio > 0 for row in rows)


def test_absent_recordings_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WFST_HMM_SHARED", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="Free Spoken Digit Dataset"):
        bench_train(None)
