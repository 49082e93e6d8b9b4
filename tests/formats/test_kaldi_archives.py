import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mutations import check_reader

from wfst_hmm.errors import FormatError
from wfst_hmm.formats.kaldi.archives import (
    read_archive,
    read_cmvn,
    read_integer_lists,
    read_object,
    read_script,
    write_archive,
    write_integer_lists,
    write_object,
)

KEYS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=5)
MATRICES = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(KEYS, MATRICES, max_size=3), st.booleans())
def test_archives_come_back(tmp_path_factory, objects, binary):
    folder = tmp_path_factory.mktemp("ark")
    write_archive(folder / "a.ark", objects, binary=binary, script=folder / "a.scp")
    for found in (read_archive(folder / "a.ark"), read_script(folder / "a.scp")):
        assert list(found) == list(objects)
        for key, matrix in objects.items():
            np.testing.assert_array_equal(found[key], matrix)
            assert not binary or found[key].dtype == matrix.dtype


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(KEYS, st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), max_size=3),
       st.booleans())  # fmt: skip
def test_integer_lists_come_back(tmp_path_factory, lists, binary):
    path = tmp_path_factory.mktemp("ali") / "ali"
    write_integer_lists(path, lists, binary=binary)
    assert {key: row.tolist() for key, row in read_integer_lists(path).items()} == lists


def unpacked_slowly(low, span, quartiles, units):
    """One number after the other, as compressed-matrix.h describes it."""
    out = np.empty((len(units[0]), len(units)))
    for column, (heads, values) in enumerate(zip(quartiles, units, strict=True)):
        p0, p25, p75, p100 = (low + span * head / 65535.0 for head in heads)
        for row, v in enumerate(values):
            if v <= 64:
                out[row, column] = p0 + (p25 - p0) * v / 64
            elif v <= 192:
                out[row, column] = p25 + (p75 - p25) * (v - 64) / 128
            else:
                out[row, column] = p75 + (p100 - p75) * (v - 192) / 63
    return out


def test_compressed_matrices(tmp_path):
    rng = np.random.default_rng(0)
    quartiles = np.sort(rng.integers(0, 65536, (3, 4)), axis=1)
    units = rng.integers(0, 256, (3, 7))
    head = struct.pack("<ffii", -3.0, 11.0, 7, 3)
    (tmp_path / "cm").write_bytes(
        b"\0BCM " + head + quartiles.astype("<u2").tobytes() + units.astype("u1").tobytes()
    )
    expected = unpacked_slowly(-3.0, 11.0, quartiles, units)
    np.testing.assert_allclose(read_object(tmp_path / "cm"), expected, atol=1e-5)
    words = rng.integers(0, 65536, (7, 3))
    (tmp_path / "cm2").write_bytes(b"\0BCM2 " + head + words.astype("<u2").tobytes())
    np.testing.assert_allclose(read_object(tmp_path / "cm2"), -3 + 11 * words / 65535, atol=1e-5)
    (tmp_path / "cm3").write_bytes(b"\0BCM3 " + head + units.T.astype("u1").tobytes())
    np.testing.assert_allclose(read_object(tmp_path / "cm3"), -3 + 11 * units.T / 255, atol=1e-5)


