import numpy as np
from graph_models import SmallModel, models, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines, relation, same_relation

from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.expansion import expand_units
from wfst_hmm.graph.hmm_fst import hmm_fst
from wfst_hmm.graph.units import Units


def tables(model: SmallModel, n_marks: int = 2) -> tuple[Units, Symbols, Symbols]:
    labels = model.state_labels()
    marks = [f"#{i}" for i in range(n_marks)]
    return (
        Units.of_phones(model.topologies, labels), labels.symbols, Symbols([*model.phones, *marks])
    )  # fmt: skip


def composed(fst: Fst, units: Units, states: Symbols, symbols: Symbols) -> Fst:
    """H ∘ fst by OpenFst, disambiguation symbols made epsilons afterwards."""
    made = ops.compose(hmm_fst(units, states, symbols), fst.with_symbols(symbols, None))
    marks = dict.fromkeys(range(len(states), len(states) + len(symbols)), 0)
    return ops.relabel(made, marks)


@given(models(n_phones=2), machines(max_states=4, n_labels=5), st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_expansion_is_composition_with_h(model: SmallModel, fst: Fst, length: int) -> None:
    units, states, symbols = tables(model)
    quick = expand_units(fst, units, states)
    quick.validate()
    slow = composed(fst, units, states, symbols)
    assert same_relation(relation(quick, length), relation(slow, length))


def test_expansion_of_a_chain_has_no_epsilons_and_shares_bodies() -> None:
    units, states, _ = tables(small_model(n_states=3))
    # two words with one last phone and one destination, then a final state
    fst = Fst.from_arcs(
        0, [0, 0, 1], [1, 1, 2], [1, 2, 0], [1.0, 2.0, 0.0], [1, 1, 2], [np.inf, np.inf, 0.5]
    )
    made = expand_units(fst, units, states)
    assert made.n_states == 1 + 3 + 3
    assert not (made.arcs["ilabel"] == 0).any()
    assert made.n_arcs == 2 + 5 + 1 + 5
    best = ops.best_path(made)
    assert best is not None
    assert states.strings(best.ilabels) == ["^A.0", "A.1", "A.2", "^B.0", "B.1", "B.2"]
    np.testing.assert_allclose(best.cost, 1.5 - 6 * np.log(0.75), rtol=1e-6)


def test_zero_probabilities_stay_absent() -> None:
    model = small_model()
    units, states, symbols = tables(model)
    h = hmm_fst(units, states, symbols)
    assert np.isfinite(h.arcs["weight"]).all()
    assert h.n_arcs == 3 * (1 + 3 + 1) + (1 + 2 + 2 + 1 + 1) + 2


def test_empty_machine_expands_to_empty() -> None:
    units, states, _ = tables(small_model())
    empty = Fst.from_arcs(-1, [], [], [], [], [], [])
    assert expand_units(empty, units, states).n_states == 0
