"""Dask as the engine: workers on this machine, behind a scheduler's address, or in a batch system.

In: an address. Out: `DaskEngine`. This is the only module that imports Dask.

Graphs and models are read by every worker from the path at which they lie here. A worker that
does not see that path (another machine, no shared file system) is sent the files once, through the
scheduler, and maps them into memory from its own disk. A worker that joins later is sent them, too.

Public names: `DaskEngine`, `connected`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin
from threadpoolctl import threadpool_limits

import wfst_hmm
from wfst_hmm.cluster.engine import Future, Tell
from wfst_hmm.cluster.engines import BATCH
from wfst_hmm.cluster.shipping import Parcel, receive, seen
from wfst_hmm.errors import ClusterError, UsageError

__all__ = ["DaskEngine", "connected"]

_CONNECT_SECONDS = 20
_REFRESH_SECONDS = 1.0
_LOST_SECONDS = 30.0
_WAIT_SECONDS = 10.0
_STARTS = 3  # attempts to start workers here
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 32 << 20


class DaskEngine:
    """The workers of one scheduler."""

    def __init__(self, client: Client, tell: Tell = lambda text: None) -> None:
        self._client, self._tell = client, tell
        self._workers: dict[str, int] = {}
        self._asked = -1e9
        self._patient_until = time.monotonic() + _WAIT_SECONDS

    def slots(self) -> int:
        """Return how many threads the workers have together, as of the last second."""
        now = time.monotonic()
        if now - self._asked > _REFRESH_SECONDS:
            self._asked = now
            if self._client.status not in ("running", "connecting"):
                raise ClusterError(
                    "the connection to the scheduler is lost", got=self._client.status,
                    fix="Start it again and give the same command: it goes on where it was.",
                )  # fmt: skip
            with contextlib.suppress(OSError, TimeoutError):
                self._workers = self._client.nthreads()
            if not self._workers and now > self._patient_until:
                self._patient_until = now + 60
                self._tell("no worker yet: waiting")
        return max(1, sum(self._workers.values()))

    def submit(
        self, function: Callable[..., bytes], *arguments: Any, again: bool = False
    ) -> Future:
        """Submit one task."""
        placed: dict[str, Any] = {}
        if again and len(self._workers) > 1:
            busy = {worker for worker, keys in self._client.processing().items() if keys}
            idle = [worker for worker in self._workers if worker not in busy]
            if idle:
                placed = {"workers": idle, "allow_other_workers": True}
        future: Future = self._client.submit(function, *arguments, pure=False, **placed)
        return future

    def recover(self, error: BaseException) -> bool:
        """Wait for a scheduler that is gone for a moment; it cares for dead workers itself."""
        end = time.monotonic() + _LOST_SECONDS
        while self._client.status == "connecting" and time.monotonic() < end:
            time.sleep(0.1)
        return bool(self._client.status == "running")

    def bring(self, files: Sequence[Path]) -> None:
        """Send the files to the workers that do not see them."""
        parcels = [Parcel.described(path) for path in files]
        found = _answers(self._client, seen, [parcel.facts() for parcel in parcels])
        for number, (path, parcel) in enumerate(zip(files, parcels, strict=True)):
            if all(not isinstance(s, Exception) and s[number] for s in found.values()):
                continue
            plugin = Delivery(parcel.filled(path))
            # a worker that dies meanwhile is missed by nobody; if files are missed, this is repeated
            with contextlib.suppress(OSError):
                self._client.register_plugin(plugin, name=f"wfst_hmm {parcel.digest}")


class Settled(WorkerPlugin):  # type: ignore[misc]
    """Makes every worker work as a thread here would, also those that join later."""

    def setup(self, worker: Any) -> None:
        """Keep matrix products to one thread, and freed memory for the next utterance."""
        threadpool_limits(1, user_api="blas")
        # Dask has its workers give every freed byte back at once; fetching the pages again took a
        # fifth of the time of a search. These are the limits that the C library finds by itself.
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
            library.mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)


class Delivery(WorkerPlugin):  # type: ignore[misc]
    """Brings a parcel to every worker, also to those that join later."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel

    def setup(self, worker: Any) -> None:
        """Unpack it on the worker's disk, unless it lies there already."""
        receive(self.parcel, Path(worker.local_directory))


