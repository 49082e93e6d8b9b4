"""The service under load, and under attack.

In: a graph and recordings. Out: how late partial results are when many speak at a time, and what
malformed sessions do to it (nothing, or it is wrong). Server and clients are processes of this
machine and talk over loopback.

Public names: `Load`, `bench_serve`, `malformed_sessions`, `real_time_streams`, `served`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.recognize import corpus_of_inputs
from wfst_hmm.bench.report import Progress, Row, silent
from wfst_hmm.bench.target import digit_target
from wfst_hmm.errors import DataError
from wfst_hmm.signal.audio import read_audio

__all__ = ["Load", "bench_serve", "malformed_sessions", "real_time_streams", "served"]

Samples = npt.NDArray[np.int16]
_PIECE = 0.1  # seconds of audio in a message


@dataclasses.dataclass
class Load:
    """What clients saw.

    Attributes
    ----------
    latencies : list of float
        Seconds from the moment at which the last sample that a partial result covers was sent to
        the moment at which the result came.
    texts : list of str
        What each stream said in the end; an error's code in angle brackets.
    """

    latencies: list[float] = dataclasses.field(default_factory=list)
    texts: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Server:
    """A service that runs."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100.0

    def resident_mb(self) -> float:
        """Return its memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096 / 1e6


@contextlib.contextmanager
def served(graph: Path, *options: str) -> Iterator[Server]:
    """Run ``wfst-hmm serve`` on a free port of loopback."""
    command = [sys.executable, "-m", "wfst_hmm", "serve", str(graph), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline() if process.stderr is not None else ""
        if "listens at" not in line:
            raise DataError("the service did not start", got=line.strip())
        yield Server(int(line.strip().rstrip("/").rpartition(":")[2]), process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


async def _one_stream(
    server: Server, samples: Samples, rate: int, load: Load, *, pace: float, after: float = 0.0
) -> None:
    """Speak one recording; `pace` 1 is real time, 0 as fast as the service takes it."""
    from websockets.asyncio.client import connect

    await asyncio.sleep(after)
    sent: list[float] = []
    segments: list[str] = []
    step = round(_PIECE * rate)
    async with connect(f"ws://127.0.0.1:{server.port}/v1/stream", compression=None) as socket:
        await socket.send(json.dumps({"type": "start", "rate": rate}))
        first = json.loads(await socket.recv())
        if first["type"] != "ready":
            load.texts.append(f"<{first.get('code')}>")
            return

        async def speak() -> None:
            begin = time.monotonic()
            for number, at in enumerate(range(0, len(samples), step)):
                if pace:  # a microphone hands a piece over when its last sample has been heard
                    due = begin + pace * (number + 1) * _PIECE
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                sent.append(time.monotonic())
                await socket.send(samples[at : at + step].tobytes())
            await socket.send('{"type": "end"}')

        async def hear() -> None:
            async for text in socket:
                message, now = json.loads(text), time.monotonic()
                if message["type"] == "partial" and message["text"]:
                    piece = min(int(np.ceil(message["end"] / _PIECE - 1e-6)), len(sent)) - 1
                    load.latencies.append(now - sent[max(piece, 0)])
                elif message["type"] == "segment":
                    segments.append(message["text"])
                elif message["type"] == "error":
                    segments.append(f"<{message['code']}>")

        await asyncio.gather(speak(), hear())
    load.texts.append(" ".join(segments))


async def _streams(server: Server, recordings: Sequence[Samples], rate: int, pace: float) -> Load:
    load = Load()
    loads = [Load() for _ in recordings]
    await asyncio.gather(*(
        _one_stream(server, samples, rate, own, pace=pace, after=pace * 0.037 * number)
        for number, (samples, own) in enumerate(zip(recordings, loads, strict=True))
    ))  # fmt: skip
    for own in loads:
        load.latencies += own.latencies
        load.texts += own.texts
    return load


def real_time_streams(
    server: Server, recordings: Sequence[Samples], rate: int, *, pace: float = 1.0
) -> Load:
    """Let all recordings be spoken at a time."""
    return asyncio.run(_streams(server, recordings, rate, pace))


async def _malformed(server: Server, rng: random.Random, speech: bytes, rate: int) -> None:
    """Do one thing that no sound client does."""
    kind = rng.randrange(12)
    with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
        if kind < 4:
            await asyncio.wait_for(_raw(server, rng, kind), 10)
            return
        await asyncio.wait_for(_broken_session(server, rng, kind, speech, rate), 20)


async def _raw(server: Server, rng: random.Random, kind: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    handshake = (
        f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    try:
        if kind == 0:  # noise instead of HTTP
            writer.write(rng.randbytes(rng.randrange(1, 5000)))
        elif kind == 1:  # half a handshake
            writer.write(handshake[: rng.randrange(len(handshake))])
        elif kind == 2:  # frames that no client may send: unmasked, reserved bits, lengths of lies
            writer.write(handshake + rng.randbytes(rng.randrange(2, 300)))
        else:  # a frame that promises 2 ** 63 bytes
            writer.write(handshake + b"\x82\xff" + b"\x7f" + b"\xff" * 7 + rng.randbytes(100))
        await writer.drain()
        if rng.random() < 0.7:
            await asyncio.wait_for(reader.read(4096), 0.5)
    finally:
        writer.close()
        if rng.random() < 0.3:
            writer.transport.abort()


async def _broken_session(
    server: Server, rng: random.Random, kind: int, speech: bytes, rate: int
) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    start = {"type": "start", "rate": rate}
    with contextlib.suppress(WebSocketException):
        async with connect(
            f"ws://127.0.0.1:{server.port}/v1/stream", compression=None, close_timeout=1
        ) as socket:
            if kind == 4:
                await socket.send(rng.randbytes(rng.randrange(2000)))
            elif kind == 5:
                text = bytearray(json.dumps(start).encode())
                for _ in range(rng.randrange(1, 5)):
                    text[rng.randrange(len(text))] = rng.randrange(32, 127)
                await socket.send(text.decode("latin-1"))
            elif kind == 6:
                wild: list[Any] = [None, -1, 1e308, "8000", [], {}, 2**70, True]
                await socket.send(json.dumps(start | {rng.choice(("rate", "encoding", "token",
                                                                  "x")): rng.choice(wild)}))  # fmt: skip
            elif kind == 7:
                await socket.send(json.dumps(start))
                await socket.send(speech[: 2 * rng.randrange(1000) + 1])
            elif kind == 8:
                await socket.send(json.dumps(start | {"encoding": "f32le"}))
                await socket.send(rng.randbytes(4 * rng.randrange(1, 4000)))
            elif kind == 9:
                await socket.send(json.dumps(start))
                await socket.send(b"\0" * rng.choice((300_000, 2_000_000)))
            elif kind == 10:  # leaves in the middle, without a word
                await socket.send(json.dumps(start))
                await socket.send(speech[: 2 * rng.randrange(8000)])
                socket.transport.abort()
                return
            else:
                await socket.send(json.dumps(start))
                await socket.send(rng.choice(("[" * 5000, "{}", '{"type": "start"}', "\x00")))
            await asyncio.wait_for(socket.wait_closed(), rng.choice((0.05, 5)))


def malformed_sessions(
    server: Server, n: int, recordings: Sequence[Samples], rate: int, *, seed: int = 0
) -> Load:
    """Open `n` malformed sessions, eight at a time, while correct ones go on beside them.

    Returns
    -------
    Load
        Of the correct sessions.
    """

    async def both() -> Load:
        rng = random.Random(seed)
        left = iter(range(n))
        speech = recordings[0].tobytes()
        done = asyncio.Event()
        load = Load()

        async def attack() -> None:
            for _ in left:
                await _malformed(server, rng, speech, rate)

        async def work(samples: Samples) -> None:
            while True:  # once at least, and as long as the attack lasts
                await _one_stream(server, samples, rate, load, pace=1.0)
                if done.is_set():
                    return

        workers = [asyncio.create_task(work(samples)) for samples in recordings]
        await asyncio.gather(*(attack() for _ in range(8)))
        done.set()
        await asyncio.gather(*workers)
        return load

    return asyncio.run(both())


def bench_serve(
    graph: Path | None = None,
    data: Path | None = None,
    *,
    n_streams: int = 16,
    n_malformed: int = 1000,
    seconds: float = 20.0,
    n_threads: int = 2,
    progress: Progress = silent,
) -> list[Row]:
    """Measure latencies under load, then attack.

    Parameters
    ----------
    graph, data : path, optional
        A graph and a corpus to speak; by default synthesized digits.
    n_streams : int
        That speak at a time, in real time.
    n_malformed : int
    seconds : float
        Length of each stream; recordings are joined to reach it.
    n_threads : int
        Of the service.
    """
    with tempfile.TemporaryDirectory(prefix="wfst-hmm-serve-") as name:
        if graph is None or data is None:
            target = digit_target(Path(name), 60, progress)
            graph, data = target.graph, target.corpus
        recordings, rate = _joined(data, n_streams, seconds)
        with served(
            graph, "-j", str(n_threads), "--max-sessions", str(2 * n_streams + 16)
        ) as server:
            progress("each stream alone, as fast as it goes")
            wanted = [real_time_streams(server, [r], rate, pace=0.0).texts[0] for r in recordings]
            rows = _load_rows(server, recordings, rate, wanted, progress)
            if n_malformed:
                rows += _attack_rows(
                    server, recordings[:4], rate, wanted[:4], n_malformed, progress
                )
    return rows


def _joined(data: Path, n: int, seconds: float) -> tuple[list[Samples], int]:
    """Return `n` recordings of that length, each made of others."""
    utterances = corpus_of_inputs([data]).utterances
    rate = read_audio(utterances[0].audio).rate
    made: list[Samples] = []
    at = 0
    for _ in range(n):
        parts: list[Samples] = []
        while sum(map(len, parts)) < seconds * rate:
            audio = read_audio(utterances[at % len(utterances)].audio, rate=rate)
            parts.append((audio.samples * 32767).astype(np.int16))
            at += 1
        made.append(np.concatenate(parts))
    return made, rate


def _load_rows(
    server: Server, recordings: Sequence[Samples], rate: int, wanted: list[str], progress: Progress
) -> list[Row]:
    progress(f"{len(recordings)} streams in real time")
    begin, used = time.monotonic(), server.cpu_seconds()
    load = real_time_streams(server, recordings, rate)
    cores = (server.cpu_seconds() - used) / (time.monotonic() - begin)
    p50, p95, top = (1000 * np.quantile(load.latencies or [np.inf], q) for q in (0.5, 0.95, 1.0))
    what = f"{len(recordings)} real-time streams"
    note = f"{len(load.latencies):,} partial results, median {p50:.0f} ms, worst {top:.0f} ms"
    return [
        Row(f"{what}: latency of partial results, 95 %", "ms", float(p95), target=300.0,
            less_is_better=True, note=note),
        Row(f"{what}: processor time of the service", "cores", cores),
        Row(f"{what}: texts unlike those of streams alone", "streams",
            sum(a != b for a, b in zip(load.texts, wanted, strict=True)), target=0.0,
            less_is_better=True),
    ]  # fmt: skip


def _attack_rows(
    server: Server,
    recordings: Sequence[Samples],
    rate: int,
    wanted: list[str],
    n: int,
    progress: Progress,
) -> list[Row]:
    progress("200 malformed sessions first: what a server allocates once is no leak")
    malformed_sessions(server, min(200, n), recordings[:1], rate, seed=1)
    before = server.resident_mb()
    progress(f"{n} malformed sessions, {len(recordings)} correct ones beside them")
    load = malformed_sessions(server, n, recordings, rate)
    grown = server.resident_mb() - before
    p95 = 1000 * float(np.quantile(load.latencies or [np.inf], 0.95))
    active = asyncio.run(_active(server))
    return [
        Row(f"beside {n:,} malformed sessions: correct ones disturbed", "sessions",
            sum(text not in wanted for text in load.texts), target=0.0, less_is_better=True,
            note=f"of {len(load.texts)}; latency 95 %: {p95:.0f} ms"),
        Row("service alive afterwards, sessions that hang", "sessions", active, target=0.0,
            less_is_better=True),
        Row("memory grown", "MB", grown, target=20.0, less_is_better=True,
            note=f"from {before:.0f} MB"),
    ]  # fmt: skip


async def _active(server: Server) -> float:
    """Ask for the number of sessions, when all should be gone."""
    for _ in range(100):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer: dict[str, Any] = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        if not answer["sessions"]:
            break
        await asyncio.sleep(0.1)
    return float(answer["sessions"])
