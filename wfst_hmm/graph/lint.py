"""What is wrong with a lexicon, a grammar and the graphs made of them, before anyone decodes.

In: a `Lexicon`, a `Grammar`, a model's phones, optionally L as a transducer of the user's own;
or a finished graph. Out: `LintReport`. Every check ends within its budget.

Public names: `lint`, `lint_graph`, `lint_machine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import BACKOFF
from wfst_hmm.graph.findings import Finding, LintReport, shown
from wfst_hmm.graph.graph import Graph
from wfst_hmm.graph.lexicon import Lexicon
from wfst_hmm.graph.lint_lexicon import lexicon_findings
from wfst_hmm.graph.lint_machine import clash_told, machine_findings, path_findings
from wfst_hmm.graph.lint_words import vocabulary_findings
from wfst_hmm.graph.phrases import Grammar
from wfst_hmm.graph.two_paths import Clash, compare_paths
from wfst_hmm.graph.units import AnyModel

__all__ = ["lint", "lint_graph", "lint_machine"]


def lint(
    lexicon: Lexicon | None = None,
    grammar: Grammar | None = None,
    model: AnyModel | None = None,
    *,
    l_fst: Fst | None = None,
    max_states: int = 200_000,
    max_pairs: int = 50_000,
) -> LintReport:
    """Check what a decoding graph is to be made of.

    Parameters
    ----------
    lexicon : Lexicon, optional
    grammar : Grammar, optional
    model : AnyModel, optional
        Its phones are what the lexicon may use.
    l_fst : Fst, optional
        L from phones to words, with symbol tables, when it is not to be made of `lexicon`:
        Kaldi's ``L_disambig.fst``, say. `lexicon` then only says where its words come from.
    max_states : int
        Budget of determinizing the grammar.
    max_pairs : int
        Budget of comparing paths, in pairs of states.

    Raises
    ------
    GraphError
        `l_fst` lacks symbol tables.
    """
    findings: list[Finding] = []
    if l_fst is not None and (l_fst.isymbols is None or l_fst.osymbols is None):
        raise GraphError("L needs symbol tables", fix="Compile it with its symbol tables inside.")
    if lexicon is not None:
        findings += lexicon_findings(lexicon, model, own_l=l_fst is not None)
    if l_fst is not None:
        findings += _l_findings(l_fst, lexicon, grammar, max_pairs)
    if grammar is not None:
        findings += _grammar_findings(grammar, max_states, max_pairs)
        if lexicon is not None or l_fst is not None:
            findings += vocabulary_findings(lexicon, grammar, l_fst)
    return LintReport(findings)


def lint_graph(graph: Graph) -> LintReport:
    """Check a finished decoding graph: epsilon loops, dead states, sums of probabilities."""
    return LintReport(machine_findings(graph.fst, "graph", lambda s: f"graph, state {s}"))


def lint_machine(fst: Fst, name: str, *, max_pairs: int = 50_000) -> LintReport:
    """Check any transducer by itself, and whether it is a function and can be determinized.

    Parameters
    ----------
    fst : Fst
    name : str
        What findings call it: its path.
    max_pairs : int
    """
    findings = list(machine_findings(fst, name, lambda s: f"{name}, state {s}"))
    findings += path_findings(fst, name, None, max_pairs)
    return LintReport(findings)


def _l_findings(
    l_fst: Fst, lexicon: Lexicon | None, grammar: Grammar | None, max_pairs: int
) -> Iterator[Finding]:
    yield from machine_findings(l_fst, "L", lambda s: f"L, state {s}", sums=False)
    if grammar is not None and grammar.has_backoff:
        yield from _backoff_loop(l_fst)
    yield from path_findings(l_fst, "L", lexicon, max_pairs)


def _backoff_loop(l_fst: Fst) -> Iterator[Finding]:
    """Look for the ``#0`` self-loop where words begin: without it composition cuts backoff arcs."""
    remedy = (
        f"Add a self-loop with input and output {BACKOFF} to the state between words, or let "
        "wfst_hmm build L from the lexicon."
    )
    symbols = l_fst.osymbols
    arcs, source = l_fst.arcs, l_fst.sources()
    label = symbols.id(BACKOFF) if symbols is not None and BACKOFF in symbols else -1
    loops = (arcs["olabel"] == label) & (source == arcs["nextstate"])
    if not loops.any():
        yield Finding("no-backoff-loop", "error",
                      f"G backs off through {BACKOFF} and L has no {BACKOFF} loop: every backoff "
                      "arc of G would be cut, without a message", "L", remedy)  # fmt: skip
        return
    begins = np.unique(source[(arcs["olabel"] != 0) & ~loops])
    lacking = np.setdiff1d(begins, source[loops])
    if len(lacking):
        yield Finding("no-backoff-loop", "error",
                      f"words begin in states of L without a {BACKOFF} loop ({shown(lacking, 4)})",
                      f"L, state {lacking[0]}", remedy)  # fmt: skip
    if (arcs["ilabel"][loops] == 0).any():
        yield Finding("silent-backoff-loop", "warning",
                      f"the {BACKOFF} loop of L reads an epsilon: determinization cannot tell "
                      "backing off from an n-gram", "L",
                      f"Give it the input symbol {BACKOFF}.")  # fmt: skip


