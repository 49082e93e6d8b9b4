import numpy as np
import pytest
from graph_models import models
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.graph.units import Units
from wfst_hmm.models.topology import StateLabels, Topology
from wfst_hmm.training.transitions import likeliest, reestimated_topologies


def units_of(topologies: list[Topology]) -> Units:
    sizes = [t.n_states for t in topologies]
    ends = np.cumsum(sizes)
    columns = [np.arange(e - n, e, dtype=np.int32) for e, n in zip(ends, sizes, strict=True)]
    names = [f"p{i}" for i in range(len(topologies))]
    return Units.of_phones(topologies, StateLabels.build(names, topologies, columns))


def test_probabilities_are_shares_of_the_moves_made() -> None:
    chain = Topology.left_to_right(2, self_loop=0.5)
    # moves: 1 enter state 0; 2-4 step 0->0, 0->1, 1->1; 5 leave state 1
    counts = np.array([9.0, 10, 30, 10, 90, 10])
    (new,) = reestimated_topologies([chain], units_of([chain]), counts)
    np.testing.assert_allclose(new.transitions, [[0.75, 0.25], [0, 0.9]])
    np.testing.assert_allclose(new.final, [0, 0.1])
    assert new.transitions[1, 0] == 0.0
    (same,) = reestimated_topologies([chain], units_of([chain]), np.zeros(6))
    np.testing.assert_array_equal(same.transitions, chain.transitions)


@settings(deadline=None, max_examples=40)
@given(model=models(), seed=st.integers(0, 2**32 - 1), floor=st.sampled_from([1e-3, 0.1]))
def test_zeros_stay_zero_and_the_moves_become_no_less_likely(model, seed, floor) -> None:  # type: ignore[no-untyped-def]
    old = list(model.topologies)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        units = units_of(old)
        counts = rng.integers(0, 50, units.n_moves + 1) * (rng.random(units.n_moves + 1) < 0.7)
        new = reestimated_topologies(old, units, counts.astype(float), floor=floor)
        for a, b in zip(old, new, strict=True):
            for name in ("initial", "transitions", "final"):
                np.testing.assert_array_equal(getattr(a, name) == 0, getattr(b, name) == 0)
        cost = counts[1:] @ units_of(new).move_costs[1:]
        assert cost <= counts[1:] @ units.move_costs[1:] + 1e-6
        old = new


def test_a_move_that_is_never_made_stays_possible() -> None:
    chain = Topology.left_to_right(1)
    for _ in range(2000):
        (chain,) = reestimated_topologies([chain], units_of([chain]), np.array([0, 9.0, 99, 0]))
    np.testing.assert_allclose([chain.transitions[0, 0], chain.final[0]], [0.999, 0.001])


@settings(deadline=None, max_examples=60)
@given(counts=st.lists(st.integers(0, 30), min_size=2, max_size=4), floor=st.floats(1e-3, 0.4))
def test_the_floored_maximum_is_one(counts, floor) -> None:  # type: ignore[no-untyped-def]
    """No small shift of probability between two moves makes the counts likelier."""
    before = np.full(len(counts), 1 / len(counts))
    c = np.array(counts, dtype=float)
    p = likeliest(c, before, floor)
    least = min(floor, 0.5 / len(c))
    assert p.sum() == pytest.approx(1)
    assert p.min() >= least - 1e-12
    if not c.sum():
        return
    for i in range(len(c)):
        for j in range(len(c)):
            q = p.copy()
            q[i] += 1e-4
            q[j] -= 1e-4
            if q[j] >= least:
                assert c @ np.log(q) <= c @ np.log(p) + 1e-9
