"""The measurements of compilation, on graphs small enough for a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.bench import graph as bench
from wfst_hmm.bench.graph_build import Material, Phones
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.phrases import Grammar


@pytest.fixture
def given() -> Material:
    words = ("two", "too", "toot", "at")
    entries = [Entry(w, p) for w, p in zip(words, ("TU", "TU", "TUT", "AT"), strict=True)]
    lexicon = Lexicon(Entry(e.word, tuple(e.phones)) for e in entries)
    symbols = Symbols([*words, "#0"])
    fst = Fst.from_arcs(
        0, [0, 0, 0, 0, 1, 1, 2], [1, 2, 3, 4, 3, 5, 5], [1, 2, 3, 4, 3, 0, 0],
        [1.0, 1.5, 2.0, 2.5, 0.25, 0.75, 0.5], [1, 1, 2, 0, 2, 0, 0], [0.0, 0.5, 1.0],
        symbols, symbols,
    )  # fmt: skip
    return Material(lexicon, Grammar(fst), Phones((*lexicon.phones, "SIL")))


def test_without_a_peer_our_side_stands_alone(
    given: Material, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "material", lambda n_words, order: given)
    rows = bench._beside_kaldifst(4, 5, None, 1, tmp_path, lambda text: None)
    assert [(row.unit, row.theirs) for row in rows] == [("s", None), ("s", None)]


def test_the_plain_recipe_gives_every_sentence_our_cost(given: Material) -> None:
    items = bench._items(given)
    slow, _ = bench._plain_hlg(given, items)
    quick = bench.build_compact(given.phones, given.lexicon, given.grammar).expanded()
    sentences = bench._sentences(items, 20, seed=1)
    assert len(sentences) == 20
    ours = bench._costs(quick.fst, sentences)
    theirs = bench._costs(slow, sentences)
    assert None not in ours
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    row = bench._cost_row("x", ours, theirs, "plain OpenFst")
    assert row.reached
