import gzip
from pathlib import Path

import pytest
from graph_models import lexicons
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.graph.lexicon import Entry, Lexicon, WordLines, format_missing, read_lexicon


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
        ("yes 0.5 Y\nno 0.5 N\nx X\n", r"lexicon\.txt:3: no probability for 'x'; got 'X'"),
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
