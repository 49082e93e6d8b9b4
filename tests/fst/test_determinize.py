import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.determinize import determinize_transducer
from wfst_hmm.fst.symbols import Symbols


def of_function(fst: Fst) -> bool:
    """Whether every input, epsilons counted, has one output: by looking at all of them."""
    eps = fst.arcs.copy()
    eps["ilabel"] += 1
    counted = Fst.from_runs(fst.start, fst.states["n_arcs"], eps, fst.states["final"])
    inputs = [ins for ins, _ in relation(counted, 12)]
    return len(inputs) == len(set(inputs))


def outcome(fst: Fst, max_states: int) -> tuple[Fst | None, str]:
    """The machine, or what was said instead."""
    try:
        return determinize_transducer(fst, max_states=max_states), ""
    except GraphError as error:
        return None, str(error)


@given(machines(max_states=5, n_labels=2, acyclic=True))
@settings(deadline=None, max_examples=200)
def test_acyclic_functions(fst: Fst) -> None:
    if not of_function(fst):
        with pytest.raises(GraphError, match="two paths read the same and write differently"):
            determinize_transducer(fst, max_states=1000)
        return
    inputs = [ins for ins, _ in relation(fst, 12)]
    if len(inputs) > len(set(inputs)):  # one function only as long as epsilons are counted
        made, error = outcome(fst, 1000)
        if made is None:
            assert "two paths read the same and write differently" in error
            return
    else:
        made = determinize_transducer(fst, max_states=1000)
    made.validate()
    assert ops.is_deterministic(made)  # epsilons too: one way on that reads nothing, or none
    assert same_relation(relation(made, 9), relation(fst, 9))
    twin = ops.determinize(ops.connect(fst))
    assert ops.is_deterministic(twin)
    assert same_relation(relation(twin, 9), relation(made, 9))


@given(machines(max_states=4, n_labels=2, epsilons=False), st.integers(5, 200))
@settings(deadline=None, max_examples=150)
def test_cyclic_machines_end_in_time(fst: Fst, max_states: int) -> None:
    """A deterministic equivalent within the budget, or two paths over one input."""
    made, error = outcome(fst, max_states)
    if made is None:
        assert "over '" in error or "max_states" in error
        return
    assert same_relation(relation(made, 4), relation(fst, 4))
    assert ops.is_deterministic(made)


@given(machines(max_states=4, n_labels=2), st.integers(5, 200))
@settings(deadline=None, max_examples=150)
def test_cyclic_machines_with_epsilons(fst: Fst, max_states: int) -> None:
    made, error = outcome(fst, max_states)
    if made is None:
        assert "over '" in error or "max_states" in error
        return
    assert same_relation(relation(made, 3), relation(fst, 3))
    assert ops.is_deterministic(made)


def test_an_end_that_writes_beside_an_epsilon() -> None:
    """Over "1" one path ends owing "5", the other goes on over epsilon and writes "5" as well."""
    fst = Fst.from_arcs(
        0, [0, 0, 2], [1, 1, 0], [5, 0, 5], [0.5, 0.25, 0.5], [1, 2, 3],
        [np.inf, 0.0, np.inf, 0.0],
    )  # fmt: skip
    for determinize in (ops.determinize, lambda f: determinize_transducer(f, max_states=99)):
        made = determinize(fst)
        assert ops.is_deterministic(made)
        assert relation(made) == {((1,), (5,)): 0.5}
    other = ops.relabel(fst, outputs={5: 6})
    assert relation(ops.determinize(other)) == {((1,), (6,)): 0.5}
    # With another output behind the epsilon the machine is no function.
    bad = Fst.from_arcs(0, fst.sources(), [1, 1, 0], [0, 5, 6], [0, 0, 0], [2, 1, 3],
                        [np.inf, 0.0, np.inf, 0.0])  # fmt: skip
    with pytest.raises(GraphError, match=r"two paths read the same and write differently.*'6'"):
        ops.determinize(bad)
    # Where epsilons go round, what the end owes would never be written.
    loop = Fst.from_arcs(0, [0, 0, 2, 2], [1, 1, 0, 2], [5, 0, 0, 0], [0] * 4, [1, 2, 2, 3],
                         [np.inf, 0.0, np.inf, 0.0])  # fmt: skip
    with pytest.raises(GraphError, match=r"epsilons lead round a cycle.*over '1'.*Remove epsilons"):
        ops.determinize(loop)
    assert relation(ops.determinize(ops.remove_epsilons(loop))) == relation(loop)


def test_two_outputs_are_shown_by_name() -> None:
    fst = Fst.from_arcs(
        0, [0, 0, 1, 2], [1, 1, 2, 2], [1, 2, 0, 0], [0.5, 1.0, 0.0, 0.0], [1, 2, 3, 3],
        [np.inf] * 3 + [0.0], Symbols(["A", "B"]), Symbols(["two", "too"]),
    )  # fmt: skip
    with pytest.raises(GraphError) as caught:
        determinize_transducer(fst, max_states=100)
    assert "over 'A B': states 0 1 3 writing 'two' at 0.5 nats and states 0 2 3 writing 'too'" in (
        str(caught.value)
    )


def test_what_cannot_be_determinized_stops_and_says_why() -> None:
    """Two loops over one input write differently until the last label tells them apart."""
    fst = Fst.from_arcs(
        0, [0, 0, 1, 2, 1, 2], [1, 1, 1, 1, 2, 3], [1, 2, 1, 2, 0, 0], np.zeros(6),
        [1, 2, 1, 2, 3, 3], [np.inf] * 3 + [0.0],
    )  # fmt: skip
    with pytest.raises(GraphError, match=r"cannot be determinized.*over '1 1.*writing '1 1.*and"):
        ops.determinize(fst)
    with pytest.raises(GraphError, match=r"budget of states.*writing .*at most 5"):
        ops.determinize(fst, max_states=5)


def test_owed_outputs_follow_the_arc() -> None:
    """A B writes x y, A C writes x z z: after A only x is certain; what is owed follows."""
    fst = Fst.from_arcs(
        0, [0, 1, 0, 3], [1, 2, 1, 3], [1, 2, 1, 3], np.zeros(4), [1, 2, 3, 4],
        [np.inf, np.inf, 0.0, np.inf, 0.0],
    )  # fmt: skip
    made = determinize_transducer(fst, max_states=10)
    assert made.arcs_of(made.start).tolist()[0][:2] == (1, 1)
    late = Fst.from_arcs(0, [0, 0, 1, 2], [1, 1, 1, 2], [1, 2, 1, 2], np.zeros(4), [1, 2, 3, 3],
                         [np.inf, np.inf, np.inf, 0.0])  # fmt: skip
    made = determinize_transducer(late, max_states=10)
    assert made.arcs_of(made.start).tolist()[0][:2] == (1, 0)
    assert same_relation(relation(made, 3), relation(late, 3))


def test_the_algebra_explains_as_well() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 1], [1, 2], [0.0, 0.0], [1, 1], [np.inf, 0.0])
    with pytest.raises(GraphError, match=r"no function: two paths .* writing '1' .* writing '2'"):
        ops.determinize(fst)
