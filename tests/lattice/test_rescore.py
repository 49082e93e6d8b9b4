import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_strategies import Listed, arpa_text, backoff_models
from search_problems import WORDS, Problem, acyclic, lattice_for

from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.arpa import read_arpa
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.ngram import NgramModel
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import Grammar, word_loop
from wfst_hmm.lattice.determinize import determinize_lattice
from wfst_hmm.lattice.generate import raw_lattice
from wfst_hmm.lattice.lattice import Lattice, lattice_from_rows
from wfst_hmm.lattice.nbest import best_hypothesis, n_best
from wfst_hmm.lattice.oracle import oracle
from wfst_hmm.lattice.rescore import rescored
from wfst_hmm.lattice.scorers import GrammarScorer, NgramScorer
from wfst_hmm.lattice.union import union
from wfst_hmm.search.options import SearchOptions

NONE = np.zeros(0, dtype=np.int32)


def model_of(listed: Listed) -> NgramModel:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lm.arpa"
        path.write_text(arpa_text(listed))
        return read_arpa(path)


def cheapest(grammar: Fst, words: tuple[str, ...]) -> float:
    """Try all ways of a transducer, backoff arcs taken freely."""
    assert grammar.isymbols is not None
    best = [np.inf]

    def walk(state: int, at: int, cost: float, idle: int) -> None:
        if at == len(words):
            best[0] = min(best[0], cost + float(grammar.states["final"][state]))
        for label, _, weight, target in grammar.arcs_of(state).tolist():
            symbol = grammar.isymbols[label]  # type: ignore[index]
            if symbol == "#0" and idle < 5:
                walk(target, at, cost + weight, idle + 1)
            elif at < len(words) and symbol == words[at]:
                walk(target, at + 1, cost + weight, 0)

    walk(grammar.start, 0, 0.0, 0)
    return best[0]


def costs_of(lattice: Lattice) -> dict[tuple[str, ...], float]:
    found = n_best(lattice, 2000)
    costs = {h.words: h.total_cost for h in found}
    assert len(costs) == len(found)  # still deterministic
    return costs


@settings(deadline=None, max_examples=120)
@given(acyclic(), backoff_models(), st.floats(0, 2))
def test_rescoring_equals_enumeration(problem: Problem, listed: Listed, scale: float) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    model = model_of(listed)
    before = costs_of(determinize_lattice(raw))
    after = costs_of(rescored(raw, NgramScorer(model, WORDS), scale=scale))
    wanted = {words: cost - scale * model.sentence_log_prob(words)
              for words, cost in before.items() if all(w in model.words for w in words)}  # fmt: skip
    assert after == {words: pytest.approx(cost, abs=1e-4) for words, cost in wanted.items()}


@settings(deadline=None, max_examples=120)
@given(acyclic(), backoff_models(), backoff_models())
def test_replacing_what_a_graph_put_in_equals_enumeration(
    problem: Problem, small: Listed, large: Listed
) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    for word in "abc":  # the old model knows all words of the lattice
        small = small | {(word,): small.get((word,), (-1.0, -0.25 if len(small) > 3 else 0.0))}
    grammar = ngram_to_fst(model_of(small))
    model = model_of(large)
    old = GrammarScorer(grammar, WORDS)
    new = NgramScorer(model, WORDS, unknown_cost=7.0)
    before = costs_of(determinize_lattice(raw))
    after = costs_of(rescored(raw, new, old=old))
    for words, cost in before.items():
        if len(words) > 5:
            continue
        known = [word if word in model.words else "?" for word in words]
        if "?" in known:
            continue
        wanted = cost - cheapest(grammar, words) - model.sentence_log_prob(words)
        assert after[words] == pytest.approx(wanted, abs=1e-4)
    assert after.keys() == before.keys()
    same = costs_of(rescored(raw, GrammarScorer(grammar, WORDS), old=old))
    assert same == {words: pytest.approx(cost, abs=1e-4) for words, cost in before.items()}


