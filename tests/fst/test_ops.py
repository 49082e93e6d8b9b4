import itertools

import numpy as np
import pytest
import pywrapfst
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.errors import GraphError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.cycles import components, negative_cycle
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


def cyclic(seed: int, n_states: int, leave: float) -> Fst:
    """A machine with cycles everywhere whose probabilities out of a state sum to 1 - leave at most,
    some of its states without a way to the end or from the start."""
    rng = np.random.default_rng(seed)
    table = rng.random((n_states, n_states)) * (rng.random((n_states, n_states)) < 0.5)
    table *= (
        (1 - leave) * rng.uniform(0.5, 1, (n_states, 1)) / np.maximum(table.sum(1), 1e-9)[:, None]
    )
    source, target = np.nonzero(table)
    final = np.where(
        rng.random(n_states) < 0.5, -np.log(leave * rng.uniform(0.1, 1, n_states)), np.inf
    )
    return Fst.from_arcs(
        0, source, source * 0 + 1, target, -np.log(table[source, target]), target, final
    )


def dense_distance(fst: Fst, reverse: bool) -> np.ndarray:
    """The twin: one dense linear system over all states."""
    n = fst.n_states
    moves = np.zeros((n, n))
    np.add.at(
        moves, (fst.sources(), fst.arcs["nextstate"]), np.exp(-fst.arcs["weight"].astype(float))
    )
    given = np.exp(-fst.states["final"].astype(float)) if reverse else np.eye(n)[fst.start]
    x = np.linalg.solve(np.eye(n) - (moves if reverse else moves.T), given)
    with np.errstate(divide="ignore"):
        return -np.log(np.where(x > 1e-13, x, 0.0))


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 7), st.sampled_from([1e-4, 1e-2, 0.3]), st.booleans()
)
@settings(deadline=None, max_examples=150)
def test_log_distances_of_cyclic_machines(seed: int, n: int, leave: float, reverse: bool) -> None:
    fst = cyclic(seed, n, leave)
    found = ops.shortest_distance(fst, semiring="log", reverse=reverse)
    np.testing.assert_allclose(found, dense_distance(fst, reverse), rtol=1e-6, atol=1e-6)


@given(machines(max_states=6))
@settings(deadline=None, max_examples=100)
def test_components_against_reachability(fst: Fst) -> None:
    n = fst.n_states
    reach = np.eye(n, dtype=bool)
    reach[fst.sources(), fst.arcs["nextstate"]] = True
    for k in range(n):
        reach |= reach[:, k : k + 1] & reach[k : k + 1]
    component, order = components(fst.states, fst.arcs)
    np.testing.assert_array_equal(component[:, None] == component, reach & reach.T)
    assert sorted(order) == list(range(n))
    assert (np.diff(component[order]) >= 0).all()
    assert (component[fst.arcs["nextstate"]] <= component[fst.sources()]).all()


def probabilities(fst: Fst, max_length: int) -> dict[tuple[int, ...], float]:
    """Probability of each output sequence of exactly so many arcs, summed over paths."""
    ways = {(fst.start, ()): 1.0} if fst.start >= 0 else {}
    found: dict[tuple[int, ...], float] = {}
    for _ in range(max_length + 1):
        after: dict[tuple[int, tuple[int, ...]], float] = {}
        for (state, labels), p in ways.items():
            end = p * float(np.exp(-fst.states["final"][state]))
            if end:
                found[labels] = found.get(labels, 0.0) + end
            for arc in fst.arcs_of(state):
                label = (*labels, int(arc["olabel"])) if arc["ilabel"] else labels
                key = (int(arc["nextstate"]), label)
                after[key] = after.get(key, 0.0) + p * float(np.exp(-arc["weight"]))
        ways = after
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([1e-3, 0.3]),
       st.sampled_from(["initial", "final"]))  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_pushing_in_the_log_semiring(seed: int, n: int, leave: float, to: str) -> None:
    fst = ops.connect(cyclic(seed, n, leave))
    pushed = ops.push_weights(fst, to=to, semiring="log")
    before, after = probabilities(fst, 4), probabilities(pushed, 5)
    for labels, p in before.items():
        if len(labels) <= 3:
            assert after[labels] == pytest.approx(p, rel=1e-4)
    if not fst.n_states:
        return
    total = ops.shortest_distance(fst, semiring="log", reverse=True)[fst.start]
    if to == "initial":
        out = np.exp(-pushed.states["final"].astype(float))
        np.add.at(out, pushed.sources(), np.exp(-pushed.arcs["weight"].astype(float)))
        rest = np.arange(pushed.n_states) != pushed.start
        np.testing.assert_allclose(out[rest], 1.0, rtol=1e-4)
        assert -np.log(out[pushed.start]) == pytest.approx(total, abs=1e-4)
    else:
        inward = np.zeros(pushed.n_states)
        np.add.at(inward, pushed.arcs["nextstate"], np.exp(-pushed.arcs["weight"].astype(float)))
        ends = np.exp(-pushed.states["final"].astype(float)).sum()
        # the probabilities into every state sum to one, but for the start, whose way in is free
        rest = np.arange(pushed.n_states) != pushed.start
        if fst.n_states == pushed.n_states and not (fst.arcs["nextstate"] == fst.start).any():
            np.testing.assert_allclose(inward[rest], 1.0, rtol=1e-4)
            assert -np.log(ends) == pytest.approx(total, abs=1e-4)


