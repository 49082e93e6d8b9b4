"""Our beam search beside Kaldi's decoders: same graph file, same score matrix, one thread each.

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
from typing import Any

import numpy as np

from wfst_hmm.bench import kaldi_peer
from wfst_hmm.bench.beds import BEDS, Bed
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import UsageError
from wfst_hmm.lattice.generate import raw_lattice
from wfst_hmm.search.beam import beam_path
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.parallel import decode_many

__all__ = ["bench_search"]

_PEER_PYTHON = "WFST_HMM_KALDI_PYTHON"
_TARGET = {"digit loop": 5.0, "20k words": 3.0}
_LATTICE_JOB = {"kind": "lattice", "beam": 13.0, "max_active": 0, "lattice_beam": 6.0}


def bench_search(
    beds: Sequence[str] = ("digits", "words"),
    *,
    beams: Sequence[float] = (8.0, 10.0, 13.0),
    folder: str | Path | None = None,
    peer_python: str | None = None,
    repeat: int = 3,
) -> list[Row]:
    """Measure the searches on each test bed.

    Parameters
    ----------
    beds : sequence of str
        Of ``"digits"`` (a loop of ten digits) and ``"words"`` (20,000 words, 2-grams; needs the
        pocketsphinx package, for its dictionary and language model).
    beams : sequence of float
    folder : path, optional
        Keeps graphs that take long to build.
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
        bed = BEDS[name](Path(folder) if folder else None)
        with _peer(python, bed) as peer:
            rows += _best_path_rows(bed, beams, peer, repeat)
            rows += _lattice_rows(bed, peer, repeat)
        rows.append(_thread_row(bed, repeat))
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
    with tempfile.TemporaryDirectory() as folder:
        graph, scores = Path(folder) / "graph.fst", Path(folder) / "scores.npy"
        bed.graph.fst.write(graph)
        np.save(scores, bed.scores.array[:, bed.graph.labels.column])
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


def _turns(
    bed: Bed, job: dict[str, Any], peer: _Peer, repeat: int
) -> tuple[float, float, float | None, float | None]:
    """Run both sides in turns; return our seconds and cost, then theirs."""
    options = SearchOptions(
        beam=job["beam"], max_active=job["max_active"], lattice_beam=job["lattice_beam"]
    )
    # both sides read one column per label
    scores = np.ascontiguousarray(bed.scores.array[:, bed.graph.labels.column])
    columns = np.arange(scores.shape[1], dtype=np.int32)
    seconds, theirs, cost, their_cost = float("inf"), float("inf"), np.inf, None
    for turn in range(repeat + 1):  # the first one of ours compiles and reads pages
        begin = time.process_time()
        if job["kind"] == "lattice":
            lattice = raw_lattice(bed.graph.fst, scores, columns, options)
            taken = time.process_time() - begin
            cost = float(lattice.backward()[0]) if lattice is not None else np.inf
        else:
            cost, _ = beam_path(bed.graph.fst, scores, columns, options)
            taken = time.process_time() - begin
        if turn:
            seconds = min(seconds, taken)
            answer = peer.run(job)
            if answer is not None:
                theirs = min(theirs, answer["seconds"])
                their_cost = answer["cost"]
    return seconds, cost, theirs if peer.name else None, their_cost


def _best_path_rows(bed: Bed, beams: Sequence[float], peer: _Peer, repeat: int) -> Iterator[Row]:
    n_frames = bed.scores.n_frames
    for beam in beams:
        for max_active in (7000, 0):
            job = {"kind": "best", "beam": beam, "max_active": max_active, "lattice_beam": 6.0}
            seconds, cost, theirs, their_cost = _turns(bed, job, peer, repeat)
            active = max_active or "unlimited"
            note = f"cost {cost:.2f}"
            if their_cost is not None:
                note += f", peer's {their_cost:.2f}"
            yield Row(
                f"{bed.name}: best path, beam {beam:g}, max-active {active}", "frames/s",
                n_frames / seconds, n_frames / theirs if theirs else None, peer.name,
                _TARGET[bed.name], note=note,
            )  # fmt: skip


def _lattice_rows(bed: Bed, peer: _Peer, repeat: int) -> Iterator[Row]:
    n_frames = bed.scores.n_frames
    best, _, _, _ = _turns(bed, {**_LATTICE_JOB, "kind": "best"}, _Peer(None), repeat)
    seconds, cost, theirs, their_cost = _turns(bed, _LATTICE_JOB, peer, repeat)
    note = f"cost {cost:.2f}" + (f", peer's {their_cost:.2f}" if their_cost is not None else "")
    yield Row(
        f"{bed.name}: lattice, beam 13, lattice beam 6", "frames/s", n_frames / seconds,
        n_frames / theirs if theirs else None, peer.name, 4.0, note=note,
    )  # fmt: skip
    yield Row(
        f"{bed.name}: lattice time over best-path time", "s", seconds, best, "our best path", 1.5,
        less_is_better=True,
    )  # fmt: skip


def _thread_row(bed: Bed, repeat: int) -> Row:
    """Measure 100 utterances on one thread and on two."""
    options = SearchOptions(beam=10.0)
    utterances = [bed.scores] * 100
    seconds = {1: float("inf"), 2: float("inf")}
    for _ in range(max(1, repeat - 1)):
        for n_threads in seconds:
            begin = time.perf_counter()
            for _result in decode_many(bed.graph, utterances, options, n_threads=n_threads):
                pass
            seconds[n_threads] = min(seconds[n_threads], time.perf_counter() - begin)
    work = 100 * bed.scores.n_frames
    return Row(
        f"{bed.name}: 100 utterances on two threads over one", "frames/s", work / seconds[2],
        work / seconds[1], "our one thread", 1.8,
    )  # fmt: skip
