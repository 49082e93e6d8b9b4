import itertools
import math

import pytest
from graph_models import lexicons, small_model
from hypothesis import given, settings
from strategies import relation, same_relation

from wfst_hmm.errors import DataError, GraphError, UsageError
from wfst_hmm.fst import ops
from wfst_hmm.fst.symbols import Symbols
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_fst import LexiconOptions, disambiguation, lexicon_fst

MODEL = small_model()
SIL = MODEL.phones.index("SIL") + 1


def spoken(lexicon: Lexicon, silence: float, max_words: int) -> dict[object, float]:
    """Every way to speak up to `max_words` words, by the definition."""
    number = {phone: index + 1 for index, phone in enumerate(MODEL.phones)}
    ids = {word: index + 1 for index, word in enumerate(lexicon.words)}
    pauses = [((SIL,), -math.log(silence)), ((), -math.log1p(-silence))] if silence else [((), 0.0)]
    found: dict[object, float] = {}
    for n in range(max_words + 1):
        for entries in itertools.product(lexicon.entries, repeat=n):
            for gaps in itertools.product(pauses, repeat=n + 1):
                phones = gaps[0][0]
                cost = gaps[0][1]
                for entry, (pause, paid) in zip(entries, gaps[1:], strict=True):
                    phones = (*phones, *(number[p] for p in entry.phones), *pause)
                    cost += paid - math.log(entry.probability)
                key = (phones, tuple(ids[entry.word] for entry in entries))
                found[key] = min(cost, found.get(key, math.inf))
    return found


@given(lexicons(silence=True))
@settings(deadline=None, max_examples=15)
def test_l_is_what_can_be_spoken(lexicon: Lexicon) -> None:
    for silence in (0.0, 0.25):
        for disambiguate in (False, True):
            made = lexicon_fst(lexicon, MODEL, LexiconOptions(silence), disambiguate=disambiguate,
                               unspoken=())  # fmt: skip
            marks = dict.fromkeys(range(made.n_phones + 1, len(made.phones)), 0)
            found = relation(ops.relabel(made.fst, marks), 3)
            short = {
                pair: cost
                for pair, cost in spoken(lexicon, silence, 3).items()
                if len(pair[0]) <= 3
            }
            assert same_relation(found, short)


@given(lexicons(silence=True))
@settings(deadline=None, max_examples=40)
def test_disambiguation_makes_the_words_a_prefix_code(lexicon: Lexicon) -> None:
    marked = [
        (*entry.phones, *((f"#{mark}",) if mark else ()))
        for entry, mark in zip(lexicon.entries, disambiguation(lexicon), strict=True)
    ]
    for one, other in itertools.permutations(marked, 2):
        assert one != other[: len(one)]
    assert ops.is_deterministic(ops.determinize(lexicon_fst(lexicon, MODEL).fst))


def test_symbols() -> None:
    lexicon = Lexicon([Entry("two", ("A", "B")), Entry("too", ("A", "B")), Entry("a", ("A",))])
    made = lexicon_fst(lexicon, MODEL, unspoken=("#0", "#0:1"))
    assert list(made.phones)[1:] == ["A", "B", "C", "SIL", "#0", "#1", "#2", "#3", "#4"]
    assert list(made.words)[1:] == ["two", "too", "a", "#0", "#0:1"]
    loops = made.fst.arcs_of(1)[made.fst.arcs_of(1)["nextstate"] == 1]
    assert [made.phones[int(arc["ilabel"])] for arc in loops] == ["#0", "#4"]


def test_table_without_a_word() -> None:
    with pytest.raises(GraphError, match="lacks words of the lexicon; got \\['a', '#0'\\]"):
        lexicon_fst(Lexicon([Entry("a", ("A",))]), MODEL, words=Symbols(["b"]))


@pytest.mark.parametrize("probability", [-0.1, 1.0, math.nan])
def test_impossible_silence(probability: float) -> None:
    with pytest.raises(UsageError, match="silence_probability"):
        LexiconOptions(probability)


def test_silence_after_single_words() -> None:
    lexicon = Lexicon([Entry("a", ("A",), silence=0.25), Entry("b", ("B",))])
    fst = ops.relabel(lexicon_fst(lexicon, MODEL, disambiguate=False, unspoken=()).fst)
    found = relation(fst, 2)
    start = -math.log(0.5)
    assert found[(1, SIL), (1,)] == pytest.approx(start - math.log(0.25))
    assert found[(1,), (1,)] == pytest.approx(start - math.log(0.75))
    assert found[(2, SIL), (2,)] == pytest.approx(2 * start)


def test_no_silence_where_it_has_no_probability() -> None:
    lexicon = Lexicon([Entry("a", ("A",), silence=0.0), Entry("b", ("B",))])
    options = LexiconOptions(0.25, initial_silence=False)
    fst = ops.relabel(lexicon_fst(lexicon, MODEL, options, disambiguate=False, unspoken=()).fst)
    stay, pause = -math.log(0.75), -math.log(0.25)
    expected = {((), ()): 0.0, ((1,), (1,)): 0.0, ((2,), (2,)): stay, ((2, SIL), (2,)): pause}
    found = {pair: cost for pair, cost in relation(fst, 2).items() if len(pair[1]) < 2}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("chance", [-0.1, 1.0, math.nan])
def test_impossible_silence_of_a_word(chance: float) -> None:
    with pytest.raises(DataError, match="probability of silence after 'a' out of range"):
        len(Lexicon([Entry("a", ("A",), silence=chance)]))
