"""Lattices of small graphs, held against those of the beam search."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from search_problems import WORDS, Problem, acyclic

from wfst_hmm.lattice.generate import lattice_of
from wfst_hmm.search.beam import BeamSearch
from wfst_hmm.search.dense import DenseLinks, links_are_dense
from wfst_hmm.search.options import SearchOptions


def rows(problem: Problem, search: BeamSearch | DenseLinks, options: SearchOptions) -> object:
    """Return the number of states, and what all arcs of the lattice say, sorted."""
    search.advance(problem.scores)
    lattice = lattice_of(search, options, WORDS, 0.01)
    if lattice is None:
        return None
    ends = [len(lattice.final), *np.sort(lattice.final).tolist()]
    frame = lattice.frames()
    arcs = zip(frame[lattice.source].tolist(), lattice.word.tolist(),
               lattice.graph_cost.tolist(), lattice.acoustic_cost.tolist(), strict=True)  # fmt: skip
    return ends, sorted(arcs)


@settings(deadline=None, max_examples=200)
@given(acyclic(max_states=6, max_frames=8), st.floats(0.3, 9.0))
def test_lattices_are_those_of_the_beam_search(problem: Problem, lattice_beam: float) -> None:
    options = SearchOptions(beam=np.inf, max_active=0, lattice_beam=lattice_beam)
    assert links_are_dense(problem.fst, options, len(problem.scores))
    dense = DenseLinks(problem.fst, problem.columns, options)
    beam = BeamSearch(problem.fst, problem.columns, options, links=True)
    assert rows(problem, dense, options) == rows(problem, beam, options)
