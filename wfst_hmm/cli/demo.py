"""``demo``: the whole way from recordings to words, with nothing at hand but the package.

In: a folder. Out: a table, pictures, and all that a user could go on with.

Public names: `demo`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Json
from wfst_hmm.cli.shell import console, fail, print_json, say, warn

if TYPE_CHECKING:
    from wfst_hmm.apps.demo import DemoReport

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for corpus, model, graph and pictures.")
    ] = Path("wfst-hmm-demo"),
    seed: Annotated[int, typer.Option(help="Of the voices, the strings of digits, the noise.")] = 0,
    as_json: Json = False,
) -> None:
    """Make speech, train, build a graph, decode and draw, all alone.

    Example: wfst-hmm demo --out demo
    """
    from wfst_hmm.apps.demo import run_demo

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    report = run_demo(out, seed=seed, tell=tell)
    if as_json:
        print_json(report.to_dict())
    else:
        _print_table(report)
    for problem in report.problems:
        warn(problem)
    if report.problems or report.n_unlike:
        raise fail("the demo did not go as it should; see above")


def _print_table(report: DemoReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Held-back utterances, decoded by three searches over one graph")
    for name, justify in (("utterance", "left"), ("reference", "left"), ("hypothesis", "left"),
                          ("beam", "right"), ("exact", "right"), ("compose", "right"),
                          ("cross-check", "left"), ("frames/s", "right")):  # fmt: skip
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for row in report.rows:
        style = "green" if row.reference == row.hypothesis else "red"
        costs = ["-" if row.costs[name] is None else f"{row.costs[name]:.2f}"
                 for name in ("beam", "exact", "compose")]  # fmt: skip
        table.add_row(escape(row.id), escape(row.reference),
                      f"[{style}]{escape(row.hypothesis)}[/{style}]", *costs, row.verdict,
                      f"{row.frames_per_second:,.0f}")  # fmt: skip
    console().print(table)
    say(report.summary)
