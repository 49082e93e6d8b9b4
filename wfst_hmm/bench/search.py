"""Our searches beside Kaldi's decoders: same graph, same score matrix, one thread each.

In: test beds. Out: rows: frames per second, costs, lattices, threads, memory.

Public names: `bench_search`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wfst_hmm.bench import kaldi_peer, search_memory
from wfst_hmm.bench.beds import BEDS, Bed
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import UsageError
from wfst_hmm.graph.compact import AnyGraph
from wfst_hmm.lattice.generate import lattice_before_determinization
from wfst_hmm.search.begin import begin_search, graph_to_search
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.parallel import decode_many

__all__ = ["bench_search"]

_PEER_PYTHON = "WFST_HMM_KALDI_PYTHON"
_LATTICE_JOB = {"kind": "lattice", "beam": 13.0, "max_active": 0, "lattice_beam": 6.0}


def bench_search(
    beds: Sequence[str] = ("digits",),
    *,
    beams: Sequence[float] = (8.0, 10.0, 13.0),
    folder: str | Path | None = None,
    audio: str | Path | None = None,
    peer_python: str | None = None,
    repeat: int = 3,
) -> list[Row]:
    """Measure the searches on each test bed.

    Parameters
    ----------
    beds : sequence of str
        Of ``"digits"`` (a loop of ten digits), ``"words"`` (20,000 words, 2-grams) and
        ``"vocabulary"`` (72,500 words, 3-grams, triphones); the latter two need the pocketsphinx
        package, for its dictionary, language model and acoustic model.
    beams : sequence of float
    folder : path, optional
        Keeps graphs that take long to build.
    audio : path, optional
        A folder of recordings; the first is what ``"words"`` and ``"vocabulary"`` are scored on.
    peer_python : str, optional
        An interpreter that has kaldi_decoder and kaldifst; by default the environment variable
        WFST_HMM_KALDI_PYTHON, or this interpreter. Without them our side alone is measured.
    repeat : int
        The best of so many turns of each side counts; the sides take turns.

    Notes
    -----
    Both sides run one thread; processor time counts, which other work on the machine disturbs
    less than the clock. The two-thread row is measured by the clock.
    """
    unknown = [name for name in beds if name not in BEDS]
    if unknown:
        raise UsageError("no such test bed", got=", ".join(unknown), expected=" or ".join(BEDS))
    python = peer_python or os.environ.get(_PEER_PYTHON) or sys.executable
    rows: list[Row] = []
    for name in beds:
        bed = BEDS[name](Path(folder) if folder else None, Path(audio) if audio else None)
        with _peer(python, bed) as peer:
            rows += _best_path_rows(bed, beams, peer, repeat)
            rows += _lattice_rows(bed, peer, repeat)
        rows.append(_thread_row(bed, repeat))
        rows += _memory_rows(bed)
    return rows


class _Peer:
    """The other side of a pipe; it answers None where it is not installed."""

    def __init__(self, process: subprocess.Popen[str] | None) -> None:
        self._process = process
        self.name = ""
        first = self._read()
        if first:
            self.name = f"kaldi_decoder {first['version']}"

    def run(self, job: dict[str, Any]) -> dict[str, Any] | None:
        if self._process is None or self._process.stdin is None or not self.name:
            return None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any] | None:
        if self._process is None or self._process.stdout is None:
            return None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None


@contextmanager
def _peer(python: str, bed: Bed) -> Iterator[_Peer]:
    """Start the peer on the bed's graph and its scores, a column per input label."""
    if bed.graph is None:
        yield _Peer(None)
        return
    with tempfile.TemporaryDirectory() as folder:
        graph, scores = Path(folder) / "graph.fst", Path(folder) / "scores.npy"
        bed.graph.fst.write(graph)
        # Kaldi's decoders have no acoustic scale of their own
        np.save(scores, bed.acoustic_scale * bed.scores.array[:, bed.graph.labels.column])
        command = [python, kaldi_peer.__file__, str(graph), str(scores)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        try:
            yield _Peer(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def _ours(graph: AnyGraph, bed: Bed, job: dict[str, Any]) -> tuple[float, float]:
    """Do a job; return seconds of processor time and the cost."""
    options = SearchOptions(
        beam=job["beam"], max_active=job["max_active"], lattice_beam=job["lattice_beam"],
        acoustic_scale=bed.acoustic_scale,
    )  # fmt: skip
    graph = graph_to_search(graph, options)
    begin = time.process_time()
    if job["kind"] == "lattice":
        lattice = lattice_before_determinization(graph, bed.scores, options)
        taken = time.process_time() - begin
        return taken, float(lattice.backward()[0]) if lattice is not None else np.inf
    search = begin_search(graph, options)
    search.advance(bed.scores.array)
    cost = search.path()[0]
    return time.process_time() - begin, cost


class _Turns(NamedTuple):
    """Seconds and costs of each of our graphs, by its name, and the peer's."""

    ours: dict[str, tuple[float, float]]
    theirs: tuple[float, float] | None


def _turns(bed: Bed, job: dict[str, Any], peer: _Peer, repeat: int) -> _Turns:
    """Run all sides in turns; the best time of each counts."""
    graphs: dict[str, AnyGraph] = {"": bed.graph} if bed.graph is not None else {}
    graphs[", H on the fly"] = bed.compact
    ours: dict[str, tuple[float, float]] = {}
    theirs: tuple[float, float] | None = None
    for turn in range(repeat + 1):  # the first one compiles and reads pages
        for name, graph in graphs.items():
            taken, cost = _ours(graph, bed, job)
            if turn:
                ours[name] = (min(taken, ours.get(name, (np.inf, 0.0))[0]), cost)
        if turn:
            answer = peer.run(job)
            if answer is not None:
                best = min(answer["seconds"], theirs[0] if theirs else np.inf)
                # no complete path: the cost is not that of one
                theirs = (best, np.inf if answer["cost"] is None else answer["cost"])
    return _Turns(ours, theirs)


def _speed_rows(
    bed: Bed, work: str, turns: _Turns, peer: _Peer, target: float | None
) -> Iterator[Row]:
    n_frames = bed.scores.n_frames
    for name, (seconds, cost) in turns.ours.items():
        note = f"cost {cost:.2f}"
        if turns.theirs is not None:
            note += f", peer's {turns.theirs[1]:.2f}"
        if bed.graph is None:
            note += f"; {seconds / (n_frames * bed.scores.frame_shift):.3f} x real time"
        yield Row(
            f"{bed.name}: {work}{name}", "frames/s", n_frames / seconds,
            n_frames / turns.theirs[0] if turns.theirs else None, peer.name,
            target if bed.graph is not None else None, note=note,
        )  # fmt: skip


def _best_path_rows(bed: Bed, beams: Sequence[float], peer: _Peer, repeat: int) -> Iterator[Row]:
    for beam in beams:
        for max_active in (7000, 0):
            job = {"kind": "best", "beam": beam, "max_active": max_active, "lattice_beam": 6.0}
            work = f"best path, beam {beam:g}, max-active {max_active or 'unlimited'}"
            turns = _turns(bed, job, peer, repeat)
            yield from _speed_rows(bed, work, turns, peer, 5.0 if bed.is_small else 3.0)


def _lattice_rows(bed: Bed, peer: _Peer, repeat: int) -> Iterator[Row]:
    best = _turns(bed, {**_LATTICE_JOB, "kind": "best"}, _Peer(None), repeat)
    turns = _turns(bed, _LATTICE_JOB, peer, repeat)
    yield from _speed_rows(bed, "lattice, beam 13, lattice beam 6", turns, peer, 4.0)
    for name, (seconds, _) in turns.ours.items():
        yield Row(
            f"{bed.name}: lattice time over best-path time{name}", "s", seconds,
            best.ours[name][0], "our best path", 1.5, less_is_better=True,
        )  # fmt: skip


def _memory_rows(bed: Bed) -> Iterator[Row]:
    """Measure memory above the graph: for the bed's frames, and for an hour of them."""
    n_hour = round(3600 / bed.scores.frame_shift)
    graphs: dict[str, AnyGraph] = {"": bed.graph} if bed.graph is not None else {}
    graphs[", H on the fly"] = bed.compact
    for name, graph in graphs.items():
        with tempfile.TemporaryDirectory() as folder:
            graph.save(Path(folder) / "graph")
            np.save(Path(folder) / "scores.npy", bed.scores.array)
            short, hour = (
                search_memory.measured(Path(folder), bed.acoustic_scale, n)
                for n in (bed.scores.n_frames, n_hour)
            )
        if short is None or hour is None:
            continue
        yield Row(
            f"{bed.name}: memory above the graph, beam 10, an hour{name}", "MB", hour, short,
            f"{bed.scores.n_frames * bed.scores.frame_shift:.0f} s of it", None,
            less_is_better=True, note="at most 200 MB are asked for",
        )  # fmt: skip


def _thread_row(bed: Bed, repeat: int) -> Row:
    """Measure 100 utterances on one thread and on two."""
    options = SearchOptions(beam=10.0, acoustic_scale=bed.acoustic_scale)
    utterances = [bed.scores] * 100
    seconds = {1: float("inf"), 2: float("inf")}
    for _ in range(max(1, repeat - 1)):
        for n_threads in seconds:
            begin = time.perf_counter()
            for _result in decode_many(bed.searched, utterances, options, n_threads=n_threads):
                pass
            seconds[n_threads] = min(seconds[n_threads], time.perf_counter() - begin)
    work = 100 * bed.scores.n_frames
    return Row(
        f"{bed.name}: 100 utterances on two threads over one", "frames/s", work / seconds[2],
        work / seconds[1], "our one thread", 1.8,
    )  # fmt: skip
