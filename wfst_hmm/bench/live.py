"""Live recognition that is left running: quiet starts, hours of nothing, commands amid them.

In: the recordings of the Free Spoken Digit Dataset; a command that PocketSphinx's tests speak, where
it lies beside. Out: rows.

Public names: `bench_live`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.apps.fsdd import TEST_INDICES, find_recordings, make_known
from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Stream
from wfst_hmm.apps.transcription import EN_US
from wfst_hmm.apps.wer import score_words
from wfst_hmm.bench.digits import DIGIT_LEXICON, DIGIT_OPTIONS
from wfst_hmm.bench.material import need, need_folder
from wfst_hmm.bench.report import Row
from wfst_hmm.errors import WfstHmmError
from wfst_hmm.formats.sphinx import wheel
from wfst_hmm.formats.sphinx.model import read_sphinx_model
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import read_grammar
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.phrases import word_list, word_loop
from wfst_hmm.graph.stages import megabytes_in_use
from wfst_hmm.search.endpoints import ENDPOINTS
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.rejection import Filler
from wfst_hmm.signal.audio import read_audio
from wfst_hmm.training.monophone import train
from wfst_hmm.training.options import TrainingOptions

__all__ = ["bench_live"]

Samples = npt.NDArray[np.float32]
_PIECE = 0.1  # seconds that come in at a time
#: What stands before the first word: kind and seconds.
_PREFIXES = (("zeros", 0.6), ("zeros", 1.0), ("zeros", 3.0), ("zeros", 10.0), ("noise 1", 3.0),
             ("noise 3", 3.0), ("noise 30", 3.0))  # fmt: skip
_NOTHING = ("zeros", "noise 1", "noise 10", "noise 100", "noise 300", "chords", "babble")
_STRING = 5  # digits in a row
_MOST_WORDS = 200


def bench_live(
    folder: str | Path | None = None,
    *,
    minutes: float = 60.0,
    seed: int = 0,
    options: TrainingOptions = DIGIT_OPTIONS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Measure what silence does to live recognition.

    Parameters
    ----------
    folder : path, optional
        Recordings; by default those of WFST_HMM_SHARED or ``../shared/data``.
    minutes : float
        Of zeros, noise, chords and babble at a grammar of commands, all together.
    seed : int
    options : TrainingOptions
    progress : callable
        Hears what is being done.

    Raises
    ------
    DataError
        The recordings are not there.
    """
    found = need_folder(folder)
    progress("training")
    with tempfile.TemporaryDirectory() as name:
        model = train(make_known(found, Path(name) / "known").train, DIGIT_LEXICON, None, options)
    digits = list(dict.fromkeys(DIGIT_LEXICON.words))
    spoken = [
        (r.speaker, digits[r.digit], read_audio(r.path, rate=model.rate).samples)
        for r in find_recordings(found) if r.index in TEST_INDICES
    ]  # fmt: skip
    loop = Recognizer(build_graph(model, DIGIT_LEXICON, word_loop(DIGIT_LEXICON.words)), model)
    one = Recognizer(build_graph(model, DIGIT_LEXICON, word_list(DIGIT_LEXICON.words)), model)
    rows = _prefix_rows(loop, _strings(spoken, model.rate, seed), seed, progress)
    rows += _hour_rows(one, spoken, minutes, seed, progress)
    rows += _command_rows(found.parent.parent / "sphinx", seed, progress)
    return rows


