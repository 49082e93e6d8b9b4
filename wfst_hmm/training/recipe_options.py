"""Every choice of the ladder of acoustic models.

In: numbers and names. Out: `RecipeOptions`, checked; the schedule of each stage.

Public names: `RECIPES`, `RecipeOptions`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from wfst_hmm.options import check, option
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.tied import StageOptions
from wfst_hmm.training.tree_building import TreeOptions

__all__ = ["RECIPES", "RecipeOptions"]

#: The stages, each of which begins with the one before.
RECIPES = ("mono", "tri", "lda", "sat")
_TRANSFORM_PASSES = (2, 4, 6, 12)


@dataclasses.dataclass(frozen=True)
class RecipeOptions:
    """Every choice of the ladder."""

    training: TrainingOptions = option(
        TrainingOptions,
        "Of the monophones; and what is common to all stages: features, silence, splitting, floors, "
        "beam, seed, threads.",
    )
    leaves: int = option(1200, "Tied states of the stages in context.", least=1)
    gaussians: int = option(8000, "Gaussians of the stages in context.", least=1)
    passes: int = option(30, "Of each stage in context.", least=1)
    splice: int = option(4, "Frames on each side that LDA sees.", least=0)
    lda_dims: int = option(40, "Dimensions that LDA leaves.", least=1)
    tree: TreeOptions = option(TreeOptions, "When trees stop growing, beside the number of leaves.")

    def __post_init__(self) -> None:
        check(self, "recipe option {name}")

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
