"""An hour of audio recognized while it comes in: memory, time, delay, errors.

In: recordings of spoken digits, joined without end, or any recordings and a graph. Out: rows.

Public names: `bench_stream`.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.fsdd import TEST_INDICES, find_recordings, make_known
from wfst_hmm.apps.listening import speaker_stats
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Segment, Stream
from wfst_hmm.apps.wer import score_words
from wfst_hmm.bench.digits import DIGIT_LEXICON, DIGIT_OPTIONS
from wfst_hmm.bench.material import need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import UsageError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.graph.stages import megabytes_in_use
from wfst_hmm.search.endpoints import ENDPOINTS
from wfst_hmm.signal.audio import read_audio
from wfst_hmm.signal.live_cmvn import LiveCmvnOptions
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions

__all__ = ["bench_stream"]

_PIECE = 0.1  # seconds that come in at a time
_WARM = 60.0  # seconds after which memory is first looked at

Samples = npt.NDArray[np.float32]


@dataclasses.dataclass
class _Heard:
    """What one run saw."""

    words: list[str] = dataclasses.field(default_factory=list)
    n_segments: int = 0
    n_incomplete: int = 0
    memory_early: float = 0.0
    memory_all: float = 0.0
    seconds: float = 0.0
    pieces: list[float] = dataclasses.field(default_factory=list)
    shown: list[float] = dataclasses.field(default_factory=list)
    stable: list[float] = dataclasses.field(default_factory=list)

    def add(self, segment: Segment, shown: list[float], stable: list[float], now: float) -> None:
        """Count a segment, whose words were first shown, and decided, at these times."""
        self.n_segments += 1
        self.n_incomplete += segment.result is not segment.decoded
        self.words += [word.text for word in segment.words]
        for times, delays in ((shown, self.shown), (stable, self.stable)):
            times += [now] * (len(segment.words) - len(times))
            delays += [at - w.end for at, w in zip(times, segment.words, strict=False)]


def bench_stream(
    folder: str | Path | None = None,
    *,
    minutes: float = 60.0,
    recognizer: Recognizer | str | Path | None = None,
    seed: int = 0,
    options: TrainingOptions = DIGIT_OPTIONS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Recognize digits joined to a recording of `minutes`, with endpoints and as one segment.

    Parameters
    ----------
    folder : path, optional
        Recordings of the Free Spoken Digit Dataset; by default those of WFST_HMM_SHARED or
        ``../shared/data``. The test recordings of one speaker are joined, in random order,
        with pauses of 0.1 to 0.4 s, at times 1.5 to 3 s; the speaker's training recordings give
        the normalization.
    minutes : float
        At least 2.
    recognizer : Recognizer or path of a graph, optional
        Of digits; by default monophones are trained, with a loop of digits as the grammar.
    seed : int
    options : TrainingOptions
    progress : callable
        Hears what is being done.

    Raises
    ------
    DataError
        The recordings are not there.
    """
    if not 2 <= minutes <= 24 * 60:
        raise UsageError("minutes", got=minutes, expected="2 to 1440")
    found = need_folder(folder)
    if recognizer is None:
        progress("training")
        with tempfile.TemporaryDirectory() as name:
            known = make_known(found, Path(name) / "known")
            model = train(known.train, DIGIT_LEXICON, None, options)
        graph = build_graph(model, DIGIT_LEXICON, word_loop(DIGIT_LEXICON.words))
        recognizer = Recognizer(graph, model)
    elif not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer)
    digits = list(dict.fromkeys(DIGIT_LEXICON.words))
    recordings = find_recordings(found)
    speaker = recordings[0].speaker
    own = [r for r in recordings if r.speaker == speaker]
    stats = speaker_stats(recognizer.model, [r.path for r in own if r.index >= TEST_INDICES.stop])
    spoken = [
        (digits[r.digit], read_audio(r.path, rate=recognizer.model.rate).samples)
        for r in own if r.index in TEST_INDICES
    ]  # fmt: skip
    rows: list[Row] = []
    for what, rules in (("endpoints", ENDPOINTS), ("one segment", None)):
        said: list[str] = []
        progress(f"{minutes:g} minutes, {what}")
        stream = Stream(recognizer, endpoints=rules, normalization=LiveCmvnOptions("fixed"),
                        stats=stats)  # fmt: skip
        pieces = _joined(spoken, recognizer.model.rate, 60 * minutes, seed, said)
        heard = _run(stream, pieces)
        rows += _rows(f"{minutes:g} minutes, {what}", heard, said, 60 * minutes)
    return rows


