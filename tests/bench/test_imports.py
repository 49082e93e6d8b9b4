"""Imported models beside their toolkits: every row of the table reaches its target."""

import pytest

from wfst_hmm.bench.imports import bench_imports
from wfst_hmm.errors import DataError
from wfst_hmm.formats.sphinx import wheel


def test_without_data_there_is_nothing_to_compare(tmp_path):
    assert bench_imports(tmp_path, tmp_path) == []


def test_every_row_reaches_its_target(shared, tmp_path):
    try:
        wheel.en_us()
    except DataError as error:
        pytest.skip(str(error))
    rows = bench_imports(shared, tmp_path)
    assert len(rows) == 10
    missed = {row.work: row.ours for row in rows if not row.reached}
    assert missed == {}
