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
