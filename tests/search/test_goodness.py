"""Confidences of aligned phones against a count by hand, and where they must fall."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.search.align import goodness_of, with_confidences
from wfst_hmm.search.result import Decoded, Phone, Word

PHONES = ("A", "B")
TOPOLOGIES = [Topology.left_to_right(2)] * 2
LABELS = StateLabels.build(PHONES, TOPOLOGIES, [np.array([0, 1]), np.array([2, 3])])


def alignment(rows: list[tuple[int, int]]) -> Decoded:
    """Return the alignment whose frames are in (phone, state); phones change with the first."""
    labels = np.array([LABELS.label(p, s) for p, s in rows], dtype=np.int32)
    cuts = [0, *(i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0]), len(rows)]
    phones = tuple(
        Phone(PHONES[rows[a][0]], a * 0.01, b * 0.01, tuple(s for _, s in rows[a:b]))
        for a, b in itertools.pairwise(cuts)
    )
    words = tuple(Word(p.text, p.start, p.end) for p in phones)
    return Decoded(words, phones, 0.0, 0.0, labels, np.zeros(0, np.int32), 0.01, "exact")


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_goodness_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(int(rng.integers(2)), int(rng.integers(2))) for _ in range(8)]
    scores = Scores(rng.normal(size=(8, 4)).astype(np.float32) * 5, 0.01)
    decoded = alignment(rows)
    found = goodness_of(decoded, scores, LABELS)
    for t, (phone, _) in enumerate(rows):
        own = scores.array[t, 2 * phone : 2 * phone + 2].max()
        assert found[t] == np.float64(own) - np.float64(scores.array[t].max())
    made = with_confidences(decoded, scores, LABELS, scale=0.5)
    for phone, word in zip(made.phones, made.words, strict=True):
        own = found[round(phone.start * 100) : round(phone.end * 100)]
        assert phone.confidence == np.exp(0.5 * own.mean())
        assert word.confidence == phone.confidence


def test_a_phone_that_fits_is_sure_and_another_is_not() -> None:
    array = np.full((6, 4), -20.0, dtype=np.float32)
    array[:3, 0] = array[3:, 1] = 0.0  # everything sounds like A
    made = with_confidences(alignment([(0, 0)] * 3 + [(1, 0)] * 3), Scores(array, 0.01), LABELS)
    assert made.phones[0].confidence == 1.0
    assert (made.phones[1].confidence or 1.0) < 0.2
    assert made.to_dict()["phones"][0]["confidence"] == 1.0
