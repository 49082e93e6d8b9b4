"""Random small compact graphs and scores for property tests."""

import numpy as np
from graph_models import topologies
from hypothesis import strategies as st

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compact import CompactGraph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.units import Units
from wfst_hmm.models.scores import Scores
from wfst_hmm.models.topology import StateLabels, Topology

CHAIN = Topology.left_to_right(3, self_loop=0.5)


def random_graph(seed: int, kinds: list[Topology], n_states: int) -> CompactGraph:
    """Return a random machine over one unit for each of `kinds`, as in `search_problems`."""
    rng = np.random.default_rng(seed)
    n_arcs = int(rng.integers(1, 3 * n_states + 4))
    source = rng.integers(0, n_states, n_arcs)
    following = np.where(rng.random(n_arcs) < 0.2, source, rng.integers(0, n_states, n_arcs))
    ilabel = rng.integers(0, len(kinds) + 1, n_arcs)
    weight = rng.integers(-4, 9, n_arcs) / 4
    height = rng.integers(-4, 5, n_states) / 4
    climb = height[following] - height[source]
    weight = np.where(ilabel == 0, np.abs(weight) * (rng.random(n_arcs) < 0.7) + climb, weight)
    final = np.where(rng.random(n_states) < 0.6, rng.integers(0, 9, n_states) / 4, np.inf)
    words = Symbols(["a", "b", "c"])
    fst = Fst.from_arcs(
        0, source, ilabel, rng.integers(0, 4, n_arcs), weight, following, final, None, words
    )
    phones = tuple(f"P{i}" for i in range(len(kinds)))
    columns = [rng.integers(0, 4, kind.n_states).astype(np.int32) for kind in kinds]
    labels = StateLabels.build(phones, kinds, columns)
    units = Units.of_phones(kinds, labels)
    return CompactGraph(fst, units, labels, words, phones, (), Lexicon([]), model_hash="")


def random_scores(seed: int, n_frames: int) -> Scores:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-12, 5, (n_frames, 4)) / 4).astype(np.float32)
    scores[rng.random(scores.shape) < 0.05] = -np.inf
    return Scores(scores)


graphs = st.builds(
    random_graph, st.integers(0, 2**32 - 1), st.lists(topologies(), min_size=1, max_size=3),
    st.integers(1, 6),
)  # fmt: skip
chains = st.builds(
    random_graph, st.integers(0, 2**32 - 1), st.just([CHAIN, CHAIN]), st.integers(1, 6)
)
