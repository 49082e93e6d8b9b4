import contextlib
from pathlib import Path

import numpy as np
import pytest

from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.formats.msd import find_tracks, read_timbre_csv, read_track

HEADER = "track_id,artist,title,year," + ",".join(f"timbre_avg{i}" for i in range(1, 13))


def row(id_: str, artist: str, year: str = "1987", value: str = "1") -> str:
    return f'{id_},"{artist}",Song,{year},' + ",".join([value] * 12)


def write_track(path: Path, timbre: np.ndarray, *, tags: tuple[bytes, ...] = (b"rock",)) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(path, "w") as file:
        file["analysis/segments_timbre"] = timbre
        file["analysis/songs"] = np.array([(b"TR1",)], dtype=[("track_id", "S20")])
        facts = [("artist_name", "S50"), ("title", "S50")]
        file["metadata/songs"] = np.array([("Björk".encode(), b"Hyper  Ballad")], dtype=facts)
        file["metadata/artist_terms"] = np.array(tags, dtype="S50")
        file["musicbrainz/artist_mbtags"] = np.array([b"rock", b"british"], dtype="S50")
        file["musicbrainz/songs"] = np.array([(1995,)], dtype=[("year", "i4")])


def test_a_track(tmp_path: Path) -> None:
    timbre = np.random.default_rng(0).normal(size=(7, 12))
    write_track(tmp_path / "a.h5", timbre)
    song = read_track(tmp_path / "a.h5")
    assert (song.id, song.artist, song.title, song.year) == ("TR1", "Björk", "Hyper Ballad", 1995)
    assert song.tags == ("rock", "british", "1990s", "Björk")
    np.testing.assert_allclose(song.timbre, timbre, rtol=1e-6)
    assert find_tracks(tmp_path) == [tmp_path / "a.h5"]


def test_damaged_and_foreign_tracks(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / "a.h5"
    write_track(path, np.zeros((5, 12)))
    whole = path.read_bytes()
    for cut in (0, 10, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match=r"a\.h5"):
            read_track(path)
    rng = np.random.default_rng(0)
    for _ in range(40):  # flipped bytes give a song or one of our errors, nothing else
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 20):
            damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(FormatError, DataError):
            read_track(path)
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    with pytest.raises(FormatError, match="'analysis/segments_timbre' is missing"):
        read_track(path)
    with h5py.File(path, "w") as file:
        file["analysis/segments_timbre"] = h5py.ExternalLink("/etc/hostname", "x")
    with pytest.raises(FormatError, match="is missing"):
        read_track(path)
    write_track(path, np.full((5, 12), np.nan))
    with pytest.raises(DataError, match="not finite"):
        read_track(path)
    write_track(path, np.zeros((5, 3)))
    with pytest.raises(FormatError, match="another dimension; got 3"):
        read_track(path)
    with pytest.raises(FormatError, match="no such file"):
        read_track(tmp_path / "none.h5")
    with pytest.raises(FormatError, match="no tracks"):
        find_tracks(tmp_path / "nowhere")


def test_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_text("\n".join([HEADER, row("T1", "A, the band"), row("T2", "B", "0"), ""]))
    first, second = read_timbre_csv(path)
    assert first.tags == ("1980s", "A, the band")
    assert second.tags == ("B",)
    assert first.timbre.shape == (1, 12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("artist,", "") + "\n", "songs.csv:1: the column 'artist' is missing"),
        ("", "the column 'track_id' is missing"),
        (HEADER + "\nT,A,S,1987,1,2\n", "songs.csv:2: too few fields; got 6, expected 16"),
        (HEADER + "\n" + row("T", "A", "year") + "\n", "songs.csv:2: no number"),
        (HEADER + "\n" + row("T", "A", "1987", "nan") + "\n", "out of range"),
        (HEADER + "\n" + row("T", "A", "1987", "9" * 40) + "\n", "out of range"),
        (HEADER + '\n"T" x,"A\n', "no CSV"),
    ],
)
def test_wrong_csv(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "songs.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_timbre_csv(tmp_path / "songs.csv")


def test_real_tracks(shared: Path) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    songs = {s.id: s for s in map(read_track, find_tracks(shared / "msd"))}
    rick = songs["TRAXLZU12903D05F94"]
    assert (rick.artist, rick.title, rick.year) == ("Rick Astley", "Never Gonna Give You Up", 1987)
    assert {"dance pop", "uk", "1980s", "Rick Astley"} <= set(rick.tags)
    averages = {s.id: s for s in read_timbre_csv(shared / "msd" / "msd_subset_timbre_avg.csv")}
    assert len(averages) == 4680
    for id_, song in songs.items():
        if id_ in averages:
            np.testing.assert_allclose(song.timbre.mean(axis=0), averages[id_].timbre[0], rtol=1e-4)
