"""Random decoding problems, and the slow obvious search that the fast ones are held against."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.lattice.generate import raw_lattice
from wfst_hmm.lattice.lattice import Lattice
from wfst_hmm.models.topology import StateLabels
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.search.prepare import plan_of

WORDS = Symbols(["a", "b", "c"])


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A machine, its scores and the column of each label."""

    fst: Fst
    scores: np.ndarray
    columns: np.ndarray


@st.composite
def problems(draw: st.DrawFn, *, max_states: int = 5, max_frames: int = 4) -> Problem:
    """Draw a random problem; sizes shrink, the rest hangs on a seed."""
    n_states = draw(st.integers(1, max_states))
    n_labels = draw(st.integers(1, 3))
    n_frames = draw(st.integers(0, max_frames))
    return random_problem(draw(st.integers(0, 2**32 - 1)), n_states, n_labels, n_frames)


def random_problem(seed: int, n_states: int, n_labels: int, n_frames: int) -> Problem:
    """Return a machine with epsilons, self-loops, negative costs but no negative epsilon cycle.

    Costs are multiples of 1/4, so that ties are true ties and sums are exact.
    """
    rng = np.random.default_rng(seed)
    n_arcs = int(rng.integers(1, 2 * n_states + 4))
    source = rng.integers(0, n_states, n_arcs)
    following = np.where(rng.random(n_arcs) < 0.2, source, rng.integers(0, n_states, n_arcs))
    ilabel = rng.integers(0, n_labels + 1, n_arcs)
    weight = rng.integers(-4, 9, n_arcs) / 4
    # With a height per state, epsilons cost at least the climb: cycles never cost less than 0.
    height = rng.integers(-4, 5, n_states) / 4
    climb = height[following] - height[source]
    weight = np.where(ilabel == 0, np.abs(weight) * (rng.random(n_arcs) < 0.7) + climb, weight)
    final = np.where(rng.random(n_states) < 0.5, rng.integers(0, 9, n_states) / 4, np.inf)
    fst = Fst.from_arcs(0, source, ilabel, rng.integers(0, 4, n_arcs), weight, following, final)
    n_columns = int(rng.integers(1, 4))
    scores = (rng.integers(-12, 5, (n_frames, n_columns)) / 4).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    columns = rng.integers(0, n_columns, n_labels).astype(np.int32)
    return Problem(fst, scores, columns)


def all_paths(problem: Problem) -> list[tuple[float, tuple[int, ...]]]:
    """Return (cost, arcs) of every path that emits all frames and visits no state twice in a row
    of epsilons, cheapest first."""
    fst, scores, columns = problem.fst, problem.scores, problem.columns
    found: list[tuple[float, tuple[int, ...]]] = []

    def walk(state: int, frame: int, cost: float, arcs: tuple[int, ...], seen: frozenset) -> None:
        if frame == len(scores) and fst.states[state]["final"] < np.inf:
            found.append((cost + float(fst.states[state]["final"]), arcs))
        first = int(fst.states[state]["pos"])
        for arc in range(first, first + int(fst.states[state]["n_arcs"])):
            row = fst.arcs[arc]
            following = int(row["nextstate"])
            if row["ilabel"] == 0:
                if following not in seen:
                    walk(following, frame, cost + float(row["weight"]), (*arcs, arc),
                         seen | {following})  # fmt: skip
            elif frame < len(scores):
                score = float(scores[frame, columns[row["ilabel"] - 1]])
                if score > -np.inf:
                    walk(following, frame + 1, cost + float(row["weight"]) - score, (*arcs, arc),
                         frozenset([following]))  # fmt: skip

    if fst.n_states:
        walk(fst.start, 0, 0.0, (), frozenset([fst.start]))
    return sorted(found)


def cost_of(problem: Problem, arcs: np.ndarray) -> float:
    """Return the cost of one path, having checked that it is one from start to final state."""
    state, frame, cost = problem.fst.start, 0, 0.0
    sources = problem.fst.sources()
    for arc in arcs:
        row = problem.fst.arcs[arc]
        assert sources[arc] == state
        cost += float(row["weight"])
        if row["ilabel"]:
            cost -= float(problem.scores[frame, problem.columns[row["ilabel"] - 1]])
            frame += 1
        state = int(row["nextstate"])
    assert frame == len(problem.scores)
    return cost + float(problem.fst.states[state]["final"])


WIDE = SearchOptions(beam=np.inf, max_active=0, lattice_beam=1e6)


def acyclic(**sizes: int) -> st.SearchStrategy[Problem]:
    return problems(**sizes).filter(lambda problem: not plan_of(problem.fst).cyclic)


def lattice_for(problem: Problem, options: SearchOptions = WIDE) -> Lattice | None:
    return raw_lattice(problem.fst, problem.scores, problem.columns, options, words=WORDS)


def graph_of(problem: Problem) -> Graph:
    """Return the problem's machine as a graph of one-state phones."""
    n = len(problem.columns)
    phones = tuple(f"P{i}" for i in range(n))
    labels = StateLabels(
        np.arange(n, dtype=np.int32), np.zeros(n, np.int32), problem.columns,
        np.ones(n, dtype=bool), Symbols([f"^P{i}.0" for i in range(n)]),
    )  # fmt: skip
    return Graph(
        problem.fst, labels, Symbols(["a", "b", "c"]), phones, (), Lexicon([]), model_hash=""
    )
