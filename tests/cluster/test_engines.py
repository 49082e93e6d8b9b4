"""Engines: whoever works, in whatever order, with whatever mishaps, the results are the same."""

import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import contents
from shard_tasks import die_once, shout
from tiny_speech import TinySpeech

from wfst_hmm.apps.align import align_corpus
from wfst_hmm.apps.recognize import decode_corpus, stream_features
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.results import write_results
from wfst_hmm.cluster.engine import Engine
from wfst_hmm.cluster.engines import Threads, engine_for
from wfst_hmm.cluster.jobs import AlignJob, DecodeJob, FeaturesJob, prepared
from wfst_hmm.cluster.mapping import Patience, run_shards
from wfst_hmm.cluster.work import Work, absolute_spec
from wfst_hmm.errors import ClusterError, UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.search.options import SearchOptions


class Moody(Threads):
    """Threads of which some calls fail and some never end, as a script says."""

    def __init__(self, moods: dict[int, list[str]]) -> None:
        super().__init__(2)
        self.moods = moods
        self.again: list[int] = []
        self.n_repairs = 0

    def submit(self, function: Callable[..., bytes], *arguments: Any, again: bool = False) -> Any:
        number = arguments[0]
        if again:
            self.again.append(number)
        mood = self.moods.get(number, [])
        kind = mood.pop(0) if mood else "fine"
        if kind == "hang":
            return Future()
        if kind == "die":
            future: Future[bytes] = Future()
            future.set_exception(OSError("gone"))
            return future
        return super().submit(function, *arguments)

    def recover(self, error: BaseException) -> bool:
        return isinstance(error, OSError)


def arguments(n: int) -> dict[int, tuple[int]]:
    return {number: (number,) for number in range(n)}


def test_failures_are_repeated_and_the_late_get_help() -> None:
    engine = Moody({3: ["die", "die"], 5: ["hang"], 7: ["die", "hang"]})
    repairs = []
    patience = Patience(tries=3, seconds=0.2)
    found = dict(
        run_shards(engine, shout, arguments(10), patience, repair=lambda: repairs.append(1))
    )
    engine.close()
    assert found == {number: b"%d!" % number for number in range(10)}
    assert len(repairs) == 3
    assert sorted(engine.again) == [5, 7]


def test_what_always_fails_is_given_up() -> None:
    engine = Moody({2: ["die"] * 9})
    with pytest.raises(
        ClusterError, match=r"shard 2 failed 4 times; got OSError: gone.*same command"
    ):
        list(run_shards(engine, shout, arguments(4), Patience(tries=4)))
    engine.close()

    def wrong(number: int) -> bytes:
        raise ZeroDivisionError

    with engine_for("threads", 2) as threads, pytest.raises(ZeroDivisionError):
        list(run_shards(threads, wrong, arguments(4)))


@pytest.mark.parametrize("kind", ["processes", "local"])
def test_a_killed_process_is_replaced(kind: str, tmp_path: Path) -> None:
    if kind == "local":
        pytest.importorskip("distributed", reason="needs the extra [cluster]")
    told: list[str] = []
    tasks = {n: (n, str(tmp_path / "mark")) for n in range(6)}
    with engine_for(kind, 2, tell=told.append) as engine:
        assert engine.slots() == 2
        found = dict(run_shards(engine, die_once, tasks))
        with pytest.raises((ZeroDivisionError, ClusterError)):
            dict(run_shards(engine, divmod, {0: (1, 0)}, Patience(tries=2)))
    assert (tmp_path / "mark").exists()
    assert found == {n: b"%d!" % n for n in range(6)}
    if kind == "local":
        assert "dashboard http://127.0.0.1:" in told[0]


def run(engine: Engine, work: Work) -> list[Any]:
    with work:
        return [result for _, result in work.results(engine)]