def _grammar_findings(grammar: Grammar, max_states: int, max_pairs: int) -> Iterator[Finding]:
    name = grammar.source or "G"
    backoff = grammar.isymbols.id(BACKOFF) if grammar.has_backoff else None
    yield from machine_findings(grammar.fst, name, lambda s: f"{name}, state {s}", backoff)
    fst = _pairs_as_words(grammar)
    if not _determinizable(fst, max_states):
        clash = compare_paths(fst, max_pairs=max_pairs).clash
        names = grammar.fst.with_symbols(grammar.isymbols, grammar.isymbols)
        if clash is not None:
            clash = _relabelled(clash, _codes(grammar.fst))
        what = "two paths of it are not known" if clash is None else clash_told(clash, names)
        yield Finding("not-determinizable", "error",
                      f"determinizing G passed {max_states} states and was stopped; {what}", name,
                      "Let the costs around these loops agree, or keep one of the paths.")  # fmt: skip
    if (grammar.fst.arcs["ilabel"] != grammar.fst.arcs["olabel"]).any() and backoff is None:
        clash = compare_paths(grammar.fst, max_pairs=max_pairs).clash
        if clash is not None and clash.kind == "outputs":
            yield Finding("two-outputs", "warning",
                          f"one sentence is printed in two ways: {clash_told(clash, grammar.fst)}", name,
                          "Keep one of them, or make one clearly cheaper.")  # fmt: skip


def _pairs_as_words(grammar: Grammar) -> Fst:
    """Return G as an acceptor of (input, output) pairs, as the compiler takes it."""
    fst = grammar.fst
    codes = fst.arcs["ilabel"].astype(np.int64) << 32 | fst.arcs["olabel"]
    label = np.searchsorted(_codes(fst), codes)
    return Fst.from_arcs(fst.start, fst.sources(), label, label, fst.arcs["weight"],
                         fst.arcs["nextstate"], fst.states["final"])  # fmt: skip


def _codes(fst: Fst) -> np.ndarray:
    codes = fst.arcs["ilabel"].astype(np.int64) << 32 | fst.arcs["olabel"]
    return np.unique(np.append(codes, 0))


def _relabelled(clash: Clash, codes: np.ndarray) -> Clash:
    def words(labels: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(codes[label]) >> 32 for label in labels)

    return Clash(clash.kind, words(clash.inputs), (words(clash.outputs[0]), words(clash.outputs[1])),
                 words(clash.loop_inputs),
                 (words(clash.loop_outputs[0]), words(clash.loop_outputs[1])),
                 clash.loop_costs)  # fmt: skip


def _determinizable(fst: Fst, max_states: int) -> bool:
    from wfst_hmm.fst import ops  # OpenFst takes a moment to load

    try:
        if (fst.arcs["ilabel"] == 0).any():
            fst = ops.remove_epsilons(fst)
        if not ops.is_deterministic(fst):
            ops.determinize(fst, max_states=max_states)
    except GraphError:
        return False
    return True