def test_unknown_words_cost_what_is_asked_and_forget_the_history() -> None:
    listed: Listed = {("a",): (-0.5, 0.0), ("<s>",): (-9.0, -0.2), ("</s>",): (-1.0, 0.0),
                      ("<s>", "a"): (-0.1, 0.0), ("a", "a"): (-0.2, 0.0)}  # fmt: skip
    rows = [(i, i + 1, WORDS.id(word), 0.0, 0.0, NONE) for i, word in enumerate("aca")]
    lattice = lattice_from_rows(rows, [np.inf] * 3 + [0.0], WORDS, is_deterministic=True)
    scorer = NgramScorer(model_of(listed), WORDS, unknown_cost=7.0)
    assert scorer.unknown == ("b", "c")
    found = best_hypothesis(rescored(lattice, scorer))
    assert found is not None
    assert found.total_cost == pytest.approx(7.0 + np.log(10) * (0.1 + 0.5 + 1.0))
    none = rescored(lattice, NgramScorer(model_of(listed), WORDS))
    assert best_hypothesis(none) is None


def test_a_grammar_intersects() -> None:
    rows = [(0, 1, WORDS.id(word), cost, 1.0, NONE) for word, cost in zip("abc", (1, 2, 3))]  # noqa: B905
    lattice = lattice_from_rows(rows, [np.inf, 0.0], WORDS, is_deterministic=True)
    table = Symbols(["c", "b", "d"])
    fst = Fst.from_arcs(0, [0, 0, 0], [1, 2, 3], [1, 2, 3], [0.25, 2.0, 0.0], [1, 1, 1],
                        [np.inf, 0.5], table, table)  # fmt: skip
    assert costs_of(rescored(lattice, GrammarScorer(fst, WORDS))) == {
        ("c",): pytest.approx(4.75), ("b",): pytest.approx(5.5)
    }  # fmt: skip


def test_the_graph_s_own_costs_come_out_exactly() -> None:
    """Decode with a 2-gram graph and with a loop that costs nothing: the rest is the same."""
    from wfst_hmm.bench.graph_build import Phones

    lexicon = Lexicon([Entry("a", ("P",)), Entry("b", ("Q",)), Entry("c", ("P", "Q"))])
    listed: Listed = {
        ("a",): (-0.4, -0.3), ("b",): (-0.5, -0.1), ("c",): (-0.7, 0.0), ("<s>",): (-9.0, -0.2),
        ("</s>",): (-0.8, 0.0), ("a", "b"): (-1.5, 0.0), ("b", "c"): (-0.3, 0.0),
        ("<s>", "c"): (-0.9, 0.0), ("c", "</s>"): (-0.2, 0.0),
    }  # fmt: skip
    grammar = ngram_to_fst(model_of(listed))
    model = Phones(("P", "Q", "SIL"))
    options = SearchOptions(beam=np.inf, max_active=0, lattice_beam=1e4)
    scores = np.random.default_rng(3).normal(size=(14, 9)).astype(np.float32)
    lattices = []
    for chosen in (Grammar(grammar, "2-gram"), word_loop(list("abc"), dict.fromkeys("abc", 0.0))):
        graph = build_graph(model, lexicon, chosen)
        raw = raw_lattice(graph.fst, scores, graph.labels.column, options, words=graph.words)
        assert raw is not None
        lattices.append(raw)
    with_lm, without = lattices
    taken = costs_of(rescored(with_lm, None, old=GrammarScorer(grammar, with_lm.words)))
    plain = costs_of(without)
    assert len(taken) > 20
    assert taken == {words: pytest.approx(plain[words], abs=1e-3) for words in taken}


def test_what_cannot_be_rescored_is_told() -> None:
    rows = [(0, 1, 1, 0.0, 0.0, NONE), (0, 1, 2, 0.0, 0.0, NONE)]
    lattice = lattice_from_rows(rows, [np.inf, 0.0], WORDS, is_deterministic=True)
    table = Symbols(["a"])
    fst = Fst.from_arcs(0, [0], [1], [1], [0.0], [1], [np.inf, 0.0], table, table)
    with pytest.raises(GraphError, match="no way on to 'b'"):
        rescored(lattice, None, old=GrammarScorer(fst, WORDS))
    endless = Fst.from_arcs(0, [0, 0], [1, 2], [1, 2], [0.0] * 2, [1, 1], [np.inf] * 2)
    with pytest.raises(GraphError, match="no end"):
        rescored(lattice, None, old=GrammarScorer(endless, WORDS))
    with pytest.raises(UsageError, match="another table"):
        rescored(lattice, GrammarScorer(fst, table))
    with pytest.raises(UsageError, match="finite"):
        rescored(lattice, None, scale=float("nan"))
    with pytest.raises(GraphError, match="too many states"):
        rescored(lattice, None, max_states=1)
    cycle = Fst.from_arcs(0, [0, 1], [0, 0], [0, 0], [-1.0, 0.5], [1, 0], [0.0, 0.0])
    with pytest.raises(GraphError, match="negative cost"):
        GrammarScorer(cycle, WORDS)
    empty = lattice_from_rows([], [np.inf], WORDS)
    assert best_hypothesis(rescored(empty, GrammarScorer(fst, WORDS))) is None
    silent = lattice_from_rows([(0, 1, 0, 1.0, 0.0, NONE)], [np.inf, 0.5], WORDS)
    assert costs_of(rescored(silent, None)) == {(): 1.5}


