"""Whatever a file holds: read honestly, or refused in one line that names it; no hang, no bloat."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parser_fuzz import MAX_BYTES, check, fuzz, parsers

from wfst_hmm.errors import WfstHmmError

PARSERS = parsers()
TEXT = ["arpa", "jsgf", "phrases", "lexicon", "fst_text", "symbols"]


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_inputs(name: str, tmp_path: Path):
    report = fuzz(PARSERS[name], 150, 1, tmp_path, memory=True)
    assert report.n_inputs == 150
    assert 0 < report.n_refused < 150


@pytest.mark.parametrize("name", PARSERS)
def test_the_sound_inputs_are_read(name: str, tmp_path: Path):
    (tmp_path / "sizes.gram").write_bytes(b"#JSGF V1.0;\ngrammar sizes;\npublic <size> = big;")
    for seed in PARSERS[name].seeds:
        assert not check(PARSERS[name], seed, tmp_path / "input")


@pytest.mark.parametrize("name", PARSERS)
def test_truncated_at_any_byte(name: str, tmp_path: Path):
    seed = PARSERS[name].seeds[0]
    sizes = (
        range(len(seed)) if len(seed) < 1000 else [*range(100), *range(len(seed) - 300, len(seed))]
    )
    for size in sizes:
        check(PARSERS[name], seed[:size], tmp_path / "input")


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=200))
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_bytes(name: str, data: bytes, tmp_path: Path):
    check(PARSERS[name], data, tmp_path / "input")


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize(
    "unit", [b"a", b"a ", b"(", b"\n", b"-1 a\n", b"1 2 a b\n", b"<a>"], ids=repr
)
def test_long_lines_and_many_lines(name: str, unit: bytes, tmp_path: Path):
    path = tmp_path / "input"
    head = {
        "jsgf": b"#JSGF V1.0;\ngrammar g;\npublic <a> = ",
        "arpa": b"\\data\\\nngram 1=9\n\n\\1-grams:\n",
    }
    for start in sorted({head.get(name, b""), b""}):
        check(PARSERS[name], start + unit * (200_000 // len(unit)), path)


@pytest.mark.parametrize("name", ["arpa", "phrases", "lexicon", "fst_text", "symbols"])
def test_a_line_without_end(name: str, tmp_path: Path):
    path = tmp_path / "input"
    path.write_bytes(b"a" * (2 << 20))
    with pytest.raises(WfstHmmError, match=r"input:1: line too long|ends too early"):
        PARSERS[name].read(path)


@pytest.mark.parametrize("name", ["arpa", "jsgf", "phrases", "lexicon", "fst_text"])
def test_gzip_that_grows(name: str, tmp_path: Path):
    path = tmp_path / "input"
    path.write_bytes(gzip.compress(b"\\data\\\n" + b"\0" * (80 << 20), compresslevel=1))
    tracemalloc.start()
    try:
        with pytest.raises(WfstHmmError):
            PARSERS[name].read(path)
        assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    finally:
        tracemalloc.stop()


def test_a_directory_a_missing_file_and_a_name_with_nul(tmp_path: Path):
    for parser in PARSERS.values():
        for path in (tmp_path, tmp_path / "none", Path(str(tmp_path) + "/a\0b")):
            with pytest.raises(WfstHmmError):
                parser.read(path)
