"""The service's routes and messages, for programs that write clients.

In: the limits. Out: an OpenAPI 3.1 document of the HTTP routes, an AsyncAPI 3.0 document of the
WebSocket. Their schemas are what `service.protocol` checks and `service.sessions` sends.

Public names: `asyncapi`, `openapi`.
"""

from __future__ import annotations

from typing import Any

import wfst_hmm
from wfst_hmm.service.limits import Limits
from wfst_hmm.service.protocol import ENCODINGS, RATES

__all__ = ["asyncapi", "openapi"]


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


_TEXT: dict[str, Any] = {"type": "string"}
_SECONDS = {"type": "number", "minimum": 0, "description": "seconds from the start of the audio"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_WORD = _object(
    ["text", "start", "end"], text=_TEXT, start=_SECONDS, end=_SECONDS,
    confidence=_SHARE,
)  # fmt: skip
_JUDGED = {
    "rejected": {"type": "boolean", "description": "said, but nothing that the grammar knows"},
    "filler_margin": {"type": "number",
                      "description": "nats a frame by which a loop of phones fits better"},
    "rejected_text": {"type": "string", "description": "what was rejected, where it was"},
}  # fmt: skip
_ERROR = _object(["type", "code", "message"], type={"const": "error"}, code=_TEXT, message=_TEXT)


def _messages(limits: Limits) -> dict[str, Any]:
    encoding = {"enum": list(ENCODINGS)}
    rate = {"type": "integer", "minimum": RATES[0], "maximum": RATES[-1]}
    return {
        "start": _object(["type", "rate"], type={"const": "start"}, rate=rate, encoding=encoding,
                         partials={"type": "boolean", "default": True}, token=_TEXT)
                 | {"additionalProperties": False},
        "ready": _object(["type", "rate", "encoding"], type={"const": "ready"}, rate=rate,
                         encoding=encoding, max_seconds=_SECONDS),
        "partial": _object(
            ["type", "text", "n_stable", "start", "end"], type={"const": "partial"}, text=_TEXT,
            n_stable={"type": "integer", "minimum": 0,
                      "description": "so many words, from the first, will not change"},
            start=_SECONDS, end=_SECONDS,
        ),
        "segment": _object(
            ["type", "segment", "text", "words", "start", "end"], type={"const": "segment"},
            segment={"type": "integer", "minimum": 0}, text=_TEXT,
            words={"type": "array", "items": _WORD}, start=_SECONDS, end=_SECONDS, **_JUDGED,
        ),
        "confidence": _object(
            ["type", "segment", "confidences"], type={"const": "confidence"},
            segment={"type": "integer", "minimum": 0,
                     "description": "one that was sent before; others may have come since"},
            confidences={"type": "array", "items": _SHARE,
                         "description": "of its words, from the first"},
        ),
        "end": _object(["type"], type={"const": "end"}, seconds=_SECONDS),
        "error": _ERROR,
    }  # fmt: skip


def _info(title: str) -> dict[str, Any]:
    return {"title": title, "version": wfst_hmm.__version__}


def openapi(limits: Limits) -> dict[str, Any]:
    """Return the description of the HTTP routes."""

    def answers(good: dict[str, Any], *codes: str) -> dict[str, Any]:
        texts = {"400": "the request is wrong", "401": "a token is needed",
                 "408": "the upload stands still", "413": "too large or too long",
                 "422": "no audio that can be used", "503": "busy or stopping"}  # fmt: skip
        error = {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
        return {"200": good} | {c: {"description": texts[c], "content": error} for c in codes}

    def ok(text: str, kind: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": text, "content": {kind: {"schema": schema}}}

    result = _object(["seconds", "text", "words"], seconds=_SECONDS, text=_TEXT,
                     words={"type": "array", "items": _WORD}, problem=_TEXT,
                     total_cost={"type": "number", "description": "nats"},
                     notes={"type": "array", "items": _TEXT}, **_JUDGED)  # fmt: skip
    binary = {"type": "string", "format": "binary", "maxLength": limits.max_upload}
    queries = [
        {"name": "rate", "in": "query", "required": True,
         "schema": {"type": "integer", "minimum": RATES[0], "maximum": RATES[-1]}},
        {"name": "encoding", "in": "query",
         "schema": {"enum": list(ENCODINGS), "default": "s16le"}},
    ]  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": _info("wfst_hmm recognition"),
        "security": [{}, {"token": []}],
        "paths": {
            "/v1/recognize": {"post": {
                "summary": "Recognize a recording: WAV, FLAC or OGG, one channel.",
                "requestBody": {"required": True, "content": {"audio/*": {"schema": binary}}},
                "responses": answers(ok("words", "application/json", result),
                                     "400", "401", "408", "413", "422", "503"),
            }},
            "/v1/stream": {"post": {
                "summary": "Recognize raw samples while they are sent; a message on each line.",
                "parameters": queries,
                "requestBody": {"required": True,
                                "content": {"application/octet-stream": {"schema": binary}}},
                "responses": answers(ok("messages, as over the WebSocket", "application/x-ndjson",
                                        {"type": "string"}), "400", "401", "503"),
            }},
            "/health": {"get": {"summary": "Whether new sessions are welcome.", "responses": {
                "200": {"description": "yes"}, "503": {"description": "no: stopping"}}}},
            "/metrics": {"get": {"summary": "Numbers for Prometheus.", "responses": answers(
                ok("numbers", "text/plain", _TEXT), "401")}},
        },
        "components": {
            "schemas": {"error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def asyncapi(limits: Limits) -> dict[str, Any]:
    """Return the description of the WebSocket's messages."""
    schemas = _messages(limits)
    from_client = ("start", "audio", "end")
    messages = {name: {"payload": schema} for name, schema in schemas.items()}
    messages["audio"] = {
        "contentType": "application/octet-stream",
        "summary": "Samples of one channel, as start announced them, in binary messages of up to "
                   f"{limits.max_message} bytes.",
        "payload": {"type": "string", "format": "binary"},
    }  # fmt: skip
    refs = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    channel = "#/channels/stream"

    def operation(action: str, names: tuple[str, ...]) -> dict[str, Any]:
        return {"action": action, "channel": {"$ref": channel},
                "messages": [{"$ref": f"{channel}/messages/{name}"} for name in names]}  # fmt: skip

    return {
        "asyncapi": "3.0.0",
        "info": _info("wfst_hmm streaming recognition"),
        "channels": {"stream": {"address": "/v1/stream", "messages": refs}},
        "operations": {
            "hear": operation("receive", from_client),
            "tell": operation(
                "send", ("ready", "partial", "segment", "confidence", "end", "error")
            ),
        },
        "components": {"messages": messages},
    }
