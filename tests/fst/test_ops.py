import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.cycles import negative_cycle
from wfst_hmm.fst.sausage import sausage
from wfst_hmm.fst.symbols import Symbols

EMPTY = Fst.from_arcs(-1, [], [], [], [], [], [])
acyclic = machines(acyclic=True)


@given(machines())
@settings(deadline=None, max_examples=40)
def test_to_openfst_and_back(fst: Fst) -> None:
    assert ops.from_openfst(ops.to_openfst(fst)).to_bytes() == fst.to_bytes()
    back = ops.from_openfst(ops.to_openfst(fst, mutable=True))
    assert same_relation(relation(back, 3), relation(fst, 3))


@given(acyclic, acyclic)
@settings(deadline=None, max_examples=40)
def test_compose(first: Fst, second: Fst) -> None:
    left, right = relation(first, 9), relation(second, 9)
    expected: dict[object, float] = {}
    for ((i, m), cost), ((n, o), more) in itertools.product(left.items(), right.items()):
        if m == n:
            expected[i, o] = min(expected.get((i, o), np.inf), cost + more)
    assert same_relation(relation(ops.compose(first, second), 9), expected)


@given(acyclic, acyclic)
@settings(deadline=None, max_examples=30)
def test_union_and_concat(first: Fst, second: Fst) -> None:
    left, right = relation(first, 9), relation(second, 9)
    either = {
        pair: min(left.get(pair, np.inf), right.get(pair, np.inf)) for pair in {*left, *right}
    }
    assert same_relation(relation(ops.union(first, second), 9), either)
    joined: dict[object, float] = {}
    for ((i, o), cost), ((j, p), more) in itertools.product(left.items(), right.items()):
        joined[i + j, o + p] = min(joined.get((i + j, o + p), np.inf), cost + more)
    assert same_relation(relation(ops.concat(first, second), 18), joined)


@given(acyclic)
@settings(deadline=None, max_examples=40)
def test_what_keeps_or_mirrors_the_relation(fst: Fst) -> None:
    all_of_it = relation(fst, 9)
    for same in (ops.connect(fst), ops.arcsort(fst), ops.remove_epsilons(fst), ops.minimize(fst),
                 ops.push_weights(fst), ops.shortest_path(fst, 1000)):  # fmt: skip
        assert same_relation(relation(same, 9), all_of_it)
    turned = {(o, i): cost for (i, o), cost in all_of_it.items()}
    assert same_relation(relation(ops.invert(fst), 9), turned)
    backwards = {(i[::-1], o[::-1]): cost for (i, o), cost in all_of_it.items()}
    assert same_relation(relation(ops.reverse(fst), 9), backwards)
    ones: dict[object, float] = {}
    for (i, _), cost in all_of_it.items():
        ones[i, i] = min(cost, ones.get((i, i), np.inf))
    assert same_relation(relation(ops.project(fst, "input"), 9), ones)
    renamed = {(tuple(4 if x == 1 else x for x in i), o): c for (i, o), c in all_of_it.items()}
    assert same_relation(relation(ops.relabel(fst, {1: 4}), 9), renamed)


@given(machines(acyclic=True, acceptor=True, epsilons=False))
@settings(deadline=None, max_examples=40)
def test_determinize_and_minimize_acceptors(fst: Fst) -> None:
    made = ops.determinize(fst)
    assert ops.is_deterministic(made)
    assert same_relation(relation(made, 9), relation(fst, 9))
    for smaller in (ops.minimize(made), ops.minimize(made, encode_weights=False)):
        assert smaller.n_states <= made.n_states
        assert same_relation(relation(smaller, 9), relation(fst, 9))


@given(acyclic)
@settings(deadline=None, max_examples=40)
def test_shortest_paths(fst: Fst) -> None:
    costs = sorted(relation(fst, 9).values())
    best = ops.best_path(fst)
    assert (best is None) == (not costs)
    if best is not None:
        assert best.cost == pytest.approx(costs[0], abs=1e-5)
        assert relation(fst, 9)[tuple(best.ilabels), tuple(best.olabels)] == pytest.approx(
            best.cost, abs=1e-5
        )


def all_paths(fst: Fst, start: int, max_arcs: int) -> dict[int, list[float]]:
    """Costs of all ways from `start` of at most `max_arcs` arcs, by the state reached."""
    found: dict[int, list[float]] = {state: [] for state in range(fst.n_states)}
    agenda = [(start, 0.0, 0)]
    while agenda:
        state, cost, n = agenda.pop()
        found[state].append(cost)
        if n < max_arcs:
            agenda += [(int(arc["nextstate"]), cost + float(arc["weight"]), n + 1)
                       for arc in fst.arcs_of(state)]  # fmt: skip
    return found


@given(acyclic)
@settings(deadline=None, max_examples=40)
def test_shortest_distances(fst: Fst) -> None:
    ways = all_paths(fst, fst.start, 20)
    tropical = [min(ways[s], default=np.inf) for s in range(fst.n_states)]
    log = [-np.logaddexp.reduce([-c for c in ways[s]] or [-np.inf]) for s in range(fst.n_states)]
    np.testing.assert_allclose(ops.shortest_distance(fst), tropical, atol=1e-5)
    np.testing.assert_allclose(ops.shortest_distance(fst, semiring="log"), log, atol=1e-4)
    back = [
        -np.logaddexp.reduce(
            [-np.inf]
            + [-(c + float(fst.states["final"][t]))
               for t, costs in all_paths(fst, s, 20).items() for c in costs]
        )
        for s in range(fst.n_states)
    ]  # fmt: skip
    np.testing.assert_allclose(
        ops.shortest_distance(fst, semiring="log", reverse=True), back, atol=1e-4
    )


