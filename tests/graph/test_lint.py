"""Every mistake that the lint promises to catch, made on purpose."""

import math
from dataclasses import replace

import numpy as np
import pytest
from graph_models import small_model

from wfst_hmm.errors import GraphError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.compiler import build_graph
from wfst_hmm.graph.findings import Finding, LintReport
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import lexicon_fst
from wfst_hmm.graph.lint import lint, lint_graph, lint_machine
from wfst_hmm.graph.ngram_estimation import estimate_ngrams
from wfst_hmm.graph.ngram_fst import ngram_to_fst
from wfst_hmm.graph.phrases import Grammar, phrase_list, word_loop

MODEL = small_model()
LEXICON = Lexicon(
    [
        Entry("two", ("A", "B"), where="lexicon.txt:1"),
        Entry("too", ("A", "B"), where="lexicon.txt:2"),
        Entry("toot", ("A", "B", "A"), where="lexicon.txt:3"),
        Entry("a", ("A",), where="lexicon.txt:4"),
    ]
)


def bigram() -> Grammar:
    text = ["two a toot", "a two", "too too a", "toot"]
    return Grammar(
        ngram_to_fst(estimate_ngrams([line.split() for line in text], 2, method="witten-bell")),
        "lm.arpa",
    )


def only(report: LintReport, rule: str) -> Finding:
    found = [finding for finding in report if finding.rule == rule]
    assert len(found) == 1, str(report)
    assert found[0].remedy.endswith((".", "?"))
    assert found[0].where
    return found[0]


def rules(report: LintReport) -> set[str]:
    return {finding.rule for finding in report}


def l_of(lexicon: Lexicon, *, disambiguate: bool = True) -> Fst:
    return lexicon_fst(lexicon, MODEL, disambiguate=disambiguate).fst


def without_arcs(fst: Fst, out: np.ndarray) -> Fst:
    arcs = fst.arcs[~out]
    return Fst.from_arcs(fst.start, fst.sources()[~out], arcs["ilabel"], arcs["olabel"],
                         arcs["weight"], arcs["nextstate"], fst.states["final"],
                         fst.isymbols, fst.osymbols)  # fmt: skip


def test_good_input_has_no_errors_or_warnings() -> None:
    report = lint(LEXICON, bigram(), MODEL, l_fst=l_of(LEXICON))
    assert report.ok
    assert not report.of("warning"), str(report)
    assert lint_graph(build_graph(MODEL, LEXICON, bigram().without(["<unk>"]))).ok


def test_no_backoff_loop() -> None:
    good = l_of(LEXICON)
    assert good.osymbols is not None
    bad = without_arcs(good, good.arcs["olabel"] == good.osymbols.id("#0"))
    report = lint(LEXICON, bigram(), MODEL, l_fst=bad)
    found = only(report, "no-backoff-loop")
    assert found.severity == "error"
    assert "no #0 loop" in found.what
    assert "Add a self-loop" in found.remedy
    loop = word_loop(LEXICON.words)  # does not back off: nothing is missing
    assert "no-backoff-loop" not in rules(lint(LEXICON, loop, MODEL, l_fst=bad))


def test_backoff_loop_in_the_wrong_place_or_silent() -> None:
    good = l_of(LEXICON)
    loop = good.arcs["nextstate"] == good.sources()
    arcs = good.arcs.copy()
    source = good.sources().copy()
    source[loop] = arcs["nextstate"][loop] = 0
    moved = Fst.from_arcs(0, source, arcs["ilabel"], arcs["olabel"], arcs["weight"],
                          arcs["nextstate"], good.states["final"], good.isymbols,
                          good.osymbols)  # fmt: skip
    assert "words begin in states" in only(
        lint(LEXICON, bigram(), MODEL, l_fst=moved), "no-backoff-loop").what  # fmt: skip
    arcs = good.arcs.copy()
    arcs["ilabel"][loop] = 0
    silent = Fst.from_arcs(0, good.sources(), arcs["ilabel"], arcs["olabel"], arcs["weight"],
                           arcs["nextstate"], good.states["final"], good.isymbols,
                           good.osymbols)  # fmt: skip
    report = lint(LEXICON, bigram(), MODEL, l_fst=silent)
    assert only(report, "silent-backoff-loop").severity == "warning"
    assert only(report, "epsilon-loop").severity == "warning"


def test_homophones_without_disambiguation() -> None:
    report = lint(LEXICON, None, MODEL, l_fst=l_of(LEXICON, disambiguate=False))
    found = only(report, "two-outputs")
    assert found.severity == "error"
    assert "'two'" in found.what
    assert "'too'" in found.what
    assert "two = A B at lexicon.txt:1" in found.what
    assert "too = A B at lexicon.txt:2" in found.what


def test_a_word_that_begins_others_without_disambiguation() -> None:
    lexicon = Lexicon([Entry("a", ("A",)), Entry("aa", ("A", "A"))])
    found = only(lint(lexicon, l_fst=l_of(lexicon, disambiguate=False)), "two-outputs")
    assert "gives 'a a' and 'aa'" in found.what


