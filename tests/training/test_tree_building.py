import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import ModelError, UsageError
from wfst_hmm.models.context import WORD_POSITIONS
from wfst_hmm.models.topology import Topology
from wfst_hmm.models.tree import Question, Tree
from wfst_hmm.training.tree_building import (
    TreeOptions,
    automatic_questions,
    build_tree,
    variance_floor_of,
)
from wfst_hmm.training.tree_statistics import ContextStats, gaussian_log_likelihood

PHONES = ("SIL", "A", "B", "C", "D")


def corpus(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (n, 2) whose means depend on the phone before and behind, with contexts."""
    rng = np.random.default_rng(seed)
    context = np.stack(
        [rng.integers(0, 6, n), rng.integers(0, 5, n), rng.integers(0, 6, n),
         rng.integers(0, 4, n), rng.integers(0, 2, n)], axis=1,
    ).astype(np.int32)  # fmt: skip
    means = rng.normal(size=(6, 5, 6, 4, 2, 2)) + 3 * rng.normal(size=(6, 5, 1, 1, 1, 2))
    return (means[tuple(context.T)] + 0.3 * rng.normal(size=(n, 2))).astype(np.float32), context


def likelihood_of(frames: np.ndarray, floor: np.ndarray) -> float:
    """Sum the log densities of frames under their own Gaussian, one by one."""
    if not len(frames):
        return 0.0
    mean = frames.mean(axis=0)
    variance = np.maximum(((frames - mean) ** 2).mean(axis=0), floor)
    # The tree counts floored variances as if the frames spread that far.
    assert ((frames - mean) ** 2).mean(axis=0).min() >= floor.max() or len(frames) < 3
    logs = -0.5 * (np.log(2 * np.pi * variance) + (frames - mean) ** 2 / variance)
    return float(logs.sum())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_gains_are_those_of_brute_force(seed: int) -> None:
    frames, context = corpus(seed)
    stats = ContextStats.of([(frames[:150], context[:150]), (frames[150:], context[150:])])
    questions = automatic_questions(stats, PHONES, ("SIL",))
    tree = build_tree(stats, PHONES, ("SIL",), [2] * 5,
                      TreeOptions(40, 0.0, 8.0), questions)  # fmt: skip
    floor = variance_floor_of(stats)
    names = (*PHONES, "<edge>")
    inside = {}
    for item in tree.items():
        if item.depth == 0:
            own = (context[:, 1] == PHONES.index(item.phone)) & (context[:, 4] == item.state)
            inside[item.number] = own
        own = inside[item.number]
        assert item.occupancy == own.sum()
        if item.question is None:
            continue
        yes = np.array([
            (WORD_POSITIONS[row[3]] if item.question.place == "position"
             else names[row[0 if item.question.place == "left" else 2]]) in item.question.members
            for row in context
        ])  # fmt: skip
        inside[item.yes], inside[item.no] = own & yes, own & ~yes
        parts = [frames[inside[n]].astype(np.float64) for n in (item.yes, item.no, item.number)]
        a, b, both = (gaussian_log_likelihood(
            np.concatenate([p.sum(0), (p**2).sum(0), [len(p)]]), floor) for p in parts)  # fmt: skip
        np.testing.assert_allclose(item.gain, a + b - both, rtol=1e-8, atol=1e-6)
        assert min(len(parts[0]), len(parts[1])) >= 8
        # no other question would have gained more
        for other in questions:
            member = np.array([
                (WORD_POSITIONS[row[3]] if other.place == "position"
                 else names[row[0 if other.place == "left" else 2]]) in other.members
                for row in context
            ])  # fmt: skip
            sides = [
                frames[own & member].astype(np.float64),
                frames[own & ~member].astype(np.float64),
            ]
            if min(map(len, sides)) < 8:
                continue
            gain = sum(float(gaussian_log_likelihood(
                np.concatenate([p.sum(0), (p**2).sum(0), [len(p)]]), floor)) for p in sides) - both  # fmt: skip
            assert gain <= item.gain + 1e-6
        break  # brute force over every question once a tree is enough


def test_the_formula_is_the_sum_of_log_densities() -> None:
    rng = np.random.default_rng(3)
    frames = rng.normal(size=(50, 3)) * [1.0, 2.0, 0.5]
    moments = np.concatenate([frames.sum(0), (frames**2).sum(0), [50]])
    floor = np.full(3, 1e-3)
    assert gaussian_log_likelihood(moments, floor) == pytest.approx(likelihood_of(frames, floor))


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_map_and_grid_follow_the_questions(seed: int, positions: bool) -> None:
    frames, context = corpus(seed)
    stats = ContextStats.of([(frames, context)])
    tree = build_tree(stats, PHONES, ("SIL",), [2] * 5,
                      TreeOptions(30, 0.0, 4.0, positions))  # fmt: skip
    again = Tree.from_arrays(tree.to_arrays())
    assert list(again.items()) == list(tree.items())
    topologies = [Topology.left_to_right(2)] * 5
    found = tree.context_map(topologies)
    nodes = {item.number: item for item in tree.items()}
    rng = np.random.default_rng(seed)
    names = (*PHONES, "<edge>")
    for _ in range(30):
        left, right, centre, state = (
            rng.integers(6),
            rng.integers(6),
            rng.integers(5),
            rng.integers(2),
        )
        place = int(rng.integers(4)) if positions else 0
        node = nodes[tree.roots[centre][state]]
        while node.question is not None:
            value = {"left": names[left], "right": names[right],
                     "position": WORD_POSITIONS[place]}[node.question.place]  # fmt: skip
            node = nodes[node.yes if value in node.question.members else node.no]
        assert tree.grid(centre, state, place)[left, right] == node.leaf
        sides = [None if x == 5 else PHONES[x] for x in (left, right)]
        hmm = found.hmm_index(PHONES[centre], *sides, WORD_POSITIONS[place])
        assert found.hmms[hmm].columns[state] == node.leaf


def test_leaves_are_bounded_and_silence_is_whole() -> None:
    frames, context = corpus(0)
    stats = ContextStats.of([(frames, context)])
    tree = build_tree(stats, PHONES, ("SIL",), [2] * 5, TreeOptions(17, 0.0, 2.0))
    assert tree.n_leaves == 17
    assert all(tree.leaf[root] >= 0 for root in tree.roots[0])
    assert tree.leaf_occupancy.sum() == len(frames)
    gains = [item.gain for item in tree.items() if item.question]
    least = build_tree(stats, PHONES, ("SIL",), [2] * 5,
                       TreeOptions(1000, float(np.median(gains)), 2.0))  # fmt: skip
    assert least.n_leaves < 1000
    assert min(i.gain for i in least.items() if i.question) >= np.median(gains)


def test_a_phone_never_heard_and_one_heard_once() -> None:
    frames, context = corpus(1)
    rare = context[:, 1] == 4
    keep = ~rare | (np.cumsum(rare) == 1)
    keep &= context[:, 1] != 3
    stats = ContextStats.of([(frames[keep], context[keep])])
    tree = build_tree(stats, PHONES, ("SIL",), [2] * 5, TreeOptions(30, 0.0, 5.0))
    assert all(tree.leaf[root] >= 0 for phone in (3, 4) for root in tree.roots[phone])
    floor = variance_floor_of(stats)
    groups = np.zeros(len(stats.context), dtype=np.int32)
    occupancy, mean, variance = stats.gaussians(groups, 2, floor)
    assert occupancy.tolist() == [keep.sum(), 0]
    np.testing.assert_array_equal(mean[0], mean[1])
    assert (variance >= floor).all()


def test_questions_are_clusters() -> None:
    frames, context = corpus(2)
    stats = ContextStats.of([(frames, context)])
    questions = automatic_questions(stats, PHONES, ("SIL",))
    assert Question("left", ("SIL", "<edge>")) in questions
    assert Question("right", ("A",)) in questions
    sets = [set(q.members) for q in questions if q.place == "left"]
    assert all(len(s) < 5 for s in sets)
    assert not [q for q in automatic_questions(stats, PHONES, ("SIL",), positions=False)
                if q.place == "position"]  # fmt: skip
    assert str(questions[0]) == "before: SIL <edge>?"


def test_statistics_do_not_depend_on_parts() -> None:
    frames, context = corpus(5)
    context[7] = -1
    whole = ContextStats.of([(frames, context)])
    parts = ContextStats.of(
        (frames[a:b], context[a:b]) for a, b in itertools.pairwise([0, 3, 50, 400])
    )
    np.testing.assert_array_equal(whole.context, parts.context)
    np.testing.assert_allclose(whole.moments, parts.moments, rtol=1e-12)
    assert whole.occupancy.sum() == 399


def test_impossible_trees_are_refused() -> None:
    with pytest.raises(UsageError, match="max_leaves"):
        TreeOptions(max_leaves=0)
    frames, context = corpus(0)
    tree = build_tree(ContextStats.of([(frames, context)]), PHONES, (), [2] * 5,
                      TreeOptions(12, 0.0, 5.0))  # fmt: skip
    arrays = tree.to_arrays()
    arrays["yes"] = np.zeros_like(arrays["yes"])
    with pytest.raises(ModelError, match="lead back"):
        Tree.from_arrays(arrays)
    del arrays["roots"]
    with pytest.raises(ModelError, match="disagree"):
        Tree.from_arrays(arrays)
