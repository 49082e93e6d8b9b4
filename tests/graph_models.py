"""A stand-in for an acoustic model, and random ones."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.topology import StateLabels, Topology


@dataclasses.dataclass(frozen=True, eq=False)
class SmallModel:
    """What graphs need of a model: phones and their HMMs."""

    phones: tuple[str, ...]
    topologies: tuple[Topology, ...]
    silence_phones: tuple[str, ...] = ("SIL",)
    hash: str = "small"
    frame_shift: float = 0.01

    def state_labels(self) -> StateLabels:
        sizes = [topology.n_states for topology in self.topologies]
        ends = np.cumsum(sizes)
        columns = [np.arange(e - n, e, dtype=np.int32) for e, n in zip(ends, sizes, strict=True)]
        return StateLabels.build(self.phones, self.topologies, columns)


def small_model(phones: str = "A B C", n_states: int = 2) -> SmallModel:
    names = (*phones.split(), "SIL")
    chain = Topology.left_to_right(n_states, self_loop=0.25)
    return SmallModel(names, (chain,) * (len(names) - 1) + (Topology.silence(3),))


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    kind = draw(st.sampled_from(["one", "chain", "skip", "ergodic", "silence"]))
    if kind == "one":
        return Topology.left_to_right(1, self_loop=draw(st.sampled_from([0.0, 0.5])))
    if kind == "chain":
        return Topology.left_to_right(2, self_loop=0.25)
    if kind == "skip":
        return Topology.left_to_right(3, self_loop=0.5, skip=0.25)
    if kind == "ergodic":
        return Topology.ergodic(2, leave=0.25)
    return Topology.silence(3)


@st.composite
def models(draw: st.DrawFn, *, n_phones: int = 3) -> SmallModel:
    names = (*"ABC"[:n_phones], "SIL")
    return SmallModel(names, tuple(draw(topologies()) for _ in names))


@st.composite
def lexicons(draw: st.DrawFn, *, phones: str = "ABC", silence: bool = False) -> Lexicon:
    """Draw words with homophones, prefixes, several pronunciations and probabilities."""
    names = [*phones, *(["SIL"] if silence else [])]
    entries = []
    for number in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(1, 2))):
            sound = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
            probability = draw(st.sampled_from([1.0, 0.5, 0.25]))
            entries.append(Entry(f"w{number}", tuple(sound), probability))
    return Lexicon(entries)
