"""The service: what it answers, whom it turns away, and that its documents tell the truth."""

import contextlib
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech

pytest.importorskip("starlette", reason="needs the extra [serve]")
pytest.importorskip("uvicorn", reason="needs the extra [serve]")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have httpx2
    from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Stream
from wfst_hmm.apps.word_costs import word_costs
from wfst_hmm.errors import UsageError
from wfst_hmm.formats.data import read_corpus
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.word_machine import Phrase
from wfst_hmm.search.rejection import Filler
from wfst_hmm.service.app import application
from wfst_hmm.service.limits import Limits
from wfst_hmm.service.protocol import ProtocolError, parse_message, parse_start, samples_of
from wfst_hmm.service.server import check_address, read_tokens
from wfst_hmm.service.sessions import Hub

HOST = "http://127.0.0.1"
SOCKET = "ws://127.0.0.1/v1/stream"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def recognizer(tiny_speech: TinySpeech) -> Recognizer:
    return Recognizer.load(tiny_speech.graph)


def client_of(recognizer: Recognizer, **options: Any) -> TestClient:
    limits = Limits(**{k: v for k, v in options.items() if k != "tokens"})
    hub = Hub(recognizer, limits, tokens=options.get("tokens", ()), n_threads=1)
    return TestClient(application(hub), base_url=HOST)


@pytest.fixture
def client(recognizer: Recognizer) -> Iterator[TestClient]:
    with client_of(recognizer) as made:
        yield made


def speech(tiny: TinySpeech, number: int = 0) -> tuple[Path, np.ndarray]:
    path = read_corpus(tiny.test).utterances[number].audio
    return path, soundfile.read(path, dtype="int16")[0]


def talk(client: TestClient, audio: bytes, piece: int = 1600, **start: Any) -> list[dict[str, Any]]:
    messages = []
    with client.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"type": "start", "rate": RATE} | start))
        messages.append(socket.receive_json())
        for at in range(0, len(audio), piece):
            socket.send_bytes(audio[at : at + piece])
        socket.send_text('{"type": "end"}')
        while messages[-1]["type"] not in ("end", "error"):
            messages.append(socket.receive_json())
    return messages


def test_a_session_says_what_a_stream_says(
    client: TestClient, recognizer: Recognizer, tiny_speech: TinySpeech
) -> None:
    _, samples = speech(tiny_speech, 3)
    stream = Stream(recognizer)
    stream.accept(samples)
    wanted = stream.finish().text
    messages = talk(client, samples.tobytes())
    assert messages[0]["type"] == "ready"
    assert messages[-1] == {"type": "end", "seconds": round(len(samples) / RATE, 3)}
    segments = [m for m in messages if m["type"] == "segment"]
    assert " ".join(m["text"] for m in segments) == wanted
    judged = {m["segment"]: m["confidences"] for m in messages if m["type"] == "confidence"}
    assert {n: len(found) for n, found in judged.items()} == {
        m["segment"]: len(m["words"]) for m in segments
    }
    assert all(0 <= confidence <= 1 for found in judged.values() for confidence in found)
    partials = [m for m in messages if m["type"] == "partial"]
    assert partials
    assert all(0 <= m["n_stable"] <= len(m["text"].split()) for m in partials)
    floats = (samples / 32768.0).astype("<f4").tobytes()
    again = talk(client, floats, 4000, encoding="f32le", partials=False)
    assert [m["text"] for m in again if m["type"] == "segment"] == [m["text"] for m in segments]
    assert not [m for m in again if m["type"] == "partial"]


def test_messages_of_any_size_are_one_recording(
    client: TestClient, tiny_speech: TinySpeech
) -> None:
    audio = speech(tiny_speech, 3)[1].tobytes()
    wanted = [m["text"] for m in talk(client, audio) if m["type"] == "segment"]
    odd = talk(client, audio, 1333)
    assert [m["text"] for m in odd if m["type"] == "segment"] == wanted
    answer = client.post(f"/v1/stream?rate={RATE}&partials=false", content=audio)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [m["text"] for m in lines if m["type"] == "segment"] == wanted
    assert not [m for m in lines if m["type"] == "partial"]


