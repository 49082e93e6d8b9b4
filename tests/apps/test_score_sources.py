"""Files of every kind scored alike, and as NIST's sclite scores them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.score_sources import read_source
from wfst_hmm.apps.wer import SCLITE, score_files, score_words
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.nist import Choice, Deletable, Silent, Token, tokens_of
from wfst_hmm.formats.textgrid import textgrid_text
from wfst_hmm.search.result import Word

_SCLITE = shutil.which("sclite") or "/usr/lib/sctk/bin/sclite"
needs_sclite = pytest.mark.skipif(
    not Path(_SCLITE).is_file(), reason="needs NIST's sclite (Debian package sctk)"
)


def counts(reference: Path, hypothesis: Path, **options: bool) -> tuple[int, int, int, int]:
    total = score_files(reference, hypothesis, **options).total
    return total.n_words, total.substitutions, total.deletions, total.insertions


# --- kinds


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The same two utterances in every form; of the hypothesis, one word is wrong, one too many."""
    (tmp_path / "text").write_text("u1 one two\nu2 three\n")
    (tmp_path / "ref.trn").write_text(";; a comment\none two (u1)\nthree (u2)\n")
    (tmp_path / "ref.ctm").write_text(
        "u1 1 0.1 0.2 one\nu1 1 0.4 0.2 two NA lex NA\nu2 1 0 1 three\n"
    )
    (tmp_path / "ref.tsv").write_text("id\taudio\ttext\nu1\ta.wav\tone two\nu2\ta.wav\tthree\n")
    (tmp_path / "grids").mkdir()
    words = {"u1": [Word("one", 0.1, 0.3), Word("two", 0.4, 0.6)], "u2": [Word("three", 0, 1)]}
    for id_, own in words.items():
        phones = [Word("W", 0.1, 0.2)]
        text = textgrid_text({"phones": phones, "speaker - words": own}, duration=2.0)
        (tmp_path / "grids" / f"{id_}.TextGrid").write_text(text, encoding="utf-16")
    results = tmp_path / "results"
    results.mkdir()
    (results / "hyp.txt").write_text("u1 one too\nu2 three four\n")
    (tmp_path / "hyp.trn").write_text("one too (u1)\nthree four (u2)\n")
    (tmp_path / "hyp.ctm").write_text(
        "u1 1 0.1 0.2 one 0.5\nu1 1 0.4 0.2 too\nu2 1 0 1 three\nu2 1 1 1 four\n"
        "u2 1 1.5 0.1 cough NA non-lex NA\n"
    )
    return tmp_path


@pytest.mark.parametrize("reference", ["text", "ref.trn", "ref.ctm", "ref.tsv", "grids", "."])
@pytest.mark.parametrize("hypothesis", ["results", "results/hyp.txt", "hyp.trn", "hyp.ctm"])
def test_every_kind_against_every_kind(
    files: Path, monkeypatch: pytest.MonkeyPatch, reference: str, hypothesis: str
) -> None:
    monkeypatch.chdir(files)
    assert counts(Path(reference), Path(hypothesis)) == (3, 1, 0, 1)


def test_names_do_not_matter(files: Path) -> None:
    kinds = {"ref.trn": "trn", "ref.ctm": "ctm", "text": "text", "grids": "TextGrid"}
    for name, kind in kinds.items():
        assert read_source(files / name).kind == kind
    shutil.copy(files / "ref.trn", files / "x.txt")
    assert list(read_source(files / "x.txt").utterances) == ["u1", "u2"]  # words were ids
    scored = score_files(files / "text", files / "hyp.ctm")
    assert scored.notes == ("1 noises (non-lex, misc, noise) are left out",)


