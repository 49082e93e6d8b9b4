"""The messages between a client and the service.

In: text and bytes from the network. Out: checked values, or a `ProtocolError` that says what is
wrong; and the messages that go back.

A session is: the client's ``start``; then audio in binary messages; then the client's ``end``. The
service answers ``ready``; then ``partial`` and ``segment`` messages while audio comes in, and a
``confidence`` message some time after each segment; then ``end``; or, at any time, one ``error``,
and closes.

Public names: `ENCODINGS`, `ProtocolError`, `Start`, `parse_message`, `parse_start`, `samples_of`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ENCODINGS",
    "ProtocolError",
    "Start",
    "parse_message",
    "parse_start",
    "samples_of",
]

#: Name -> numpy type of a sample.
ENCODINGS = {"s16le": "<i2", "f32le": "<f4"}
RATES = range(4000, 192_001)
_MAX_TOKEN = 512
_MAX_DEPTH_BYTES = 8192  # a control message is small: nothing deep fits into it


class ProtocolError(Exception):
    """The client broke the protocol.

    Attributes
    ----------
    code : str
        For programs: ``bad_message``, ``bad_audio``, ``too_long``, ``timeout`` ...
    close : int
        WebSocket close code (RFC 6455, section 7.4; 4000 and up are ours).
    status : int
        HTTP status where the same happens there.
    """

    def __init__(self, code: str, message: str, *, close: int = 1008, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.close, self.status = code, close, status

    def to_dict(self) -> dict[str, Any]:
        """Return the message that the client gets."""
        return {"type": "error", "code": self.code, "message": str(self)}


@dataclasses.dataclass(frozen=True)
class Start:
    """How a session begins.

    Attributes
    ----------
    rate : int
        Samples per second that will come.
    encoding : str
        Of `ENCODINGS`; one channel.
    partials : bool
        Whether words are wanted before their segment is finished.
    token : str
        Where the service asks for one.
    """

    rate: int
    encoding: str = "s16le"
    partials: bool = True
    token: str = ""


def parse_message(text: str) -> dict[str, Any]:
    """Return a control message.

    Raises
    ------
    ProtocolError
        It is no JSON object with a ``type``, or too large for one.
    """
    if len(text) > _MAX_DEPTH_BYTES:
        raise ProtocolError("bad_message", "a control message of more than 8192 characters")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("bad_message", "not JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("bad_message", "not an object with a type")
    return message


def parse_start(message: dict[str, Any]) -> Start:
    """Return what a ``start`` message says.

    Raises
    ------
    ProtocolError
        It is another message, or a field of it is unknown, missing or impossible.
    """
    fields = {k: v for k, v in message.items() if k != "type"}
    known = {field.name for field in dataclasses.fields(Start)}
    if message["type"] != "start":
        raise ProtocolError("bad_message", "the first message must be of type start")
    if fields.keys() - known:
        raise ProtocolError("bad_message", f"unknown fields; known are {', '.join(sorted(known))}")
    rate, encoding = fields.get("rate"), fields.get("encoding", "s16le")
    if isinstance(rate, bool) or not isinstance(rate, int) or rate not in RATES:
        raise ProtocolError(
            "bad_message", f"rate must be a whole number from {RATES[0]} to {RATES[-1]}"
        )
    if not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise ProtocolError("bad_message", f"encoding must be one of {', '.join(ENCODINGS)}")
    partials, token = fields.get("partials", True), fields.get("token", "")
    if not isinstance(partials, bool):
        raise ProtocolError("bad_message", "partials must be true or false")
    if not isinstance(token, str) or len(token) > _MAX_TOKEN:
        raise ProtocolError("bad_message", "token must be a text")
    return Start(rate, encoding, partials, token)


def samples_of(data: bytes, encoding: str) -> npt.NDArray[Any]:
    """Return the samples of a binary message.

    Raises
    ------
    ProtocolError
        Part of a sample; or a sample that is no number.
    """
    dtype = np.dtype(ENCODINGS[encoding])
    if len(data) % dtype.itemsize:
        raise ProtocolError("bad_audio", f"{len(data)} bytes are no whole number of samples",
                            close=1007)  # fmt: skip
    samples = np.frombuffer(data, dtype=dtype)
    if dtype.kind == "f":
        if not np.isfinite(samples).all():
            raise ProtocolError("bad_audio", "a sample is not finite", close=1007)
        return np.asarray(np.clip(samples, -1.0, 1.0), dtype=np.float32)
    return np.asarray(samples, dtype=np.int16)
