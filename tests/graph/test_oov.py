"""Words without a pronunciation: found, guessed, replaced or left out, by the same rules everywhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.oov import OovOptions, grammar_vocabulary, silence_phone, vocabulary
from wfst_hmm.graph.phrases import phrase_list

NFC, NFD = "caf\u00e9", "cafe\u0301"
LEXICON = Lexicon([
    Entry("be", ("B", "IY")), Entry("b", ("B",)), Entry(NFD, ("K", "AE")), Entry("don't", ("D",)),
    Entry("odd", ("Q",)), Entry("odd", ("D",)), Entry("bad", ("Q",), where="lexicon.txt:7"),
    Entry("<UNK>", ("SPN",)), Entry("<SIL>", ("sil",)),
])  # fmt: skip
PHONES = ("B", "IY", "K", "AE", "D", "SPN", "sil")


def spell(words: list[str]) -> list[Entry]:
    """A guesser: a phone for a B, nothing for the rest."""
    return [Entry(word, ("B",) * word.lower().count("b")) for word in words if "b" in word.lower()]


def rows(lexicon: Lexicon) -> list[tuple[str, str]]:
    return [(entry.word, " ".join(entry.phones)) for entry in lexicon]


def test_words_keep_the_form_in_which_they_were_asked_for() -> None:
    found = vocabulary(LEXICON, [NFC, "don\u2019t", NFD])
    assert rows(found.lexicon) == [(NFC, "K AE"), (NFD, "K AE"), ("don\u2019t", "D")]
    assert found.notes == ("1 word found with another apostrophe: don\u2019t = don't",)
    assert not found.missing


def test_other_case_comes_before_guesses() -> None:
    """BE was guessed as B although the lexicon has be."""
    found = vocabulary(LEXICON, ["BE", "BB"], OovOptions("guess", guess=spell))
    assert rows(found.lexicon) == [("BE", "B IY"), ("BB", "B B")]
    assert found.notes == ("1 word found in other case: BE = be", "guessed: BB = B B")
    assert rows(vocabulary(LEXICON, ["BE"], OovOptions(fold_case=True)).lexicon) == [("BE", "B IY")]
    with pytest.raises(
        DataError, match=r"BE \(nearest: be, b\); 1 of them are there in other case \(--fold"
    ):
        vocabulary(LEXICON, ["BE"])


def test_what_cannot_be_guessed_is_left_out() -> None:
    found = vocabulary(LEXICON, ["be", "...", "xyz"], OovOptions("guess", guess=spell))
    assert list(found.missing) == ["...", "xyz"]
    assert found.problem(["be", "..."]) == "not in the lexicon: ... (no letters)"
    assert found.problem(["be"]) == ""
    assert "2 words of the transcripts cannot be spoken: ... (no letters); xyz" in found.notes[-1]


def test_a_token_without_letters_is_no_reason_to_refuse_everything() -> None:
    found = vocabulary(LEXICON, {"be": "u1", "--": "u2"})
    assert list(found.missing) == ["--"]
    with pytest.raises(
        DataError, match=r"lacks 2 words of the transcripts, first in u3: -- .*; zzz"
    ):
        vocabulary(LEXICON, {"be": "u1", "--": "u2", "zzz": "u3"})


def test_phones_that_the_model_lacks() -> None:
    found = vocabulary(LEXICON, ["odd", "bad"], OovOptions("skip"), phones=PHONES)
    assert rows(found.lexicon) == [("odd", "D")]
    assert "this pronunciation of 'odd' is left out" in found.notes[0]
    assert found.problem(["bad"]) == (
        "not in the lexicon: bad (lexicon.txt:7: the model lacks phone 'Q' of word 'bad')"
    )
    assert not vocabulary(LEXICON, ["be"], phones=PHONES).notes  # nobody says bad


def test_unknown_words_are_spoken_as_such() -> None:
    found = vocabulary(LEXICON, ["be", "zzz"], OovOptions("unk"), phones=PHONES)
    assert rows(found.lexicon) == [("be", "B IY"), ("zzz", "SPN")]
    assert found.notes == ("1 word of the transcripts spoken as <UNK>: zzz",)
    with pytest.raises(DataError, match="no word for unknown ones"):
        vocabulary(Lexicon([Entry("a", ("A",))]), ["b"], OovOptions("unk"))
    with pytest.raises(UsageError, match="raise, skip, guess or unk"):
        OovOptions("maybe")


def test_hundreds_are_counted_and_listed(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(300)]
    listing = tmp_path / "out.missing.txt"
    with pytest.raises(DataError) as caught:
        vocabulary(LEXICON, words, OovOptions(listing=listing))
    message = str(caught.value)
    assert "lacks 300 words" in message
    assert "; w9; and 290 more (all of them: " in message
    assert [line.split("\t")[0] for line in listing.read_text().splitlines()] == words


def test_grammars_lose_sentences_or_words_change() -> None:
    grammar = phrase_list([(("be", NFC), 0.0), (("zzz",), 0.0), (("...",), 0.0)])
    left, found = grammar_vocabulary(grammar, LEXICON, OovOptions("skip"))
    assert left.words == ("be", NFC)
    assert rows(found.lexicon) == [("be", "B IY"), (NFC, "K AE")]
    spoken, found = grammar_vocabulary(grammar, LEXICON, OovOptions("unk"))
    assert set(spoken.words) == {"be", NFC, "<UNK>"}
    assert found.lexicon.prons("<UNK>")
    with pytest.raises(DataError, match="lacks 2 words of the grammar: zzz"):
        grammar_vocabulary(grammar, LEXICON)


def test_silence_of_kaldi_s_lexicons() -> None:
    assert silence_phone(LEXICON) == "sil"
    assert silence_phone(Lexicon([Entry("a", ("A",))])) is None


@given(st.lists(st.sampled_from(["be", "BE", NFC, NFD, "zzz", "...", "bad", "B"]), max_size=8),
       st.sampled_from(["skip", "guess", "unk"]), st.booleans())  # fmt: skip
def test_every_word_is_spoken_or_missing(words: list[str], on_oov: str, folds: bool) -> None:
    found = vocabulary(LEXICON, words, OovOptions(on_oov, folds, spell), phones=PHONES)
    assert set(found.lexicon.words) | set(found.missing) == set(words)
    assert not set(found.lexicon.words) & set(found.missing)
    assert set(found.lexicon.phones) <= set(PHONES)
    for word in words:  # the slow twin of the look-up
        if word in LEXICON.words and word != "bad":
            assert rows(found.lexicon.restricted([word])) == rows(
                Lexicon(e for e in LEXICON if e.word == word and e.phones != ("Q",)))  # fmt: skip
