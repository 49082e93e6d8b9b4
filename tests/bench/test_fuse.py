"""The bench of costs added while searching: at a wide beam both sides find the same path."""

import re

import pytest

pytest.importorskip("pocketsphinx", reason="needs the models of the pocketsphinx package")

from wfst_hmm.bench.fuse import bench_fuse


def test_the_difference_finds_what_the_larger_graph_holds() -> None:
    size, difference, boosts = bench_fuse(40, n_frames=80, beam=60.0, n_phrases=20, repeat=1)
    assert size.ratio is not None
    assert size.ratio < 0.7
    ours, theirs = map(
        float, re.findall(r"cost (-?[\d.]+), the graph's (-?[\d.]+)", difference.note)[0]
    )
    # The graph's epsilons may back off although a 2-gram is listed: never dearer, hardly cheaper.
    assert theirs - 1e-2 <= ours <= theirs + 1.0
    with_, without = map(float, re.findall(r"cost (-?[\d.]+), without (-?[\d.]+)", boosts.note)[0])
    assert with_ <= without + 1e-2
