"""Lists of recordings and transcripts: Kaldi data directories, TSV manifests, ``text`` files.

In: a directory with ``wav.scp`` (and ``text``, ``utt2spk``, ``segments``), or a tab-separated
file with the header ``id audio text [speaker] [start] [end]``. Out: a `Corpus`; and back.

Public names: `read_corpus`, `read_text`, `read_transcripts`, `write_manifest`, `write_text`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from wfst_hmm.errors import DataError, FormatError, WfstHmmError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["read_corpus", "read_text", "read_transcripts", "write_manifest", "write_text"]

OnError = Callable[[str, WfstHmmError], None]

_REQUIRED = ("id", "audio", "text")
_COLUMNS = (*_REQUIRED, "speaker", "start", "end")


def read_corpus(path: str | Path, *, on_error: OnError | None = None) -> Corpus:
    """Read a Kaldi data directory or a TSV manifest.

    Paths of recordings are relative to the list that names them; when nothing lies there, to
    the current directory (Kaldi's habit).

    Parameters
    ----------
    path : path
        A directory with ``wav.scp``, or a manifest.
    on_error : callable, optional
        Called with the id and the error of each utterance whose recording is missing or whose
        transcript has no recording; it is then left out. Without it the first is raised.

    Returns
    -------
    Corpus
        In the order of ``segments``, else ``wav.scp``, else the manifest. An utterance without
        a line in ``text``, or with an empty text in a manifest, has no known transcript; a
        bare id in ``text`` is a transcript of no words. Without speakers everyone is their own.

    Raises
    ------
    FormatError
        A line cannot be understood (message: ``file:line``), or a list is missing.
    DataError
        An id occurs twice, a recording is missing, a transcript has no recording, or nothing
        is left.
    """
    path = Path(path)
    if not path.exists():
        raise FormatError(
            "no such data",
            where=str(path),
            expected="a Kaldi data directory or a TSV manifest",
            fix="Check the path.",
        )
    utterances = _kaldi_directory(path, on_error) if path.is_dir() else _manifest(path, on_error)
    if not utterances:
        raise DataError("no utterance", where=str(path), fix="Fill the list.")
    return Corpus(tuple(utterances), str(path))


def read_text(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read a Kaldi ``text`` file: an utterance id and its words on each line.

    Raises
    ------
    FormatError, DataError
        The file is missing or no UTF-8 text; an id occurs twice.
    """
    table = _table(Path(path))
    return {id_: tuple(rest.split()) for id_, (rest, _) in table.items()}


def read_transcripts(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read only the transcripts of a data directory, a manifest or a ``text`` file.

    Recordings need not exist; utterances of a manifest without a text are left out.

    Raises
    ------
    FormatError, DataError
        Nothing lies there, a line cannot be understood, or an id occurs twice.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "text").is_file():
            raise FormatError("a directory without transcripts", where=str(path), expected="text")
        return read_text(path / "text")
    first = next((line for _, line in read_lines(path) if line.strip()), "")
    if "id" not in first.split("\t") or "text" not in first.split("\t"):
        return read_text(path)
    corpus = Corpus(tuple(_rows(path)), str(path))
    return {utterance.id: utterance.words for utterance in corpus if utterance.words is not None}


def write_text(path: str | Path, transcripts: Mapping[str, Iterable[str]]) -> None:
    """Write ``id word word ...`` lines, sorted by id, atomically (``hyp.txt``, Kaldi ``text``).

    Raises
    ------
    DataError
        An id or a word is empty or holds white space: it could not be read back.
    """
    lines = []
    for id_ in sorted(transcripts):
        parts = [id_, *transcripts[id_]]
        for part in parts:
            if part.split() != [part]:
                raise DataError(
                    "an empty id or word, or one with white space",
                    where=f"utterance {id_}",
                    got=repr(part),
                )
        lines.append(" ".join(parts) + "\n")
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def write_manifest(path: str | Path, corpus: Corpus) -> None:
    """Write a TSV manifest, atomically; recordings below its directory get relative paths.

    Columns ``start`` and ``end`` appear when an utterance has them. Reading the manifest gives
    the corpus back, but for ``words=()``, which a manifest cannot tell from an unknown text.

    Raises
    ------
    DataError
        A field holds a tab or a line break, or an utterance a channel.
    """
    path = Path(path)
    folder = path.absolute().parent
    timed = any(u.start is not None or u.end is not None for u in corpus)
    columns = _COLUMNS if timed else _COLUMNS[:4]
    lines = ["\t".join(columns)]
    for u in corpus:
        if u.channel is not None:
            raise DataError(
                "a manifest has no column for channels", where=u.place, fix="Split the recording."
            )
        audio = u.audio.absolute()
        name = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
        times = ["" if t is None else repr(float(t)) for t in (u.start, u.end)]
        fields = [u.id, name.as_posix(), " ".join(u.words or ()), u.speaker, *times]
        for field in fields:
            if any(mark in field for mark in "\t\r\n"):
                raise DataError("a tab or line break in a field", where=u.place, got=repr(field))
        lines.append("\t".join(fields[: len(columns)]))
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _failed(id_: str, error: WfstHmmError, on_error: OnError | None) -> None:
    if on_error is None:
        raise error
    on_error(id_, error)


def _recording(name: str, listing: Path, place: str) -> Path:
    """Find a recording beside the list that names it, or below the current directory."""
    beside, here = listing.parent / name, Path(name)
    for candidate in (beside, here):
        if candidate.exists():
            return candidate
    tried = str(beside)
    if here.absolute() != beside.absolute():
        tried += f" and {here.absolute()}"
    raise DataError(
        "no such audio file",
        where=place,
        got=f"{name!r} (tried {tried})",
        fix="Correct the path, or restore the recording.",
    )


def _table(path: Path) -> dict[str, tuple[str, str]]:
    """Read ``key rest-of-line`` lines into key -> (rest, file:line); keys must be unique."""
    table: dict[str, tuple[str, str]] = {}
    for number, line in read_lines(path):
        fields = line.split(maxsplit=1)
        if not fields:
            continue
        where = f"{path}:{number}"
        key, rest = fields[0], fields[1].strip() if len(fields) > 1 else ""
        if key in table:
            raise DataError(
                f"id {key!r} twice, first in {table[key][1]}",
                where=where,
                expected="unique ids",
                fix="Remove or rename one of the lines.",
            )
        table[key] = (rest, where)
    return table


def _kaldi_directory(folder: Path, on_error: OnError | None) -> list[Utterance]:
    listing = folder / "wav.scp"
    if not listing.is_file():
        raise FormatError(
            "not a Kaldi data directory: it has no wav.scp",
            where=str(folder),
            fix="Add wav.scp, or name a TSV manifest.",
        )
    recordings = _table(listing)
    for name, where in recordings.values():
        _check_scp(name, where)
    segments = folder / "segments"
    if segments.is_file():
        utterances = _segments(segments, recordings, on_error)
    else:
        utterances = [
            Utterance(id_, Path(name), None, id_, where=where)
            for id_, (name, where) in recordings.items()
        ]
    utterances = _with_speakers(folder / "utt2spk", utterances)
    utterances = _with_words(folder / "text", utterances, on_error)
    found = []
    for utterance in utterances:
        try:
            audio = _recording(str(utterance.audio), listing, utterance.place)
        except DataError as error:
            _failed(utterance.id, error, on_error)
        else:
            found.append(dataclasses.replace(utterance, audio=audio))
    return found


def _check_scp(name: str, where: str) -> None:
    if not name:
        raise FormatError("no audio file", where=where, expected="an id and a path")
    if name.endswith("|") or name.startswith("|"):
        raise FormatError(
            "a shell command in place of an audio file; it is not run",
            where=where,
            got=repr(name if len(name) <= 60 else name[:57] + "..."),
            fix="Run it yourself, write its output to a WAV file and name that file.",
        )


def _segments(
    path: Path, recordings: Mapping[str, tuple[str, str]], on_error: OnError | None
) -> list[Utterance]:
    """Read ``utterance recording start end [channel]`` lines."""
    utterances = []
    for id_, (rest, where) in _table(path).items():
        fields = rest.split()
        if len(fields) not in (3, 4):
            raise FormatError(
                "not a segment",
                where=where,
                got=f"{len(fields) + 1} fields",
                expected="utterance, recording, start, end[, channel]",
            )
        start, end = _seconds(fields[1], where), _seconds(fields[2], where)
        stretch = _stretch(start, None if end == -1 else end, where)
        channel = None
        if len(fields) == 4:
            if not fields[3].isascii() or not fields[3].isdigit():
                raise FormatError("no channel", where=where, got=repr(fields[3]), expected="0, 1 …")
            channel = int(fields[3])
        if fields[0] not in recordings:
            error = DataError(
                f"segment of an unknown recording {fields[0]!r}",
                where=where,
                fix=f"Add it to {path.parent / 'wav.scp'}.",
            )
            _failed(id_, error, on_error)
            continue
        audio = Path(recordings[fields[0]][0])
        utterances.append(Utterance(id_, audio, None, id_, *stretch, where, channel))
    return utterances


def _seconds(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError("not a time", where=where, got=repr(text), expected="seconds")
    return value


def _stretch(
    start: float | None, end: float | None, where: str
) -> tuple[float | None, float | None]:
    begin = start or 0.0
    if begin < 0 or (end is not None and end <= begin):
        raise FormatError(
            "a segment that ends before it starts",
            where=where,
            got=f"{begin} to {end}",
            expected="0 <= start < end",
        )
    return start, end


def _with_speakers(path: Path, utterances: list[Utterance]) -> list[Utterance]:
    if not path.is_file():
        return utterances
    table = _table(path)
    out = []
    for utterance in utterances:
        if utterance.id not in table:
            raise DataError(
                f"no speaker of utterance {utterance.id!r} ({utterance.where})",
                where=str(path),
                fix="Add a line, or remove the file.",
            )
        speaker, where = table[utterance.id]
        if len(speaker.split()) != 1:
            raise FormatError("not a speaker", where=where, got=repr(speaker), expected="one name")
        out.append(dataclasses.replace(utterance, speaker=speaker))
    return out


def _with_words(
    path: Path, utterances: list[Utterance], on_error: OnError | None
) -> list[Utterance]:
    if not path.is_file():
        return utterances
    table = _table(path)
    known = {utterance.id for utterance in utterances}
    for id_, (_, where) in table.items():
        if id_ not in known:
            error = DataError(
                f"a text line without audio: {id_!r} is not in wav.scp or segments",
                where=where,
                fix="Add the recording, or remove the line.",
            )
            _failed(id_, error, on_error)
    return [
        dataclasses.replace(utterance, words=tuple(table[utterance.id][0].split()))
        if utterance.id in table
        else utterance
        for utterance in utterances
    ]


def _manifest(path: Path, on_error: OnError | None) -> list[Utterance]:
    listed = Corpus(tuple(_rows(path)), str(path))  # an id twice is wrong whatever else is
    utterances = []
    for utterance in listed:
        try:
            audio = _recording(str(utterance.audio), path, utterance.place)
        except DataError as error:
            _failed(utterance.id, error, on_error)
        else:
            utterances.append(dataclasses.replace(utterance, audio=audio))
    return utterances


def _rows(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest, their paths as they are written."""
    columns: list[str] = []
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        fields = [field.strip() for field in line.split("\t")]
        if not columns:
            columns = _header(fields, where)
            continue
        if not len(_REQUIRED) <= len(fields) <= len(columns):
            raise FormatError(
                "wrong number of tab-separated fields",
                where=where,
                got=len(fields),
                expected=f"{len(columns)} ({', '.join(columns)})",
            )
        yield _of_row(dict.fromkeys(_COLUMNS, "") | dict(zip(columns, fields, strict=False)), where)


def _header(fields: list[str], where: str) -> list[str]:
    unknown = [name for name in fields if name not in _COLUMNS]
    if unknown or len(set(fields)) < len(fields) or not set(_REQUIRED) <= set(fields):
        raise FormatError(
            "not the header of a manifest",
            where=where,
            got=repr(" ".join(fields)[:80]),
            expected="the tab-separated names id, audio, text[, speaker, start, end]",
            fix="Write them as the first line.",
        )
    return fields


def _of_row(row: Mapping[str, str], where: str) -> Utterance:
    id_, audio = row["id"], row["audio"]
    if id_.split() != [id_]:
        raise FormatError("an id that is empty or holds white space", where=where, got=repr(id_))
    _check_scp(audio, where)
    start, end = (_seconds(row[t], where) if row[t] else None for t in ("start", "end"))
    stretch = _stretch(start, end, where)
    words = tuple(row["text"].split()) or None
    return Utterance(id_, Path(audio), words, row["speaker"] or id_, *stretch, where)
