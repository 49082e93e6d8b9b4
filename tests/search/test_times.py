"""When a frame is: in the middle of its window, for every front end, in every output."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tiny_speech as tiny
from hypothesis import given
from hypothesis import strategies as st
from tiny_speech import RATE, TinySpeech

from wfst_hmm.apps.recognizer import Recognizer
from wfst_hmm.apps.stream import Stream
from wfst_hmm.graph.compact import load_graph
from wfst_hmm.lattice.consensus import consensus
from wfst_hmm.lattice.generate import decode_with_lattice
from wfst_hmm.lattice.store import read_lattices, write_lattices
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.result import Decoded
from wfst_hmm.signal.audio import Audio
from wfst_hmm.signal.features import frame_times
from wfst_hmm.signal.htk import HtkOptions
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.signal.sphinx import SphinxOptions


@given(
    n=st.integers(0, 40),
    shift=st.floats(0.002, 0.05),
    window=st.floats(1.0, 4.0),
    rest=st.floats(0.0, 0.99),
)
def test_boundaries_lie_between_the_middles_of_windows(
    n: int, shift: float, window: float, rest: float
) -> None:
    window *= shift
    seconds = (n - 1) * shift + window + rest * shift if n else 0.0
    times = frame_times(n, shift, (window - shift) / 2, seconds)
    middles = [t * shift + window / 2 for t in range(n)]  # the obvious way
    wanted = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(middles)), seconds]
    np.testing.assert_allclose(times, wanted[: n + 1] if n else [0.0], atol=1e-12)
    assert (np.diff(times) >= 0).all()


FRONT_ENDS = [
    FeatureOptions(rate=16000, cmvn="none"),
    FeatureOptions(rate=8000, frame_length=0.032, frame_shift=0.008, cmvn="none"),
    FeatureOptions(rate=16000, cmvn="none", snip_edges=False),
    SphinxOptions(),
    HtkOptions(),
]


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda f: f"{f.kind}-{f.frame_length:.3f}")
@pytest.mark.parametrize("at", [0.3, 0.5037, 0.777])
def test_a_click_lies_in_the_frames_whose_times_hold_it(front_end, at: float) -> None:  # type: ignore[no-untyped-def]
    samples = np.full(front_end.rate, 1e-5, dtype=np.float32)
    samples *= np.random.default_rng(0).normal(size=len(samples)).astype(np.float32)
    samples[round(at * front_end.rate)] = 0.9
    features = front_end.features(Audio(samples, front_end.rate))
    cepstra = front_end.cepstra(Audio(samples, front_end.rate))
    unlike = np.linalg.norm(cepstra - np.median(cepstra, axis=0), axis=1)
    heard = np.flatnonzero(unlike > unlike.max() / 2)
    times = frame_times(features.n_frames, features.frame_shift, front_end.frame_offset,
                        features.seconds)  # fmt: skip
    middle = (times[heard[0]] + times[heard[-1] + 1]) / 2
    assert abs(middle - at) <= 0.6 * front_end.frame_shift
    assert (times[0], times[-1]) == (0.0, 1.0)


@pytest.fixture(scope="module")
def heard(tiny_speech: TinySpeech) -> tuple[Recognizer, Audio, Scores]:
    recognizer = Recognizer.load(tiny_speech.graph)
    samples = tiny.say(["ba", "su", "bi"], np.random.default_rng(5)).astype(np.float32)
    audio = Audio(samples[: len(samples) - len(samples) % 80 + 37], RATE)
    return recognizer, audio, recognizer.model.score(recognizer.model.features(audio))


def test_best_paths_lattices_and_streams_agree(
    heard: tuple[Recognizer, Audio, Scores], tmp_path: Path
) -> None:
    recognizer, audio, scores = heard
    assert recognizer.graph.frame_offset == pytest.approx(0.0075)
    best = decode(recognizer.graph, scores)
    assert isinstance(best, Decoded)
    times = best.frame_times()
    assert (best.phones[0].start, best.phones[-1].end) == (0.0, audio.seconds)
    borders = np.cumsum([0, *(len(phone.states) for phone in best.phones)])
    assert [p.start for p in best.phones] == [times[b] for b in borders[:-1]]
    assert {w.start for w in best.words} <= {p.start for p in best.phones}
    found = decode_with_lattice(recognizer.graph, scores, SearchOptions())
    assert isinstance(found, tuple)
    write_lattices(tmp_path / "lat.npz", {"a": found[1]})
    kept = read_lattices(tmp_path / "lat.npz")["a"]
    for lattice in (found[1], kept, kept.pruned(3.0)):
        np.testing.assert_allclose(lattice.frame_times(), times)
    sure = consensus(kept).words
    assert [w.text for w in sure] == [w.text for w in best.words]
    stream = Stream(recognizer, SearchOptions())
    for piece in np.array_split(audio.samples, 7):
        stream.accept(piece)
    (segment,) = stream.close()
    assert (segment.start, segment.end) == (0.0, audio.seconds)
    assert segment.decoded is not None
    assert segment.decoded.phones[-1].end == pytest.approx(audio.seconds)


def test_bare_scores_take_the_graphs_own_offset(heard: tuple[Recognizer, Audio, Scores]) -> None:
    recognizer, audio, scores = heard
    bare = decode(recognizer.graph, Scores(scores.array, scores.frame_shift))
    whole = decode(recognizer.graph, scores)
    assert isinstance(bare, Decoded)
    assert isinstance(whole, Decoded)
    assert [p.start for p in bare.phones] == [p.start for p in whole.phones]
    assert bare.phones[-1].end == pytest.approx(audio.seconds, abs=0.01)


def test_graphs_of_older_versions_learn_their_offset_from_their_model(
    tiny_speech: TinySpeech, tmp_path: Path
) -> None:
    recognizer = Recognizer.load(tiny_speech.graph)
    recognizer.save(tmp_path / "graph")
    header = json.loads((tmp_path / "graph" / "graph.json").read_text())
    assert header.pop("frame_offset") == pytest.approx(0.0075)
    (tmp_path / "graph" / "graph.json").write_text(json.dumps(header))
    assert load_graph(tmp_path / "graph").frame_offset == 0.0
    assert Recognizer.load(tmp_path / "graph").graph.frame_offset == pytest.approx(0.0075)
