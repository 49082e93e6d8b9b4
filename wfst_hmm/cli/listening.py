"""``listen``: words while they are spoken.

In: a microphone, or raw samples on standard input. Out: partial and final words, as text or as
lines of JSON.

Public names: `listen`.
"""

from __future__ import annotations

import enum
import io
import json
import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from wfst_hmm.cli.parameters import (
    SEARCH,
    AcousticScale,
    Beam,
    GraphFolder,
    MaxActive,
    MinActive,
    ModelOfGraph,
)
from wfst_hmm.cli.shell import say, warn
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
from wfst_hmm.search.options import SearchOptions

__all__ = ["listen"]

_CLEAR = "\r\x1b[K"  # to the start of the line, and erase it


class Encoding(str, enum.Enum):
    """Raw samples by the names that ffmpeg has for them."""

    s16le = "s16le"
    s16be = "s16be"
    f32le = "f32le"
    f32be = "f32be"


class Normalization(str, enum.Enum):
    """Where the mean comes from while the audio comes in."""

    running = "running"
    sphinx = "sphinx"


def listen(
    graph: GraphFolder,
    model: ModelOfGraph = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Raw samples from standard input, not the microphone.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(help="Samples per second that come in; by default the model's.", min=1),
    ] = None,
    encoding: Annotated[
        Encoding, typer.Option(help="Of the samples on standard input.")
    ] = Encoding.s16le,
    channels: Annotated[int, typer.Option(help="Channels that come in.", min=1)] = 1,
    channel: Annotated[
        int | None, typer.Option(help="Which of several channels, from 0.", min=0)
    ] = None,
    device: Annotated[str | None, typer.Option(help="Number or name of the microphone.")] = None,
    speaker: Annotated[
        list[Path] | None,
        typer.Option(help="A recording of the speaker, for the normalization; may be repeated."),
    ] = None,
    normalization: Annotated[
        Normalization, typer.Option(help="Without --speaker: how the mean is found.")
    ] = Normalization.running,
    endpoints: Annotated[
        bool, typer.Option("--endpoints/--no-endpoints", help="End segments at pauses; or never.")
    ] = True,
    pause: Annotated[
        float, typer.Option(help="Seconds of silence that end a segment in any case.")
    ] = 2.0,
    partials: Annotated[
        bool | None,
        typer.Option(
            "--partials/--no-partials",
            help="Print words that may still change; default: on a terminal and with --json.",
        ),
    ] = None,
    beam: Beam = SEARCH.beam,
    max_active: MaxActive = SEARCH.max_active,
    min_active: MinActive = SEARCH.min_active,
    acoustic_scale: AcousticScale = SEARCH.acoustic_scale,
    bias: Bias = None,
    bias_boost: BiasBoost = 3.0,
    rescore_lm: RescoreLm = None,
    graph_lm: GraphLm = None,
    lm_scale: LmScale = 1.0,
    reject: Reject = None,
    reject_weight: RejectWeight = None,
    confidence: Annotated[
        bool, typer.Option(help="Print each word's confidence behind it; --json has them anyway.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for everything.")] = False,
) -> None:
    """Recognize speech while it is spoken.

    Ctrl-C ends it.

    Example: arecord -r 16000 -f S16_LE -c 1 | tail -c +45 | wfst-hmm listen GRAPH --stdin
    """
    from wfst_hmm.apps.listening import heard, microphone, raw_pieces, speaker_stats
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.apps.stream import Partial, Stream
    from wfst_hmm.apps.word_costs import word_tools
    from wfst_hmm.lattice.answer import AnswerOptions
    from wfst_hmm.search.endpoints import pausing
    from wfst_hmm.search.quiet import quiet_part
    from wfst_hmm.signal.live_cmvn import LiveCmvnOptions

    options = SearchOptions(beam=beam, max_active=max_active, acoustic_scale=acoustic_scale,
                            min_active=min_active)  # fmt: skip
    rules = pausing(pause) if endpoints else None
    recognizer = Recognizer.load(graph, model)
    if reject is None:
        reject = quiet_part(recognizer.graph) is not None
    words = word_options_from(
        bias, bias_boost, rescore_lm, graph_lm, lm_scale, reject, reject_weight
    )
    tools = word_tools(words, recognizer)
    for told in tools.warnings:
        warn(told)
    stats = speaker_stats(recognizer.model, speaker) if speaker else None
    answers = AnswerOptions() if confidence or (as_json and rules is not None) else None
    live = LiveCmvnOptions("fixed" if speaker else normalization.value)
    incoming = rate or recognizer.model.rate
    stream = Stream(
        recognizer, options, endpoints=rules, normalization=live, stats=stats, rate=incoming,
        resample=True, channel=channel, costs=tools.costs, filler=tools.filler, answers=answers,
    )  # fmt: skip
    if not stream.knows_mean:
        warn("the model does not tell the mean of its training data: the first half second of "
             "speech stands for it; give a recording with --speaker")  # fmt: skip
    if stdin:
        source = cast(io.BufferedReader, sys.stdin.buffer)
        pieces = raw_pieces(source, encoding=encoding.value, n_channels=channels,
                            warn=warn)  # fmt: skip
    else:
        chosen = int(device) if device and device.isdigit() else device
        pieces = microphone(incoming, device=chosen, n_channels=channels, warn=warn)
    shown = Shown(as_json, partials)
    for result in heard(stream, pieces):
        if isinstance(result, Partial):
            shown.partial(result.text, result.n_stable, result.to_dict())
        else:
            text = "<rejected>" if result.rejected else " ".join(
                word.text if word.confidence is None or not confidence
                else f"{word.text}:{word.confidence:.3f}" for word in result.words
            )  # fmt: skip
            shown.final(text, result.to_dict())


class Shown:
    """What stands on the screen, or goes down the pipe."""

    def __init__(self, as_json: bool, partials: bool | None) -> None:
        self._as_json = as_json
        self._terminal = sys.stdout.isatty() and not as_json
        self._partials = partials if partials is not None else self._terminal or as_json

    def partial(self, text: str, n_stable: int, facts: dict[str, object]) -> None:
        """Show words that may still change; on a terminal they stay on one line."""
        if not self._partials:
            return
        if self._as_json:
            self._line(json.dumps(facts, ensure_ascii=False))
        elif self._terminal:
            words = text.split()
            shown = " ".join(words[:n_stable]) + "\x1b[2m " + " ".join(words[n_stable:]) + "\x1b[0m"
            sys.stdout.write(_CLEAR + shown.strip())
            sys.stdout.flush()
        else:
            self._line(f"~ {text}")

    def final(self, text: str, facts: dict[str, object]) -> None:
        """Show the words of a segment; silence is no line, but in JSON."""
        if self._terminal and self._partials:
            sys.stdout.write(_CLEAR)
        if self._as_json:
            self._line(json.dumps(facts, ensure_ascii=False))
        elif text:
            self._line(text)

    def _line(self, text: str) -> None:
        say(text)
        sys.stdout.flush()
