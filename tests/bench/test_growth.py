"""Benchmarks of growth and of engines: rows that carry what was measured, a picture, a stated model."""

import dataclasses
from pathlib import Path

import pytest
from tiny_speech import TinySpeech

from wfst_hmm.bench import growth as room
from wfst_hmm.bench.cluster import engine_times
from wfst_hmm.cluster.jobs import DecodeJob, prepared
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.search.options import SearchOptions


def test_the_model_of_many_workers() -> None:
    assert room.modelled_speedup(0.0, 100.0, 0.0, 8) == 8.0
    assert room.modelled_speedup(10.0, 100.0, 0.0, 1000) == pytest.approx(110 / 10.1)
    speeds = [room.modelled_speedup(2.0, 500.0, 20.0, n) for n in (1, 2, 4, 16, 64, 256)]
    assert speeds == sorted(speeds)
    assert speeds[0] == 1.0
    assert speeds[-1] == speeds[-2], "the client is the bottleneck"


def test_hours_are_measured_and_drawn(tmp_path: Path) -> None:
    growth = room.Growth(per_hour=20.0, start=1.0)
    handling = room._measure_hours((0.02, 0.1), growth, lambda text: None)
    assert handling > 0
    assert [hours for hours, _, _ in growth.hours] == [0.02, 0.1]
    assert all(used > 0 and 0 < share < 100 for _, used, share in growth.hours)
    growth.vocabulary = [(1000, 10_000, 1.0, 0.01), (2000, 20_000, 2.0, 0.02)]
    growth.beams = [(8.0, 0.01, 0.001), (16.0, 0.1, 0.0)]
    growth.workers = [(1, 1.0, True), (2, 1.9, True), (4, 3.7, False)]
    growth.large = [(1, 1.0), (4, 3.9)]
    pytest.importorskip("matplotlib", reason="needs the extra [plots]")
    room.growth_plot(growth).save(tmp_path / "growth.svg")
    assert "<svg" in (tmp_path / "growth.svg").read_text()
    works = {row.work for row in room._rows(growth, 0.1)}
    assert len(works) >= 8
    assert any(row.note == "measured" for row in room._rows(growth, 0.1))


def test_engines_agree_and_are_timed(tiny_speech: TinySpeech) -> None:
    corpus = read_corpus(tiny_speech.test)
    job = prepared(DecodeJob(tiny_speech.graph, None, SearchOptions()))
    times = engine_times(job, corpus, [("threads", 1), ("threads", 2)])
    assert set(times) == {("threads", 1), ("threads", 2)}
    for took in times.values():
        assert all(value > 0 for value in (took.wall, took.cpu, took.start))
        assert dataclasses.is_dataclass(took)
