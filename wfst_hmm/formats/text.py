"""Kaldi ``text`` files, and the tables of keys that they are one kind of.

In: lines ``id word word ...``. Out: words by utterance id; and back.

Public names: `read_table`, `read_text`, `text_line`, `write_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from wfst_hmm.errors import DataError
from wfst_hmm.files import atomic_file, read_lines
from wfst_hmm.orthography import fields, is_symbol

__all__ = ["read_table", "read_text", "text_line", "write_text"]


def read_table(path: Path) -> dict[str, tuple[str, str]]:
    """Read ``key rest-of-line`` lines into key -> (rest, ``file:line``); empty lines are skipped.

    Raises
    ------
    FormatError, DataError
        The file is missing or no UTF-8 text; a key occurs twice.
    """
    table: dict[str, tuple[str, str]] = {}
    for number, line in read_lines(path):
        row = fields(line, 1)
        if not row:
            continue
        where = f"{path}:{number}"
        key, rest = row[0], row[1] if len(row) > 1 else ""
        if key in table:
            raise DataError(
                f"id {key!r} twice, first in {table[key][1]}",
                where=where,
                expected="unique ids",
                fix="Remove or rename one of the lines.",
            )
        table[key] = (rest, where)
    return table


def read_text(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read a Kaldi ``text`` file: an utterance id and its words on each line.

    Raises
    ------
    FormatError, DataError
        The file is missing or no UTF-8 text; an id occurs twice.
    """
    table = read_table(Path(path))
    return {id_: tuple(fields(rest)) for id_, (rest, _) in table.items()}


def write_text(path: str | Path, transcripts: Mapping[str, Iterable[str]]) -> None:
    """Write ``id word word ...`` lines, sorted by id, atomically (``hyp.txt``, Kaldi ``text``).

    Raises
    ------
    DataError
        As `text_line`.
    """
    lines = [text_line(id_, transcripts[id_]) for id_ in sorted(transcripts)]
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def text_line(id_: str, words: Iterable[str]) -> str:
    """Return the line of one utterance.

    Raises
    ------
    DataError
        The id or a word is empty or holds white space: it could not be read back.
    """
    parts = [id_, *words]
    for part in parts:
        if not is_symbol(part):
            raise DataError(
                "an empty id or word, or one with white space",
                where=f"utterance {id_}",
                got=repr(part),
            )
    return " ".join(parts) + "\n"
