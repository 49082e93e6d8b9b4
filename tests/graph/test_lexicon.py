import gzip
from pathlib import Path

import pytest
from graph_models import lexicons
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.graph.lexicon import (
    Entry,
    Lexicon,
    WordLines,
    format_missing,
    is_fraction,
    read_lexicon,
)
from wfst_hmm.graph.lint_lexicon import lexicon_findings


def read(tmp_path: Path, text: str | bytes, **options: bool) -> Lexicon:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "lexicon.txt").write_bytes(data)
    return read_lexicon(tmp_path / "lexicon.txt", **options)


def rows(lexicon: Lexicon) -> list[tuple[str, str, float]]:
    return [(e.word, " ".join(e.phones), e.probability) for e in lexicon]


def test_kaldi_lexicon(tmp_path: Path) -> None:
    found = read(tmp_path, "yes Y EH S\nno\tN OW\n\nno  N\tAH \n")
    assert rows(found) == [("yes", "Y EH S", 1.0), ("no", "N OW", 1.0), ("no", "N AH", 1.0)]
    assert found.words == ("yes", "no")
    assert found.phones == ("Y", "EH", "S", "N", "OW", "AH")
    assert found.entries[2].where.endswith("lexicon.txt:4")


def test_probabilities(tmp_path: Path) -> None:
    found = read(tmp_path, "no 1.0 N OW\nno 0.25 N AH\n")
    assert rows(found) == [("no", "N OW", 1.0), ("no", "N AH", 0.25)]
    assert rows(read(tmp_path, "one 1 2\n", probabilities=False)) == [("one", "1 2", 1.0)]


def test_cmudict(tmp_path: Path) -> None:
    text = (
        ";;; comment\n## another\nREAD R EH D\nREAD(2) R IY D # present tense\n(2) T UW\nX(7) X\n"
    )
    assert rows(read(tmp_path, text)) == [
        ("READ", "R EH D", 1.0), ("READ", "R IY D", 1.0), ("(2)", "T UW", 1.0), ("X(7)", "X", 1.0)
    ]  # fmt: skip


def test_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeffäh E\r\nyes Y\r\n".encode()
    assert read(tmp_path, gzip.compress(text)).words == ("äh", "yes")
    assert read(tmp_path, text).words == ("äh", "yes")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yes Y\nno\n", r"lexicon\.txt:2: word 'no' has no pronunciation"),
        ("yes 0.5 Y\nno 0.5 N\nx 1.5 X\n", r"lexicon\.txt:3: no probability for 'x'; got '1.5'"),
        ("yes 0.5 Y\nno 0.5 N\nx 0.5\n", r"lexicon\.txt:3: word 'x' has no pronunciation"),
        ("yes 0.5 Y\nno 0.5 N\nx 0.0 X\n", r"lexicon\.txt:3: no probability for 'x'; got '0.0'"),
        (";;; nothing\n", "no pronunciations in this lexicon"),
        (b"yes Y\n\xff\xfe N\n", r"lexicon\.txt:2: not UTF-8"),
        (b"yes Y\n\0\0\n", r"lexicon\.txt:2: a NUL byte"),
        (gzip.compress(b"yes Y\n" * 9999, mtime=0)[:60], "damaged gzip stream"),
    ],
)
def test_mistakes_are_located(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, text)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_lexicon(tmp_path / "nowhere.txt")


def test_repeated_entries_are_merged() -> None:
    found = Lexicon([Entry("a", ("A",), 0.5), Entry("b", ("B",)), Entry("a", ("A",), 0.75)])
    assert rows(found) == [("a", "A", 0.75), ("b", "B", 1.0)]
    assert found.n_merged == 1


@pytest.mark.parametrize(
    "entry", [Entry("", ("A",)), Entry("a", ()), Entry("a", ("A B",)), Entry("a", ("A",), 0.0),
              Entry("a", ("A",), 1.5), Entry("a", ("A",), float("nan"))],
)  # fmt: skip
def test_impossible_entries(entry: Entry) -> None:
    with pytest.raises(DataError):
        Lexicon([entry])


def test_missing_words_with_spellings() -> None:
    lexicon = Lexicon(Entry(word, ("A",)) for word in ("seven", "eleven", "Oslo"))
    missing = lexicon.missing(["sevn", "seven", "oslo", "sevn", "xyzzy"])
    assert format_missing(missing) == "sevn (nearest: seven); oslo (nearest: Oslo); xyzzy"


