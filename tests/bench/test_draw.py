"""The benchmark of looking into machines, small."""

import pytest

from wfst_hmm.bench.draw import bench_draw, random_machine
from wfst_hmm.errors import UsageError


def test_every_question_is_answered() -> None:
    random_machine(1000).validate()
    rows = bench_draw(2000)
    assert len(rows) == 8
    assert all(row.ours > 0 for row in rows)
    assert rows[-1].ratio < 1  # writing everything down is not free
    with pytest.raises(UsageError, match="too small"):
        bench_draw(10)
