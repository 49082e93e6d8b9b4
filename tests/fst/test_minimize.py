import numpy as np
from hypothesis import given, settings
from strategies import machines, relation, same_relation

from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.minimize import merge_states, state_classes
from wfst_hmm.fst.trim import trim


def triples(fst: Fst) -> Fst:
    """Take (input, output, cost) as one label, without costs."""
    arcs = fst.arcs
    _, label = np.unique(
        np.stack([arcs["ilabel"], arcs["olabel"], arcs["weight"]]), axis=1, return_inverse=True
    )
    label = label.ravel() + 1
    return Fst.from_arcs(fst.start, fst.sources(), label, label, np.zeros(len(arcs)),
                         arcs["nextstate"], fst.states["final"])  # fmt: skip


@given(machines(max_states=7))
@settings(deadline=None, max_examples=150)
def test_keeps_the_relation_and_is_as_small_as_openfst_makes_it(fst: Fst) -> None:
    fst = trim(fst)
    made = merge_states(fst)
    made.validate()
    assert same_relation(relation(made, 4), relation(fst, 4))
    if ops.is_deterministic(triples(fst)):
        assert made.n_states == ops.minimize(fst).n_states


def slow_classes(fst: Fst) -> list[int]:
    """Split classes by all that states do, until nothing splits: one line of theory."""
    block = [0] * fst.n_states
    while True:
        does = [
            (block[s], float(fst.states["final"][s]), tuple(sorted(
                (int(a["ilabel"]), int(a["olabel"]), float(a["weight"]), block[a["nextstate"]])
                for a in fst.arcs_of(s)
            )))
            for s in range(fst.n_states)
        ]  # fmt: skip
        names = {what: number for number, what in enumerate(dict.fromkeys(does))}
        new = [names[what] for what in does]
        if len(names) == len(set(block)):
            return new
        block = new


@given(machines(max_states=8, n_labels=2))
@settings(deadline=None, max_examples=150)
def test_classes_equal_the_slow_ones(fst: Fst) -> None:
    quick = state_classes(fst).tolist()
    slow = slow_classes(fst)
    assert len(set(zip(quick, slow, strict=True))) == len(set(quick)) == len(set(slow))


def test_costs_are_compared_after_rounding() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [0.5, 0.5], [1, 2], [np.inf, 1.0, 1.00001])
    assert merge_states(fst).n_states == 3
    assert merge_states(fst, delta=1e-3).n_states == 2


@given(machines(max_states=6))
@settings(deadline=None, max_examples=60)
def test_trim_is_connect(fst: Fst) -> None:
    made = trim(fst)
    made.validate()
    assert same_relation(relation(made, 4), relation(fst, 4))
    twin = ops.connect(fst)
    assert (made.n_states, made.n_arcs) == (twin.n_states, twin.n_arcs)


def test_arcs_of_infinite_cost_are_no_arcs() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 1], [1, 1], [np.inf, 0.0], [1, 2], [np.inf, 0.0, 0.0])
    made = trim(fst)
    assert (made.n_states, made.n_arcs) == (2, 1)
    nothing = Fst.from_arcs(0, [0], [1], [1], [np.inf], [1], [np.inf, 0.0])
    assert trim(nothing).n_states == 0