def test_parts_and_additions() -> None:
    base = Lexicon([Entry("a", ("A",)), Entry("b", ("B",)), Entry("a", ("C",))])
    assert rows(base.restricted(["a"])) == [("a", "A", 1.0), ("a", "C", 1.0)]
    added = base.merged(Lexicon([Entry("a", ("D",)), Entry("c", ("C",))]))
    assert rows(added) == [("b", "B", 1.0), ("a", "D", 1.0), ("c", "C", 1.0)]
    assert ("a" in base, "z" in base, len(base)) == (True, False, 3)


@given(lexicons())
@settings(deadline=None, max_examples=30)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, lexicon: Lexicon) -> None:
    path = tmp_path_factory.getbasetemp() / "lexiconp.txt"
    lexicon.write(path)
    assert rows(read_lexicon(path)) == rows(lexicon)


@given(st.binary(max_size=80) | st.text(alphabet="ab(2)# ;.01\t\n", max_size=80))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: bytes | str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        assert len(read_lexicon(path)) > 0
    except WfstHmmError as error:
        assert str(error).startswith(str(path))  # noqa: PT017


@given(lexicons())
@settings(deadline=None, max_examples=40)
def test_single_words_are_found_without_reading_all(tmp_path_factory, lexicon: Lexicon) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt"
    lexicon.write(path)
    read = 0

    def everything():
        nonlocal read
        read += 1
        return read_lexicon(path, probabilities=True).entries

    found = Lexicon.later(everything, WordLines(path))
    for word in (*lexicon.words, "absent", lexicon.words[0][:1] + "absent"):
        twin = [(e.phones, e.probability, e.silence) for e in lexicon.prons(word)]
        assert [(e.phones, e.probability, e.silence) for e in found.prons(word)] == twin
    assert read == 0
    assert found.words == lexicon.words
    assert read == 1


# --- dictionaries of the field


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [
        ("english_us_mfa_reduced.dict", "'d", ("ɪ d", 0.03, 0.07)),
        ("test_mixed_format_dictionary.txt", "'m", ("m", 1.0, None)),
        ("test_mixed_format_dictionary.txt", "i’m", ("ay m ih", 0.01, None)),
        ("test_mixed_format_dictionary.txt", "this", ("dh ih s", 1.0, 0.43)),
        ("test_mixed_format_dictionary.txt", "corpus", ("k ao r p ah s", 1.0, None)),
        ("test_tabbed_dictionary.txt", "the", ("dh ah", 1.0, 0.5)),
        ("test_basic.txt", "acoustic", ("ah k uw s t ih k", 1.0, None)),
        ("test_xsampa.txt", "A5OU", ("A 5 OU", 1.0, None)),
    ],
)
def test_dictionaries_of_the_montreal_forced_aligner(
    shared: Path, name: str, word: str, expected: tuple[str, float, float | None]
) -> None:
    entry = read_lexicon(shared / "mfa" / "dictionaries" / name).prons(word)[0]
    assert (" ".join(entry.phones), entry.probability, entry.silence) == expected


def test_no_number_is_a_phone(shared: Path) -> None:
    sizes = {}
    for path in sorted((shared / "mfa" / "dictionaries").iterdir()):
        lexicon = read_lexicon(path)
        sizes[path.name] = len(lexicon.phones)
        assert not [phone for phone in lexicon.phones if is_fraction(phone)]
        for entry in lexicon:  # what was read is what the file says, whatever the numbers
            line = path.read_text(encoding="utf-8").splitlines()[
                int(entry.where.split(":")[-1]) - 1
            ]
            assert line.split()[-len(entry.phones) :] == list(entry.phones)
    assert sizes["english_us_mfa_reduced.dict"] < 90


def test_numbers_may_be_mixed_and_are_said(tmp_path: Path) -> None:
    found = read(tmp_path, "a A\nb 0.5 B\nc 1.0 0.25 1.5 0.5 C D\nd 2 5 D\n")
    assert [(e.word, " ".join(e.phones), e.probability, e.silence) for e in found] == [
        ("a", "A", 1.0, None), ("b", "B", 0.5, None), ("c", "C D", 1.0, 0.25), ("d", "2 5 D", 1.0, None),
    ]  # fmt: skip
    assert "1 entries correct the probability of silence" in found.notes[0]
    odd = read(tmp_path, "a 0.5 0.25 A\n")
    assert odd.phones == ("0.25", "A")
    assert (
        "lexicon.txt:1: 1 pronunciations have numbers for phones, such as a = 0.25 A"
        in odd.notes[0]
    )
    findings = [f for f in lexicon_findings(odd) if f.severity == "error"]
    assert [f.rule for f in findings] == ["numbers-for-phones"]


