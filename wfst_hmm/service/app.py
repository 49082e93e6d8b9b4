"""The service as an ASGI application.

In: a `Hub`. Out: a Starlette application with these routes:

``GET /``: a page that records from the microphone. ``WS /v1/stream``: audio in, words out.
``WS /``: Vosk's protocol (`service.vosk`).
``POST /v1/stream``: the same over HTTP: raw samples in the body, a JSON message on each line of the
answer. ``POST /v1/recognize``: a recording in the body, its words with times and confidences in the
answer. ``GET /health``, ``GET /metrics``, ``GET /openapi.json``, ``GET /asyncapi.json``.

Public names: `application`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from wfst_hmm.errors import WfstHmmError
from wfst_hmm.service.protocol import ProtocolError, Start, parse_message, parse_start
from wfst_hmm.service.recordings import recognized
from wfst_hmm.service.sessions import Hub, Session
from wfst_hmm.service.specs import asyncapi, openapi
from wfst_hmm.service.vosk import VoskConfig, VoskSession, parse_config

__all__ = ["application"]

_FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "worklet.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
}
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
                               "connect-src 'self' ws: wss:; worker-src 'self'; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}  # fmt: skip


def application(hub: Hub, *, hosts: tuple[str, ...] = ()) -> Starlette:
    """Return the application.

    Parameters
    ----------
    hub : Hub
    hosts : tuple of str
        Names under which browsers may reach it, beside loopback addresses: a page of somebody
        else that has its name point here (DNS rebinding) is turned away.
    """
    room = _Room(hub, hosts)
    return Starlette(routes=[
        Route("/", room.file("page.html")),
        *(Route(f"/{name}", room.file(name)) for name in _FILES if name != "page.html"),
        Route("/health", room.health),
        Route("/metrics", room.metrics),
        Route("/openapi.json", room.openapi),
        Route("/asyncapi.json", room.asyncapi),
        Route("/v1/recognize", room.recognize, methods=["POST"]),
        Route("/v1/stream", _Posted(room), methods=["POST"]),
        WebSocketRoute("/v1/stream", room.stream),
        WebSocketRoute("/", room.vosk),
    ])  # fmt: skip


class _Room:
    """What the routes do."""

    def __init__(self, hub: Hub, hosts: tuple[str, ...]) -> None:
        self.hub = hub
        self.hosts = {host.lower() for host in hosts}

    def check_host(self, headers: Any) -> None:
        """Turn away pages of other sites and names that are not ours."""
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not self._is_ours(name.strip("[]").lower()):
            raise ProtocolError("host", "this name is not ours", status=403)
        origin = headers.get("origin")
        if origin is not None and origin.rpartition("://")[2].lower() != host.lower():
            raise ProtocolError("origin", "pages of other sites may not use this", status=403)

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name in self.hosts or "*" in self.hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def check(self, request: Request) -> None:
        """Check name, origin and token of a request."""
        self.check_host(request.headers)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        self.hub.check_token(token.strip() if kind.lower() == "bearer" else "")

    def file(self, name: str) -> Any:
        """Return the route of a file of this package."""
        data = (resources.files("wfst_hmm.service") / name).read_bytes()

        async def give(request: Request) -> Response:
            return Response(data, media_type=_FILES[name], headers=_SAFE)

        return give

    async def health(self, request: Request) -> Response:
        """Tell whether new sessions are welcome."""
        state = "stopping" if self.hub.draining else "ok"
        return JSONResponse({"status": state, "sessions": self.hub.metrics.active},
                            503 if self.hub.draining else 200, headers=_SAFE)  # fmt: skip

    async def metrics(self, request: Request) -> Response:
        """Return the numbers."""
        with _answering() as answer:
            self.check(request)
            answer.response = PlainTextResponse(
                self.hub.metrics.text(), media_type="text/plain; version=0.0.4", headers=_SAFE
            )
        return answer.response

    async def openapi(self, request: Request) -> Response:
        """Describe the HTTP routes."""
        return JSONResponse(openapi(self.hub.limits), headers=_SAFE)

    async def asyncapi(self, request: Request) -> Response:
        """Describe the messages of the WebSocket."""
        return JSONResponse(asyncapi(self.hub.limits), headers=_SAFE)

    async def recognize(self, request: Request) -> Response:
        """Recognize one recording."""
        with _answering() as answer:
            self.check(request)
            with self.hub.session() as ending, tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "recording"
                await self._upload(request, path)
                loop = asyncio.get_running_loop()
                result = await loop.run_in_executor(self.hub.pool, recognized, self.hub, path)
                answer.response = JSONResponse(result, headers=_SAFE)
                ending.how = "done"
        return answer.response

    async def _upload(self, request: Request, path: Path) -> None:
        """Store the body, no more of it than may be."""
        limits = self.hub.limits
        n_bytes = 0
        stream = request.stream().__aiter__()
        with open(path, "wb") as sink:
            while True:
                try:
                    block = await asyncio.wait_for(anext(stream), limits.idle_seconds)
                except StopAsyncIteration:
                    return
                except asyncio.TimeoutError:
                    raise ProtocolError("timeout", "the upload stands still", status=408) from None
                n_bytes += len(block)
                if n_bytes > limits.max_upload:
                    raise ProtocolError("too_large", f"more than {limits.max_upload} bytes",
                                        status=413)  # fmt: skip
                sink.write(block)

    async def stream(self, socket: WebSocket) -> None:
        """Serve one WebSocket."""
        await self._served(socket, _Socket.serve)

    async def vosk(self, socket: WebSocket) -> None:
        """Serve one client of Vosk's server."""
        await self._served(socket, _Socket.serve_vosk)

    async def _served(self, socket: WebSocket, serve: Callable[[_Socket], Awaitable[None]]) -> None:
        try:
            self.check_host(socket.headers)
        except ProtocolError:
            await socket.close(1008)  # before accept: the handshake is answered with 403
            return
        await socket.accept()
        client = _Socket(socket, self)
        try:
            await serve(client)
        except ProtocolError as error:
            await client.bid_farewell(error)
        except (WebSocketDisconnect, ConnectionError, OSError):
            return
        except WfstHmmError as error:
            await client.bid_farewell(ProtocolError("bad_audio", str(error), close=1007))


