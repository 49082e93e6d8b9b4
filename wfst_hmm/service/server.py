"""The service as a process: a socket, signals, a graceful end.

In: a `Hub`, an address. Out: nothing, until a signal comes.

Public names: `check_address`, `read_tokens`, `serve`, `warm_up`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wfst_hmm.apps.stream import Stream
from wfst_hmm.errors import UsageError
from wfst_hmm.files import read_lines
from wfst_hmm.lattice.answer import answer
from wfst_hmm.models.scores import Scores
from wfst_hmm.service.app import application
from wfst_hmm.service.sessions import Hub

__all__ = ["check_address", "read_tokens", "serve", "warm_up"]

_REQUEST_SECONDS = 10.0
_MIN_TOKEN = 16  # characters
_TURN_SECONDS = 0.001


def check_address(host: str, tokens: tuple[str, ...]) -> None:
    """Raise a `UsageError` when others could reach the service without a token."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise UsageError(f"no such address ({error})", where="--host", got=host) from None
    if not tokens and not all(ipaddress.ip_address(a.partition("%")[0]).is_loopback for a in found):
        raise UsageError(
            "other machines could use this service", where="--host", got=host,
            fix="Give tokens with --tokens FILE, or stay on 127.0.0.1.",
        )  # fmt: skip


def read_tokens(path: Path) -> tuple[str, ...]:
    """Read tokens, one a line; ``#`` begins a remark.

    Raises
    ------
    UsageError
        There is none, or one that could be guessed.
    """
    lines = (line.strip() for _, line in read_lines(path))
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens or min(map(len, tokens)) < _MIN_TOKEN:
        raise UsageError(f"tokens need {_MIN_TOKEN} characters or more", where=str(path),
                         fix="Make one: python -c 'import secrets; print(secrets.token_urlsafe())'.")  # fmt: skip
    return tokens


def warm_up(hub: Hub) -> None:
    """Recognize noise, with and without a lattice: the first client does not wait for compilers."""
    stream = Stream(hub.recognizer, hub.options, endpoints=hub.endpoints)
    noise = np.random.default_rng(0).normal(0.0, 0.01, hub.recognizer.model.rate)
    stream.accept(noise.astype(np.float32))
    stream.partial()
    stream.close()
    model = hub.recognizer.model
    # far apart, as those of speech are: where all paths cost the same, a lattice holds all of them
    scores = np.random.default_rng(0).normal(0.0, 100.0, (30, model.n_columns)).astype(np.float32)
    answer(hub.recognizer.graph, Scores(scores, model.frame_shift), hub.options, hub.answers)


class _ImpatientProtocol(H11Protocol):  # type: ignore[misc]
    """Hangs up on connections that never send a whole request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(_REQUEST_SECONDS, self._look)

    def _look(self) -> None:
        waits = self in self.connections and self.cycle is None
        if waits and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):  # type: ignore[misc]
    """Leaves signals to us: sessions that run may end before it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    hub: Hub,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    hosts: tuple[str, ...] = (),
    certificate: Path | None = None,
    key: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve until SIGINT or SIGTERM; then let sessions end, for a while; a second signal stops.

    Parameters
    ----------
    hub : Hub
    host, port : str, int
        Where to listen; port 0 takes a free one.
    hosts : tuple of str
        As for `application`.
    certificate, key : Path, optional
        PEM files for TLS: browsers give a microphone to secure pages only, ``localhost`` apart.
    tell : callable
        Hears the address when the service is ready.

    Raises
    ------
    UsageError
        The address is taken, or open to others while there is no token.
    """
    check_address(host, tuple(token.decode() for token in hub.tokens))
    limits = hub.limits
    # A thread that makes confidences in Python keeps the others waiting for so long at a time.
    sys.setswitchinterval(_TURN_SECONDS)
    with contextlib.closing(_bound(host, port)) as listening:
        actual = listening.getsockname()[1]
        config = uvicorn.Config(
            application(hub, hosts=(host, *hosts)), host, actual, loop="asyncio", lifespan="off",
            http=_ImpatientProtocol, ws="websockets-sansio", ws_max_size=limits.max_message,
            ws_per_message_deflate=False, limit_concurrency=limits.max_connections,
            timeout_keep_alive=5, h11_max_incomplete_event_size=1 << 14, server_header=False,
            log_level="critical", access_log=False, ssl_certfile=certificate, ssl_keyfile=key,
        )  # fmt: skip
        asyncio.run(_until_signal(_Server(config), listening, hub, lambda: tell(
            f"{'https' if certificate else 'http'}://{_shown(host)}:{actual}/"
        )))  # fmt: skip
    for pool in (hub.pool, hub.later):
        pool.shutdown(wait=False, cancel_futures=True)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen ({error.strerror})", where=f"{host}:{port}",
                         fix="Choose another --port.") from None  # fmt: skip
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _until_signal(
    server: _Server, listening: socket.socket, hub: Hub, ready: Callable[[], None]
) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = server.should_exit or asked.is_set()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    ready()
    await asyncio.wait([task, asyncio.create_task(asked.wait())],
                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    hub.draining = True
    end = loop.time() + hub.limits.grace_seconds
    while hub.metrics.active and loop.time() < end and not server.should_exit:
        await asyncio.sleep(0.05)
    server.should_exit = True
    server.force_exit = bool(hub.metrics.active)
    await task