def vosk(client: TestClient, audio: bytes, config: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Do what Vosk's own Python client does: send a piece, wait for its answer."""
    answers = []
    with client.websocket_connect("ws://127.0.0.1/") as socket:
        if config is not None:
            socket.send_text(json.dumps({"config": config}))
        for at in range(0, len(audio), 1601):
            socket.send_bytes(audio[at : at + 1601])
            answers.append(socket.receive_json())
        socket.send_text('{"eof" : 1}')
        answers.append(socket.receive_json())
    return answers


def test_clients_of_vosk_are_answered(client: TestClient, tiny_speech: TinySpeech) -> None:
    audio = speech(tiny_speech, 3)[1].tobytes()
    wanted = [m["text"] for m in talk(client, audio) if m["type"] == "segment"]
    answers = vosk(client, audio, {"sample_rate": RATE})
    assert " ".join(a["text"] for a in answers if a.get("text")) == " ".join(wanted)
    assert any(a.get("partial") for a in answers[:-1])
    (last,) = [a for a in answers if a.get("result")]
    assert last["text"].split() == [word["word"] for word in last["result"]]
    assert {"conf", "start", "end", "word"} == set(last["result"][0])
    (plain,) = [a for a in vosk(client, audio, {"words": False}) if a.get("text")]
    assert set(plain) == {"text"}
    (best,) = [a["alternatives"][0] for a in vosk(client, audio, {"max_alternatives": 3})
               if a.get("alternatives") and a["alternatives"][0]["text"]]  # fmt: skip
    assert best["text"] == last["text"]
    assert 0 <= best["confidence"] <= 1
    only = vosk(client, audio, {"phrase_list": ["ba", "xyz"]})
    assert {word for a in only for word in a.get("text", "").split()} <= {"ba"}
    assert vosk(client, b"", None) == [{"text": ""}]
    with client.websocket_connect("ws://127.0.0.1/") as socket:
        socket.send_text('{"config": {"sample_rate": "x"}}')
        assert socket.receive_json()["code"] == "bad_message"


def test_boosted_phrases_and_rejection_in_the_service(
    recognizer: Recognizer, tiny_speech: TinySpeech
) -> None:
    path, samples = speech(tiny_speech, 3)
    costs = word_costs(recognizer.searched.words, [Phrase(("su", "su"), 400.0)])
    loop = phone_loop(recognizer.model)
    hub = Hub(recognizer, Limits(), costs=costs, filler=Filler(loop, 1e4), n_threads=1)
    with TestClient(application(hub), base_url=HOST) as client:
        messages = talk(client, samples.tobytes())
        segments = [m for m in messages if m["type"] == "segment"]
        assert "su su" in " ".join(m["text"] for m in segments)
        assert not any(m["rejected"] for m in segments)
        judged = {
            m["segment"]: len(m["confidences"]) for m in messages if m["type"] == "confidence"
        }
        assert judged == {m["segment"]: len(m["words"]) for m in segments}
        found = client.post("/v1/recognize", content=path.read_bytes()).json()
        assert "su su" in found["text"]
        assert not found["rejected"]
        assert all(0 <= word["confidence"] <= 1 for word in found["words"])
    hub = Hub(recognizer, Limits(), costs=costs, filler=Filler(loop, -50.0), n_threads=1)
    with TestClient(application(hub), base_url=HOST) as client:
        found = client.post("/v1/recognize", content=path.read_bytes()).json()
        assert (found["text"], found["rejected"]) == ("", True)
        assert "su su" in found["rejected_text"]


def test_a_recording_and_raw_samples_over_http(client: TestClient, tiny_speech: TinySpeech) -> None:
    path, samples = speech(tiny_speech)
    result = client.post("/v1/recognize", content=path.read_bytes())
    assert result.status_code == 200
    found = result.json()
    assert found["text"] == " ".join(word["text"] for word in found["words"]) != ""
    assert all(0 <= word["confidence"] <= 1 for word in found["words"])
    answer = client.post(f"/v1/stream?rate={RATE}", content=samples.tobytes())
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0]["type"] == "ready"
    assert lines[-1]["type"] == "end"
    assert " ".join(m["text"] for m in lines if m["type"] == "segment") == found["text"]
    for url in ("/v1/stream", "/v1/stream?rate=1", "/v1/stream?rate=8000&x=1"):
        assert client.post(url, content=b"").json()["code"] == "bad_message"
    odd = client.post(f"/v1/stream?rate={RATE}", content=b"abc").text.splitlines()
    assert json.loads(odd[-1])["code"] == "bad_audio"
    bad = client.post("/v1/recognize", content=b"RIFFnonsense")
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_audio")
    assert "/tmp" not in bad.text.replace(str(path), "")