def test_a_tab_ends_the_word(tmp_path: Path) -> None:
    found = read(tmp_path, "new york\tN Y\nyes\tY EH S\nno 0.5\tN OW\n")
    assert rows(found) == [
        ("new\u00a0york", "N Y", 1.0),
        ("yes", "Y EH S", 1.0),
        ("no", "N OW", 0.5),
    ]
    assert "1 words hold blanks, such as 'new york'" in found.notes[0]
    aligned = read(tmp_path, "yes Y EH\tS\nno N\tOW\n")  # here tabs are among the phones
    assert rows(aligned) == [("yes", "Y EH S", 1.0), ("no", "N OW", 1.0)]


def test_unicode_spaces_are_no_field_separators(tmp_path: Path) -> None:
    found = read(tmp_path, "10\u00a0000 D IH\nideo\u3000graphic A\n")
    assert found.words == ("10\u00a0000", "ideo\u3000graphic")


def test_a_lone_mark_does_not_cut_a_pronunciation(tmp_path: Path) -> None:
    found = read(tmp_path, "a A # B\nb B # a comment\nc C #\n")
    assert rows(found) == [("a", "A # B", 1.0), ("b", "B", 1.0), ("c", "C #", 1.0)]
    assert found.notes[0].endswith("because phones follow it; write a comment's words, or ';;;'")


def test_variants_without_the_word(tmp_path: Path) -> None:
    found = read(tmp_path, "X(1) A\nX(2) B\nY(2) C\nY D\nz(3) E\n")
    assert rows(found) == [("X", "A", 1.0), ("X", "B", 1.0), ("Y", "C", 1.0), ("Y", "D", 1.0),
                           ("z(3)", "E", 1.0)]  # fmt: skip


# --- one word in several forms

NFC, NFD = "caf\u00e9", "cafe\u0301"


def test_encodings_of_a_word_are_one_word(tmp_path: Path) -> None:
    found = read(tmp_path, f"{NFD} K A\n{NFC} K E\n")
    assert rows(found) == [(NFD, "K A", 1.0), (NFD, "K E", 1.0)]
    assert not found.missing([NFC])
    assert found.restricted([NFC, NFD]).words == (NFC, NFD)
    assert rows(found.restricted([NFC])) == [(NFC, "K A", 1.0), (NFC, "K E", 1.0)]
    assert rows(found.merged(Lexicon([Entry(NFC, ("A",))]))) == [(NFC, "A", 1.0)]


def test_apostrophes_and_case() -> None:
    lexicon = Lexicon([Entry("don't", ("D",)), Entry("Oslo", ("O",)), Entry("OSLO", ("S",))])
    assert lexicon.spellings("don\u2019t") == ("don't",)
    assert lexicon.spellings("oslo") == ()
    assert lexicon.spellings("oslo", fold_case=True) == ("Oslo", "OSLO")


def test_what_nobody_sees_is_named() -> None:
    lexicon = Lexicon([Entry(NFC, ("A",)), Entry("\u0645\u06cc\u200c\u062e", ("B",))])
    assert format_missing(
        lexicon.missing([NFC + "\u200f", "\ufeff" + NFC, "\u0645\u06cc\u062e"])
    ) == (
        f"{NFC}\\u200f (nearest: {NFC} without U+200F RIGHT-TO-LEFT MARK); "
        f"\\ufeff{NFC} (nearest: {NFC} without U+FEFF ZERO WIDTH NO-BREAK SPACE); "
        "\u0645\u06cc\u062e (nearest: \u0645\u06cc\u200c\u062e with U+200C ZERO WIDTH NON-JOINER)"
    )


def test_every_missing_word_has_its_neighbours() -> None:
    """difflib was too slow for more than fifty."""
    lexicon = Lexicon(Entry(f"word{number}", ("A",)) for number in range(300))
    missing = lexicon.missing(f"word{number}x" for number in range(300))
    assert len(missing) == 300
    assert all(m.nearest[0] == m.word[:-1] for m in missing)
