"""Commands that are killed again and again, and end with the results of commands that are not.

In: a graph, a model, a lexicon and a corpus. Out: how many kills, and what was lost, doubled or
different in the end (nothing, or this program is wrong).

Real processes get SIGKILL at random moments, a quarter of them while a file is being written: the
command itself, a worker, Dask's scheduler, its nanny. A supervisor, as a cluster has one, starts
nannies again, and every second scheduler at the same address. Then the same command is given again.
Whatever it wrote at last is compared, byte by byte, with what an undisturbed run writes.

Public names: `SoakReport`, `bench_soak`, `soak`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.bench.target import Target, digit_target
from wfst_hmm.formats.data import read_corpus

__all__ = ["SoakReport", "bench_soak", "soak"]

_PATIENCE = 300.0  # seconds that one run may take
_WRITING = 0.25  # share of the kills that wait for a file to be written
_GRACE = 0.03  # seconds: the most that such a kill comes after the file has been begun


@dataclasses.dataclass
class SoakReport:
    """What a soak found.

    Attributes
    ----------
    kills : dict of str to int
        By what was killed: ``command``, ``worker``, ``scheduler``, ``nanny``.
    n_runs : int
        Commands that ran to their end after all.
    failed : list of str
        Commands that gave up though they had not been killed.
    n_writing : int
        Kills while a file was being written.
    lost, doubled, different : list of str
        Utterances missing or twice in the results; files that differ from an undisturbed run's.
    """

    kills: dict[str, int] = dataclasses.field(default_factory=dict)
    n_runs: int = 0
    n_writing: int = 0
    failed: list[str] = dataclasses.field(default_factory=list)
    lost: list[str] = dataclasses.field(default_factory=list)
    doubled: list[str] = dataclasses.field(default_factory=list)
    different: list[str] = dataclasses.field(default_factory=list)

    @property
    def n_kills(self) -> int:
        """All kills."""
        return sum(self.kills.values())


@dataclasses.dataclass(frozen=True)
class _Case:
    """One command on one engine, and whom to kill."""

    command: str
    engine: str
    victims: tuple[str, ...]


CASES = (
    _Case("decode", "threads", ("command",)),
    _Case("decode", "processes", ("command", "worker")),
    _Case("align", "processes", ("command", "worker")),
    _Case("features", "threads", ("command",)),
    _Case("train", "threads", ("command",)),
    _Case("train", "processes", ("command", "worker")),
    _Case("decode", "local", ("command", "worker")),
    _Case("decode", "scheduler", ("command", "worker", "scheduler", "nanny")),
)


def soak(
    target: Target,
    folder: str | Path,
    *,
    n_kills: int,
    seed: int = 0,
    cases: tuple[_Case, ...] = CASES,
    progress: Progress = silent,
) -> SoakReport:
    """Kill commands `n_kills` times, at least once for every case.

    Parameters
    ----------
    target : Target
    folder : path
        For outputs; what differs is left there.
    n_kills : int
    seed : int
        Of the moments and victims.
    cases : tuple
        Commands and engines, in turn.
    progress : callable
        Hears how it goes.
    """
    rng = random.Random(seed)
    report = SoakReport()
    ids = [utterance.id for utterance in read_corpus(target.corpus)]
    with contextlib.ExitStack() as stack:
        runners = {
            case: stack.enter_context(_Runner(case, target, Path(folder), rng, report))
            for case in cases
        }
        number = 0
        while report.n_kills < n_kills or number < len(cases):
            runner = runners[cases[number % len(cases)]]
            runner.episode(min(rng.randint(1, 3), max(1, n_kills - report.n_kills)), ids)
            number += 1
            progress(f"{report.n_kills} of {n_kills} kills, {report.n_runs} runs ended")
    return report


class _Runner:
    """Runs one case; a context that leaves no process behind."""

    def __init__(
        self, case: _Case, target: Target, folder: Path, rng: random.Random, report: SoakReport
    ) -> None:
        self.case, self.target, self.rng, self.report = case, target, rng, report
        self.folder = folder / f"{case.command}-{case.engine}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.out = self.folder / "out"
        self.wanted: dict[str, bytes] = {}
        self.seconds = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.services: dict[str, subprocess.Popen[bytes]] = {}
        self.port = 0

    def __enter__(self) -> _Runner:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._stop_services()

    def episode(self, n_kills: int, ids: list[str]) -> None:
        """Kill a command so often, let it end, and look at what it wrote."""
        if not self.wanted:
            self._undisturbed()  # the first run may compile
            self.wanted = self._undisturbed()
            self._check_ids(ids)
        while n_kills:
            process = self._started()
            victim = self.rng.choice(self.case.victims)
            writing = self._moment(process)
            killed = self._killed(process, victim)
            n_kills -= killed
            self.report.n_writing += killed * writing
        self._ended(self._started())
        found = self._taken()
        self.report.n_runs += 1
        if found != self.wanted:
            names = sorted(n for n in {*found, *self.wanted} if found.get(n) != self.wanted.get(n))
            self.report.different += [f"{self.folder.name}: {name}" for name in names]
            for name, data in found.items():
                kept = self.folder / f"different-{self.report.n_runs}" / name
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(data)

    def _undisturbed(self) -> dict[str, bytes]:
        """Run the command as it is meant to be run, and learn how long it takes."""
        begin = time.monotonic()
        self._ended(self._started())
        self.seconds = time.monotonic() - begin
        return self._taken()

    def _moment(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for the moment of a kill; tell whether a file was begun just before."""
        begin = time.monotonic()
        if self.rng.random() < _WRITING:
            before = self._being_written()
            while process.poll() is None and time.monotonic() - begin < self.seconds:
                if self._being_written() - before:
                    time.sleep(self.rng.uniform(0.0, _GRACE))
                    return True
                time.sleep(0.0005)
            return False
        end = begin + self.rng.uniform(0.0, self.seconds)
        while (left := end - time.monotonic()) > 0 and process.poll() is None:
            time.sleep(min(left, 0.05))
        if process.poll() is not None:  # the machine has less to do than before
            self.seconds = min(self.seconds, time.monotonic() - begin)
        return False

    def _being_written(self) -> set[str]:
        """Return the names of files that are there for a moment, and of results."""
        found: set[str] = set()
        for folder in (self.folder, self.out, self.out.with_name("out.journal")):
            with contextlib.suppress(OSError):
                names = {entry.name for entry in os.scandir(folder)}
                found |= {n for n in names if n.endswith(".part") or folder == self.out}
        return found

    def _check_ids(self, ids: list[str]) -> None:
        if "hyp.txt" in self.wanted:
            written = [line.split()[0] for line in self.wanted["hyp.txt"].decode().splitlines()]
            self.report.lost += sorted({*ids} - {*written})
            self.report.doubled += sorted({i for i in written if written.count(i) > 1})

    def _arguments(self) -> list[str]:
        t, engine = self.target, self.case.engine
        if engine == "scheduler":
            engine = str(self.folder / "scheduler.json")
        common = ["--cluster", engine, "-j", "2", "--out", str(self.out)]
        return {
            "decode": ["decode", str(t.graph), str(t.corpus), *common],
            "align": ["align", str(t.corpus), "--model", str(t.model), "--lexicon",
                      str(t.lexicon), *common],
            "features": ["features", str(t.corpus), "--model", str(t.model), *common],
            "train": ["train", str(t.corpus), str(self.out), "--lexicon", str(t.lexicon),
                      "--passes", "8", "--gaussians", "40", "-j", "2", "--cluster", engine],
        }[self.case.command]  # fmt: skip

    def _started(self) -> subprocess.Popen[bytes]:
        if self.case.engine == "scheduler":
            self._start_services()
        command = [sys.executable, "-m", "wfst_hmm", *self._arguments()]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        return self.process

    def _killed(self, process: subprocess.Popen[bytes], victim: str) -> int:
        """Kill the victim; return 1 if it was alive. The command has ended then."""
        pids = [pid for pid in self._pids(process, victim) if process.poll() is None]
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.rng.choice(pids), signal.SIGKILL)
        if victim == "command":
            process.wait()
        elif victim == "scheduler" and pids:
            self.services.pop("scheduler").wait()
            if self.rng.random() < 0.5:
                self._start("scheduler")
            self._ended(process, may_fail=True)
        else:
            self._ended(process)
        if pids:
            self.report.kills[victim] = self.report.kills.get(victim, 0) + 1
        return len(pids[:1])

    def _pids(self, process: subprocess.Popen[bytes], victim: str) -> list[int]:
        if victim == "command":
            return [process.pid]
        if victim in self.services:
            return [self.services[victim].pid]
        parent = self.services["nanny"].pid if self.services else process.pid
        return [pid for pid in _children(parent) if b"spawn_main" in _command_line(pid)]

    def _ended(self, process: subprocess.Popen[bytes], *, may_fail: bool = False) -> None:
        end = time.monotonic() + _PATIENCE
        while (code := process.poll()) is None and time.monotonic() < end:
            time.sleep(0.05)
            if "nanny" in self.services and self.services["nanny"].poll() is not None:
                # killed, without its scheduler, or its worker was killed while it started
                self._start("nanny")
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code is None or (code and not may_fail):
            how = "did not end" if code is None else f"failed ({code})"
            self.report.failed.append(f"{self.folder.name}: a command {how}")

    def _taken(self) -> dict[str, bytes]:
        """Return and remove what was written; nothing else may be left beside it."""
        files = {
            str(p.relative_to(self.out)): p.read_bytes()
            for p in sorted(self.out.rglob("*")) if p.is_file()
        }  # fmt: skip
        marks = ("journal", ".part", ".old", ".frames")
        left = [p.name for p in self.folder.iterdir() if any(mark in p.name for mark in marks)]
        self.report.different += [f"{self.folder.name}: {name} is left" for name in left]
        for name in files:
            (self.out / name).unlink()
        return files

    def _start_services(self) -> None:
        """Start a scheduler and a nanny of two workers, unless they live."""
        if len(self.services) == 2 and all(s.poll() is None for s in self.services.values()):
            return
        self._stop_services()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._start("scheduler")
        end = time.monotonic() + 60
        while not _answers(self.port) and time.monotonic() < end:
            time.sleep(0.05)
        self._start("nanny")

    def _start(self, name: str) -> None:
        """Start the scheduler, or the nanny of two workers; it answers a while later."""
        file = self.folder / "scheduler.json"
        file.write_text(json.dumps({"address": f"tcp://127.0.0.1:{self.port}"}))
        options = {
            "scheduler": ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"],
            "worker": ["--scheduler-file", str(file), "--host", "127.0.0.1", "--nworkers", "2",
                       "--nthreads", "1", "--no-dashboard",
                       "--local-directory", str(self.folder / "dask")],
        }  # fmt: skip
        command = "worker" if name == "nanny" else name
        with open(self.folder / "log", "ab") as log:
            self.services[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", command, *options[command]], stdout=log, stderr=log
            )

    def _stop_services(self) -> None:
        for service in reversed(self.services.values()):
            for pid in [*_children(service.pid), service.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            service.wait()
        self.services = {}


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _children(parent: int) -> Iterator[int]:
    """Yield the processes whose parent is `parent` (from /proc)."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if folder.name.isdigit() and int(fields[1]) == parent:
                yield int(folder.name)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def bench_soak(
    *, n_kills: int = 200, seed: int = 0, n_utterances: int = 400, progress: Progress = silent
) -> list[Row]:
    """Make a corpus of digits, and soak.

    Returns
    -------
    list of Row
        Kills by victim; utterances lost and doubled; files that differ.
    """
    folder = Path(tempfile.mkdtemp(prefix="wfst-hmm-soak-"))
    target = digit_target(folder, n_utterances, progress)
    report = soak(target, folder / "runs", n_kills=n_kills, seed=seed, progress=progress)
    wrong = (*report.failed, *report.lost, *report.doubled, *report.different)
    if wrong:
        progress(f"outputs and logs are in {folder}")
    else:  # after an error they are left, too
        shutil.rmtree(folder)
    note = ", ".join(f"{n} of a {what}" for what, n in sorted(report.kills.items()))
    note += f"; {report.n_writing} while a file was written"
    for name in wrong:
        progress(f"WRONG: {name}")
    return [
        Row("kills at random moments", "kills", report.n_kills, target=n_kills, note=note),
        Row("runs that ended after kills", "runs", report.n_runs),
        Row("commands that gave up without being killed", "runs", len(report.failed), target=0,
            less_is_better=True),
        Row("utterances lost", "utterances", len(report.lost), target=0, less_is_better=True),
        Row("utterances doubled", "utterances", len(report.doubled), target=0,
            less_is_better=True),
        Row("files unlike an undisturbed run's", "files", len(report.different), target=0,
            less_is_better=True),
    ]  # fmt: skip
