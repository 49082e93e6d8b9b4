"""Random tied mixtures."""

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.models.codebooks import CodebookSet


@st.composite
def codebook_sets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_codebooks, n_densities = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    n_streams, n_states = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    sizes = [draw(st.integers(1, 3)) for _ in range(n_streams)]
    dims = np.split(rng.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    shape = (n_codebooks, n_densities)
    weights = rng.dirichlet(np.ones(n_densities), (n_streams, n_states)).astype(np.float32)
    kind = draw(st.sampled_from(["plain", "zeros", "tiny"]))
    if kind == "zeros":
        weights[rng.random(weights.shape) < 0.4] = 0
        weights[..., 0] += 0.1
    if kind == "tiny":
        weights *= np.float32(1e-20)
    if draw(st.booleans()) and n_codebooks == n_states:
        codebook = np.arange(n_states, dtype=np.int32)
    else:
        codebook = rng.integers(n_codebooks, size=n_states, dtype=np.int32)
    return CodebookSet(
        tuple(dims),
        tuple(rng.normal(size=(*shape, n)) * 2 for n in sizes),
        tuple(rng.uniform(0.3, 2, size=(*shape, n)) for n in sizes),
        weights,
        codebook,
    )
