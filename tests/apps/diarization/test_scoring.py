import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.diarization.regions import united
from wfst_hmm.apps.diarization.scoring import score_recordings, score_turns
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.formats.rttm import Turn

GRID = 4  # moments a second: all times of the tests lie on it, so the slow twin is exact


@st.composite
def turn_lists(draw: st.DrawFn, names: str = "abc") -> list[Turn]:
    rows = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from(names)),
                         max_size=7))  # fmt: skip
    return [Turn(a / GRID, (a + n) / GRID, name) for a, n, name in rows]


def slowly(
    ref: list[Turn], hyp: list[Turn], collar: float, overlap: bool
) -> tuple[float, float, float, float]:
    """Go through time moment by moment and through all ways to pair the speakers."""
    moments = []
    for i in range(4 * GRID * 20):
        t = (i + 0.5) / (4 * GRID)
        r = {x.speaker for x in ref if x.start <= t < x.end}
        h = {x.speaker for x in hyp if x.start <= t < x.end}
        near = any(abs(t - e) < collar for x in ref for e in (x.start, x.end))
        if not near and (overlap or len(r) < 2):
            moments.append((r, h))
    unit = 1 / (4 * GRID)
    total = unit * sum(len(r) for r, _ in moments)
    missed = unit * sum(max(0, len(r) - len(h)) for r, h in moments)
    false = unit * sum(max(0, len(h) - len(r)) for r, h in moments)
    refs = sorted({x.speaker for x in ref})
    hyps = sorted({x.speaker for x in hyp}) + [f"none{i}" for i in range(len(refs))]
    confusion = math.inf
    for chosen in itertools.permutations(hyps, len(refs)):
        partner = dict(zip(refs, chosen, strict=True))
        wrong = sum(min(len(r), len(h)) - len({partner[x] for x in r} & h) for r, h in moments)
        confusion = min(confusion, unit * wrong)
    return total, missed, false, confusion


@settings(deadline=None, max_examples=60)
@given(turn_lists("ab"), turn_lists("xyz"), st.sampled_from([0.0, 0.25]), st.booleans())
def test_errors_equal_those_of_the_slow_twin(
    ref: list[Turn], hyp: list[Turn], collar: float, overlap: bool
) -> None:
    found = score_turns(ref, hyp, collar=collar, overlap=overlap)
    slow = slowly(ref, hyp, collar, overlap)
    got = (found.total, found.missed, found.false_alarm, found.confusion)
    np.testing.assert_allclose(got, slow, atol=1e-9)


def without_overlaps(turns: list[Turn]) -> list[Turn]:
    """Join turns of one speaker that overlap or touch: pyannote would count them twice."""
    return [
        Turn(start, end, name)
        for name in sorted({t.speaker for t in turns})
        for start, end in united((t.start, t.end) for t in turns if t.speaker == name).tolist()
    ]


@settings(deadline=None, max_examples=25)
@given(turn_lists(), turn_lists("xyz"), st.sampled_from([0.0, 0.25]), st.booleans())
def test_errors_equal_those_of_pyannote(
    ref: list[Turn], hyp: list[Turn], collar: float, overlap: bool
) -> None:
    core = pytest.importorskip("pyannote.core", reason="pyannote.metrics is not installed")
    peer = pytest.importorskip("pyannote.metrics.diarization")

    def annotation(turns: list[Turn]) -> object:
        made = core.Annotation()
        for i, turn in enumerate(turns):
            made[core.Segment(turn.start, turn.end), i] = turn.speaker
        return made

    ref, hyp = without_overlaps(ref), without_overlaps(hyp)

    metric = peer.DiarizationErrorRate(collar=2 * collar, skip_overlap=not overlap)
    uem = core.Timeline([core.Segment(0, 20)])
    parts = metric(annotation(ref), annotation(hyp), uem=uem, detailed=True)
    found = score_turns(ref, hyp, collar=collar, overlap=overlap, regions=[(0, 20)])
    np.testing.assert_allclose(
        (found.total, found.missed, found.false_alarm, found.confusion),
        (parts["total"], parts["missed detection"], parts["false alarm"], parts["confusion"]),
        atol=1e-6,
    )  # fmt: skip


def test_a_perfect_answer_under_other_names() -> None:
    ref = [Turn(0, 2, "a"), Turn(3, 5, "b"), Turn(4, 6, "a")]
    hyp = [Turn(t.start, t.end, {"a": "1", "b": "2"}[t.speaker]) for t in ref]
    found = score_turns(ref, hyp, collar=0.0)
    assert found.rate == 0.0
    assert found.mapping == {"1": "a", "2": "b"}
    assert found.total == 6.0


def test_regions_and_recordings() -> None:
    ref = {"one": [Turn(0, 10, "a")], "two": [Turn(0, 10, "a")]}
    hyp = {"one": [Turn(0, 5, "x")]}
    rows = score_recordings(ref, hyp, collar=0.0)
    assert [rows[n].rate for n in ref] == [0.5, 1.0]
    rows = score_recordings(ref, hyp, collar=0.0, regions={"one": [(0, 5), (8, 9)]})
    assert list(rows) == ["one"]
    assert rows["one"].rate == pytest.approx(1 / 6)
    other = score_recordings({"x": ref["one"]}, {"y": hyp["one"]}, collar=0.0)
    assert other["x"].rate == 0.5
    with pytest.raises(DataError, match="no recording 'three'"):
        score_recordings(ref, {"three": []})
    with pytest.raises(DataError, match="region to score"):
        score_recordings(ref, hyp, regions={})
    with pytest.raises(UsageError, match="collar"):
        score_turns([], [], collar=-1.0)


def test_speech_where_nobody_speaks() -> None:
    assert score_turns([], [Turn(0, 1, "x")]).rate == math.inf
    assert score_turns([], []).rate == 0.0
