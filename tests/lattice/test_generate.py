import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS, Problem, acyclic, all_paths, lattice_for

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.generate import lattice_of, raw_lattice
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import best_hypothesis, n_best
from wfst_hmm.lattice.posteriors import arc_posteriors
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.options import SearchOptions


def words_of(problem: Problem, arcs: tuple[int, ...]) -> tuple[str, ...]:
    olabels = problem.fst.arcs["olabel"][list(arcs)]
    return tuple(WORDS[int(label)] for label in olabels if label)


def costs_of_all_paths(lattice: Lattice) -> list[float]:
    """Enumerate the paths of a lattice."""
    found = []

    def walk(state: int, cost: float) -> None:
        if lattice.final[state] < np.inf:
            found.append(cost + float(lattice.final[state]))
        for arc in np.flatnonzero(lattice.source == state):
            walk(int(lattice.target[arc]), cost + float(lattice.cost[arc]))

    walk(0, 0.0)
    return sorted(found)


@settings(deadline=None, max_examples=150)
@given(acyclic())
def test_a_wide_raw_lattice_holds_every_path_once(problem: Problem) -> None:
    paths = all_paths(problem)
    lattice = lattice_for(problem)
    assert (lattice is not None) == bool(paths)
    if lattice is not None:
        assert (lattice.source < lattice.target).all()
        np.testing.assert_allclose(
            costs_of_all_paths(lattice), [cost for cost, _ in paths], atol=1e-4
        )


@settings(deadline=None, max_examples=150)
@given(acyclic(), st.floats(0.1, 6.0), st.integers(1, 40))
def test_a_pruned_raw_lattice_holds_every_path_within_its_beam(
    problem: Problem, beam: float, prune_at: int
) -> None:
    options = SearchOptions(beam=np.inf, max_active=0, lattice_beam=beam)
    search = BeamSearch(problem.fst, problem.columns, options, links=True, collect_at=prune_at)
    for row in problem.scores:
        search.advance(row[None])
    lattice = lattice_of(search, options, WORDS, 0.01)
    paths = all_paths(problem)
    assert (lattice is not None) == bool(paths)
    if lattice is None:
        return
    wanted = [cost for cost, _ in paths if cost <= paths[0][0] + beam - 1e-4]
    found = costs_of_all_paths(lattice)
    np.testing.assert_allclose(found[: len(wanted)], wanted, atol=1e-4)
    through = lattice.forward()[lattice.source] + lattice.cost + lattice.backward()[lattice.target]
    assert (through <= paths[0][0] + beam + 1e-4).all()


@settings(deadline=None, max_examples=150)
@given(acyclic())
def test_n_best_equals_enumeration(problem: Problem) -> None:
    best: dict[tuple[str, ...], float] = {}
    for cost, arcs in all_paths(problem):
        best.setdefault(words_of(problem, arcs), cost)
    lattice = lattice_for(problem)
    if lattice is None:
        assert not best
        return
    found = n_best(lattice, 1000)
    assert len({h.words for h in found}) == len(found) == len(best)
    assert {h.words: pytest.approx(h.total_cost, abs=1e-4) for h in found} == best
    costs = [h.total_cost for h in found]
    assert costs == sorted(costs)
    for hypothesis in found:  # labels and split costs belong to the path
        columns = problem.columns[hypothesis.labels - 1]
        scores = problem.scores[np.arange(len(columns)), columns]
        assert len(columns) == len(problem.scores)
        assert hypothesis.acoustic_cost == pytest.approx(-float(scores.sum()), abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(acyclic())
def test_determinized_lattices_have_one_path_per_word_sequence(problem: Problem) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    assert lattice.is_deterministic
    out = collections.Counter(zip(lattice.source.tolist(), lattice.word.tolist(), strict=True))
    assert not out or max(out.values()) == 1
    first = best_hypothesis(lattice)
    assert first is not None
    assert first.total_cost == pytest.approx(raw.backward()[0], abs=1e-4)


@settings(deadline=None, max_examples=100)
@given(acyclic(), st.floats(0.2, 2.0))
def test_posteriors_equal_enumeration(problem: Problem, scale: float) -> None:
    lattice = lattice_for(problem)
    if lattice is None:
        return
    posteriors, total = arc_posteriors(lattice, scale=scale)
    costs = np.array([cost for cost, _ in all_paths(problem)])
    assert total == pytest.approx(np.logaddexp.reduce(-scale * costs), abs=1e-4)
    expected: collections.Counter[int] = collections.Counter()

    def walk(state: int, cost: float, arcs: tuple[int, ...]) -> None:
        if lattice.final[state] < np.inf:
            share = np.exp(-scale * (cost + lattice.final[state]) - total)
            expected.update(dict.fromkeys(arcs, share))
        for arc in np.flatnonzero(lattice.source == state):
            walk(int(lattice.target[arc]), cost + lattice.cost[arc], (*arcs, int(arc)))

    walk(0, 0.0, ())
    np.testing.assert_allclose(
        posteriors, [expected[arc] for arc in range(lattice.n_arcs)], atol=1e-5
    )


def test_bad_input() -> None:
    fst = Fst.from_arcs(0, [0, 1], [0, 0], [0, 0], [0.0, 0.0], [1, 0], [0.0, 0.0])
    with pytest.raises(GraphError, match="epsilon cycles"):
        raw_lattice(fst, np.zeros((1, 1), np.float32), np.zeros(1, np.int32))
    fst = Fst.from_arcs(0, [0], [1], [1], [0.0], [0], [0.0])
    lattice = raw_lattice(fst, np.zeros((1, 1), np.float32), np.zeros(1, np.int32), words=WORDS)
    assert lattice is not None
    with pytest.raises(UsageError):
        n_best(lattice, 0)
    with pytest.raises(UsageError):
        arc_posteriors(lattice, scale=float("nan"))


def test_lattices_that_explode_are_cut_down() -> None:
    """Ten places with three alternatives each, whose histories never meet again."""
    rows = []
    n, width = 10, 3
    for place in range(n):
        for branch in range(width if place else 1):
            source = 1 + (place - 1) * width + branch if place else 0
            for word in range(1, width + 1):
                labels = np.array([place * 10 + branch * 3 + word], dtype=np.int32)
                target = 1 + place * width + word - 1
                rows.append((source, target, 1 + (word + branch) % 2, 0.1 * word, 0.0, labels))
    final = np.full(1 + n * width, np.inf)
    final[-width:] = 0.0
    lattice = lattice_from_rows(rows, final, WORDS)
    whole = determinize_lattice(lattice)
    assert whole.beam == np.inf
    cut = determinize_lattice(lattice, max_states=whole.n_states - 1)
    assert cut.n_states < whole.n_states
    assert cut.beam < np.inf
    for most in (1, 2, 5, 12):
        least = determinize_lattice(lattice, max_states=most)
        best, wanted = best_hypothesis(least), best_hypothesis(whole)
        assert best is not None
        assert wanted is not None
        assert best.words == wanted.words
        assert best.total_cost == pytest.approx(wanted.total_cost)
        assert least.is_deterministic
    with pytest.raises(UsageError):
        determinize_lattice(lattice, max_states=0)
    with pytest.raises(UsageError):
        determinize_lattice(lattice, beam=float("nan"))