def test_homophones_in_a_lexicon_are_told() -> None:
    found = only(lint(LEXICON, None, MODEL), "homophones")
    assert (found.severity, "two = too" in found.what) == ("note", True)


def test_marks_of_a_lexicon_must_tell_its_words_apart() -> None:
    lexicon = Lexicon([Entry("two", ("A", "B", "#1"), where="x:1"), Entry("a", ("A",), where="x:2"),
                       Entry("too", ("A", "B", "#1"), where="x:3")])  # fmt: skip
    report = lint(lexicon, None, MODEL)
    found = [f for f in report if f.rule == "homophones-not-told-apart"]
    assert [f.where for f in found] == ["x:3", "x:1", "x:3"]
    assert "unknown-phone" not in rules(report)
    fixed = Lexicon([Entry("two", ("A", "B", "#1")), Entry("too", ("A", "B", "#2"))])
    assert lint(fixed, None, MODEL).ok


def test_unknown_phone() -> None:
    lexicon = Lexicon([*LEXICON, Entry("cue", ("C", "Q"), where="lexicon.txt:9"),
                       Entry("ah", ("a",), where="lexicon.txt:10")])  # fmt: skip
    found = [f for f in lint(lexicon, None, MODEL) if f.rule == "unknown-phone"]
    assert [f.where for f in found] == ["lexicon.txt:9", "lexicon.txt:10"]
    assert "'Q' of cue" in found[0].what
    assert "The model has A." in found[1].remedy


def test_words_of_one_side_only() -> None:
    report = lint(LEXICON, phrase_list([(("tow", "a"), 0.0), (("two",), 0.0)], "p.txt"), MODEL)
    missing = only(report, "words-not-in-lexicon")
    assert (missing.severity, missing.where) == ("error", "p.txt")
    assert "tow (nearest: " in missing.what
    unused = only(report, "words-not-in-grammar")
    assert unused.severity == "note"
    assert "2 of 4" in unused.what
    assert "nothing-spoken" not in rules(report)


def test_shortest_sentence_that_cannot_be_spelled() -> None:
    phrases = [("two", "too", "q", "a"), ("two", "q", "r"), ("a", "a", "r", "a")]
    report = lint(LEXICON, phrase_list([(p, 0.0) for p in phrases]), MODEL)
    found = only(report, "nothing-spoken")
    assert "the shortest, 'two q r', breaks at 'q'" in found.what


def test_shortest_sentence_that_a_given_l_cannot_spell() -> None:
    """All words are in L; the backoff that the sentence needs is not."""
    symbols = Symbols(["two", "a", "#0"])
    fst = Fst.from_arcs(0, [0, 1, 2], [1, 3, 2], [1, 0, 2], [0.0] * 3, [1, 2, 3],
                        [np.inf] * 3 + [0.0], symbols, symbols)  # fmt: skip
    good = l_of(LEXICON)
    assert good.osymbols is not None
    bad = without_arcs(good, good.arcs["olabel"] == good.osymbols.id("#0"))
    report = lint(LEXICON, Grammar(fst), MODEL, l_fst=bad)
    assert "the shortest, 'two #0 a', breaks at '#0'" in only(report, "nothing-spoken").what
    assert "nothing-spoken" not in rules(lint(LEXICON, Grammar(fst), MODEL, l_fst=good))


def drifting() -> Grammar:
    symbols = Symbols(["a", "two"])
    fst = Fst.from_arcs(
        0, [0, 0, 1, 2, 1, 2], [1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 2, 2],
        [0.0, 0.0, 1.0, 2.0, 0.0, 0.0], [1, 2, 1, 2, 3, 3], [np.inf] * 3 + [0.0], symbols, symbols,
    )  # fmt: skip
    return Grammar(fst, "drift.fst")


def test_grammar_that_cannot_be_determinized() -> None:
    report = lint(LEXICON, drifting(), MODEL, max_states=1000)
    found = only(report, "not-determinizable")
    assert "after 'a', two loops read 'a' for 1 and 2 nats" in found.what
    assert found.where == "drift.fst"
    alone = lint_machine(drifting().fst, "drift.fst")
    assert only(alone, "not-determinizable").severity == "error"


def test_outputs_that_drift_apart_in_loops() -> None:
    """Functional, as the last input decides; but no determinization would ever know in time."""
    fst = Fst.from_arcs(0, [0, 0, 1, 2, 1, 2], [1, 1, 1, 1, 2, 3], [1, 2, 1, 2, 0, 0], [0.0] * 6,
                        [1, 2, 1, 2, 3, 3], [np.inf] * 3 + [0.0])  # fmt: skip
    found = only(lint_machine(fst, "x.fst"), "not-determinizable")
    assert "writing '1 (1)*' and '2 (2)*'" in found.what


def test_budget_of_pairs() -> None:
    report = lint(LEXICON, None, MODEL, l_fst=l_of(LEXICON))
    assert "not-proven" not in rules(report)
    short = lint(LEXICON, None, MODEL, l_fst=l_of(LEXICON), max_pairs=3)
    assert only(short, "not-proven").severity == "note"


