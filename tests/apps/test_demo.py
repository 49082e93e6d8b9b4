"""The demo, small: everything it promises is there, and a second run replaces the first."""

import json
import re
import xml.dom.minidom
from pathlib import Path

import pytest

from wfst_hmm.apps import demo as module
from wfst_hmm.apps.demo import run_demo


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_digits = module.make_digits

    def few(folder: Path, *, seed: int, **numbers: int) -> object:
        return true_digits(folder, seed=seed, n_train_strings=3, n_test_strings=1)

    monkeypatch.setattr(module, "make_digits", few)
    monkeypatch.setattr(module, "_PASSES", 10)
    said: list[str] = []
    report = run_demo(tmp_path / "demo", tell=said.append)
    assert len(said) == 5
    assert report.problems == ()
    assert report.verdicts["differ"] == 0
    assert report.errors.wer < 0.2
    assert set(report.seconds) == {"corpus", "training", "graph", "decoding", "pictures"}
    for row in report.rows:
        assert set(row.costs) == {"beam", "exact", "compose"}
        assert row.frames_per_second > 0
    for name in ("graph.svg", "path.svg"):
        tree = xml.dom.minidom.parse(str(report.files[name]))
        assert tree.documentElement.tagName == "svg"
    shown = report.files["film.html"].read_text(encoding="utf-8")
    text = json.loads(re.search(r'"answer":\{"text":("[^"]*")', shown).group(1))
    assert text in (tmp_path / "demo" / "results" / "hyp.txt").read_text(encoding="utf-8")
    assert f"{report.errors.n_words} words" in report.summary
    assert report.to_dict()["words"] == report.errors.n_words