BAD = {
    "no JSON": ["hello"],
    "no object": ["[1]"],
    "no type": ["{}"],
    "not the start": ['{"type": "end"}'],
    "audio first": [b"\0\0"],
    "no rate": ['{"type": "start"}'],
    "a rate of 1": ['{"type": "start", "rate": 1}'],
    "a rate that is true": ['{"type": "start", "rate": true}'],
    "a huge rate": ['{"type": "start", "rate": 1e400}'],
    "an unknown field": ['{"type": "start", "rate": 8000, "x": 1}'],
    "an unknown encoding": ['{"type": "start", "rate": 8000, "encoding": "mp3"}'],
    "deep": ["[" * 8000],
    "large": ['{"type": "' + "x" * 9000 + '"}'],
    "odd bytes": ['{"type": "start", "rate": 8000}', b"abc", '{"type": "end"}'],
    "not a number": ['{"type": "start", "rate": 8000, "encoding": "f32le"}', b"\0\0\xc0\x7f"],
    "a second start": ['{"type": "start", "rate": 8000}', '{"type": "start", "rate": 8000}'],
    "a huge message": ['{"type": "start", "rate": 8000}', b"\0" * 300_000],
}


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_the_protocol_is_told_so(client: TestClient, name: str) -> None:
    with client.websocket_connect(SOCKET) as socket:
        for message in BAD[name]:
            (socket.send_text if isinstance(message, str) else socket.send_bytes)(message)
        answer = socket.receive_json()
        while answer["type"] == "ready":
            answer = socket.receive_json()
        assert answer["type"] == "error"
        assert answer["code"] in ("bad_message", "bad_audio", "too_large")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code in (1007, 1008, 1009)
    metrics = client.get("/metrics").text
    assert "wfst_hmm_sessions_active 0" in metrics


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=50) | st.dictionaries(st.text(max_size=8), st.integers() | st.text(), max_size=3).map(json.dumps))  # fmt: skip
def test_any_message_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        assert parse_start(parse_message(text)).rate >= 4000


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=40), st.sampled_from(["s16le", "f32le"]))
def test_any_bytes_are_samples_or_refused(data: bytes, encoding: str) -> None:
    try:
        samples = samples_of(data, encoding)
    except ProtocolError:
        return
    assert np.isfinite(samples).all()


def test_limits_hold(recognizer: Recognizer, tiny_speech: TinySpeech) -> None:
    path, samples = speech(tiny_speech)
    with client_of(recognizer, max_seconds=0.5, max_upload=1000, max_sessions=1) as client:
        assert talk(client, samples.tobytes())[-1]["code"] == "too_long"
        large = client.post("/v1/recognize", content=path.read_bytes())
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        with client.websocket_connect(SOCKET) as first:
            first.send_text('{"type": "start", "rate": 8000}')
            assert first.receive_json()["type"] == "ready"
            assert talk(client, b"")[-1]["code"] == "busy"
        assert talk(client, b"")[-1]["type"] == "end", "there is room again"
    with client_of(recognizer, max_seconds=0.5) as client:
        assert client.post("/v1/recognize", content=path.read_bytes()).json()["code"] == "too_long"
    with client_of(recognizer, start_seconds=0.05, idle_seconds=0.05) as client:
        for messages in ([], ['{"type": "start", "rate": 8000}']):
            with client.websocket_connect(SOCKET) as socket:
                for message in messages:
                    socket.send_text(message)
                    assert socket.receive_json()["type"] == "ready"
                assert socket.receive_json()["code"] == "timeout"
    with client_of(recognizer, max_memory_mb=1.0) as client:
        assert talk(client, b"")[-1]["code"] == "memory"
    with pytest.raises(UsageError, match="max_sessions must be positive"):
        Limits(max_sessions=0)