def test_segments_and_times(tmp_path: Path) -> None:
    ref, hyp = tmp_path / "r.stm", tmp_path / "h.ctm"
    ref.write_text(
        ";; comment\nf 1 anna 0 1 <o,f0> a b c\nf 1 bert 1.5 2.5 d { e / f g } h\n"
        "f 1 anna 2.5 3 IGNORE_TIME_SEGMENT_IN_SCORING\nf 1 anna 3 4 (i) (uh) k\n"
    )
    rows = [(0.1, "a"), (0.3, "b"), (0.5, "c"), (1.1, "gap"), (1.6, "d"), (1.8, "f"), (1.9, "g"),
            (2.1, "h"), (2.6, "ignored"), (3.1, "i"), (3.3, "k"), (4.1, "after")]  # fmt: skip
    hyp.write_text("".join(f"f 1 {start} 0.1 {word}\n" for start, word in rows))
    scored = score_files(ref, hyp)
    assert not scored.notes
    assert {name: (e.n_words, e.n_errors) for name, e in scored.speakers.items()} == {
        "anna": (6, 1), "bert": (4, 1),
    }  # fmt: skip
    (tmp_path / "hyp.txt").write_text("f a b c\n")
    with pytest.raises(DataError, match=r"an stm is scored by times.* --form ctm"):
        score_files(ref, tmp_path / "hyp.txt")


def test_segments_of_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("u1 one\nu2 two\n")
    (tmp_path / "segments").write_text("u1 rec 0 1\nu2 rec 1 2\n")
    (tmp_path / "utt2spk").write_text("u1 anna\nu2 anna\n")
    (tmp_path / "h.ctm").write_text("rec 1 0.2 0.1 one\nrec 1 1.2 0.1 three\n")
    scored = score_files(tmp_path, tmp_path / "h.ctm")
    assert [e.n_errors for e in scored.utterances.values()] == [0, 1]
    assert list(scored.speakers) == ["anna"]


def test_alternatives_in_a_ctm(tmp_path: Path) -> None:
    (tmp_path / "r.trn").write_text("{ uh-huh / oh yes } no (f)\n")
    (tmp_path / "h.ctm").write_text(
        "f 1 * * <ALT_BEGIN>\nf 1 0.1 0.2 yes\nf 1 * * <ALT>\nf 1 0.1 0.1 oh\nf 1 0.2 0.1 yes\n"
        "f 1 * * <ALT_END>\nf 1 0.5 0.1 no\n"
    )
    assert counts(tmp_path / "r.trn", tmp_path / "h.ctm") == (3, 0, 0, 0)


def test_mistakes_are_located(tmp_path: Path) -> None:
    path = tmp_path / "r.trn"
    path.write_text("one { two / three (u1)\n")
    with pytest.raises(FormatError, match=r"r\.trn:1: a brace that nothing closes"):
        read_source(path)
    path.write_text("one (u1)\ntwo (u1)\n")
    with pytest.raises(DataError, match=r"r\.trn:2: id 'u1' twice"):
        read_source(path)
    with pytest.raises(FormatError, match="a directory of an unknown kind"):
        read_source(tmp_path)
    grid = tmp_path / "g.TextGrid"
    grid.write_text('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = nothing\n')
    with pytest.raises(FormatError, match="a damaged TextGrid"):
        read_source(grid)


