"""``serve``: recognition over the network.

In: a graph, an address, limits. Out: a service, until a signal comes.

Public names: `serve`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.cli.parameters import SEARCH, ModelOfGraph
from wfst_hmm.cli.shell import warn
from wfst_hmm.cli.transcribe import ready_made
from wfst_hmm.cli.word_options import (
    Bias,
    BiasBoost,
    GraphLm,
    LmScale,
    Reject,
    RejectWeight,
    RescoreLm,
    word_options_from,
)
from wfst_hmm.errors import UsageError
from wfst_hmm.service.limits import Limits

__all__ = ["serve"]

_HELP = {field.name: field.metadata["help"] for field in dataclasses.fields(Limits)}
_DEFAULT = Limits()


def serve(
    graph: Annotated[
        Path,
        typer.Argument(help="Graph directory from wfst-hmm graph; or en-us, as for transcribe."),
    ],
    model: ModelOfGraph = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need --tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.", min=0, max=65535)] = 8000,
    tokens: Annotated[
        Path | None, typer.Option(help="File of tokens, one a line: clients must know one.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name under which browsers reach it; may be repeated.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM file, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file, for TLS.")] = None,
    beam: Annotated[
        float | None,
        typer.Option(help=f"Beam of the search, nats; default {SEARCH.beam:g}, en-us less."),
    ] = None,
    pause: Annotated[
        float, typer.Option(help="Seconds of silence that end a segment in any case.")
    ] = 2.0,
    speaker: Annotated[
        list[Path] | None,
        typer.Option(help="A recording of the one speaker, for the mean; may be repeated."),
    ] = None,
    bias: Bias = None,
    bias_boost: BiasBoost = 3.0,
    rescore_lm: RescoreLm = None,
    graph_lm: GraphLm = None,
    lm_scale: LmScale = 1.0,
    reject: Reject = None,
    reject_weight: RejectWeight = None,
    threads: Annotated[
        int, typer.Option("--threads", "-j", help="That recognize; 0: all processors.", min=0)
    ] = 0,
    max_sessions: Annotated[int, typer.Option(help=_HELP["max_sessions"])] = _DEFAULT.max_sessions,
    max_seconds: Annotated[float, typer.Option(help=_HELP["max_seconds"])] = _DEFAULT.max_seconds,
    max_upload: Annotated[int, typer.Option(help=_HELP["max_upload"])] = _DEFAULT.max_upload,
    max_memory: Annotated[
        float, typer.Option(help=_HELP["max_memory_mb"])
    ] = _DEFAULT.max_memory_mb,
    idle_seconds: Annotated[
        float, typer.Option(help=_HELP["idle_seconds"])
    ] = _DEFAULT.idle_seconds,
    grace_seconds: Annotated[
        float, typer.Option(help=_HELP["grace_seconds"])
    ] = _DEFAULT.grace_seconds,
) -> None:
    """Recognize over the network: WebSocket, HTTP, a page.

    Example: wfst-hmm serve en-us --port 8000
    """
    try:
        from wfst_hmm.service.server import check_address, read_tokens, warm_up
        from wfst_hmm.service.server import serve as run
        from wfst_hmm.service.sessions import Hub
    except ImportError as error:
        raise UsageError(f"serve needs more packages ({error})",
                         fix='Install them: pip install "wfst_hmm[serve]".') from None  # fmt: skip
    from wfst_hmm.apps.calibration import calibration_of_graph
    from wfst_hmm.apps.listening import speaker_stats
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.apps.word_costs import word_tools
    from wfst_hmm.lattice.confidence import Calibration
    from wfst_hmm.search.endpoints import pausing
    from wfst_hmm.search.quiet import quiet_part

    known = () if tokens is None else read_tokens(tokens)
    check_address(host, known)
    limits = Limits(max_sessions=max_sessions, max_seconds=max_seconds, max_upload=max_upload,
                    max_memory_mb=max_memory, idle_seconds=idle_seconds,
                    grace_seconds=grace_seconds)  # fmt: skip
    if str(graph) == "en-us" and not graph.exists():
        ready = ready_made("en-us")
        recognizer, options = ready.recognizer, ready.options
        calibration = calibration_of_graph(ready.graph_folder) or ready.calibration
    else:
        recognizer, options = Recognizer.load(graph, model), SEARCH
        calibration = calibration_of_graph(graph) or Calibration()
    if beam is not None:
        options = options.replace(beam=beam)
    if reject is None:
        reject = quiet_part(recognizer.graph) is not None
    tools = word_tools(word_options_from(
        bias, bias_boost, rescore_lm, graph_lm, lm_scale, reject, reject_weight
    ), recognizer)  # fmt: skip
    for told in tools.warnings:
        warn(told)
    hub = Hub(recognizer, limits, options=options, calibration=calibration, tokens=known,
              n_threads=threads, filler=tools.filler, costs=tools.costs, endpoints=pausing(pause),
              stats=speaker_stats(recognizer.model, speaker) if speaker else None)  # fmt: skip
    warm_up(hub)
    run(hub, host, port, hosts=tuple(name or ()), certificate=certificate, key=key,
        tell=lambda address: warn(f"listens at {address}"))  # fmt: skip
