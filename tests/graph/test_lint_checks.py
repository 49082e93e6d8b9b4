"""The checks beside their slow twins, on random machines."""

import itertools
import math
from collections import defaultdict

import numpy as np
from graph_models import lexicons, small_model
from hypothesis import given, settings
from ngram_strategies import arpa_text, backoff_models
from strategies import machines, relation

from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_fst import lexicon_fst
from wfst_hmm.graph.machine_checks import (
    backoff_sums,
    dead_ends,
    free_loop,
    state_sums,
    unreachable_states,
)
from wfst_hmm.graph.sentences import n_spelled, shortest_sentence
from wfst_hmm.graph.two_paths import compare_paths

MODEL = small_model()


@given(machines(max_states=5, n_labels=2, acyclic=True))
@settings(deadline=None, max_examples=150)
def test_two_outputs_are_found_exactly(fst: Fst) -> None:
    fst = ops.connect(fst)
    audible = ops.relabel(fst, {0: 9})  # determinization takes epsilon as a label
    outputs = defaultdict(set)
    for inputs, written in relation(audible, 8):
        outputs[inputs].add(written)
    found = compare_paths(fst)
    assert found.complete
    assert (found.clash is not None) == any(len(o) > 1 for o in outputs.values())
    if found.clash is not None:
        assert found.clash.kind == "outputs"
        assert set(found.clash.outputs) <= {
            o for i, os in outputs.items() for o in os
            if tuple(x for x in i if x != 9) == found.clash.inputs
        }  # fmt: skip


@given(machines(max_states=4, n_labels=2, acceptor=True, epsilons=False))
@settings(deadline=None, max_examples=100)
def test_no_clash_means_determinizable(fst: Fst) -> None:
    fst = ops.connect(fst)
    if compare_paths(fst).clash is None:
        ops.determinize(fst, max_states=20_000)


@given(lexicons(silence=True))
@settings(deadline=None, max_examples=60)
def test_disambiguation_leaves_no_clash_and_its_lack_one_for_homophones(lexicon: Lexicon) -> None:
    found = compare_paths(lexicon_fst(lexicon, MODEL).fst)
    assert found.complete
    assert found.clash is None
    sounds = defaultdict(set)
    for entry in lexicon:
        sounds[entry.phones].add(entry.word)
    if any(len(words) > 1 for words in sounds.values()):
        bare = lexicon_fst(lexicon, MODEL, disambiguate=False, unspoken=())
        clash = compare_paths(bare.fst).clash
        assert clash is not None
        assert clash.outputs[0] != clash.outputs[1]


@given(machines(max_states=5, n_labels=1))
@settings(deadline=None, max_examples=150)
def test_free_loops(fst: Fst) -> None:
    arcs = fst.arcs.copy()
    arcs["weight"] -= 0.75
    fst = Fst.from_arcs(fst.start, fst.sources(), arcs["ilabel"], arcs["olabel"], arcs["weight"],
                        arcs["nextstate"], fst.states["final"])  # fmt: skip
    silent = fst.arcs["ilabel"] == 0
    n = fst.n_states
    step = np.full((n, n), np.inf)
    np.minimum.at(step, (fst.sources()[silent], fst.arcs["nextstate"][silent]),
                  fst.arcs["weight"][silent])  # fmt: skip
    cheapest = math.inf
    for size in range(1, n + 1):
        for cycle in itertools.permutations(range(n), size):
            cost = sum(step[a, b] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
            cheapest = min(cheapest, cost)
    found = free_loop(fst, silent)
    assert (found is not None) == (cheapest <= 0)
    if found is not None:
        states, cost = found
        around = sum(step[a, b] for a, b in zip(states, [*states[1:], states[0]], strict=True))
        assert math.isclose(cost, around, abs_tol=1e-6)
        assert cost <= 1e-6


@given(machines(max_states=6, n_labels=2))
@settings(deadline=None, max_examples=80)
def test_useless_states(fst: Fst) -> None:
    near = np.eye(fst.n_states, dtype=bool)
    near[fst.sources(), fst.arcs["nextstate"]] = True
    for _ in range(fst.n_states):
        near = near @ near
    assert unreachable_states(fst).tolist() == np.flatnonzero(~near[fst.start]).tolist()
    ends = np.isfinite(fst.states["final"])
    assert dead_ends(fst).tolist() == np.flatnonzero(~near[:, ends].any(axis=1)).tolist()


@given(machines(max_states=5, n_labels=2, acyclic=True))
@settings(deadline=None, max_examples=60)
def test_shortest_sentences(fst: Fst) -> None:
    for through in ((), (2,)):
        wanted = [i for i, _ in relation(fst) if not through or 2 in i]
        found = shortest_sentence(fst, through=through)
        assert (found is None) == (not wanted)
        if found is not None:
            assert len(found) == min(map(len, wanted))
            assert tuple(found) in wanted


@given(lexicons(), machines(max_states=4, n_labels=2, acceptor=True, epsilons=False))
@settings(deadline=None, max_examples=30)
def test_what_l_spells(lexicon: Lexicon, fst: Fst) -> None:
    l_fst = lexicon_fst(lexicon, MODEL).fst.with_symbols(None, None)
    n_words = len(lexicon.words)
    for inputs, _ in list(relation(fst, 3))[:5]:
        known = [label <= n_words for label in inputs]
        expected = known.index(False) if False in known else len(inputs) + 1
        if 0 not in inputs and n_words + 1 not in inputs:  # the label after the words is #0
            assert n_spelled(l_fst, inputs) == expected


@given(backoff_models(max_order=3, whole=True))
@settings(deadline=None, max_examples=60)
def test_sums_with_backing_off(listed: dict[tuple[str, ...], tuple[float, float]]) -> None:
    import tempfile
    from pathlib import Path

    from wfst_hmm.graph.arpa import read_arpa
    from wfst_hmm.graph.ngram_fst import ngram_to_fst

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lm.arpa"
        path.write_text(arpa_text(listed))
        fst = ngram_to_fst(read_arpa(path))
    assert fst.isymbols is not None
    backoff = fst.isymbols.id("#0")

    def probability(state: int, word: int) -> float:
        share = 1.0
        while True:
            if word < 0:
                if np.isfinite(fst.states["final"][state]):
                    return share * math.exp(-fst.states["final"][state])
            else:
                for arc in fst.arcs_of(state):
                    if arc["ilabel"] == word:
                        return share * math.exp(-arc["weight"])
            way = [arc for arc in fst.arcs_of(state) if arc["ilabel"] == backoff]
            if not way:
                return 0.0
            share, state = share * math.exp(-way[0]["weight"]), int(way[0]["nextstate"])

    words = [-1, *(i for i in range(1, len(fst.isymbols)) if i != backoff)]
    slow = [sum(probability(s, w) for w in words) for s in range(fst.n_states)]
    np.testing.assert_allclose(backoff_sums(fst, backoff), slow, rtol=1e-5)
    plain = [sum(math.exp(-a["weight"]) for a in fst.arcs_of(s)) for s in range(fst.n_states)]
    plain = [p + math.exp(-f) for p, f in zip(plain, fst.states["final"], strict=True)]
    np.testing.assert_allclose(state_sums(fst), plain, rtol=1e-5)
