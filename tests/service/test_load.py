"""A real server with real sockets: many at a time, malformed sessions, a graceful end."""

import asyncio
import json
import os
import signal
import time

import numpy as np
import pytest
import soundfile
from tiny_speech import RATE, TinySpeech

pytest.importorskip("uvicorn", reason="needs the extra [serve]")
pytest.importorskip("websockets", reason="needs the extra [serve]")

from wfst_hmm.bench.serve import malformed_sessions, real_time_streams, served
from wfst_hmm.formats.data import read_corpus


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_a_server_bears_it(tiny_speech: TinySpeech) -> None:
    recordings = [
        soundfile.read(utterance.audio, dtype="int16")[0]
        for utterance in read_corpus(tiny_speech.test).utterances[:3]
    ]
    long = np.concatenate(recordings)
    with served(tiny_speech.graph, "-j", "2") as server:
        alone = [real_time_streams(server, [r], RATE, pace=0.0).texts[0] for r in recordings]
        assert all(alone)
        together = real_time_streams(server, recordings, RATE, pace=0.2)
        assert together.texts == alone
        assert together.latencies
        load = malformed_sessions(server, 60, recordings[:1], RATE)
        assert set(load.texts) == {alone[0]}
        asyncio.run(stopped_while_speaking(server.port, server.pid, long))


async def stopped_while_speaking(port: int, pid: int, samples: np.ndarray) -> None:
    """A session that runs when the signal comes is served to its end."""
    from websockets.asyncio.client import connect

    url = f"ws://127.0.0.1:{port}/v1/stream"
    async with connect(url, compression=None) as socket:
        await socket.send(json.dumps({"type": "start", "rate": RATE}))
        assert json.loads(await socket.recv())["type"] == "ready"
        os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(0.3)
        await socket.send(samples[:4000].tobytes())
        await socket.send('{"type": "end"}')
        messages = [json.loads(text) async for text in socket]
    assert messages[-1]["type"] == "end"
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return
        writer.close()
        await asyncio.sleep(0.1)
    raise AssertionError("it still listens")
