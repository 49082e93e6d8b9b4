"""HMMs as transducers: composed with a sausage they say what the recursions say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.fst import ops
from wfst_hmm.fst.sausage import sausage
from wfst_hmm.models.chain import Chain
from wfst_hmm.models.gmm_hmm import GaussianHmm, GmmHmm
from wfst_hmm.models.hmm import DiscreteHmm


def check(chain: Chain, table: np.ndarray, log_probability: float, path: tuple) -> None:
    """The shortest path is Viterbi's, the log-semiring distance is the forward probability."""
    lattice = ops.compose(sausage(table), chain.to_fst().with_symbols(None, None))
    best = ops.best_path(lattice)
    assert best is not None
    score, states = path
    assert best.cost == pytest.approx(-score, rel=1e-5, abs=1e-4)
    found = np.asarray(best.ilabels) - 1
    steps = np.log(np.maximum(chain.transitions, 1e-320))
    cost = np.log(max(chain.initial[found[0]], 1e-320)) + table[np.arange(len(found)), found].sum()
    cost += steps[found[:-1], found[1:]].sum()
    assert cost == pytest.approx(score, rel=1e-5, abs=1e-4)  # another path only when it ties
    assert len(states) == len(found)
    distances = ops.shortest_distance(lattice, semiring="log", reverse=True)
    assert distances[lattice.start] == pytest.approx(-log_probability, rel=1e-4, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 8))
def test_discrete(seed: int, n: int, n_frames: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((n, n)) * (rng.random((n, n)) < 0.6) + np.eye(n) * 0.2
    b = rng.random((n, 3)) * (rng.random((n, 3)) < 0.8) + 0.001
    hmm = DiscreteHmm(np.full(n, 1 / n), a / a.sum(1, keepdims=True), b / b.sum(1, keepdims=True))
    o = rng.integers(0, 3, n_frames)
    check(hmm.chain, hmm.log_emissions(o), hmm.log_probability(o), hmm.decode(o))


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["diag", "full"]),
    st.sampled_from([Chain.left_to_right, Chain.bakis, Chain.ergodic]),
)  # fmt: skip
def test_continuous(seed: int, n: int, n_mixtures: int, kind: str, start: object) -> None:
    rng = np.random.default_rng(seed)
    chain = start(n)
    if n_mixtures == 1:
        hmm: GmmHmm = GaussianHmm(n, kind, chain=chain)
    else:
        hmm = GmmHmm(n, n_mixtures, kind, chain=chain)
    sequences = [rng.normal(size=(rng.integers(4, 12), 2)) for _ in range(4)]
    hmm.fit(sequences, 2)
    x = sequences[0]
    check(hmm.chain, hmm.log_emissions(x), hmm.score(x), hmm.decode(x))


def test_the_transducer_itself() -> None:
    fst = Chain.left_to_right(2, self_loop=0.25).to_fst(["first", "second"])
    assert fst.n_states == 3
    assert fst.isymbols is not None
    assert [fst.isymbols[int(a["ilabel"])] for a in fst.arcs_of(0)] == ["first"]
    assert np.isinf(fst.states["final"][0])
    np.testing.assert_allclose(fst.arcs_of(1)["weight"], -np.log([0.25, 0.75]), rtol=1e-6)
