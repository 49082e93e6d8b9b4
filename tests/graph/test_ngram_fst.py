"""n-gram models as transducers: path costs by hand, and the machine that Kaldi makes."""

import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ngram_strategies import arpa_text, backoff_models

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.arpa import read_arpa
from wfst_hmm.graph.ngram_fst import ngram_to_fst

Listed = dict[tuple[str, ...], tuple[float, float]]
LOG10 = math.log(10)


def strict_cost(fst: Fst, sentence: list[str]) -> float:
    """Cost of a sentence when a backoff arc is taken only where the word has no arc."""
    assert fst.isymbols is not None
    state, cost = fst.start, 0.0
    for word in [*sentence, None]:
        while True:
            arcs = {fst.isymbols[int(arc["ilabel"])]: arc for arc in fst.arcs_of(state)}
            assert len(arcs) == len(fst.arcs_of(state)), "deterministic"
            if word is None and np.isfinite(fst.states[state]["final"]):
                return cost + float(fst.states[state]["final"])
            if word in arcs or "#0" not in arcs:
                break
            cost += float(arcs["#0"]["weight"])
            state = int(arcs["#0"]["nextstate"])
        if word not in arcs:
            return math.inf
        cost += float(arcs[word]["weight"])
        state = int(arcs[word]["nextstate"])
    return cost