@settings(deadline=None, max_examples=120)
@given(acyclic(), st.lists(st.sampled_from(["a", "b", "c", "unheard"]), max_size=5))
def test_oracle_equals_enumeration(problem: Problem, said: list[str]) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    ranked = [(distance(h.words, tuple(said)), h.total_cost) for h in n_best(lattice, 2000)]
    for one in (raw, lattice):
        found = oracle(one, said)
        assert found is not None
        hypothesis = found.hypothesis
        assert (found.n_errors, found.n_words) == (min(ranked)[0], len(said))
        assert distance(hypothesis.words, tuple(said)) == found.n_errors
        assert hypothesis.total_cost == pytest.approx(min(ranked)[1], abs=1e-4)
        assert len(hypothesis.labels) == len(problem.scores)


def distance(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        row, above = [i], row
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def test_oracle_of_nothing() -> None:
    assert oracle(lattice_from_rows([], [np.inf], WORDS), ["a"]) is None
    found = oracle(lattice_from_rows([], [0.5], WORDS), ["a"])
    assert found is not None
    assert (found.n_errors, found.hypothesis.words, found.hypothesis.total_cost) == (1, (), 0.5)


@settings(deadline=None, max_examples=60)
@given(acyclic(), acyclic())
def test_union_has_the_paths_of_both(first: Problem, second: Problem) -> None:
    raws = [raw for raw in map(lattice_for, (first, second)) if raw is not None]
    if not raws:
        return
    wanted: dict[tuple[str, ...], float] = {}
    for raw in raws:
        for words, cost in costs_of(determinize_lattice(raw)).items():
            wanted[words] = min(cost, wanted.get(words, np.inf))
    other = Symbols(["c", "x", "a", "b"])
    renamed = [Lattice(**{**raws[-1].__dict__, "words": other,
                          "word": np.array([0, 3, 4, 1], np.int32)[raws[-1].word]})]  # fmt: skip
    for parts in (raws, [*raws[:-1], *renamed]):
        both = union(parts)
        assert (both.source < both.target).all()
        assert costs_of(determinize_lattice(both)) == {
            words: pytest.approx(cost, abs=1e-4) for words, cost in wanted.items()
        }


def test_unions_that_cannot_be() -> None:
    with pytest.raises(UsageError):
        union([])
    one = lattice_from_rows([], [0.0], WORDS)
    two = lattice_from_rows([], [0.0], WORDS, frame_shift=0.02)
    with pytest.raises(DataError, match="frame shifts"):
        union([one, two])


@settings(deadline=None, max_examples=60)
@given(acyclic(), st.floats(0, 3), st.floats(0, 3), st.floats(-2, 2))
def test_reweighting_equals_enumeration(
    problem: Problem, graph: float, acoustic: float, penalty: float
) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    changed = lattice.reweighted(graph_scale=graph, acoustic_scale=acoustic, word_penalty=penalty)
    wanted = {h.words: graph * h.graph_cost + acoustic * h.acoustic_cost + penalty * len(h.words)
              for h in n_best(lattice, 2000)}  # fmt: skip
    assert costs_of(changed) == {w: pytest.approx(c, abs=1e-4) for w, c in wanted.items()}
    for bad in ({"graph_scale": -1.0}, {"acoustic_scale": np.inf}, {"word_penalty": np.nan}):
        with pytest.raises(UsageError):
            lattice.reweighted(**bad)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(acyclic(), st.floats(0, 4))
def test_pruning_keeps_what_is_within_the_beam(problem: Problem, beam: float) -> None:
    raw = lattice_for(problem)
    if raw is None:
        return
    lattice = determinize_lattice(raw)
    costs = costs_of(lattice)
    kept = costs_of(lattice.pruned(beam))
    best = min(costs.values())
    assert kept.items() <= costs.items()
    assert {w for w, c in costs.items() if c <= best + beam - 1e-6} <= kept.keys()
    with pytest.raises(UsageError):
        lattice.pruned(-1.0)
