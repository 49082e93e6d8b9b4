"""All songs in columns: one table of timbre, and who each stretch of it belongs to.

In: HDF5 tracks below a folder, or a CSV. Out: `Library`, kept in one ``.npz`` so that files are
parsed once; files that came since are added, those that changed are read again.

Public names: `Library`, `open_library`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.formats.msd import Song, find_tracks, read_timbre_csv, read_track
from wfst_hmm.models.storage import load_arrays, save_arrays

__all__ = ["Library", "open_library"]

_BETWEEN = "\x1f"  # parts tags in a cell: the unit separator of ASCII
_COLUMNS = ("ids", "artists", "titles", "years", "tags", "stamps", "offsets", "timbre")


@dataclasses.dataclass(frozen=True, eq=False)
class Library:
    """Songs as columns of equal length S.

    Attributes
    ----------
    ids, artists, titles : tuple of str
    years : ndarray of int32, shape (S,)
    tags : tuple of tuple of str
    stamps : tuple of str
        What the song was read from: file, size and time of its last change.
    offsets : ndarray of int64, shape (S + 1,)
        Song s owns rows ``offsets[s]`` to ``offsets[s + 1]`` of the timbre.
    timbre : ndarray of float32, shape (N, 12)
    """

    ids: tuple[str, ...]
    artists: tuple[str, ...]
    titles: tuple[str, ...]
    years: npt.NDArray[np.int32]
    tags: tuple[tuple[str, ...], ...]
    stamps: tuple[str, ...]
    offsets: npt.NDArray[np.int64]
    timbre: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, songs: Sequence[Song], stamps: Sequence[str] | None = None) -> Library:
        """Return the songs in columns; a `DataError` when there is none or an id occurs twice."""
        if not songs:
            raise DataError("no songs")
        ids = tuple(song.id for song in songs)
        if len(set(ids)) < len(ids):
            twice = next(id_ for at, id_ in enumerate(ids) if id_ in ids[:at])
            raise DataError(f"the song {twice!r} occurs twice")
        return cls(
            ids, tuple(s.artist for s in songs), tuple(s.title for s in songs),
            np.array([s.year for s in songs], dtype=np.int32), tuple(s.tags for s in songs),
            tuple(stamps or [""] * len(songs)),
            np.concatenate([[0], np.cumsum([len(s.timbre) for s in songs])]).astype(np.int64),
            np.concatenate([s.timbre for s in songs]),
        )  # fmt: skip

    def song(self, index: int) -> Song:
        """Return one song."""
        own = self.timbre[self.offsets[index] : self.offsets[index + 1]]
        return Song(self.ids[index], self.artists[index], self.titles[index],
                    int(self.years[index]), self.tags[index], own)  # fmt: skip

    def tagged(self, tag: str) -> npt.NDArray[np.bool_]:
        """Tell for every song whether it has `tag` (case does not matter), shape (S,)."""
        wanted = tag.casefold()
        return np.array([any(t.casefold() == wanted for t in own) for own in self.tags], dtype=bool)

    def tag_counts(self) -> dict[str, int]:
        """Return how many songs have each tag, the most frequent first."""
        counts: dict[str, int] = {}
        for own in self.tags:
            for tag in own:
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def frames(self, songs: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Return the timbre of some songs, one after another."""
        parts = [self.timbre[self.offsets[s] : self.offsets[s + 1]] for s in songs]
        return np.concatenate(parts) if parts else self.timbre[:0]

    def save(self, path: str | Path) -> None:
        """Write all columns to one ``.npz`` file."""
        texts = {name: np.array(getattr(self, name), dtype=np.str_)
                 for name in ("ids", "artists", "titles", "stamps")}  # fmt: skip
        tags = np.array([_BETWEEN.join(own) for own in self.tags], dtype=np.str_)
        save_arrays(path, "song library", {**texts, "tags": tags, "years": self.years,
                    "offsets": self.offsets, "timbre": self.timbre}, {})  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Library:
        """Read what `save` wrote; a `FormatError` when it is something else."""
        arrays, _ = load_arrays(path, "song library", _COLUMNS)
        n, offsets = len(arrays["ids"]), arrays["offsets"]
        whole = len(offsets) == n + 1 and int(offsets[-1]) == len(arrays["timbre"])
        if not whole or any(len(arrays[name]) != n for name in _COLUMNS[:6]):
            raise FormatError("columns of unlike length", where=str(path), fix="Delete the cache.")
        texts = {name: tuple(str(v) for v in arrays[name])
                 for name in ("ids", "artists", "titles", "stamps")}  # fmt: skip
        tags = tuple(tuple(t for t in str(v).split(_BETWEEN) if t) for v in arrays["tags"])
        return cls(tags=tags, years=arrays["years"], offsets=offsets, timbre=arrays["timbre"],
                   **texts)  # fmt: skip


def open_library(
    source: str | Path,
    *,
    cache: str | Path | None = None,
    on_error: Callable[[str, WfstHmmError], None] | None = None,
) -> Library:
    """Read songs from a folder of tracks or a CSV, through a cache.

    Parameters
    ----------
    source : path
    cache : path, optional
        A file that holds what was read before; songs in it whose files have not changed are not
        read again. Written when anything is new.
    on_error : callable, optional
        Called with the path and the error of a track that cannot be used; without it the first
        is raised.
    """
    source = Path(source)
    if not source.exists():
        raise FormatError("no such songs", where=str(source), expected="a folder or a CSV",
                          fix="Check the path.")  # fmt: skip
    known = Library.load(cache) if cache is not None and Path(cache).exists() else None
    stamps = [_stamp(p) for p in ([source] if source.is_file() else find_tracks(source))]
    if known is not None and set(known.stamps) == set(stamps):
        return known
    if source.is_file():
        songs = read_timbre_csv(source)
        library = Library.of(songs, stamps * len(songs))
    else:
        library = _of_tracks(find_tracks(source), known, on_error)
    if cache is not None:
        library.save(cache)
    return library


def _of_tracks(
    paths: Iterable[Path],
    known: Library | None,
    on_error: Callable[[str, WfstHmmError], None] | None,
) -> Library:
    have = {} if known is None else {stamp: i for i, stamp in enumerate(known.stamps)}
    songs, stamps = [], []
    for path in paths:
        stamp = _stamp(path)
        try:
            if known is not None and stamp in have:
                songs.append(known.song(have[stamp]))
            else:
                songs.append(read_track(path))
            stamps.append(stamp)
        except (FormatError, DataError) as error:
            if on_error is None:
                raise
            on_error(str(path), error)
    return Library.of(songs, stamps)


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
