import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.diarization.agglomeration import agglomerate, majority, voting_windows
from wfst_hmm.apps.diarization.clusters import Material, nearest_pairs, union
from wfst_hmm.apps.diarization.diarize import diarize_frames, snapped
from wfst_hmm.apps.diarization.options import DiarizerOptions
from wfst_hmm.apps.diarization.resegmentation import viterbi_speakers
from wfst_hmm.errors import DataError
from wfst_hmm.models.gmm import GaussianMixture

OPTIONS = DiarizerOptions(initial_clusters=6, m_mfcc=2, seg_length=50)


def conversation(lengths: list[int], n_speakers: int = 3, seed: int = 0):  # type: ignore[no-untyped-def]
    """Return frames (N, 6) of speakers in turn, each a mixture of its own, and who they are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 2.0, (n_speakers, 3, 6))
    truth = np.concatenate([np.full(n, i % n_speakers) for i, n in enumerate(lengths)])
    x = centres[truth, rng.integers(0, 3, len(truth))] + rng.normal(0, 1, (len(truth), 6))
    return x, truth


def agreement(labels: np.ndarray, truth: np.ndarray) -> float:
    from wfst_hmm.apps.diarization.assignment import best_pairs

    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels, truth), 1)
    return float(sum(table[pair] for pair in best_pairs(table)) / len(truth))


def test_em_and_scores_equal_those_of_a_gaussian_mixture() -> None:
    x, _ = conversation([1500], 1)
    material = Material(x)
    everything = np.ones(len(x), dtype=bool)
    bank = material.start(everything, 3, np.random.default_rng(0))
    slow = GaussianMixture(3, 6, weights=bank.weights[0], means=bank.means[0],
                           covars=bank.covars[0])  # fmt: skip
    slow.train(material.frames, 4)
    fast = material.train(bank, material.blocks(everything), 4)
    np.testing.assert_allclose(fast.means[0], slow.components.means, atol=2e-3)
    np.testing.assert_allclose(material.scores([fast])[0], slow.score(x), atol=5e-3)
    total = material.log_likelihood(fast, material.blocks(everything))
    assert total == pytest.approx(slow.score(x).sum(), rel=1e-5)


def test_a_union_is_the_weighted_sum_of_both() -> None:
    x, truth = conversation([400, 600], 2)
    material = Material(x)
    rng = np.random.default_rng(0)
    one, two = (material.start(truth == k, 2, rng) for k in range(2))
    both = np.exp(material.scores([union(one, two, 400, 600)])[0])
    apart = np.exp(material.scores([one, two]))
    np.testing.assert_allclose(both, 0.4 * apart[0] + 0.6 * apart[1], rtol=1e-4)


def test_the_number_of_speakers_is_found() -> None:
    x, truth = conversation([300, 250, 400, 200, 300, 350, 250, 300, 200])
    found = agglomerate(Material(x), OPTIONS)
    assert len(found.banks) == 3
    assert agreement(found.labels, truth) > 0.95
    assert [m.merged for m in found.mergers] == [True] * (len(found.mergers) - 1) + [False]
    assert found.mergers[-1].gain < 0


@pytest.mark.parametrize("changed", [{"threads": 2}, {"kl_ntop": 4}])
def test_threads_and_candidates_do_not_change_the_answer(changed: dict[str, int]) -> None:
    x, _ = conversation([300, 250, 400, 200, 300, 350], 2)
    plain = diarize_frames(x, None, OPTIONS)
    import dataclasses

    other = diarize_frames(x, None, dataclasses.replace(OPTIONS, **changed))
    assert other.turns == plain.turns
    if "threads" in changed:
        assert other.mergers == plain.mergers


def test_nearest_pairs_are_those_of_one_speaker() -> None:
    x, _ = conversation([400, 400, 400, 400], 2)
    material = Material(x)
    labels = np.repeat(np.arange(4), 400)
    rng = np.random.default_rng(0)
    banks = [material.start(labels == k, 3, rng) for k in range(4)]
    assert len(nearest_pairs(material, banks, labels, 0, rng)) == 6
    assert set(nearest_pairs(material, banks, labels, 2, rng)) == {(2, 0), (3, 1)}


def test_turns_one_speaker_and_too_little() -> None:
    x, _ = conversation([900, 900, 800], 2)
    found = diarize_frames(x, np.array([[0.0, 9.0], [12.0, 26.0]]), OPTIONS)
    assert [t.speaker for t in found.turns] == ["spk0", "spk1", "spk0"]
    np.testing.assert_allclose([t.start for t in found.turns], [0.0, 12.0, 18.0], atol=0.06)
    assert found.turns[0].end == 9.0
    assert found.mixtures.n_states == len(found.speakers) == 2
    alone = diarize_frames(conversation([900], 1)[0], None, OPTIONS)
    assert [(t.start, t.end, t.speaker) for t in alone.turns] == [(0.0, 9.015, "spk0")]
    short = diarize_frames(conversation([900], 1)[0][:200], None, OPTIONS)  # two seconds
    assert [(t.start, t.end, t.speaker) for t in short.turns] == [(0.0, 2.015, "spk0")]
    with pytest.raises(DataError, match=r"too little speech; got 40 frames \(0.40 s\)"):
        diarize_frames(x[:40], None, OPTIONS)
    with pytest.raises(DataError, match="too little speech"):
        diarize_frames(x, np.array([[0.0, 0.2]]), OPTIONS)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 7),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_the_majority_is_counted_by_hand(
    k: int, lengths: list[int], longest: int, seed: int
) -> None:
    n = sum(lengths)
    windows = voting_windows(np.array(lengths), longest)
    sizes = np.bincount(windows)
    assert len(windows) == n
    assert sizes.max() <= longest
    ends = np.cumsum(lengths)[:-1]
    assert (windows[ends] == windows[ends - 1] + 1).all()  # a pause always parts windows
    scores = np.random.default_rng(seed).normal(size=(k, n)).astype(np.float32)
    labels = majority(scores, windows)
    for window in range(len(sizes)):
        winners = scores[:, windows == window].argmax(axis=0).tolist()
        wanted = max(range(k), key=lambda c: (winners.count(c), -c))
        assert set(labels[windows == window].tolist()) == {wanted}


def viterbi_by_hand(scores: np.ndarray, least: int, switch: float) -> float:
    """Return the best total over all ways to cut time into turns (the last may be short)."""
    k, n = scores.shape
    sums = np.concatenate([np.zeros((k, 1)), np.cumsum(scores, axis=1)], axis=1)
    best = np.full(n + 1, -np.inf)
    best[0] = 0.0
    for end in range(1, n + 1):
        for start in range(end):
            if end - start >= least or end == n:
                gain = (sums[:, end] - sums[:, start]).max() - switch - np.log(k)
                best[end] = max(best[end], best[start] + gain)
    return float(best[n])


def total_of(labels: np.ndarray, scores: np.ndarray, switch: float) -> float:
    n_turns = 1 + np.count_nonzero(np.diff(labels))
    total = float(scores[labels, np.arange(len(labels))].sum())
    return total - n_turns * (switch + float(np.log(len(scores))))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 3), st.integers(1, 14), st.integers(1, 4), st.integers(0, 3),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_the_search_finds_the_best_segmentation(
    k: int, n: int, least: int, switch: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).normal(0, 2, (k, n)).astype(np.float32)
    labels = viterbi_speakers(scores, min_frames=least, switch_cost=float(switch))
    assert total_of(labels, scores, switch) == pytest.approx(
        viterbi_by_hand(scores, least, switch), abs=1e-4
    )
    runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1]))
    assert (runs >= least).all()


def test_changes_move_into_pauses() -> None:
    labels = np.repeat([0, 1, 0], [12, 10, 8])
    pauses = np.array([10, 25])
    assert snapped(labels, pauses, 3).tolist() == [0] * 10 + [1] * 15 + [0] * 5
    assert snapped(labels, pauses, 1).tolist() == labels.tolist()
    assert snapped(labels, pauses[:0], 5).tolist() == labels.tolist()
    # A pause behind the next change is not for this one.
    close = np.repeat([0, 1, 0], [12, 2, 8])
    assert snapped(close, np.array([15]), 5).tolist().count(1) == 3
