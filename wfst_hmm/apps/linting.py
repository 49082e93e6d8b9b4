"""Checks of files, as the command line names them.

In: paths and specifications. Out: `LintReport`.

Public names: `lint_files`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.tables import read_any_fst
from wfst_hmm.graph.findings import Finding, LintReport
from wfst_hmm.graph.grammar import grammar_from_spec, read_grammar
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.lint import lint, lint_graph, lint_machine
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.kinds import kind_for, kind_of
from wfst_hmm.models.loading import load_model

__all__ = ["lint_files"]


def lint_files(
    path: str | Path | None = None,
    *,
    lexicon: str | Path | None = None,
    grammar: str | None = None,
    model: str | Path | None = None,
    lexicon_fst: str | Path | None = None,
    isymbols: str | Path | None = None,
    osymbols: str | Path | None = None,
    acceptor: bool | None = None,
    max_states: int = 200_000,
    max_pairs: int = 50_000,
) -> LintReport:
    """Check whatever is named, all in one report.

    Parameters
    ----------
    path : path, optional
        A graph directory, or an FST file (binary or text); a grammar or lexicon, too.
    lexicon : path, optional
    grammar : str, optional
        A file or a specification; words that the lexicon lacks are findings, not errors.
    model : path, optional
    lexicon_fst : path, optional
    isymbols, osymbols : path, optional
        Symbol tables of the FST at `path`, else of an FST as `grammar`.
    acceptor : bool, optional
        Of an FST as text: whether its arcs have one label.
    max_states, max_pairs : int
        See `graph.lint.lint`.

    Raises
    ------
    WfstHmmError
        A file cannot be read, or a specification needs a lexicon.
    """
    findings: list[Finding] = []
    tables: dict[str, Any] = {"isymbols": isymbols, "osymbols": osymbols, "acceptor": acceptor}
    if path is not None and not Path(path).is_dir():
        kind = kind_of(path)  # a grammar or lexicon may be named without saying so
        if not {"fst", "openfst"} & {*kind.readers}:
            if grammar is None and "grammar" in kind.readers:
                path, grammar = None, str(path)
            elif lexicon is None and "lexicon" in kind.readers:
                path, lexicon = None, path
    if path is not None:
        if Path(path).is_dir():
            kind_for(path, "graph", "a graph directory, or an FST")
            findings += lint_graph(Graph.load(path))
        else:
            found = read_any_fst(path, **tables)
            findings += _read_so(path, found.notes)
            findings += lint_machine(found.fst, str(path), max_pairs=max_pairs)
    if lexicon is not None or grammar is not None or lexicon_fst is not None:
        pronunciations = None if lexicon is None else lexicon_from_spec(lexicon)
        acoustic = None if model is None else load_model(model)
        silence = () if acoustic is None else acoustic.silence_phones
        chosen = None
        if grammar is not None:
            chosen = _grammar(grammar, pronunciations, silence, tables if path is None else {})
            findings += _read_so(grammar, chosen.notes)
        findings += lint(
            pronunciations,
            chosen,
            acoustic,
            l_fst=None if lexicon_fst is None else read_any_fst(lexicon_fst).fst,
            max_states=max_states,
            max_pairs=max_pairs,
        )
    return LintReport(findings)


def _read_so(path: str | Path, notes: Iterable[str]) -> Iterator[Finding]:
    """Say as findings how something was read."""
    for note in notes:
        yield Finding("reading", "note", note.removeprefix(f"{path}: "), str(path),
                      "Say it otherwise where that is wrong.")  # fmt: skip


def _grammar(
    spec: str, lexicon: Lexicon | None, silence: tuple[str, ...], tables: Mapping[str, Any]
) -> Grammar:
    if Path(spec).exists():
        return read_grammar(spec, **tables)
    if lexicon is None:
        raise UsageError("no such grammar file", got=repr(spec),
                         fix="A grammar over all words, such as loop, needs --lexicon.")  # fmt: skip
    return grammar_from_spec(spec, lexicon, silence_phones=silence)
