"""``export``: models and graphs for other toolkits.

In: model and graph directories. Out: directories for Kaldi and OpenFst.

Public names: `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.cli.shell import say

__all__ = ["app"]

app = typer.Typer(help="Write models and graphs for Kaldi and OpenFst.", no_args_is_help=True)


@app.command("kaldi")
def kaldi(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="A model or a graph directory.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The directory to write.")],
    text: Annotated[bool, typer.Option("--text", help="Kaldi's text form, not binary.")] = False,
) -> None:
    """Write final.mdl, tree and phones.txt; of a graph HCLG.fst and words.txt as well.

    A model that came from Kaldi leaves as it came, to the byte.

    Example: wfst-hmm export kaldi GRAPH --out exp/ours
    """
    from wfst_hmm.apps.exchange import export_kaldi

    written = export_kaldi(source, out, binary=not text)
    say(f"{out}: {', '.join(written)}")


@app.command("openfst")
def openfst(
    source: Annotated[Path, typer.Argument(metavar="GRAPH", help="A graph directory.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The directory to write.")],
) -> None:
    """Write a graph for OpenFst's tools: graph.fst, graph.txt, symbol tables, lexicon.

    Example: wfst-hmm export openfst GRAPH --out fst
    """
    from wfst_hmm.apps.exchange import export_openfst

    fst = export_openfst(source, out).fst
    say(f"{out}: graph.fst, graph.txt, isymbols.txt, osymbols.txt ({fst.n_states:,} states, "
        f"{fst.n_arcs:,} arcs)")  # fmt: skip
