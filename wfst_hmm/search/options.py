"""How to search: one frozen dataclass, every field with the sentence of help that is shown.

In: numbers. Out: `SearchOptions`, checked.

Public names: `FILLER_WEIGHT`, `SEARCHES`, `SearchOptions`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from wfst_hmm.errors import UsageError

__all__ = ["FILLER_WEIGHT", "SEARCHES", "SearchOptions"]

#: Nats per frame, near the equal error rate on spoken digits (``wfst-hmm bench reject``).
FILLER_WEIGHT = 4.0
SEARCHES = ("beam", "exact", "compose")


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Options of all searches.

    Raises
    ------
    UsageError
        A value that no search could use: a beam of zero, negative or NaN, an unknown search.
    """

    search: str = _option("beam", "Which search: beam, exact or compose.")
    beam: float = _option(
        16.0, "Paths costlier than the best by more than this many nats are dropped; inf: none."
    )
    max_active: int = _option(
        7000, "At most about this many states stay active from frame to frame; 0: no limit."
    )
    min_active: int = _option(20, "At least this many states stay active, whatever the beam.")
    acoustic_scale: float = _option(1.0, "Factor on the acoustic log-likelihoods.")
    lattice_beam: float = _option(8.0, "Lattices keep paths within this many nats of the best one.")
    certify: bool = _option(
        False, "Prove how far from the optimum the beam search is at most, and note it."
    )
    retries: int = _option(
        2, "How often to search again with twice the beam when pruning lost every path."
    )

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise UsageError("unknown search", where="search", got=self.search,
                             expected=" or ".join(SEARCHES))  # fmt: skip
        for name in ("beam", "lattice_beam", "acoustic_scale"):
            value = getattr(self, name)
            if not value > 0:  # false for NaN, too
                raise UsageError(f"{name} must be above zero", where=name, got=value)
        if math.isinf(self.acoustic_scale):
            raise UsageError("acoustic_scale must be finite", where="acoustic_scale")
        for name in ("max_active", "min_active", "retries"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative", where=name,
                                 got=getattr(self, name))  # fmt: skip
        if 0 < self.max_active < self.min_active:
            raise UsageError("min_active is above max_active", where="min_active",
                             got=self.min_active, expected=f"at most {self.max_active}")  # fmt: skip

    def replace(self, **changes: Any) -> SearchOptions:
        """Return the same options but for `changes`."""
        return dataclasses.replace(self, **changes)