@contextlib.contextmanager
def connected(spec: str, n: int, tell: Tell) -> Iterator[DaskEngine]:
    """Give an engine for `spec`; what was started here is stopped at the end."""
    # Workers that are killed take the blame of the tasks they held; ours are harmless.
    # A hundred samples of every worker's stack a second, for the dashboard, cost a tenth of a core.
    settings = {
        "distributed.scheduler.allowed-failures": 1000,
        "distributed.worker.profile.enabled": False,
        "distributed.worker.profile.interval": "1s",
        "distributed.admin.system-monitor.interval": "2s",
        "distributed.admin.tick.interval": "500ms",
        "distributed.comm.timeouts.connect": f"{_CONNECT_SECONDS}s",
    }
    with (
        dask.config.set(settings),
        _cluster(spec, n, tell) as cluster,
        _client(cluster, spec) as client,
    ):
        tell(f"Dask: scheduler {client.scheduler.address}, dashboard {client.dashboard_link}")
        _check_versions(client, spec)
        with contextlib.suppress(CommClosedError, TimeoutError):  # one that dies is replaced
            client.register_plugin(Settled(), name="wfst_hmm settled")
        yield DaskEngine(client, tell)


def _check_versions(client: Client, spec: str) -> None:
    """Refuse workers whose results might be others than ours."""
    found = _answers(client, _version)
    for error in found.values():
        if isinstance(error, Exception):  # whatever happens to a worker without this package
            raise UsageError(
                f"workers cannot work ({type(error).__name__}: {error})", where="--cluster",
                got=spec, fix="Install wfst_hmm there, the same version.",
            )  # fmt: skip
    others = sorted(set(found.values()) - {wfst_hmm.__version__})
    if others:
        raise UsageError("workers of another version of wfst_hmm", where="--cluster",
                         got=", ".join(others), expected=wfst_hmm.__version__)  # fmt: skip


def _answers(client: Client, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Return what every worker answers, or raises; those that die meanwhile are left out."""
    found: dict[str, Any] = {}
    with contextlib.suppress(CommClosedError, TimeoutError):
        found = client.run(function, *arguments, on_error="return")
    gone = (CommClosedError, TimeoutError)
    return {worker: answer for worker, answer in found.items() if not isinstance(answer, gone)}


def _version() -> str:
    """Return the version on the worker."""
    return wfst_hmm.__version__


@contextlib.contextmanager
def _cluster(spec: str, n: int, tell: Tell) -> Iterator[Any]:
    """Give a cluster that was started here, or the address of one that runs."""
    if spec == "local":
        with _local(n, tell) as cluster:
            yield cluster
    elif spec in BATCH:
        try:
            room = importlib.import_module("dask_jobqueue")
        except ImportError:
            raise UsageError(f"{spec} needs dask-jobqueue", where="--cluster", got=spec,
                             fix="Install it: pip install dask-jobqueue.") from None  # fmt: skip
        try:
            cluster = getattr(room, BATCH[spec])()
        except (ValueError, TypeError, OSError) as error:
            raise UsageError(
                f"{spec} cannot be used ({error})", where="--cluster",
                fix="Set cores, memory and queue in ~/.config/dask/jobqueue.yaml.",
            ) from None  # fmt: skip
        with cluster:
            cluster.scale(n)
            yield cluster
    else:
        yield spec  # an address or a scheduler file: `engines.engine_for` has seen to it


def _local(n: int, tell: Tell) -> LocalCluster:
    """Start workers here; Dask gives the cluster up when one of them dies while it starts."""
    failure: Exception | None = None
    for _ in range(_STARTS):
        if failure is not None:
            tell("a worker died while it started: they are started again")
        try:
            return LocalCluster(
                n_workers=n, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0", silence_logs=50,
            )  # fmt: skip
        except (RuntimeError, OSError, TimeoutError) as error:
            failure = error
    raise ClusterError(f"Dask's workers do not start ({failure})", where="--cluster",
                       fix="Is memory short? Use --cluster processes.") from failure  # fmt: skip


@contextlib.contextmanager
def _client(cluster: Any, spec: str) -> Iterator[Client]:
    try:
        if isinstance(cluster, str) and "://" not in cluster:
            client = Client(scheduler_file=cluster, timeout=_CONNECT_SECONDS)
        else:
            client = Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"no scheduler answers ({error})", where="--cluster", got=spec,
                         fix="Start one: dask scheduler; and workers: dask worker ADDRESS.") from None  # fmt: skip
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):  # a scheduler that is gone cannot be bidden farewell
            client.close(timeout=5)
