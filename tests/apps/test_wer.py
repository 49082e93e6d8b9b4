"""Word errors against every alignment, and against jiwer."""

import json
from pathlib import Path

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.wer import AlignedWord, WordErrors, score_files, score_words
from wfst_hmm.errors import DataError, FormatError

WORDS = st.lists(st.sampled_from("abc"), max_size=5)


def best_by_trying_all(ref: tuple[str, ...], hyp: tuple[str, ...]) -> tuple[int, int, int, int]:
    """Fewest errors, then most correct words: (errors, -correct, deletions, insertions)."""
    if not ref:
        return (len(hyp), 0, 0, len(hyp))
    if not hyp:
        return (len(ref), 0, len(ref), 0)
    options = []
    errors, correct, deletions, insertions = best_by_trying_all(ref[1:], hyp[1:])
    same = ref[0] == hyp[0]
    options.append((errors + (not same), correct - same, deletions, insertions))
    errors, correct, deletions, insertions = best_by_trying_all(ref[1:], hyp)
    options.append((errors + 1, correct, deletions + 1, insertions))
    errors, correct, deletions, insertions = best_by_trying_all(ref, hyp[1:])
    options.append((errors + 1, correct, deletions, insertions + 1))
    return min(options)


@given(ref=WORDS, hyp=WORDS)
@settings(max_examples=150, deadline=None)
def test_against_every_alignment(ref: list[str], hyp: list[str]) -> None:
    errors, correct, deletions, insertions = best_by_trying_all(tuple(ref), tuple(hyp))
    got = score_words(ref, hyp)
    assert got.n_errors == errors
    assert got.n_words == len(ref)
    assert (got.deletions, got.insertions) == (deletions, insertions)
    kinds = [word.kind for word in got.alignment]
    assert kinds.count("correct") == -correct
    assert [w.reference for w in got.alignment if w.reference is not None] == ref
    assert [w.hypothesis for w in got.alignment if w.hypothesis is not None] == hyp


@given(
    pairs=st.lists(
        st.tuples(
            st.lists(st.sampled_from("abcde"), min_size=1, max_size=15),
            st.lists(st.sampled_from("abcde"), max_size=15),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_against_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    theirs = jiwer.process_words(
        [" ".join(ref) for ref, _ in pairs], [" ".join(h) for _, h in pairs]
    )
    ours = WordErrors.pool(score_words(ref, hyp) for ref, hyp in pairs)
    # The split into kinds is not unique; the number of errors is.
    assert ours.n_errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.wer == pytest.approx(theirs.wer)
    assert ours.insertions - ours.deletions == theirs.insertions - theirs.deletions


def test_known_alignment() -> None:
    got = score_words(["one", "two", "three", "four"], ["one", "to", "four", "five"])
    assert (got.substitutions, got.deletions, got.insertions, got.n_words) == (1, 1, 1, 4)
    assert got.wer == 0.75
    assert got.alignment[0] == AlignedWord("one", "one")
    assert got.alignment[-1] == AlignedWord(None, "five")
    assert json.loads(json.dumps(got.to_dict())) == {
        "wer": 0.75,
        "substitutions": 1,
        "deletions": 1,
        "insertions": 1,
        "words": 4,
    }


def test_edges() -> None:
    assert score_words([], []).wer == 0.0
    assert score_words([], ["a", "b"]).wer == 2.0
    assert score_words(["a"], []).wer == 1.0
    assert WordErrors.pool([]).wer == 0.0


def test_long_sequences() -> None:
    ref = [str(i % 7) for i in range(3000)]
    hyp = ref[:1000] + ref[1001:2000] + ["x", *ref[2000:]]
    got = score_words(ref, hyp)
    assert (got.substitutions, got.deletions, got.insertions) == (0, 1, 1)


def test_files(tmp_path: Path) -> None:
    ref, hyp = tmp_path / "text", tmp_path / "hyp.txt"
    ref.write_text("u1 a b c\nu2 d\nu3\n")
    hyp.write_text("u3 x\nu1 A b c\n")
    score = score_files(ref, hyp)
    assert score.missing == ("u2",)
    assert (score.total.substitutions, score.total.deletions, score.total.insertions) == (1, 1, 1)
    assert score.total.n_words == 4
    assert list(score.utterances) == ["u1", "u2", "u3"]
    assert score.n_wrong == 3
    folded = score_files(tmp_path, hyp, ignore_case=True)  # the directory's own text
    assert folded.total.substitutions == 0
    manifest = tmp_path / "m.tsv"
    manifest.write_text("id\taudio\ttext\nu1\tgone.wav\tA b c\nu3\tgone.wav\tx\n")
    assert score_files(manifest, hyp).total.wer == 0.0


def test_bad_files(tmp_path: Path) -> None:
    ref, hyp, empty = tmp_path / "text", tmp_path / "hyp.txt", tmp_path / "empty"
    ref.write_text("u1 a\n")
    hyp.write_text("u1 a\nu8 b\nu9 b\n")
    empty.write_text("")
    with pytest.raises(DataError, match=r"hyp\.txt: no reference for utterance 'u8' and 1 more"):
        score_files(ref, hyp)
    with pytest.raises(DataError, match="empty: no transcript"):
        score_files(empty, empty)
    with pytest.raises(DataError, match="empty: no hypothesis"):
        score_files(ref, empty)
    with pytest.raises(FormatError, match="no such file"):
        score_files(ref, tmp_path / "none")
