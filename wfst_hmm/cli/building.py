"""``train`` and ``graph``: from recordings to a model, from knowledge to a decoding graph.

In: paths and options. Out: a model directory, a graph directory.

Public names: `graph`, `train`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfst_hmm.cli.parameters import (
    Acceptor,
    Channel,
    FoldCase,
    Force,
    ISymbols,
    Json,
    LexiconSpec,
    OnOov,
    Oov,
    OSymbols,
    Raw,
    Resample,
)
from wfst_hmm.cli.shell import console, print_json, say, warn
from wfst_hmm.cli.working import Cluster, training_workers
from wfst_hmm.signal.kaldi import FeatureOptions
from wfst_hmm.training.options import TrainingOptions
from wfst_hmm.training.recipe import RecipeOptions

if TYPE_CHECKING:
    from wfst_hmm.training.progress import Watcher

__all__ = ["graph", "train"]


_HELP = {
    field.name: field.metadata["help"]
    for options in (FeatureOptions, TrainingOptions)
    for field in dataclasses.fields(options)
}


_LADDER = RecipeOptions()


class Recipe(str, enum.Enum):
    """How far training goes."""

    mono = "mono"
    tri = "tri"
    lda = "lda"
    sat = "sat"


class OnError(str, enum.Enum):
    """What to do about what cannot be used."""

    raise_ = "raise"
    skip = "skip"


def train(
    data: Annotated[
        Path, typer.Argument(help="Kaldi data directory, TSV manifest, or part of LibriSpeech.")
    ],
    model: Annotated[Path, typer.Argument(help="The model directory to write.")],
    lexicon: LexiconSpec,
    recipe: Annotated[
        Recipe,
        typer.Option(help="How far to go: monophones, tied triphones, LDA+MLLT, adapted speakers."),
    ] = Recipe.mono,
    passes: Annotated[int, typer.Option(help="Of the monophones. " + _HELP["n_passes"])] = 40,
    gaussians: Annotated[int, typer.Option(help="Of the monophones, at the end.")] = 1000,
    leaves: Annotated[int, typer.Option(help="Tied states of the higher rungs.")] = _LADDER.leaves,
    tied_gaussians: Annotated[
        int, typer.Option(help="Gaussians of the higher rungs.")
    ] = _LADDER.gaussians,
    states: Annotated[int, typer.Option(help=_HELP["n_states"])] = 3,
    skip: Annotated[float, typer.Option(help=_HELP["skip"])] = 0.0,
    silence_phone: Annotated[str, typer.Option(help=_HELP["silence_phone"])] = "SIL",
    perturb: Annotated[
        list[float] | None, typer.Option(help=_HELP["perturb"] + " May be repeated.")
    ] = None,
    beam: Annotated[float, typer.Option(help=_HELP["beam"])] = math.inf,
    rate: Annotated[
        int | None, typer.Option(help="Samples per second; by default the first recording's.")
    ] = None,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    cmvn: Annotated[str, typer.Option(help=_HELP["cmvn"])] = "speaker",
    on_oov: OnOov = Oov.raise_,
    fold_case: FoldCase = False,
    on_bad_audio: Annotated[
        OnError, typer.Option(help="Recordings that cannot be used.")
    ] = OnError.raise_,
    seed: Annotated[int, typer.Option(help=_HELP["seed"])] = 0,
    force: Force = False,
    threads: Annotated[int, typer.Option("--threads", "-j", help=_HELP["n_workers"])] = 0,
    cluster: Cluster = "threads",
    as_json: Json = False,
) -> None:
    """Train an acoustic model from recordings and transcripts.

    An interrupted training goes on when it is started again with the same data and options; the
    higher rungs leave every stage in MODEL.stages.

    Example: wfst-hmm train DATA MODEL --lexicon LEX --recipe sat
    """
    from wfst_hmm.apps.building import train_model

    options = TrainingOptions(
        features=FeatureOptions(resample=resample, cmvn=cmvn), n_passes=passes,
        n_gaussians=gaussians, n_states=states, skip=skip, silence_phone=silence_phone,
        perturb=tuple(perturb or ()), on_oov=on_oov.value, fold_case=fold_case,
        on_bad_audio=on_bad_audio.value, beam=beam, seed=seed, n_workers=threads,
    )  # fmt: skip
    ladder = RecipeOptions(leaves=leaves, gaussians=tied_gaussians)
    with training_workers(model, cluster, threads) as workers:
        made = train_model(data, lexicon, model, options, recipe=recipe.value, ladder=ladder,
                           rate=rate, channel=channel, raw=raw, replace=force, watcher=_watcher(),
                           workers=workers)  # fmt: skip
    training = made.info["training"]
    facts = {
        "out": str(model), "hash": made.hash, "phones": len(made.phones),
        "states": made.n_columns, "gaussians": made.n_gaussians,
        "utterances": training["n_utterances"],
        "frames": training["n_frames"], "skipped": training["skipped"],
        "log_likelihood_per_frame": training["passes"][-1]["log_likelihood"],
    }  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        say(
            f"{model}: {facts['phones']} phones, {facts['states']:,} states, "
            f"{facts['gaussians']:,} Gaussians from "
            f"{facts['utterances']:,} utterances ({facts['frames']:,} frames), log-likelihood "
            f"{facts['log_likelihood_per_frame']:.3f} a frame; {len(training['skipped'])} skipped"
        )


def _watcher() -> Watcher:
    """Return a progress bar for a terminal; notes go to stderr in any case."""
    from wfst_hmm.training.progress import ProgressBar, Watcher

    if sys.stderr.isatty():
        return ProgressBar()

    class Notes(Watcher):
        def note(self, text: str) -> None:
            warn(text)

    return Notes()


def graph(
    model: Annotated[Path, typer.Option(help="Model directory from wfst-hmm train or import.")],
    lexicon: LexiconSpec,
    grammar: Annotated[
        str,
        typer.Option(
            help="loop, words, length:4 or length:3-7, or a file: phrase list, JSGF, SRGS, FSG, "
            "keyword list, OpenFst, ARPA."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The graph directory to write.")],
    silence_probability: Annotated[
        float, typer.Option(help="Probability of silence between words; 0: none.")
    ] = 0.5,
    on_oov: OnOov = Oov.raise_,
    fold_case: FoldCase = False,
    max_states: Annotated[
        int, typer.Option(help="Stop when a stage needs more states.")
    ] = 50_000_000,
    max_memory: Annotated[
        float | None, typer.Option(help="Stop when a stage needs more memory (MB).")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder where stages are kept and found again.")
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Leave H to be expanded when the graph is searched.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what every stage made and took.")
    ] = False,
    isymbols: ISymbols = None,
    osymbols: OSymbols = None,
    acceptor: Acceptor = None,
    as_json: Json = False,
) -> None:
    """Build the decoding graph H∘C∘L∘G, with its model inside.

    Example: wfst-hmm graph --model MODEL --lexicon LEX --grammar loop --out GRAPH
    """
    from wfst_hmm.apps.building import build
    from wfst_hmm.graph.compiler import GraphOptions
    from wfst_hmm.graph.oov import OovOptions

    options = GraphOptions(silence_probability=silence_probability, max_states=max_states,
                           max_memory_mb=max_memory)  # fmt: skip
    oov = OovOptions(on_oov.value, fold_case, listing=out.parent / f"{out.name}.missing.txt")
    made = build(model, lexicon, grammar, out, options, oov=oov, cache=cache,
                 compact=compact, isymbols=isymbols, osymbols=osymbols,
                 acceptor=acceptor)  # fmt: skip
    facts = {"out": str(out), "states": made.fst.n_states, "arcs": made.fst.n_arcs,
             "words": len(made.words) - 1, "info": dict(made.info)}  # fmt: skip
    for note in made.info.get("cache_notes", ()):
        warn(note)
    for note in made.info["words"]:
        warn(note)
    for word, phones in made.info["guessed"]:
        warn(f"guessed: {word} = {phones}")
    for finding in made.info["lint"]["findings"]:
        if finding["severity"] == "warning":
            warn(f"{finding['where']}: {finding['what']}. {finding['remedy']}")
    if as_json:
        print_json(facts)
        return
    if explain:
        _explain(made.info["stages"])
    say(
        f"{out}: {made.fst.n_states:,} states, {made.fst.n_arcs:,} arcs, "
        f"{len(made.words) - 1:,} words"
    )


def _explain(stages: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of the stages: what each made, how long it took, the peak of memory."""
    from rich.table import Table

    table = Table(title="Stages", title_justify="left")
    table.add_column("stage")
    for name in ("states", "arcs", "seconds", "peak MB"):
        table.add_column(name, justify="right")
    for row in stages:
        peak = row.get("peak_mb")
        name = row["name"] + (", from cache" if row.get("from_cache") else "")
        table.add_row(name, f"{row['states']:,}", f"{row['arcs']:,}",
                      f"{row['seconds']:.3f}", "?" if peak is None else f"{peak:,.0f}")  # fmt: skip
    total = sum(row["seconds"] for row in stages)
    table.add_section()
    table.add_row("all", "", "", f"{total:.3f}", "")
    console().print(table)
