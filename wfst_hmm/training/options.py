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
from wfst_hmm.orthography import is_symbol
from wfst_hmm.signal.front_end import FrontEnd
from wfst_hmm.signal.kaldi import FeatureOptions

__all__ = ["TrainingOptions"]


def _option(default: Any, help_text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help_text})


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """Options of the monophone recipe; each field's metadata holds its ``help``.

    Raises
    ------
    UsageError
        A value is impossible; the message names the option.
    """

    features: FrontEnd = dataclasses.field(
        default_factory=FeatureOptions, metadata={"help": "How audio becomes features."}
    )
    n_passes: int = _option(40, "Passes over the data, each one alignment and one update.")
    n_gaussians: int = _option(1000, "Gaussians of all states together, at the end.")
    n_states: int = _option(3, "HMM states of a phone.")
    skip: float = _option(
        0.0,
        "A move over k HMM states of a phone is so likely to the k; above 0 phones may be as short "
        "as a frame: for recordings that were cut too tightly.",
    )
    n_silence_states: int = _option(3, "HMM states of silence.")
    silence_phone: str = _option("SIL", "The phone of the optional silence between words.")
    silence_probability: float = _option(0.5, "Probability of silence at a word boundary.")
    growth: float = _option(0.75, "Share of the passes over which the Gaussians grow in number.")
    power: float = _option(0.25, "Gaussians go to states in proportion to occupancy^power.")
    split_perturbation: float = _option(0.1, "How far split means move, in standard deviations.")
    split_occupancy: float = _option(20.0, "A state has at most one Gaussian per so many frames.")
    min_occupancy: float = _option(10.0, "A Gaussian that sees fewer frames is dropped.")
    variance_floor: float = _option(0.01, "Smallest variance as a share of the global variance.")
    transition_floor: float = _option(
        1e-3, "Smallest probability of an allowed move from HMM state to HMM state."
    )
    beam: float = _option(
        math.inf, "Alignment drops paths costlier than the best by more nats than this; inf: none."
    )
    perturb: tuple[float, ...] = _option(
        (),
        "Also train on copies with the frequency axis stretched by these factors "
        "(for example 0.9 1.1): better for unknown speakers, each copy costs its share of time.",
    )
    on_oov: str = _option(
        "raise", "Words that the lexicon lacks: raise, skip (their utterances), guess, or unk."
    )
    fold_case: bool = _option(False, "Take words in other case where the lexicon lacks them.")
    on_bad_audio: str = _option("raise", "Recordings that cannot be used: raise or skip.")
    seed: int = _option(0, "Seed of everything random; the same seed gives the same model.")
    n_workers: int = _option(0, "Threads; 0: one for each processor. Changes no result.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "perturb", tuple(float(warp) for warp in self.perturb))
        for name in ("n_passes", "n_gaussians", "n_states", "n_silence_states"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        OovOptions(self.on_oov)
        bad = self.on_bad_audio
        _require(bad in ("raise", "skip"), "on_bad_audio", repr(bad), "raise or skip")
        probability = self.silence_probability
        _require(0 <= probability < 1, "silence_probability", probability, "0 to below 1")
        _require(0 <= self.growth <= 1, "growth", self.growth, "0 to 1")
        _require(0 <= self.power <= 1, "power", self.power, "0 to 1")
        _require(self.split_perturbation > 0, "split_perturbation", self.split_perturbation, "> 0")
        _require(self.variance_floor > 0, "variance_floor", self.variance_floor, "above 0")
        _require(0 <= self.skip < 1, "skip", self.skip, "0 to below 1")
        floor = self.transition_floor
        _require(0 < floor <= 0.1, "transition_floor", floor, "above 0, at most 0.1")
        for name in ("split_occupancy", "min_occupancy"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _require(self.beam > 0, "beam", self.beam, "above 0")
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        _require(self.n_workers >= 0, "n_workers", self.n_workers, "0 or more")
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