class _Socket:
    """One WebSocket, with the time limits of its messages."""

    def __init__(self, socket: WebSocket, room: _Room) -> None:
        self._socket, self._hub = socket, room.hub

    async def serve(self) -> None:
        limits = self._hub.limits
        first = await self._received(limits.start_seconds)
        if not isinstance(first, str):
            raise ProtocolError("bad_message", "the first message must be of type start")
        start = parse_start(parse_message(first))
        self._hub.check_token(start.token)
        with (
            self._hub.session() as ending,
            contextlib.closing(Session(self._hub, start)) as session,
        ):
            await self._send(session.ready())
            try:
                while True:
                    message = await self._received(limits.idle_seconds)
                    if isinstance(message, bytes):
                        for answer in await session.take(message):
                            await self._send(answer)
                        continue
                    if parse_message(message)["type"] != "end":
                        raise ProtocolError("bad_message", "expected audio or the end")
                    break
            except WebSocketDisconnect:
                ending.how = "gone"
                raise
            for answer in await session.end():
                await self._send(answer)
            ending.how = "done"
        await self._socket.close(1000)

    async def serve_vosk(self) -> None:
        """Answer every piece of audio, as Vosk's clients expect."""
        kind, _, token = self._socket.headers.get("authorization", "").partition(" ")
        self._hub.check_token(token.strip() if kind.lower() == "bearer" else "")
        limits, loop = self._hub.limits, asyncio.get_running_loop()
        config, session = VoskConfig(), None
        with self._hub.session() as ending:
            while True:
                message = await self._received(limits.idle_seconds)
                if isinstance(message, str) and "config" in message:
                    config = parse_config(message, config)
                    continue
                if session is None:
                    session = await loop.run_in_executor(
                        self._hub.pool, VoskSession, self._hub, config
                    )
                if isinstance(message, bytes):
                    await self._send(
                        await loop.run_in_executor(self._hub.pool, session.take, message)
                    )
                    continue
                asked = message.replace(" ", "")
                if asked not in ('{"eof":1}', '{"reset":1}'):
                    raise ProtocolError("bad_message", "expected audio, eof or reset")
                await self._send(await loop.run_in_executor(self._hub.pool, session.last))
                session = None
                if asked == '{"eof":1}':
                    break
            ending.how = "done"
        await self._socket.close(1000)

    async def _received(self, seconds: float) -> str | bytes:
        try:
            message = await asyncio.wait_for(self._socket.receive(), seconds)
        except asyncio.TimeoutError:
            raise ProtocolError("timeout", f"nothing came for {seconds:g} seconds") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        data = message.get("bytes")
        found: str | bytes = data if data is not None else message.get("text", "")
        if len(found) > self._hub.limits.max_message:
            raise ProtocolError("too_large", f"a message of more than "
                                f"{self._hub.limits.max_message} bytes", close=1009)  # fmt: skip
        return found

    async def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, ensure_ascii=False)
        try:
            await asyncio.wait_for(self._socket.send_text(text), self._hub.limits.send_seconds)
        except asyncio.TimeoutError:
            raise ProtocolError("timeout", "results are not fetched") from None

    async def bid_farewell(self, error: ProtocolError) -> None:
        """Say what is wrong and close, as far as the client still listens."""
        with contextlib.suppress(Exception):
            if self._socket.application_state == WebSocketState.CONNECTED:
                await self._send(error.to_dict())
                await self._socket.close(error.close, reason=error.code)


