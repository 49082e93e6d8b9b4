"""Files appear whole or not at all, and complaints name their line."""

import bz2
import contextlib
import gzip
import itertools
import lzma
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError, UsageError, WfstHmmError
from wfst_hmm.files import (
    MAX_LINE_BYTES,
    atomic_directory,
    atomic_file,
    read_arrays,
    read_blocks,
    read_bytes,
    read_head,
    read_json,
    read_lines,
    read_text,
    sha256_of,
    write_json,
)


def test_message_is_one_line_with_place_finding_and_remedy():
    error = DataError("no\nsamples", where="a.wav", got=0, expected="at least 1", fix="Record.")
    assert str(error) == "a.wav: no samples; got 0, expected at least 1. Record."
    assert isinstance(error, WfstHmmError)
    assert (error.exit_code, UsageError("x").exit_code) == (1, 2)


def test_lines_with_bom_crlf_and_gzip(tmp_path: Path):
    plain = tmp_path / "a.txt"
    plain.write_bytes(b"\xef\xbb\xbfun\r\ndeux\n\nquatre")
    expected = [(1, "un"), (2, "deux"), (3, ""), (4, "quatre")]
    assert list(read_lines(plain)) == expected
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_lines(packed)) == expected
    renamed = tmp_path / "b.txt"  # what counts is the content, not the name
    renamed.write_bytes(packed.read_bytes())
    assert list(read_lines(renamed)) == expected


PACKERS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_text_in_any_marked_encoding_and_packing(tmp_path: Path, encoding: str, pack) -> None:
    text = "un\r\ndéçu\n\nquatre 語\n"
    data = text.encode(encoding)
    path = tmp_path / "a.txt"  # the name says nothing
    path.write_bytes(pack(b"\xfe\xff" + data if encoding == "utf-16-be" else data))
    assert [line for _, line in read_lines(path)] == ["un", "déçu", "", "quatre 語"]
    assert b"".join(block for _, block in read_blocks(path, 5)) == text.encode()
    assert read_head(path).decode() == read_text(path) == text


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_characters="\0\r", codec="utf-8")), st.integers(1, 9))
def test_utf16_reads_as_utf8_does(text: str, size: int) -> None:
    text = text.removeprefix("\ufeff")
    with tempfile.TemporaryDirectory() as name:
        one, other = Path(name, "8"), Path(name, "16")
        one.write_bytes(b"\xef\xbb\xbf" + text.encode())
        other.write_bytes(text.encode("utf-16"))
        assert list(read_lines(one)) == list(read_lines(other))
        assert list(read_blocks(one, size)) == list(read_blocks(other, size))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\0\n", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture"),
        (b"PK\3\4\0\0\0", "a ZIP archive"),
        (gzip.compress(b"x" * 257 + b"ustar\0" + b"\0" * 300), "a tar archive"),
        (b"\x80\4\x95\0\0", "a Python pickle"),
    ],
    ids=["pdf", "png", "zip", "tar", "pickle"],
)
def test_binary_files_are_named(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    for read in (lambda: list(read_lines(path)), lambda: read_text(path),
                 lambda: read_json(path)):  # fmt: skip
        with pytest.raises(FormatError, match=rf"words\.txt: {name}, not text"):
            read()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("voilà\n".encode("utf-16")[:-1], "a:1: not UTF-16-LE at byte"),
        (bz2.compress(b"one\ntwo\n" * 1000)[:-20], r"a:\d+: damaged bzip2"),
        (lzma.compress(b"one\ntwo\n" * 1000)[:-20], r"a:\d+: damaged xz"),
        (b"BZh9" + b"x" * 30, r"a:\d+: damaged bzip2"),
        (b"good\nb\xffd\n", r"a:2: not UTF-8 at byte 1"),
        (b"good\nb\0d\n", r"a:2: a NUL byte"),
        (b"x" * (MAX_LINE_BYTES + 1), r"a:1: line too long"),
        (gzip.compress(b"one\ntwo\n" * 1000)[:-20], r"a:\d+: damaged gzip"),
    ],
    ids=["utf-16", "bzip2", "xz", "no-bzip2", "encoding", "nul", "long", "truncated-gzip"],
)
def test_bad_text_names_the_line(tmp_path: Path, content: bytes, complaint: str):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=complaint):
        list(read_lines(path))


def test_missing_file_and_directory(tmp_path: Path):
    with pytest.raises(FormatError, match="no such file"):
        list(read_lines(tmp_path / "none"))
    with pytest.raises(FormatError, match="is a directory"):
        list(read_lines(tmp_path))


def test_atomic_file_replaces_only_on_success(tmp_path: Path):
    path = tmp_path / "deep" / "out.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half of the sec")
        raise RuntimeError
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["out.txt"]


def test_atomic_directory_replaces_only_on_success(tmp_path: Path):
    path = tmp_path / "model"
    with atomic_directory(path) as temporary:
        (temporary / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_directory(path) as temporary:
        (temporary / "a").write_text("2")
        raise RuntimeError
    assert (path / "a").read_text() == "1"
    with atomic_directory(path) as temporary:
        (temporary / "b").write_text("3")
    assert sorted(p.name for p in path.iterdir()) == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_json_round_trip_and_complaint(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json(path, {"naïve": [1.5, None]})
    assert read_json(path) == {"naïve": [1.5, None]}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, float("nan"))
    assert read_json(path) == {"naïve": [1.5, None]}
    path.write_text('{\n "a": }')
    with pytest.raises(FormatError, match=r"a\.json:2: not JSON"):
        read_json(path)
    path.write_text("[" * 200_000)
    with pytest.raises(FormatError, match="not JSON"):
        read_json(path)


def test_hash_tells_parts_apart():
    assert sha256_of(["ab", "c"]) != sha256_of(["a", "bc"])
    assert sha256_of([b"ab"]) == sha256_of(["ab"])


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_blocks_hold_whole_lines(tmp_path: Path, size: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"ab\ncd\n\nef")
    blocks = list(read_blocks(path, size))
    assert b"".join(data for _, data in blocks) == b"ab\ncd\n\nef"
    for (number, data), (following, _) in itertools.pairwise(blocks):
        assert data.endswith(b"\n")
        assert following == number + data.count(b"\n")
    path.write_bytes(b"a\n\nb\0\n")
    with pytest.raises(FormatError, match=r"text:3: a NUL byte"):
        list(read_blocks(path, size))


def test_blocks_and_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wfst_hmm.files.MAX_LINE_BYTES", 10)
    path = tmp_path / "text"
    path.write_bytes(b"abc\n" * 3 + b"a" * 12)
    for size in (1, 5, 100):
        with pytest.raises(FormatError, match="line too long"):
            list(read_blocks(path, size))
    assert len(read_bytes(path, 24)) == 24
    with pytest.raises(FormatError, match="too large"):
        read_bytes(path, 23)


def test_damaged_arrays_are_told_by_name(tmp_path: Path):
    import numpy as np

    path = tmp_path / "a.npz"
    np.savez(path, some=np.arange(5), more=np.zeros((2, 3)))
    assert list(read_arrays(path)) == ["some", "more"]
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        with contextlib.suppress(FormatError):  # a changed number is for the model's own checks
            read_arrays(path)
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises(
            FormatError, match=r"a\.npz: (a damaged file of arrays|not an \.npz file)"
        ):
            read_arrays(path)
    np.savez(path, hidden=np.array([{}], dtype=object))
    with pytest.raises(FormatError, match="pickled objects are refused"):
        read_arrays(path)
    with pytest.raises(FormatError, match="no such file"):
        read_arrays(tmp_path / "none.npz")
