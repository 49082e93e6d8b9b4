"""listen: raw samples from a pipe, a microphone that is made up, and what is wrong with them."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from command_line import CommandLine, Finished
from tiny_speech import RATE, TinySpeech, say

from wfst_hmm.apps.listening import raw_pieces
from wfst_hmm.errors import DataError, UsageError


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    rng = np.random.default_rng(9)
    pause = 0.003 * rng.standard_normal(int(1.2 * RATE))
    return np.concatenate([say(["ba", "bi"], rng), pause, say(["su"], rng), pause])


def piped(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, data: bytes, *arguments: object
) -> Finished:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    return run("listen", *arguments, "--stdin")


def s16(samples: np.ndarray) -> bytes:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def test_segments_from_a_pipe(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray
) -> None:
    done = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--pause", 0.8)
    assert (done.code, done.out, done.err) == (0, "ba bi\nsu\n", "")
    whole = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--no-endpoints")
    assert whole.out == "ba bi su\n"


def test_lines_of_json(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray
) -> None:
    done = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--pause", 0.8, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    finals = [line for line in lines if "segment" in line]
    assert [line["text"] for line in finals if line["text"]] == ["ba bi", "su"]
    assert [line["segment"] for line in finals] == list(range(len(finals)))
    assert finals[1]["words"][0]["start"] > finals[0]["end"]
    assert all(line["n_stable"] <= len(line["partial"].split()) for line in lines[:-1]
               if "partial" in line)  # fmt: skip
    only = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--json", "--no-partials")
    assert all("segment" in json.loads(line) for line in only.out.splitlines())


def test_partials_are_marked(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray
) -> None:
    monkeypatch.setattr("wfst_hmm.apps.listening._READ_BYTES", 2000)
    done = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--partials", "--no-endpoints")
    lines = done.out.splitlines()
    assert lines[-1] == "ba bi su"
    assert "~ ba" in lines
    assert "~ ba bi" in lines


@pytest.mark.parametrize("encoding", ["s16be", "f32le", "f32be"])
def test_encodings_channels_rates_and_a_speaker(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray,
    tmp_path: Path, encoding: str,
) -> None:  # fmt: skip
    import soxr

    kind = {"s16be": ">i2", "f32le": "<f4", "f32be": ">f4"}[encoding]
    fast = soxr.resample(speech, RATE, 2 * RATE)
    both = np.stack([np.zeros_like(fast), fast], axis=1)
    scaled = np.rint(both.clip(-1, 1) * 32767) if "i" in kind else both
    soundfile.write(tmp_path / "speaker.wav", speech, RATE)
    done = piped(
        run, monkeypatch, scaled.astype(kind).tobytes() + b"x", tiny_speech.graph, "--encoding",
        encoding, "--channels", 2, "--channel", 1, "--rate", 2 * RATE, "--no-endpoints",
        "--speaker", tmp_path / "speaker.wav",
    )  # fmt: skip
    assert done.out == "ba bi su\n"
    assert "ends within a sample: 1 bytes" in done.err


def test_rejection_and_phrases(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray,
    tmp_path: Path,
) -> None:  # fmt: skip
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("su su\t900\nxyz\n")
    done = piped(run, monkeypatch, s16(speech), tiny_speech.graph, "--no-endpoints",
                 "--bias", phrases, "--reject-weight", -1000)  # fmt: skip
    assert done.out == "<rejected>\n"
    assert "'xyz' cannot be boosted" in done.err


class FakeSound:
    """Stands for sounddevice: plays pieces into the callback, then interrupts."""

    class PortAudioError(Exception):
        pass

    def __init__(self, pieces: list[np.ndarray]) -> None:
        self.pieces = pieces
        self.asked: dict[str, object] = {}

    def InputStream(self, *, callback, **asked):  # type: ignore[no-untyped-def]
        self.asked = asked
        if asked["device"] == "none":
            raise self.PortAudioError("no such device")
        for number, piece in enumerate(self.pieces):
            callback(
                piece[:, None].astype(np.float32), len(piece), None, "overflow" * (number == 1)
            )
        self.callback = callback
        return self

    def __enter__(self) -> "FakeSound":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_microphone_until_ctrl_c(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, speech: np.ndarray
) -> None:
    sound = FakeSound(np.array_split(speech[: -int(1.2 * RATE)], 20))
    monkeypatch.setitem(sys.modules, "sounddevice", sound)

    class Queue(SimpleNamespace):
        def __init__(self) -> None:
            super().__init__(pieces=[])
            self.put = self.pieces.append

        def get(self) -> np.ndarray:
            if not self.pieces:
                raise KeyboardInterrupt
            return self.pieces.pop(0)

    monkeypatch.setattr("wfst_hmm.apps.listening.queue.SimpleQueue", Queue)
    done = run("listen", tiny_speech.graph, "--pause", 0.8)
    assert (done.code, done.out) == (0, "ba bi\nsu\n")
    assert done.err == "wfst-hmm: the microphone: overflow\n"
    assert sound.asked["samplerate"] == RATE
    assert "no such device" in run.fails("listen", tiny_speech.graph, "--device", "none")


def test_without_a_microphone_the_remedy_is_told(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert 'pip install "wfst_hmm[mic]"' in run.fails("listen", tiny_speech.graph, code=2)


def test_bad_input(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch, tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    def refused(data: bytes, *arguments: object, code: int) -> str:
        done = piped(run, monkeypatch, data, tiny_speech.graph, *arguments)
        assert done.code == code
        assert len(done.err.splitlines()) == 1
        return done.err

    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(100), RATE, format="WAV")
    assert "a WAV file" in refused(wav.getvalue(), code=1)
    nan = np.full(4, np.nan, dtype="<f4").tobytes()
    assert "sample 0 is nan" in refused(nan, "--encoding", "f32le", code=1)
    assert "2 channels" in refused(bytes(64), "--channels", 2, code=1)
    assert "no channel 5" in refused(bytes(64), "--channels", 2, "--channel", 5, code=1)
    assert "pause" in refused(b"", "--pause", 0, code=2)
    assert "no such" in refused(b"", "--speaker", tmp_path / "none.wav", code=1)
    done = piped(run, monkeypatch, b"", tiny_speech.graph)
    assert (done.code, done.out) == (0, "")


def test_bad_calls() -> None:
    with pytest.raises(UsageError, match="unknown encoding"):
        list(raw_pieces(io.BytesIO(b""), encoding="mp3"))
    with pytest.raises(UsageError, match="channels"):
        list(raw_pieces(io.BytesIO(b""), n_channels=0))
    with pytest.raises(DataError, match="WAV"):
        list(raw_pieces(io.BytesIO(b"RIFF....WAVEfmt ")))
