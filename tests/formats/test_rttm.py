from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.rttm import Turn, read_rttm, read_uem, rttm_lines, write_rttm

MILLIS = st.integers(0, 60_000)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(MILLIS, st.integers(1, 5000), st.sampled_from(["MÉO069", "b"])),
                min_size=1, max_size=8))  # fmt: skip
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]
) -> None:
    turns = [Turn(a / 1000, (a + d) / 1000, name) for a, d, name in rows]
    path = tmp_path_factory.mktemp("rttm") / "x.rttm"
    write_rttm(path, {"rec": turns})
    back = read_rttm(path)["rec"]
    assert len(back) == len(turns)
    for one, other in zip(back, sorted(turns), strict=True):
        assert one.speaker == other.speaker
        assert one.start == pytest.approx(other.start, abs=1e-9)
        assert one.end == pytest.approx(other.end, abs=2e-3)


def test_lines_of_other_types_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.rttm"
    path.write_text(";; comment\nSPKR-INFO r 1 <NA> <NA> <NA> unknown a <NA> <NA>\n\n"
                    "SPEAKER r 1 0.5 0 <NA> <NA> a <NA> <NA>\n"
                    "SPEAKER r 1 1.5 2.0 <NA> <NA> a <NA>\n")  # fmt: skip
    assert read_rttm(path) == {"r": [Turn(1.5, 3.5, "a")]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RIFF\n", r"x:1: no line of an RTTM file; got 'RIFF'"),
        ("SPEAKER r 1 0.5\n", "no line of an RTTM file"),
        ("SPEAKER r 1 x 1 <NA> <NA> a <NA> <NA>\n", "start is no time; got 'x'"),
        ("SPEAKER r 1 0 nan <NA> <NA> a <NA> <NA>\n", "duration is no time"),
        ("SPEAKER r 1 -1 1 <NA> <NA> a <NA> <NA>\n", "start is no time"),
        (";; nothing\n", "no SPEAKER lines"),
        ("", "no SPEAKER lines"),
    ],
)
def test_foreign_and_damaged_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_rttm(tmp_path / "x")


def test_uem(tmp_path: Path) -> None:
    path = tmp_path / "x.uem"
    path.write_text("r NA 0.000 30.000\nr NA 40 50\n")
    assert read_uem(path) == {"r": [(0.0, 30.0), (40.0, 50.0)]}
    for text, message in (("r NA 0\n", "no line of a UEM"), ("r NA 3 2\n", "a region that is none"),
                          ("", "no regions")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(FormatError, match=message):
            read_uem(path)


def test_what_cannot_be_written() -> None:
    for name, turn in (("a b", Turn(0, 1, "x")), ("r", Turn(0, 1, "")), ("r", Turn(2, 1, "x"))):
        with pytest.raises(DataError):
            rttm_lines(name, [turn])
