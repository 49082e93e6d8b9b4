"""What ``decode`` and ``listen`` share: boosted phrases, language models, rejection.

In: values of options. Out: `apps.word_costs.WordOptions`.

Public names: `Bias`, `BiasBoost`, `GraphLm`, `LmScale`, `Reject`, `RejectWeight`, `RescoreLm`,
`word_options_from`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.search.options import FILLER_WEIGHT

if TYPE_CHECKING:
    from wfst_hmm.apps.word_costs import WordOptions

__all__ = [
    "Bias",
    "BiasBoost",
    "GraphLm",
    "LmScale",
    "Reject",
    "RejectWeight",
    "RescoreLm",
    "word_options_from",
]

Bias = Annotated[
    Path | None,
    typer.Option(help="Phrases to listen for, one a line; after a tab, a boost of its own."),
]
BiasBoost = Annotated[float, typer.Option(help="Nats by which a phrase becomes cheaper.")]
RescoreLm = Annotated[
    Path | None,
    typer.Option(help="Language model (ARPA or .lm.bin) whose costs are added while searching."),
]
GraphLm = Annotated[
    Path | None,
    typer.Option(help="The model that the graph was made from: --rescore-lm takes its place."),
]
LmScale = Annotated[float, typer.Option(help="Factor on --rescore-lm.")]
Reject = Annotated[
    bool | None,
    typer.Option(
        "--reject/--no-reject",
        help="Reject what the grammar does not know (a phone loop); listen and serve do so by "
        "themselves where the grammar has no empty sentence.",
    ),
]
RejectWeight = Annotated[
    float | None,
    typer.Option(
        help="Reject where the phone loop is better by so many nats a frame "
        f"({FILLER_WEIGHT:g} by default): the lower, the more is rejected."
    ),
]


def word_options_from(
    bias: Path | None,
    boost: float,
    rescore_lm: Path | None,
    graph_lm: Path | None,
    scale: float,
    reject: bool | None,
    reject_weight: float | None,
) -> WordOptions:
    """Put the values together; paths become absolute."""
    from wfst_hmm.apps.word_costs import WordOptions

    files = [path and path.absolute() for path in (bias, rescore_lm, graph_lm)]
    if reject and reject_weight is None:
        reject_weight = FILLER_WEIGHT
    return WordOptions(files[0], boost, files[1], files[2], scale, reject_weight)
