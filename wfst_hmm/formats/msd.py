"""Songs of the Million Song Dataset: timbre of every segment, artist, title, year, tags.

In: HDF5 tracks (one file a song, as The Echo Nest made them), or a CSV with one timbre vector a
song. Out: `Song` values. HDF5 needs ``h5py``.

Public names: `N_TIMBRE`, `Song`, `find_tracks`, `read_timbre_csv`, `read_track`.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError, UsageError
from wfst_hmm.files import read_lines

__all__ = ["N_TIMBRE", "Song", "find_tracks", "read_timbre_csv", "read_track"]

N_TIMBRE = 12
_MAX_SEGMENTS = 1_000_000  # hours of music; more is no track
_MAX_TAGS = 10_000
_MAX_TIMBRE = 1e30  # what single precision holds, and far beyond any timbre


@dataclasses.dataclass(frozen=True, eq=False)
class Song:
    """One song.

    Attributes
    ----------
    id : str
    artist, title : str
    year : int
        0: not known.
    tags : tuple of str
        Genres and moods, the decade (``1980s``) and the artist, each once.
    timbre : ndarray of float32, shape (n_segments, 12)
    """

    id: str
    artist: str
    title: str
    year: int
    tags: tuple[str, ...]
    timbre: npt.NDArray[np.float32]


def _tags(terms: list[str], year: int, artist: str) -> tuple[str, ...]:
    decade = [f"{year // 10 * 10}s"] if year else []
    cleaned = (" ".join(tag.split()) for tag in (*terms, *decade, artist))
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))


def find_tracks(folder: str | Path) -> list[Path]:
    """List the ``.h5`` files below a folder, sorted; a `FormatError` when there is none."""
    folder = Path(folder)
    found = sorted(p for p in folder.rglob("*.h5") if p.is_file())
    if not found:
        raise FormatError("no tracks", where=str(folder), expected=".h5 files below the folder")
    return found


def read_track(path: str | Path) -> Song:
    """Read one track of the Million Song Dataset.

    Raises
    ------
    FormatError
        No HDF5, truncated, or without one of the tables that every track has (which is named).
    DataError
        The timbre is empty or not finite.
    UsageError
        ``h5py`` is not installed.
    """
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError:
        raise UsageError("HDF5 files need h5py", where=str(path),
                         fix="Run pip install h5py.") from None  # fmt: skip
    where = str(path)
    if not Path(path).is_file():
        raise FormatError("no such file", where=where, fix="Check the path.")
    try:
        with h5py.File(path, "r") as file:
            return _song(file, h5py, where)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"no readable track ({str(error).splitlines()[0][:120]})", where=where,
                          expected="an HDF5 file of the Million Song Dataset",
                          fix="Copy it again.") from None  # fmt: skip


def _song(file: Any, h5py: Any, where: str) -> Song:
    def table(name: str, n_axes: int, most: int) -> Any:
        # A link could lead into another file: what is read must lie in this one.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise FormatError(f"the table {name!r} is missing", where=where,
                              expected="a track of the Million Song Dataset")  # fmt: skip
        found = file[name]
        if not isinstance(found, h5py.Dataset) or found.ndim != n_axes or len(found) > most:
            raise FormatError(f"the table {name!r} has another shape", where=where,
                              got=getattr(found, "shape", "a group"))  # fmt: skip
        return found

    timbre = table("analysis/segments_timbre", 2, _MAX_SEGMENTS)
    if timbre.shape[1] != N_TIMBRE:
        raise FormatError("timbre of another dimension", where=where, got=timbre.shape[1],
                          expected=N_TIMBRE)  # fmt: skip
    facts = table("metadata/songs", 1, _MAX_TAGS)[0]
    brainz = table("musicbrainz/songs", 1, _MAX_TAGS)[0]
    analysis = table("analysis/songs", 1, _MAX_TAGS)[0]
    terms = [*table("metadata/artist_terms", 1, _MAX_TAGS)[:],
             *table("musicbrainz/artist_mbtags", 1, _MAX_TAGS)[:]]  # fmt: skip
    artist, year = _text(facts["artist_name"]), int(brainz["year"])
    return Song(
        _text(analysis["track_id"]) or Path(where).stem, artist, _text(facts["title"]), year,
        _tags([_text(term) for term in terms], year, artist), checked_timbre(timbre[:], where),
    )  # fmt: skip


def checked_timbre(values: Any, where: str) -> npt.NDArray[np.float32]:
    """Return timbre as float32, shape (n, 12); a `DataError` when it is empty or not finite."""
    with np.errstate(all="ignore"):  # what does not fit becomes infinite, and is refused
        array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != 2 or not len(array) or not np.isfinite(array).all():
        raise DataError("timbre that is empty or not finite", where=where, got=array.shape)
    return array


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return " ".join(text.split())


def read_timbre_csv(path: str | Path) -> list[Song]:
    """Read a CSV with one line a song: its tags are its decade and its artist.

    Columns: ``track_id``, ``artist``, ``title``, ``year`` and twelve that hold the timbre, named
    ``timbre_avg1`` ... ``timbre_avg12`` (or ``timbre1`` ...). Quotes as usual in CSV.

    Raises
    ------
    FormatError
        A column is missing, or a line has no numbers where it should (``file:line``).
    """
    lines = [line for _, line in read_lines(path)]
    rows = csv.reader(lines, strict=True)
    try:
        header = next(rows, [])
        places = {name: at for at, name in enumerate(header)}
        prefix = "timbre_avg" if "timbre_avg1" in places else "timbre"
        wanted = ["track_id", "artist", "title", "year",
                  *(f"{prefix}{d + 1}" for d in range(N_TIMBRE))]  # fmt: skip
        missing = [name for name in wanted if name not in places]
        if missing:
            raise FormatError(f"the column {missing[0]!r} is missing", where=f"{path}:1",
                              expected=", ".join(wanted[:5]) + ", ...")  # fmt: skip
        columns = [places[name] for name in wanted]
        return [
            _csv_song(row, columns, f"{path}:{rows.line_num}") for row in rows if any(row)
        ]  # fmt: skip
    except csv.Error as error:
        raise FormatError(f"no CSV ({error})", where=f"{path}:{rows.line_num}") from None


def _csv_song(row: list[str], columns: list[int], where: str) -> Song:
    if len(row) <= max(columns):
        raise FormatError("too few fields", where=where, got=len(row), expected=max(columns) + 1)
    id_, artist, title, year, *timbre = (row[at] for at in columns)
    try:
        number, values = int(year or 0), [float(text) for text in timbre]
    except ValueError as error:
        raise FormatError(f"no number ({error})", where=where) from None
    if not all(abs(value) < _MAX_TIMBRE for value in values) or not 0 <= number < 10_000:
        raise FormatError("a year or timbre out of range", where=where)
    return Song(id_, artist, title, number, _tags([], number, artist),
                np.array([values], dtype=np.float32))  # fmt: skip
