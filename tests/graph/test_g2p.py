"""Guessed pronunciations: alignment, search and errors, each against an enumeration."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.fst import ops
from wfst_hmm.fst.arrays import Fst
from wfst_hmm.graph.g2p import G2p
from wfst_hmm.graph.g2p_alignment import Graphone, align_spellings
from wfst_hmm.graph.lexicon import Entry, Lexicon, read_lexicon

STEPS = [(1, 0), (1, 1), (1, 2), (2, 1)]


def alignments(letters: str, phones: tuple[str, ...]) -> list[tuple[Graphone, ...]]:
    if not letters:
        return [()] if not phones else []
    return [
        (Graphone(tuple(letters[:n]), phones[:k]), *rest)
        for n, k in STEPS
        if n <= len(letters) and k <= len(phones)
        for rest in alignments(letters[n:], phones[k:])
    ]


pairs = st.lists(
    st.tuples(st.text("ab", max_size=3), st.lists(st.sampled_from("XY"), max_size=3).map(tuple)),
    min_size=1, max_size=4,
)  # fmt: skip


@given(pairs, st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_alignment_is_expectation_maximization(rows: list[tuple[str, tuple[str, ...]]], n: int):
    probability: dict[Graphone, float] = {}
    for iteration in range(n):
        counts: dict[Graphone, float] = {}
        for letters, phones in rows:
            paths = alignments(letters, phones) if letters else []
            weights = [
                math.prod(probability.get(g, 0.0) if iteration else 1.0 for g in path)
                for path in paths
            ]
            for path, weight in zip(paths, weights, strict=True):
                for graphone in path:
                    counts[graphone] = counts.get(graphone, 0.0) + weight / sum(weights)
        total = sum(counts.values())
        probability = {g: c / total for g, c in counts.items()}
    found = align_spellings([r[0] for r in rows], [r[1] for r in rows], n_iterations=n)
    for (letters, phones), row in zip(rows, found, strict=True):
        paths = alignments(letters, phones) if letters else []
        if row is None:
            assert not paths
            continue
        scores = {path: math.prod(probability[g] for g in path) for path in paths}
        assert scores[row] == pytest.approx(max(scores.values()))


def toy() -> Lexicon:
    sounds = {"a": "A", "b": "B", "c": "K", "d": "D", "e": "", "x": "K S", "sh": "SH", "s": "S"}
    rng = np.random.default_rng(4)
    words = {"".join(rng.choice(list(sounds), size=rng.integers(2, 6))) for _ in range(300)}
    entries = []
    for word in sorted(words):
        text, phones = word, []
        while text:
            unit = text[:2] if text[:2] in sounds else text[0]
            if unit in sounds:
                phones += sounds[unit].split()
            elif unit == "h":
                phones.append("HH")
            text = text[len(unit) :]
        if phones:
            entries.append(Entry(word, tuple(phones)))
    return Lexicon(entries)


@pytest.fixture(scope="module")
def model() -> G2p:
    return G2p.train(toy(), order=3)


def test_regular_spelling_is_learnt(model: G2p):
    assert model.pronounce("bash")[0].phones == ("B", "A", "SH")
    assert model.pronounce("BAX")[0].phones == ("B", "A", "K", "S")
    assert model.pronounce("b\u00e9a")[0].phones == ("B", "A")
    assert model.pronounce("\u00e9") == []
    assert model.pronounce("hab")[0].phones == ("A", "B")  # "h" was seen in "sh" only
    errors = model.errors(toy())
    assert errors.word_error_rate < 0.05
    held = G2p.held_out_errors(toy(), share=0.1, order=3)
    assert 0 < held.n_words < 60
    assert held.phone_error_rate < 0.1


@pytest.mark.parametrize("word", ["a", "ash", "xx", "shed", "cab"])
def test_best_paths_by_enumeration(model: G2p, word: str):
    by_letters: dict[tuple[str, ...], list[str]] = {}
    for name, graphone in model.graphones.items():
        by_letters.setdefault(graphone.letters, []).append(name)

    def splits(text: str) -> list[list[str]]:
        if not text:
            return [[]]
        return [
            [name, *rest]
            for n in (1, 2)
            if len(text) >= n
            for rest in splits(text[n:])
            for name in by_letters.get(tuple(text[:n]), [])
        ]

    costs: dict[tuple[str, ...], float] = {}
    for names in splits(word):
        phones = tuple(itertools.chain.from_iterable(model.graphones[x].phones for x in names))
        cost = -model.model.sentence_log_prob(names)
        costs[phones] = min(cost, costs.get(phones, math.inf))
    guesses = model.pronounce(word, 3)
    expected = sorted(costs.values())
    assert guesses[0].cost == pytest.approx(expected[0], abs=1e-4)
    for guess in guesses:
        assert guess.cost == pytest.approx(costs[guess.phones], abs=1e-4)
    assert [g.cost for g in guesses] == sorted(g.cost for g in guesses)


def test_the_transducer_agrees(model: G2p):
    fst = model.to_fst()
    assert fst.isymbols is not None
    for word in ("bash", "sex", "cab"):
        labels = fst.isymbols.ids(word)
        n = len(labels)
        line = Fst.from_arcs(0, range(n), labels, labels, np.zeros(n), range(1, n + 1),
                             [*[np.inf] * n, 0.0], fst.isymbols, fst.isymbols)  # fmt: skip
        path = ops.best_path(ops.compose(line, fst))
        assert path is not None
        guess = model.pronounce(word)[0]
        assert path.cost <= guess.cost + 1e-3
        assert path.cost == pytest.approx(guess.cost, abs=0.3)
        assert tuple((fst.osymbols or fst.isymbols).strings(path.olabels)) == guess.phones


def test_entries_for_missing_words(model: G2p):
    lexicon = toy()
    entries = model.entries(["shabab", "\u00e9"], n=2)
    assert {entry.word for entry in entries} == {"shabab"}
    assert entries[0].probability == 1.0
    assert all(0 < entry.probability <= 1 for entry in entries)
    assert "shabab" in lexicon.merged(Lexicon(entries))


def test_there_and_back(model: G2p, tmp_path: Path):
    model.save(tmp_path / "g2p")
    again = G2p.load(tmp_path / "g2p")
    for word in ("bash", "xa"):
        for one, other in zip(model.pronounce(word, 2), again.pronounce(word, 2), strict=True):
            assert one.phones == other.phones
            assert one.cost == pytest.approx(other.cost, abs=1e-3)
    (tmp_path / "g2p" / "graphones.json").write_text("[]")
    with pytest.raises(FormatError, match=r"graphones\.json: not the graphones"):
        G2p.load(tmp_path / "g2p")
    (tmp_path / "g2p" / "graphones.json").write_text('{"graphones": {}, "n_unaligned": 0}')
    with pytest.raises(FormatError, match="knows other graphones"):
        G2p.load(tmp_path / "g2p")


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="can be aligned"):
        G2p.train(Lexicon([Entry("<sil>", ("SIL",)), Entry("a", ("A", "B", "C"))]))


def test_english(tmp_path: Path):
    pocketsphinx = pytest.importorskip("pocketsphinx")
    whole = read_lexicon(Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict")
    words = [w for w in whole.words if w.isalpha()]
    rng = np.random.default_rng(1)
    chosen = [words[i] for i in rng.permutation(len(words))[:6000]]
    model = G2p.train(whole.restricted(chosen[:5800]), order=5)
    errors = model.errors(whole.restricted(chosen[5800:]))
    assert errors.phone_error_rate < 0.20
    assert errors.word_error_rate < 0.65
