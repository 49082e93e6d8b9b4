"""Alignment with the wheel's model agrees with PocketSphinx, where its recordings are."""

from pathlib import Path

import pytest

from wfst_hmm.bench.align import bench_align
from wfst_hmm.errors import DataError, FormatError


def test_words_begin_where_pocketsphinx_says(shared: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the pocketsphinx wheel")
    folder = shared / "sphinx" / "librivox"
    if not folder.is_dir():
        pytest.skip("needs sphinx/librivox of ../shared/data")
    (row,) = bench_align(folder)
    assert row.reached
    assert "of 44 words" in row.note


def test_folders_without_alignments_are_told(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the pocketsphinx wheel")
    with pytest.raises(DataError, match="no recordings with alignments"):
        bench_align(tmp_path)


def test_alignments_of_another_kind_are_refused(tmp_path: Path) -> None:
    from wfst_hmm.bench.align import _begins

    (tmp_path / "x.json").write_text('{"words": []}')
    with pytest.raises(FormatError, match="no alignment of PocketSphinx"):
        _begins(tmp_path / "x.json")


def test_boundaries_lie_where_a_hand_has_put_them(shared: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the pocketsphinx wheel")
    if not (shared / "emu").is_dir():
        pytest.skip("needs emu of ../shared/data")
    words, near_words, phones, near_phones = bench_align(shared / "emu")
    assert "54 words; -8.2 ms by the beginnings of windows" in words.note
    assert abs(words.ours) < 2.0
    assert abs(phones.ours) < 2.0
    assert near_words.ours > 65.0
    assert near_phones.ours > 80.0
