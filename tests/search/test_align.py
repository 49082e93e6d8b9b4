from hypothesis import given
from hypothesis import strategies as st

from wfst_hmm.search.align import split_into_words

LEXICON = {"a": [["A"], ["A", "B"]], "b": [["B"], ["B", "B"]], "pause": [["SIL"]]}


def prons(word: str) -> list[list[str]]:
    return LEXICON.get(word, [])


@given(st.lists(st.tuples(st.sampled_from(sorted(LEXICON)), st.integers(0, 1), st.integers(0, 2))))
def test_every_spoken_sequence_is_split(spoken: list[tuple[str, int, int]]) -> None:
    phones: list[str] = []
    for word, choice, n_silences in spoken:
        phones += ["SIL"] * n_silences + LEXICON[word][choice % len(LEXICON[word])]
    words = [word for word, _, _ in spoken]
    split = split_into_words(phones, words, prons, {"SIL"})
    assert split is not None
    end = 0
    for word, (first, stop) in zip(words, split, strict=True):
        assert all(phone == "SIL" for phone in phones[end:first])
        assert phones[first:stop] in prons(word)
        end = stop
    assert all(phone == "SIL" for phone in phones[end:])


def test_what_cannot_be_said() -> None:
    assert split_into_words(["A"], ["b"], prons, {"SIL"}) is None
    assert split_into_words(["A", "A"], ["a"], prons, {"SIL"}) is None
    assert split_into_words(["A"], ["unknown"], prons, {"SIL"}) is None
    assert split_into_words(["SIL"], [], prons, {"SIL"}) == []