def _joined(
    spoken: list[tuple[str, Samples]], rate: int, seconds: float, seed: int, said: list[str]
) -> Iterator[Samples]:
    """Yield pieces of digits with pauses; list in `said` what was said. Nothing is kept."""
    rng = np.random.default_rng(seed)
    left = np.zeros(0, dtype=np.float32)
    size, n_left = int(_PIECE * rate), int(seconds * rate)
    while n_left > 0:
        while len(left) < size:
            word, samples = spoken[rng.integers(len(spoken))]
            said.append(word)
            length = rng.uniform(1.5, 3.0) if rng.random() < 0.15 else rng.uniform(0.1, 0.4)
            quiet = np.zeros(int(length * rate), dtype=np.float32)
            quiet += rng.normal(0, 3e-4, len(quiet)).astype(np.float32)
            left = np.concatenate([left, samples, quiet])
        yield left[:size]
        left = left[size:]
        n_left -= size
    yield left  # what was begun is said to its end


def _run(stream: Stream, pieces: Iterator[Samples]) -> _Heard:
    heard = _Heard()
    seconds = 0.0
    shown: list[float] = []  # when each word of the segment was first shown, and decided
    stable: list[float] = []
    for piece in pieces:
        begun = time.process_time()
        ended = stream.accept(piece)
        partial = stream.partial()
        heard.pieces.append(time.process_time() - begun)
        seconds += _PIECE
        for segment in ended:
            heard.add(segment, shown, stable, seconds)
            shown, stable = [], []
        shown += [seconds] * (len(partial.words) - len(shown))
        stable += [seconds] * (partial.n_stable - len(stable))
        memory = megabytes_in_use() or 0.0
        heard.memory_all = max(heard.memory_all, memory)
        if seconds <= _WARM:
            heard.memory_early = heard.memory_all
    begun = time.process_time()
    ended = stream.close()
    heard.seconds = sum(heard.pieces) + time.process_time() - begun
    for segment in ended:
        heard.add(segment, shown, stable, seconds)
    return heard


def _rows(what: str, heard: _Heard, said: list[str], seconds: float) -> list[Row]:
    errors = score_words(said, heard.words)
    pieces = np.array(heard.pieces)
    return [
        Row(f"{what}: peak memory, all over the first minute", "MB", heard.memory_all,
            heard.memory_early, "the first minute", 1.05, less_is_better=True,
            note=f"{heard.n_segments} segments, {heard.n_incomplete} of them not complete"),
        Row(f"{what}: processor time per second of audio", "s", heard.seconds / seconds,
            less_is_better=True, note=f"{seconds / heard.seconds:.0f} x real time"),
        Row(f"{what}: processor time of a piece of {_PIECE:g} s, 99th percentile", "s",
            float(np.percentile(pieces, 99)), less_is_better=True,
            note=f"worst {pieces.max():.3f} s"),
        _delay(f"{what}: a word is shown", heard.shown),
        _delay(f"{what}: a word is decided", heard.stable),
        Row(f"{what}: word error rate", "% errors", 100 * errors.wer, less_is_better=True,
            note=f"{errors.n_errors} of {errors.n_words} words"),
    ]  # fmt: skip


def _delay(what: str, delays: list[float]) -> Row:
    return Row(f"{what}, seconds of audio after its end, median", "s", float(np.median(delays)),
               less_is_better=True,
               note=f"95th percentile {np.percentile(delays, 95):.2f} s")  # fmt: skip
