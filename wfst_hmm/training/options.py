"""Every choice of the training recipe, with the sentence of help that API and command line show.

In: numbers and names. Out: `TrainingOptions`, checked.

Public names: `TrainingOptions`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

from wfst_hmm.errors import UsageError
from wfst_hmm.graph.oov import OovOptions
from wfst_hmm.models.topology import Topology
from wfst_hmm.options import check, option
from wfst_hmm.orthography import is_symbol
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = ["TrainingOptions"]


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """Options of the monophone recipe; each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible; the message names the option.
    """

    features: FrontEnd = option(FeatureOptions, "How audio becomes features.")
    n_passes: int = option(40, "Passes over the data, each one alignment and one update.", least=1)
    n_gaussians: int = option(1000, "Gaussians of all states together, at the end.", least=1)
    n_states: int = option(3, "HMM states of a phone.", least=1)
    skip: float = option(
        0.0,
        "A move over k HMM states of a phone is so likely to the k; above 0 phones may be as short "
        "as a frame: for recordings that were cut too tightly.",
        least=0,
        below=1,
    )
    n_silence_states: int = option(3, "HMM states of silence.", least=1)
    silence_phone: str = option("SIL", "The phone of the optional silence between words.")
    silence_probability: float = option(
        0.5, "Probability of silence at a word boundary.", least=0, below=1
    )
    growth: float = option(
        0.75, "Share of the passes over which the Gaussians grow in number.", least=0, most=1
    )
    power: float = option(
        0.25, "Gaussians go to states in proportion to occupancy^power.", least=0, most=1
    )
    split_perturbation: float = option(
        0.1, "How far split means move, in standard deviations.", above=0, expected="> 0"
    )
    split_occupancy: float = option(
        20.0, "A state has at most one Gaussian per so many frames.", least=1
    )
    min_occupancy: float = option(10.0, "A Gaussian that sees fewer frames is dropped.", least=1)
    variance_floor: float = option(
        0.01, "Smallest variance as a share of the global variance.", above=0
    )
    transition_floor: float = option(
        1e-3,
        "Smallest probability of an allowed move from HMM state to HMM state.",
        above=0,
        most=0.1,
    )
    beam: float = option(
        math.inf,
        "Alignment drops paths costlier than the best by more nats than this; inf: none.",
        above=0,
    )
    perturb: tuple[float, ...] = option(
        (),
        "Also train on copies with the frequency axis stretched by these factors "
        "(for example 0.9 1.1): better for unknown speakers, each copy costs its share of time.",
    )
    on_oov: str = option(
        "raise", "Words that the lexicon lacks: raise, skip (their utterances), guess, or unk."
    )
    fold_case: bool = option(False, "Take words in other case where the lexicon lacks them.")
    on_bad_audio: str = option(
        "raise", "Recordings that cannot be used: raise or skip.", choices=("raise", "skip")
    )
    seed: int = option(0, "Seed of everything random; the same seed gives the same model.", least=0)
    n_workers: int = option(0, "Threads; 0: one for each processor. Changes no result.", least=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "perturb", tuple(float(warp) for warp in self.perturb))
        check(self, "training option {name}")
        OovOptions(self.on_oov)
        for warp in self.perturb:
            _require(0.5 <= warp <= 2.0 and warp != 1.0, "perturb", warp, "0.5 to 2, but not 1")
        name = self.silence_phone
        _require(is_symbol(name), "silence_phone", repr(name), "a name without blanks")

    @property
    def workers(self) -> int:
        """Number of threads to use."""
        return self.n_workers or os.cpu_count() or 1

    @property
    def last_growing_pass(self) -> int:
        """Pass after which the number of Gaussians no longer grows."""
        return max(1, round(self.growth * self.n_passes))

    def topology(self, phone: str) -> Topology:
        """Return the HMM that `phone` begins with."""
        if phone == self.silence_phone:
            return Topology.silence(self.n_silence_states)
        if self.skip > 0:
            return Topology.skipping(self.n_states, skip=self.skip)
        return Topology.left_to_right(self.n_states)

    def replace(self, **changes: Any) -> TrainingOptions:
        """Return the same options but for `changes`."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return what the result depends on, JSON-ready: everything but the number of threads."""
        values = dataclasses.asdict(self)
        del values["n_workers"]
        values["perturb"] = list(self.perturb)
        values["beam"] = self.beam if math.isfinite(self.beam) else "inf"
        return values


def _require(right: bool, name: str, got: object, expected: str) -> None:
    if not right:
        raise UsageError(f"training option {name}", got=got, expected=expected)
