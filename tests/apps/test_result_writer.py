"""Results written one by one are those of writing all at once."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.apps.result_texts import shifted
from wfst_hmm.apps.result_writer import ResultsWriter
from wfst_hmm.apps.results import results_writer, write_results
from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.files import read_json
from wfst_hmm.formats.ctm import write_ctm
from wfst_hmm.formats.text import write_text
from wfst_hmm.search.result import Decoded, NoPath, Phone, Word
from wfst_hmm.signal.corpus import Utterance

LABELS = np.ones(200, np.int32)


def outcome(id_: str, texts: list[str]) -> Outcome:
    utterance = Utterance(id_, Path("a.wav"), None, "s", start=1.5, end=9.0, recording=id_)
    if not texts:
        return Outcome(utterance, NoPath("no_match", "nothing fits", 10))
    words = tuple(Word(t, 0.5 * i, 0.5 * i + 0.4, 0.9) for i, t in enumerate(texts))
    phones = (Phone("ä", 0.0, 0.03, (0, 1, 2)),)
    return Outcome(utterance, Decoded(words, phones, 1.0, 2.0, LABELS, LABELS, 0.01, "beam"))


texts = st.lists(st.sampled_from(["one", "zwölf", "三"]), max_size=3)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from(["b", "a", "ü", "a-1", "A", "z" * 50]), texts, max_size=5))
def test_the_files_are_those_of_the_plain_writers(
    tmp_path_factory: pytest.TempPathFactory, found: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("results")
    outcomes = [outcome(id_, words) for id_, words in found.items()]
    done = {o.utterance.id: o for o in outcomes if o.decoded is not None}
    written = write_results(outcomes, folder / "ours")
    write_text(folder / "hyp.txt", {i: [w.text for w in o.decoded.words] for i, o in done.items()})
    for tier in ("words", "phones"):
        write_ctm(folder / f"{tier}.ctm", {i: shifted(o, tier) for i, o in done.items()})
    assert [path.name for path in written] == ["hyp.txt", "words.ctm", "phones.ctm", "decode.json"]
    for path in written[:3]:
        assert path.read_bytes() == (folder / path.name).read_bytes()
    assert read_json(written[3]) == [o.to_dict() for o in outcomes]


def test_long_texts_go_to_the_disk_and_names_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wfst_hmm.apps.result_writer._IN_MEMORY", 10)
    some = [outcome("x/y", ["one"]), outcome("x_y", ["two"]), outcome("X_Y", ["three"])]
    with results_writer(tmp_path, ["textgrid", "srt"]) as writer:
        for one in some:
            writer.add(one)
        assert not any(tmp_path.iterdir()), "nothing is written before the end"
        names = [path.name for path in writer.finish()]
    assert names == ["hyp.txt", "x_y.TextGrid", "x_y-2.TextGrid", "X_Y-3.TextGrid", "a.srt"]
    assert (tmp_path / "hyp.txt").read_text() == "X_Y three\nx/y one\nx_y two\n"


def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="this machine"):
        results_writer("s3://bucket/results")
    with ResultsWriter(tmp_path, []) as writer, pytest.raises(DataError, match="white space"):
        writer.add(outcome("u", ["a b"]))
    bad = dataclasses.replace(outcome("u", ["one"]).decoded, acoustic_cost=float("nan"))
    with ResultsWriter(tmp_path, ["json"]) as writer, pytest.raises(ValueError, match="JSON"):
        writer.add(Outcome(Utterance("u", Path("a"), None, "s"), bad))
