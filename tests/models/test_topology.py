"""Topologies: probabilities add up, labels tell phones apart."""

import numpy as np
import pytest

from wfst_hmm.errors import ModelError
from wfst_hmm.models.topology import StateLabels, Topology


def walk_min_frames(topology: Topology) -> int:
    """Find the shortest way through by trying all state sequences, shortest first."""
    paths = [[s] for s in range(topology.n_states) if topology.initial[s] > 0]
    while not any(topology.final[p[-1]] > 0 for p in paths):
        paths = [
            [*p, s]
            for p in paths
            for s in range(topology.n_states)
            if topology.transitions[p[-1], s]
        ]
    return len(paths[0])


@pytest.mark.parametrize(
    ("topology", "frames"),
    [
        (Topology.left_to_right(3), 3),
        (Topology.left_to_right(3, skip=0.2), 2),
        (Topology.left_to_right(4, skip=0.2, self_loop=0.9), 2),
        (Topology.left_to_right(1), 1),
        (Topology.skipping(3), 1),
        (Topology.skipping(4, skip=0.3, self_loop=0.8), 1),
        (Topology.skipping(1, skip=0.3), 1),
        (Topology.skipping(3, skip=0.0), 3),
        (Topology.ergodic(4), 1),
        (Topology.silence(5), 3),
        (Topology.silence(2), 2),
    ],
)
def test_shapes(topology: Topology, frames: int):
    assert topology.min_frames == frames == walk_min_frames(topology)
    rows = topology.transitions.sum(axis=1) + topology.final
    assert np.allclose(rows, 1, atol=1e-12)
    again = Topology.from_dict(topology.to_dict())
    assert np.array_equal(again.transitions, topology.transitions)
    with pytest.raises(ValueError, match="read-only"):
        topology.transitions[0, 0] = 1


@pytest.mark.parametrize(
    ("initial", "transitions", "final", "complaint"),
    [
        ([1], [[0.5]], [0.4], r"out of the state 0 do not sum to 1; got 0\.9"),
        ([0.9], [[0.5]], [0.5], r"out of the entry do not sum"),
        ([1], [[1.5]], [-0.5], "negative"),
        ([1], [[np.nan]], [0.5], "negative or not finite"),
        ([1, 0], [[0.5, 0], [0, 0.5]], [0.5, 0.5], "no path reaches state 1"),
        ([1, 0], [[0.5, 0.25], [0, 1]], [0.25, 0], "no path leaves state 1"),
        ([1, 0], [[0.5]], [0.5], "unlike shapes"),
    ],
)
def test_bad_probabilities_are_named(initial, transitions, final, complaint):
    with pytest.raises(ModelError, match=complaint):
        Topology(np.array(initial), np.array(transitions), np.array(final))


def test_labels_mark_phone_starts():
    labels = StateLabels.build(
        ["a", "sil"],
        [Topology.left_to_right(2), Topology.ergodic(2)],
        [np.array([0, 1]), np.array([5, 3])],
    )
    assert list(labels.symbols)[1:] == [
        "^a.0", "a.0", "a.1", "^sil.0", "sil.0", "^sil.1", "sil.1",
    ]  # fmt: skip
    assert labels.column.tolist() == [0, 0, 1, 5, 5, 3, 3]
    assert labels.label(1, 1, entry=True) == 6
    with pytest.raises(ModelError, match="no such state label"):
        labels.label(0, 1, entry=True)
    with pytest.raises(ModelError, match="phone a: a column for each state"):
        StateLabels.build(["a"], [Topology.left_to_right(2)], [np.array([0])])


def test_a_skipping_chain_weighs_moves_by_their_length():
    topology = Topology.skipping(3, self_loop=0.4, skip=0.5)
    assert topology.initial.tolist() == [1, 0, 0]
    moves = np.column_stack([topology.transitions, topology.final])
    np.testing.assert_allclose(moves[0], [0.4, 0.6 * 4 / 7, 0.6 * 2 / 7, 0.6 * 1 / 7])
    np.testing.assert_allclose(moves[1], [0, 0.4, 0.4, 0.2])
    np.testing.assert_allclose(moves[2], [0, 0, 0.4, 0.6])
    same, chain = Topology.skipping(3, skip=0.0), Topology.left_to_right(3)
    np.testing.assert_array_equal(same.transitions, chain.transitions)
    for wrong in ({"skip": 1.0}, {"self_loop": -0.1}, {"n_states": 0}):
        with pytest.raises(ModelError):
            Topology.skipping(**wrong)
