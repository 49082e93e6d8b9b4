import subprocess
import sys

import numpy as np
import pytest
from graph_models import SmallModel, models, small_model
from hypothesis import given, settings
from strategies import machines

from wfst_hmm.errors import GraphError, UsageError
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.compiler import GraphOptions, build_compact, build_graph
from wfst_hmm.graph.expansion import expand_units
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import word_loop
from wfst_hmm.graph.stages import Stages, megabytes_in_use, peak_megabytes
from wfst_hmm.graph.units import Units

LEXICON = Lexicon([Entry("two", ("A", "B")), Entry("a", ("A",))])


def test_stages_count_and_time() -> None:
    fst = Fst.from_arcs(0, [0], [1], [1], [0.0], [1], [np.inf, 0.0])
    stages = Stages([{"name": "earlier"}])
    assert stages.done("made", fst) is fst
    assert stages.rows[0] == {"name": "earlier"}
    row = stages.rows[1]
    assert (row["name"], row["states"], row["arcs"]) == ("made", 2, 1)
    assert row["seconds"] >= 0


def test_memory_is_that_of_this_process() -> None:
    """A child does not count what its parent held."""
    before = peak_megabytes()
    held = np.ones(25_000_000)
    after = peak_megabytes()
    code = "from wfst_hmm.graph.stages import peak_megabytes; print(peak_megabytes())"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          check=True)  # fmt: skip
    if before is None or after is None:
        return
    assert held.sum() > 0
    assert after >= held.nbytes / (1 << 20)
    assert float(done.stdout) < after - 50


def test_memory_in_use_comes_and_goes() -> None:
    before = megabytes_in_use()
    held = np.ones(25_000_000)
    during = megabytes_in_use()
    if before is None or during is None or before == peak_megabytes():
        return
    assert during >= before + 0.9 * held.nbytes / (1 << 20)
    del held
    after = megabytes_in_use()
    assert after is not None
    assert after < during - 100


def test_a_stage_beyond_the_budget_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use = iter([100.0, 100.0, 700.0])
    monkeypatch.setattr("wfst_hmm.graph.stages.megabytes_in_use", lambda: next(use))
    options = GraphOptions(max_memory_mb=500.0)
    with pytest.raises(
        GraphError,
        match=r"stage 'L∘G determinized and minimized': this stage exceeds the budget of memory; "
        r"got 700 MB, expected at most 500 MB\. Raise max_memory_mb \(--max-memory\)",
    ):
        build_compact(small_model(), LEXICON, word_loop(LEXICON.words), options)


def test_expansion_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wfst_hmm.graph.stages.megabytes_in_use", lambda: 100.0)
    model, grammar = small_model(), word_loop(LEXICON.words)
    compact = build_compact(model, LEXICON, grammar)
    enough = compact.expanded(max_memory_mb=100.1)
    assert enough.fst.to_bytes() == build_graph(model, LEXICON, grammar).fst.to_bytes()
    with pytest.raises(GraphError, match=r"'H expanded': this stage would exceed the budget"):
        compact.expanded(max_memory_mb=100.0001)
    with pytest.raises(GraphError, match=r"'H expanded'"):
        build_graph(model, LEXICON, grammar, GraphOptions(max_memory_mb=100.0001))
    with pytest.raises(UsageError, match=r"max_memory_mb must be positive; got nan"):
        GraphOptions(max_memory_mb=float("nan"))


@given(models(), machines(n_labels=4))
@settings(deadline=None, max_examples=30)
def test_what_is_counted_is_what_is_made(model: SmallModel, fst: Fst) -> None:
    units = Units.of_phones(model.topologies, model.state_labels())
    told: list[int] = []
    made = expand_units(fst, units, afford=told.append)
    assert told == ([32 * made.n_arcs + 48 * made.n_states] if fst.n_states else [])
