"""Killed at random moments, given again: the results of a command that nobody disturbed."""

from pathlib import Path

import pytest
from tiny_speech import TinySpeech

from wfst_hmm.bench.soak import CASES, soak
from wfst_hmm.bench.target import Target, repeated

#: every start takes a second: all commands, and Dask's processes, are killed by `wfst-hmm bench soak`
QUICK = tuple(c for c in CASES if (c.command, c.engine) in (("decode", "processes"),
                                                            ("train", "threads")))  # fmt: skip


@pytest.mark.parametrize("seed", [1])
def test_kills_change_nothing(tiny_speech: TinySpeech, tmp_path: Path, seed: int) -> None:
    corpus = repeated(tiny_speech.test, tmp_path / "corpus.tsv", 40)
    target = Target(tiny_speech.graph, tiny_speech.model, tiny_speech.lexicon, corpus)
    report = soak(target, tmp_path / "runs", n_kills=3, seed=seed, cases=QUICK)
    assert report.n_kills >= 3
    assert report.n_runs >= 2
    assert report.failed == report.lost == report.doubled == report.different == []
