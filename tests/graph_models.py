"""A stand-in for an acoustic model, and random ones."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st

from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.models.context import ContextMap, PhysicalHmm
from wfst_hmm.models.topology import StateLabels, Topology


@dataclasses.dataclass(frozen=True, eq=False)
class SmallModel:
    """What graphs need of a model: phones and their HMMs."""

    phones: tuple[str, ...]
    topologies: tuple[Topology, ...]
    silence_phones: tuple[str, ...] = ("SIL",)
    hash: str = "small"
    frame_shift: float = 0.01
    frame_offset: float = 0.0

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
def lexicons(
    draw: st.DrawFn, *, phones: str = "ABC", silence: bool = False, pauses: bool = False
) -> Lexicon:
    """Draw words with homophones, prefixes, several pronunciations and probabilities.

    With `pauses`, some of them say how likely silence is after them.
    """
    names = [*phones, *(["SIL"] if silence else [])]
    entries = []
    for number in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(1, 2))):
            sound = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
            probability = draw(st.sampled_from([1.0, 0.5, 0.25]))
            pause = draw(st.sampled_from([None, 0.0, 0.125, 0.75])) if pauses else None
            entries.append(Entry(f"w{number}", tuple(sound), probability, silence=pause))
    return Lexicon(entries)


@dataclasses.dataclass(frozen=True, eq=False)
class SmallContextModel:
    """Phones in context, without densities."""

    context: ContextMap
    silence_phones: tuple[str, ...] = ("SIL",)
    hash: str = "small context"
    frame_shift: float = 0.01
    frame_offset: float = 0.0

    @property
    def phones(self) -> tuple[str, ...]:
        return self.context.phones

    def state_labels(self) -> StateLabels:
        return self.context.state_labels()


@st.composite
def context_models(
    draw: st.DrawFn, *, n_phones: int = 3, positions: bool | None = None
) -> SmallContextModel:
    """Draw models whose HMMs depend on neighbours at random; silence mostly does not."""
    names = (*"ABC"[:n_phones], "SIL")
    n = len(names)
    shapes = tuple(draw(topologies()) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_positions = 4 if (draw(st.booleans()) if positions is None else positions) else 1
    per_phone = int(rng.integers(1, 4))
    hmms: list[PhysicalHmm] = []
    for phone in range(n):
        for _ in range(per_phone):
            topology = int(rng.integers(2))
            columns = rng.integers(0, 6, shapes[topology].n_states) + 6 * phone
            hmms.append(PhysicalHmm(phone, topology, tuple(columns.tolist())))

    def grid(centre: int, _: int) -> np.ndarray:
        own = np.arange(per_phone) + centre * per_phone
        if centre == n - 1 and rng.random() < 0.75:
            return own[:1].reshape(1, 1)
        return rng.choice(own, (int(rng.choice([1, n + 1])), int(rng.choice([1, n + 1]))))

    return SmallContextModel(
        ContextMap.build(names, shapes, hmms, grid, n_positions=n_positions)
    )  # fmt: skip
