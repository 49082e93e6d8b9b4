"""TSV manifests: one utterance a line, tab-separated, with a header.

In: a file with the columns ``id audio [text] [speaker] [start] [end] [channel]``. Out: its utterances; and
back. The parts that Kaldi's lists share are here too: times and paths.

Public names: `channel`, `check_audio_name`, `read_manifest`, `seconds`, `stretch`, `write_manifest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from wfst_hmm import orthography
from wfst_hmm.errors import DataError, FormatError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.signal.corpus import Corpus, Utterance

__all__ = ["channel", "check_audio_name", "read_manifest", "seconds", "stretch", "write_manifest"]

_REQUIRED = ("id", "audio")
_COLUMNS = (*_REQUIRED, "text", "speaker", "start", "end", "channel")


def write_manifest(path: str | Path, corpus: Corpus) -> None:
    """Write a TSV manifest, atomically; recordings below its directory get relative paths.

    Columns ``start``, ``end`` and ``channel`` appear when an utterance has one of them. Reading the manifest gives
    the corpus back, but for ``words=()``, which a manifest cannot tell from an unknown text.

    Raises
    ------
    DataError
        A field holds a tab or a line break.
    """
    path = Path(path)
    folder = path.absolute().parent
    partial = any((u.start, u.end, u.channel) != (None, None, None) for u in corpus)
    columns = _COLUMNS if partial else _COLUMNS[:4]
    lines = ["\t".join(columns)]
    for u in corpus:
        audio = u.audio.absolute()
        name = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
        part = ["" if value is None else repr(value) for value in (u.start, u.end, u.channel)]
        fields = [u.id, name.as_posix(), " ".join(u.words or ()), u.speaker, *part]
        for field in fields:
            if any(mark in field for mark in "\t\r\n"):
                raise DataError("a tab or line break in a field", where=u.place, got=repr(field))
        lines.append("\t".join(fields[: len(columns)]))
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest, their paths as they are written."""
    columns: list[str] = []
    least = 0
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        fields = [field.strip() for field in line.split("\t")]
        if not columns:
            columns = _header(fields, where)
            least = 1 + max(columns.index(name) for name in _COLUMNS[:3] if name in columns)
            continue
        if not least <= len(fields) <= len(columns):
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
            expected="the tab-separated names id, audio[, text, speaker, start, end, channel]",
            fix="Write them as the first line.",
        )
    return fields


def _of_row(row: Mapping[str, str], where: str) -> Utterance:
    id_, audio = row["id"], row["audio"]
    if not orthography.is_symbol(id_):
        raise FormatError("an id that is empty or holds white space", where=where, got=repr(id_))
    check_audio_name(audio, where)
    start, end = (seconds(row[t], where) if row[t] else None for t in ("start", "end"))
    part = stretch(start, end, where)
    words = tuple(orthography.fields(row["text"])) or None
    number = channel(row["channel"], where) if row["channel"] else None
    return Utterance(id_, Path(audio), words, row["speaker"] or id_, *part, where, number)


def check_audio_name(name: str, where: str) -> None:
    """Refuse an empty name, and the shell commands that Kaldi allows in place of one."""
    if not name:
        raise FormatError("no audio file", where=where, expected="an id and a path")
    if name.endswith("|") or name.startswith("|"):
        raise FormatError(
            "a shell command in place of an audio file; it is not run",
            where=where,
            got=repr(name if len(name) <= 60 else name[:57] + "..."),
            fix="Run it yourself, write its output to a WAV file and name that file.",
        )


def channel(text: str, where: str) -> int:
    """Read the number of a channel, from 0; a `FormatError` names `where` when it is none."""
    if not (text.isascii() and text.isdigit()):
        raise FormatError("no channel", where=where, got=repr(text), expected="0, 1 ...")
    return int(text)


def seconds(text: str, where: str) -> float:
    """Read a time; a `FormatError` names `where` when it is none."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError("not a time", where=where, got=repr(text), expected="seconds")
    return value


def stretch(
    start: float | None, end: float | None, where: str
) -> tuple[float | None, float | None]:
    """Check that a stretch of audio starts before it ends; return it."""
    begin = start or 0.0
    if begin < 0 or (end is not None and end <= begin):
        raise FormatError(
            "a segment that ends before it starts",
            where=where,
            got=f"{begin} to {end}",
            expected="0 <= start < end",
        )
    return start, end
