"""One client's session: audio in, messages out, within the limits.

In: a recognizer shared by all, what a client sends. Out: messages for the client. The work is done
in threads that all sessions share; a session waits for its own work before it takes the next
message, so a client that sends faster than can be recognized is held up by its own connection.

Confidences take a second search of a finished segment, longer than the first. It is done in
another thread while the session goes on; its result follows in a message of its own.

Public names: `Hub`, `Session`.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import hmac
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Partial, Segment, Stream
from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.lattice.confidence import Calibration
from wfst_hmm.search.endpoints import ENDPOINTS, EndpointRule, EndpointRules
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.rejection import Filler
from wfst_hmm.service.limits import Limits
from wfst_hmm.service.metrics import Metrics, resident_mb
from wfst_hmm.service.protocol import ENCODINGS, ProtocolError, Start, samples_of
from wfst_hmm.signal.cmvn import CmvnStats

__all__ = ["Hub", "Session"]

_MOST_PENDING = 2  # segments of a session that wait for their confidences
_BLOCK_FRAMES = 5  # searched at a time: whoever speaks waits for half of them on average
_JUDGE_NICENESS = 10
_PIECE_SECONDS = 0.5  # audio that is worked on at a time: others have their turn in between


def _step_back() -> None:
    """Let threads that recognize go before this one (on Linux a thread has its own niceness)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _JUDGE_NICENESS)


