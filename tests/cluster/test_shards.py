"""Shards, the journal, values on disk: every utterance once, nothing lost, nothing believed."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.recognize import Outcome
from wfst_hmm.cluster.journal import ShardJournal
from wfst_hmm.cluster.shards import corpus_digest, divided, files_digest
from wfst_hmm.cluster.shipping import Parcel, located, receive, seen
from wfst_hmm.cluster.values import pack, unpack
from wfst_hmm.errors import ClusterError, DataError, FormatError, UsageError
from wfst_hmm.search.result import Decoded, NoPath, Phone, Word
from wfst_hmm.signal.corpus import Corpus, Utterance


def corpus_of(speakers: list[str]) -> Corpus:
    return Corpus(tuple(Utterance(f"u{i}", Path(f"{i}.wav"), None, speaker)
                        for i, speaker in enumerate(speakers)))  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 9), st.integers(0, 6))
def test_every_utterance_is_in_one_shard(speakers: list[str], size: int, whole: int) -> None:
    corpus = corpus_of(speakers)
    shards = divided(corpus, size, whole_speaker=whole)
    assert sorted(i for shard in shards for i in shard) == list(range(len(speakers)))
    homes: dict[str, set[int]] = {}
    for number, shard in enumerate(shards):
        assert list(shard) == sorted(shard)
        assert 0 < len(shard) <= max(size, whole)
        for i in shard:
            homes.setdefault(speakers[i], set()).add(number)
    for speaker, numbers in homes.items():
        if whole and speakers.count(speaker) <= whole:
            assert len(numbers) == 1, "a small speaker is not cut"
    if not whole:
        assert [i for shard in shards for i in shard] == list(range(len(speakers)))


def test_digests_see_what_matters(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a").write_text("1")
    before = files_digest([tmp_path / "m"])
    assert files_digest([tmp_path / "m"]) == before
    (tmp_path / "m" / "a").write_text("2")
    assert files_digest([tmp_path / "m"]) != before
    with pytest.raises(FormatError, match="no such file"):
        files_digest([tmp_path / "none"])
    one = Corpus((Utterance("u", tmp_path / "m" / "a", None, "s"),))
    digest = corpus_digest(one)
    (tmp_path / "m" / "a").write_text("345")
    assert corpus_digest(one) != digest, "another recording under the same name"
    with pytest.raises(UsageError, match="a shard needs utterances"):
        divided(one, 0)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=80)
@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    assert unpack(pack(value)) == value
    assert type(unpack(pack(value))) is type(value)


def test_results_come_back_to_the_bit() -> None:
    decoded = Decoded(
        (Word("ba", 0.1, 1 / 3, 0.7),), (Phone("B", 0.1, 0.2, (0, 0, 1)),), 1.25, 1e-300,
        np.arange(7, dtype=np.int32), np.zeros(0, dtype=np.int32), 0.01, "beam", True, ("note",),
    )  # fmt: skip
    utterance = Utterance("ä", Path("a/b.wav"), ("x", "y"), "s", 0.5, None, "f:1", 2)
    outcomes = [
        Outcome(utterance, decoded, seconds=0.5),
        Outcome(utterance, NoPath("beam_cut", "cut", 7, None, decoded)),
        Outcome(utterance, None, DataError("bad", where="w", got=3, expected="4", fix="Do it.")),
    ]
    again = unpack(pack(outcomes))
    assert [o.to_dict() for o in again] == [o.to_dict() for o in outcomes]
    assert again[0].utterance == utterance
    np.testing.assert_array_equal(again[0].result.labels, decoded.labels)
    assert again[0].result.labels.dtype == np.int32
    assert again[0].result.phones == decoded.phones
    assert isinstance(again[2].error, DataError)
    assert str(again[2].error) == str(outcomes[2].error)
    assert pack(again) == pack(outcomes)
    arcs = np.array([(1, 2.5)], dtype=[("a", "<i4"), ("b", "<f4")])
    np.testing.assert_array_equal(unpack(pack(arcs)), arcs)
    with pytest.raises(TypeError, match="no value"):
        pack(object())


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 200), st.integers(0, 255), st.integers(1, 30))
def test_damaged_results_are_refused_or_read(at: int, byte: int, cut: int) -> None:
    data = bytearray(pack([(Word("a", 0.0, 1.0),), DataError("x"), np.ones(3)]))
    data[at % len(data)] = byte
    for damaged in (bytes(data), bytes(data[:-cut])):
        with contextlib.suppress(FormatError):
            unpack(damaged)


def test_a_journal_goes_on_and_forgets_nothing(tmp_path: Path) -> None:
    shards = [["a"], ["b", "c"], ["d"]]
    journal = ShardJournal(tmp_path / "out", "work", shards)
    assert journal.note == ""
    journal.write(1, b"results")
    with pytest.raises(UsageError, match="another process works"):
        ShardJournal(tmp_path / "out", "work", shards)
    journal.close()
    (tmp_path / "out.journal" / ".shard-000002.xyz.part").write_bytes(b"half of")
    again = ShardJournal(tmp_path / "out", "work", shards)
    assert again.done() == [1]
    assert again.read(1) == b"results"
    assert again.read(0) is None
    assert "1 of 3 shards" in again.note
    (again.folder / "shard-000001").write_bytes(b"x" * 40)
    assert again.done() == [], "a damaged file counts as nothing"
    again.write(1, b"results")
    again.close()
    other = ShardJournal(tmp_path / "out", "another work", shards)
    assert other.done() == []
    assert "another work" in other.note
    other.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.journal").mkdir()
    (tmp_path / "out.journal" / "diary.txt").write_text("dear")
    with pytest.raises(UsageError, match="no journal of this program"):
        ShardJournal(tmp_path / "out", "work", [["a"]])
    assert (tmp_path / "out.journal" / "diary.txt").read_text() == "dear"


def test_files_for_workers_that_do_not_see_ours(tmp_path: Path) -> None:
    graph = tmp_path / "here" / "graph"
    (graph / "model").mkdir(parents=True)
    (graph / "a").write_bytes(b"1" * 100)
    (graph / "model" / "b").write_bytes(b"2")
    parcel = Parcel.described(graph)
    elsewhere = dataclasses.replace(parcel, state="of another file system").facts()
    other = dataclasses.replace(parcel, digest="other", state="other").facts()
    assert seen([parcel.facts(), elsewhere, other, (str(tmp_path / "none"), "x", "y")]) == [
        True, True, False, False,
    ]  # fmt: skip
    there = receive(parcel.filled(graph), tmp_path / "there")
    assert located(graph) == there
    assert files_digest([there]) == parcel.digest
    stamp = (there / "a").stat().st_mtime_ns
    assert receive(parcel.filled(graph), tmp_path / "there") == there
    assert (there / "a").stat().st_mtime_ns == stamp, "written once"
    single = Parcel.described(graph / "a").filled(graph / "a")
    assert receive(single, tmp_path / "there").read_bytes() == b"1" * 100
    assert located(tmp_path / "unknown") == tmp_path / "unknown"
    (graph / "a").write_bytes(b"3" * 100)
    assert seen([parcel.facts()]) == [False]
    evil = Parcel("/x", "d" * 64, "s", (("../../evil", b"x"),))
    with pytest.raises(ClusterError, match="leaves its folder"):
        receive(evil, tmp_path / "there")
