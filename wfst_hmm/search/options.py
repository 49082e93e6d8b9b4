"""How to search: one frozen dataclass, every field with the sentence of help that is shown.

In: numbers. Out: `SearchOptions`, checked.

Public names: `AUTO`, `FILLER_WEIGHT`, `SEARCHES`, `SearchOptions`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

from wfst_hmm.errors import UsageError
from wfst_hmm.options import check, option

__all__ = ["AUTO", "FILLER_WEIGHT", "SEARCHES", "SearchOptions"]

#: Nats per frame, near the equal error rate on spoken digits (``wfst-hmm bench reject``).
FILLER_WEIGHT = 4.0
SEARCHES = ("beam", "exact", "compose")
#: The beam search with what makes it hard to lose a path: small graphs are searched exactly unless
#: the beam is narrow, which is quicker; where every path was lost, wider beams are tried.
AUTO = "auto"
_AUTO_RETRIES = 2
_AUTO_ACTIVE = 20


_COUNT: dict[str, Any] = {"least": 0, "what": "{name} must not be negative"}


class _Scaled(Protocol):
    @property
    def acoustic_scale(self) -> float: ...


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """Options of all searches.

    A beam of 24 nats is wide for acoustic costs scaled by a tenth: on the demo's corpus, beams of
    16 and 20 lost the best path of one utterance with one seed, 24 of none; `max_active` bounds
    its price on large graphs.

    Raises
    ------
    UsageError
        A value that no search could use: a beam of zero, negative or NaN, an unknown search.

    Examples
    --------
    >>> SearchOptions(beam=12).acoustic_scale is None  # the graph's, which is its model's
    True
    """

    search: str = option(
        AUTO,
        "Which search: beam prunes by --beam and --max-active alone; auto is the same, but keeps a "
        "few states in any case, tries wider beams where every path was lost, and searches small "
        "graphs exactly; exact, compose.",
        choices=(AUTO, *SEARCHES),
        expected=" or ".join((AUTO, *SEARCHES)),
        what="unknown search",
    )
    beam: float = option(
        24.0,
        "Paths costlier than the best by more than this many nats are dropped; inf: none.",
        above=0,
    )
    max_active: int = option(
        7000,
        "At most about this many states stay active from frame to frame; 0: no limit.",
        **_COUNT,
    )
    min_active: int | None = option(
        None,
        "At least this many states stay active, whatever the beam; by default "
        f"{_AUTO_ACTIVE} with auto, 0 with beam.",
        **_COUNT,
    )
    acoustic_scale: float | None = option(
        None, "Factor on the acoustic log-likelihoods; by default the model's.", above=0
    )
    lattice_beam: float = option(
        8.0, "Lattices keep paths within this many nats of the best one.", above=0
    )
    certify: bool = option(
        False, "Prove how far from the optimum the search is at most, and note it."
    )
    retries: int | None = option(
        None,
        "How often to search again with twice the beam when pruning lost every path, and then "
        f"without pruning; by default {_AUTO_RETRIES} with auto, 0 with beam.",
        **_COUNT,
    )

    def __post_init__(self) -> None:
        check(self, "{name} must be above zero", where=True, expected=False)
        if math.isinf(self.scale):
            raise UsageError("acoustic_scale must be finite", where="acoustic_scale")
        if 0 < self.max_active < (self.min_active or 0):
            raise UsageError("min_active is above max_active", where="min_active",
                             got=self.min_active, expected=f"at most {self.max_active}")  # fmt: skip

    def replace(self, **changes: Any) -> SearchOptions:
        """Return the same options but for `changes`."""
        return dataclasses.replace(self, **changes)

    def of(self, graph: _Scaled) -> SearchOptions:
        """Return the options with the acoustic scale of `graph` where they name none."""
        if self.acoustic_scale is not None:
            return self
        return self.replace(acoustic_scale=graph.acoustic_scale)

    def widened(self) -> SearchOptions:
        """Return the options with twice the beam and twice as many active states."""
        return self.replace(beam=2 * self.beam, max_active=2 * self.max_active)

    def unpruned(self) -> SearchOptions:
        """Return the options of a search that drops nothing."""
        return self.replace(beam=math.inf, max_active=0, min_active=0)

    @property
    def is_beam(self) -> bool:
        """Whether the search is the beam search, plain or not."""
        return self.search in (AUTO, "beam")

    @property
    def fewest_active(self) -> int:
        """At least how many states stay active, whatever the beam."""
        if self.min_active is not None:
            return self.min_active
        return min(_AUTO_ACTIVE, self.max_active or _AUTO_ACTIVE) if self.search == AUTO else 0

    @property
    def n_retries(self) -> int:
        """How often to search again when pruning lost every path."""
        if self.retries is not None:
            return self.retries
        return _AUTO_RETRIES if self.search == AUTO else 0

    @property
    def scale(self) -> float:
        """The acoustic scale; 1 where neither options nor a graph name one."""
        return 1.0 if self.acoustic_scale is None else self.acoustic_scale