def test_vectors_and_kaldis_text(tmp_path):
    write_object(tmp_path / "v", np.array([1.5, -2.0], np.float32))
    assert read_object(tmp_path / "v", "vector").tolist() == [1.5, -2.0]
    (tmp_path / "t.ark").write_text("u1  [\n  1 2 3 \n  4 5 6 ]\nu2  [\n  7 8 9 ]\n")
    found = read_archive(tmp_path / "t.ark")
    assert found["u1"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found["u2"].tolist() == [[7, 8, 9]]
    (tmp_path / "v.ark").write_text("u1  [ 1 2 inf ]\n")
    assert read_archive(tmp_path / "v.ark", "vector")["u1"].tolist() == [1, 2, np.inf]
    (tmp_path / "z.ark.gz").write_bytes(gzip.compress((tmp_path / "t.ark").read_bytes()))
    assert list(read_archive(tmp_path / "z.ark.gz")) == ["u1", "u2"]


HUGE = struct.pack("<bi", 4, 2**31 - 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u \0BFM " + HUGE + HUGE, "too short for matrix 'u'"),
        (b"u \0BCM " + struct.pack("<ffii", 0, 1, 2**31 - 1, 2**31 - 1), "too short for"),
        (b"u \0BFM " + struct.pack("<bi", 4, -1) + HUGE, "rows of matrix 'u' out of range"),
        (b"u \0BXY ", "another thing than expected"),
        (b"u \0BFM \x08", "no number for rows"),
        (b"u [ 1 2\n 3 ]\n", "unlike lengths"),
        (b"u [ 1 two ]\n", "not a number"),
        (b"u [ 1 2\n", "no closing ]"),
        (b"u [ 1 ]\nu [ 1 ]\n", "twice"),
        (b"u", "no matrix 'u' here"),
    ],
)
def test_damaged_archives(tmp_path, content, message):
    path = tmp_path / "bad.ark"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message.replace("'", ".")) as caught:
        read_archive(path)
    assert "bad.ark" in str(caught.value)


def test_scripts_that_lead_nowhere(tmp_path):
    write_archive(tmp_path / "a.ark", {"u": np.ones((2, 2))})
    for line, message in (
        ("u gunzip -c x |", "only plain files"),
        ("u missing.ark:4", "does not exist"),
        ("u a.ark:4000", "after the end"),
        ("u", "only plain files"),
        ("u a.ark:2\nu a.ark:2", "twice"),
    ):
        (tmp_path / "a.scp").write_text(line + "\n")
        with pytest.raises(FormatError, match=message):
            read_script(tmp_path / "a.scp")


def test_cmvn_statistics(tmp_path):
    stats = np.array([[10.0, 20.0, 5.0], [30.0, 90.0, 0.0]])
    write_archive(tmp_path / "cmvn.ark", {"speaker": stats})
    found = read_cmvn(tmp_path / "cmvn.ark")["speaker"]
    assert found.count == 5.0
    assert found.sum.tolist() == [10.0, 20.0]
    assert found.sumsq.tolist() == [30.0, 90.0]
    for wrong in (np.ones((3, 3)), np.ones((2, 1)), np.full((2, 3), np.nan), -stats):
        write_archive(tmp_path / "cmvn.ark", {"speaker": wrong})
        with pytest.raises(FormatError, match=r"speaker"):
            read_cmvn(tmp_path / "cmvn.ark")


def test_damage_is_an_error_or_harmless(tmp_path):
    matrices = {"a": np.arange(12.0).reshape(3, 4), "b": np.ones((2, 2), np.float32)}
    for binary in (True, False):
        write_archive(tmp_path / "x", matrices, binary=binary)
        assert check_reader(read_archive, (tmp_path / "x").read_bytes(), tmp_path) > 40
        write_integer_lists(tmp_path / "y", {"a": [1, 2, 3], "b": range(20)}, binary=binary)
        check_reader(read_integer_lists, (tmp_path / "y").read_bytes(), tmp_path)
    head = b"k \0BCM " + struct.pack("<ffii", 0, 1, 4, 2)
    assert check_reader(read_archive, head + bytes(2 * 8 + 8), tmp_path) > 20


def test_the_features_of_yesno(shared):
    folder = shared / "yesno" / "kaldi" / "data" / "test_yesno"
    by_script = read_script(folder / "feats.scp")
    whole = read_archive(folder / "data" / "raw_mfcc_test_yesno.1.ark")
    assert len(by_script) == 29
    assert list(whole) == list(by_script)
    assert all(np.array_equal(whole[key], by_script[key]) for key in whole)
    # The statistics beside them were taken from the same features.
    stats = read_cmvn(folder / "cmvn.scp")["global"]
    frames = np.concatenate(list(whole.values())).astype(np.float64)
    assert stats.count == len(frames)
    np.testing.assert_allclose(stats.sum, frames.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stats.sumsq, (frames**2).sum(axis=0), rtol=1e-6)
