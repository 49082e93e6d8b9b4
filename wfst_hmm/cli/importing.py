"""``import``: models of other toolkits become model directories.

In: paths. Out: a model directory, or a graph directory with its model.

Public names: `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wfst_hmm.cli.parameters import ISymbols, Json, OSymbols
from wfst_hmm.cli.shell import print_json, say, warn
from wfst_hmm.errors import UsageError

if TYPE_CHECKING:
    from wfst_hmm.apps.recognizer import Recognizer
    from wfst_hmm.models.loading import SpeechModel

__all__ = ["app"]

app = typer.Typer(
    help="Bring in models of Sphinx, Kaldi and HTK, graphs of OpenFst.", no_args_is_help=True
)

Out = Annotated[Path, typer.Option("--out", "-o", help="The model directory to write.")]
Silence = Annotated[
    list[str] | None,
    typer.Option(help="A silence phone, the one between words first. May be repeated."),
]
Rate = Annotated[int | None, typer.Option(help="Samples per second that the model hears.")]


@app.command("sphinx")
def sphinx(
    source: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Holds mdef, means, variances ...")
    ] = None,
    out: Out = Path("model"),
    model: Annotated[
        str | None, typer.Option(help="en-us: the model of the pocketsphinx wheel.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import a model of CMU Sphinx: continuous, semi-continuous or phonetically tied.

    Example: wfst-hmm import sphinx --model en-us --out en-us
    """
    from wfst_hmm.apps.exchange import import_sphinx

    if (source is None) == (model is None):
        raise UsageError("name one model: DIR, or --model en-us", where="import sphinx")
    if model not in (None, "en-us"):
        raise UsageError("no such model", where="--model", got=repr(model), expected="en-us")
    _tell(import_sphinx(source if source is not None else "en-us", out), out, as_json)


@app.command("kaldi")
def kaldi(
    source: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds final.mdl, tree and phones.txt.")
    ],
    out: Out,
    lang: Annotated[
        Path | None, typer.Option(help="A lang directory: says which phones are silence.")
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(help="Holds HCLG.fst: --out becomes a graph directory, ready to decode."),
    ] = None,
    mfcc: Annotated[Path | None, typer.Option(help="The recipe's conf/mfcc.conf.")] = None,
    rate: Rate = None,
    silence: Silence = None,
    as_json: Json = False,
) -> None:
    """Import a GMM model of Kaldi, or with --graph its decoding graph, too.

    Example: wfst-hmm import kaldi exp/tri3b --lang data/lang --mfcc conf/mfcc.conf --out MODEL
    """
    from wfst_hmm.apps.exchange import import_kaldi

    made = import_kaldi(source, out, lang=lang, config=mfcc, rate=rate, graph=graph,
                        silence_phones=silence or ())  # fmt: skip
    _tell(made, out, as_json)


@app.command("htk")
def htk(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Model files: macros, hmmdefs.")
    ],
    out: Out,
    hmm_list: Annotated[
        Path | None, typer.Option("--list", help="The list of HMMs, such as tiedlist.")
    ] = None,
    silence: Silence = None,
    config: Annotated[
        Path | None, typer.Option(help="HTK's configuration file: how features were made.")
    ] = None,
    rate: Rate = None,
    as_json: Json = False,
) -> None:
    """Import models of HTK.

    The files name the kind of features only (MFCC_0_D_A and its like); --config says the rest.

    Example: wfst-hmm import htk macros hmmdefs --list tiedlist --config config --out MODEL
    """
    from wfst_hmm.apps.exchange import import_htk

    made = import_htk(
        files, out, hmm_list=hmm_list, silence_phones=silence or (), config=config, rate=rate
    )  # fmt: skip
    _tell(made, out, as_json)


@app.command("openfst")
def openfst(
    source: Annotated[
        Path, typer.Argument(metavar="DIR|FST", help="From wfst-hmm export openfst, or an FST.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The graph directory to write.")],
    model: Annotated[Path, typer.Option(help="The model directory that the graph is for.")],
    lexicon: Annotated[
        str | None, typer.Option(help="For times of words; by default lexicon.txt beside it.")
    ] = None,
    isymbols: ISymbols = None,
    osymbols: OSymbols = None,
    as_json: Json = False,
) -> None:
    """Bring back a decoding graph that OpenFst's tools have changed.

    Example: wfst-hmm import openfst fst --model GRAPH/model --out NEW
    """
    from wfst_hmm.apps.exchange import import_openfst

    made = import_openfst(source, out, model, lexicon=lexicon, isymbols=isymbols,
                          osymbols=osymbols)  # fmt: skip
    _tell(made, out, as_json)


def _tell(made: SpeechModel | Recognizer, out: Path, as_json: bool) -> None:
    from wfst_hmm.apps.info import describe

    facts = describe(out)
    model: Any = getattr(made, "model", made)
    for assumption in model.info.get("assumed", ()):
        warn(f"assumed: {assumption}")
    if as_json:
        print_json(facts)
        return
    if facts["kind"] == "decoding graph":
        say(f"{out}: a graph of {facts['states']:,} states, {facts['arcs']:,} arcs, "
            f"{facts['words']:,} words, with its model")  # fmt: skip
    else:
        say(f"{out}: {len(facts['phones'])} phones, {facts['hmms']:,} HMMs, "
            f"{facts['tied_states']:,} tied states, {facts['gaussians']:,} Gaussians, "
            f"{facts['rate']} Hz")  # fmt: skip
