"""Every choice of the ladder of acoustic models.

In: numbers and names. Out: `RecipeOptions`, checked; the schedule of each stage.

Public names: `RECIPES`, `RecipeOptions`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from wfst_hmm.errors import UsageError
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.tied import StageOptions
from wfst_hmm.training.tree_building import TreeOptions

__all__ = ["RECIPES", "RecipeOptions"]

#: The stages, each of which begins with the one before.
RECIPES = ("mono", "tri", "lda", "sat")
_TRANSFORM_PASSES = (2, 4, 6, 12)


@dataclasses.dataclass(frozen=True)
class RecipeOptions:
    """Every choice of the ladder.

    Attributes
    ----------
    training : TrainingOptions
        Of the monophones; and what is common to all stages: features, silence, splitting,
        floors, beam, seed, threads.
    leaves, gaussians : int
        Tied states and Gaussians of the stages in context.
    passes : int
        Of each stage in context.
    splice : int
        Frames on each side that LDA sees.
    lda_dims : int
        Dimensions that it leaves.
    tree : TreeOptions
        When trees stop growing, beside the number of leaves.
    """

    training: TrainingOptions = dataclasses.field(default_factory=TrainingOptions)
    leaves: int = 1200
    gaussians: int = 8000
    passes: int = 30
    splice: int = 4
    lda_dims: int = 40
    tree: TreeOptions = dataclasses.field(default_factory=TreeOptions)

    def __post_init__(self) -> None:
        for name, least in (("leaves", 1), ("gaussians", 1), ("passes", 1), ("splice", 0),
                            ("lda_dims", 1)):  # fmt: skip
            if getattr(self, name) < least:
                raise UsageError(f"recipe option {name}", got=getattr(self, name),
                                 expected=f"{least} or more")  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return what the result depends on, JSON-ready."""
        own = dataclasses.asdict(self)
        return {**own, "training": self.training.to_dict()}

    def replace(self, **changes: Any) -> RecipeOptions:
        """Return the same options but for `changes`."""
        return dataclasses.replace(self, **changes)

    def stage(self, name: str) -> StageOptions:
        """Return the schedule of a stage in context."""
        n = self.passes
        align_at = tuple(sorted({max(1, round(n * share)) for share in (0.25, 0.5, 0.75)}))
        turns = tuple(p for p in _TRANSFORM_PASSES if p < n)
        return StageOptions(
            n, self.gaussians, align_at, turns if name == "lda" else (),
            turns if name == "sat" else (),
        )  # fmt: skip