def test_tokens_names_and_origins(recognizer: Recognizer, tmp_path: Path) -> None:
    with client_of(recognizer, tokens=("correct-horse-battery", "another-token-here")) as client:
        assert talk(client, b"")[-1]["code"] == "token"
        assert talk(client, b"", token="correct-horse-batterY")[-1]["code"] == "token"
        assert talk(client, b"", token="another-token-here")[-1]["type"] == "end"
        assert client.get("/metrics").status_code == 401
        good = {"Authorization": "Bearer correct-horse-battery"}
        assert client.get("/metrics", headers=good).status_code == 200
        assert client.post("/v1/stream?rate=8000").status_code == 401
        assert client.get("/health").status_code == 200
    with client_of(recognizer) as client:
        assert (
            client.post("/v1/stream?rate=8000", headers={"Host": "evil.example"}).status_code == 403
        )
        foreign = {"Origin": "http://evil.example"}
        assert client.post("/v1/stream?rate=8000", headers=foreign).json()["code"] == "origin"
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(SOCKET, headers=foreign),
        ):
            pass
        own = {"Origin": HOST}
        assert client.post("/v1/stream?rate=8000", headers=own).status_code == 200
    check_address("localhost", ())
    with pytest.raises(UsageError, match=r"other machines could use.*--tokens"):
        check_address("0.0.0.0", ())
    check_address("0.0.0.0", ("token",))
    (tmp_path / "tokens").write_text("# remark\n0123456789abcdef\n")
    assert read_tokens(tmp_path / "tokens") == ("0123456789abcdef",)
    (tmp_path / "tokens").write_text("short\n")
    with pytest.raises(UsageError, match="16 characters"):
        read_tokens(tmp_path / "tokens")


def test_a_service_that_stops_takes_nobody_new(recognizer: Recognizer) -> None:
    hub = Hub(recognizer, n_threads=1)
    with TestClient(application(hub), base_url=HOST) as client:
        assert client.get("/health").json() == {"status": "ok", "sessions": 0}
        with client.websocket_connect(SOCKET) as socket:
            socket.send_text('{"type": "start", "rate": 8000}')
            assert socket.receive_json()["type"] == "ready"
            hub.draining = True
            assert client.get("/health").status_code == 503
            assert talk(client, b"")[-1]["code"] == "stopping"
            socket.send_text('{"type": "end"}')
            assert socket.receive_json()["type"] == "end", "who is there may finish"


def check_schema(schema: dict[str, Any], value: Any) -> None:
    """Compare a value with the part of JSON Schema that the documents use."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
             "boolean": bool}  # fmt: skip
    if "const" in schema:
        assert value == schema["const"]
    if "enum" in schema:
        assert value in schema["enum"]
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]])
    for name in schema.get("required", ()):
        assert name in value
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            check_schema(inner, value[name])
    for item in value if schema.get("type") == "array" else ():
        check_schema(schema["items"], item)
    if "minimum" in schema:
        assert value >= schema["minimum"]


def test_messages_are_as_documented(client: TestClient, tiny_speech: TinySpeech) -> None:
    document = client.get("/asyncapi.json").json()
    assert document["asyncapi"] == "3.0.0"
    schemas = {k: v["payload"] for k, v in document["components"]["messages"].items()}
    _, samples = speech(tiny_speech, 3)
    seen = set()
    for message in [*talk(client, samples.tobytes()), talk(client, b"abc")[-1]]:
        check_schema(schemas[message["type"]], message)
        assert set(message) - {"total_cost", "reason", "detail"} <= set(
            schemas[message["type"]]["properties"]
        )
        seen.add(message["type"])
    assert seen == {"ready", "partial", "segment", "confidence", "end", "error"}
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method in methods:
            assert client.request(method, path).status_code != 404
    wav = speech(tiny_speech)[0].read_bytes()
    answers = document["paths"]["/v1/recognize"]["post"]["responses"]
    found = client.post("/v1/recognize", content=wav).json()
    check_schema(answers["200"]["content"]["application/json"]["schema"], found)


def test_the_page_brings_all_it_needs(client: TestClient) -> None:
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(names) == {"page.js", "page.css"}
    script = client.get("/page.js").text
    for name in [*names, *re.findall(r'addModule\("([^"]+)"\)', script)]:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert "//" not in answer.text.replace("// ", "").replace("${scheme}//", "")
    for id_ in re.findall(r'\$\("([^"]+)"\)', script):
        assert f'id="{id_}"' in page.text
    assert client.get("/../limits.py").status_code == 404
    assert client.get("/page.html/../../app.py").status_code == 404


def test_metrics_are_prometheus_text(client: TestClient, tiny_speech: TinySpeech) -> None:
    _, samples = speech(tiny_speech)
    talk(client, samples.tobytes())
    lines = client.get("/metrics").text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values["wfst_hmm_audio_seconds_total"]) == pytest.approx(
        len(samples) / RATE, abs=0.01
    )
    assert values['wfst_hmm_sessions_total{ended="done"}'] == "1"
    buckets = [int(v) for k, v in values.items() if "_bucket" in k]
    assert buckets == sorted(buckets)
    assert buckets[-1] == int(values["wfst_hmm_step_seconds_count"])
    names = {k.partition("{")[0] for k in values}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert all(any(n.startswith(t) for t in typed) for n in names)