@given(acyclic)
@settings(deadline=None, max_examples=40)
def test_log_pushing_equals_openfst_where_nothing_goes_round(fst: Fst) -> None:
    fst = ops.connect(fst)
    machine = pywrapfst.arcmap(ops.to_openfst(fst, mutable=True), map_type="to_log")
    for to in ("initial", "final"):
        theirs = pywrapfst.push(machine, push_weights=True, reweight_type=f"to_{to}")
        twin = ops.from_openfst(pywrapfst.arcmap(theirs, map_type="to_std"))
        ours = ops.push_weights(fst, to=to, semiring="log")
        np.testing.assert_allclose(ours.arcs["weight"], twin.arcs["weight"], atol=1e-4)
        np.testing.assert_allclose(ours.states["final"], twin.states["final"], atol=1e-4)


def unigram(end: float) -> Fst:
    """Four words in a loop, and the end: probabilities that sum to one."""
    words = np.array([0.1, 0.2, 0.3, 0.4]) * (1 - end)
    return Fst.from_arcs(
        0, [0] * 4, [1, 2, 3, 4], [1, 2, 3, 4], -np.log(words), [0] * 4, [-np.log(end)]
    )


@pytest.mark.parametrize("end", [0.5, 1e-3, 1e-4])
def test_a_normalized_unigram_has_all_its_probability(end: float) -> None:
    """It got 0.2546 nats on its start with p(</s>) = 1e-3; with 1e-4 the sum was refused."""
    fst = unigram(end)
    found = ops.shortest_distance(fst, semiring="log", reverse=True)
    assert found[0] == pytest.approx(0.0, abs=2e-7 / end)  # costs are float32
    pushed = ops.push_weights(fst, semiring="log")
    total = ops.shortest_distance(pushed, semiring="log", reverse=True)[pushed.start]
    assert total == pytest.approx(0.0, abs=2e-7 / end)
    assert abs(float(pushed.arcs["weight"][pushed.sources() == pushed.start].min())) < 3
    assert pushed.n_states <= 2


def test_distances_far_apart_and_long_chains() -> None:
    """Sums keep their digits where plain probabilities would be zero, or the machine is long."""
    far = Fst.from_arcs(
        0, [0, 1, 1], [1] * 3, [1] * 3, [5000.0, 800.0, 3000.0], [1, 0, 1], [np.inf, 1.0]
    )
    np.testing.assert_allclose(ops.shortest_distance(far, semiring="log", reverse=True), [5001, 1])
    n = 50_000
    line = np.arange(n)
    chain = Fst.from_arcs(0, np.concatenate([line, line]), [1] * (2 * n), [1] * (2 * n),
                          [0.5] * n + [1.0] * n, np.concatenate([line, line + 1]),
                          np.where(np.arange(n + 1) == n, 0.0, np.inf))  # fmt: skip
    step = 1.0 + np.log(1 - np.exp(-0.5))
    found = ops.shortest_distance(chain, semiring="log")
    np.testing.assert_allclose(
        found[:-1], np.arange(n) * step + np.log(1 - np.exp(-0.5)), rtol=1e-6
    )


@pytest.mark.parametrize("probabilities", [[1.0], [0.5, 0.5], [0.3, 0.3, 0.4], [0.9, 0.2]])
def test_sums_that_diverge_are_refused(probabilities: list[float]) -> None:
    n = len(probabilities)
    fst = Fst.from_arcs(0, [0] * n, [1] * n, [1] * n, -np.log(probabilities), [0] * n, [1.0])
    for call in (lambda: ops.shortest_distance(fst, semiring="log"),
                 lambda: ops.push_weights(fst, semiring="log")):  # fmt: skip
        with pytest.raises(GraphError, match="sum diverges; got a cycle through state 0"):
            call()


@given(machines(acyclic=True, acceptor=True), st.integers(1, 6))
@settings(deadline=None, max_examples=100)
def test_unique_shortest_paths(fst: Fst, n: int) -> None:
    """The n cheapest sequences, each once, epsilons or not."""
    expected = sorted(relation(fst, 9).values())[:n]
    made = ops.shortest_path(fst, n, unique=True)
    paths = [c for _, c in sorted(relation(made, 9).items())]
    assert sorted(paths) == pytest.approx(expected, abs=1e-4)
    ends = sum(len(costs) for s, costs in all_paths(made, made.start, 20).items()
               if np.isfinite(made.states["final"][s])) if made.n_states else 0  # fmt: skip
    assert ends == len(expected)  # no sequence has two paths


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
    with pytest.raises(GraphError, match=r"cannot concatenate.*the same symbols in another order"):
        ops.concat(one, other)
    assert ops.compose(one, other).n_arcs == 0  # by name: "a" is not "b"
    same = ops.relabel(other, {1: 2}, {1: 2})
    assert relation(ops.compose(one, same), 1) == {((), ()): 0.0, ((1,), (2,)): 0.0}
    with pytest.raises(GraphError, match=r"cannot compose.*'a' is in one only"):
        ops.compose(one, one.with_symbols(Symbols(["c"]), a))
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
