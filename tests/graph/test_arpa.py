"""ARPA files: what is read is what was written, and every mistake is named by its line."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from ngram_strategies import Listed, arpa_text, backoff_models, flat, listed_of

from wfst_hmm.errors import FormatError
from wfst_hmm.graph import arpa
from wfst_hmm.graph.arpa import read_arpa, write_arpa

RELAXED = [HealthCheck.function_scoped_fixture]

GOOD = """a comment that the format allows
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99 <s> -0.5
-1.0\tone\t-0.25
-2 two
-0.5 </s>

\\2-grams:
-0.3 <s> one

-0.4   one two 0.0

\\end\\
anything after the end
"""


def test_a_file_by_hand(tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(GOOD)
    assert listed_of(read_arpa(path)) == pytest.approx(
        flat(
            {
                ("<s>",): (-99, -0.5),
                ("one",): (-1, -0.25),
                ("two",): (-2, 0),
                ("</s>",): (-0.5, 0),
                ("<s>", "one"): (-0.3, 0),
                ("one", "two"): (-0.4, 0),
            }
        )
    )
    packed = tmp_path / "lm.arpa.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()))
    assert listed_of(read_arpa(packed)) == listed_of(read_arpa(path))


@given(listed=backoff_models(whole=True))
@settings(deadline=None, max_examples=30, suppress_health_check=RELAXED)
def test_there_and_back(listed: Listed, tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text(listed))
    model = read_arpa(path)
    assert listed_of(model) == pytest.approx(flat(listed), abs=1e-9)
    for name in ("again.arpa", "again.arpa.gz"):
        write_arpa(model, tmp_path / name)
        assert listed_of(read_arpa(tmp_path / name)) == pytest.approx(flat(listed), abs=1e-6)


def test_blocks_cut_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "lm.arpa"
    path.write_text(GOOD)
    whole = listed_of(read_arpa(path))
    plain = arpa.read_blocks
    for size in (1, 7, 40):
        monkeypatch.setattr(arpa, "read_blocks", lambda path, size=size: plain(path, size))
        assert listed_of(read_arpa(path)) == whole


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\\n", "", r"lm.arpa:17: the file ends too early"),
        ("ngram 1=4\nngram 2=2\n", "", r"lm.arpa:4: no 'ngram 1=count' line"),
        ("ngram 2=2", "ngram 3=2", r"lm.arpa:4: not the next line of the counts; got 'ngram 3=2'"),
        ("ngram 1=4", "ngram 1=5", r"lm.arpa:12: \\1-grams: ends here; got 4 n-grams, expected 5"),
        ("ngram 1=4", "ngram 1=3", r"lm.arpa:10: more 1-grams than \\data\\ says; expected 3"),
        ("\\2-grams:", "\\3-grams:", r"lm.arpa:12: wrong section; got .*, expected \\2-grams:"),
        ("\\2-grams:", "\\end\\", r"lm.arpa:12: wrong section"),
        ("\\end\\\nanything after the end\n", "", r"lm.arpa:16: the file ends too early"),
        ("-2 two", "-2", r"lm.arpa:9: wrong number of fields for a 1-gram; got '-2'"),
        ("-2 two", "-2 two -1 3", r"lm.arpa:9: wrong number of fields"),
        ("-2 two", "-2_0 two", r"lm.arpa:9: not a number; got '-2_0'"),
        ("-2 two", "nan two", r"lm.arpa:9: not a number; got 'nan'"),
        ("-2 two", "-1e39 two", r"lm.arpa:9: not a number; got '-1e39'"),
        ("-2 two", "x two", r"lm.arpa:9: not a number; got 'x'"),
        ("-0.25", "inf", r"lm.arpa:8: not a number; got 'inf'"),
        ("-2 two", "2 two", r"lm.arpa:9: a log10 probability above 0; got 2"),
        ("-2 two", "-2 one", r"lm.arpa:9: a 1-gram that occurs twice; got 'one'"),
        ("-2 two", "-2 #0", r"lm.arpa:9: a word that graphs cannot use; got '#0'"),
        ("-2 two", "-2 <eps>", r"lm.arpa:9: a word that graphs cannot use"),
        ("one two", "one three", r"lm.arpa:15: a word that is no 1-gram; got 'three'"),
        ("one two", "<s> one", r"lm.arpa:15: n-gram '<s> one' occurs twice; got first at .*:13"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "lm.arpa"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_arpa(path)


def test_wrong_encoding(tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_bytes(GOOD.replace("two", "z\u00fc").encode("latin-1"))
    with pytest.raises(FormatError, match=r"lm.arpa:9: not UTF-8"):
        read_arpa(path)


def test_a_no_break_space_belongs_to_its_word(tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(
        "\\data\\\nngram 1=1\n\n\\1-grams:\n-1 10\u00a0000\n\n\\end\\\n", encoding="utf-8"
    )
    assert read_arpa(path).words[1] == "10\u00a0000"


def test_the_shared_models(shared: Path):
    model = read_arpa(shared / "yesno" / "kaldi" / "lm" / "task.arpabo")
    assert model.log_prob("YES") == pytest.approx(math.log(0.1))
    with pytest.raises(FormatError, match=r"not-enough-ngrams.arpa:4"):
        read_arpa(shared / "sphinx" / "not-enough-ngrams.arpa")


def test_arrays_are_read_only(tmp_path: Path):
    path = tmp_path / "lm.arpa"
    path.write_text(GOOD)
    table = read_arpa(path).tables[1]
    with pytest.raises(ValueError, match="read-only"):
        table.log_prob[0] = 0.0
    assert table.word.dtype == np.int32


def test_an_order_without_ngrams_needs_no_section(tmp_path: Path) -> None:
    path = tmp_path / "lm"
    text = "\\data\\\nngram 1=2\nngram 2=1\nngram 3=0\n\n\\1-grams:\n-0.5 </s>\n-0.3 a\n\n"
    text += "\\2-grams:\n-0.2 a a\n\n\\end\\\n"
    path.write_text(text)
    model = read_arpa(path)
    assert (model.order, [*model.counts]) == (2, [2, 1])
    path.write_text(text.replace("\\end", "\\3-grams:\n\n\\end"))
    assert read_arpa(path).order == 2
    path.write_text(text.replace("ngram 3=0", "ngram 3=1"))
    with pytest.raises(FormatError, match=r"wrong section; got .*end.*, expected .*3-grams"):
        read_arpa(path)