@given(listed=backoff_models())
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sentence_costs_are_the_models(listed: Listed, tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    model = read_arpa(path)
    fst = ngram_to_fst(model)
    spoken = [text[0] for text in listed if len(text) == 1 and text[0][0] != "<"]
    for n in range(4):
        for sentence in itertools.product(spoken, repeat=n):
            expected = -model.sentence_log_prob(sentence)
            assert strict_cost(fst, list(sentence)) == pytest.approx(expected, abs=1e-4)


def any_path_cost(fst: Fst, sentence: list[str]) -> float:
    """Cost of the cheapest path of a sentence, backing off wherever one likes."""
    assert fst.isymbols is not None
    frontier = {fst.start: 0.0}

    def backed_off(costs: dict[int, float]) -> dict[int, float]:
        agenda = list(costs.items())
        while agenda:
            state, cost = agenda.pop()
            for arc in fst.arcs_of(state):
                total = cost + float(arc["weight"])
                following = int(arc["nextstate"])
                if fst.isymbols[int(arc["ilabel"])] == "#0" and total < costs.get(
                    following, np.inf
                ):
                    costs[following] = total
                    agenda.append((following, total))
        return costs

    for word in sentence:
        after: dict[int, float] = {}
        for state, cost in backed_off(frontier).items():
            for arc in fst.arcs_of(state):
                if fst.isymbols[int(arc["ilabel"])] == word:
                    following = int(arc["nextstate"])
                    after[following] = min(
                        after.get(following, np.inf), cost + float(arc["weight"])
                    )
        frontier = after
    costs = [c + float(fst.states["final"][s]) for s, c in backed_off(frontier).items()]
    return min(costs, default=np.inf)


@given(listed=backoff_models(), seed=st.integers(0, 2**32 - 1))
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_impossible_stays_so_behind_every_backoff(
    listed: Listed, seed: int, tmp_path: Path
):
    """n-grams of -inf: G and `sentence_log_prob` have one answer."""
    rng = np.random.default_rng(seed)
    listed = {text: (-math.inf if rng.random() < 0.3 else p, b) for text, (p, b) in listed.items()}
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    model = read_arpa(path)
    fst = ngram_to_fst(model)
    spoken = [text[0] for text in listed if len(text) == 1 and text[0][0] != "<"]
    for n in range(4):
        for sentence in itertools.product(spoken, repeat=n):
            expected = -model.sentence_log_prob(sentence)
            assert strict_cost(fst, list(sentence)) == pytest.approx(expected, abs=1e-4)
            assert math.isfinite(any_path_cost(fst, list(sentence))) == math.isfinite(expected)


def test_labels_and_ends(tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text({
        ("<s>",): (-99.0, -0.5), ("</s>",): (-1.0, 0.0), ("a",): (-0.5, -0.25),
        ("b",): (-0.7, 0.0), ("<s>", "a"): (-0.1, 0.0), ("a", "</s>"): (-0.2, 0.0),
    }))  # fmt: skip
    fst = ngram_to_fst(read_arpa(path))
    assert list(fst.isymbols or ()) == ["<eps>", "a", "b", "#0"]
    backoff = fst.arcs[fst.arcs["ilabel"] == 3]
    assert set(backoff["olabel"]) == {0}
    assert len(backoff) == 2  # from <s> and from a; b has no state
    assert fst.n_states == 3
    table = Symbols(["#0", "z", "b", "a"])
    other = ngram_to_fst(read_arpa(path), table)
    assert other.isymbols == table
    assert strict_cost(other, ["a", "b"]) == pytest.approx(strict_cost(fst, ["a", "b"]))
    with pytest.raises(GraphError, match="lacks 1 words"):
        ngram_to_fst(read_arpa(path), Symbols(["#0", "a"]))
    with pytest.raises(GraphError, match="no </s>"):
        path.write_text(arpa_text({("a",): (-1.0, 0.0)}))
        ngram_to_fst(read_arpa(path))


def test_a_probability_of_zero_is_no_arc(tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text({
        ("<s>",): (-1.0, 0.0), ("</s>",): (-1.0, 0.0), ("a",): (-math.inf, 0.0),
    }))  # fmt: skip
    assert ngram_to_fst(read_arpa(path)).n_arcs == 0


KALDI = """
import contextlib, os, sys, kaldilm
text = kaldilm.arpa2fst(sys.argv[1], disambig_symbol="#0", write_symbol_table=sys.argv[2])
open(sys.argv[3], "w").write(text)
"""


def kaldi_machine(
    path: Path,
) -> tuple[int, dict[int, dict[str, tuple[float, int]]], dict[int, float]]:
    """Convert with kaldilm; return start, arcs by label, final costs."""
    symbols, out = path.with_suffix(".syms"), path.with_suffix(".fst.txt")
    done = subprocess.run(
        [sys.executable, "-c", KALDI, path, symbols, out], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    word = {int(n): w for w, n in (line.split() for line in symbols.read_text().splitlines())}
    arcs: dict[int, dict[str, tuple[float, int]]] = {}
    final: dict[int, float] = {}
    start = -1
    for line in out.read_text().splitlines():
        fields = line.split()
        if not fields:
            continue
        state = int(fields[0])
        start = state if start < 0 else start
        if len(fields) <= 2:
            final[state] = float(fields[1]) if len(fields) == 2 else 0.0
        else:
            cost = float(fields[4]) if len(fields) == 5 else 0.0
            arcs.setdefault(state, {})[word[int(fields[2])]] = (cost, int(fields[1]))
    return start, arcs, final


def assert_same_machine(fst: Fst, path: Path) -> None:
    start, arcs, final = kaldi_machine(path)
    assert fst.isymbols is not None

    def past_redundant(state: int, cost: float = 0.0) -> tuple[float, int]:
        """Skip states with nothing but a backoff arc: kaldilm keeps them, Kaldi removes them."""
        while state not in final and set(arcs.get(state, {})) == {"#0"}:
            weight, state = arcs[state]["#0"]
            cost += weight
        return cost, state

    if past_redundant(start)[0] == 0:  # a free way out of <s>: our machine starts at its end
        start = past_redundant(start)[1]
    pairs, seen = [(fst.start, start)], {(fst.start, start)}
    while pairs:
        mine, theirs = pairs.pop()
        own = {fst.isymbols[int(arc["ilabel"])]: arc for arc in fst.arcs_of(mine)}
        assert set(own) == set(arcs.get(theirs, {}))
        assert fst.states[mine]["final"] == pytest.approx(final.get(theirs, math.inf), abs=1e-4)
        for label, (first, after) in arcs.get(theirs, {}).items():
            cost, target = past_redundant(after, first)
            assert own[label]["weight"] == pytest.approx(cost, abs=2e-4)
            pair = (int(own[label]["nextstate"]), target)
            if pair not in seen:
                seen.add(pair)
                pairs.append(pair)


SMALL: Listed = {
    ("<s>",): (-99.0, -0.3), ("</s>",): (-1.1, 0.0), ("a",): (-0.6, -0.2), ("b",): (-0.8, -0.4),
    ("c",): (-0.9, 0.0), ("<s>", "a"): (-0.2, -0.1), ("a", "b"): (-0.3, -0.6),
    ("b", "</s>"): (-0.5, 0.0), ("a", "c"): (-0.7, -0.35), ("c", "a"): (-0.4, -0.15),
    ("<s>", "a", "b"): (-0.15, 0.0), ("a", "b", "c"): (-0.25, 0.0), ("a", "b", "</s>"): (-0.2, 0.0),
    ("c", "a", "b"): (-0.45, 0.0), ("b", "a", "c"): (-0.1, 0.0),  # "b a" is no 2-gram: left out
}  # fmt: skip


def test_same_machine_as_kaldi(tmp_path: Path):
    pytest.importorskip("kaldilm")
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(SMALL))
    model = read_arpa(path)
    assert model.info["skipped"] == 1
    assert_same_machine(ngram_to_fst(model), path)


def test_same_machine_as_kaldi_on_yesno(shared: Path, tmp_path: Path):
    pytest.importorskip("kaldilm")
    path = tmp_path / "task.arpa"
    path.write_bytes((shared / "yesno" / "kaldi" / "lm" / "task.arpabo").read_bytes())
    assert_same_machine(ngram_to_fst(read_arpa(path)), path)


@given(listed=backoff_models(whole=True))
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_same_machine_as_kaldi_at_random(listed: Listed, tmp_path: Path):
    pytest.importorskip("kaldilm")
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    assert_same_machine(ngram_to_fst(read_arpa(path)), path)
