"""``adapt``: a model moved towards a speaker or corpus whose words are known.

In: paths and options. Out: a model directory.

Public names: `adapt`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.cli.parameters import (
    Channel,
    FoldCase,
    Force,
    Json,
    LexiconSpec,
    OnOov,
    Oov,
    Raw,
    Resample,
    Spoken,
)
from wfst_hmm.cli.recognition import spoken
from wfst_hmm.cli.shell import print_json, say, warn

__all__ = ["adapt"]


def adapt(
    model: Annotated[Path, typer.Argument(help="Model directory from wfst-hmm train or import.")],
    data: Spoken,
    out: Annotated[Path, typer.Argument(help="The model directory to write.")],
    lexicon: LexiconSpec,
    tau: Annotated[
        float, typer.Option(help="So many frames the model's own means are worth.")
    ] = 10.0,
    passes: Annotated[int, typer.Option(help="Alignments.", min=1)] = 2,
    weights: Annotated[bool, typer.Option("--weights", help="Adapt mixture weights, too.")] = False,
    on_oov: OnOov = Oov.raise_,
    fold_case: FoldCase = False,
    skip_oov: Annotated[bool, typer.Option("--skip-oov", hidden=True)] = False,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    force: Force = False,
    threads: Annotated[int, typer.Option("--threads", "-j", help="Threads.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Adapt a model to a new speaker or corpus (MAP).

    Graphs must be built anew for the adapted model.

    Example: wfst-hmm adapt MODEL DATA ADAPTED --lexicon LEX
    """
    from wfst_hmm.apps.building import check_same_data, made_from
    from wfst_hmm.apps.map_adaptation import MapOptions, map_adapt
    from wfst_hmm.apps.recognizer import check_new
    from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
    from wfst_hmm.graph.oov import OovOptions
    from wfst_hmm.models.loading import load_model

    check_new(out, "model.json", "model")
    if skip_oov:
        warn("--skip-oov is now called --on-oov skip")
        on_oov = Oov.skip
    listing = out.parent / f"{out.name}.missing.txt"
    options = MapOptions(tau, passes, weights, n_workers=threads,
                         oov=OovOptions(on_oov.value, fold_case, listing=listing))  # fmt: skip
    corpus = spoken(data, [], channel, raw)
    if not force:
        check_same_data(out, corpus)
    made = map_adapt(
        load_model(model), lexicon_from_spec(lexicon), corpus, options,
        resample=resample, on_skip=lambda text: warn(f"left out: {text}"), on_note=warn,
    )  # fmt: skip
    made = made_from(made, corpus)
    made.save(out)
    facts = {"out": str(out), "hash": made.hash, **made.info["adapted"]}
    if as_json:
        print_json(facts)
    else:
        say(
            f"{out}: adapted to {facts['n_utterances']:,} utterances ({facts['n_frames']:,} frames)"
        )
