"""Random word machines over the words of `search_problems.WORDS`."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from search_problems import WORDS

from wfst_hmm.graph.word_costs import WordCosts
from wfst_hmm.graph.word_machine import Phrase, WordMachine, phrase_machine


def random_machine(seed: int, n_states: int) -> WordMachine:
    """Draw a machine with failure arcs to lower states; costs in quarters of a nat."""
    rng = np.random.default_rng(seed)
    n_labels = 4
    fail = np.array([-1, *(int(rng.integers(0, s)) for s in range(1, n_states))], dtype=np.int32)
    label, cost, following, first = [], [], [], [0, 0]
    for _ in range(1, n_states):
        own = np.flatnonzero(rng.random(n_labels) < 0.4)
        label += own.tolist()
        cost += (rng.integers(-8, 9, len(own)) / 4).tolist()
        following += rng.integers(0, n_states, len(own)).tolist()
        first.append(len(label))
    costs = rng.integers(-8, 9, n_labels) / 4
    return WordMachine(
        int(rng.integers(0, n_states)), np.array([0, *rng.integers(0, n_labels, 3)], np.int32),
        np.array(first, np.int64), np.array(label, np.int32), np.array(cost, np.float32),
        np.array(following, np.int32), fail,
        (rng.integers(-4, 5, n_states) / 4).astype(np.float32),
        np.where(rng.random(n_states) < 0.9, rng.integers(-4, 5, n_states) / 4, np.inf).astype(
            np.float32
        ),
        rng.integers(0, n_states, n_labels).astype(np.int32),
        np.where(rng.random(n_labels) < 0.9, costs, np.inf).astype(np.float32),
    )  # fmt: skip


@st.composite
def word_costs(draw: st.DrawFn) -> WordCosts:
    """Draw one to three machines with factors."""
    machines = []
    for _ in range(draw(st.integers(1, 2))):
        machine = random_machine(draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 4)))
        machines.append((draw(st.sampled_from([1.0, -1.0, 0.5])), machine))
    if draw(st.booleans()):
        phrases = draw(
            st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=3)
        )
        machines.append((1.0, phrase_machine([Phrase(tuple(p), 1.5) for p in phrases], WORDS)))
    return WordCosts(WORDS, machines)
