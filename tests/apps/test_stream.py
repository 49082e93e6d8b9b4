"""Streams: any pieces, one result; segments; nothing lost; wrong samples refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech, say

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Segment, Stream
from wfst_hmm.apps.word_costs import word_costs
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.grammar import grammar_from_spec
from wfst_hmm.graph.lexicon import read_lexicon
from wfst_hmm.graph.phone_loop import phone_loop
from wfst_hmm.graph.word_machine import Phrase
from wfst_hmm.lattice.answer import AnswerOptions
from wfst_hmm.search.decode import decode
from wfst_hmm.search.endpoints import EndpointRule, EndpointRules
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.rejection import Filler, filler_cost, judged
from wfst_hmm.search.result import Decoded, NoPath
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.cmvn import CmvnStats
from wfst_hmm.signal.live_cmvn import LiveCmvnOptions

FIXED = LiveCmvnOptions("fixed")
#: The toy language's pauses are short.
RULES = EndpointRules(
    likely_end=EndpointRule(True, 0.3, 30.0), possible_end=EndpointRule(True, 0.4),
    any_end=EndpointRule(True, 0.5), nothing_said=EndpointRule(False, 1.5),
)  # fmt: skip


@pytest.fixture(scope="module")
def recognizer(tiny_speech: TinySpeech) -> Recognizer:
    return Recognizer.load(tiny_speech.graph)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    words = ["ba", "su", "bi", "bi", "ba"]
    return say(words, np.random.default_rng(5)).astype(np.float32)


@pytest.fixture(scope="module")
def stats(recognizer: Recognizer, samples: np.ndarray) -> CmvnStats:
    return CmvnStats.of(recognizer.model.front_end.cepstra(Audio(samples, RATE)))


def run(stream: Stream, samples: np.ndarray, sizes: list[int]) -> list[Segment]:
    segments, at = [], 0
    for size in [*sizes, len(samples)]:
        segments += stream.accept(samples[at : at + size])
        at = min(at + size, len(samples))
    return segments + stream.close()


pieces = st.lists(st.sampled_from([0, 1, 3, 80, 160, 1000, 4001]), max_size=20)


@settings(deadline=None, max_examples=25)
@given(sizes=pieces, kind=st.sampled_from(["running", "sphinx", "fixed"]), rules=st.booleans())
def test_any_pieces_give_the_same_result(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats, sizes: list[int], kind: str,
    rules: bool,
) -> None:  # fmt: skip
    live = LiveCmvnOptions(kind, wait=30)
    known = stats if kind == "fixed" else None
    endpoints = RULES if rules else None

    def stream() -> Stream:
        return Stream(recognizer, normalization=live, stats=known, endpoints=endpoints)

    whole, cut = run(stream(), samples, []), run(stream(), samples, sizes)
    assert [segment.to_dict() for segment in cut] == [segment.to_dict() for segment in whole]
    for mine, other in zip(cut, whole, strict=True):
        assert mine.decoded is not None
        assert other.decoded is not None
        assert mine.decoded.labels.tobytes() == other.decoded.labels.tobytes()


def test_with_fixed_statistics_a_stream_is_the_batch(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    model = recognizer.model
    raw = model.front_end.cepstra(Audio(samples, RATE))
    batch = decode(
        recognizer.searched,
        model.score(dataclasses.replace(model.finish(raw, stats), seconds=len(samples) / RATE)),
        SearchOptions(),
    )
    stream = Stream(recognizer, normalization=FIXED, stats=stats)
    stream.accept(samples[:5000])
    stream.accept(samples[5000:])
    result = stream.finish()
    assert isinstance(batch, Decoded)
    assert isinstance(result, Decoded)
    assert result.text == batch.text == "ba su bi bi ba"
    assert result.words == batch.words
    assert result.phones == batch.phones
    assert result.total_cost == pytest.approx(batch.total_cost, rel=1e-5)
    assert result.arcs.tolist() == batch.arcs.tolist()


def test_segments_have_times_of_the_stream(recognizer: Recognizer, stats: CmvnStats) -> None:
    rng = np.random.default_rng(8)
    said = [["ba", "bi"], ["su"], ["bi", "su", "ba"]]
    pause = 0.003 * rng.normal(size=int(0.9 * RATE))
    parts = [part for words in said for part in (say(words, rng), pause)]
    starts = np.cumsum([0, *map(len, parts)])[::2] / RATE
    samples = np.concatenate(parts).astype(np.float32)
    stream = Stream(recognizer, normalization=FIXED, stats=stats, endpoints=RULES)
    segments = run(stream, samples, [800] * 200)
    spoken = [segment for segment in segments if segment.words]
    assert [segment.text for segment in spoken] == [" ".join(words) for words in said]
    assert segments[0].start == 0
    assert [s.start for s in segments[1:]] == [s.end for s in segments[:-1]]
    for segment, start in zip(spoken, starts[:-1], strict=True):
        assert segment.words[0].start == pytest.approx(start + 0.12, abs=0.08)


def test_partial_words_grow_and_the_last_word_is_not_lost(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    stream = Stream(recognizer, normalization=FIXED, stats=stats, block_frames=5)
    lengths = []
    speech = samples[: -int(0.12 * RATE)]  # cut off right behind the last word
    for at in range(0, len(speech), 400):
        stream.accept(speech[at : at + 400])
        partial = stream.partial()
        assert partial.n_stable <= len(partial.words)
        assert partial.end == pytest.approx(at / RATE, abs=0.2)
        lengths.append(len(partial.words))
    assert 1 in lengths
    assert max(lengths) >= 4
    result = stream.finish()
    found = result if isinstance(result, Decoded) else result.partial
    assert found is not None
    assert found.text == "ba su bi bi ba"


def test_another_rate_is_resampled_on_request(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    import soxr

    doubled = soxr.resample(samples, RATE, 2 * RATE)
    with pytest.raises(UsageError, match="wrong sampling rate"):
        Stream(recognizer, rate=2 * RATE)
    streams = [Stream(recognizer, rate=2 * RATE, resample=True, normalization=FIXED, stats=stats)
               for _ in range(2)]  # fmt: skip
    whole = run(streams[0], doubled, [])
    cut = run(streams[1], doubled, [1, 0, 777, 3000])
    assert cut[0].text == "ba su bi bi ba"
    assert cut[0].to_dict() == whole[0].to_dict()


def test_pcm_and_a_channel_of_two(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    stream = Stream(recognizer, normalization=FIXED, stats=stats, channel=1)
    stream.accept(np.stack([np.zeros_like(pcm), pcm], axis=1))
    result = stream.finish()
    assert isinstance(result, Decoded)
    assert result.text == "ba su bi bi ba"


def test_wrong_pieces_are_refused_and_nothing_is_lost(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    stream = Stream(recognizer, normalization=FIXED, stats=stats)
    stream.accept(samples[:3000])
    for wrong in (np.array([np.nan]), np.zeros((4, 2)), np.zeros(4, dtype=np.int64)):
        with pytest.raises(DataError):
            stream.accept(wrong)
    stream.accept(samples[3000:])
    result = stream.finish()
    assert isinstance(result, Decoded)
    assert result.text == "ba su bi bi ba"
    with pytest.raises(UsageError, match="finished"):
        stream.accept(samples)
    with pytest.raises(UsageError, match="finished"):
        stream.finish()


@pytest.mark.parametrize("n", [0, 1, 100, 400])
def test_too_little_audio_is_told(tiny_speech: TinySpeech, recognizer: Recognizer, n: int) -> None:
    """Nothing is what a loop may hear; a grammar of one word wants a word."""
    lexicon = read_lexicon(tiny_speech.lexicon)
    one_word = Recognizer(
        build_graph(recognizer.model, lexicon, grammar_from_spec("words", lexicon)),
        recognizer.model,
    )
    for which in (recognizer, one_word):
        stream = Stream(which)
        stream.accept(np.full(n, 0.01))
        result = stream.finish()
        if which is recognizer:
            assert isinstance(result, Decoded)
            assert not result.words
        else:
            assert isinstance(result, NoPath)
            assert result.reason == "too_few_frames"
            assert str(result.n_frames) in result.detail


def test_a_frame_that_nothing_fits_ends_a_segment_not_the_stream(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(recognizer, normalization=FIXED, stats=stats, endpoints=EndpointRules())
    model = stream._model
    plain = type(model).score
    calls = []

    def score(self, features):  # type: ignore[no-untyped-def]
        scores = plain(self, features)
        calls.append(None)
        if len(calls) == 6:
            array = scores.array.copy()
            array[3:5] = -np.inf
            return dataclasses.replace(scores, array=array)
        return scores

    monkeypatch.setattr(type(model), "score", score)
    segments = run(stream, samples, [500] * 10)
    assert [s.result.reason for s in segments if isinstance(s.result, NoPath)] == ["dead_frame"]
    assert segments[0].end == pytest.approx(0.5375)
    assert segments[1].start == pytest.approx(0.5575)
    assert segments[1].words


def test_phrases_and_rejection_stream_as_they_decode(
    tiny_speech: TinySpeech, recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    words = recognizer.searched.words
    costs = word_costs(words, [Phrase(("bi", "bi"), 5.0), Phrase(("su", "su"), 400.0)])
    filler = Filler(phone_loop(recognizer.model), -50.0)
    assert costs is not None
    streams = [Stream(recognizer, normalization=FIXED, stats=stats, costs=costs, filler=filler)
               for _ in range(2)]  # fmt: skip
    whole, cut = run(streams[0], samples, []), run(streams[1], samples, [10, 3000, 160])
    assert [s.to_dict() for s in cut] == [s.to_dict() for s in whole]
    assert "su su" in cut[0].to_dict()["rejected_text"]
    assert cut[0].text == ""
    assert cut[0].rejected
    model = recognizer.model
    scores = model.score(model.finish(model.front_end.cepstra(Audio(samples, RATE)), stats))
    batch = decode(recognizer.searched, scores, None, costs)
    assert isinstance(batch, Decoded)
    assert cut[0].to_dict()["rejected_text"] == batch.text
    batch = judged(batch, filler_cost(filler, scores, SearchOptions()), filler, SearchOptions())
    assert cut[0].decoded is not None
    assert cut[0].decoded.filler_margin == pytest.approx(batch.filler_margin, rel=1e-4)
    assert cut[0].decoded.total_cost == pytest.approx(batch.total_cost, rel=1e-5)


def test_finished_segments_have_confidences(
    recognizer: Recognizer, samples: np.ndarray, stats: CmvnStats
) -> None:
    wanted = AnswerOptions()
    free = word_costs(recognizer.searched.words, [Phrase(("bi", "bi"), 1e-6)])
    boosted = Stream(recognizer, normalization=FIXED, stats=stats, endpoints=RULES, answers=wanted,
                     costs=free)  # fmt: skip
    stream = Stream(recognizer, normalization=FIXED, stats=stats, endpoints=RULES, answers=wanted)
    words = [word for segment in run(stream, samples, [1000] * 9) for word in segment.words]
    assert [word.text for word in words] == ["ba", "su", "bi", "bi", "ba"]
    same = [word for segment in run(boosted, samples, [1000] * 9) for word in segment.words]
    assert [word.confidence for word in same] == pytest.approx(
        [w.confidence for w in words], abs=1e-3
    )
    assert all(word.confidence is not None and 0 <= word.confidence <= 1 for word in words)
    later = Stream(recognizer, normalization=FIXED, stats=stats, endpoints=RULES, answers=wanted,
                   answers_later=True)  # fmt: skip
    segments = run(later, samples, [1000] * 9)
    assert all(word.confidence is None for segment in segments for word in segment.words)
    again = [segment.with_confidences() for segment in segments]
    assert [word for segment in again for word in segment.words] == words
    assert [s.with_confidences() for s in again] == again, "nothing is left to be done"
    with pytest.raises(UsageError, match="endpoint rules"):
        Stream(recognizer, answers=wanted)
