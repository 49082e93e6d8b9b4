"""Silence stays silent: commands to a real model behind, before and amid all kinds of nothing."""

import numpy as np
import pytest

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Stream
from wfst_hmm.apps.transcription import EN_US
from wfst_hmm.errors import DataError
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.search.decode import decode
from wfst_hmm.search.endpoints import ENDPOINTS
from wfst_hmm.search.rejection import Filler
from wfst_hmm.signal.audio import Audio, read_audio

RATE = 16000
COMMAND = "go forward ten meters"


@pytest.fixture(scope="module")
def commands(shared) -> Recognizer:
    try:
        model = read_sphinx_model(wheel.en_us().acoustic).context_model()
    except DataError as error:
        pytest.skip(str(error))
    grammar = read_grammar(shared / "sphinx" / "goforward.gram")
    graph = build_graph(model, lexicon_from_spec("pocketsphinx"), grammar, EN_US.graph)
    return Recognizer(graph, model)


@pytest.fixture(scope="module")
def spoken(shared) -> np.ndarray:
    raw = np.frombuffer((shared / "sphinx" / "goforward.raw").read_bytes(), "<i2")
    return (raw / 32768).astype(np.float32)


def nothing(kind: str, seconds: float) -> np.ndarray:
    """Return samples of no speech."""
    n, rng = int(seconds * RATE), np.random.default_rng(1)
    units = {
        "zeros": lambda: np.zeros(n),
        "a constant": lambda: np.full(n, 8),
        "hum": lambda: 30 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE),
        "a click": lambda: np.where(np.abs(np.arange(n) - n // 2) < 40, 8000, rng.normal(0, 3, n)),
        "nearly nothing": lambda: rng.uniform(-0.4, 0.4, n),
    }.get(kind, lambda: rng.normal(0, float(kind.split()[-1]), n))
    floats = units()
    if kind not in ("hum", "nearly nothing"):
        floats = np.rint(floats)
    return (floats / 32768).astype(np.float32)


def heard(commands: Recognizer, samples: np.ndarray) -> list[str]:
    stream = Stream(commands, EN_US.search, endpoints=ENDPOINTS)
    segments = []
    for at in range(0, len(samples), 1600):
        segments += stream.accept(samples[at : at + 1600])
    return [segment.text for segment in [*segments, *stream.close()] if segment.text]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("zeros", 0.6), ("zeros", 3.0), ("a constant", 1.0), ("nearly nothing", 1.0), ("hum", 1.0),
     ("a click", 0.6), ("noise of 1", 0.6), ("noise of 3", 3.0), ("noise of 50", 1.0)],
)  # fmt: skip
def test_a_quiet_start_costs_no_word(
    commands: Recognizer, spoken: np.ndarray, kind: str, seconds: float
) -> None:
    samples = np.concatenate([nothing(kind, seconds), spoken, nothing(kind, 1.0)])
    assert heard(commands, samples) == [COMMAND]


@pytest.mark.parametrize("kind", ["zeros", "noise of 1", "noise of 10", "hum"])
def test_silence_becomes_no_command(commands: Recognizer, spoken: np.ndarray, kind: str) -> None:
    assert heard(commands, nothing(kind, 12.0)) == []
    samples = np.concatenate([spoken, nothing("zeros", 6.0), nothing(kind, 6.0)])
    assert heard(commands, samples) == [COMMAND]


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("where", ["before", "after", "around"])
def test_digital_zeros_change_no_word(
    commands: Recognizer, spoken: np.ndarray, seconds: float, where: str
) -> None:
    zeros = nothing("zeros", seconds)
    parts = {"before": [zeros, spoken], "after": [spoken, zeros], "around": [zeros, spoken, zeros]}
    audio = Audio(np.concatenate(parts[where]), RATE)
    scores = commands.model.score(commands.model.features(audio))
    found = decode(commands.graph, scores, EN_US.search)
    assert " ".join(word.text for word in found.words) == COMMAND
    alone = decode(
        commands.graph, commands.model.score(commands.model.features(Audio(zeros, RATE))),
        EN_US.search,
    )  # fmt: skip
    assert getattr(alone, "words", ()) == ()


@pytest.mark.parametrize("kind", ["noise of 50", "noise of 100", "noise of 300"])
def test_steady_noise_is_rejected_where_it_fits_a_command(commands: Recognizer, kind: str) -> None:
    assert rejecting(commands, nothing(kind, 30.0)) == []


def test_other_speech_is_rejected_and_commands_are_not(
    commands: Recognizer, spoken: np.ndarray, shared
) -> None:
    assert rejecting(commands, spoken) == [COMMAND]
    others = sorted((shared / "librispeech" / "dev").rglob("*.flac"))[::27]
    for path in [*others, shared / "sphinx" / "cards" / "001.wav"]:
        assert rejecting(commands, read_audio(path, rate=RATE).samples[: 8 * RATE]) == []


def rejecting(commands: Recognizer, samples: np.ndarray) -> list[str]:
    filler = Filler(phone_loop(commands.model))
    stream = Stream(commands, EN_US.search, endpoints=ENDPOINTS, filler=filler)
    return [s.text for s in [*stream.accept(samples), *stream.close()] if s.text]
