"""Options checked by the rules that their fields carry."""

import dataclasses
import importlib
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wfst_hmm
from wfst_hmm.errors import UsageError
from wfst_hmm.options import Rule, check, option
from wfst_hmm.search.options import SearchOptions
from wfst_hmm.signal.htk import HtkOptions
from wfst_hmm.training.options import TrainingOptions

PACKAGE = Path(wfst_hmm.__file__).parent
bounds = st.none() | st.integers(-3, 3)


@given(
    least=bounds, above=bounds, most=bounds, below=bounds, finite=st.booleans(),
    value=st.sampled_from([-math.inf, *range(-4, 5), 0.5, math.inf]),
)  # fmt: skip
def test_a_rule_is_an_interval(
    least: int | None, above: int | None, most: int | None, below: int | None, finite: bool,
    value: float,
) -> None:  # fmt: skip
    wrong = [
        least is not None and value < least, above is not None and value <= above,
        most is not None and value > most, below is not None and value >= below,
        finite and math.isinf(value),
    ]  # fmt: skip
    assert Rule(least, above, most, below, finite=finite).allows(value) == (not any(wrong))
    assert Rule(least, above, most, below, finite=finite).allows(None)


def test_nan_is_never_right() -> None:
    for bound in ("least", "above", "most", "below"):
        assert not Rule(**{bound: 0}).allows(math.nan)
    assert not Rule(finite=True).allows(math.nan)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"least": 1}, "1 or more"),
        ({"least": 0, "most": 1}, "0 to 1"),
        ({"least": 0, "below": 1}, "0 to below 1"),
        ({"above": 0}, "above 0"),
        ({"above": 0, "most": 0.1}, "above 0, at most 0.1"),
        ({"above": 0, "below": 1}, "between 0 and 1"),
        ({"choices": ("a", "b", "c")}, "a, b or c"),
        ({"finite": True}, "a finite number"),
        ({"most": 4}, "at most 4"),
        ({"below": 4}, "below 4"),
    ],
)
def test_rules_in_words(rule: dict[str, Any], words: str) -> None:
    assert str(Rule(**rule)) == words


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: TrainingOptions(n_passes=0),
            "training option n_passes; got 0, expected 1 or more",
        ),
        (lambda: SearchOptions(beam=math.nan), "beam: beam must be above zero; got nan"),
        (lambda: SearchOptions(retries=-1), "retries: retries must not be negative; got -1"),
        (lambda: HtkOptions(warpfreq=3), "HTK's WARPFREQ; got 3, expected 0.5 to 2"),
    ],
)
def test_messages_name_option_value_and_rule(make: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value).rstrip(".").startswith(message)


def test_defaults_are_allowed_and_have_a_sentence_of_help() -> None:
    n_seen = 0
    for path in PACKAGE.rglob("*.py"):
        if "import check, option" not in path.read_text(encoding="utf-8"):
            continue
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for made in vars(importlib.import_module(name)).values():
            if dataclasses.is_dataclass(made) and made.__module__ == name:
                for field in dataclasses.fields(made):
                    if "rule" in field.metadata:
                        assert field.metadata["help"].endswith("."), (name, field.name)
                        if field.default is not dataclasses.MISSING:
                            assert field.metadata["rule"].allows(field.default)
                        n_seen += 1
    assert n_seen > 100


def test_a_field_may_be_made_anew() -> None:
    @dataclasses.dataclass(frozen=True)
    class Listed:
        names: list[str] = option(list, "Names.")

        def __post_init__(self) -> None:
            check(self, "{name}")

    assert Listed().names == []
    assert Listed().names is not Listed().names
