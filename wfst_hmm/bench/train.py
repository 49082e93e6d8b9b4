"""Monophone training beside kaldi-hmm-gmm: the same features, passes and Gaussians.

In: the recordings of the Free Spoken Digit Dataset, and an interpreter that has kaldi-hmm-gmm.
Out: rows of seconds and of frames per second, ours over the peer's.

The peer cannot live in our process: it needs an older kaldifst. It runs in the interpreter named
by ``--peer`` or WFST_HMM_KHG (``python -m venv khg && khg/bin/pip install kaldi-hmm-gmm==1.1.4
kaldifst==1.7.17``).

Public names: `bench_train`.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wfst_hmm.apps.fsdd import RATE, make_unknown
from wfst_hmm.bench.material import need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.lexicon import Lexicon, read_lexicon
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.training.features import Take, training_takes
from wfst_hmm.training.monophone import train_on
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.passes import PassReport
from wfst_hmm.training.progress import Watcher
from wfst_hmm.training.workers import Workers

__all__ = ["bench_train"]

_PEER = Path(__file__).with_name("khg_peer.py")


class _Clock(Watcher):
    """Times the passes after the first, which also compiles and finds the flat start."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def begin(self, n_passes: int, n_done: int, n_frames: int) -> None:
        self.times = [time.perf_counter()]

    def passed(self, report: PassReport) -> None:
        self.times.append(time.perf_counter())

    @property
    def seconds_a_pass(self) -> float:
        """Mean of the last half of the passes, which have most Gaussians."""
        steps = np.diff(self.times)
        return float(steps[len(steps) // 2 :].mean())


def bench_train(
    folder: str | Path | None = None,
    *,
    peer: str | Path | None = None,
    n_passes: int = 41,
    n_gaussians: int = 784,
    n_workers: int = 0,
    speakers: int = 5,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Train with both, one after the other.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset.
    peer : path, optional
        Python interpreter with kaldi-hmm-gmm; by default that of WFST_HMM_KHG. Without one,
        only our side is measured.
    n_passes, n_gaussians : int
    n_workers : int
        Also measure with so many threads; 0: as many as there are processors.
    speakers : int
        Train on all speakers but one (5), or on fewer.
    progress : callable, optional
        Hears what is being done.
    """
    found = need_folder(folder)
    tell = progress or (lambda text: None)
    interpreter = peer or os.environ.get("WFST_HMM_KHG")
    if interpreter is not None and not Path(interpreter).is_file():
        raise UsageError("no such interpreter", where=str(interpreter),
                         fix="Name the python of an environment with kaldi-hmm-gmm.")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        takes, lexicon = _material(found, Path(name), speakers)
        n_frames = sum(len(take.frames) for take in takes)
        options = TrainingOptions(features=FeatureOptions(rate=RATE), n_passes=n_passes,
                                  n_gaussians=n_gaussians, n_workers=1)  # fmt: skip
        train_on(takes[:50], lexicon, None, options.replace(n_passes=2))  # compiles the kernels
        timings: dict[int, tuple[float, float, float]] = {}
        for n in dict.fromkeys((1, n_workers or os.cpu_count() or 1)):
            tell(f"ours, {n} threads")
            clock = _Clock()
            begun, cpu_begun = time.perf_counter(), time.process_time()
            train_on(takes, lexicon, None, options.replace(n_workers=n), watcher=clock)
            timings[n] = (time.perf_counter() - begun, time.process_time() - cpu_begun,
                          clock.seconds_a_pass)  # fmt: skip
        theirs = None
        if interpreter is not None:
            tell("kaldi-hmm-gmm")
            theirs = _run_peer(Path(interpreter), Path(name), takes, lexicon, options)
        else:
            tell("kaldi-hmm-gmm is not measured: name an interpreter that has it with --peer "
                 "or WFST_HMM_KHG")  # fmt: skip
    return _rows(timings, theirs, n_frames, n_passes)


def _material(folder: Path, scratch: Path, speakers: int) -> tuple[list[Take], Lexicon]:
    fold = make_unknown(folder, scratch / "fsdd")[0]
    corpus = read_corpus(fold.train)
    kept = list(corpus.speakers())[:speakers]
    corpus = corpus.subset(u.id for u in corpus if u.speaker in kept)
    with Workers(1) as workers:
        takes = training_takes(corpus, FeatureOptions(rate=RATE), workers=workers)
    return takes, read_lexicon(fold.lexicon)


def _run_peer(
    interpreter: Path, scratch: Path, takes: list[Take], lexicon: Lexicon, options: TrainingOptions
) -> dict[str, Any]:
    frames = np.concatenate([take.frames for take in takes])
    borders = np.cumsum([0, *(len(take.frames) for take in takes)])
    np.savez(scratch / "features.npz", allow_pickle=False, frames=frames, borders=borders)
    silence = options.silence_phone
    job = {
        "features": str(scratch / "features.npz"),
        "transcripts": [list(take.words) for take in takes],
        "lexicon": [(entry.word, list(entry.phones)) for entry in lexicon],
        "phones": [silence, *sorted(set(lexicon.phones) - {silence})],
        "n_passes": options.n_passes, "n_gaussians": options.n_gaussians, "always": False,
    }  # fmt: skip
    (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")
    done = subprocess.run(
        [str(interpreter), str(_PEER), str(scratch / "job.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UsageError("kaldi-hmm-gmm does not run there", where=str(interpreter), got=last,
                         fix="pip install kaldi-hmm-gmm==1.1.4 kaldifst==1.7.17")  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _rows(
    timings: dict[int, tuple[float, float, float]],
    theirs: dict[str, Any] | None,
    n_frames: int,
    n_passes: int,
) -> list[Row]:
    work = f"training, {n_passes} passes over {n_frames:,} frames"
    if theirs is None:
        name, whole, cpu, speed = "", None, None, None
    else:
        name = f"kaldi-hmm-gmm {theirs['version']}"
        whole, cpu = theirs["seconds"], theirs["cpu_seconds"]
        a_pass = theirs["align"] / theirs["n_aligning"] + theirs["accumulate"] / n_passes
        speed = n_frames / a_pass
    rows = []
    for n, (seconds, cpu_seconds, a_pass) in timings.items():
        threads = f"{n} thread{'s' * (n > 1)}"
        rows.append(
            Row(work, "s", seconds, whole, name, 1.0, less_is_better=True, note=threads)
        )  # fmt: skip
        rows.append(
            Row("the same, processor time", "s", cpu_seconds, cpu, name, less_is_better=True,
                note=threads)
        )  # fmt: skip
        rows.append(
            Row("one pass, alignment and statistics", "frames/s", n_frames / a_pass, speed, name,
                note=threads)
        )  # fmt: skip
    return rows