@pytest.mark.parametrize("size", [1, 4])
def test_decoding_by_shards_is_decoding(tiny_speech: TinySpeech, tmp_path: Path, size: int) -> None:
    corpus = read_corpus(tiny_speech.test)
    recognizer = Recognizer.load(tiny_speech.graph)
    answers = AnswerOptions(n_best=3, keep_lattice=True)
    wanted = list(decode_corpus(recognizer, corpus, answers=answers))
    job = prepared(DecodeJob(tiny_speech.graph, None, SearchOptions(), answers=answers))
    with engine_for("threads", 3) as engine:
        found = run(engine, Work(job, corpus, size=size))
    assert [o.to_dict() for o in found] == [o.to_dict() for o in wanted]
    write_results(found, tmp_path / "a")
    write_results(wanted, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert "lattices.npz" in contents(tmp_path / "a")


def test_speakers_cut_in_two_are_normalized_as_one(
    tiny_speech: TinySpeech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wfst_hmm.cluster.work._WHOLE", 2)
    corpus = read_corpus(tiny_speech.test)
    model = Recognizer.load(tiny_speech.graph).model
    wanted = [f.array for _, f in stream_features(corpus, model)]
    job = prepared(FeaturesJob(tiny_speech.model))
    told: list[str] = []
    with engine_for("threads", 2) as engine:
        found = run(engine, Work(job, corpus, size=1, tell=told.append))
    assert "statistics of 2 speakers" in told[0]
    for features, array in zip(found, wanted, strict=True):
        assert np.array_equal(features.array, array)


def test_alignment_goes_on_from_its_journal(tiny_speech: TinySpeech, tmp_path: Path) -> None:
    corpus = read_corpus(tiny_speech.train)
    model = Recognizer.load(tiny_speech.graph).model
    lexicon = read_lexicon(tiny_speech.lexicon)
    wanted = [o.to_dict() for o in align_corpus(model, lexicon, corpus)]
    job = prepared(AlignJob(tiny_speech.model, absolute_spec(str(tiny_speech.lexicon)),
                            LexiconOptions()))  # fmt: skip
    with engine_for("threads", 1) as engine, Work(job, corpus, tmp_path / "out", size=4) as work:
        stream = work.results(engine)
        for _ in range(10):
            next(stream)
        n_kept = len(work.journal.done()) if work.journal else 0
        stream.close()
    assert 1 <= n_kept < len(work.shards)
    told: list[str] = []
    with engine_for("threads", 1) as engine:
        again = Work(job, corpus, tmp_path / "out", size=4, tell=told.append)
        assert f"{n_kept} of {len(again.shards)}" in told[0]
        assert [o.to_dict() for o in run(engine, again)] == wanted
    other = AlignJob(job.model_path, job.lexicon, LexiconOptions(0.3))
    told.clear()
    with Work(prepared(other), corpus, tmp_path / "out", size=4, tell=told.append):
        assert "another work" in told[0]


def test_unknown_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra [cluster]")
    with pytest.raises(UsageError, match="no such cluster"), engine_for("cloud", 1):
        pass
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(UsageError, match="pip install dask-jobqueue"), engine_for("slurm", 1):
        pass
    monkeypatch.setattr("wfst_hmm.cluster.dask._CONNECT_SECONDS", 0.2)
    address = "tcp://127.0.0.1:9"
    with pytest.raises(UsageError, match="no scheduler answers"), engine_for(address, 1):
        pass


def test_workers_that_die_while_they_start_are_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = pytest.importorskip("wfst_hmm.cluster.dask", reason="needs the extra [cluster]")
    starts = []

    def fails(**options: object) -> None:
        starts.append(options["n_workers"])
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(room, "LocalCluster", fails)
    told: list[str] = []
    with pytest.raises(ClusterError, match="do not start"), room.connected("local", 2, told.append):
        pass
    assert starts == [2, 2, 2]
    assert told == ["a worker died while it started: they are started again"] * 2
