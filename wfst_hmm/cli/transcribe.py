"""``transcribe``: recordings to text, from nothing but installed packages.

In: recordings or data. Out: words on stdout, files below ``--out``.

Public names: `ready_made`, `transcribe`.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.output import Output, report
from wfst_hmm.cli.parameters import (
    Calibration,
    Channel,
    FoldCase,
    Forms,
    Inputs,
    Json,
    Lattices,
    NBest,
    OnOov,
    Oov,
    Raw,
    ResultsFolder,
    Threads,
)
from wfst_hmm.cli.recognition import inputs
from wfst_hmm.cli.shell import fail, progress, warn
from wfst_hmm.cli.working import working

if TYPE_CHECKING:
    from wfst_hmm.apps.transcription import Transcriber

__all__ = ["ready_made", "transcribe"]

_STAGES = 9  # steps of building a graph that are told


def transcribe(
    audio: Inputs,
    model: Annotated[
        str, typer.Option(help="en-us (of the pocketsphinx wheel), or a model directory.")
    ] = "en-us",
    out: ResultsFolder = None,
    form: Forms = None,
    grammar: Annotated[
        str | None,
        typer.Option(help="A grammar (JSGF, phrase list ...) or a language model; en-us has one."),
    ] = None,
    lexicon: Annotated[
        str | None,
        typer.Option(help="Pronunciations: a file, pocketsphinx (default), pocketsphinx+MINE.txt."),
    ] = None,
    vocabulary: Annotated[
        int | None, typer.Option(help="Only so many of the likeliest words.", min=1)
    ] = None,
    on_oov: OnOov = Oov.raise_,
    fold_case: FoldCase = False,
    adapt: Annotated[
        bool | None,
        typer.Option(
            "--adapt/--no-adapt",
            help="Adapt to speakers heard for 10 s, by a first pass; by default if no grammar.",
        ),
    ] = None,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Compute and print each word's confidence.")
    ] = False,
    calibration: Calibration = None,
    nbest: NBest = 0,
    lattice: Lattices = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="A narrower beam, no adaptation: a few more errors.")
    ] = False,
    channel: Channel = None,
    raw: Raw = None,
    cache: Annotated[
        Path | None, typer.Option(help="Where graphs are kept; by default the user's cache.")
    ] = None,
    threads: Threads = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Who works, speaker by speaker: processes, local (Dask here), tcp://SCHEDULER:8786 "
            "...; with --out a command that was killed goes on when it is given again."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Transcribe recordings with a ready-made model.

    The decoding graph is built once (a minute for 72,500 words) and kept. Recordings are
    converted to the model's rate; of several channels the first is taken; long ones are cut at
    pauses.

    Example: wfst-hmm transcribe talk.flac --out talk --form srt
    """
    from wfst_hmm.apps.adaptation import AdaptationOptions
    from wfst_hmm.apps.calibration import calibration_of_graph
    from wfst_hmm.apps.preparation import prepared_corpus
    from wfst_hmm.apps.recognize import decode_corpus
    from wfst_hmm.apps.transcription import faster
    from wfst_hmm.cluster.jobs import DecodeJob, prepared
    from wfst_hmm.lattice.answer import AnswerOptions

    output = Output(out, form, as_json, lattice)
    problems: list[str] = []
    told: set[str] = set()
    corpus = inputs(audio, problems, channel, raw)
    ready = ready_made(model, grammar, lexicon, vocabulary, cache, on_oov, fold_case)
    recognizer = ready.recognizer
    corpus = prepared_corpus(corpus, recognizer.model.rate, warn)
    output.check(corpus)
    fitted = calibration_of_graph(ready.graph_folder, calibration) or ready.calibration
    answers = AnswerOptions(confidence, nbest, lattice, fitted)
    adapts = (grammar is None and not fast) if adapt is None else adapt
    job = DecodeJob(
        ready.graph_folder.absolute(), None, faster(ready.options) if fast else ready.options,
        answers=answers, resample=True, adapt=AdaptationOptions(n_rounds=1) if adapts else None,
    )  # fmt: skip
    with output, contextlib.ExitStack() as stack:
        if cluster is None:  # threads share the work on one speaker, too
            results = decode_corpus(recognizer, corpus, job.options, answers=answers,
                                    adapt=job.adapt, resample=True, n_threads=threads)  # fmt: skip
        else:
            work = working(prepared(job), corpus, out, cluster, threads)
            results = stack.enter_context(work).results()
        advance = stack.enter_context(progress("transcribing"))
        for number, outcome in enumerate(results, start=1):
            advance(number, len(corpus))
            report(outcome, problems, told)
            output.take(outcome, with_confidence=confidence)
        output.finish()
    if problems:
        raise fail(f"{len(problems)} recordings could not be transcribed; see above")


def ready_made(
    model: str,
    grammar: str | None = None,
    lexicon: str | None = None,
    vocabulary: int | None = None,
    cache: Path | None = None,
    on_oov: Oov = Oov.raise_,
    fold_case: bool = False,
) -> Transcriber:
    """Return the recognizer, telling on stderr what is being built and where it is kept."""
    from wfst_hmm.apps.transcription import cache_folder, transcriber
    from wfst_hmm.graph.oov import OovOptions

    done = 0
    with progress("preparing") as advance:

        def tell(text: str) -> None:
            nonlocal done
            if not done:
                where = cache if cache is not None else cache_folder()
                large = grammar is None and vocabulary is None
                cost = "; about a minute and 2 GB of memory" if large else ""
                warn(f"building the decoding graph, once (it is kept in {where}{cost})")
            advance(done, _STAGES, text)
            done += 1

        ready = transcriber(model, grammar=grammar, lexicon=lexicon, vocabulary=vocabulary,
                            cache=cache, progress=tell, on_note=warn,
                            oov=OovOptions(on_oov.value, fold_case))  # fmt: skip
    if ready.built:
        graph = ready.recognizer.graph
        warn(f"built in {ready.seconds:.0f} s: {len(graph.words) - 1:,} words, "
             f"{graph.fst.n_arcs:,} arcs, {ready.megabytes:,.0f} MB in {ready.folder}")  # fmt: skip
    sys.stderr.flush()
    return ready
