import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfst_hmm.apps.recommendation.library import Library, open_library
from wfst_hmm.apps.recommendation.page import page_html, page_text, page_values
from wfst_hmm.apps.recommendation.tag_model import (
    TagModel,
    TagOptions,
    area_under_curve,
    rank,
    train_tag,
)
from wfst_hmm.cli import main
from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.formats.msd import Song

SMALL = TagOptions(n_components=4)


def songs(n: int = 200, seed: int = 0) -> list[Song]:
    """Return songs, every fourth of them loud (a tag), which sounds different."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        loud = i % 4 == 0
        timbre = rng.normal(1.5 * loud, 1.0, (int(rng.integers(3, 9)), 12)) @ np.diag(range(1, 13))
        tags = ("loud", "<b>&") if loud else ("soft",)
        made.append(Song(f"T{i}", f"Artist {i % 7}", f"Title <{i}>", 1960 + i % 50, tags,
                         timbre.astype(np.float32)))  # fmt: skip
    return made


LIBRARY = Library.of(songs())


@pytest.fixture(scope="module")
def model() -> TagModel:
    return train_tag(LIBRARY, "loud", SMALL)


def test_scores_are_mean_ratios_of_whole_mixtures(model: TagModel) -> None:
    scores = model.scores(LIBRARY, n_threads=2)
    for index in (0, 1, 57, 199):
        x = (LIBRARY.song(index).timbre - model.mean) @ model.whiten
        slow = float((model.mixture.score(x) - model.background.score(x)).mean())
        assert scores[index] == pytest.approx(slow, abs=1e-4)


def test_the_split_holds_back_songs(model: TagModel) -> None:
    has = {LIBRARY.ids[i] for i in np.flatnonzero(LIBRARY.tagged("LOUD"))}
    assert len(has) == 50
    assert len(model.trained_on) == 35
    assert model.trained_on < has
    assert not model.heard & (has - model.trained_on)


@pytest.mark.parametrize("adapt", [False, True])
def test_songs_with_the_tag_come_first(adapt: bool) -> None:
    made = train_tag(LIBRARY, "loud", TagOptions(n_components=4, adapt=adapt))
    ranking = rank(made, LIBRARY, top=10)
    assert ranking.area_under_curve > 0.95
    assert ranking.precision >= 0.9
    assert (ranking.n_held_out, ranking.n_first) == (15, 10)
    assert 0.05 < ranking.chance < 0.2
    assert all(hit.tagged for hit in ranking.held_out)
    assert not any(hit.tagged for hit in ranking.untagged)
    scores = [hit.score for hit in ranking.untagged]
    assert scores == sorted(scores, reverse=True)


def test_new_songs_are_scored_without_training(model: TagModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m.npz")
    loaded = TagModel.load(tmp_path / "m.npz")
    more = Library.of(songs(40, seed=9))
    np.testing.assert_array_equal(loaded.scores(more), model.scores(more))
    assert loaded.trained_on == model.trained_on
    (tmp_path / "x").write_text("no model")
    with pytest.raises(FormatError):
        TagModel.load(tmp_path / "x")


def test_tags_that_cannot_be_learnt() -> None:
    with pytest.raises(UsageError, match=r"no song is tagged 'lout'\. Did you mean 'loud'\?"):
        train_tag(LIBRARY, "lout", SMALL)
    with pytest.raises(DataError, match="too few songs are tagged 'loud'; got 50, expected 64"):
        train_tag(LIBRARY, "loud", TagOptions(n_components=64))
    with pytest.raises(UsageError, match="tag_share"):
        TagOptions(tag_share=1.0)
    with pytest.raises(DataError, match="'T0' occurs twice"):
        Library.of(songs(2) + songs(2))


NUMBERS = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)


@settings(deadline=None, max_examples=80)
@given(NUMBERS, NUMBERS)
def test_the_area_counts_pairs(true: list[float], false: list[float]) -> None:
    wins = sum((a > b) + 0.5 * (a == b) for a in true for b in false)
    assert area_under_curve(true, false) == pytest.approx(wins / (len(true) * len(false)))


def test_pages(model: TagModel) -> None:
    ranking = rank(model, LIBRARY, top=5)
    assert json.loads(json.dumps(page_values(ranking)))["held_out"][0]["tagged"] is True
    text = page_text(ranking)
    assert len(text.splitlines()) == 1 + 2 * (2 + 5)
    assert "█" in text
    html = page_html(ranking)
    assert "Title &lt;" in html
    assert "Title <" not in html
    opened: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "meta":
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Checker().feed(html)
    assert not opened
    assert "<script" not in html
    assert "http" not in html


def test_a_library_survives_its_cache(tmp_path: Path) -> None:
    LIBRARY.save(tmp_path / "l.npz")
    back = Library.load(tmp_path / "l.npz")
    assert (back.ids, back.artists, back.tags) == (LIBRARY.ids, LIBRARY.artists, LIBRARY.tags)
    np.testing.assert_array_equal(back.timbre, LIBRARY.timbre)
    assert back.tag_counts()["soft"] == 150


def test_only_new_tracks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    from wfst_hmm.apps.recommendation import library as room

    read: list[str] = []

    def reader(path: Path) -> Song:
        read.append(path.name)
        if path.name == "bad.h5":
            raise FormatError("no track", where=str(path))
        return Song(path.stem, "a", "t", 1999, ("x",), np.zeros((2, 12), np.float32))

    monkeypatch.setattr(room, "read_track", reader)
    for name in ("a.h5", "b.h5"):
        (tmp_path / name).write_text(name)
    cache = tmp_path / "cache.npz"
    assert open_library(tmp_path, cache=cache).ids == ("a", "b")
    assert open_library(tmp_path, cache=cache).ids == ("a", "b")
    assert read == ["a.h5", "b.h5"]
    (tmp_path / "c.h5").write_text("c")
    assert open_library(tmp_path, cache=cache).ids == ("a", "b", "c")
    assert read == ["a.h5", "b.h5", "c.h5"]
    (tmp_path / "bad.h5").write_text("x")
    skipped: list[str] = []
    found = open_library(tmp_path, cache=cache, on_error=lambda p, _: skipped.append(p))
    assert len(found) == 3
    assert [Path(p).name for p in skipped] == ["bad.h5"]
    with pytest.raises(FormatError):
        open_library(tmp_path)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "track_id,artist,title,year," + ",".join(f"timbre{i}" for i in range(1, 13))
    lines = [header]
    for song in songs():
        year = 1965 if "loud" in song.tags else 1995
        values = ",".join(f"{v:.4f}" for v in song.timbre.mean(axis=0))
        lines.append(f"{song.id},{song.artist},t,{year},{values}")
    table = tmp_path / "songs.csv"
    table.write_text("\n".join(lines) + "\n")
    call = ["recommend", str(table), "--cache", str(tmp_path / "cache.npz")]
    model = str(tmp_path / "m.npz")
    learn = [*call, "--tag", "1960s", "--components", "4", "-m", model, "--format", "json"]
    assert main(learn) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["area_under_curve"] > 0.95
    assert main([*call, "-m", model, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    page = tmp_path / "page.html"
    assert main([*call, "-m", model, "--format", "html", "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main([*call, "--tags"]) == 0
    assert main([*call, "-m", model, "--tag", "1990s"]) == 2
    assert main(call) == 2
    assert main([*call, "--tag", "1950s", "-o", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()


def test_real_decades(shared: Path) -> None:
    library = open_library(shared / "msd" / "msd_subset_timbre_avg.csv")
    areas = [rank(train_tag(library, tag), library).area_under_curve for tag in ("1960s", "1970s")]
    assert min(areas) > 0.62


def test_bars_of_both_signs_start_from_one_zero(model: TagModel) -> None:
    page = page_html(rank(model, LIBRARY, top=10))
    bars = re.findall(r'class="(up|down)" style="margin-left:([\d.]+)%;width:([\d.]+)%"', page)
    assert {kind for kind, _, _ in bars} == {"up", "down"}
    zeros = [float(x) + (float(w) if kind == "down" else 0.0) for kind, x, w in bars]
    assert max(zeros) - min(zeros) <= 0.2  # each end is rounded to a tenth
    assert all(float(x) + float(w) <= 100.1 for _, x, w in bars)
