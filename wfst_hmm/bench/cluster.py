"""One corpus on one process, on threads, on processes and on Dask's workers.

In: a graph and a corpus. Out: times of the same work on each engine, and what an engine costs.

Speed-up is wall-clock time of one process over that of two workers, in the same run. Where others
use the processors, wall-clock time says little: the second figure, processor time of an engine with
all its processes over that of plain threads, moves little with the load.

Public names: `bench_cluster`, `engine_times`.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from wfst_hmm.apps.recognize import corpus_of_inputs
from wfst_hmm.apps.transcription import faster, transcriber
from wfst_hmm.bench.material import evenly_spread
from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.bench.target import digit_target
from wfst_hmm.cluster.engine import Engine
from wfst_hmm.cluster.engines import engine_for
from wfst_hmm.cluster.jobs import DecodeJob, prepared
from wfst_hmm.cluster.work import Work
from wfst_hmm.errors import DataError
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.corpus import Corpus

__all__ = ["EngineTime", "bench_cluster", "engine_times"]


@dataclasses.dataclass(frozen=True)
class EngineTime:
    """What a work took on an engine that was running and warm.

    Attributes
    ----------
    wall, cpu : float
        Seconds; processor time of this process and of the workers.
    start : float
        Seconds that the engine took to start and to load the graph.
    """

    wall: float
    cpu: float
    start: float


def _processor_seconds() -> float:
    """Return what this process and all below it have used so far (from /proc)."""
    total = sum(os.times()[:2])
    parents: dict[int, list[tuple[int, float]]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            parents.setdefault(int(fields[1]), []).append((int(folder.name), used))
    waiting = [os.getpid()]
    while waiting:
        for child, used in parents.get(waiting.pop(), []):
            total += used
            waiting.append(child)
    return total


def _timed(
    engine: Engine, job: DecodeJob, corpus: Corpus, folder: Path
) -> tuple[float, float, str]:
    """Return wall-clock and processor time of a work, and what came out."""
    begin, used = time.perf_counter(), _processor_seconds()
    with Work(job, corpus, folder / "out") as work:
        texts = [
            outcome.decoded.text if outcome.decoded else "" for _, outcome in work.results(engine)
        ]
        work.finish()
    return time.perf_counter() - begin, _processor_seconds() - used, "\n".join(texts)


def engine_times(
    job: DecodeJob,
    corpus: Corpus,
    engines: Sequence[tuple[str, int]],
    *,
    repeat: int = 1,
    progress: Progress = silent,
) -> dict[tuple[str, int], EngineTime]:
    """Do the same work on each engine, in turn.

    Parameters
    ----------
    job : DecodeJob
        From `cluster.jobs.prepared`.
    corpus : Corpus
    engines : sequence of (str, int)
        Kind, as for `cluster.engines.engine_for`, and number of workers.
    repeat : int
        Turns; the least times count.

    Raises
    ------
    DataError
        Two engines disagree.
    """
    best: dict[tuple[str, int], EngineTime] = {}
    wanted = ""
    warm = Corpus(corpus.utterances[:8])
    with tempfile.TemporaryDirectory(prefix="wfst-hmm-cluster-") as name:
        for _ in range(repeat):
            for kind, n in engines:
                progress(f"{kind} with {n}")
                begin = time.perf_counter()
                with engine_for(kind, n) as engine:
                    for _ in range(2):  # every worker loads the graph and its kernels
                        _timed(engine, job, warm, Path(name))
                    start = time.perf_counter() - begin
                    wall, cpu, said = _timed(engine, job, corpus, Path(name))
                wanted = wanted or said
                if said != wanted:
                    raise DataError("two engines disagree", where=kind)
                old = best.get((kind, n), EngineTime(wall, cpu, start))
                best[kind, n] = EngineTime(
                    min(wall, old.wall), min(cpu, old.cpu), min(start, old.start)
                )
    return best


def bench_cluster(
    graph: Path | None = None,
    data: Sequence[Path] = (),
    *,
    n_utterances: int = 624,
    n_workers: int = 2,
    options: SearchOptions | None = None,
    repeat: int = 1,
    progress: Progress = silent,
) -> list[Row]:
    """Measure decoding on one process and on several workers.

    Parameters
    ----------
    graph : path, optional
        A graph; by default the en-us model's with its whole vocabulary and `--fast` beams.
    data : sequence of path
        Corpora; by default synthesized digits, repeated, with their own graph.
    n_utterances : int
        Decode so many, evenly spread; fewer where the corpora have fewer.
    n_workers : int
    options : SearchOptions, optional
    repeat : int
    """
    with tempfile.TemporaryDirectory(prefix="wfst-hmm-bench-") as name:
        if not data:
            target = digit_target(Path(name), n_utterances, progress)
            graph, data = target.graph, (target.corpus,)
        elif graph is None:
            ready = transcriber(progress=progress)
            graph, options = ready.graph_folder, options or faster(ready.options)
        corpus = evenly_spread(corpus_of_inputs(data), n_utterances)
        words = AnswerOptions(confidence=False)
        job = prepared(DecodeJob(graph.absolute(), None, options or SearchOptions(), answers=words))
        engines = [
            ("threads", 1),
            *((kind, n_workers) for kind in ("threads", "processes", "local")),
        ]
        times = engine_times(job, corpus, engines, repeat=repeat, progress=progress)
    alone, plain = times["threads", 1], times["threads", n_workers]
    names = {"threads": "threads", "processes": "processes", "local": "Dask, local workers"}
    what = f"decoding {len(corpus)} utterances"
    rows = [Row(f"{what}: one process, one thread", "s", alone.wall,
                note=f"{alone.cpu:.1f} s of processor time")]  # fmt: skip
    for kind in ("threads", "processes", "local"):
        took = times[kind, n_workers]
        target_ratio = 1.8 if kind == "local" else None
        rows.append(Row(f"{what}: speed of {n_workers} {names[kind]} over one process", "times",
                        alone.wall / took.wall, target=target_ratio,
                        note=f"{took.wall:.1f} s; start {took.start:.1f} s more"))  # fmt: skip
        if kind != "threads":
            rows.append(Row(
                f"{names[kind]}: processor time over that of plain threads", "%",
                100 * (took.cpu / plain.cpu - 1), target=10.0 if kind == "local" else None,
                less_is_better=True, note=f"{took.cpu:.1f} s and {plain.cpu:.1f} s",
            ))  # fmt: skip
    return rows