def test_log_distance_around_a_cycle() -> None:
    loop = Fst.from_arcs(0, [0, 1], [1, 1], [1, 1], [1.0, 0.5], [1, 1], [np.inf, 0.6])
    rest = 0.6 + np.log(1 - np.exp(-0.5))
    found = ops.shortest_distance(loop, semiring="log", reverse=True)
    np.testing.assert_allclose(found, [1.0 + rest, rest], atol=1e-6)
    free = Fst.from_arcs(0, [0], [1], [1], [0.0], [0], [0.0])
    with pytest.raises(GraphError, match="sum diverges"):
        ops.shortest_distance(free, semiring="log")


@given(machines(epsilons=True))
@settings(deadline=None, max_examples=30)
def test_equivalent(fst: Fst) -> None:
    try:
        same = ops.equivalent(fst, ops.connect(fst), max_states=2000)
    except GraphError as error:
        assume("budget" not in str(error))  # cannot be determinized
        raise
    assert same
    dearer = Fst.from_arcs(
        fst.start, fst.sources(), fst.arcs["ilabel"], fst.arcs["olabel"], fst.arcs["weight"],
        fst.arcs["nextstate"], fst.states["final"] + 1.0,
    )  # fmt: skip
    assert ops.equivalent(fst, dearer) == (ops.connect(fst).n_states == 0)


def test_empty_machines() -> None:
    for same in (ops.connect, ops.determinize, ops.minimize, ops.remove_epsilons,
                 ops.invert, ops.arcsort, ops.shortest_path, ops.push_weights):  # fmt: skip
        assert same(EMPTY).n_states == 0
    assert ops.best_path(EMPTY) is None
    assert len(ops.shortest_distance(EMPTY)) == 0
    assert ops.compose(EMPTY, EMPTY).n_states == 0


def test_symbol_tables_must_agree() -> None:
    a, b = Symbols(["a", "b"]), Symbols(["b", "a"])
    one = Fst.from_arcs(0, [0], [1], [1], [0], [0], [0.0], a, a)
    other = one.with_symbols(b, b)
    with pytest.raises(GraphError, match=r"cannot compose.*the same symbols in another order"):
        ops.compose(one, other)
    with pytest.raises(GraphError, match="cannot unite"):
        ops.union(one, other)
    made = ops.compose(one, one.with_symbols(a, b))
    assert (made.isymbols, made.osymbols) == (a, b)


def test_negative_cycles_are_refused() -> None:
    fst = Fst.from_arcs(0, [0, 1], [1, 0], [1, 0], [1.0, -2.0], [1, 0], [np.inf, 0.0])
    for operation in (ops.best_path, ops.shortest_distance, ops.push_weights):
        with pytest.raises(GraphError, match="negative cost"):
            operation(fst)
    silent = Fst.from_arcs(0, [0], [0], [0], [-1.0], [0], [0.0])
    with pytest.raises(GraphError, match="negative cost"):
        ops.remove_epsilons(silent)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
@settings(deadline=None, max_examples=100)
def test_negative_cycle_against_floyd_warshall(seed: int, n_states: int) -> None:
    rng = np.random.default_rng(seed)
    n_arcs = int(rng.integers(0, 12))
    source, target = rng.integers(0, n_states, (2, n_arcs))
    weight = rng.integers(-2, 7, n_arcs) / 2
    cost = np.full((n_states, n_states), np.inf)
    np.minimum.at(cost, (source, target), weight)
    distance = cost.copy()
    for k in range(n_states):
        distance = np.minimum(distance, distance[:, k : k + 1] + distance[k : k + 1])
    cycle = negative_cycle(n_states, source, target, weight)
    assert (cycle is not None) == bool((np.diag(distance) < 0).any())
    if cycle is not None:
        around = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        assert sum(cost[a, b] for a, b in around) < 0


def test_runaway_determinization_stops() -> None:
    fst = Fst.from_arcs(
        0, [0, 0, 1, 2, 1, 2], [1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 3], [0, 0, 1, 2, 0, 0],
        [1, 2, 1, 2, 3, 3], [np.inf] * 3 + [0.0],
    )  # fmt: skip
    with pytest.raises(GraphError, match="budget of states; expected at most 1000"):
        ops.determinize(fst, max_states=1000)


def test_unique_paths_need_an_acceptor() -> None:
    fst = Fst.from_arcs(0, [0], [1], [2], [0.0], [1], [np.inf, 0.0])
    with pytest.raises(GraphError, match="acceptor"):
        ops.shortest_path(fst, 2, unique=True)
    with pytest.raises(GraphError, match="positive; got 0"):
        ops.shortest_path(fst, 0)


def test_minimize_needs_determinism_when_it_pushes() -> None:
    fst = Fst.from_arcs(0, [0, 0], [1, 1], [1, 2], [0, 0], [1, 1], [np.inf, 0.0])
    with pytest.raises(GraphError, match="determinize first"):
        ops.minimize(fst, encode_weights=False)


def test_sausage_is_the_scores() -> None:
    scores = np.log(np.array([[0.5, 0.25, 0.0], [0.125, 1.0, 0.5]], dtype=np.float32),
                    where=np.array([[1, 1, 0], [1, 1, 1]], bool),
                    out=np.full((2, 3), -np.inf, np.float32))  # fmt: skip
    made = sausage(scores, np.array([2, 0, 0]))
    found = {inputs: cost for (inputs, _), cost in relation(made).items()}
    expected = {
        (i, j): -float(scores[0, c[i - 1]] + scores[1, c[j - 1]])
        for c in [[2, 0, 0]] for i in (2, 3) for j in (1, 2, 3)
    }  # fmt: skip
    assert same_relation(found, expected)
