"""Messages end as sentences end."""

import pytest

from wfst_hmm.cluster.engines import engine_for
from wfst_hmm.errors import UsageError, WfstHmmError
from wfst_hmm.search.result import Decoded, Phone, Word


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no such thing", "no such thing. Look again."),
        ("no such thing.", "no such thing. Look again."),
        ("lines such as: a b c ...", "lines such as: a b c ... Look again."),
        ("3 lattices: which?", "3 lattices: which? Look again."),
    ],
)
def test_full_stops(what: str, message: str) -> None:
    assert str(WfstHmmError(what, fix="Look again.")) == message
    assert str(WfstHmmError("wrong", got=what, fix="Look again.")) == f"wrong; got {message}"


def test_a_cluster_that_there_is_not_is_called_so() -> None:
    wrong = pytest.raises(UsageError, match=r"no such cluster; got 'lcoal'.*Did you mean 'local'")
    with wrong, engine_for("lcoal"):
        pass


def test_confidences_are_rounded_for_json() -> None:
    import numpy as np

    none = np.zeros(0, np.int32)
    decoded = Decoded((Word("a", 0.0, 0.1, 0.9999000000000001),),
                      (Phone("A", 0.0, 0.1, (0,), 1 / 3),), 0.0, 0.0, none, none, 0.01, "beam",
                      True, ())  # fmt: skip
    made = decoded.to_dict()
    assert made["words"][0]["confidence"] == 0.9999
    assert made["phones"][0]["confidence"] == 0.333333