def _nothing(
    kind: str, seconds: float, rate: int, rng: np.random.Generator, voices: list[Samples]
) -> Samples:
    """Return samples in which nobody says a command."""
    n = int(seconds * rate)
    if kind == "zeros":
        return np.zeros(n, dtype=np.float32)
    if kind == "babble":  # six voices at a time, none of them loud
        mixed = np.zeros(n)
        for _ in range(6):
            order = rng.permutation(len(voices))
            line = np.concatenate([voices[i] for i in np.resize(order, 4 * len(order))])
            mixed += np.resize(line, n)
        return (0.1 * mixed).astype(np.float32)
    if kind == "chords":
        times = np.arange(n) / rate
        roots = 110 * 2 ** (rng.integers(0, 24, n // rate + 1) / 12)
        root = np.repeat(roots, rate)[:n]
        tones = sum(np.sin(2 * np.pi * np.cumsum(root * k) / rate) / k for k in (1, 1.25, 1.5, 2))
        return (0.02 * np.asarray(tones) * (0.6 + 0.4 * np.cos(2 * np.pi * times))).astype(
            np.float32
        )
    units = np.rint(rng.normal(0.0, float(kind.split()[-1]), n))
    return (units / 32768).astype(np.float32)


def _strings(
    spoken: list[tuple[str, str, Samples]], rate: int, seed: int
) -> list[tuple[list[str], Samples]]:
    """Join digits of a speaker, with short pauses, to utterances."""
    rng = np.random.default_rng(seed)
    made = []
    order = rng.permutation(len(spoken))
    for speaker in sorted({speaker for speaker, _, _ in spoken}):
        own = [spoken[i] for i in order if spoken[i][0] == speaker]
        for at in range(0, min(len(own), _MOST_WORDS // 5) - _STRING + 1, _STRING):
            parts = own[at : at + _STRING]
            audio = [p for _, _, x in parts for p in (x, _nothing("noise 10", 0.2, rate, rng, []))]
            made.append(([word for _, word, _ in parts], np.concatenate(audio)))
    return made[:: max(1, len(made) * _STRING // _MOST_WORDS)]


def _heard(stream: Stream, pieces: Iterator[Samples] | list[Samples]) -> tuple[list[str], int, int]:
    """Return the words of all segments; how many partial words were shown, how many changed."""
    texts: list[str] = []
    n_shown = n_changed = 0
    before: tuple[str, ...] = ()
    for piece in pieces:
        ended = stream.accept(piece)
        texts += [segment.text for segment in ended if segment.text]
        words = stream.partial().words
        if not ended:
            kept = sum(a == b for a, b in zip(before, words, strict=False))
            n_changed += len(before) - kept
            n_shown += max(0, len(words) - kept)
        before = words
    texts += [segment.text for segment in stream.close() if segment.text]
    return texts, n_shown, n_changed


def _cut(samples: Samples, rate: int) -> list[Samples]:
    step = int(_PIECE * rate)
    return [samples[at : at + step] for at in range(0, len(samples), step)]


def _prefix_rows(
    loop: Recognizer, strings: list[tuple[list[str], Samples]], seed: int,
    progress: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    rate = loop.model.rate
    n_words = sum(len(words) for words, _ in strings)

    def errors(kind: str, seconds: float) -> tuple[int, int, int]:
        rng = np.random.default_rng(seed)
        total = shown = changed = 0
        for words, audio in strings:
            samples = np.concatenate([_nothing(kind, seconds, rate, rng, []), audio])
            texts, n, m = _heard(Stream(loop, endpoints=ENDPOINTS), _cut(samples, rate))
            total += score_words(words, " ".join(texts).split()).n_errors
            shown, changed = shown + n, changed + m
        return total, shown, changed

    progress(f"{n_words} digits as they are")
    plain, shown, changed = errors("zeros", 0.0)
    more = {}
    for kind, seconds in _PREFIXES:
        progress(f"{n_words} digits behind {seconds:g} s of {kind}")
        more[f"{seconds:g} s of {kind}"] = errors(kind, seconds)[0] - plain
    worst = max(more, key=lambda what: more[what])
    return [
        Row(f"{n_words} digits, live: errors", "errors", plain, less_is_better=True),
        Row("behind the worst of the quiet starts: errors more", "errors", more[worst], target=2,
            less_is_better=True, note="; ".join(f"{what} {n:+d}" for what, n in more.items())),
        Row("partial words that changed after they were shown", "%",
            100 * changed / max(shown, 1), less_is_better=True, note=f"{changed} of {shown}"),
    ]  # fmt: skip


def _hour_rows(
    one: Recognizer, spoken: list[tuple[str, str, Samples]], minutes: float, seed: int,
    progress: Callable[[str], None],
) -> list[Row]:  # fmt: skip
    """Run all kinds of nothing at a grammar of one digit, then digits with pauses between."""
    rate, rng = one.model.rate, np.random.default_rng(seed)
    filler = Filler(phone_loop(one.model))
    voices = [samples for _, _, samples in spoken[:: max(1, len(spoken) // 60)]]
    stream = Stream(one, endpoints=ENDPOINTS, filler=filler)
    commands: dict[str, int] = {}
    memory = None
    for kind in _NOTHING:
        progress(f"{minutes / len(_NOTHING):.1f} minutes of {kind}")
        commands[kind] = 0
        for _ in range(max(1, round(60 * minutes / len(_NOTHING) / 10))):
            for piece in _cut(_nothing(kind, 10.0, rate, rng, voices), rate):
                commands[kind] += sum(bool(s.text) for s in stream.accept(piece))
            memory = memory if memory is not None else megabytes_in_use()
    grown = (megabytes_in_use() or 0.0) - (memory or 0.0)
    progress("digits with pauses between them")
    said = [spoken[i] for i in rng.permutation(len(spoken))[:120]]
    right = rejected = 0
    for _, word, samples in said:
        pause = _nothing("noise 3", 1.5, rate, rng, [])
        ended = [s for p in _cut(np.concatenate([samples, pause]), rate) for s in stream.accept(p)]
        right += word in [s.text for s in ended]
        rejected += any(s.rejected for s in ended)
    per_hour = 60 / minutes
    return [
        Row(f"commands an hour out of nothing ({minutes:g} minutes)", "commands",
            per_hour * sum(commands.values()), target=1, less_is_better=True,
            note="; ".join(f"{kind} {n}" for kind, n in commands.items())),
        Row("commands said after it, falsely rejected", "%", 100 * rejected / len(said), target=3,
            less_is_better=True, note=f"{right} of {len(said)} right"),
        Row("memory more than after ten seconds", "MB", grown, target=5, less_is_better=True),
    ]  # fmt: skip


def _command_rows(folder: Path, seed: int, progress: Callable[[str], None]) -> list[Row]:
    """Speak one command to the en-us model behind every prefix; PocketSphinx beside us."""
    if not (folder / "goforward.raw").is_file():
        return []
    try:
        model = read_sphinx_model(wheel.en_us().acoustic).context_model()
        pocketsphinx, name = need("pocketsphinx", "pocketsphinx")
    except WfstHmmError:
        return []
    progress("a command to the en-us model")
    grammar = read_grammar(folder / "goforward.gram")
    graph = build_graph(model, lexicon_from_spec("pocketsphinx"), grammar, EN_US.graph)
    recognizer, filler = Recognizer(graph, model), Filler(phone_loop(model))
    raw = np.frombuffer((folder / "goforward.raw").read_bytes(), "<i2")
    spoken = (raw / 32768).astype(np.float32)
    wanted = "go forward ten meters"
    options: SearchOptions = EN_US.search
    ours, theirs = [], []
    for kind, seconds in _PREFIXES:
        rng = np.random.default_rng(seed)
        samples = np.concatenate([_nothing(kind, seconds, model.rate, rng, []), spoken])
        stream = Stream(recognizer, options, endpoints=ENDPOINTS, filler=filler)
        ours.append(_heard(stream, _cut(samples, model.rate))[0] == [wanted])
        decoder = pocketsphinx.Decoder(jsgf=str(folder / "goforward.gram"), lm=None,
                                       samprate=float(model.rate), loglevel="FATAL")  # fmt: skip
        decoder.start_utt()
        for piece in _cut(samples, model.rate):
            pcm = np.rint(piece * 32768).astype("<i2").tobytes()
            decoder.process_raw(pcm, no_search=False, full_utt=False)
        decoder.end_utt()
        theirs.append(decoder.hyp() is not None and decoder.hyp().hypstr == wanted)
    return [Row("a command behind quiet starts, en-us: right", "%", 100 * float(np.mean(ours)),
                100 * float(np.mean(theirs)), f"{name}, live",
                note=f"{sum(ours)} of {len(ours)}")]  # fmt: skip