def test_encodings_and_apostrophes_are_no_errors(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("u1 caf\u00e9 don\u2019t\n", encoding="utf-8")
    (tmp_path / "h").write_text("u1 cafe\u0301 don't\n", encoding="utf-8")
    scored = score_files(tmp_path / "r", tmp_path / "h")
    assert scored.total.n_errors == 0
    assert scored.total.alignment[0].hypothesis == "cafe\u0301"
    assert scored.notes == ("1 word taken for equal although apostrophes differ",)


# --- alternatives: the slow twin tries all


def ways(tokens: tuple[Token, ...]) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for token in tokens:
        parts = (
            [w for way in token.ways for w in ways(way)] if isinstance(token, Choice) else [[token]]
        )
        rows = [[*row, *part] for row in rows for part in parts]
    return rows


@given(st.lists(st.sampled_from(["a", "b", "{ a / b b / @ }", "{ c / { a / b } c }"]), max_size=4),
       st.lists(st.sampled_from("abc"), max_size=5))  # fmt: skip
@settings(deadline=None)
def test_the_best_of_the_alternatives_is_taken(parts: list[str], heard: list[str]) -> None:
    tokens = tokens_of(" ".join(parts))
    spoken = [[w for w in way if not isinstance(w, Silent)] for way in ways(tokens)]
    assert score_words(tokens, heard).n_errors == min(
        score_words(w, heard).n_errors for w in spoken
    )
    assert score_words(heard, tokens).n_errors == min(
        score_words(heard, w).n_errors for w in spoken
    )


def test_a_word_that_may_be_missing() -> None:
    assert tokens_of("(uh) yes") == (Deletable("uh"), "yes")
    for heard, errors in (("yes", 0), ("uh yes", 0), ("oh yes", 1), ("", 1)):
        assert score_words(tokens_of("(uh) yes"), heard.split()).n_errors == errors


# --- sclite


def by_sclite(folder: Path, *arguments: str) -> dict[str, tuple[int, ...]]:
    """Return words, correct, substituted, deleted and inserted of every speaker, by sclite."""
    done = subprocess.run([_SCLITE, "-D", *arguments, "-o", "rsum", "stdout"], cwd=folder, check=True,
                          capture_output=True, text=True)  # fmt: skip
    found = re.findall(
        r"\|\s*(\S+)\s*\|\s*\d+\s+(\d+)\s*\|\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", done.stdout
    )
    return {name: tuple(map(int, row)) for name, *row in found if name != "Sum"}


def by_us(reference: Path, hypothesis: Path) -> dict[str, tuple[int, ...]]:
    scored = score_files(reference, hypothesis, sclite=True)
    return {
        name: (e.n_words, sum(w.kind == "correct" for w in e.alignment), e.substitutions,
               e.deletions, e.insertions)
        for name, e in scored.speakers.items()
    }  # fmt: skip


words = st.sampled_from(["a", "b", "C", "c", "dd"])
spoken = st.lists(
    st.one_of(words, words, st.sampled_from(["(a)", "{ a / b c }", "{ b / @ }", "{ a b / c / dd a b }"])),
    min_size=1, max_size=7,
)  # fmt: skip


@needs_sclite
@given(st.lists(st.tuples(spoken, st.lists(words, max_size=7)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_totals_of_every_speaker_are_sclite_s(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[list[str], list[str]]]
) -> None:
    folder = tmp_path_factory.mktemp("trn")
    for name, side in (("r.trn", 0), ("h.trn", 1)):
        (folder / name).write_text("".join(
            f"{' '.join(pair[side])} (s{number % 2}_{number})\n" for number, pair in enumerate(pairs)
        ))  # fmt: skip
    theirs = by_sclite(folder, "-r", "r.trn", "trn", "-h", "h.trn", "trn", "-i", "rm")
    assert by_us(folder / "r.trn", folder / "h.trn") == theirs


@needs_sclite
@given(st.lists(st.tuples(spoken, st.booleans()), min_size=1, max_size=5),
       st.lists(st.tuples(st.integers(0, 120), words), min_size=1, max_size=20))  # fmt: skip
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_segments_are_scored_as_sclite_scores_them(
    tmp_path_factory: pytest.TempPathFactory,
    segments: list[tuple[list[str], bool]],
    heard: list[tuple[int, str]],
) -> None:
    folder = tmp_path_factory.mktemp("stm")
    rows = [
        f"f 1 s{number % 2} {2 * number}.00 {2 * number + 1}.50 <o> "
        + ("IGNORE_TIME_SEGMENT_IN_SCORING" if ignored and number else " ".join(said)) + "\n"
        for number, (said, ignored) in enumerate(segments)
    ]  # fmt: skip
    (folder / "r.stm").write_text("".join(rows))
    (folder / "h.ctm").write_text("".join(
        f"f 1 {tenth / 10 + number / 1000:.3f} 0.05 {word} NA\n"
        for number, (tenth, word) in enumerate(sorted(heard))
    ))  # fmt: skip
    theirs = by_sclite(folder, "-r", "r.stm", "stm", "-h", "h.ctm", "ctm")
    ours = by_us(folder / "r.stm", folder / "h.ctm")
    assert {name: row for name, row in ours.items() if name in theirs} == theirs


def test_sclite_s_weights() -> None:
    """Three errors of the cheapest kind, or four: sclite's weights take pairs apart more readily."""
    ref, hyp = ["a", "b", "c", "d"], ["x", "a", "y", "b"]
    assert score_words(ref, hyp, weights=SCLITE).n_errors >= score_words(ref, hyp).n_errors
