"""The commands, put together.

In: the arguments, to know which command is wanted. Out: a Typer application in which only that
command's module has been imported: ``wfst-hmm --help`` answers at once.

Public names: `COMMANDS`, `GROUPS`, `assemble`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import typer
import typer.core

__all__ = ["COMMANDS", "GROUPS", "assemble"]

#: command -> the module that defines a function of that name (for groups: an ``app``, or a function
#: ``group`` that makes one), and the line that the overview shows
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("wfst_hmm.cli.demo", "Make speech, train, build a graph, decode and draw, all alone."),
    "train": ("wfst_hmm.cli.building", "Train an acoustic model from recordings and transcripts."),
    "adapt": ("wfst_hmm.cli.adapt", "Adapt a model to a new speaker or corpus (MAP)."),
    "vtln": ("wfst_hmm.cli.vtln", "Find the warp of every speaker's frequency axis."),
    "prons": (
        "wfst_hmm.cli.prons",
        "Learn how likely each pronunciation is, and a pause after it.",
    ),
    "graph": ("wfst_hmm.cli.building", "Build the decoding graph H∘C∘L∘G, with its model inside."),
    "import": ("wfst_hmm.cli.importing", "Bring in models of Sphinx, Kaldi and HTK."),
    "export": ("wfst_hmm.cli.exporting", "Write models and graphs for Kaldi and OpenFst."),
    "lint": (
        "wfst_hmm.cli.lint",
        "Find mistakes in a lexicon, a grammar, an FST or a graph.",
    ),
    "transcribe": (
        "wfst_hmm.cli.transcribe",
        "Transcribe recordings with a ready-made model.",
    ),
    "decode": ("wfst_hmm.cli.recognition", "Recognize speech."),
    "calibrate": ("wfst_hmm.cli.calibrate", "Fit confidences to speech whose words are known."),
    "lattice": ("wfst_hmm.cli.lattice", "Look into lattices, prune, rescore and convert them."),
    "align": (
        "wfst_hmm.cli.recognition",
        "Time the words, phones and states of known transcripts.",
    ),
    "listen": ("wfst_hmm.cli.listening", "Recognize speech while it is spoken."),
    "features": ("wfst_hmm.cli.features", "Compute features, as Kaldi archives."),
    "score": ("wfst_hmm.cli.recognition", "Compute the word error rate and show what went wrong."),
    "diarize": ("wfst_hmm.cli.diarize", "Tell who spoke when."),
    "der": ("wfst_hmm.cli.diarize", "Compute the diarization error rate."),
    "recommend": ("wfst_hmm.cli.recommend", "Rank songs by how much they sound like a tag."),
    "speaker": (
        "wfst_hmm.cli.speaker",
        "Enrol speakers, identify who speaks, verify a claim.",
    ),
    "words": ("wfst_hmm.cli.words", "Recognize isolated words: one GMM-HMM for each."),
    "serve": (
        "wfst_hmm.cli.serve",
        "Recognize over the network: WebSocket, HTTP, a page.",
    ),
    "draw": (
        "wfst_hmm.cli.showing",
        "Draw a graph, an FST, a lattice or a phone; or film a search.",
    ),
    "info": ("wfst_hmm.cli.showing", "Tell what lies at a path."),
    "bench": ("wfst_hmm.cli.bench", "Measure this package beside installed peers."),
}
#: heading of the overview -> its commands
GROUPS = {
    "Recognize": ("transcribe", "decode", "listen", "serve", "align", "lattice"),
    "Build": ("demo", "train", "graph", "prons", "import", "export"),
    "Adapt": ("adapt", "vtln", "calibrate"),
    "Inspect": ("draw", "info", "lint", "features"),
    "Applications": ("diarize", "words", "speaker", "recommend"),
    "Measure": ("score", "der", "bench"),
}
_HELP = "WFST-based speech decoding: train a model, build a graph, decode, look inside."
_EXAMPLES = (
    "Start with: wfst-hmm demo. Every command has --help with an example. Exit code: 0 fine, "
    "1 failed, 2 bad usage."
)


class _Grouped(typer.core.TyperGroup):
    """Lists the commands under the headings of `GROUPS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups, one list a heading."""
        width = max(map(len, COMMANDS))
        for heading, names in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), COMMANDS[name][1]) for name in names])


def assemble(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Return the application.

    Parameters
    ----------
    arguments : sequence of str, optional
        What the user typed; commands that it does not name are only listed. By default all
        commands are there.
    """
    app = typer.Typer(
        name="wfst-hmm",
        cls=_Grouped,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP, epilog=_EXAMPLES)(_common)
    for name, (module, line) in COMMANDS.items():
        if arguments is None or name in arguments:
            _add(app, name, module, arguments)
        else:
            app.command(name, help=line)(_listed)
    return app


def _add(app: typer.Typer, name: str, module: str, arguments: Sequence[str] | None) -> None:
    room = importlib.import_module(module)
    grouped: Callable[..., typer.Typer] | None = getattr(room, "group", None)
    group: typer.Typer | None = grouped(arguments) if grouped else getattr(room, "app", None)
    if group is not None:
        app.add_typer(group, name=name)
        return
    command: Callable[..., None] = getattr(room, name)
    app.command(name)(command)


def _listed() -> None:
    """Stand for a command that the overview lists and nobody has called."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from wfst_hmm import __version__

        typer.echo(f"wfst-hmm {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", callback=_print_version,
        is_eager=True,
    ),
) -> None:  # fmt: skip
    """Take the options that stand before the command."""
