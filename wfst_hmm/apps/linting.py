"""Checks of files, as the command line names them.

In: paths and specifications. Out: `LintReport`.

Public names: `lint_files`.
"""

from __future__ import annotations

from pathlib import Path

from wfst_hmm.errors import UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.binary import FST_MAGIC, read_fst
from wfst_hmm.fst.text import read_fst_text
from wfst_hmm.graph.findings import Finding, LintReport
from wfst_hmm.graph.grammar import grammar_from_spec, read_grammar
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec
from wfst_hmm.graph.lint import lint, lint_graph, lint_machine
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.models.loading import load_model

__all__ = ["lint_files"]


def lint_files(
    path: str | Path | None = None,
    *,
    lexicon: str | Path | None = None,
    grammar: str | None = None,
    model: str | Path | None = None,
    lexicon_fst: str | Path | None = None,
    max_states: int = 200_000,
    max_pairs: int = 50_000,
) -> LintReport:
    """Check whatever is named, all in one report.

    Parameters
    ----------
    path : path, optional
        A graph directory, or an FST file (binary or text).
    lexicon : path, optional
    grammar : str, optional
        A file or a specification; words that the lexicon lacks are findings, not errors.
    model : path, optional
    lexicon_fst : path, optional
    max_states, max_pairs : int
        See `graph.lint.lint`.

    Raises
    ------
    WfstHmmError
        A file cannot be read, or a specification needs a lexicon.
    """
    findings: list[Finding] = []
    if path is not None:
        if Path(path).is_dir():
            findings += lint_graph(Graph.load(path))
        else:
            findings += lint_machine(_fst(path), str(path), max_pairs=max_pairs)
    if lexicon is not None or grammar is not None or lexicon_fst is not None:
        pronunciations = None if lexicon is None else lexicon_from_spec(lexicon)
        acoustic = None if model is None else load_model(model)
        silence = () if acoustic is None else acoustic.silence_phones
        findings += lint(
            pronunciations,
            None if grammar is None else _grammar(grammar, pronunciations, silence),
            acoustic,
            l_fst=None if lexicon_fst is None else _fst(lexicon_fst),
            max_states=max_states,
            max_pairs=max_pairs,
        )
    return LintReport(findings)


def _grammar(spec: str, lexicon: Lexicon | None, silence: tuple[str, ...]) -> Grammar:
    if Path(spec).exists():
        return read_grammar(spec)
    if lexicon is None:
        raise UsageError("no such grammar file", got=repr(spec),
                         fix="A grammar over all words, such as loop, needs --lexicon.")  # fmt: skip
    return grammar_from_spec(spec, lexicon, silence_phones=silence)


def _fst(path: str | Path) -> Fst:
    path = Path(path)
    binary = False
    if path.is_file():
        with open(path, "rb") as stream:
            binary = stream.read(len(FST_MAGIC)) == FST_MAGIC
    return read_fst(path) if binary else read_fst_text(path)