def test_one_sentence_printed_in_two_ways() -> None:
    words, printed = Symbols(["a", "two"]), Symbols(["A", "2", "II"])
    fst = Fst.from_arcs(0, [0, 1, 1], [1, 2, 2], [1, 2, 3], [0.0, 0.0, 1.0], [1, 2, 2],
                        [np.inf, np.inf, 0.0], words, printed)  # fmt: skip
    found = only(lint(LEXICON, Grammar(fst, "itn.fst"), MODEL), "two-outputs")
    assert (found.severity, "'a two' gives 'A 2' and 'A II'" in found.what) == ("warning", True)


@pytest.mark.parametrize(("cost", "severity"), [(0.0, "warning"), (-0.5, "error")])
def test_epsilon_loops(cost: float, severity: str) -> None:
    symbols = Symbols(["a"])
    fst = Fst.from_arcs(0, [0, 1, 2, 1], [1, 0, 0, 1], [1, 0, 0, 1], [0.0, 0.75, cost - 0.75, 0.0],
                        [1, 2, 1, 3], [np.inf] * 3 + [0.0], symbols, symbols)  # fmt: skip
    found = only(lint(LEXICON, Grammar(fst, "loop.fst"), MODEL), "epsilon-loop")
    assert found.severity == severity
    assert f"costs {cost:.4g} nats" in found.what
    harmless = replace(fst, arcs=_dearer(fst))
    assert "epsilon-loop" not in rules(lint(LEXICON, Grammar(harmless), MODEL))


def _dearer(fst: Fst) -> np.ndarray:
    arcs = fst.arcs.copy()
    arcs["weight"] += 1.0
    return arcs


def test_backoff_loops_count_as_epsilons() -> None:
    symbols = Symbols(["a", "#0"])
    fst = Fst.from_arcs(0, [0, 0, 1], [1, 2, 2], [1, 0, 0], [1.0, 0.0, 0.0], [0, 1, 0],
                        [0.0, np.inf], symbols, symbols)  # fmt: skip
    assert "states 0 -> 1 -> 0" in only(lint(None, Grammar(fst, "g")), "epsilon-loop").what


def test_useless_states() -> None:
    fst = Fst.from_arcs(0, [0, 0, 3], [1, 1, 1], [1, 1, 1], [0.0] * 3, [1, 2, 1],
                        [np.inf, 0.0, np.inf, np.inf])  # fmt: skip
    report = lint_machine(fst, "m.fst")
    assert "1 of 4 states cannot be reached from the start: 3" in only(
        report, "unreachable-states").what  # fmt: skip
    assert only(report, "dead-ends").where == "m.fst, state 2"


def test_stochasticity() -> None:
    grammar = bigram()
    assert "stochasticity" not in rules(lint(None, grammar))
    arcs = grammar.fst.arcs.copy()
    arcs["weight"][0] -= math.log(2.0)
    wrong = Grammar(replace(grammar.fst, arcs=arcs), "lm.arpa")
    found = only(lint(None, wrong), "stochasticity")
    assert found.severity == "warning"
    assert "do not sum to one (with backing off)" in found.what
    assert only(lint(None, word_loop(["a"])), "stochasticity").severity == "note"


def test_probabilities_of_a_lexicon() -> None:
    lexicon = Lexicon([Entry("a", ("A",), 0.5, "l:1"), Entry("a", ("B",), 0.25, "l:2"),
                       Entry("b", ("B",), 1.0), Entry("b", ("C",), 0.5)])  # fmt: skip
    found = only(lint(lexicon), "pronunciation-probabilities")
    assert found.where == "l:1"
    assert "1 words" in found.what
    assert "a 0.75" in found.what


def test_l_without_symbols_and_an_empty_machine() -> None:
    with pytest.raises(GraphError, match="L needs symbol tables"):
        lint(LEXICON, l_fst=l_of(LEXICON).with_symbols(None, None))
    empty = Fst.from_arcs(-1, [], [], [], [], [], [])
    assert rules(lint_machine(empty, "m.fst")) == {"empty"}


def test_report() -> None:
    report = lint(LEXICON, drifting(), MODEL, max_states=100)
    assert [f.severity for f in report] == sorted(
        (f.severity for f in report), key=["error", "warning", "note"].index)  # fmt: skip
    data = report.to_json()
    assert data["counts"]["error"] == 1
    assert set(data["findings"][0]) == {"rule", "severity", "what", "where", "remedy"}
    assert str(report[0]).startswith("error: drift.fst: determinizing G passed 100 states")
    assert str(LintReport([])) == "nothing found"


def test_encodings_are_no_findings() -> None:
    lexicon = Lexicon([Entry("caf\u00e9", ("A", "B"))])
    report = lint(lexicon, word_loop(["cafe\u0301"]), MODEL)
    assert not [finding for finding in report if finding.rule.startswith("words-not-in")]
