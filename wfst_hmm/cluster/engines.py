"""Who does the work: threads, processes, or Dask's workers on this machine or on many.

In: ``threads``, ``processes``, ``local``, ``tcp://scheduler:8786``, ``slurm`` ... Out: an `Engine`
that runs functions of this package elsewhere and hands back futures.

Public names: `BATCH`, `Processes`, `Threads`, `engine_for`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from typing import Any

from wfst_hmm.cluster.engine import Engine, Future, Tell
from wfst_hmm.errors import UsageError, warnings_told
from wfst_hmm.orthography import did_you_mean

__all__ = ["BATCH", "Processes", "Threads", "engine_for"]


#: Batch systems, and their classes of dask-jobqueue.
BATCH = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster", "oar": "OARCluster",
}  # fmt: skip
_KEPT = contextlib.ExitStack()  # for as long as a worker lives


class Threads:
    """Threads of this process: no start-up, one copy of everything in memory."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool: Executor = ThreadPoolExecutor(n, thread_name_prefix="shard")

    def slots(self) -> int:
        """Return the number of threads."""
        return self.n

    def submit(
        self, function: Callable[..., bytes], *arguments: Any, again: bool = False
    ) -> Future:
        """Call `function` in a thread; a second call would not be quicker than the first."""
        return self._pool.submit(function, *arguments)

    def recover(self, error: BaseException) -> bool:
        """Threads do not die alone: whatever failed would fail again."""
        return False

    def bring(self, files: Sequence[Path]) -> None:
        """Everything is here."""

    def close(self) -> None:
        """Let unfinished work end, and nothing new begin."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Processes(Threads):
    """Processes of this machine, started anew when one of them dies."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool = self._started()

    def _started(self) -> Executor:
        # spawned: a fork of a process with threads may wait for ever for a lock that it inherited
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.n, mp_context=context, initializer=quiet_worker)

    def recover(self, error: BaseException) -> bool:
        """Start new processes: Python's pool ends when one of its processes does."""
        if not isinstance(error, (BrokenExecutor, CancelledError)):
            return False
        try:
            self._pool.submit(os.getpid)
        except BrokenExecutor:  # else another shard's failure has led to a new pool already
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._started()
        return True


def quiet_worker() -> None:
    """Keep a worker process to one thread of its own, and to its master's life and will."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's
    threading.Thread(target=_end_with_master, daemon=True).start()
    threadpool_limits(1, user_api="blas")
    _KEPT.enter_context(warnings_told(lambda text: print(f"wfst-hmm: {text}", file=sys.stderr)))


def _end_with_master() -> None:
    """End this process when its master does, even by SIGKILL: a pool's worker would wait on."""
    master = multiprocessing.parent_process()
    if master is not None:
        multiprocessing.connection.wait([master.sentinel])
        os._exit(1)


@contextlib.contextmanager
def engine_for(spec: str, n: int = 0, *, tell: Tell = lambda text: None) -> Iterator[Engine]:
    """Give the engine that `spec` names, and stop it at the end if it was started here.

    Parameters
    ----------
    spec : str
        ``threads``, ``processes``; ``local``: Dask on this machine; ``tcp://host:8786`` or another
        address of a Dask scheduler that runs already, or the path of its ``--scheduler-file``;
        ``slurm``, ``pbs``, ``sge``, ``lsf``, ``htcondor``, ``oar``: jobs of a batch system by
        dask-jobqueue, configured as that package's documentation says.
    n : int
        Workers; 0: one for each processor (a scheduler that runs has its own).
    tell : callable
        Hears where the dashboard is.

    Raises
    ------
    UsageError
        No such engine, or what it needs is not installed or cannot be reached.
    """
    n = n or os.cpu_count() or 1
    if spec in ("threads", "processes"):
        from threadpoolctl import threadpool_limits

        engine = Threads(n) if spec == "threads" else Processes(n)
        try:
            # the last bits of matrix products depend on the number of their threads
            with threadpool_limits(1, user_api="blas"):
                yield engine
        finally:
            engine.close()
        return
    if spec not in ("local", *BATCH) and "://" not in spec and not Path(spec).is_file():
        raise UsageError(
            "no such cluster", where="--cluster", got=repr(spec),
            expected="threads, processes, local, an address such as tcp://host:8786, a scheduler "
                     f"file, or one of {', '.join(BATCH)}",
            fix=did_you_mean(spec, ["threads", "processes", "local", *BATCH]),
        )  # fmt: skip
    try:
        from wfst_hmm.cluster.dask import connected
    except ImportError as error:
        raise UsageError(f"this kind of cluster needs Dask ({error})", where="--cluster", got=spec,
                         fix='Install it: pip install "wfst_hmm[cluster]".') from None  # fmt: skip
    with connected(spec, n, tell) as dask_engine:
        yield dask_engine
