"""Every shard to some worker, until every shard is done.

In: an engine, a function, the arguments of every shard. Out: pairs of a shard's number and its
bytes, each shard once, as they are finished.

A shard that fails is tried again; one that takes much longer than the others, once there is nothing
else to do, is given to a second worker, and whoever is first wins: both would say the same.

Public names: `Patience`, `run_shards`.
"""

from __future__ import annotations

import dataclasses
import itertools
import queue
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

from wfst_hmm.cluster.engine import Engine, Future
from wfst_hmm.errors import ClusterError, WfstHmmError

__all__ = ["Patience", "run_shards"]

_TICK = 0.25  # seconds between looks at those that are late
_OWN_TRIES = 3  # of what complains itself: it may miss files, or it will always complain


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try.

    Attributes
    ----------
    tries : int
        Attempts of one shard before the work is given up.
    factor : float
        A shard is late when it takes so many times the median of those that are done ...
    seconds : float
        ... and longer than this.
    ahead : int
        Shards that wait at the workers, for each of them.
    """

    tries: int = 8
    factor: float = 4.0
    seconds: float = 15.0
    ahead: int = 2


@dataclasses.dataclass
class _Flight:
    """One call under way."""

    number: int
    future: Future
    begun: float


def run_shards(
    engine: Engine,
    function: Callable[..., bytes],
    arguments: Mapping[int, Sequence[Any]],
    patience: Patience | None = None,
    *,
    repair: Callable[[], None] | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Yield every shard's result.

    Parameters
    ----------
    engine : Engine
    function : callable
        Returns bytes that depend on its arguments alone.
    arguments : mapping of int to sequence
        Of each shard, by its number.
    patience : Patience, optional
    repair : callable, optional
        Called before a shard is tried again: files may have to be brought to new workers.

    Raises
    ------
    ClusterError
        A shard failed too often, or the engine is gone.
    """
    yield from _Run(engine, function, arguments, patience or Patience(), repair).results()


class _Run:
    def __init__(
        self,
        engine: Engine,
        function: Callable[..., bytes],
        arguments: Mapping[int, Sequence[Any]],
        patience: Patience,
        repair: Callable[[], None] | None,
    ) -> None:
        self.engine, self.function, self.arguments = engine, function, arguments
        self.patience, self.repair = patience, repair
        self.waiting = list(arguments)[::-1]
        self.flights: dict[int, _Flight] = {}
        self.finished: set[int] = set()
        self.ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.tokens = itertools.count()
        self.failures: dict[int, int] = {}
        self.times: list[float] = []

    def results(self) -> Iterator[tuple[int, bytes]]:
        try:
            while len(self.finished) < len(self.arguments):
                self._launch_more()
                try:
                    token = self.ended.get(timeout=_TICK)
                except queue.Empty:
                    self._launch_late_again()
                    continue
                flight = self.flights.pop(token, None)
                if flight is None:  # of a pool that has been replaced
                    continue
                data = self._result(flight)
                if data is None or flight.number in self.finished:
                    continue
                self.finished.add(flight.number)
                self.times.append(time.monotonic() - flight.begun)
                yield flight.number, data
        finally:
            for flight in self.flights.values():
                flight.future.cancel()

    def _launch(self, number: int, *, again: bool = False) -> None:
        token = next(self.tokens)
        try:
            future = self.engine.submit(self.function, *self.arguments[number], again=again)
        except BrokenExecutor as error:
            self._failed(number, error)
            return
        self.flights[token] = _Flight(number, future, time.monotonic())
        future.add_done_callback(lambda _: self.ended.put(token))

    def _launch_more(self) -> None:
        room = self.engine.slots() * self.patience.ahead
        while self.waiting and len(self.flights) < room:
            self._launch(self.waiting.pop())

    def _launch_late_again(self) -> None:
        """Give shards that are late to a second worker."""
        self.engine.slots()  # notices when the scheduler is gone
        if self.waiting or not self.times:
            return
        limit = max(self.patience.seconds, self.patience.factor * statistics.median(self.times))
        under_way = [flight.number for flight in self.flights.values()]
        for flight in list(self.flights.values()):
            late = time.monotonic() - flight.begun > limit
            if late and under_way.count(flight.number) == 1:
                self._launch(flight.number, again=True)

    def _result(self, flight: _Flight) -> bytes | None:
        """Return a flight's bytes; None when it has to be flown again."""
        try:
            data: bytes = flight.future.result()
            return data
        except (Exception, CancelledError) as error:
            if flight.number not in self.finished:
                self._failed(flight.number, error)
            return None

    def _failed(self, number: int, error: BaseException) -> None:
        """Line the shard up again, or give the work up."""
        if not self.engine.recover(error):
            raise error
        count = self.failures[number] = self.failures.get(number, 0) + 1
        if count >= (_OWN_TRIES if isinstance(error, WfstHmmError) else self.patience.tries):
            raise ClusterError(
                f"shard {number} failed {count} times", got=f"{type(error).__name__}: {error}",
                fix="What is done is kept: mend the cause and give the same command again.",
            ) from error  # fmt: skip
        if self.repair is not None:
            self.repair()
        under_way = [flight.number for flight in self.flights.values()]
        if number not in under_way and number not in self.waiting:
            self.waiting.append(number)