class Hub:
    """What sessions share.

    Parameters
    ----------
    recognizer : Recognizer
    limits : Limits
    options : SearchOptions
    calibration : Calibration, optional
        From posteriors to confidences.
    tokens : tuple of str
        Who knows one of them may come in; none: everybody.
    n_threads : int
        That recognize.
    filler : Filler, optional
        Beside which segments are judged and perhaps rejected.
    costs : WordCosts, optional
        Boosted phrases, another language model.
    endpoints : EndpointRules
        Where segments end, beside the longest that `limits` allow.
    stats : CmvnStats, optional
        Of the one speaker whom all sessions hear.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        limits: Limits | None = None,
        *,
        options: SearchOptions | None = None,
        calibration: Calibration | None = None,
        tokens: tuple[str, ...] = (),
        n_threads: int = 0,
        filler: Filler | None = None,
        costs: WordCosts | None = None,
        endpoints: EndpointRules = ENDPOINTS,
        stats: CmvnStats | None = None,
    ) -> None:
        self.filler, self.costs, self.stats = filler, costs, stats
        #: Recognizers of phrase lists that clients asked for.
        self.phrase_graphs: dict[tuple[str, ...], Recognizer] = {}
        self.recognizer = recognizer
        self.limits = limits or Limits()
        self.options = options or SearchOptions()
        self.answers = AnswerOptions(calibration=calibration or Calibration())
        self.tokens = tuple(token.encode() for token in tokens)
        self.metrics = Metrics()
        self.draining = False
        self.n_threads = n_threads or os.cpu_count() or 1
        self.pool = ThreadPoolExecutor(self.n_threads, thread_name_prefix="recognize")
        # one for two: who speaks now goes before who has spoken
        self.later = ThreadPoolExecutor(
            max(1, self.n_threads // 2), thread_name_prefix="judge", initializer=_step_back
        )
        self.endpoints = dataclasses.replace(
            endpoints, too_long=EndpointRule(False, 0.0, min_seconds=self.limits.max_segment)
        )

    @contextlib.contextmanager
    def session(self) -> Iterator[_Ending]:
        """Count a session in and out.

        Raises
        ------
        ProtocolError
            There are as many as may be, memory is short, or the service is about to stop.
        """
        self._admit()
        self.metrics.begin()
        ending = _Ending()
        try:
            yield ending
        except ProtocolError as error:
            ending.how = error.code
            raise
        finally:
            self.metrics.end(ending.how)

    def _admit(self) -> None:
        why = None
        if self.draining:
            why = ProtocolError("stopping", "the service is about to stop", close=1001, status=503)
        elif self.metrics.active >= self.limits.max_sessions:
            why = ProtocolError(
                "busy", "too many sessions; try again later", close=1013, status=503
            )
        elif 0 < self.limits.max_memory_mb < resident_mb():
            why = ProtocolError(
                "memory", "memory is short; try again later", close=1013, status=503
            )
        if why is not None:
            self.metrics.refuse(why.code)
            raise why

    def check_token(self, token: str) -> None:
        """Raise a `ProtocolError` unless the token is right, or none is needed."""
        if not self.tokens:
            return
        given = token.encode("utf-8", "surrogatepass")
        # every token is compared, each in constant time: the time tells nothing
        if not sum(hmac.compare_digest(given, known) for known in self.tokens):
            self.metrics.refuse("token")
            raise ProtocolError("token", "a token is needed", close=4401, status=401)


class _Ending:
    """How a session ended."""

    how = "broken"


class Session:
    """The recognition for one client; to be closed.

    Parameters
    ----------
    hub : Hub
    start : Start
    """

    def __init__(self, hub: Hub, start: Start) -> None:
        self._hub, self._start = hub, start
        self._seconds = 0.0
        self._rest = b""  # part of a sample
        self._shown: tuple[Any, ...] = ()
        self._stream = Stream(
            hub.recognizer, hub.options, endpoints=hub.endpoints, rate=start.rate, resample=True,
            answers=hub.answers, answers_later=True, stats=hub.stats,
            block_frames=_BLOCK_FRAMES, filler=hub.filler, costs=hub.costs,
        )  # fmt: skip
        self._pending: collections.deque[asyncio.Future[Segment]] = collections.deque()

    def ready(self) -> dict[str, Any]:
        """Return the first message to the client."""
        return {"type": "ready", "rate": self._start.rate, "encoding": self._start.encoding,
                "max_seconds": self._hub.limits.max_seconds}  # fmt: skip

    async def take(self, data: bytes) -> list[dict[str, Any]]:
        """Work on a binary message; return what it led to.

        Raises
        ------
        ProtocolError
            It is no audio, or the session is too long.
        """
        samples = samples_of(self._whole(data), self._start.encoding)
        self._seconds += len(samples) / self._start.rate
        if self._seconds > self._hub.limits.max_seconds:
            raise ProtocolError(
                "too_long", f"more than {self._hub.limits.max_seconds:g} seconds of audio",
                close=1009, status=413,
            )  # fmt: skip
        step = max(1, round(_PIECE_SECONDS * self._start.rate))
        messages: list[dict[str, Any]] = []
        for at in range(0, len(samples), step):
            messages += await self._worked(samples[at : at + step])
        return messages

    def _whole(self, data: bytes) -> bytes:
        """Return what there is of whole samples; the rest waits for the next message."""
        data = self._rest + data
        whole = len(data) - len(data) % np.dtype(ENCODINGS[self._start.encoding]).itemsize
        self._rest = data[whole:]
        return data[:whole]

    async def end(self) -> list[dict[str, Any]]:
        """Return the last segment, confidences that are still to come, and the end.

        Raises
        ------
        ProtocolError
            Part of a sample is left over.
        """
        if self._rest:
            raise ProtocolError("bad_audio", f"the audio ends within a sample: {len(self._rest)} "
                                "bytes are left over", close=1007)  # fmt: skip
        messages = await self._worked(None)
        messages += await self._confidences(most_left=0)
        return [*messages, {"type": "end", "seconds": round(self._seconds, 3)}]

    def close(self) -> None:
        """Drop the work that nobody waits for any more."""
        for future in self._pending:
            future.cancel()

    async def _worked(self, samples: npt.NDArray[Any] | None) -> list[dict[str, Any]]:
        begin = time.monotonic()
        loop = asyncio.get_running_loop()
        segments, partial = await loop.run_in_executor(self._hub.pool, self._step, samples)
        messages = [
            {"type": "segment", **segment.to_dict()} for segment in segments if segment.text
        ]
        if segments:
            if self._shown and not messages:  # what stands on a screen was nothing
                messages.append({"type": "partial", "text": "", "n_stable": 0,
                                 "start": segments[-1].end, "end": segments[-1].end})  # fmt: skip
            self._shown = ()
        if partial is not None:
            messages += self._news(partial)
        for segment in segments:
            if segment.text:
                self._pending.append(
                    loop.run_in_executor(self._hub.later, segment.with_confidences)
                )
        messages += await self._confidences(most_left=_MOST_PENDING)
        seconds = 0.0 if samples is None else len(samples) / self._start.rate
        self._hub.metrics.took(seconds, len(segments), time.monotonic() - begin)
        return messages

    async def _confidences(self, *, most_left: int) -> list[dict[str, Any]]:
        """Return what is ready, and wait until no more than so many segments are left."""
        messages = []
        while self._pending and (self._pending[0].done() or len(self._pending) > most_left):
            segment = await self._pending.popleft()
            found = [word.confidence for word in segment.words]
            if None not in found:
                messages.append(
                    {"type": "confidence", "segment": segment.number, "confidences": found}
                )
        return messages

    def _step(self, samples: npt.NDArray[Any] | None) -> tuple[list[Segment], Partial | None]:
        """Recognize a piece; the end of the audio is None."""
        if samples is None:
            return self._stream.close(), None
        segments = self._stream.accept(samples)
        return segments, self._stream.partial() if self._start.partials else None

    def _news(self, partial: Partial) -> list[dict[str, Any]]:
        """Return the words so far, if they are others than those that were sent."""
        key = (partial.words, partial.n_stable)
        if key == self._shown or not (partial.words or self._shown):
            return []
        self._shown = key if partial.words else ()
        return [{"type": "partial", "text": partial.text, "n_stable": partial.n_stable,
                 "start": round(partial.start, 3), "end": round(partial.end, 3)}]  # fmt: skip