class _Posted:
    """``POST /v1/stream``: samples in the body, messages line by line in the answer.

    A plain ASGI application: answers begin before the body has ended.
    """

    def __init__(self, room: _Room) -> None:
        self._room = room

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        hub = self._room.hub
        begun = False
        try:
            self._room.check(request)
            start = _start_of_query(request)
            with hub.session() as ending, contextlib.closing(Session(hub, start)) as session:
                await send({"type": "http.response.start", "status": 200, "headers": [
                    (b"content-type", b"application/x-ndjson"), (b"cache-control", b"no-store"),
                ]})  # fmt: skip
                begun = True
                await _line(send, session.ready())
                async for data in _blocks(request, hub.limits.idle_seconds):
                    for answer in await session.take(data):
                        await _line(send, answer)
                for answer in await session.end():
                    await _line(send, answer)
                ending.how = "done"
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (ClientDisconnect, ConnectionError):
            return
        except (ProtocolError, WfstHmmError) as raised:
            error = _as_protocol_error(raised)
            if begun:
                await _line(send, error.to_dict(), more=False)
            else:
                response = JSONResponse(error.to_dict(), error.status, headers=_SAFE)
                await response(scope, receive, send)


def _start_of_query(request: Request) -> Start:
    """Read ``?rate=16000&encoding=s16le`` as a ``start`` message."""
    fields: dict[str, Any] = dict(request.query_params)
    if str(fields.get("rate", "")).isascii() and str(fields.get("rate", "")).isdigit():
        fields["rate"] = int(fields["rate"][:9])
    if fields.get("partials") in ("true", "false"):
        fields["partials"] = fields["partials"] == "true"
    return parse_start({"type": "start"} | fields)


async def _blocks(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes."""
    stream = request.stream().__aiter__()
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), seconds)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise ProtocolError("timeout", f"nothing came for {seconds:g} seconds") from None


async def _line(send: Any, message: dict[str, Any], *, more: bool = True) -> None:
    body = json.dumps(message, ensure_ascii=False).encode() + b"\n"
    await send({"type": "http.response.body", "body": body, "more_body": more})


class _Answer:
    response: Response


@contextlib.contextmanager
def _answering() -> Any:
    """Turn errors into answers."""
    answer = _Answer()
    try:
        yield answer
    except (ProtocolError, WfstHmmError) as raised:
        error = _as_protocol_error(raised)
        headers = _SAFE | ({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})
        answer.response = JSONResponse(error.to_dict(), error.status, headers=headers)
    except ClientDisconnect:
        answer.response = Response(status_code=400)


def _as_protocol_error(error: Exception) -> ProtocolError:
    if isinstance(error, ProtocolError):
        return error
    return ProtocolError("bad_audio", str(error), status=422)
